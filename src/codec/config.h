/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's configuration as a plain struct without pointers: the child that parses config.json and conf.d/ hands it to the
 * supervisor by a pipe, the supervisor hands it to the gateway in a memfd. Whoever receives one runs config_check() first.
 */
#ifndef FAASD_CODEC_CONFIG_H
#define FAASD_CODEC_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/address.h"
#include "codec/config_egress.h"
#include "codec/config_lambda.h"
#include "codec/settings.h"

enum {
    CONFIG_PATH_MAX = 256,
    CONFIG_LISTEN_MAX = 8,
    CONFIG_GRANTS_MAX = 32,
    CONFIG_ETC_MAX = 64,
    CONFIG_RUNTIMES_MAX = 32,
    CONFIG_PROXIES_MAX = 16,
    CONFIG_HOSTS_MAX = 16,
    CONFIG_HOST_MAX = 254,       /* a DNS name and a NUL */
    CONFIG_ROWS_MAX = 128,       /* keys */
    CONFIG_FILES_NAMED_MAX = 16, /* of conf.d: what comes from one beyond is said to come from the last */
    CONFIG_MAGIC = 0x66616139,   /* "faa9": raise the digit when the struct changes meaning */
    CONFIG_ACCESS_LOG_MAX = 64,
};

/* grants.mounts: ["/data", "/srv/www:rw"]: a function may mount this path or one beneath it. */
struct config_grant_mount {
    char source[CONFIG_PATH_MAX];
    bool writable;
};

/* An interpreter that functions may name: from "runtimes" of the configuration, or found in /usr/bin, which every sandbox sees. */
struct config_runtime {
    char name[SETTINGS_RUNTIME_MAX]; /* "python3.12", "node" */
    char path[CONFIG_PATH_MAX];      /* "/opt/py312/bin/python3" */
    char prefix[CONFIG_PATH_MAX];    /* "/opt/py312", mounted read-only at the same path; "" = it lies under /usr */
    bool found;                      /* by faasd itself, no entry of the configuration */
};

enum config_errors { CONFIG_ERRORS_AUTO, CONFIG_ERRORS_FULL, CONFIG_ERRORS_BRIEF };
enum config_tracing { CONFIG_TRACING_CONTINUE /* what came with a trace */, CONFIG_TRACING_ALWAYS, CONFIG_TRACING_OFF };

struct config {
    uint32_t magic;
    uint32_t size; /* sizeof(struct config) */

    /* front door */
    uint32_t listen_count;
    /* "127.0.0.1:8080", "[::1]:0", "unix:/path" (normalised: "8080" became two loopback addresses) */
    char listen[CONFIG_LISTEN_MAX][CONFIG_PATH_MAX];
    char invoke_group[64];       /* "" = none */
    uint32_t invoke_mode;        /* 0660 */
    uint32_t connections_max;    /* 8192 */
    uint32_t head_fields_max;    /* 128 */
    uint64_t header_deadline_ms; /* 10 s for a whole head */
    uint64_t body_deadline_ms;   /* longest pause while a body or reply moves: 30 s */
    uint64_t idle_deadline_ms;   /* keep-alive without a request: 75 s */
    uint64_t head_bytes_max;     /* 64 KiB */
    uint64_t request_bytes_max;  /* 6 MiB */
    uint64_t reply_bytes_max;    /* 6 MiB */
    uint64_t stream_bytes_max;   /* of a reply that is passed on as it comes: 200 MiB */
    uint64_t body_memory_bytes;  /* all bodies in flight together: 256 MiB */
    enum config_errors errors;

    /* functions */
    struct settings_defaults defaults;
    uint64_t init_timeout_ms;      /* 10 s */
    uint64_t queue_timeout_ms;     /* 10 s */
    uint64_t drain_ms;             /* 5 s */
    uint64_t memory_budget_bytes;  /* all instances together: 75% of RAM */
    uint64_t crash_backoff_max_ms; /* 10 s */
    uint64_t learn_lease_ms;       /* learning ends when nobody has looked at it for this long: 1 min */
    uint32_t functions_max;        /* 10000 */
    uint32_t exec_max;             /* one-shot sandboxes at a time (POST /v1/exec): 8 */
    uint32_t instances_max;        /* 4096 on the host */
    uint64_t idle_freeze_ms;       /* an idle instance is frozen after this: 5 s; 0 = never */
    uint64_t template_age_max_ms;  /* a template is replaced after this time: 1 h */
    uint32_t template_forks_max;   /* and after this many forks: 10000 */
    bool prewarm;                  /* start instances ahead of need, from the arrivals seen: yes */

    /* deploy */
    uint64_t archive_bytes_max; /* uploaded: 256 MiB */
    uint64_t code_bytes_max;    /* unpacked: 512 MiB */
    uint64_t unpack_timeout_ms; /* 60 s */
    uint32_t code_entries_max;  /* files and directories: 65536 */
    uint32_t versions_kept;     /* 5: the newest of each function */
    uint32_t versions_max;      /* 100: of a function, those that are kept because they were used lately counted in */
    uint32_t aliases_max;       /* 100 of a function */

    /* logs */
    uint64_t log_function_bytes; /* 10 MiB a function */
    uint64_t log_total_bytes;    /* 1 GiB in all */
    uint32_t log_line_bytes;     /* 16 KiB a line, the rest is cut and said */

    /* who may do what */
    enum settings_auth default_auth; /* of functions that name none; DEFAULT ("auto"): by where a request comes from */
    uint32_t tokens_max;             /* 1000 */
    uint32_t failed_credentials_max; /* wrong ones from one address in a minute: 20, then 429 */
    uint32_t host_count;
    char hosts[CONFIG_HOSTS_MAX][CONFIG_HOST_MAX]; /* further names of this machine: what a Host field may say */
    uint32_t proxy_count;
    struct address_range proxies[CONFIG_PROXIES_MAX]; /* trusted_proxies: their X-Forwarded-* fields are believed */
    bool insecure_control;                            /* tokens are taken over plain connections from other hosts */
    /* records, metrics, traces */
    uint32_t records_max;                   /* in memory: 10000 */
    uint64_t records_keep_ms;               /* failed ones on disk, for how long: 7 days */
    uint64_t records_event_bytes;           /* of their events, for `replay`: 16 KiB each; 0 = none is kept */
    uint64_t records_flush_ms;              /* how long what is to be written may wait: 10 s */
    uint32_t records_failed_max;            /* failed ones on disk, how many: 10000 */
    uint32_t metrics_functions_max;         /* with series of their own: 200 */
    char metrics_listen[CONFIG_PATH_MAX];   /* "127.0.0.1:9100": serves /metrics alone; "" = none */
    char access_log[CONFIG_ACCESS_LOG_MAX]; /* "" = none, "stderr", or the name of a file in state/logs */
    enum config_tracing tracing;

    bool transient; /* no key: what is unpacked is not forced to the disk, where each file costs milliseconds */

    /* asynchronous calls */
    uint32_t async_calls_max;         /* queued at once: 1,000,000 */
    uint64_t async_bytes_max;         /* of those, heads, bodies and a row's own cost: 1 GiB */
    uint64_t async_body_max;          /* of one event: 1 MiB */
    uint64_t async_result_max;        /* of one reply that is kept: 1 MiB */
    uint64_t async_results_bytes_max; /* all that is kept of calls that succeeded or were cancelled: 256 MiB */
    uint64_t async_failed_bytes_max;  /* all that is kept of calls that failed or expired: 256 MiB */
    uint64_t async_keep_ms;           /* both are kept this long: 7 d */
    uint64_t async_idempotency_ms;    /* an Idempotency-Key is known this long: 24 h */
    uint64_t async_retry_min_ms;      /* pause after a throttle or an error of faasd's own, doubled each time: 1 s */
    uint64_t async_retry_max_ms;      /* up to this: 5 min */

    /* Lambda's API */
    char url_domain[CONFIG_URL_DOMAIN_MAX];         /* Function URLs also answer as ID.DOMAIN; "" = by path alone */
    char lambda_region[CONFIG_LAMBDA_REGION_MAX];   /* of requests whose signature names none: us-east-1 */
    char lambda_account[CONFIG_LAMBDA_ACCOUNT_MAX]; /* in every ARN: 000000000000 */
    struct config_lambda lambda;                    /* more of it */
    struct config_egress egress;                    /* the network `egress` */

    /* sandbox */
    uint32_t uid_base;  /* first host id: gateway (without a user faasd), +1 code owner, instances from +2 */
    uint32_t uid_count; /* 65536 */
    uint32_t etc_count;
    char etc[CONFIG_ETC_MAX][64]; /* names or globs under /etc shown read-only where present: "java-*" */

    /* runtimes */
    uint32_t runtime_count;
    struct config_runtime runtimes[CONFIG_RUNTIMES_MAX]; /* the configuration's first, then what was found */

    /* grants: what functions may be given beyond a plain sandbox */
    uint32_t grant_mount_count;
    struct config_grant_mount grant_mounts[CONFIG_GRANTS_MAX];
    uint32_t grant_device_count;
    char grant_devices[CONFIG_GRANTS_MAX][64];
    bool grant_network_host, grant_network_egress;
    bool grant_cpuset, grant_timeout_zero;

    /* for people: where each key's value came from, by the key's row: enum config_origin, or CONFIG_FROM_FILE plus the file's index */
    uint32_t file_count;
    uint8_t origins[CONFIG_ROWS_MAX];
    /* 0, or 1 + such a value: what was read last has another value from there, which waits for a restart; `origins` is then of the one in force */
    uint8_t waiting[CONFIG_ROWS_MAX];
    char files[CONFIG_FILES_NAMED_MAX][64]; /* "config.json", "conf.d/10-limits.json": the path's end */
};

enum config_origin { CONFIG_FROM_DEFAULT, CONFIG_FROM_FLAG, CONFIG_FROM_ENVIRONMENT, CONFIG_FROM_FILE };

/* Defaults, from the host where they depend on it (cores, RAM, NOFILE). */
void config_init(struct config *c);
/* One file's text over `c`; `path` for messages ("config.json:12: unknown key 'memroy', did you mean 'memory'?"). -EINVAL. */
int config_read_json(struct config *c, struct str json, const char *path, struct err *e);
/* config.json at `path` (absent is fine unless must_exist) and conf.d/ files named *.json beside it in name order; refuses a file or directory that
 * others than root (or the caller's uid) may write. */
int config_read_files(struct config *c, const char *path, bool must_exist, struct err *e);
/* After the files: FAASD_KEY of the environment ("FAASD_MEMORY_BUDGET=2G", "FAASD_DEFAULTS_MEMORY=64M", "FAASD_LISTEN=127.0.0.1:80,unix:/run/x"), for every key
 * that is no list, and for `listen`. -EINVAL. */
int config_read_environment(struct config *c, char *const *environment, struct err *e);

/* Over all that was read: the --listen arguments replace every address. -EINVAL. */
int config_set_listen_flags(struct config *c, const char *const *texts, unsigned count, struct err *e);
int config_set_flag(struct config *c, const char *key, const char *text, struct err *e); /* a key that is text */

/* Bounds, terminators and enum values of a struct that came through a pipe. -EINVAL. */
int config_check(const struct config *c, struct err *e);
/* A --listen argument: "8080" -> two entries. Replaces the defaults on first use (listen_count = 0 by the caller). */
int config_add_listen(struct config *c, const char *text, struct err *e);
int config_check_flag(const char *key, const char *text, struct err *e); /* what config_set_flag() would say */

/* Names of the keys whose change needs a restart, comma separated, that differ between the two; 0 when none. */
size_t config_restart_keys(const struct config *before, const struct config *after, char *out, size_t cap);

/* `after` was read while `before` is in force, and is about to get its values of those keys: notes where these came from, and where what waits stands. */
void config_note_waiting(const struct config *before, struct config *after);

int config_print_json(const struct config *c, struct buf *out); /* the whole as JSON */
/* {"memory_budget":{"value":"2G","from":"FAASD_MEMORY_BUDGET"}, ...}, with "waiting_in":"config.json" where that has another value, used after a restart. */
int config_print_origins(const struct config *c, struct buf *out);

#endif
