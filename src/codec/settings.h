/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function's settings (CONTRACT 1): one table of keys serves the manifest faasd.json, the API's JSON and the
 * command line's flags, so that a key has one spelling, one parser, one default and one error.
 * Keys that a later release brings are refused by name, never ignored.
 */
#ifndef FAASD_CODEC_SETTINGS_H
#define FAASD_CODEC_SETTINGS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/egress.h"
#include "codec/settings_seccomp.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SETTINGS_NAME_MAX = 65, /* ^[A-Za-z0-9_-]{1,64}$ and a NUL */
    SETTINGS_PATH_MAX = 256,
    SETTINGS_MOUNTS_MAX = 8,
    SETTINGS_DEVICES_MAX = 8,
    SETTINGS_ENV_BYTES_MAX = 65536, /* all of NAME=VALUE\0 together */
    SETTINGS_TEXT_MAX = 256,
    SETTINGS_RUNTIME_MAX = 32, /* "python3.11" and a NUL */
    SETTINGS_IMPORTS_MAX = 1024,
    SETTINGS_SECRETS_MAX = 16,
    SETTINGS_CORS_MAX = 1024,
    SETTINGS_TARGET_MAX = 2 * SETTINGS_NAME_MAX, /* NAME:QUALIFIER and a NUL */
};

enum settings_runtime {
    SETTINGS_RUNTIME_EXEC,
    SETTINGS_RUNTIME_NATIVE,
    SETTINGS_RUNTIME_PYTHON,
    SETTINGS_RUNTIME_NODE,
    SETTINGS_RUNTIME_PROVIDED,
    SETTINGS_RUNTIMES
};
enum settings_contract { SETTINGS_CONTRACT_STDIO, SETTINGS_CONTRACT_CGI, SETTINGS_CONTRACT_FILES };
/* How far one request is kept from the next of the same function (DESIGN 3). */
enum settings_isolation { SETTINGS_ISOLATION_REUSE, SETTINGS_ISOLATION_FORK, SETTINGS_ISOLATION_SANDBOX };
/* Whether instances are forked from an initialised one. AUTO: python always, native where isolation is fork. */
enum settings_template { SETTINGS_TEMPLATE_AUTO, SETTINGS_TEMPLATE_ON, SETTINGS_TEMPLATE_OFF };
enum settings_payload { SETTINGS_PAYLOAD_RAW, SETTINGS_PAYLOAD_HTTP };
enum settings_network { SETTINGS_NETWORK_NONE, SETTINGS_NETWORK_HOST, SETTINGS_NETWORK_EGRESS };
enum settings_auth { SETTINGS_AUTH_DEFAULT, SETTINGS_AUTH_ANONYMOUS, SETTINGS_AUTH_TOKEN, SETTINGS_AUTH_ADMIN };

/* One bit per key, in the order of the key table: which keys were given rather than defaulted. */
enum settings_key {
    SETTINGS_KEY_RUNTIME,
    SETTINGS_KEY_HANDLER,
    SETTINGS_KEY_CONTRACT,
    SETTINGS_KEY_PAYLOAD,
    SETTINGS_KEY_CONTENT_TYPE,
    SETTINGS_KEY_STREAM,
    SETTINGS_KEY_MEMORY,
    SETTINGS_KEY_TIMEOUT,
    SETTINGS_KEY_TMP,
    SETTINGS_KEY_TMP_EXEC,
    SETTINGS_KEY_ENV,
    SETTINGS_KEY_CPUS,
    SETTINGS_KEY_CPU_WEIGHT,
    SETTINGS_KEY_CPUSET,
    SETTINGS_KEY_PIDS,
    SETTINGS_KEY_ISOLATION,
    SETTINGS_KEY_TEMPLATE,
    SETTINGS_KEY_IMPORTS,
    SETTINGS_KEY_VENV,
    SETTINGS_KEY_MIN_WARM,
    SETTINGS_KEY_MAX_CONCURRENCY,
    SETTINGS_KEY_RESERVED,
    SETTINGS_KEY_KEEP_WARM,
    SETTINGS_KEY_QUEUE,
    SETTINGS_KEY_ASYNC_RETRIES,
    SETTINGS_KEY_ASYNC_BACKOFF,
    SETTINGS_KEY_ASYNC_MAX_AGE,
    SETTINGS_KEY_ASYNC_CONCURRENCY,
    SETTINGS_KEY_ON_SUCCESS,
    SETTINGS_KEY_ON_FAILURE,
    SETTINGS_KEY_DEAD_LETTER,
    SETTINGS_KEY_NETWORK,
    SETTINGS_KEY_ALLOW_HOST,
    SETTINGS_KEY_MOUNT,
    SETTINGS_KEY_DEVICE,
    SETTINGS_KEY_SECRET,
    SETTINGS_KEY_SECCOMP,
    SETTINGS_KEY_SYSTEM_CALLS,
    SETTINGS_KEY_AUTH,
    SETTINGS_KEY_CORS,
    SETTINGS_KEY_DESCRIPTION,
    SETTINGS_KEY_COUNT
};

struct settings_mount {
    char source[SETTINGS_PATH_MAX]; /* absolute, normalised, on the host */
    char target[SETTINGS_PATH_MAX]; /* absolute, normalised, in the sandbox */
    bool writable;
};

struct settings {
    uint64_t given; /* bits of enum settings_key */
    enum settings_runtime runtime;
    enum settings_contract contract;
    enum settings_payload payload;
    enum settings_network network;
    enum settings_seccomp seccomp;
    enum settings_auth auth;
    enum settings_isolation isolation;
    enum settings_template template;
    char runtime_name[SETTINGS_RUNTIME_MAX]; /* as given: "python3.11"; "" = the family's name */
    char venv[SETTINGS_PATH_MAX];            /* python: a virtual environment under /var/task, relative; "" = none */
    char imports[SETTINGS_IMPORTS_MAX];      /* python: "json,boto3"; "" = what the function was seen to import */
    char cors[SETTINGS_CORS_MAX];            /* "https://a.example,http://localhost:3000", or "*"; "" = no web pages */
    char handler[SETTINGS_PATH_MAX];         /* path under /var/task, relative; "" until the deploy has chosen it */
    char content_type[SETTINGS_TEXT_MAX];    /* of stdio replies */
    char description[SETTINGS_TEXT_MAX];
    char cpuset[64]; /* "0-1,3"; "" = all */
    uint64_t memory_bytes;
    uint64_t tmp_bytes;
    uint64_t timeout_ms; /* 0 = none, only where grants allow it */
    uint64_t keep_warm_ms;
    uint32_t cpus_milli; /* 1000 = one core */
    uint32_t cpu_weight; /* 1-10000, 100 = default, as cgroup v2 cpu.weight */
    uint32_t pids;
    uint32_t min_warm;
    uint32_t max_concurrency;
    uint32_t queue;
    uint32_t reserved;          /* instances whose memory no other function may take from the host's budget; 0 = none */
    uint32_t async_retries;     /* further attempts at an asynchronous call that failed */
    uint64_t async_backoff_ms;  /* before the first of them, doubled each time */
    uint64_t async_max_age_ms;  /* a call older than this is not tried any more */
    uint32_t async_concurrency; /* asynchronous calls at once; 0 = max_concurrency */
    char on_success[SETTINGS_TARGET_MAX]; /* "NAME" or "NAME:QUALIFIER", told of asynchronous calls' ends; "" = none */
    char on_failure[SETTINGS_TARGET_MAX], dead_letter[SETTINGS_TARGET_MAX];
    bool tmp_exec;
    bool stream; /* /function/NAME passes the reply on as it comes */
    uint32_t mount_count;
    uint32_t device_count;
    uint32_t allow_count;
    struct egress_rule *allow;     /* owned: where network egress leads; none: every public address */
    struct settings_mount *mounts; /* owned: 4 KiB for each of 10,000 functions that have none would be 40 MB */
    char devices[SETTINGS_DEVICES_MAX][64]; /* "/dev/X" */
    char *env;                              /* owned: NAME=VALUE\0 NAME=VALUE\0 ..., sorted by name; NULL when none */
    char *secrets;                          /* owned: NAME=FILE\0 NAME=FILE\0 ..., as given; NULL when none */
    char *calls;                            /* owned: NAME\0 NAME\0 ... (codec/settings_calls.h); NULL when none */
    size_t env_bytes, secrets_bytes, calls_bytes;
};

/* What a function gets where it says nothing; filled from the configuration (codec/config.h). */
struct settings_defaults {
    uint64_t memory_bytes, tmp_bytes, timeout_ms, keep_warm_ms, async_backoff_ms, async_max_age_ms;
    uint32_t cpus_milli, cpu_weight, pids, min_warm, max_concurrency, queue, async_retries;
    bool tmp_exec;
};

bool settings_name_is_valid(struct str name);   /* a function's name, or a secret's */
bool settings_target_is_valid(struct str text); /* NAME, NAME:NUMBER, NAME:ALIAS or NAME:$LATEST */
/* The family of a runtime's name: exec, native, python[3[.N]], node, nodeN, nodejs, nodejsN.x, provided[.al2|.al2023]. False: it is none. */
bool settings_runtime_parse(struct str name, enum settings_runtime *ret_runtime);
/* Does `cors` name this Origin? */
bool settings_cors_allows(const struct settings *s, struct str origin);
const char *settings_runtime_family(enum settings_runtime r); /* "python" */
const char *settings_runtime_name(const struct settings *s);  /* as given, or the family's: never "" */
/* The file that a python or node handler means, without its suffix: "pkg/app" of "pkg.app.handler" or "pkg/app.handler" (python), "src/index" of
 * "src/index.handler" (node); and the function in it. False: it is none of that runtime. */
bool settings_handler_split(enum settings_runtime r, const char *handler, char module[SETTINGS_PATH_MAX],
                            char function[SETTINGS_PATH_MAX]);
void settings_init(struct settings *s, const struct settings_defaults *d);
void settings_fini(struct settings *s);
int settings_copy(struct settings *to, const struct settings *from); /* 0 or -ENOMEM; `to` uninitialised before */

/* Reads a JSON object (comments allowed) over what stands in `s`. -EINVAL with a sentence that names the key, its line
 * where known and the nearest known key. `env` merges by name: a null value removes one. A key with value null returns to its default.
 * `$schema` is accepted. On failure `s` may be half changed: parse into a copy. Defaults that depend on the runtime are settled at its end;
 * what holds between keys is settings_check's. */
int settings_read_json(struct settings *s, const struct settings_defaults *d, struct str json, struct err *e);
/* What holds between keys; -EINVAL with a sentence that names both. more_follows: other sources (a manifest) may still be read over these, so only
 * what is wrong between two keys that were both given counts. */
int settings_check(const struct settings *s, bool more_follows, struct err *e);

/* One key from text, as a flag gives it: "memory", "64M". env: "K=V". mount: "SRC:DST[:rw]". secret: "NAME[=FILE]". allow_host: "HOST:PORT". Booleans: "yes"/"no"/"true"/"false". */
int settings_set_text(struct settings *s, const char *key, struct str value, struct err *e);

/* The whole as JSON, keys in table order. given_only: only what was given, in canonical form (the stored form, and what the digest covers).
 * Otherwise all keys, and a "defaults" array naming those not given. mask_env: values print as "***". */
int settings_print_json(const struct settings *s, bool given_only, bool mask_env, struct buf *out);

/* Human differences, one line each: "memory 128M -> 256M"; env values are never shown. */
int settings_print_changes(const struct settings *before, const struct settings *after, struct buf *out);

/* Every key name in table order (NULL past the end), and its flag's help line, for the command line. */
const char *settings_key_name(unsigned index);
const char *settings_key_help(unsigned index);
bool settings_key_is_boolean(unsigned index);

#endif
