/* SPDX-License-Identifier: Apache-2.0 */
/* The small questions about fields, status codes and queries. */
#include "codec/http1_scan.h"

#include <string.h>
#include <strings.h>

const struct http1_field *http1_find_field(const struct http1_field *fields, unsigned count, const char *name)
{
    size_t n = strlen(name);
    for (unsigned i = 0; i < count; i++)
        if (fields[i].name.n == n && strncasecmp(fields[i].name.p, name, n) == 0)
            return &fields[i];
    return NULL;
}

bool http1_field_is_valid(struct str name, struct str value)
{
    return name.n > 0 && http1_all(name, HTTP1_TOKEN) && http1_all(value, HTTP1_VALUE);
}

bool http1_field_is_framing(struct str name)
{
    static const char proxy[] = "proxy-";
    static const char *const names[] = {"connection", "keep-alive",    "te", "trailer", "transfer-encoding",
                                        "upgrade",    "content-length"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (str_is_nocase(name, names[i]))
            return true;
    return name.n >= sizeof(proxy) - 1 && strncasecmp(name.p, proxy, sizeof(proxy) - 1) == 0;
}

/* The registry of RFC 9110 section 15 and RFC 6585, the everyday ones first. */
static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {100, "Continue"},
    {101, "Switching Protocols"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http1_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}

bool http1_percent_decode(struct str in, char *out, size_t cap, size_t *ret_len)
{
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        unsigned byte = (unsigned char)in.p[i];
        if (byte == '%') {
            if (in.n - i < 3 || !http1_is(in.p[i + 1], HTTP1_HEX) || !http1_is(in.p[i + 2], HTTP1_HEX))
                return false;
            byte = http1_hex_value(in.p[i + 1]) << 4 | http1_hex_value(in.p[i + 2]);
            i += 2;
        }
        if (byte == 0 || n == cap)
            return false;
        out[n++] = (char)byte;
    }
    *ret_len = n;
    return true;
}

bool http1_query_find(struct str query, const char *key, struct str *ret_value)
{
    for (bool more = query.n > 0; more;) {
        struct str value;
        struct str pair = str_cut(query, '&', &query, &more);
        struct str name = str_cut(pair, '=', &value, NULL);
        if (str_is(name, key)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

void http1_query_blank(char *query, size_t n, const char *key)
{
    struct str rest = {query, n};
    for (bool more = n > 0; more;) {
        struct str value;
        struct str pair = str_cut(rest, '&', &rest, &more);
        if (str_is(str_cut(pair, '=', &value, NULL), key) && value.n)
            memset(query + (value.p - query), '*', value.n);
    }
}
