/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges what the gateway sent before anything is done with it. Pure: no I/O, no state. A gateway that was taken over may send any bytes: what it could
 * not have sent in good faith is BAD, and the gateway is killed for it; what the configuration does not grant is REFUSED with a sentence for the
 * person who deployed.
 */
#ifndef FAASD_SUPERVISOR_REQUEST_H
#define FAASD_SUPERVISOR_REQUEST_H

#include "supervisor/message.h"

union request {
    struct message_header header;
    struct message_plain plain;
    struct message_spawn spawn;
    struct message_tree tree;
    struct message_prepare prepare;
    struct message_adopt adopt;
    struct message_steps steps;
    struct message_object object;
};

enum request_verdict { REQUEST_OK, REQUEST_REFUSED, REQUEST_BAD };

enum { REQUEST_PIDS_MAX = 32768, REQUEST_CPUS_MILLI_MAX = 1024 * 1000 };

/* `size` bytes of *r arrived. After OK every string is terminated and of its pattern, every enum and count in range, every mount and
 * device granted. REFUSED (SPAWN only): the same but for the grants and limits; the header can be used. BAD: nothing can. */
enum request_verdict request_check(const union request *r, size_t size, const struct config *c, struct err *e);

/* The entry of that name, NULL without one. */
const struct config_runtime *request_find_runtime(const struct config *c, const char *name);

/* The grant that a mount's source lies in, NULL without one. */
const struct config_grant_mount *request_find_grant(const struct config *c, const char *source, bool writable);

#endif
