/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secrets of this daemon as the gateway has them: sealed, for a key that it never sees (codec/secret.h). The store holds the durable copy; this one is
 * changed only after the row is committed. At most SECRET_TOTAL_MAX bytes of values, so all are kept in memory.
 *
 * Each change has a number of its own, the stamp. An instance was started with the stamp of its function's secrets as it was then: a later one
 * says that the instance has a former value (pool_renew).
 */
#ifndef FAASD_GATEWAY_SECRETS_H
#define FAASD_GATEWAY_SECRETS_H

#include "gateway/gateway.h"

struct secret {
    char name[SETTINGS_NAME_MAX];
    char key[SECRET_FINGERPRINT_MAX]; /* of the key that it was sealed for */
    uint64_t created_ms, updated_ms;  /* real time */
    uint64_t stamp;
    bool removing; /* its row is being deleted: no deploy may name it any more */
    size_t sealed_bytes;
    char sealed[];
};

/* None yet; of the daemon with this public key. NULL when memory is out. */
struct secrets *secrets_new(const uint8_t public_key[SECRET_KEY_BYTES]);
/* Those of the database, before the store's thread starts. A row that is none is left out, with a line in the log. */
struct store_db;
int secrets_load(struct secrets *s, struct store_db *db, struct err *e);
void secrets_free(struct secrets *s);

const char *secrets_fingerprint(const struct secrets *s); /* of this daemon's public key */
/* Sealed for the daemon's present key? */
bool secrets_can_open(const struct secrets *s, const struct secret *secret);
const struct secret *secrets_find(const struct secrets *s, struct str name);
/* In name order; NULL past the end. */
const struct secret *secrets_at(const struct secrets *s, unsigned index);
static inline size_t secret_value_bytes(const struct secret *secret)
{
    return secret->sealed_bytes - SECRET_OVERHEAD;
}

/* Are all that these settings name there? -EINVAL with the one that is not, and what to do. */
int secrets_check(const struct secrets *s, const struct settings *settings, struct err *e);
bool secrets_are_named(const struct settings *settings, struct str name);
/* The newest change of those that these settings name; 0 without any. */
uint64_t secrets_stamp(const struct secrets *s, const struct settings *settings);
/* And of one more; "" = none. */
uint64_t secrets_stamp_with(const struct secrets *s, const struct settings *settings, const char *more);

/* The message's part about secrets, and the memory file that goes with it, the caller's; -1 when there is none to send. One that is not there, or a host without a
 * descriptor for it, is answered by the supervisor with SPAWN_FAILED. */
int secrets_fill(const struct secrets *s, const struct settings *settings, struct message_spawn *m);
/* And with one more, under a name for its file; "" = none. */
struct secrets_more {
    const char *name, *file;
};
int secrets_fill_with(const struct secrets *s, const struct settings *settings, const struct secrets_more *more,
                      struct message_spawn *m);

/* ---- changes ---- */

/* Room for one more value until secrets_settle() or secrets_release(): 0, or -EFBIG with a sentence that names the limit. */
int secrets_reserve(struct secrets *s, struct str name, size_t value_bytes, struct err *e);
void secrets_release(struct secrets *s, size_t value_bytes);
/* The row is committed: takes `fresh` (from malloc) over, and gives it its stamp. -ENOMEM: it is on the disk, and not served before the next start. */
int secrets_settle(struct secrets *s, struct secret *fresh);
void secrets_set_removing(struct secrets *s, struct str name, bool removing);
void secrets_remove(struct secrets *s, struct str name);

#endif
