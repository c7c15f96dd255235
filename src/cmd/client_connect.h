/* SPDX-License-Identifier: Apache-2.0 */
/* Where the daemon is, and a connected socket to it. Used by client.c alone. */
#ifndef FAASD_CMD_CLIENT_CONNECT_H
#define FAASD_CMD_CLIENT_CONNECT_H

#include "cmd/client.h"

struct client_address {
    bool is_unix;
    bool guessed;   /* found by the default places: the message says how to name another */
    bool by_url;    /* --url or FAASD_URL named it: it gets the token */
    char path[256]; /* of the socket */
    char host[256]; /* "127.0.0.1:8080", for the Host field */
    char node[256]; /* host's name or address, without brackets */
    char port[8];
    char url[300]; /* for messages */
};

int client_find(const struct client_target *t, struct client_address *ret_address, int *ret_exit, struct err *e);
void client_address_print(struct client_address *a); /* fills url */

/* A connected, CLOEXEC socket or -errno. */
int client_connect(const struct client_address *a, int *ret_exit, struct err *e);

#endif
