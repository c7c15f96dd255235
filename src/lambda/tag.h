/* SPDX-License-Identifier: Apache-2.0 */
/* TagResource, UntagResource, ListTags. Tags are a function's; nothing here looks at them. */
#ifndef FAASD_LAMBDA_TAG_H
#define FAASD_LAMBDA_TAG_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_tag_resource, lambda_untag_resource, lambda_list_tags;

enum { TAG_FAULT_MAX = 512 };
/* Could a function have these? NULL or null: none. False: `fault` is a sentence for InvalidParameterValueException. */
bool tags_check(const struct json *tags, char fault[TAG_FAULT_MAX]);

#endif
