/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `faasd run`: the same daemon, sandbox and pool as `faasd serve`, private to one run. Deploys, calls once, prints,
 * and takes everything down.
 */
#include "base/fdio.h"
#include "base/fmt.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/guess.h"
#include "cmd/invoke.h"
#include "cmd/log_lines.h"
#include "cmd/output.h"
#include "cmd/private.h"
#include "cmd/run_command.h"
#include "cmd/run_plan.h"
#include "cmd/settings_flags.h"
#include "cmd/upload.h"
#include "supervisor/rootless.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct run {
    struct settings_flags flags;
    struct supervisor_paths paths;
    const char *root;
    const char *data;
    const char *name;
    const char *path; /* what to deploy; NULL: `command` */
    struct run_command command;
    bool no_overlap;
    bool plan;
    bool allow_degraded;
    char log_dir[CONFIG_PATH_MAX];
};

static const char *function_name(const struct run *r)
{
    return r->name ? r->name : "run";
}

/* `mkdir -p`: each level is made where it is missing. */
static int make_directories(const char *path, struct err *e)
{
    char part[CONFIG_PATH_MAX];
    for (const char *at = path; at; at = strchr(at + 1, '/')) {
        if (at == path)
            continue;
        if (!str_copy((struct str){.p = path, .n = (size_t)(at - path)}, part, sizeof(part)))
            return err_say(e, ENAMETOOLONG, "'%s' is too long", path);
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return err_set(e, errno, "make directory '%s'", part);
    }
    return mkdir(path, 0755) < 0 && errno != EEXIST ? err_set(e, errno, "make directory '%s'", path) : 0;
}

/* The lock lives as long as the descriptor. The file stays: removing it would let a waiting run and a new one hold
 * two locks of one name. -EWOULDBLOCK when held. */
static int lock(const struct run *r, int *ret_fd, struct err *e)
{
    char path[CONFIG_PATH_MAX + SETTINGS_NAME_MAX + 16];
    int status = make_directories(r->paths.run, e);
    if (status < 0)
        return status;
    fmt_to(path, sizeof(path), "%s/run-%s.lock", r->paths.run, r->name);
    scoped_fd fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(e, errno, "open '%s'", path);
    int locked = fd_lock(fd);
    if (locked == -EWOULDBLOCK)
        return err_say(e, EWOULDBLOCK, "another run of '%s' is under way", r->name);
    if (locked < 0)
        return err_set(e, -locked, "lock '%s'", path);
    *ret_fd = fd_take(&fd);
    return 0;
}

static int guess(struct run *r, struct err *e)
{
    struct guess g;
    if (settings_flags_has(&r->flags, SETTINGS_KEY_RUNTIME) || settings_flags_has(&r->flags, SETTINGS_KEY_CONTRACT))
        return 0;
    guess_runtime(r->path, r->flags.settings.handler, &g);
    return guess_apply(&g, "run", &r->flags, e);
}

static int open_upload(struct run *r, struct upload *u, struct err *e)
{
    if (r->path) {
        int status = guess(r, e);
        const struct upload_source source = {.command = "run",
                                             .path = r->path,
                                             .handler = r->flags.settings.handler,
                                             .runtime = r->flags.settings.runtime,
                                             .contract = r->flags.settings.contract};
        status = status < 0 ? status : upload_open(u, &source, e);
        if (status == 0 && u->native && !settings_flags_has(&r->flags, SETTINGS_KEY_RUNTIME))
            status = settings_set_text(&r->flags.settings, "runtime", STR_LITERAL("native"), e);
        return status;
    }
    const struct upload_command command = {
        .argv = r->command.argv,
        .program = r->command.program,
        .local = r->command.local,
        .mark = r->command.mark,
    };
    int status = settings_set_text(&r->flags.settings, "handler", STR_LITERAL(RUN_WRAPPER), e);
    if (status == 0)
        status = settings_set_text(&r->flags.settings, "stream", STR_LITERAL("true"), e);
    return status < 0 ? status : upload_open_command(u, &command, e);
}

/* An exit status, or -errno with a message. */
static int put_function(const struct run *r, const char *socket, const struct upload *u, struct err *e)
{
    struct buf settings;
    struct client *c = NULL;
    const struct http1_response *reply;
    int status;
    buf_init(&settings, 0);
    int result = settings_flags_print_json(&r->flags, &settings, e);
    if (result == 0)
        result = buf_add(&settings, "", 1);
    if (result == 0)
        result = client_open_socket(&c, socket, &status, e);
    const struct upload_put put = {.name = function_name(r), .settings = settings.data};
    if (result == 0)
        result = upload_send(c, u, &put, &reply, e);
    if (result == 0 && reply->status >= 400)
        result = client_refused("run", c, reply);
    client_close(c);
    buf_fini(&settings);
    return result;
}

/* One call: its reply, and its log, which is read over a connection of its own. */
struct call {
    const struct run *run;
    const char *socket;
    struct client *c;
    const struct http1_response *reply;
    char id[INVOKE_ID_MAX];
    struct log_shown shown;
};

/* Before the output: when both go to a terminal, the reason for a failure comes last. */
static int show_log(struct call *call, struct err *e)
{
    struct client *log = NULL;
    int status;
    if (!*call->id)
        return 0;
    int result = client_open_socket(&log, call->socket, &status, e);
    const struct log_request ask = {.function = function_name(call->run), .id = call->id, .shown = &call->shown};
    if (result == 0)
        result = log_lines_of_request(log, &ask, e);
    client_close(log);
    return result;
}

/* What the log's verdict says beyond the status: "; 3 forks or threads were refused at the limit 'pids' (8)". */
static struct str limits_of(struct str verdict)
{
    struct str limits;
    bool found;
    str_cut(verdict, ';', &limits, &found);
    return found ? (struct str){limits.p - 1, limits.n + 1} : (struct str){0};
}

/* `code`: of the command; NULL when its wrapper did not come to tell it. */
static int judge_command(const struct call *call, const int *code, const struct err *cut)
{
    struct str type = {0}, verdict = {0};
    char how[64];
    bool judged = log_shown_verdict(&call->shown, &type, &verdict);
    if (code && *code == 0 && !judged)
        return CMD_OK;
    fputs("faasd run: ", stderr);
    if (code && (!judged || str_is(type, "FunctionError"))) {
        run_command_describe(*code, how, sizeof(how));
        fprintf(stderr, "the command %s", how);
        output_text(stderr, limits_of(verdict), false);
    } else if (judged) {
        output_text(stderr, verdict, false);
        fprintf(stderr, " (%.*s)", (int)type.n, type.p);
    } else {
        fputs(cut->code ? cut->text : "the command ended without a status", stderr);
    }
    fputc('\n', stderr);
    return CMD_FAILED;
}

/* The command's own output, and how it ended. The wrapper fails as the command did, so that the daemon judges it as it judges every program; the output
 * comes as a stream, which a failure cuts after the last byte. */
static int deliver_command(struct call *call, struct err *e)
{
    struct buf body;
    struct err cut = {0};
    int code = 0;
    buf_init(&body, 0);
    client_read_all(call->c, &body, &cut);
    struct str output = buf_str(&body);
    bool known = run_command_read_status(&call->run->command, &output, &code);
    int result = show_log(call, e); /* now that it has ended */
    if (result == 0 && fd_write_full(STDOUT_FILENO, output.p, output.n) < 0)
        result = err_set(e, errno, "write the output");
    buf_fini(&body);
    return result < 0 ? result : judge_command(call, known ? &code : NULL, &cut);
}

static int deliver(struct call *call, struct err *e)
{
    unsigned status = call->reply->status;
    bool failed = invoke_failed_in_faasd(call->reply);
    if (!call->run->path && !failed)
        return deliver_command(call, e);
    int result = show_log(call, e);
    if (result < 0)
        return result;
    if (failed)
        return client_refused_below("run", call->c, call->reply, &call->shown);
    result = invoke_copy_body(call->c, STDOUT_FILENO, e);
    if (result < 0 || status < 400)
        return result;
    fprintf(stderr, "faasd run: the function answered %u %s\n", status, http1_reason((int)status));
    return CMD_FAILED;
}

static int call_function(const struct run *r, const char *socket, const struct event *event, struct err *e)
{
    struct call call = {.run = r, .socket = socket};
    int status;
    const struct invoke in = {.name = function_name(r), .event = *event};
    log_shown_init(&call.shown);
    int result = client_open_socket(&call.c, socket, &status, e);
    if (result == 0)
        result = invoke_send(call.c, &in, &call.reply, e);
    if (result == 0) {
        invoke_keep_id(call.reply, call.id);
        result = deliver(&call, e);
    }
    client_close(call.c);
    log_shown_fini(&call.shown);
    return result;
}

static int run_in_daemon(struct run *r, const struct upload *u, const struct event *event, struct err *e)
{
    struct private_daemon d;
    const struct private_options options = {
        .config_path = r->paths.config,
        .log_dir = r->name ? r->log_dir : NULL,
        .allow_degraded = r->allow_degraded,
    };
    int result = private_start(&d, &options, e);
    if (result < 0)
        return result;
    result = put_function(r, d.socket, u, e);
    if (result == CMD_OK)
        result = call_function(r, d.socket, event, e);
    private_stop(&d);
    return result;
}

static int prepare(struct run *r, int *ret_lock, struct err *e)
{
    if (r->name) {
        if (fmt_to(r->log_dir, sizeof(r->log_dir), "%s/run-logs/%s", r->paths.state, r->name) + 1 >= sizeof(r->log_dir))
            return err_say(e, ENAMETOOLONG, "'%s' is too long", r->paths.state);
        int status = make_directories(r->log_dir, e);
        if (status < 0)
            return status;
    }
    return r->no_overlap ? lock(r, ret_lock, e) : 0;
}

static int run(struct run *r, struct err *e)
{
    struct upload u = {.fd = -1};
    struct event event = {.fd = -1};
    scoped_fd lock_fd = -1;
    int result = prepare(r, &lock_fd, e);
    if (result == 0)
        result = event_open(&event, r->data, r->path ? "{}" : "", e);
    if (result == 0)
        result = open_upload(r, &u, e);
    if (result == 0)
        result = run_in_daemon(r, &u, &event, e);
    upload_close(&u);
    event_close(&event);
    return result;
}

/* What a run would refuse is refused, what it would guess is guessed. */
static int plan(struct run *r, struct err *e)
{
    struct upload u = {.fd = -1};
    int result = open_upload(r, &u, e);
    upload_close(&u);
    return result < 0 ? result : run_plan_print(&r->flags, &r->paths, r->path);
}

/* What a signal broke off ends as that signal would have ended it. */
static int finish(int result, const struct err *e)
{
    if (private_signal()) {
        signal(private_signal(), SIG_DFL);
        raise(private_signal());
    }
    if (result < 0)
        fprintf(stderr, "faasd run: %s\n", e->text);
    if (result == -EWOULDBLOCK)
        return CMD_TRY_AGAIN;
    return result < 0 ? CMD_FAILED : result;
}

static int read_operands(struct run *r, const struct options *o, struct err *e)
{
    if (o->after_dashes > 0)
        return err_say(e, EINVAL, "'%s' before --: either a PATH or -- and a command", o->operands[0]);
    if (o->after_dashes < 0 && o->operand_count > 1)
        return err_say(e, EINVAL, "'%s' is one word too many; for a command with arguments write: faasd run -- %s ...",
                       o->operands[1], o->operands[0]);
    if (r->name && !settings_name_is_valid(str_from(r->name)))
        return err_say(e, EINVAL, "--name '%s': letters, digits, - and _, at most 64", r->name);
    if (r->no_overlap && !r->name)
        return err_say(e, EINVAL, "--no-overlap needs --name");
    if (o->after_dashes == 0)
        return run_command_find(&r->command, o->operands, e); /* argv ends with a NULL */
    r->path = o->operands[0];
    return 0;
}

static int start(struct run *r, const struct options *o)
{
    struct err e = {0};
    if (read_operands(r, o, &e) < 0)
        return options_refuse("run", "%s", e.text);
    if (supervisor_find_paths(r->root, &r->paths, &e) < 0)
        return options_refuse("run", "%s", e.text);
    if (r->plan)
        return finish(plan(r, &e), &e);
    if (rootless_enter_private(&r->paths, &e) < 0)
        return finish(-e.code, &e);
    return finish(run(r, &e), &e);
}

int cmd_run(int argc, char **argv)
{
    struct run r = {0};
    if (settings_flags_init(&r.flags) < 0)
        return CMD_FAILED;
    const struct option table[] = {
        {.name = "data", .letter = 'd', .kind = OPTION_TEXT, .target = &r.data},
        {.name = "name", .kind = OPTION_TEXT, .target = &r.name},
        {.name = "no-overlap", .kind = OPTION_BOOL, .target = &r.no_overlap},
        {.name = "plan", .kind = OPTION_BOOL, .target = &r.plan},
        {.name = "root", .kind = OPTION_TEXT, .target = &r.root},
        {.name = "allow-degraded", .kind = OPTION_BOOL, .target = &r.allow_degraded},
        {0},
    };
    struct options o = {.command = "run",
                        .tables = {table, r.flags.table},
                        .operands_min = 1,
                        .operands_max = -1,
                        .operands_text = "a PATH, or -- and a command"};
    int status = options_parse(&o, argc, argv);
    if (status == OPTIONS_GO_ON)
        status = start(&r, &o);
    settings_flags_fini(&r.flags);
    return status;
}
