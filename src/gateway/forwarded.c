/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/forwarded.h"

#include <string.h>

static bool is_trusted(const struct config *c, const struct address *a)
{
    for (uint32_t i = 0; i < c->proxy_count; i++)
        if (address_is_in(a, &c->proxies[i]))
            return true;
    return false;
}

/* "client, proxy1, proxy2", over all fields of that name: the hops from the last to the first. */
struct hops {
    const struct http1_request *request;
    unsigned field; /* one behind the next to look at */
    struct str rest;
    bool open; /* rest holds hops still, perhaps an empty one */
};

static bool next_hop(struct hops *h, struct str *ret_hop)
{
    while (!h->open) {
        if (h->field == 0)
            return false;
        const struct http1_field *f = &h->request->fields[--h->field];
        if (!str_is_nocase(f->name, "x-forwarded-for"))
            continue;
        h->rest = f->value;
        h->open = true;
    }
    size_t at = h->rest.n;
    while (at > 0 && h->rest.p[at - 1] != ',')
        at--;
    *ret_hop = str_trim(str_skip(h->rest, at));
    h->open = at > 0;
    h->rest.n = at > 0 ? at - 1 : 0;
    return true;
}

/* The nearest hop that no trusted proxy is. False: somebody on the way wrote what is no address. */
static bool find_client(const struct exchange *x, struct address *client, bool *ret_forwarded)
{
    struct hops hops = {.request = x->request, .field = x->request->field_count};
    struct str hop;
    *ret_forwarded = false;
    while (next_hop(&hops, &hop)) {
        *ret_forwarded = true;
        if (!address_parse(hop, client))
            return false;
        if (!is_trusted(x->gateway->config, client))
            return true;
    }
    return true;
}

/* The one value of the one field by that name; empty when there is none, or more than one to choose from. */
static struct str find_single(const struct http1_request *r, const char *name)
{
    struct str found = {0};
    unsigned count = 0;
    for (unsigned i = 0; i < r->field_count; i++) {
        if (!str_is_nocase(r->fields[i].name, name))
            continue;
        found = r->fields[i].value;
        count++;
    }
    return count == 1 && !(found.n && memchr(found.p, ',', found.n)) ? found : (struct str){0};
}

void forwarded_apply(struct exchange *x, char peer[INET6_ADDRSTRLEN])
{
    struct address client = {.family = ADDRESS_UNIX};
    bool forwarded;
    x->host = x->request->host;
    x->is_remote = x->is_plain = x->listener == GATEWAY_LISTENER_REMOTE;
    if (x->gateway->config->proxy_count == 0 || x->listener == GATEWAY_LISTENER_CONTROL)
        return;
    if ((peer[0] && !address_parse(str_from(peer), &client)) || !is_trusted(x->gateway->config, &client))
        return;
    bool known = find_client(x, &client, &forwarded);
    if (!forwarded)
        return; /* the proxy's own request, or somebody beside it */
    /* Of a client that nobody can name nothing good is believed, and the proxy answers for it. */
    x->is_remote = !known || !address_is_loopback(&client);
    if (known && client.family != ADDRESS_UNIX) {
        char text[ADDRESS_RANGE_TEXT_MAX];
        address_print(&client, text);
        str_copy(str_from(text), peer, INET6_ADDRSTRLEN);
    }
    x->is_plain = x->is_remote && !str_is_nocase(find_single(x->request, "x-forwarded-proto"), "https");
    struct str host = find_single(x->request, "x-forwarded-host");
    if (host.n)
        x->host = host;
}
