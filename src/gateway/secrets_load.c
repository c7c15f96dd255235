/* SPDX-License-Identifier: Apache-2.0 */
/* From the database into memory, at the start. */
#include "base/log.h"
#include "gateway/secrets.h"
#include "gateway/store_secrets.h"

#include <stdlib.h>
#include <string.h>

/* One that is damaged costs its own functions, not all the others: what it is not, the supervisor finds when it is opened. */
static void on_row(const struct store_secret *row, void *context)
{
    struct secrets *s = context;
    struct secret *fresh = NULL;
    bool good = settings_name_is_valid(str_from(row->name)) && row->sealed.n > SECRET_OVERHEAD &&
                row->sealed.n <= SECRET_SEALED_MAX;
    if (good)
        fresh = calloc(1, sizeof(*fresh) + row->sealed.n);
    if (!fresh) {
        log_error("a stored secret cannot be used, set it again name=%.64s: %s",
                  settings_name_is_valid(str_from(row->name)) ? row->name : "?", good ? "out of memory" : "damaged");
        return;
    }
    str_copy(str_from(row->name), fresh->name, sizeof(fresh->name));
    str_copy(str_from(row->key), fresh->key, sizeof(fresh->key));
    fresh->created_ms = row->created_ms;
    fresh->updated_ms = row->updated_ms;
    fresh->sealed_bytes = row->sealed.n;
    memcpy(fresh->sealed, row->sealed.p, row->sealed.n);
    if (secrets_settle(s, fresh) < 0)
        log_error("a stored secret cannot be used name=%s: out of memory", row->name);
    else if (!secrets_can_open(s, secrets_find(s, str_from(row->name))))
        log_error("a stored secret was sealed for another key, set it again name=%s", row->name);
}

int secrets_load(struct secrets *s, struct store_db *db, struct err *e)
{
    return store_secrets_load(db, on_row, s, e);
}
