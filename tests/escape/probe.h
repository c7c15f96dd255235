/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One program, many attacks: each tries one thing that a function must not be able to do and says whether it was. The same probe
 * run outside a sandbox must report OPEN, else it proves nothing (tests/escape/rows.py says how each is run bare).
 */
#ifndef FAASD_TESTS_PROBE_H
#define FAASD_TESTS_PROBE_H

#include <stdbool.h>

/* What a probe found. `open`: the attack worked. */
struct finding {
    bool open;
    char detail[160];
};

struct probe {
    const char *id;
    struct finding (*run)(const char *argument);
};

extern const struct probe PROBES_FILES[], PROBES_PATHS[], PROBES_PROCESS[], PROBES_LIMITS[], PROBES_KERNEL[],
    PROBES_CALLS[], PROBES_RESOURCES[], PROBES_NETWORK[], PROBES_SIBLING[];

/* NULL when there is none of that name. */
const struct probe *probe_find(const char *id);

/* "OPEN" with what was got, or "DENIED" with errno's name. */
struct finding found_open(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct finding found_denied(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The usual case: a result below 0 is a denial by errno, anything else is an opening. */
struct finding judge(const char *what, long result);
/* Runs `f` in a child: what it returned (0-255), or 1000 + the signal that killed it. */
int in_child(int (*f)(void));

/* The I rows: misbehaves on fd 3 as each event tells. */
int misbehave(void);
/* The same, once, in a worker that has read its INVOKE already; then, as each further event tells. */
struct faasd_frame;
int misbehave_from(const char *how, const struct faasd_frame *invoke);

/* Forked for each request by a template: runs the probe that the event names in the child (probe_child.c). */
int serve_children(void);

/* Runs one system call inside another process (inject.c): PID NUMBER ARG... */
int inject(int argc, char **argv);

#endif
