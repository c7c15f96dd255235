/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a JSON text without a tree: for texts of megabytes of which a few members matter. All of it is for texts that json_check() has accepted; nothing here
 * looks for faults again.
 */
#ifndef FAASD_CODEC_JSON_SPAN_H
#define FAASD_CODEC_JSON_SPAN_H

#include "base/buf.h"

#include <stdbool.h>

/* The text's one value without the blanks around it. */
struct str json_span_value(struct str text);

/* The members of an object, one after the other: *at begins as {0} and is where the search goes on. The key is without its quotes, escaped as it came. False: that was the last,
 * or it is no object. */
struct json_span_place {
    size_t at;
};
bool json_span_member(struct str object, struct json_span_place *place, struct str *ret_key, struct str *ret_value);

bool json_span_is_string(struct str value);
/* What a string stands for, appended as UTF-8. NULs stay; half a surrogate pair becomes U+FFFD. 0, -ENOMEM, -EMSGSIZE. */
int json_span_add_text(struct buf *out, struct str string);
/* The value as it is, without the blanks between its tokens. 0, -ENOMEM, -EMSGSIZE. */
int json_span_add_compact(struct buf *out, struct str value);

#endif
