/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/settings.h"

#include "codec/json.h"
#include "codec/settings_key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIB    (UINT64_C(1) << 20)
#define TIB    (UINT64_C(1) << 40)
#define DAY_MS (UINT64_C(24) * 3600 * 1000)

/* pids where threads come with the runtime: libuv's and V8's, or whatever a bootstrap starts. */
enum { PIDS_MANY = 512 };

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
    {"host", SETTINGS_NETWORK_HOST},
    {"egress", -1},
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

/* Keys of CONTRACT 1 that a later release brings. */
static const char *const NOT_BUILT[] = {"rootfs", "env_file", "instance_concurrency"};

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
    [SETTINGS_KEY_NETWORK] = ENUM_ROW(network, NETWORKS, "none (default), or host, which needs a grant"),
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

const char *settings_key_name(unsigned index)
{
    return index < SETTINGS_KEY_COUNT ? settings_rows[index].scalar.name : NULL;
}

const char *settings_key_help(unsigned index)
{
    return index < SETTINGS_KEY_COUNT ? settings_rows[index].help : NULL;
}

bool settings_key_is_boolean(unsigned index)
{
    return index < SETTINGS_KEY_COUNT && settings_rows[index].shape == SETTINGS_SCALAR &&
           settings_rows[index].scalar.kind == SCALAR_BOOL;
}

bool settings_name_is_valid(struct str name)
{
    if (name.n == 0 || name.n >= SETTINGS_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return true;
}

bool settings_target_is_valid(struct str text)
{
    bool qualified;
    struct str qualifier;
    struct str name = str_cut(text, ':', &qualifier, &qualified);
    return settings_name_is_valid(name) &&
           (!qualified || str_is(qualifier, "$LATEST") || settings_name_is_valid(qualifier));
}

void settings_init(struct settings *s, const struct settings_defaults *d)
{
    *s = (struct settings){
        .content_type = "application/octet-stream",
        .memory_bytes = d->memory_bytes,
        .tmp_bytes = d->tmp_bytes,
        .timeout_ms = d->timeout_ms,
        .keep_warm_ms = d->keep_warm_ms,
        .cpus_milli = d->cpus_milli,
        .cpu_weight = d->cpu_weight,
        .pids = d->pids,
        .min_warm = d->min_warm,
        .max_concurrency = d->max_concurrency,
        .queue = d->queue,
        .async_retries = d->async_retries,
        .async_backoff_ms = d->async_backoff_ms,
        .async_max_age_ms = d->async_max_age_ms,
        .tmp_exec = d->tmp_exec,
    };
}

void settings_fini(struct settings *s)
{
    settings_drop_env(s);
    settings_drop_mounts(s);
    settings_drop_secrets(s);
    settings_drop_calls(s);
}

/* NULL for an empty one, and when memory is out. */
static void *copy_block(const void *from, size_t n)
{
    void *to = n ? malloc(n) : NULL;
    return to ? memcpy(to, from, n) : NULL;
}

int settings_copy(struct settings *to, const struct settings *from)
{
    *to = *from;
    to->env = copy_block(from->env, from->env_bytes);
    to->mounts = copy_block(from->mounts, from->mount_count * sizeof(from->mounts[0]));
    to->secrets = copy_block(from->secrets, from->secrets_bytes);
    to->calls = copy_block(from->calls, from->calls_bytes);
    if (!to->env == !from->env_bytes && !to->mounts == !from->mount_count && !to->secrets == !from->secrets_bytes &&
        !to->calls == !from->calls_bytes)
        return 0;
    settings_fini(to);
    return -ENOMEM;
}

static int find_key(const char *name, struct err *e)
{
    for (int i = 0; i < SETTINGS_KEY_COUNT; i++)
        if (!strcmp(name, settings_rows[i].scalar.name))
            return i;
    for (size_t i = 0; i < sizeof(NOT_BUILT) / sizeof(NOT_BUILT[0]); i++)
        if (!strcmp(name, NOT_BUILT[i]))
            return err_say(e, EINVAL, "'%s' is not built yet", name);
    const char *nearest = scalar_find_nearest(name, settings_key_name);
    if (nearest)
        return err_say(e, EINVAL, "unknown key '%.*s', did you mean '%s'?", SETTINGS_NAME_MAX, name, nearest);
    return err_say(e, EINVAL, "unknown key '%.*s'", SETTINGS_NAME_MAX, name);
}

static void return_to_default(struct settings *s, const struct settings_defaults *d, int key)
{
    struct settings fresh;
    settings_init(&fresh, d);
    s->given &= ~SETTINGS_BIT(key);
    switch (settings_rows[key].shape) {
    case SETTINGS_SCALAR:
        scalar_copy(&settings_rows[key].scalar, s, &fresh);
        break;
    case SETTINGS_RUNTIME_SHAPE:
        s->runtime = fresh.runtime;
        memset(s->runtime_name, 0, sizeof(s->runtime_name));
        break;
    case SETTINGS_ENV:
        settings_drop_env(s);
        break;
    case SETTINGS_MOUNTS:
        settings_drop_mounts(s);
        break;
    case SETTINGS_DEVICES:
        s->device_count = 0;
        break;
    case SETTINGS_SECRETS:
        settings_drop_secrets(s);
        break;
    case SETTINGS_CALLS:
        settings_drop_calls(s);
        break;
    }
}

static void note_given(struct settings *s, int key, bool is_given)
{
    if (is_given)
        s->given |= SETTINGS_BIT(key);
    else
        s->given &= ~SETTINGS_BIT(key);
}

static int read_env(struct settings *s, const struct json *value, struct err *e)
{
    if (!json_is_object(value))
        return err_say(e, EINVAL, "an object of strings was expected, not %s", json_type_name(value));
    JSON_EACH(value, at)
    {
        const char *text = json_text(at);
        if (!text && !json_is_null(at))
            return err_say(e, EINVAL, "'%.*s' is %s, not a string", SETTINGS_NAME_MAX, json_key(at),
                           json_type_name(at));
        int r = settings_env_change(s, str_from(json_key(at)), str_from(text), e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_list(struct settings *s, const struct json *value,
                     int (*add)(struct settings *s, struct str text, struct err *e), struct err *e)
{
    if (!json_is_array(value))
        return err_say(e, EINVAL, "an array of strings was expected, not %s", json_type_name(value));
    JSON_EACH(value, at)
    {
        if (!json_text(at))
            return err_say(e, EINVAL, "an array of strings was expected, with %s in it", json_type_name(at));
        int r = add(s, str_from(json_text(at)), e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_runtime(struct settings *s, const struct json *value, struct err *e)
{
    if (!json_text(value))
        return err_say(e, EINVAL, "a string was expected, not %s", json_type_name(value));
    return settings_set_runtime(s, str_from(json_text(value)), e);
}

static int read_key(struct settings *s, int key, const struct json *value, struct err *e)
{
    int r = 0;
    switch (settings_rows[key].shape) {
    case SETTINGS_SCALAR:
        r = scalar_read_json(&settings_rows[key].scalar, s, value, e);
        note_given(s, key, true);
        break;
    case SETTINGS_RUNTIME_SHAPE:
        r = read_runtime(s, value, e);
        note_given(s, key, true);
        break;
    case SETTINGS_ENV:
        r = read_env(s, value, e);
        note_given(s, key, s->env_bytes > 0);
        break;
    case SETTINGS_MOUNTS:
        settings_drop_mounts(s);
        r = read_list(s, value, settings_add_mount, e);
        note_given(s, key, s->mount_count > 0);
        break;
    case SETTINGS_DEVICES:
        s->device_count = 0;
        r = read_list(s, value, settings_add_device, e);
        note_given(s, key, s->device_count > 0);
        break;
    case SETTINGS_SECRETS:
        settings_drop_secrets(s);
        r = read_list(s, value, settings_add_secret, e);
        note_given(s, key, s->secrets_bytes > 0);
        break;
    case SETTINGS_CALLS:
        settings_drop_calls(s);
        r = read_list(s, value, settings_add_calls, e);
        note_given(s, key, s->calls_bytes > 0);
        break;
    }
    return r < 0 ? err_wrap(e, "%s", settings_rows[key].scalar.name) : 0;
}

static int read_member(struct settings *s, const struct settings_defaults *d, const struct json *at, struct err *e)
{
    if (!strcmp(json_key(at), "$schema"))
        return json_text(at) ? 0 : err_say(e, EINVAL, "$schema: a string was expected, not %s", json_type_name(at));
    int key = find_key(json_key(at), e);
    if (key < 0)
        return key;
    if (!json_is_null(at))
        return read_key(s, key, at, e);
    return_to_default(s, d, key);
    return 0;
}

/* CONTRACT 5. A larger default of the configuration stays. */
static void settle_defaults(struct settings *s, const struct settings_defaults *d)
{
    bool many = s->runtime == SETTINGS_RUNTIME_NODE || s->runtime == SETTINGS_RUNTIME_PROVIDED;
    if (!(s->given & SETTINGS_BIT(SETTINGS_KEY_PIDS)))
        s->pids = many && d->pids < PIDS_MANY ? PIDS_MANY : d->pids;
    if (!(s->given & SETTINGS_BIT(SETTINGS_KEY_TMP_EXEC)))
        s->tmp_exec = d->tmp_exec || s->runtime == SETTINGS_RUNTIME_PROVIDED;
}

int settings_read_json(struct settings *s, const struct settings_defaults *d, struct str json, struct err *e)
{
    struct json_doc *doc = NULL;
    int r = json_parse(json, JSON_COMMENTS, &doc, e);
    if (r < 0)
        return r;
    const struct json *root = json_root(doc);
    if (!json_is_object(root))
        r = err_say(e, EINVAL, "settings are an object, not %s", json_type_name(root));
    JSON_EACH(root, at)
    {
        if (r < 0)
            break;
        r = read_member(s, d, at, e);
        if (r < 0)
            err_wrap(e, "line %u", json_line(doc, at));
    }
    json_free(doc);
    if (r == 0)
        settle_defaults(s, d);
    return r;
}

static int set_env_text(struct settings *s, struct str text, struct err *e)
{
    bool has_value;
    struct str value;
    struct str name = str_cut(text, '=', &value, &has_value);
    if (!has_value)
        return err_say(e, EINVAL, "'%.*s' is not NAME=VALUE", (int)text.n, text.p);
    if (!value.p)
        value = STR_LITERAL("");
    return settings_env_change(s, name, value, e);
}

int settings_set_text(struct settings *s, const char *key_name, struct str value, struct err *e)
{
    int key = find_key(key_name, e);
    if (key < 0)
        return key;
    int r = 0;
    switch (settings_rows[key].shape) {
    case SETTINGS_SCALAR:
        r = scalar_read_text(&settings_rows[key].scalar, s, value, e);
        break;
    case SETTINGS_RUNTIME_SHAPE:
        r = settings_set_runtime(s, value, e);
        break;
    case SETTINGS_ENV:
        r = set_env_text(s, value, e);
        break;
    case SETTINGS_MOUNTS:
        r = settings_add_mount(s, value, e);
        break;
    case SETTINGS_DEVICES:
        r = settings_add_device(s, value, e);
        break;
    case SETTINGS_SECRETS:
        r = settings_add_secret(s, value, e);
        break;
    case SETTINGS_CALLS:
        r = settings_add_calls(s, value, e);
        break;
    }
    if (r < 0)
        return err_wrap(e, "%s", settings_rows[key].scalar.name);
    note_given(s, key, true);
    return 0;
}
