/* SPDX-License-Identifier: Apache-2.0 */
/* What the test and the processes under test share: one mapped file. faults.py knows the offsets; a static_assert in inject.c holds them. */
#ifndef FAASD_FAULTS_CONTROL_H
#define FAASD_FAULTS_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

/* The environment variable that names the file. The processes without power are given it by inject.c alone: their own environment is empty. */
#define CONTROL_VARIABLE "INJECT_CONTROL"

enum {
    CONTROL_STACK = 20,
    CONTROL_SITES = 1 << 16,
    CONTROL_CALL_NAME = 24,
};

enum control_mode {
    CONTROL_OFF,
    CONTROL_COUNT,     /* every call that would count is written down, none fails */
    CONTROL_FAIL,      /* calls number ... number + length - 1 fail */
    CONTROL_SHORT,     /* streams and files give and take one byte at a time */
    CONTROL_INTERRUPT, /* what may be interrupted is, each time before it is done */
};

/* Whose calls count: bits. */
enum control_role {
    CONTROL_SUPERVISOR = 1,
    CONTROL_FORKED =
        2, /* of the supervisor, before it executes anything: the configuration's reader, the gateway to be */
    CONTROL_CHILD = 4,   /* of a clone with namespaces: a sandbox's set-up */
    CONTROL_GATEWAY = 8, /* its loop */
    CONTROL_THREAD = 16, /* its store's and its calls' thread */
    CONTROL_NETWORK = 32,
    CONTROL_RESOLVER = 64,
};

enum control_kind {
    CONTROL_MEMORY = 1,
    CONTROL_CALLS = 2,
};

struct control_site {
    uint32_t kind;
    uint32_t errors; /* how many the call has */
    uint64_t place;  /* a hash of the call and of where it was made, four callers deep */
};

struct control {
    _Atomic uint32_t mode, roles, kinds;
    _Atomic uint32_t number, length; /* from 1 */
    _Atomic uint32_t error;          /* which of the call's documented errors; calls that have fewer don't fail */
    _Atomic uint32_t seen;           /* calls that counted */
    _Atomic uint32_t fired;          /* of them, how many failed */
    /* of the last that failed: */
    uint32_t role;
    int32_t code;
    char call[CONTROL_CALL_NAME];
    char only[CONTROL_CALL_NAME];  /* where it is not empty: calls of this name alone count */
    uint64_t stack[CONTROL_STACK]; /* relative to the program; 0 is another object's */
    struct control_site sites[CONTROL_SITES];
};

#endif
