/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/zip_member.h"

#include "codec/base64.h"

#include <string.h>

enum { DEPTH_MAX = 2, GROUPS_BYTES = ZIP_MEMBER_PIECE / 3 * 4 };

/* From behind the opening quote to the closing one; n is the whole rest when that is missing. */
static struct str take_string(struct str text)
{
    size_t from = 0;
    while (from < text.n) {
        const char *quote = memchr(text.p + from, '"', text.n - from);
        if (!quote)
            break;
        size_t n = (size_t)(quote - text.p), slashes = 0;
        while (slashes < n && text.p[n - slashes - 1] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return (struct str){text.p, n};
        from = n + 1;
    }
    return text;
}

static struct str skip_blanks(struct str text)
{
    while (text.n && memchr(" \t\r\n", *text.p, 4))
        text = str_skip(text, 1);
    return text;
}

/* What follows a key: a colon and a string. */
static struct str take_value(struct str text)
{
    text = skip_blanks(text);
    if (!text.n || *text.p != ':')
        return (struct str){0};
    text = skip_blanks(str_skip(text, 1));
    if (!text.n || *text.p != '"')
        return (struct str){0};
    return take_string(str_skip(text, 1));
}

struct str zip_member_find(struct str json)
{
    unsigned depth = 0;
    while (json.n) {
        char c = *json.p;
        json = str_skip(json, 1);
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && depth)
            depth--;
        if (c != '"')
            continue;
        struct str text = take_string(json);
        json = str_skip(json, text.n + 1);
        if (depth && depth <= DEPTH_MAX && str_is(text, "ZipFile")) {
            struct str value = take_value(json);
            if (value.p)
                return value;
        }
    }
    return (struct str){0};
}

size_t zip_member_size(struct str text)
{
    size_t slashes = 0, padding = 0;
    if (!text.p)
        return 0;
    for (const char *at = text.p; (at = memchr(at, '\\', text.n - (size_t)(at - text.p))); at++)
        slashes++;
    while (padding < 2 && padding < text.n && text.p[text.n - padding - 1] == '=')
        padding++;
    size_t n = BASE64_DECODED_MAX(text.n - slashes);
    return n > padding ? n - padding : 0;
}

bool zip_member_decode(struct str *rest, char out[ZIP_MEMBER_PIECE], size_t *ret_n)
{
    char groups[GROUPS_BYTES];
    size_t n = 0, at = 0;
    for (; at < rest->n && n < sizeof(groups); at++)
        if (rest->p[at] != '\\' || at + 1 == rest->n || rest->p[at + 1] != '/')
            groups[n++] = rest->p[at];
    *rest = str_skip(*rest, at);
    bool ends_early = rest->n && n && groups[n - 1] == '=';
    return !ends_early && base64_decode((struct str){groups, n}, out, ZIP_MEMBER_PIECE, ret_n);
}
