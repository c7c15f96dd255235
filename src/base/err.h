/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error with its context, carried by value: what was tried, on what, and the errno name.
 *
 * Caller-owned, fixed size, no malloc: it fits one atomic pipe write (PIPE_BUF, pipe(7)), survives
 * clone, and every function here is async-signal-safe, so the code between clone and exec uses it.
 */
#ifndef FAASD_BASE_ERR_H
#define FAASD_BASE_ERR_H

enum { ERR_TEXT_MAX = 252 };

struct err {
    int code; /* positive errno; 0 when nothing failed */
    char text[ERR_TEXT_MAX];
};

/* "mount tmpfs on '/tmp': EPERM". The format is the subset of base/fmt.h. Returns -errnum.
 * `e` may be NULL where a caller needs the code alone. */
int err_set(struct err *e, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same without the errno name, for refusals that are no system call's. Returns -errnum. */
int err_say(struct err *e, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before what stands there; the code stays. Returns -e->code. */
int err_wrap(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
