/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cgi.h"

#include "codec/http1.h"

#include <string.h>
#include <strings.h>

/* Headers by which clients tell faasd's words from the function's. */
static bool is_ours(struct str name)
{
    return str_is_nocase(name, "x-request-id") || str_is_nocase(name, "x-duration-seconds") ||
           str_is_nocase(name, "server-timing") || str_is_nocase(name, "traceparent") ||
           str_is_nocase(name, "x-amzn-trace-id") || (name.n >= 8 && strncasecmp(name.p, "x-faasd-", 8) == 0);
}

bool cgi_add_field(struct str name, struct str value, char *buffer, size_t cap, size_t *len)
{
    if (!http1_field_is_valid(name, value))
        return false;
    if (http1_field_is_framing(name) || is_ours(name))
        return true;
    if (name.n + value.n + 4 > cap - *len)
        return false;
    char *p = buffer + *len;
    memcpy(p, name.p, name.n);
    p += name.n;
    memcpy(p, ": ", 2);
    p += 2;
    if (value.n)
        memcpy(p, value.p, value.n);
    p += value.n;
    memcpy(p, "\r\n", 2);
    *len = (size_t)(p + 2 - buffer);
    return true;
}

/* "404 Not Found" -> 404; 0 when it is none. */
static int parse_status(struct str value)
{
    struct str reason;
    uint64_t status;
    struct str digits = str_cut(value, ' ', &reason, NULL);
    if (digits.n != 3 || !str_to_u64(digits, &status) || status < 200 || status > 599)
        return 0;
    return (int)status;
}

/* The next line without its ending; false at the end of the output without one. */
static bool next_line(struct str *in, struct str *ret_line)
{
    bool found;
    *ret_line = str_cut(*in, '\n', in, &found);
    if (ret_line->n && ret_line->p[ret_line->n - 1] == '\r')
        ret_line->n--;
    return found;
}

bool cgi_head_is_complete(struct str out)
{
    struct str line;
    while (next_line(&out, &line))
        if (line.n == 0)
            return true;
    return false;
}

const char *cgi_parse_reply(struct str out, char *buffer, size_t cap, struct cgi_reply *ret_reply)
{
    struct cgi_reply r = {.status = 0};
    size_t len = 0;
    bool has_location = false;
    bool has_field = false;
    struct str line;
    for (;;) {
        if (!next_line(&out, &line))
            return "no empty line ends the CGI header";
        if (line.n == 0)
            break;
        struct str value;
        bool found;
        struct str name = str_cut(line, ':', &value, &found);
        if (!found)
            return "a line of the CGI header has no ':'";
        value = str_trim(value);
        has_field = true;
        has_location = has_location || str_is_nocase(name, "location");
        if (str_is_nocase(name, "status")) {
            r.status = parse_status(value);
            if (!r.status)
                return "Status is not a number from 200 to 599";
        } else if (!cgi_add_field(name, value, buffer, cap, &len)) {
            return "a field of the CGI header is invalid, or they are longer than 64 KiB";
        }
    }
    if (!has_field)
        return "the CGI header is empty: it needs Content-Type, Location or Status";
    if (!r.status)
        r.status = has_location ? 302 : 200;
    r.fields = (struct str){buffer, len};
    r.body = out;
    *ret_reply = r;
    return NULL;
}
