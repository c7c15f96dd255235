/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/layer_name.h"

#include <stdio.h>
#include <string.h>

static bool is_name(struct str text)
{
    bool good = text.n > 0 && text.n < LAYER_NAME_MAX;
    for (size_t i = 0; good && i < text.n; i++) {
        char c = text.p[i], lower = (char)(c | 0x20);
        good = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || c == '-' || c == '_';
    }
    return good;
}

static bool is_digits(struct str text, size_t n)
{
    return text.n == n && strspn(text.p, "0123456789") >= n;
}

bool layer_name_parse(struct str text, struct layer_name *ret)
{
    struct str parts[8], rest = text;
    unsigned n = 0;
    bool more = true;
    memset(ret, 0, sizeof(*ret));
    while (more && n < 8)
        parts[n++] = str_cut(rest, ':', &rest, &more);
    if (more)
        return false;
    if (n == 1)
        return is_name(text) && str_copy(text, ret->name, sizeof(ret->name));
    if (n < 7 || !str_is(parts[0], "arn") || !str_is(parts[2], "lambda") || !lambda_region_is_valid(parts[3]) ||
        !is_digits(parts[4], LAMBDA_ACCOUNT_MAX - 1) || !str_is(parts[5], "layer") || !is_name(parts[6]))
        return false;
    if (n == 8 && (!str_to_u64(parts[7], &ret->number) || ret->number == 0 || ret->number > INT64_MAX))
        return false;
    return str_copy(parts[3], ret->region, sizeof(ret->region)) &&
           str_copy(parts[4], ret->account, sizeof(ret->account)) && str_copy(parts[6], ret->name, sizeof(ret->name));
}

const char *layer_name_print(const char *region, const char *account, const char *name, uint64_t number,
                             char out[LAYER_ARN_MAX])
{
    int n = snprintf(out, LAYER_ARN_MAX, "arn:aws:lambda:%s:%s:layer:%s", region, account, name);
    if (number)
        snprintf(out + n, LAYER_ARN_MAX - (size_t)n, ":%lu", (unsigned long)number);
    return out;
}
