/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/config.h"

#include "codec/config_key.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#define KIB       (UINT64_C(1) << 10)
#define MIB       (UINT64_C(1) << 20)
#define GIB       (UINT64_C(1) << 30)
#define TIB       (UINT64_C(1) << 40)
#define SECOND_MS UINT64_C(1000)
#define HOUR_MS   (3600 * SECOND_MS)
#define DAY_MS    (24 * HOUR_MS)

static const struct scalar_choice ERRORS[] = {
    {"auto", CONFIG_ERRORS_AUTO},
    {"full", CONFIG_ERRORS_FULL},
    {"brief", CONFIG_ERRORS_BRIEF},
    {0},
};

static const struct scalar_choice DEFAULT_AUTHS[] = {
    {"auto", SETTINGS_AUTH_DEFAULT},
    {"anonymous", SETTINGS_AUTH_ANONYMOUS},
    {"token", SETTINGS_AUTH_TOKEN},
    {"admin", SETTINGS_AUTH_ADMIN},
    {0},
};

static const struct scalar_choice TRACING[] = {
    {"continue", CONFIG_TRACING_CONTINUE},
    {"always", CONFIG_TRACING_ALWAYS},
    {"off", CONFIG_TRACING_OFF},
    {0},
};

/* Functions' logs are directories beside it, and no function's name has a dot. */
static int check_access_log(const char *text, struct err *e)
{
    const char *dot = strchr(text, '.');
    if (!text[0] || strcmp(text, "stderr") == 0)
        return 0;
    for (const char *p = text; *p; p++)
        if (!(*p >= '0' && *p <= '9') && !((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') && !strchr("._-", *p))
            return err_say(e, EINVAL, "'%s' is no file name: letters, digits, '.', '_' and '-'", text);
    if (!dot || dot == text || strlen(text) > CONFIG_ACCESS_LOG_MAX - 4)
        return err_say(e, EINVAL, "'%s': write \"stderr\" or a name with a dot in it, such as \"access.log\"", text);
    return 0;
}

static int check_group(const char *text, struct err *e)
{
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == ':' || *p == '/' || *p == ',')
            return err_say(e, EINVAL, "'%s' is not a group's name", text);
    return 0;
}

/* "eu-central-1": what AWS's own clients take for one, as it stands in ARNs. */
static int check_region(const char *text, struct err *e)
{
    size_t n = strlen(text);
    for (const char *p = text; *p; p++)
        if (!(*p >= '0' && *p <= '9') && !(*p >= 'a' && *p <= 'z') && *p != '-')
            return err_say(e, EINVAL, "'%s' is not a region's name, such as \"eu-central-1\"", text);
    if (n < 3 || text[0] == '-' || text[n - 1] == '-')
        return err_say(e, EINVAL, "'%s' is not a region's name, such as \"eu-central-1\"", text);
    return 0;
}

static int check_url_domain(const char *text, struct err *e)
{
    size_t n = strlen(text);
    bool good = n < CONFIG_URL_DOMAIN_MAX && text[0] != '.' && text[0] != '-' && (n == 0 || text[n - 1] != '.');
    for (const char *p = text; *p; p++)
        good = good && ((*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') || *p == '-' ||
                        (*p == '.' && p[1] != '.'));
    if (good)
        return 0;
    return err_say(e, EINVAL,
                   "'%.80s' is no domain: a name such as \"functions.example.org\", of at most %d characters", text,
                   CONFIG_URL_DOMAIN_MAX - 1);
}

static int check_account(const char *text, struct err *e)
{
    if (strlen(text) != CONFIG_LAMBDA_ACCOUNT_MAX - 1 || strspn(text, "0123456789") != strlen(text))
        return err_say(e, EINVAL, "'%s' is not an account's id: twelve digits, such as \"000000000000\"", text);
    return 0;
}

static const struct scalar_choice NETWORKS[] = {
    {"none", CONFIG_NETWORK_NONE},
    {"egress", CONFIG_NETWORK_EGRESS},
    {"host", CONFIG_NETWORK_HOST},
    {0},
};

enum { LATER = 0, RESTART = 1 };
#define ROW(name_, kind_, member_, min_, max_, restart_)                                                               \
    {                                                                                                                  \
        {.name = name_, .kind = kind_, .offset = offsetof(struct config, member_), .min = min_, .max = max_},          \
            CONFIG_SCALAR, restart_                                                                                    \
    }
#define SIZE_ROW(name_, member_, min_, max_)  ROW(name_, SCALAR_SIZE, member_, min_, max_, LATER)
#define TIME_ROW(name_, member_, min_, max_)  ROW(name_, SCALAR_TIME, member_, min_, max_, LATER)
#define COUNT_ROW(name_, member_, min_, max_) ROW(name_, SCALAR_COUNT, member_, min_, max_, LATER)
#define BOOL_ROW(name_, member_)              ROW(name_, SCALAR_BOOL, member_, 0, 1, LATER)
#define LIST_ROW(name_, shape_, restart_)                                                                              \
    {                                                                                                                  \
        {.name = name_}, shape_, restart_                                                                              \
    }

/* Keys of one object stand together: the printer opens and closes objects by it. */
const struct config_row config_rows[] = {
    LIST_ROW("listen", CONFIG_LISTEN, RESTART),
    {{.name = "invoke_group",
      .kind = SCALAR_TEXT,
      .offset = offsetof(struct config, invoke_group),
      .max = 64,
      .check = check_group},
     CONFIG_SCALAR,
     RESTART},
    ROW("invoke_mode", SCALAR_MODE, invoke_mode, 0, 0777, RESTART),
    ROW("connections", SCALAR_COUNT, connections_max, 1, 1000000, RESTART),
    TIME_ROW("header_deadline", header_deadline_ms, 100, HOUR_MS),
    TIME_ROW("body_deadline", body_deadline_ms, 100, HOUR_MS),
    TIME_ROW("idle_deadline", idle_deadline_ms, 100, DAY_MS),
    SIZE_ROW("head_bytes", head_bytes_max, KIB, MIB),
    COUNT_ROW("head_fields", head_fields_max, 8, 1024),
    SIZE_ROW("request_bytes", request_bytes_max, 0, GIB),
    SIZE_ROW("reply_bytes", reply_bytes_max, 0, GIB),
    SIZE_ROW("stream_bytes", stream_bytes_max, 0, TIB),
    SIZE_ROW("body_memory", body_memory_bytes, MIB, TIB),
    {{.name = "errors", .kind = SCALAR_ENUM, .offset = offsetof(struct config, errors), .choices = ERRORS},
     CONFIG_SCALAR,
     LATER},

    {{.name = "default_auth",
      .kind = SCALAR_ENUM,
      .offset = offsetof(struct config, default_auth),
      .choices = DEFAULT_AUTHS},
     CONFIG_SCALAR,
     LATER},
    BOOL_ROW("insecure_control", insecure_control),
    COUNT_ROW("tokens", tokens_max, 1, 10000),
    COUNT_ROW("failed_credentials", failed_credentials_max, 1, 1000000),
    LIST_ROW("hosts", CONFIG_HOSTS, LATER),
    LIST_ROW("trusted_proxies", CONFIG_PROXIES, LATER),

    SIZE_ROW("defaults.memory", defaults.memory_bytes, 4 * MIB, TIB),
    SIZE_ROW("defaults.tmp", defaults.tmp_bytes, 64 * KIB, TIB),
    TIME_ROW("defaults.timeout", defaults.timeout_ms, 1, 7 * DAY_MS),
    TIME_ROW("defaults.keep_warm", defaults.keep_warm_ms, 0, 365 * DAY_MS),
    ROW("defaults.cpus", SCALAR_MILLI, defaults.cpus_milli, 10, 1024000, LATER),
    COUNT_ROW("defaults.cpu_weight", defaults.cpu_weight, 1, 10000),
    COUNT_ROW("defaults.pids", defaults.pids, 2, 32768),
    COUNT_ROW("defaults.min_warm", defaults.min_warm, 0, 1000),
    COUNT_ROW("defaults.max_concurrency", defaults.max_concurrency, 1, 1000),
    COUNT_ROW("defaults.queue", defaults.queue, 0, 100000),
    COUNT_ROW("defaults.async_retries", defaults.async_retries, 0, 1000),
    TIME_ROW("defaults.async_backoff", defaults.async_backoff_ms, 0, DAY_MS),
    TIME_ROW("defaults.async_max_age", defaults.async_max_age_ms, 1, 365 * DAY_MS),
    BOOL_ROW("defaults.tmp_exec", defaults.tmp_exec),

    TIME_ROW("init_timeout", init_timeout_ms, 10, HOUR_MS),
    TIME_ROW("queue_timeout", queue_timeout_ms, 0, HOUR_MS),
    TIME_ROW("drain", drain_ms, 0, DAY_MS),
    SIZE_ROW("memory_budget", memory_budget_bytes, 4 * MIB, 1024 * TIB),
    TIME_ROW("crash_backoff", crash_backoff_max_ms, 0, HOUR_MS),
    TIME_ROW("learn_lease", learn_lease_ms, 1000, DAY_MS),
    COUNT_ROW("functions", functions_max, 1, 1000000),
    COUNT_ROW("exec", exec_max, 0, 1000),
    COUNT_ROW("instances", instances_max, 1, 1000000),
    TIME_ROW("idle_freeze", idle_freeze_ms, 0, DAY_MS),
    BOOL_ROW("prewarm", prewarm),
    COUNT_ROW("template_forks", template_forks_max, 1, 1000000000),
    TIME_ROW("template_age", template_age_max_ms, SECOND_MS, 365 * DAY_MS),

    LIST_ROW("runtimes", CONFIG_RUNTIMES, LATER),

    SIZE_ROW("archive_bytes", archive_bytes_max, KIB, TIB),
    SIZE_ROW("code_bytes", code_bytes_max, KIB, TIB),
    COUNT_ROW("code_entries", code_entries_max, 1, 10000000),
    TIME_ROW("unpack_timeout", unpack_timeout_ms, 100, DAY_MS),
    COUNT_ROW("versions_kept", versions_kept, 1, 1000),
    COUNT_ROW("versions_max", versions_max, 1, 10000),
    COUNT_ROW("aliases", aliases_max, 1, 10000),

    SIZE_ROW("logs.function_bytes", log_function_bytes, 64 * KIB, TIB),
    SIZE_ROW("logs.total_bytes", log_total_bytes, 64 * KIB, TIB),
    ROW("logs.line_bytes", SCALAR_COUNT, log_line_bytes, 256, MIB, LATER),

    ROW("records.memory", SCALAR_COUNT, records_max, 16, 1000000, RESTART),
    COUNT_ROW("records.failed", records_failed_max, 0, 1000000),
    TIME_ROW("records.keep", records_keep_ms, HOUR_MS, 365 * DAY_MS),
    SIZE_ROW("records.event_bytes", records_event_bytes, 0, MIB),
    TIME_ROW("records.flush", records_flush_ms, 100, DAY_MS),
    COUNT_ROW("metrics_functions", metrics_functions_max, 0, 10000),
    {{.name = "metrics_listen",
      .kind = SCALAR_TEXT,
      .offset = offsetof(struct config, metrics_listen),
      .max = CONFIG_PATH_MAX,
      .check = config_check_metrics_listen},
     CONFIG_SCALAR,
     RESTART},
    {{.name = "tracing", .kind = SCALAR_ENUM, .offset = offsetof(struct config, tracing), .choices = TRACING},
     CONFIG_SCALAR,
     LATER},
    {{.name = "access_log",
      .kind = SCALAR_TEXT,
      .offset = offsetof(struct config, access_log),
      .max = CONFIG_ACCESS_LOG_MAX,
      .check = check_access_log},
     CONFIG_SCALAR,
     LATER},
    COUNT_ROW("async.calls", async_calls_max, 1, 100000000),
    SIZE_ROW("async.bytes", async_bytes_max, 64 * KIB, 16 * TIB),
    SIZE_ROW("async.body", async_body_max, 0, 64 * MIB),
    SIZE_ROW("async.result", async_result_max, 0, 64 * MIB),
    SIZE_ROW("async.results", async_results_bytes_max, 0, 16 * TIB),
    SIZE_ROW("async.failed", async_failed_bytes_max, 0, 16 * TIB),
    TIME_ROW("async.keep", async_keep_ms, 0, 365 * DAY_MS),
    TIME_ROW("async.idempotency", async_idempotency_ms, 0, 365 * DAY_MS),
    TIME_ROW("async.retry_min", async_retry_min_ms, 1, HOUR_MS),
    TIME_ROW("async.retry_max", async_retry_max_ms, 1, DAY_MS),

    {{.name = "url_domain",
      .kind = SCALAR_TEXT,
      .offset = offsetof(struct config, url_domain),
      .max = CONFIG_URL_DOMAIN_MAX,
      .check = check_url_domain},
     CONFIG_SCALAR,
     LATER},
    {{.name = "lambda.region",
      .kind = SCALAR_TEXT,
      .offset = offsetof(struct config, lambda_region),
      .max = CONFIG_LAMBDA_REGION_MAX,
      .check = check_region},
     CONFIG_SCALAR,
     LATER},
    {{.name = "lambda.account",
      .kind = SCALAR_TEXT,
      .offset = offsetof(struct config, lambda_account),
      .max = CONFIG_LAMBDA_ACCOUNT_MAX,
      .check = check_account},
     CONFIG_SCALAR,
     LATER},
    {{.name = "lambda.network",
      .kind = SCALAR_ENUM,
      .offset = offsetof(struct config, lambda.network),
      .choices = NETWORKS},
     CONFIG_SCALAR,
     LATER},
    COUNT_ROW("lambda.layers", lambda.layers_max, 0, 100000),
    LIST_ROW("lambda.roles", CONFIG_ROLES, LATER),
    LIST_ROW("code_buckets", CONFIG_BUCKETS, LATER),

    {{.name = "egress.range",
      .kind = SCALAR_TEXT,
      .offset = offsetof(struct config, egress.range),
      .max = CONFIG_RANGE_MAX,
      .check = config_check_egress_range},
     CONFIG_SCALAR,
     RESTART},
    LIST_ROW("egress.dns", CONFIG_NAME_SERVERS, RESTART),
    ROW("egress.rate", SCALAR_SIZE, egress.rate, 64 * KIB, TIB, RESTART),
    ROW("egress.packets", SCALAR_COUNT, egress.packets, 10, 100000000, RESTART),
    ROW("egress.connections", SCALAR_COUNT, egress.connections, 1, 1000000, RESTART),
    ROW("egress.connections_total", SCALAR_COUNT, egress.connections_total, 1, 10000000, RESTART),

    ROW("uid_base", SCALAR_COUNT, uid_base, 1000, UINT32_MAX - 1, RESTART),
    ROW("uid_count", SCALAR_COUNT, uid_count, 16, UINT32_MAX - 1, RESTART),
    LIST_ROW("etc", CONFIG_ETC, RESTART),

    LIST_ROW("grants.mounts", CONFIG_GRANT_MOUNTS, LATER),
    LIST_ROW("grants.devices", CONFIG_GRANT_DEVICES, LATER),
    BOOL_ROW("grants.network_host", grant_network_host),
    BOOL_ROW("grants.network_egress", grant_network_egress),
    LIST_ROW("grants.egress_private", CONFIG_EGRESS_PRIVATE, RESTART),
    BOOL_ROW("grants.cpuset", grant_cpuset),
    BOOL_ROW("grants.timeout_zero", grant_timeout_zero),
};
const unsigned config_row_count = sizeof(config_rows) / sizeof(config_rows[0]);
static_assert(sizeof(config_rows) / sizeof(config_rows[0]) <= CONFIG_ROWS_MAX, "one origin each");

static const char *const ETC_DEFAULT[] = {
    "alternatives", "ssl/certs", "ssl/openssl.cnf", "ca-certificates", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "timezone",        "mime.types",      "java-*",      "python3*",
    "fonts",        "magic",     "protocols",       "services",        "perl",        "terminfo",
};

static uint32_t count_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? (uint32_t)n : 1;
}

/* 8,192, or half of the descriptors that this process may have: the other half is for workers, logs and files. */
static uint32_t count_connections(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY || limit.rlim_max / 2 >= 8192)
        return 8192;
    return limit.rlim_max > 128 ? (uint32_t)limit.rlim_max / 2 : 64;
}

static uint64_t three_quarters_of_memory(void)
{
    struct sysinfo info;
    if (sysinfo(&info) < 0)
        return GIB;
    uint64_t bytes = (uint64_t)info.totalram * info.mem_unit / 4 * 3;
    return bytes - bytes % MIB;
}

static void init_functions(struct config *c)
{
    uint32_t twice_the_cores = 2 * count_cores();
    c->defaults = (struct settings_defaults){
        .memory_bytes = 128 * MIB,
        .tmp_bytes = 64 * MIB,
        .timeout_ms = 30 * SECOND_MS,
        .keep_warm_ms = 600 * SECOND_MS,
        .cpus_milli = 1000,
        .cpu_weight = 100,
        .pids = 64,
        .max_concurrency = twice_the_cores < 1000 ? twice_the_cores : 1000,
        .queue = 100,
        .async_retries = 2,
        .async_backoff_ms = 60 * SECOND_MS,
        .async_max_age_ms = 6 * HOUR_MS,
    };
    c->init_timeout_ms = 10 * SECOND_MS;
    c->queue_timeout_ms = 10 * SECOND_MS;
    c->drain_ms = 5 * SECOND_MS;
    c->memory_budget_bytes = three_quarters_of_memory();
    c->crash_backoff_max_ms = 10 * SECOND_MS;
    c->learn_lease_ms = 60 * SECOND_MS;
    c->functions_max = 10000;
    c->exec_max = 8;
    c->instances_max = 4096;
    c->idle_freeze_ms = 5 * SECOND_MS;
    c->prewarm = true;
    c->template_forks_max = 10000;
    c->template_age_max_ms = HOUR_MS;
}

static void init_async(struct config *c)
{
    c->async_calls_max = 1000000;
    c->async_bytes_max = GIB;
    c->async_body_max = MIB;
    c->async_result_max = MIB;
    c->async_results_bytes_max = 256 * MIB;
    c->async_failed_bytes_max = 256 * MIB;
    c->async_keep_ms = 7 * DAY_MS;
    c->async_idempotency_ms = DAY_MS;
    c->async_retry_min_ms = SECOND_MS;
    c->async_retry_max_ms = 300 * SECOND_MS;
}

void config_init(struct config *c)
{
    /* Padding too: the struct goes through pipes, and its bytes are compared. */
    memset(c, 0, sizeof(*c));
    c->magic = CONFIG_MAGIC;
    c->size = sizeof(*c);
    config_add_listen(c, "8080", NULL);
    c->invoke_mode = 0660;
    c->connections_max = count_connections();
    c->header_deadline_ms = 10 * SECOND_MS;
    c->body_deadline_ms = 30 * SECOND_MS;
    c->idle_deadline_ms = 75 * SECOND_MS;
    c->head_bytes_max = 64 * KIB;
    c->head_fields_max = 128;
    c->request_bytes_max = 6 * MIB;
    c->reply_bytes_max = 6 * MIB;
    c->stream_bytes_max = 200 * MIB;
    c->body_memory_bytes = 256 * MIB;
    c->errors = CONFIG_ERRORS_AUTO;
    c->default_auth = SETTINGS_AUTH_DEFAULT;
    c->tokens_max = 1000;
    c->failed_credentials_max = 20;
    init_functions(c);
    init_async(c);
    memcpy(c->lambda_region, "us-east-1", sizeof("us-east-1"));
    memcpy(c->lambda_account, "000000000000", sizeof("000000000000"));
    c->lambda.layers_max = 1000;
    memcpy(c->egress.range, "100.64.0.0/16", sizeof("100.64.0.0/16"));
    c->egress.rate = 12 * MIB;
    c->egress.packets = 20000;
    c->egress.connections = 256;
    c->egress.connections_total = 8192;
    c->archive_bytes_max = 256 * MIB;
    c->code_bytes_max = 512 * MIB;
    c->code_entries_max = 65536;
    c->unpack_timeout_ms = 60 * SECOND_MS;
    c->versions_kept = 5;
    c->versions_max = 100;
    c->aliases_max = 100;
    c->log_function_bytes = 10 * MIB;
    c->log_total_bytes = GIB;
    c->log_line_bytes = 16 * KIB;
    c->records_max = 10000;
    c->records_failed_max = 10000;
    c->records_keep_ms = 7 * DAY_MS;
    c->records_event_bytes = 16 * KIB;
    c->records_flush_ms = 10 * SECOND_MS;
    c->metrics_functions_max = 200;
    /* Just beyond the ids that systemd gives to containers (systemd.io/UIDS-GIDS). */
    c->uid_base = 1879100000;
    c->uid_count = 65536;
    for (size_t i = 0; i < sizeof(ETC_DEFAULT) / sizeof(ETC_DEFAULT[0]); i++)
        config_add_etc(c, ETC_DEFAULT[i], NULL);
}

/* Every entry of a list parses as itself again: a struct from a pipe holds nothing that a file could not. */
static int check_list(const struct config *c, enum config_shape shape, struct err *e)
{
    if (shape == CONFIG_RUNTIMES)
        return config_check_runtimes(c, e);
    struct config scratch;
    struct buf text;
    buf_init(&text, 0);
    memset(&scratch, 0, sizeof(scratch));
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < config_list_count(c, shape); i++) {
        text.len = 0;
        r = config_list_entry(c, shape, i, &text);
        if (r == 0)
            r = buf_add(&text, "", 1);
        if (r < 0)
            r = r == -ENOMEM ? err_set(e, ENOMEM, "check a list") : err_say(e, EINVAL, "an entry has no end");
        else
            r = config_add_entry(&scratch, shape, text.data, e);
    }
    buf_fini(&text);
    return r;
}

static int check_together(const struct config *c, struct err *e)
{
    if (c->listen_count > CONFIG_LISTEN_MAX || c->etc_count > CONFIG_ETC_MAX ||
        c->grant_mount_count > CONFIG_GRANTS_MAX || c->grant_device_count > CONFIG_GRANTS_MAX ||
        c->host_count > CONFIG_HOSTS_MAX || c->proxy_count > CONFIG_PROXIES_MAX ||
        c->lambda.bucket_count > CONFIG_BUCKETS_MAX || c->lambda.role_count > CONFIG_ROLES_MAX)
        return err_say(e, EINVAL, "a list is too long");
    if (c->uid_base > UINT32_MAX - 1 - c->uid_count)
        return err_say(e, EINVAL, "uid_base + uid_count is beyond the last id");
    if (c->instances_max > c->uid_count - 2)
        return err_say(e, EINVAL, "instances: %u need an id each, and uid_count has %u to give", c->instances_max,
                       c->uid_count - 2);
    if (c->defaults.min_warm > c->defaults.max_concurrency)
        return err_say(e, EINVAL, "defaults.min_warm is more than defaults.max_concurrency");
    return config_check_egress(c, e);
}

int config_check(const struct config *c, struct err *e)
{
    if (c->magic != CONFIG_MAGIC || c->size != sizeof(*c))
        return err_say(e, EINVAL, "not a configuration of this program");
    if (c->file_count > CONFIG_FILES_NAMED_MAX)
        return err_say(e, EINVAL, "more files than there is room for");
    for (uint32_t i = 0; i < c->file_count; i++)
        if (!memchr(c->files[i], '\0', sizeof(c->files[i])))
            return err_say(e, EINVAL, "a file's name has no end");
    int r = 0;
    for (unsigned i = 0; r == 0 && i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (row->shape == CONFIG_SCALAR)
            r = scalar_check(&row->scalar, c, e);
        if (r < 0)
            err_wrap(e, "%s", row->scalar.name);
    }
    if (r == 0)
        r = check_together(c, e);
    for (unsigned i = 0; r == 0 && i < config_row_count; i++)
        if (config_rows[i].shape != CONFIG_SCALAR)
            r = check_list(c, config_rows[i].shape, e);
    return r;
}
