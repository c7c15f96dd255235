/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/reply_fields.h"

#include "gateway/cgi.h"

enum { NUMBER_MAX = 64 };

/* A header's value: text, or a number or truth as JSON prints it. */
static bool print_value(const struct json *v, struct buf *out, struct str *ret_value)
{
    const char *text = json_text(v);
    struct json_writer w;
    out->len = 0;
    if (text) {
        *ret_value = str_from(text);
        return true;
    }
    if (json_type_of(v) != JSON_NUMBER && json_type_of(v) != JSON_BOOL)
        return false;
    json_writer_init(&w, out);
    json_put_value(&w, NULL, v);
    *ret_value = buf_str(out);
    return json_writer_end(&w) == 0;
}

static bool add(struct reply_fields *f, struct str name, struct str value)
{
    f->has_type = f->has_type || str_is_nocase(name, "content-type");
    return cgi_add_field(name, value, f->bytes, REPLY_FIELDS_MAX, &f->len);
}

static bool add_headers(struct reply_fields *f, const struct json *headers, struct buf *number)
{
    JSON_EACH(headers, header)
    {
        struct str value;
        if (!print_value(header, number, &value) || !add(f, str_from(json_key(header)), value))
            return false;
    }
    return true;
}

bool reply_fields_add(struct reply_fields *f, const struct json *headers, const struct json *cookies)
{
    struct buf number;
    bool forms = (json_is_object(headers) || json_type_of(headers) == JSON_NULL) &&
                 (json_is_array(cookies) || json_type_of(cookies) == JSON_NULL);
    if (!forms)
        return false;
    buf_init(&number, NUMBER_MAX);
    bool good = add_headers(f, headers, &number);
    buf_fini(&number);
    if (!good)
        return false;
    JSON_EACH(cookies, cookie)
    if (!json_text(cookie) || !add(f, STR_LITERAL("set-cookie"), str_from(json_text(cookie))))
        return false;
    return true;
}

int reply_fields_status(const struct json *v)
{
    uint64_t status;
    if (!json_to_u64(v, &status) && !(json_text(v) && str_to_u64(str_from(json_text(v)), &status)))
        return 0;
    return status >= 200 && status <= 599 ? (int)status : 0;
}
