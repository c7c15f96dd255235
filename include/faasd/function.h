/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write a function in C or C++: link with libfaasd.a, deploy the program with `faasd deploy NAME ./program --runtime native`.
 *
 *     #include <faasd/function.h>
 *
 *     static int greet(const struct faasd_event *event, struct faasd_reply *reply)
 *     {
 *         faasd_reply_type(reply, "text/plain");
 *         return faasd_reply_printf(reply, "you sent %zu bytes\n", event->body_length);
 *     }
 *
 *     FAASD_FUNCTION(greet)
 *
 * A handler is called once per request, one request at a time, in the thread that called main. It returns 0; anything else answers
 * the caller with 500 FunctionError. A crash costs this one request (502): the worker is replaced. Static variables live on between
 * requests, as a cache or a connection should.
 *
 * stdout and stderr go to the function's log, line by line. fd 3 belongs to the library. SIGPIPE is ignored. Everything here works in a
 * statically linked program and needs nothing but libc.
 */
#ifndef FAASD_FUNCTION_H
#define FAASD_FUNCTION_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FAASD_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define FAASD_PRINTF(at, first)
#endif

#define FAASD_LIBRARY_VERSION "0.1.0"

/* One request. Everything here is valid until the handler returns. Strings are never NULL. */
struct faasd_event {
    const char *body; /* as the caller sent it; a NUL follows the last byte */
    size_t body_length;
    const char *request_id; /* the X-Request-Id of the reply */
    const char *method;     /* "GET", "POST", ... */
    const char *path;       /* behind the function's name, percent-encoded as it came: "" or "/..." */
    const char *query;      /* without the "?", percent-encoded as it came */
    uint64_t deadline_ms;   /* wall clock, milliseconds since the epoch, when faasd gives up; 0 = never */
    const char *fields;     /* the library's: ask faasd_header() */
    size_t fields_length;
};

struct faasd_reply; /* the answer under construction: the library owns it */

typedef int (*faasd_handler)(const struct faasd_event *event, struct faasd_reply *reply);

/* The value of a request header, its name in any case; NULL when the caller sent none. */
const char *faasd_header(const struct faasd_event *event, const char *name);
/* Milliseconds left until the deadline: 0 when it has passed, INT64_MAX without one. */
int64_t faasd_remaining_ms(const struct faasd_event *event);

/*
 * The reply begins as status 200, application/octet-stream, empty. Each of these returns 0, or -1 when the reply cannot grow (its limit, or no memory): the
 * caller then gets an error that says so, whatever is written afterwards.
 */
int faasd_reply_write(struct faasd_reply *reply, const void *bytes, size_t length);
int faasd_reply_text(struct faasd_reply *reply, const char *text);
int faasd_reply_printf(struct faasd_reply *reply, const char *format, ...) FAASD_PRINTF(2, 3);
int faasd_reply_vprintf(struct faasd_reply *reply, const char *format, va_list arguments) FAASD_PRINTF(2, 0);
/* 200 to 599. */
int faasd_reply_status(struct faasd_reply *reply, int status);
/* The Content-Type: "text/html; charset=utf-8". */
int faasd_reply_type(struct faasd_reply *reply, const char *content_type);
/* Adds a header. Framing (Content-Length, Transfer-Encoding, Connection, ...) is faasd's and dropped; a name or value with control characters is an
 * error here already. */
int faasd_reply_header(struct faasd_reply *reply, const char *name, const char *value);

/*
 * Sends what was written so far: from here on the reply is a stream. Callers who ask for streams (a function with `stream: true`, a Function URL, Lambda's
 * InvokeWithResponseStream) get it now, all others get the whole at the end. Status and headers go out with the first flush and can't be changed afterwards.
 * What is written later goes out at the next flush, by itself when 64 KiB have come together, and when the handler returns. It blocks while the caller doesn't
 * keep up. -1: faasd has gone, or a call before failed.
 */
int faasd_reply_flush(struct faasd_reply *reply);

/* Answers with an error instead: the caller gets 500 with {"errorType": type, "errorMessage": message}. What was written so far is dropped; of a stream the caller
 * keeps what it has and sees that it is cut.
 * Returns -1, so that a handler can end with `return faasd_fail(reply, "BadName", "...")`. */
int faasd_fail(struct faasd_reply *reply, const char *type, const char *format, ...) FAASD_PRINTF(3, 4);

/* The most bytes that a reply's body may hold, or what of a stream is not flushed; 64 MiB unless set. faasd has a limit of its own (6 MiB unless configured). */
void faasd_set_reply_limit(size_t bytes);

/* Answers requests until faasd closes the connection. `init` (may be NULL) runs once before the first request, inside init_timeout; when it does
 * not return 0 the worker exits: `return faasd_init_fail("NoModel", "open %s: ...", ...)` tells the caller why. Returns the status for main to
 * return. Where the function is served by forked instances (docs/functions/native.md), `init` runs once in the process that they are forked from, and this
 * function goes on in each of them. */
int faasd_serve(faasd_handler handler);
int faasd_serve_with_init(int (*init)(void), faasd_handler handler);
int faasd_init_fail(const char *type, const char *format, ...) FAASD_PRINTF(2, 3);
/* The same on a connected stream socket of the caller's, which is never forked: for tests. */
int faasd_serve_fd(int fd, int (*init)(void), faasd_handler handler);

/*
 * Forked instances. faasd may run init once and fork an instance from that process whenever one is needed, in a fraction of a millisecond: with
 * isolation fork, or template on. It does so only when init leaves one thread, no descriptor open beyond 0-3 and no writable shared memory; otherwise each instance runs init itself, and `faasd describe`
 * says why. rand(), random() and drand48() are seeded afresh in each instance, whichever of the two it is; other generators need a hook:
 *
 *     static int reseed(void) { unsigned char seed[32]; return faasd_random_seed(seed) || my_generator_seed(seed, sizeof(seed)); }
 *     ... faasd_after_fork(reseed) in init
 *
 * Hooks run in each forked instance before its first request, in the order of registration; one that doesn't return 0 ends it. They are not called in
 * an instance that ran init itself. -1: there are FAASD_AFTER_FORK_MAX already.
 */
#define FAASD_AFTER_FORK_MAX 16
int faasd_after_fork(int (*hook)(void));

/* 32 bytes that nobody else gets, neither another instance nor the next call. 0, or -1 when the kernel has none to give. */
int faasd_random_seed(unsigned char out[32]);

#define FAASD_FUNCTION(handler)                                                                                        \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        return faasd_serve(handler);                                                                                   \
    }

#define FAASD_FUNCTION_WITH_INIT(init, handler)                                                                        \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        return faasd_serve_with_init(init, handler);                                                                   \
    }

#ifdef __cplusplus
}
#endif

#endif
