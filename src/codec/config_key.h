/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of codec/config*.c: the table of keys, and the keys that are lists. */
#ifndef FAASD_CODEC_CONFIG_KEY_H
#define FAASD_CODEC_CONFIG_KEY_H

#include "codec/config.h"
#include "codec/config_variable.h"
#include "codec/scalar.h"

#include <sys/stat.h>

enum config_shape {
    CONFIG_SCALAR,
    CONFIG_LISTEN,
    CONFIG_ETC,
    CONFIG_GRANT_MOUNTS,
    CONFIG_GRANT_DEVICES,
    CONFIG_RUNTIMES,
    CONFIG_HOSTS,
    CONFIG_PROXIES,
    CONFIG_NAME_SERVERS,
    CONFIG_EGRESS_PRIVATE,
    CONFIG_BUCKETS, /* this and the next: objects whose members are entries "NAME=VALUE" (codec/config_lambda.c) */
    CONFIG_ROLES
};

struct config_row {
    struct scalar scalar; /* of lists: the name alone; "defaults.memory" stands in the object "defaults" */
    enum config_shape shape;
    bool restart; /* a change takes effect at the next start */
};

extern const struct config_row config_rows[];
extern const unsigned config_row_count;

int config_add_etc(struct config *c, const char *text, struct err *e);
int config_add_grant_mount(struct config *c, const char *text, struct err *e);
int config_add_grant_device(struct config *c, const char *text, struct err *e);
int config_add_host(struct config *c, const char *text, struct err *e);
int config_add_proxy(struct config *c, const char *text, struct err *e);
/* The network `egress` (codec/config_egress.c). */
int config_check_egress_range(const char *text, struct err *e);
int config_add_name_server(struct config *c, const char *text, struct err *e);
int config_add_egress_private(struct config *c, const char *text, struct err *e);
int config_print_range(const struct egress_range *r, struct buf *out); /* -EINVAL: it is none */
int config_check_egress(const struct config *c, struct err *e);        /* what holds between its keys */
/* "zips=/srv/zips", "arn:aws:iam::000000000000:role/reader=SECRET,NETWORK": one that has the same name is replaced. */
int config_add_bucket(struct config *c, const char *text, struct err *e);
int config_add_role(struct config *c, const char *text, struct err *e);
/* The objects of a file, and what they are printed as. */
struct json;
struct json_writer;
int config_read_named(struct config *c, enum config_shape shape, const struct json *value, struct err *e);
void config_put_named(const struct config *c, enum config_shape shape, const char *key, struct json_writer *w);
/* The i-th as such a text. */
int config_named_entry(const struct config *c, enum config_shape shape, uint32_t i, struct buf *out);
/* One entry of any list of texts. */
int config_add_entry(struct config *c, enum config_shape shape, const char *text, struct err *e);

/* The variable that sets a row: "FAASD_DEFAULTS_MEMORY". */
void config_variable_name(const struct config_row *row, char out[CONFIG_VARIABLE_MAX]);

int config_check_runtimes(const struct config *c, struct err *e);

/* Absolute, without empty, "." or ".." components. */
int config_check_absolute(struct str path, struct err *e);
/* Root's or the caller's, and written by nobody else. `path` for the message. */
int config_check_owner(const struct stat *st, const char *path, struct err *e);

/* Entries of a list, and the i-th as people write it. */
uint32_t config_list_count(const struct config *c, enum config_shape shape);
int config_list_entry(const struct config *c, enum config_shape shape, uint32_t i, struct buf *out);

/* One TCP address with its port: "0.0.0.0:9100"; "" is fine. -EINVAL. */
int config_check_metrics_listen(const char *text, struct err *e);

#endif
