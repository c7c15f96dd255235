/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/name.h"

#include <string.h>

const char lambda_name_pattern[] = "(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?(\\d{12}:)?("
                                   "function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?";

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_name_byte(char c)
{
    return is_digit(c) || is_lower((char)(c | 0x20)) || c == '-' || c == '_';
}

/* Two letters, words, one digit: "us-gov-west-1". */
bool lambda_region_is_valid(struct str text)
{
    unsigned dashes = 0;
    if (text.n < 6 || text.n >= LAMBDA_REGION_MAX || !is_lower(text.p[0]) || !is_lower(text.p[1]) || text.p[2] != '-' ||
        !is_digit(text.p[text.n - 1]) || text.p[text.n - 2] != '-')
        return false;
    for (size_t i = 2; i + 1 < text.n; i++) {
        bool dash = text.p[i] == '-';
        if (!dash && !is_lower(text.p[i]))
            return false;
        if (dash && i > 2 && text.p[i - 1] == '-')
            return false;
        dashes += dash;
    }
    return dashes >= 2;
}

static bool is_account(struct str text)
{
    if (text.n != LAMBDA_ACCOUNT_MAX - 1)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!is_digit(text.p[i]))
            return false;
    return true;
}

/* "arn:aws-cn:lambda:": what stands behind it, or all of it when there is none. */
static struct str skip_arn(struct str text)
{
    struct str rest = str_skip(text, 4);
    if (!str_starts_with(text, "arn:"))
        return text;
    if (!str_starts_with(rest, ":") && !str_starts_with(rest, "aws"))
        return text;
    size_t n = 0;
    while (n < rest.n && rest.p[n] != ':' && (is_lower((char)(rest.p[n] | 0x20)) || rest.p[n] == '-'))
        n++;
    rest = str_skip(rest, n);
    return str_starts_with(rest, ":lambda:") ? str_skip(rest, 8) : text;
}

static bool is_plain(struct str text, bool dots)
{
    for (size_t i = 0; i < text.n; i++)
        if (!is_name_byte(text.p[i]) && !(dots && text.p[i] == '.'))
            return false;
    return text.n > 0;
}

bool lambda_name_parse(struct str text, struct lambda_name *ret)
{
    struct str rest;
    bool found;
    *ret = (struct lambda_name){0};
    text = skip_arn(text);
    struct str part = str_cut(text, ':', &rest, &found);
    if (found && lambda_region_is_valid(part)) {
        ret->region = part;
        text = rest;
        part = str_cut(text, ':', &rest, &found);
    }
    if (found && is_account(part)) {
        ret->account = part;
        text = rest;
        part = str_cut(text, ':', &rest, &found);
    }
    if (found && str_is(part, "function"))
        part = str_cut(rest, ':', &rest, &found);
    ret->name = part;
    ret->qualifier = rest;
    return is_plain(part, true) && (!found || str_is(rest, "$LATEST") || is_plain(rest, false));
}

bool lambda_name_matches(struct str text)
{
    struct lambda_name ignored;
    return lambda_name_parse(text, &ignored);
}
