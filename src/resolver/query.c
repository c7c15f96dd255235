/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one question: from the door to a name server, to the supervisor, and back. */
#include "base/fdio.h"
#include "base/id.h"
#include "os/sock.h"
#include "resolver/internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

enum { DOOR_BATCH = 32 };

static struct query *find_free(struct resolver *r)
{
    for (unsigned i = 0; i < QUERIES_MAX; i++)
        if (r->queries[i].state == QUERY_FREE)
            return &r->queries[i];
    return NULL;
}

/* Nobody waits for a reply that can't be sent now: whoever asked asks again. */
static void reply(const struct sockaddr_in *client, const struct dns_query *question, const struct dns_answer *a)
{
    uint8_t out[DNS_REPLY_MAX];
    size_t n = dns_put_reply(out, question, a);
    ssize_t sent;
    do
        sent = sendto(RESOLVER_FD_DOOR, out, n, MSG_DONTWAIT, (const struct sockaddr *)client, sizeof(*client));
    while (sent < 0 && errno == EINTR);
}

static void end(struct query *q, enum dns_rcode rcode)
{
    struct instance *i = instance_find(q->index);
    q->answer.rcode = (uint8_t)rcode;
    if (rcode != DNS_NO_ERROR)
        q->answer.count = 0;
    if (q->answer.ttl_s > TTL_SHOWN_MAX)
        q->answer.ttl_s = TTL_SHOWN_MAX;
    if (i) {
        reply(&q->client, &q->question, &q->answer);
        i->queries--;
    }
    fd_close(&q->fd);
    q->state = QUERY_FREE;
}

/* ---- name servers ---- */

/* A socket of its own each time: the kernel chooses the port at random, and only the server it is connected to is heard. */
static bool ask(struct resolver *r, struct query *q)
{
    uint8_t out[DNS_REPLY_MAX];
    const struct server *s = &r->servers[q->tries % r->server_count];
    fd_close(&q->fd);
    q->id = (uint16_t)id_random_u64();
    q->tries++;
    q->deadline_ms = r->now_ms + TRY_MS;
    q->fd = socket(s->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (q->fd < 0 || connect(q->fd, (const struct sockaddr *)&s->address, s->length) < 0)
        return false;
    size_t n = dns_put_query(out, &q->question, q->id);
    return send(q->fd, out, n, MSG_DONTWAIT) == (ssize_t)n;
}

static void try_again(struct resolver *r, struct query *q)
{
    while (q->tries < TRIES_MAX)
        if (ask(r, q))
            return;
    end(q, DNS_SERVER_FAILURE);
}

static void ask_for_servers(struct resolver *r)
{
    struct resolver_plain m = {.header = {.type = RESOLVER_ASK_SERVERS, .size = sizeof(m)}};
    if (r->boot.server_count || r->now_ms - r->servers_ms < SERVERS_AGE_MS)
        return;
    if (sock_send(RESOLVER_FD_LINK, &m, sizeof(m), NULL, 0) == 0)
        r->servers_ms = r->now_ms;
}

/* ---- the door ---- */

/* What needs no name server: true, it is answered. */
static bool answer_at_once(const struct dns_query *question, const struct sockaddr_in *client, bool is_allowed)
{
    struct dns_answer a = {.rcode = DNS_NO_ERROR};
    if (!is_allowed)
        a.rcode = DNS_NO_NAME;
    else if (question->type == DNS_A)
        return false;
    /* No other records: an IPv6 address among them, as there is no IPv6 inside. */
    reply(client, question, &a);
    return true;
}

static void take_query(struct resolver *r, struct instance *i, const struct dns_query *question,
                       const struct sockaddr_in *client)
{
    struct str name = str_from(question->name);
    uint16_t rules = name.n ? egress_match_name(i->rules, i->rule_count, name) : 0;
    bool is_allowed = name.n && (rules || egress_is_open(i->rules, i->rule_count));
    if (answer_at_once(question, client, is_allowed))
        return;
    struct query *q = find_free(r);
    if (!q)
        return;
    *q = (struct query){.state = QUERY_ASKING,
                        .number = r->next_number++,
                        .index = i->index,
                        .rules = rules,
                        .fd = -1,
                        .client = *client,
                        .question = *question};
    i->queries++;
    ask_for_servers(r);
    try_again(r, q);
}

static void take_message(struct resolver *r, const uint8_t *bytes, size_t n, uint32_t index,
                         const struct sockaddr_in *client)
{
    struct dns_query question;
    struct instance *i = instance_find(index);
    if (!i || ntohl(client->sin_addr.s_addr) != i->address || !instance_may_ask(i, r->now_ms))
        return;
    switch (dns_read_query(bytes, n, &question)) {
    case DNS_FOREIGN:
        return;
    case DNS_BAD:
        question.question_bytes = 0;
        reply(client, &question, &(struct dns_answer){.rcode = DNS_FORMAT_ERROR});
        return;
    case DNS_GOOD:
        take_query(r, i, &question, client);
        return;
    }
}

/* By which interface it came. */
static uint32_t arrival(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            return (uint32_t)info.ipi_ifindex;
        }
    return 0;
}

void query_take(struct resolver *r)
{
    for (int k = 0; k < DOOR_BATCH; k++) {
        uint8_t bytes[DNS_REPLY_MAX];
        char control[CMSG_SPACE(sizeof(struct in_pktinfo))];
        struct sockaddr_in client = {0};
        struct iovec part = {bytes, sizeof(bytes)};
        struct msghdr m = {.msg_name = &client,
                           .msg_namelen = sizeof(client),
                           .msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(RESOLVER_FD_DOOR, &m, MSG_DONTWAIT);
        if (n < 0)
            return;
        if (!(m.msg_flags & MSG_TRUNC) && m.msg_namelen == sizeof(client) && client.sin_family == AF_INET)
            take_message(r, bytes, (size_t)n, arrival(&m), &client);
    }
}

/* ---- answers ---- */

/* Private addresses, link-local ones among them, are not passed on: a public name must not lead to them. */
static void keep_granted(const struct resolver *r, struct dns_answer *a)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < a->count; i++)
        if (egress_is_granted(&r->boot.grants, a->addresses[i]))
            a->addresses[kept++] = a->addresses[i];
    a->count = kept;
}

/* Without a rule that has the name only public addresses are open, and those are anyway. */
static void pass_on(struct resolver *r, struct query *q)
{
    if (q->rules == 0 || q->answer.count == 0) {
        unsigned kept = 0;
        for (unsigned i = 0; i < q->answer.count; i++)
            if (egress_is_public(q->answer.addresses[i]))
                q->answer.addresses[kept++] = q->answer.addresses[i];
        q->answer.count = kept;
        end(q, DNS_NO_ERROR);
        return;
    }
    static_assert((int)RESOLVER_ADDRESSES_MAX == (int)DNS_ADDRESSES_MAX, "all that an answer has");
    struct resolver_allow m = {.header = {.type = RESOLVER_ALLOW, .size = sizeof(m)},
                               .query = q->number,
                               .index = q->index,
                               .rules = q->rules,
                               .ttl_s = q->answer.ttl_s > TTL_SHOWN_MAX ? TTL_SHOWN_MAX : q->answer.ttl_s,
                               .count = q->answer.count};
    memcpy(m.addresses, q->answer.addresses, sizeof(m.addresses));
    if (sock_send(RESOLVER_FD_LINK, &m, sizeof(m), NULL, 0) < 0) {
        end(q, DNS_SERVER_FAILURE);
        return;
    }
    fd_close(&q->fd);
    q->state = QUERY_ALLOWING;
    q->deadline_ms = r->now_ms + ALLOW_MS;
}

void query_on_answer(struct resolver *r, struct query *q)
{
    static uint8_t bytes[DNS_MESSAGE_MAX];
    ssize_t n = recv(q->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM))
        return;  /* it is there still, or comes yet */
    if (n < 0) { /* nobody listens there */
        try_again(r, q);
        return;
    }
    if (dns_read_answer(bytes, (size_t)n, &q->question, q->id, &q->answer) != DNS_GOOD)
        return; /* the true one may still come */
    if (q->answer.rcode == DNS_NO_NAME)
        end(q, DNS_NO_NAME);
    else if (q->answer.rcode != DNS_NO_ERROR)
        try_again(r, q);
    else {
        keep_granted(r, &q->answer);
        pass_on(r, q);
    }
}

void query_on_allowed(struct resolver *r, uint64_t number, bool allowed)
{
    for (unsigned i = 0; i < QUERIES_MAX; i++) {
        struct query *q = &r->queries[i];
        if (q->state == QUERY_ALLOWING && q->number == number) {
            end(q, allowed ? DNS_NO_ERROR : DNS_SERVER_FAILURE);
            return;
        }
    }
}

void query_on_deadline(struct resolver *r, struct query *q)
{
    if (q->state == QUERY_ALLOWING)
        end(q, DNS_SERVER_FAILURE);
    else
        try_again(r, q);
}
