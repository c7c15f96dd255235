/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opened secrets of one sandbox, between the SPAWN that brought them sealed and the clone that takes them inside: some hundred microseconds, in
 * locked memory that no core dump holds.
 */
#ifndef FAASD_SUPERVISOR_SECRET_CARGO_H
#define FAASD_SUPERVISOR_SECRET_CARGO_H

#include "supervisor/message.h"

struct secret_cargo {
    uint8_t *area; /* owned; NULL: there are no secrets */
    size_t area_bytes;
    uint8_t *values[MESSAGE_SECRETS_MAX]; /* in the area, in the message's order */
    size_t sizes[MESSAGE_SECRETS_MAX];
};

/* `m` was checked; fd is borrowed, -1 = none came. After a failure there is nothing to wipe: -ENOENT a secret is missing, -EBADMSG or -EPERM
 * one can't be opened (codec/secret.h), -EAGAIN what brings them did not come, -EPROTO it is not what it should be. */
int secret_cargo_open(struct secret_cargo *c, const struct secret_keys *keys, const struct message_spawn *m, int fd,
                      struct err *e);
void secret_cargo_wipe(struct secret_cargo *c);

#endif
