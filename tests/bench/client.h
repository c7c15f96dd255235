/* SPDX-License-Identifier: Apache-2.0 */
/* One keep-alive connection of the measuring programs. */
#ifndef FAASD_BENCH_CLIENT_H
#define FAASD_BENCH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

struct client {
    int fd;
    char in[16384];
    unsigned length;
    uint64_t sent_ns;
};

uint64_t client_now_ns(void);
/* Exits with a message when it can't. */
void client_connect(struct client *c, const char *host, const char *port);
/* POST with the given JSON; notes the time before the write. */
void client_send(struct client *c, const char *path, const char *body);
/* Reads once. True when the reply is whole: *ret_ns is the time since the request, *ret_status its status. */
bool client_receive(struct client *c, uint64_t *ret_ns, int *ret_status);

#endif
