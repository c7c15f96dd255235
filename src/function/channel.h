/* SPDX-License-Identifier: Apache-2.0 */
/* Writing to the frame socket, and to the log; inside the library only. */
#ifndef FAASD_FUNCTION_CHANNEL_H
#define FAASD_FUNCTION_CHANNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* A line to stderr. */
void faasd_channel_print(const char *text);
static inline int faasd_channel_complain(const char *text)
{
    faasd_channel_print(text);
    return -1;
}

/* Until `fd` can do what `events` (poll(2)) say; errors show in the call that follows. */
void faasd_channel_wait(int fd, short events);

/* All parts, whatever the socket takes at a time; `parts` is used up. `passed_fd` goes with the first byte, -1 = none. 0, or -1 when the other side
 * is gone. */
int faasd_channel_send(int fd, struct iovec *parts, size_t count, int passed_fd);

/* `template` is the field's value, NULL = no such field. `log_fd`: of a template's child, the read end of its log; -1 = none. */
int faasd_channel_send_ready(int fd, const char *template);
int faasd_channel_send_child_ready(int fd, int log_fd);

/* id 0: in the place of READY. */
int faasd_channel_send_error(int fd, uint64_t id, const char *type, const char *message, int log_fd);

#endif
