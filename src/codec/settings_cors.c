/* SPDX-License-Identifier: Apache-2.0 */
/* The key `cors`: which web pages may call a function from the browser. */
#include "codec/settings_key.h"

#include <errno.h>
#include <string.h>

enum { SHOWN_MAX = 64 };

/* "https://app.example.org:8443" as a browser sends it: lower case, no slash behind, which is how it is compared. */
static bool is_origin(struct str text)
{
    struct str scheme_rest = {0}, host, port;
    bool has_port;
    if (str_starts_with(text, "https://"))
        scheme_rest = str_skip(text, strlen("https://"));
    else if (str_starts_with(text, "http://"))
        scheme_rest = str_skip(text, strlen("http://"));
    if (scheme_rest.n && scheme_rest.p[0] == '[') {
        bool closed;
        host = str_cut(str_skip(scheme_rest, 1), ']', &port, &closed);
        has_port = port.n > 0;
        if (!closed || (has_port && port.p[0] != ':'))
            return false;
        port = str_skip(port, 1);
    } else {
        host = str_cut(scheme_rest, ':', &port, &has_port);
    }
    uint64_t number;
    bool good = host.n > 0 && (!has_port || (str_to_u64(port, &number) && number > 0 && number < 65536));
    for (size_t i = 0; good && i < host.n; i++) {
        char c = host.p[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':' || c == '_';
    }
    return good;
}

int settings_check_cors(const char *text, struct err *e)
{
    bool more = *text != '\0';
    if (strcmp(text, "*") == 0)
        return 0;
    for (struct str rest = str_from(text); more;) {
        struct str origin = str_cut(rest, ',', &rest, &more);
        if (!is_origin(origin))
            return err_say(e, EINVAL,
                           "'%.*s' is not an origin: write https://app.example.org,http://localhost:3000 in lower case "
                           "and without a path, or * for every page",
                           (int)(origin.n < SHOWN_MAX ? origin.n : SHOWN_MAX), origin.n ? origin.p : "");
    }
    return 0;
}

bool settings_cors_allows(const struct settings *s, struct str origin)
{
    bool more = s->cors[0] != '\0';
    if (s->cors[0] == '*')
        return true;
    for (struct str rest = str_from(s->cors); more;)
        if (str_equal(str_cut(rest, ',', &rest, &more), origin))
            return true;
    return false;
}
