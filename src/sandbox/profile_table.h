/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of sandbox/profile*.c: how rows of a table are written, and what one file has for the others. */
#ifndef FAASD_SANDBOX_PROFILE_TABLE_H
#define FAASD_SANDBOX_PROFILE_TABLE_H

#include "os/seccomp_rows.h"
#include "sandbox/profile.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#define ANSWER(name, errnum, why)                                                                                      \
    {                                                                                                                  \
        .syscall = (name), .error = (errnum), .reason = (why)                                                          \
    }
#define KILL(name, why)                                                                                                \
    {                                                                                                                  \
        .syscall = (name), .error = SECCOMP_KILL, .reason = (why)                                                      \
    }
#define IF(name, errnum, arg, bits, is, why)                                                                           \
    {                                                                                                                  \
        .syscall = (name), .error = (errnum), .condition_count = 1, .conditions = {{(arg), (bits), (is)}},             \
        .reason = (why)                                                                                                \
    }
#define ALLOW_INT(name, arg, is, why) IF(name, 0, arg, INT_MASK, is, why)
#define IOCTL(request, why)           ALLOW_INT("ioctl", 1, request, why)
#define PRCTL(option, why)            ALLOW_INT("prctl", 0, option, why)
#define NO_NAMESPACE(flag, why)       IF("clone", EPERM, 0, flag, flag, why)
#define NO_NEW_NAMESPACES                                                                                              \
    NO_NAMESPACE(CLONE_NEWNS, "no new namespaces"), NO_NAMESPACE(CLONE_NEWCGROUP, "no new namespaces"),                \
        NO_NAMESPACE(CLONE_NEWUTS, "no new namespaces"), NO_NAMESPACE(CLONE_NEWIPC, "no new namespaces"),              \
        NO_NAMESPACE(CLONE_NEWUSER, "no new namespaces: the way to every capability within one"),                      \
        NO_NAMESPACE(CLONE_NEWPID, "no new namespaces"), NO_NAMESPACE(CLONE_NEWNET, "no new namespaces")

/* socket(2): the type's flags (SOCK_NONBLOCK, SOCK_CLOEXEC) are left out of the comparison. */
#define TYPE_MASK (INT_MASK & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC))
/* AF_INET and AF_INET6 differ in one bit, as do SOCK_STREAM and SOCK_SEQPACKET. */
#define INET_MASK        (INT_MASK & ~(uint64_t)(AF_INET ^ AF_INET6))
#define STREAM_LIKE_MASK (TYPE_MASK & ~(uint64_t)(SOCK_STREAM ^ SOCK_SEQPACKET))
#define SOCKET(name, domain_bits, domain, type_bits, type, proto_bits, proto, why)                                     \
    {                                                                                                                  \
        .syscall = (name), .condition_count = 3,                                                                       \
        .conditions = {{0, (domain_bits), (domain)}, {1, (type_bits), (type)}, {2, (proto_bits), (proto)}},            \
        .reason = (why)                                                                                                \
    }

/* Newer than the headers of the distributions that this builds on. */
enum { CAN_SET_VMA = 0x53564d41, X86_SET_FS = 0x1002, X86_GET_FS = 0x1003 };

enum { PROFILE_TABLE_MAX = 448 };

/* profile.c: the default's rows, and what a template has in place of some of them. */
const struct seccomp_rule *profile_default_table(size_t *ret_count);
bool profile_is_templates(const char *syscall);

/* profile_listened.c */
const struct seccomp_rule *profile_strict_table(size_t *ret_count);
/* What a row allows that is neither init's nor a template's is told. */
void profile_tell_others(struct seccomp_rule *rules, size_t count);

#endif
