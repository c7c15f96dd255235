/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a text JSON (RFC 8259)? For events and replies that only pass through: no tree, no allocation, no copy, one look at each byte. What codec/json.h refuses
 * because programs read it differently (duplicate keys, huge numbers, lone surrogates as escapes) is JSON here: its reader may decide.
 */
#ifndef FAASD_CODEC_JSON_CHECK_H
#define FAASD_CODEC_JSON_CHECK_H

#include "base/str.h"

enum { JSON_CHECK_DEPTH_MAX = 4096 };

/* True when it is one value with nothing but blanks around it. False: *ret_offset (may be NULL) is the byte at which no JSON can go on; text.n when it
 * ended too early. Arrays and objects more than JSON_CHECK_DEPTH_MAX deep are no JSON. */
bool json_check(struct str text, size_t *ret_offset);

/* Are these bytes UTF-8, so that json_escape() changes no character of them? */
bool json_check_utf8(struct str bytes);

#endif
