/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first message of a native worker: who sent it, by the kernel's word (SO_PASSCRED, unix(7)), and, of a child that a template
 * forked, the pipe of its log (docs/PROTOCOL.md). Nothing later brings either.
 */
#ifndef FAASD_GATEWAY_NATIVE_FIRST_H
#define FAASD_GATEWAY_NATIVE_FIRST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct native_first {
    int32_t pid; /* who sent it; 0: not known */
    int log_fd;  /* forked: the pipe, the caller's; -1: none */
    bool good;   /* it brought what it has to, and nothing else; always of a worker that was not forked */
};

/* Before its first bytes. Should this fail, they come without their sender. */
void native_first_expect(int fd);

/* As recv(2): how many bytes, 0 at the end, -1 with errno. More than 0: *ret is filled, and nothing is expected any more. A worker
 * that was not forked has no business with descriptors: all are closed. */
ssize_t native_first_receive(int fd, bool forked, void *room, size_t size, struct native_first *ret);

#endif
