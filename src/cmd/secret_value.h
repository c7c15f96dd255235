/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a secret's value: from a file, a pipe, or a terminal that shows none of it. */
#ifndef FAASD_CMD_SECRET_VALUE_H
#define FAASD_CMD_SECRET_VALUE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* One more than a secret may have, so that too long a value is seen. */
struct secret_value {
    char *bytes; /* owned, locked, in no core dump */
    size_t n;
};

struct secret_source {
    const char *name; /* of the secret, for the prompt */
    const char *file; /* NULL: stdin */
    bool trim;        /* one newline at the end goes; a terminal's line never has it */
};

/* -EINVAL: it is empty, or longer than SECRET_VALUE_MAX. */
int secret_value_read(struct secret_value *v, const struct secret_source *s, struct err *e);
void secret_value_wipe(struct secret_value *v); /* harmless after a failure */

#endif
