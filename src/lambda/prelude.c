/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/prelude.h"

#include "codec/json.h"

#include <string.h>

enum { NAME_MAX_BYTES = 256 };

static const char COOKIE[] = "set-cookie";

/* The next line's two halves. False: there is none. */
static bool next_field(struct str *lines, struct str *ret_name, struct str *ret_value)
{
    if (!lines->n)
        return false;
    struct str line = str_cut(*lines, '\r', lines, NULL);
    *lines = str_skip(*lines, lines->n ? 1 : 0);
    *ret_name = str_cut(line, ':', ret_value, NULL);
    *ret_value = str_trim(*ret_value);
    return true;
}

static void put_headers(struct json_writer *w, const struct invocation_reply *r)
{
    char key[NAME_MAX_BYTES];
    struct str lines = r->fields, name, value;
    json_put_object(w, "headers");
    if (r->content_type)
        json_put_text(w, "content-type", r->content_type);
    while (next_field(&lines, &name, &value)) {
        if (str_is_nocase(name, COOKIE) || name.n >= sizeof(key))
            continue;
        str_copy(name, key, sizeof(key));
        json_put_str(w, key, value);
    }
    json_put_object_end(w);
}

static void put_cookies(struct json_writer *w, const struct invocation_reply *r)
{
    struct str lines = r->fields, name, value;
    json_put_array(w, "cookies");
    while (next_field(&lines, &name, &value))
        if (str_is_nocase(name, COOKIE))
            json_put_str(w, NULL, value);
    json_put_array_end(w);
}

int lambda_prelude_print(const struct invocation_reply *r, struct buf *out)
{
    static const char end[8];
    struct json_writer w;
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    json_put_u64(&w, "statusCode", (uint64_t)r->status);
    put_headers(&w, r);
    put_cookies(&w, r);
    json_put_object_end(&w);
    int e = json_writer_end(&w);
    return e < 0 ? e : buf_add(out, end, sizeof(end));
}
