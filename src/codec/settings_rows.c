/* SPDX-License-Identifier: Apache-2.0 */
/* Part of codec/settings.h: the table of keys, and what their texts may be. */
#include "codec/settings_key.h"

#include <errno.h>
#include <string.h>

#define MIB    (UINT64_C(1) << 20)
#define TIB    (UINT64_C(1) << 40)
#define DAY_MS (UINT64_C(24) * 3600 * 1000)

static const struct scalar_choice CONTRACTS[] = {
    {"stdio", SETTINGS_CONTRACT_STDIO},
    {"cgi", SETTINGS_CONTRACT_CGI},
    {"files", SETTINGS_CONTRACT_FILES},
    {0},
};
static const struct scalar_choice ISOLATIONS[] = {
    {"reuse", SETTINGS_ISOLATION_REUSE},
    {"fork", SETTINGS_ISOLATION_FORK},
    {"sandbox", SETTINGS_ISOLATION_SANDBOX},
    {0},
};
static const struct scalar_choice TEMPLATES[] = {
    {"auto", SETTINGS_TEMPLATE_AUTO},
    {"on", SETTINGS_TEMPLATE_ON},
    {"off", SETTINGS_TEMPLATE_OFF},
    {0},
};
static const struct scalar_choice PAYLOADS[] = {{"raw", SETTINGS_PAYLOAD_RAW}, {"http", SETTINGS_PAYLOAD_HTTP}, {0}};
static const struct scalar_choice NETWORKS[] = {
    {"none", SETTINGS_NETWORK_NONE},
    {"egress", SETTINGS_NETWORK_EGRESS},
    {"host", SETTINGS_NETWORK_HOST},
    {0},
};
static const struct scalar_choice SECCOMPS[] = {
    {"default", SETTINGS_SECCOMP_DEFAULT},
    {"strict", SETTINGS_SECCOMP_STRICT},
    {"learned", SETTINGS_SECCOMP_LEARNED},
    {"learning", SETTINGS_SECCOMP_LEARNING},
    {0},
};
static const struct scalar_choice AUTHS[] = {
    {"default", SETTINGS_AUTH_DEFAULT},
    {"anonymous", SETTINGS_AUTH_ANONYMOUS},
    {"token", SETTINGS_AUTH_TOKEN},
    {"admin", SETTINGS_AUTH_ADMIN},
    {0},
};

/* "json,boto3,xml.etree": what `import` takes, in this order. */
static int check_imports(const char *text, struct err *e)
{
    bool more = *text;
    for (struct str rest = str_from(text); more;) {
        struct str name = str_cut(rest, ',', &rest, &more);
        bool good = name.n > 0, starts = true;
        for (size_t i = 0; good && i < name.n; i++) {
            char c = name.p[i];
            bool digit = c >= '0' && c <= '9';
            bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
            good = letter || (!starts && (digit || c == '.'));
            starts = c == '.';
        }
        if (!good || starts)
            return err_say(e, EINVAL, "'%.*s' is not a module's name: write json,xml.etree without spaces",
                           (int)(name.n < 64 ? name.n : 64), name.p ? name.p : "");
    }
    return 0;
}

static int check_venv(const char *text, struct err *e)
{
    return *text ? settings_check_path(text, e) : 0;
}

/* A function that is told how a call ended; it need not exist yet. */
static int check_destination(const char *text, struct err *e)
{
    if (!*text || settings_target_is_valid(str_from(text)))
        return 0;
    return err_say(e, EINVAL, "'%.*s' is not a function's NAME or NAME:QUALIFIER", SETTINGS_NAME_MAX, text);
}

static int check_content_type(const char *text, struct err *e)
{
    const char *slash = strchr(text, '/');
    for (const char *p = text; *p; p++)
        if (*p < ' ' || *p > '~')
            return err_say(e, EINVAL, "only printable ASCII is allowed");
    if (!slash || slash == text || !slash[1])
        return err_say(e, EINVAL, "'%s' is not a media type such as text/plain", text);
    return 0;
}

/* "0-1,3": numbers and ascending ranges, as cpuset(7) writes lists. */
static int check_cpuset(const char *text, struct err *e)
{
    for (struct str rest = str_from(text); rest.n;) {
        bool more, range;
        struct str last;
        struct str part = str_cut(rest, ',', &rest, &more);
        struct str first = str_cut(part, '-', &last, &range);
        uint64_t low, high;
        if (!str_to_u64(first, &low) || (range && !str_to_u64(last, &high)))
            return err_say(e, EINVAL, "'%s' is not a list of CPUs such as 0-1,3", text);
        if (low > 4095 || (range && (high > 4095 || high < low)) || (more && !rest.n))
            return err_say(e, EINVAL, "'%s' is not a list of CPUs such as 0-1,3", text);
    }
    return 0;
}

#define FIELD(name_) .name = #name_
#define ENUM_ROW(name_, list_, help_)                                                                                  \
    {                                                                                                                  \
        {FIELD(name_), .kind = SCALAR_ENUM, .offset = offsetof(struct settings, name_), .choices = list_},             \
            SETTINGS_SCALAR, help_                                                                                     \
    }
#define TEXT_ROW(name_, check_, help_)                                                                                 \
    {                                                                                                                  \
        {FIELD(name_), .kind = SCALAR_TEXT, .offset = offsetof(struct settings, name_),                                \
         .max = sizeof(((struct settings *)0)->name_), .check = check_},                                               \
            SETTINGS_SCALAR, help_                                                                                     \
    }
#define NUMBER_ROW(name_, kind_, member_, min_, max_, help_)                                                           \
    {                                                                                                                  \
        {FIELD(name_), .kind = kind_, .offset = offsetof(struct settings, member_), .min = min_, .max = max_},         \
            SETTINGS_SCALAR, help_                                                                                     \
    }
#define SHAPE_ROW(name_, shape_, help_)                                                                                \
    {                                                                                                                  \
        {FIELD(name_)}, shape_, help_                                                                                  \
    }

const struct settings_row settings_rows[SETTINGS_KEY_COUNT] = {
    [SETTINGS_KEY_RUNTIME] = SHAPE_ROW(runtime, SETTINGS_RUNTIME_SHAPE,
                                       "exec (default), native, python, python3.N, node, nodejsN.x or provided"),
    [SETTINGS_KEY_HANDLER] =
        TEXT_ROW(handler, NULL, "exec, native: the file to run; python: app.handler; node: index.handler"),
    [SETTINGS_KEY_CONTRACT] =
        ENUM_ROW(contract, CONTRACTS, "exec: stdio (default; stdin to stdout), cgi (RFC 3875), files ($req, $res)"),
    [SETTINGS_KEY_PAYLOAD] = ENUM_ROW(
        payload, PAYLOADS,
        "raw (default): the request's body is the event; http: event and reply are those of Lambda's Function URLs"),
    [SETTINGS_KEY_CONTENT_TYPE] =
        TEXT_ROW(content_type, check_content_type, "of stdio replies; default application/octet-stream"),
    [SETTINGS_KEY_STREAM] =
        NUMBER_ROW(stream, SCALAR_BOOL, stream, 0, 1, "replies of /function/NAME go on as they come, not whole"),
    [SETTINGS_KEY_MEMORY] =
        NUMBER_ROW(memory, SCALAR_SIZE, memory_bytes, 4 * MIB, TIB, "limit of one instance, /tmp included: 128M"),
    [SETTINGS_KEY_TIMEOUT] = NUMBER_ROW(timeout, SCALAR_TIME, timeout_ms, 0, 7 * DAY_MS,
                                        "limit of one request: 30s; 0 (none) needs a grant"),
    [SETTINGS_KEY_TMP] = NUMBER_ROW(tmp, SCALAR_SIZE, tmp_bytes, 65536, TIB, "size of /tmp, in memory: 64M"),
    [SETTINGS_KEY_TMP_EXEC] =
        NUMBER_ROW(tmp_exec, SCALAR_BOOL, tmp_exec, 0, 1, "programs in /tmp may be executed; provided: yes"),
    [SETTINGS_KEY_ENV] = SHAPE_ROW(env, SETTINGS_ENV, "K=V: an environment variable; repeatable"),
    [SETTINGS_KEY_CPUS] = NUMBER_ROW(cpus, SCALAR_MILLI, cpus_milli, 10, 1024000, "CPU time per second: 0.5, 2"),
    [SETTINGS_KEY_CPU_WEIGHT] =
        NUMBER_ROW(cpu_weight, SCALAR_COUNT, cpu_weight, 1, 10000, "share when CPUs are short: 100"),
    [SETTINGS_KEY_CPUSET] = TEXT_ROW(cpuset, check_cpuset, "only on these CPUs: 0-1,3; needs a grant"),
    [SETTINGS_KEY_PIDS] =
        NUMBER_ROW(pids, SCALAR_COUNT, pids, 2, 32768, "processes and threads: 64; node, provided: 512"),
    [SETTINGS_KEY_ISOLATION] =
        ENUM_ROW(isolation, ISOLATIONS, "reuse (default), fork or sandbox: what each request gets a fresh one of"),
    [SETTINGS_KEY_TEMPLATE] =
        ENUM_ROW(template, TEMPLATES, "auto (default), on, off: python, native: fork instances from a started one"),
    [SETTINGS_KEY_IMPORTS] = TEXT_ROW(imports, check_imports, "python: json,boto3: loaded before your module"),
    [SETTINGS_KEY_VENV] = TEXT_ROW(venv, check_venv, "python: a virtual environment within PATH: .venv"),
    [SETTINGS_KEY_MIN_WARM] = NUMBER_ROW(min_warm, SCALAR_COUNT, min_warm, 0, 1000, "instances kept ready: 0"),
    [SETTINGS_KEY_MAX_CONCURRENCY] =
        NUMBER_ROW(max_concurrency, SCALAR_COUNT, max_concurrency, 1, 1000, "instances at most: twice the cores"),
    [SETTINGS_KEY_RESERVED] =
        NUMBER_ROW(reserved, SCALAR_COUNT, reserved, 0, 1000, "instances whose memory no other function may take: 0"),
    [SETTINGS_KEY_KEEP_WARM] =
        NUMBER_ROW(keep_warm, SCALAR_TIME, keep_warm_ms, 0, 365 * DAY_MS, "an idle instance lives this long: 10m"),
    [SETTINGS_KEY_QUEUE] = NUMBER_ROW(queue, SCALAR_COUNT, queue, 0, 100000, "requests that may wait: 100"),
    [SETTINGS_KEY_ASYNC_RETRIES] = NUMBER_ROW(async_retries, SCALAR_COUNT, async_retries, 0, 1000,
                                              "more attempts at an asynchronous call that failed: 2"),
    [SETTINGS_KEY_ASYNC_BACKOFF] = NUMBER_ROW(async_backoff, SCALAR_TIME, async_backoff_ms, 0, DAY_MS,
                                              "pause before the first of them, then doubled: 1m"),
    [SETTINGS_KEY_ASYNC_MAX_AGE] = NUMBER_ROW(async_max_age, SCALAR_TIME, async_max_age_ms, 1, 365 * DAY_MS,
                                              "an asynchronous call is not tried any more after: 6h"),
    [SETTINGS_KEY_ASYNC_CONCURRENCY] = NUMBER_ROW(async_concurrency, SCALAR_COUNT, async_concurrency, 0, 1000,
                                                  "asynchronous calls at once: 0 (max_concurrency)"),
    [SETTINGS_KEY_ON_SUCCESS] =
        TEXT_ROW(on_success, check_destination, "function that is told of asynchronous calls that succeeded"),
    [SETTINGS_KEY_ON_FAILURE] =
        TEXT_ROW(on_failure, check_destination, "function that is told of those that failed for good"),
    [SETTINGS_KEY_DEAD_LETTER] = TEXT_ROW(dead_letter, check_destination, "function that gets their events"),
    [SETTINGS_KEY_NETWORK] = ENUM_ROW(network, NETWORKS, "none (default), egress or host, which need a grant"),
    [SETTINGS_KEY_ALLOW_HOST] =
        SHAPE_ROW(allow_host, SETTINGS_ALLOW, "HOST:PORT: with network egress only there; repeatable"),
    [SETTINGS_KEY_MOUNT] =
        SHAPE_ROW(mount, SETTINGS_MOUNTS, "SRC:DST[:rw]: a host directory or file; repeatable; needs a grant"),
    [SETTINGS_KEY_DEVICE] = SHAPE_ROW(device, SETTINGS_DEVICES, "/dev/X: a host device; repeatable; needs a grant"),
    [SETTINGS_KEY_SECRET] =
        SHAPE_ROW(secret, SETTINGS_SECRETS, "NAME[=FILE]: a secret, as /run/secrets/FILE; repeatable"),
    [SETTINGS_KEY_SECCOMP] = ENUM_ROW(
        seccomp, SECCOMPS, "default; strict: native, 45 system calls; learned: system_calls; learning: record"),
    [SETTINGS_KEY_SYSTEM_CALLS] =
        SHAPE_ROW(system_calls, SETTINGS_CALLS, "read,openat: what seccomp learned allows; `faasd learn` writes it"),
    [SETTINGS_KEY_AUTH] = ENUM_ROW(auth, AUTHS, "who may invoke: default, anonymous, token or admin"),
    [SETTINGS_KEY_CORS] =
        TEXT_ROW(cors, settings_check_cors, "web pages that may call it: https://app.example.org,... or *"),
    [SETTINGS_KEY_DESCRIPTION] = TEXT_ROW(description, NULL, "a line for people"),
};
