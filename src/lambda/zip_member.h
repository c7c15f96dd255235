/* SPDX-License-Identifier: Apache-2.0 */
/* The archive within a request's JSON: "ZipFile" at its top or one level below ("Code", "Content"), up to 70 MB of base64 that no reader of JSON should hold twice. Pure. */
#ifndef FAASD_LAMBDA_ZIP_MEMBER_H
#define FAASD_LAMBDA_ZIP_MEMBER_H

#include "base/str.h"

#include <stdbool.h>

/* What stands between the quotes; p is NULL when there is none. Whether the rest is JSON is not looked at. */
struct str zip_member_find(struct str json);

/* Bytes that it stands for; of what is no base64 anything. */
size_t zip_member_size(struct str text);

enum { ZIP_MEMBER_PIECE = 24576 }; /* bytes of one zip_member_decode() */

/* The next bytes; *rest shrinks. False: it is no base64. "\/" is read as the '/' that some writers mean by it. */
bool zip_member_decode(struct str *rest, char out[ZIP_MEMBER_PIECE], size_t *ret_n);

#endif
