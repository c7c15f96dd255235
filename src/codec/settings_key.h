/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of codec/settings*.c: the table of keys, and the keys that are more than one value of a struct. */
#ifndef FAASD_CODEC_SETTINGS_KEY_H
#define FAASD_CODEC_SETTINGS_KEY_H

#include "codec/scalar.h"
#include "codec/settings.h"
#include "codec/settings_calls.h"
#include "codec/settings_secret.h"

enum settings_shape {
    SETTINGS_SCALAR,
    SETTINGS_RUNTIME_SHAPE,
    SETTINGS_ENV,
    SETTINGS_MOUNTS,
    SETTINGS_DEVICES,
    SETTINGS_SECRETS,
    SETTINGS_ALLOW,
    SETTINGS_CALLS
};

struct settings_row {
    struct scalar scalar; /* of the others: the name alone */
    enum settings_shape shape;
    const char *help;
};

extern const struct settings_row settings_rows[SETTINGS_KEY_COUNT];

#define SETTINGS_BIT(key) (UINT64_C(1) << (key))

/* Is it the name of a variable that a function may be given? -EINVAL with a sentence. */
int settings_env_check_name(struct str name, struct err *e);

/* NAME=VALUE set or, with value.p NULL, removed; the block stays sorted. -EINVAL with a sentence, -ENOMEM. */
int settings_env_change(struct settings *s, struct str name, struct str value, struct err *e);

/* The first entry at or behind `at`, NULL past the end; its name's length in *ret_name. */
const char *settings_env_entry(const struct settings *s, size_t at, size_t *ret_name);

int settings_add_mount(struct settings *s, struct str text, struct err *e);  /* "SRC:DST[:rw]" */
int settings_add_device(struct settings *s, struct str text, struct err *e); /* "/dev/X" */
int settings_add_secret(struct settings *s, struct str text, struct err *e); /* "NAME[=FILE]" */

int settings_add_allow(struct settings *s, struct str text, struct err *e); /* "HOST:PORT": codec/egress.h */

void settings_drop_env(struct settings *s);
void settings_drop_mounts(struct settings *s);
void settings_drop_secrets(struct settings *s);
void settings_drop_allow(struct settings *s);

/* "SRC:DST[:rw]" */
int settings_print_mount(const struct settings_mount *m, struct buf *out);
/* "NAME" or "NAME=FILE" */
int settings_print_secret(const struct settings_secret *secret, struct buf *out);

/* "python3.11": the family and the name. */
int settings_set_runtime(struct settings *s, struct str name, struct err *e);

/* A path within the function's directory. */
int settings_check_path(const char *text, struct err *e);

/* Origins (RFC 6454) with a comma between, or "*". */
int settings_check_cors(const char *text, struct err *e);

/* The handler's syntax is its runtime's. */
int settings_check_handler(const struct settings *s, struct err *e);

#endif
