/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's disk: SQLite (state/db/faasd.db, WAL) and the functions' logs, on one thread of their own, fed by a bounded ring. The loop never touches a
 * disk: it hands a job over and is called back on the loop when the job is done (durably, for the registry).
 */
#ifndef FAASD_GATEWAY_STORE_H
#define FAASD_GATEWAY_STORE_H

#include "base/buf.h"
#include "gateway/gateway.h"

/* How a revision came by its number. */
enum store_publication {
    STORE_DEPLOYED = 0, /* a deploy gave it: collected when nobody needs it any more */
    STORE_DRAFT =
        1, /* not yet: what $LATEST is until it is published; at most one of a function, and the current one */
    STORE_PUBLISHED = 2, /* somebody asked for it: kept until somebody removes it */
    STORE_REMOVED = 3,   /* a number that was the highest, so that it is not given again */
};

/* One stored revision. Strings are borrowed for the call. */
struct store_revision {
    const char *function;
    const char *revision;
    const char *code;
    uint64_t number;
    uint64_t created_ms;
    uint64_t code_bytes;
    uint64_t replaced; /* what was current before its deploy; 0 = none. Not read back by store_load */
    bool current;
    const char
        *handler; /* the path that the deploy chose or was given; the settings JSON holds it only when it was given */
    struct str settings;                /* JSON, settings_print_json(given_only) */
    enum store_publication publication; /* this and the next are not read back by store_load */
    struct str attributes;              /* JSON object of another API's; empty: those of `replaced` stay */
    const char *opt;                    /* the tree at /opt; "" or NULL: none */
    const char *role;                   /* the ARN that Lambda's API was told; "" or NULL: none */
};

/* Opens (and migrates) the database and the directories. A database of a newer format is refused with the reason. Jobs and lines wait until store_start. */
struct store *store_open(struct gateway *g, const char *db_dir, const char *log_dir, struct err *e);
/* Starts the thread, which inherits what confines the caller by then. Its first act: logs of functions that no row names are removed. */
int store_start(struct store *s, struct err *e);
/* Blocks until the ring is empty and all is on disk. Callbacks of jobs still under way do not come any more. */
void store_close(struct store *s);
void store_configure(struct store *s); /* after g->config changed: limits of the logs */

/* Before store_start: every stored revision, on the calling thread, in function and number order. on_revision returns 0 or stops with its -errno. */
int store_load(struct store *s, int (*on_revision)(const struct store_revision *r, void *context), void *context,
               struct err *e);

/* Jobs. The callback comes on the loop, never from inside the call; e->code 0 = done. A full ring fails the job with EAGAIN, a full disk with ENOSPC. */
typedef void store_on_done(void *owner, const struct err *e);

/* Inserts the revision as the function's current one; one transaction, fsynced. Number 1 is a first deploy: rows that could not be taken over at start make way for it.
 * What is not needed any more is dropped by gateway/store_versions.h. */
void store_put_revision(struct store *s, const struct store_revision *r, store_on_done *on_done, void *owner);
/* With its aliases and its log. */
void store_delete_function(struct store *s, const char *function, store_on_done *on_done, void *owner);

/* SHA-256 over the tree at staging_dir/ID (names in byte order, types, modes' execute bit, link targets, contents); digest is 64 hex digits. */
struct store_tree {
    char digest[MESSAGE_DIGEST_MAX];
    uint64_t bytes; /* contents of all files */
    bool published; /* versions/DIGEST was there already */
};
typedef void store_on_digest(void *owner, const struct err *e, const struct store_tree *tree);
void store_digest_tree(struct store *s, uint64_t staging, store_on_digest *on_done, void *owner);

/* Does the tree of versions/CODE hold what a function with these settings starts? ENOENT with a sentence when not. */
struct store_program {
    const char *code;
    const char *
        handler; /* exec, native: the program; python, node: FILE.FUNCTION; provided: not looked at, it starts bootstrap */
    const char *venv; /* python: "" = none */
    enum settings_runtime runtime;
    int python_minor; /* -1: unknown */
};
void store_find_program(struct store *s, const struct store_program *p, store_on_done *on_done, void *owner);

/* Work of another module on the store's thread, with statements of its own on the same database. Embedded in a struct of the owner's, which stays until `done`. */
struct store_db;
struct store_log;
struct store_task {
    void (*run)(struct store_task *t, struct store_db *db); /* on the store's thread; says in `error` how it went */
    void (*run_log)(struct store_task *t, struct store_log *log); /* in its place: reads logs (gateway/store_log.h) */
    void (*done)(
        struct store_task *t); /* on the loop, never from inside store_submit(). EAGAIN or ENOMEM: it never ran */
    struct err error;
};
void store_submit(struct store *s, struct store_task *t);
/* Before store_start, on the calling thread: to prepare statements and to load. */
struct store_db *store_database(struct store *s);

/* Names of versions/ directories that no row refers to, for the collector: one NUL-terminated name after another. */
typedef void store_on_names(void *owner, const struct err *e, struct str names);
void store_list_orphans(struct store *s, store_on_names *on_done, void *owner);

/* One line of a function's output: never blocks, never fails loudly; when the ring is full it is counted and the next line that gets
 * through says how many were dropped. `text` without its newline, raw: escaping and cutting happen here. request_id "" outside requests. */
void store_log_line(struct store *s, const char *function, uint64_t instance, const char *request_id, struct str text);

/* A line of the access log, into "stderr" or that file of the log directory. False: the ring is full, the line is lost. */
bool store_access_line(struct store *s, const char *file, struct str line);

/* Reads back the newest lines that match, oldest first, as NDJSON: {"time","instance","request","message"} a line, at most STORE_LOG_READ_MAX bytes.
 * `message` holds control characters and invalid UTF-8 as \xNN, so that it may go to a terminal; `request` is "" outside requests. */
enum { STORE_LOG_READ_MAX = 4 << 20 };
struct store_log_query {
    char function[SETTINGS_NAME_MAX];
    char request_id[64];         /* "" = any */
    uint64_t since_ms, until_ms; /* real time; 0 = unbounded */
    uint32_t lines;              /* at most; 0 = all */
};
/* `end`: how far the log had come when it was read; a follower's line with a greater `at` is not in the answer. */
typedef void store_on_log(void *owner, const struct err *e, struct str ndjson, uint64_t end);
void store_read_log(struct store *s, const struct store_log_query *q, store_on_log *on_done, void *owner);

/* Followers get each new line of a function as NDJSON on the loop as it arrives. on_line may unfollow. `at` grows from line to line; UINT64_MAX: the line found the
 * ring full and will be in no answer. */
struct store_follower {
    char function[SETTINGS_NAME_MAX];
    void (*on_line)(struct store_follower *f, struct str ndjson, uint64_t at);
    struct store_follower *next; /* the store's list */
};
void store_follow(struct store *s, struct store_follower *f);
void store_unfollow(struct store *s, struct store_follower *f);

#endif
