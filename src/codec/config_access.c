/* SPDX-License-Identifier: Apache-2.0 */
/* The lists that say whom to believe: names of this machine, proxies in front of it. */
#include "codec/config_key.h"

#include <errno.h>
#include <string.h>

/* Letters, digits, '-', '_' and single dots in between: what a Host field says without its port. */
int config_add_host(struct config *c, const char *text, struct err *e)
{
    size_t n = strlen(text);
    bool good = n > 0 && n < CONFIG_HOST_MAX && text[0] != '.' && text[n - 1] != '.' && !strstr(text, "..");
    for (size_t i = 0; good && i < n; i++) {
        char ch = text[i];
        good = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' ||
               ch == '_' || ch == '.';
    }
    if (!good)
        return err_say(e, EINVAL, "'%.64s' is not a host's name without its port, such as faas.example.org", text);
    if (c->host_count == CONFIG_HOSTS_MAX)
        return err_say(e, EINVAL, "more than %d names", (int)CONFIG_HOSTS_MAX);
    memcpy(c->hosts[c->host_count++], text, n + 1);
    return 0;
}

int config_add_proxy(struct config *c, const char *text, struct err *e)
{
    struct address_range range;
    if (!address_parse_range(str_from(text), &range))
        return err_say(e, EINVAL,
                       "'%.64s' is not a range of addresses: write 192.0.2.7, 10.0.0.0/8, ::1 or unix: (whoever uses "
                       "invoke.sock); no bit behind the prefix may be set",
                       text);
    if (c->proxy_count == CONFIG_PROXIES_MAX)
        return err_say(e, EINVAL, "more than %d ranges", (int)CONFIG_PROXIES_MAX);
    c->proxies[c->proxy_count++] = range;
    return 0;
}
