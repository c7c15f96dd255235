/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/help.h"

#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/output.h"
#include "codec/settings.h"

#include <string.h>

struct help {
    const char *command;
    const char *summary; /* a line of the overview */
    const char *usage;   /* without "faasd " */
    const char *text;
    bool settings; /* followed by the settings' flags */
    bool client;   /* takes --url and --root */
};

static const struct help HELPS[] = {
    {"serve", "run the daemon",
     "serve [--config FILE] [--listen ADDR]... [--metrics-listen ADDR] [--url-domain DOMAIN]\n"
     "                   [--root DIR] [--allow-degraded] [--insecure-control] [--check-config]",
     "As root, or as an ordinary user in a user namespace (`faasd check` says what\n"
     "that costs). Runs in the foreground, prints one line that begins with \"ready\"\n"
     "on stderr when it accepts requests, and drains on SIGTERM. SIGHUP reads the\n"
     "configuration again.\n"
     "\n"
     "  --config FILE     configuration instead of /etc/faasd/config.json; must exist\n"
     "  --listen ADDR     8080, 127.0.0.1:0, [::1]:8080 or unix:/path; repeatable;\n"
     "                    default: port 8080 on both loopback addresses\n"
     "  --metrics-listen ADDR  127.0.0.1:9100 or 0.0.0.0:9100: GET /metrics for\n"
     "                    Prometheus, for whoever reaches it, and nothing else\n"
     "  --url-domain DOMAIN  Function URLs answer as ID.DOMAIN too, not only by path\n"
     "  --root DIR        keep run/, state/ and config.json under DIR; also FAASD_ROOT\n"
     "  --allow-degraded  serve although this host lacks parts of the sandbox (see\n"
     "                    `faasd check`)\n"
     "  --insecure-control\n"
     "                    take tokens over plain connections from other hosts too;\n"
     "                    whoever is on the way can read and use them\n"
     "  --check-config    read the configuration, say what is wrong, exit\n",
     false, false},
    {"deploy", "make a function from a file, a directory or an archive", "deploy NAME PATH [options]",
     "PATH is an executable file, a .py or .mjs file, a directory, or a .zip, .tar or\n"
     ".tar.gz archive. Prints what changed. The old version serves until the new one\n"
     "is complete. Where neither --runtime nor the directory's faasd.json says one,\n"
     "a new function's runtime is guessed, and said: bootstrap -> provided; app.py or\n"
     "lambda_function.py -> python; index.mjs or index.js -> node; a file by its\n"
     "suffix, unless it is executable; else exec, or native by what it is linked to.\n"
     "What .faasdignore names (by default .git and __pycache__) is left out and\n"
     "said.\n"
     "\n"
     "  faasd deploy hello ./hello\n"
     "  faasd deploy site ./dir --handler run.sh --memory 64M --env MODE=test\n"
     "  faasd deploy api ./api --runtime python3.11 --handler app.handler\n"
     "\n"
     "  --dry-run         check everything, change nothing\n"
     "  --json            print the daemon's reply as JSON\n",
     true, true},
    {"config", "change settings without an upload; show the configuration",
     "config NAME [options] | config show [--daemon] [--config FILE]",
     "Changes only what is given, as a new version of the function. Prints what\n"
     "changed.\n"
     "`config show` prints each key of the configuration with its value and where\n"
     "that came from (flag, FAASD_KEY, file, default): of a daemon that would be\n"
     "started here and now, or with --daemon of the running one.\n"
     "\n"
     "  --daemon          show: of the running daemon\n"
     "  --config FILE     show: read this file instead of the usual one\n"
     "  --json            print the daemon's reply as JSON\n",
     true, true},
    {"invoke", "call a function", "invoke NAME [-d DATA | -d @FILE | -d -] [options]",
     "Prints the reply's body, byte for byte. Without -d the event is {}. stdin is\n"
     "read only with -d -.\n"
     "\n"
     "  -d, --data DATA   the event: text, @FILE, or - for stdin\n"
     "  -H, --header 'K: V'  a request header; repeatable\n"
     "  -o, --output FILE write the body there\n"
     "  --qualifier Q     a version's number, an alias, or '$LATEST'; the same as\n"
     "                    NAME:Q\n"
     "  --async           queue the call and print its id; it is run until it succeeds\n"
     "                    or fails for good (see `faasd result`)\n"
     "  --json            with --async: the daemon's reply as JSON\n"
     "  --logs            print what the function wrote to stderr during this\n"
     "                    request, on stderr\n"
     "  --trace           print where the time went, on stderr: queue, sandbox (each\n"
     "                    step of its set-up; > marks those made inside of it), start\n"
     "                    of runtime and code, run\n",
     false, true},
    {"result", "what came of an asynchronous call", "result ID [--wait] [-o FILE] [--json]",
     "Prints the reply's body, byte for byte. The exit status is 0 when the call\n"
     "succeeded, 1 when it failed, was cancelled or expired, 75 while it has not\n"
     "ended, 3 when there is no such call or its result is not kept any more.\n"
     "\n"
     "  --wait            until it has ended\n"
     "  -o, --output FILE write the body there\n"
     "  --json            how far it is instead of the result: status, attempts, the\n"
     "                    last error\n",
     false, true},
    {"run", "one function or command in a sandbox, without a server",
     "run [limits] PATH [-d DATA]\n"
     "       faasd run [limits] [--name N] -- CMD ARGS...",
     "Starts a private daemon, runs once and removes everything. PATH is\n"
     "deployed and called as with `deploy` and `invoke`, its runtime guessed as there.\n"
     "CMD is a program of this host (under\n"
     "/usr, /bin, /sbin) or a file of yours; its stdout and stderr come out here\n"
     "when it has ended, with its status and the limit that it met when it failed,\n"
     "and the exit status is 0 or 1. stdin is passed only with -d -.\n"
     "\n"
     "  faasd run --memory 64M --timeout 5m --name report -- ./report.sh\n"
     "\n"
     "  -d, --data DATA   the event, or the command's stdin: text, @FILE, or - for\n"
     "                    stdin\n"
     "  --name N          keep its log in the state directory, in run-logs/N\n"
     "  --no-overlap      with --name: exit 75 at once while another run of that\n"
     "                    name is under way\n"
     "  --plan            print how the sandbox would be made, and run nothing\n"
     "  --root DIR        whose configuration, state and run directory to use\n"
     "  --allow-degraded  run although this host lacks parts of the sandbox\n",
     true, false},
    {"init", "write a starter function", "init NAME --runtime R [--path DIR]",
     "Makes a directory NAME with a function that works, its faasd.json, a test event\n"
     "and a README. R: exec (a script), native (C), python, node, provided (a bash\n"
     "bootstrap), or a name such as python3.11 or nodejs20.x. Nothing is written over.\n"
     "\n"
     "  faasd init hello --runtime python && cd hello && faasd deploy hello .\n"
     "\n"
     "  --runtime R       what it is written for\n"
     "  --path DIR        the directory, instead of NAME\n",
     false, false},
    {"dev", "serve a path and deploy it again on every change", "dev PATH [options]",
     "Starts a private daemon on a loopback port, prints its URL and the\n"
     "function's log, and deploys PATH again when a file in it has been written,\n"
     "renamed or removed (.faasdignore says what does not count). A change that is\n"
     "refused leaves the last good version serving. Ctrl-C ends it and removes\n"
     "everything.\n"
     "\n"
     "  --listen ADDR     8080, 127.0.0.1:3000; default: a free port on 127.0.0.1\n"
     "  --name N          the function's name; default: PATH's last component\n"
     "  --root DIR        whose configuration to use\n"
     "  --allow-degraded  serve although this host lacks parts of the sandbox\n",
     true, false},
    {"shell", "a shell in a function's sandbox", "shell NAME",
     "A sandbox of its own, made as the function's are, plus a pseudo-terminal and\n"
     "the terminal ioctls it needs (modes, job control, window size). The window's\n"
     "size is passed once, at the start. Ends with the shell; whatever the shell's\n"
     "own exit status was, this one is 0.\n"
     "\n",
     false, true},
    {"ls", "list functions", "ls [-v] [--json]",
     "  -v, --verbose     how many instances of each are in which state\n"
     "  --json            the daemon's reply as JSON\n",
     false, true},
    {"describe", "every setting of a function", "describe NAME [--show-env] [--json]",
     "Values that were not given are marked as defaults. Environment values are\n"
     "masked. Names its versions and aliases. Says which interpreter runs it, and why it is not forked from a\n"
     "template where its settings would allow that.\n"
     "\n"
     "  --show-env        print them\n"
     "  --json            the daemon's reply as JSON\n",
     false, true},
    {"versions", "the versions of a function", "versions NAME [--json]",
     "Each deploy or change of settings makes a version with the next number; it never\n"
     "changes again. NAME calls $LATEST, the current one; NAME:3 calls version 3,\n"
     "NAME:prod whatever the alias prod names. Kept are the newest, those with an alias\n"
     "and those used in the last 24 hours (configuration: versions_kept,\n"
     "versions_max). USED is when the last request came.\n"
     "\n"
     "  --json            the daemon's reply as JSON\n",
     false, true},
    {"alias", "names for versions",
     "alias set NAME ALIAS VERSION [--also VERSION=SHARE]\n"
     "       faasd alias ls NAME [--json]\n"
     "       faasd alias rm NAME ALIAS",
     "An alias makes NAME:ALIAS call a version, which is kept as long as the alias\n"
     "names it. VERSION is a number, or '$LATEST'. Letters, digits, - and _, at most\n"
     "128, not digits alone.\n"
     "\n"
     "  faasd alias set api prod 3\n"
     "  faasd alias set api prod 3 --also 4=0.1   one request in ten goes to 4\n"
     "\n"
     "  --also V=SHARE    a second version and its share of the requests, 0 to 1\n"
     "  --json            the daemon's reply as JSON\n",
     false, true},
    {"rollback", "go back to an earlier version", "rollback NAME [VERSION] [options]",
     "Moves $LATEST to the version that was current before the current one was\n"
     "deployed, or to VERSION, code and settings both. It is tried like a deploy and\n"
     "serves when that went well. Aliases stay where they are.\n"
     "\n"
     "  --dry-run         say what would change, change nothing\n"
     "  --json            the daemon's reply as JSON\n",
     false, true},
    {"rm", "remove functions", "rm NAME...",
     "With all versions and aliases. Requests that run are finished first. There is\n"
     "no way back.\n"
     "\n",
     false, true},
    {"logs", "what a function wrote to stdout and stderr", "logs NAME [-f] [options]",
     "Prints time, request and message: of the lines that the options choose, the\n"
     "newest 4 MiB. Control characters are shown, never passed on. A line is on disk\n"
     "about 10 ms after it came; a gateway that is killed before takes it along.\n"
     "\n"
     "  -f, --follow      go on with new lines\n"
     "  -n, --lines N     the newest N lines\n"
     "  --id ID           of one request (X-Request-Id)\n"
     "  --since T         not before T: 10m, 2h, or 2026-11-21T09:00:00Z\n"
     "  --until T         not after T\n"
     "  --local           times in this machine's time zone\n"
     "  --json            one JSON object a line\n",
     false, true},
    {"check", "what this host offers to sandboxes", "check [--system-calls PROFILE] [--json]",
     "Prints every feature of the kernel that faasd uses, found or missing, and what\n"
     "is lost without it; for an ordinary user also how to get what is missing. The\n"
     "exit status is 1 when `faasd serve` would refuse.\n"
     "\n"
     "  --system-calls P  instead: the system call filter of profile P (default,\n"
     "                    strict, shell, template), each row with its reason, and how\n"
     "                    many calls it allows\n"
     "  --json            the same as one JSON object\n",
     false, false},
    {"stats", "counters of the daemon or of one function", "stats [NAME] [--json]",
     "Counted since the daemon's gateway started.\n"
     "\n"
     "  --json            the daemon's reply as JSON\n",
     false, true},
    {"backup", "all functions and what they need, as one file", "backup FILE [--with-key] [--json]",
     "Databases (functions, versions, queued calls) as of one moment each, and the\n"
     "code they name, as a tar archive; FILE.gz is compressed. Reads the state\n"
     "directory itself: as root, while faasd serves or not. Logs are left out.\n"
     "\n"
     "  --with-key        the keys too, without which secrets and tokens' signing\n"
     "                    keys can't be opened: keep the file as you keep them\n"
     "  --root DIR        of whose state\n"
     "  --json            what was written, as JSON\n",
     false, false},
    {"restore", "what backup wrote, into an empty state directory", "restore FILE [--json]",
     "Checks all of it (databases, each tree of code against its digest) before\n"
     "anything is put into place, and never writes over a state directory that\n"
     "holds something. Stop faasd first.\n"
     "\n"
     "  --root DIR        whose state directory to make\n"
     "  --json            what was restored, as JSON\n",
     false, false},
    {"secret", "values that functions read from /run/secrets",
     "secret set NAME [--file FILE] [--trim] [--key FINGERPRINT]\n"
     "       faasd secret ls [--json]\n"
     "       faasd secret rm NAME... [--force]",
     "`set` reads the value from stdin, without an echo where that is a terminal, and\n"
     "never from the command line. It is sealed here; only the daemon's privileged\n"
     "half can open it. Functions that name it (--secret NAME) find it in the file\n"
     "/run/secrets/NAME. Setting it again replaces their instances before the command\n"
     "ends, without a failed request. 64K each, 1M in all. `ls` never shows a value.\n"
     "\n"
     "  pass show db | faasd secret set db --trim\n"
     "  faasd deploy api ./api --secret db --secret api-tls=server.key\n"
     "\n"
     "  --file FILE       the value is this file's contents\n"
     "  --trim            without one newline at its end; otherwise every byte counts\n"
     "  --key FINGERPRINT seal for this key and no other (`faasd secret ls` shows it)\n"
     "  --force           remove it although functions name it: they can't start any\n"
     "                    more\n"
     "  --json            the daemon's reply as JSON\n",
     false, true},
    {"token", "who may reach the daemon from elsewhere: create, ls, rm",
     "token create --scope SCOPE... [options]\n       faasd token ls [--json]\n       faasd token rm ID...",
     "A token opens what control.sock does not: the control API over TCP, and functions\n"
     "whose auth asks for one. It is shown once. FAASD_TOKEN, or the file\n"
     "FAASD_TOKEN_FILE, is what this program shows to the daemon that --url names;\n"
     "the two keys are for AWS's own signatures (Signature Version 4).\n"
     "\n"
     "  --scope SCOPE     admin (everything), deploy (make and change functions),\n"
     "                    read (functions, logs, counters), invoke (every function),\n"
     "                    invoke:NAME (one function); repeatable\n"
     "  --name TEXT       what it is for\n"
     "  --expires TIME    30d, 12h: not good any more after this time\n"
     "  --export          print lines for the shell: eval \"$(faasd token create\n"
     "                    --scope deploy --export)\"\n"
     "  --json            print the daemon's reply as JSON\n",
     false, true},
    {"invocation", "what happened to invocations",
     "invocation ls [options] | show ID | replay ID | cancel|redrive ID...\n"
     "       faasd invocation redrive --function F [--status S]",
     "ls prints the newest first: what waits and runs, what is kept in memory (the\n"
     "newest 10,000, records.memory), then failed ones from the disk. show prints one\n"
     "with all that was measured. replay sends the event of a failed one again; events\n"
     "longer than records.event_bytes (16K) are not kept. cancel and redrive are for\n"
     "asynchronous calls: one that waits is not run any more, one that runs is not\n"
     "run again; one that failed, expired or was cancelled is queued again, its\n"
     "attempts and its age counted from now. redrive --function queues all of F that\n"
     "failed or expired, or have the status S.\n"
     "\n"
     "  --function F      of one function\n"
     "  --status S        queued, running, succeeded, failed, cancelled or expired;\n"
     "                    dead: asynchronous calls that failed, expired, were cancelled\n"
     "  --async           asynchronous calls only, as many as there are; --status may\n"
     "                    name several, with commas between\n"
     "  --since T         ended not before T: 10m, 2h, or 2026-11-21T09:00:00Z\n"
     "  -n, --lines N     at most N (default 20, most 1000)\n"
     "  --json            the daemon's reply as JSON\n",
     false, true},
    {"why", "why an invocation failed, and what to change", "why ID [--json]",
     "ID is what X-Request-Id says and what errors name as requestId. Names the limit,\n"
     "the signal or the error, and the option with a value to change; as root on the\n"
     "daemon's host also the system call that it was killed for, where the kernel's\n"
     "log has it.\n"
     "\n"
     "  --json            the whole record as JSON\n",
     false, true},
    {"learn", "which system calls a function makes", "learn NAME [--for T] [--stop] [--json]",
     "Replaces the function's instances by ones whose system calls are noted, waits\n"
     "while its real requests run, and writes what was seen as its list (system_calls),\n"
     "beside what stood there. Each call waits for faasd meanwhile, so it is slower.\n"
     "`faasd config NAME --seccomp learned` then allows it these and no more: a call\n"
     "that is denied answers EPERM, and errors and `faasd why` name it.\n"
     "\n"
     "  --for T           so long (default 10m, most 24h); Ctrl-C ends it before\n"
     "  --stop            ends now what another `faasd learn NAME` has begun\n"
     "  --json            what was written, as JSON\n",
     false, true},
    {"bill", "GB-seconds and requests by function and month", "bill [--month YYYY-MM] [options]",
     "A GB-second is a function's memory limit times its run time, in GB of 2^30\n"
     "bytes, not rounded. What min_warm keeps idle is on a line of its own.\n"
     "\n"
     "  --month M         2026-11 (UTC; default: this one), or `unset`: what was used\n"
     "                    while the clock was not set\n"
     "  --function F      one function\n"
     "  --price P         of a GB-second: 0.00001667\n"
     "  --request-price P of a million requests: 0.20\n"
     "  --free G          GB-seconds that are free\n"
     "  --free-requests N requests that are free\n"
     "  --json            the daemon's reply as JSON\n",
     false, true},
    {"version", "the version of this program", "version [--json]", "  --json            the same as one JSON object\n",
     false, false},
    {"help", "this overview, or one command's text", "help [COMMAND]", "", false, false},
};

enum { HELP_COUNT = sizeof(HELPS) / sizeof(HELPS[0]) };

static const struct help *find(const char *command)
{
    for (size_t i = 0; i < HELP_COUNT; i++)
        if (strcmp(HELPS[i].command, command) == 0)
            return &HELPS[i];
    return NULL;
}

const char *help_find_nearest(const char *command)
{
    const char *nearest = NULL;
    unsigned least = 3;
    for (size_t i = 0; i < HELP_COUNT; i++) {
        unsigned distance = str_distance(command, HELPS[i].command);
        if (distance < least && distance < strlen(HELPS[i].command)) {
            least = distance;
            nearest = HELPS[i].command;
        }
    }
    return nearest;
}

void help_print_overview(FILE *to)
{
    fputs("faasd runs functions on one Linux host, each in a sandbox of its own.\n"
          "\n"
          "  faasd serve                                   the daemon (as root)\n"
          "  faasd deploy hello ./hello                    a program becomes a function\n"
          "  curl -d '{\"name\":\"world\"}' localhost:8080/function/hello\n"
          "\n",
          to);
    for (size_t i = 0; i < HELP_COUNT; i++)
        fprintf(to, "  %-10s %s\n", HELPS[i].command, HELPS[i].summary);
    fputs("\n`faasd help COMMAND` says more; faasd(1) says all.\n"
          "Exit status: 0 done, 1 it failed, 2 usage, 3 no such function, 4 denied, 69 no daemon, 75 try again.\n",
          to);
}

static void print_settings(void)
{
    fputs("\nSettings (the same keys as in faasd.json):\n", stdout);
    for (unsigned i = 0; settings_key_name(i); i++) {
        char flag[40];
        snprintf(flag, sizeof(flag), "--%s", settings_key_name(i));
        for (char *p = flag; *p; p++)
            if (*p == '_')
                *p = '-';
        printf("  %-17s %s\n", flag, settings_key_help(i));
    }
    fputs("and, as options only:\n"
          "  --env K           an environment variable with the value that it has here\n"
          "  --env-file FILE   one NAME=VALUE a line\n"
          "  --unset-env K     remove a variable\n"
          "  --no-secrets      none of the secrets that it had\n",
          stdout);
}

bool help_print(const char *command)
{
    const struct help *h = find(command);
    if (!h)
        return false;
    printf("usage: faasd %s\n", h->usage);
    if (*h->text)
        printf("\n%s", h->text);
    if (h->client)
        fputs("  --url URL         unix:///path or http://host:8080; also FAASD_URL\n"
              "  --root DIR        the daemon that serves with --root DIR; also FAASD_ROOT\n",
              stdout);
    if (h->settings)
        print_settings();
    return true;
}

int cmd_help(int argc, char **argv)
{
    struct options o = {.command = "help", .operands_max = 1, .operands_text = "a COMMAND"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (o.operand_count == 0) {
        help_print_overview(stdout);
    } else if (!help_print(o.operands[0])) {
        const char *nearest = help_find_nearest(o.operands[0]);
        fprintf(stderr, "faasd help: there is no command '%s'%s%s%s\n", o.operands[0],
                nearest ? ", did you mean '" : "; see `faasd help`", nearest ? nearest : "", nearest ? "'?" : "");
        return CMD_USAGE;
    }
    return output_finish("help", CMD_OK);
}
