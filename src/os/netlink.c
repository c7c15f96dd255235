/* SPDX-License-Identifier: Apache-2.0 */
#include "os/netlink.h"

#include "base/fdio.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { ANSWER_BYTES = 16384 };
static const size_t attribute_head = sizeof(struct nlattr);
static_assert(sizeof(struct nlattr) % NLA_ALIGNTO == 0, "attributes begin at once behind their head");

int netlink_open(int protocol, struct err *e)
{
    scoped_fd fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return err_set(e, errno, "open a netlink socket");
    const struct timeval limit = {.tv_sec = NETLINK_TIMEOUT_S};
    const int on = 1;
    /* NETLINK_CAP_ACK: a refusal without the whole request in it */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) < 0)
        return err_set(e, errno, "set up a netlink socket");
    const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
        return err_set(e, errno, "bind a netlink socket");
    return fd_take(&fd);
}

/* ---- putting together ---- */

void netlink_begin(struct netlink_request *r)
{
    r->length = r->message = 0;
    r->depth = 0;
    r->overflow = false;
    if (r->next == 0)
        r->next = 1;
    r->first = r->next;
}

static void *reserve(struct netlink_request *r, size_t n)
{
    size_t padded = NLMSG_ALIGN(n);
    if (r->overflow || padded > sizeof(r->bytes) - r->length) {
        r->overflow = true;
        return NULL;
    }
    void *at = r->bytes + r->length;
    memset(at, 0, padded);
    r->length += padded;
    return at;
}

static void end_message(struct netlink_request *r)
{
    assert(r->depth == 0);
    struct nlmsghdr *h = (struct nlmsghdr *)(void *)(r->bytes + r->message);
    if (r->length > r->message && !r->overflow)
        h->nlmsg_len = (uint32_t)(r->length - r->message);
}

void netlink_message(struct netlink_request *r, uint16_t type, uint16_t flags, const void *head, size_t head_size)
{
    end_message(r);
    size_t start = r->length;
    struct nlmsghdr *h = reserve(r, sizeof(*h));
    if (!h)
        return;
    *h = (struct nlmsghdr){.nlmsg_type = type, .nlmsg_flags = flags | NLM_F_REQUEST, .nlmsg_seq = r->next++};
    r->message = start;
    netlink_put_raw(r, head, head_size);
}

void netlink_put_raw(struct netlink_request *r, const void *bytes, size_t n)
{
    void *at = reserve(r, n);
    if (at && n)
        memcpy(at, bytes, n);
}

void netlink_put(struct netlink_request *r, uint16_t attribute, const void *bytes, size_t n)
{
    struct nlattr *a = reserve(r, attribute_head + n);
    if (!a)
        return;
    *a = (struct nlattr){.nla_type = attribute, .nla_len = (uint16_t)(attribute_head + n)};
    if (n)
        memcpy((char *)a + attribute_head, bytes, n);
}

void netlink_put_text(struct netlink_request *r, uint16_t attribute, const char *text)
{
    netlink_put(r, attribute, text, strlen(text) + 1);
}

void netlink_put_u32(struct netlink_request *r, uint16_t attribute, uint32_t value)
{
    netlink_put(r, attribute, &value, sizeof(value));
}

void netlink_put_be32(struct netlink_request *r, uint16_t attribute, uint32_t value)
{
    netlink_put_u32(r, attribute, htonl(value));
}

void netlink_put_be64(struct netlink_request *r, uint16_t attribute, uint64_t value)
{
    value = htobe64(value);
    netlink_put(r, attribute, &value, sizeof(value));
}

void netlink_nest(struct netlink_request *r, uint16_t attribute)
{
    assert(r->depth < NETLINK_DEPTH_MAX);
    r->nests[r->depth++] = r->length;
    netlink_put(r, attribute | NLA_F_NESTED, NULL, 0);
}

void netlink_nest_end(struct netlink_request *r)
{
    assert(r->depth > 0);
    size_t start = r->nests[--r->depth];
    if (r->overflow)
        return;
    struct nlattr *a = (struct nlattr *)(void *)(r->bytes + start);
    a->nla_len = (uint16_t)(r->length - start);
}

/* ---- asking ---- */

static int send_whole(int fd, const struct netlink_request *r)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n;
    do
        n = sendto(fd, r->bytes, r->length, 0, (const struct sockaddr *)&kernel, sizeof(kernel));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static ssize_t receive(int fd, void *out, size_t cap)
{
    struct sockaddr_nl from = {0};
    socklen_t size = sizeof(from);
    ssize_t n;
    do
        n = recvfrom(fd, out, cap, MSG_TRUNC, (struct sockaddr *)&from, &size);
    while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0)); /* the kernel's alone */
    if (n < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    return (size_t)n > cap ? -EMSGSIZE : n;
}

/* The message whose ack is awaited: the last one that asked for it. */
static uint32_t awaited(const struct netlink_request *r)
{
    uint32_t last = r->first;
    for (size_t at = 0; at < r->length;) {
        const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)(r->bytes + at);
        if (h->nlmsg_flags & NLM_F_ACK)
            last = h->nlmsg_seq;
        at += NLMSG_ALIGN(h->nlmsg_len);
    }
    return last;
}

/* Verdicts come in order. One on the first message of a batch is one on all of it; one of an earlier request was left behind by such. */
static int await(int fd, const struct netlink_request *r)
{
    static char answer[ANSWER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO))); /* one thread asks */
    uint32_t last = awaited(r);
    int result = 0;
    for (;;) {
        ssize_t n = receive(fd, answer, sizeof(answer));
        if (n < 0)
            return (int)n;
        unsigned left = (unsigned)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)answer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            const struct nlmsgerr *verdict = NLMSG_DATA(h);
            if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq - r->first > last - r->first)
                continue;
            result = result ? result : verdict->error;
            if (h->nlmsg_seq == last || (h->nlmsg_seq == r->first && verdict->error))
                return result;
        }
    }
}

int netlink_ask(int fd, struct netlink_request *r, struct err *e)
{
    end_message(r);
    if (r->overflow)
        return err_say(e, EMSGSIZE, "a netlink request of more than %d bytes", NETLINK_BYTES_MAX);
    int result = send_whole(fd, r);
    if (result == 0)
        result = await(fd, r);
    return result < 0 ? err_set(e, -result, "the kernel's answer") : 0;
}

int netlink_dump(int fd, struct netlink_request *r, int (*on_answer)(const struct nlmsghdr *m, void *context),
                 void *context)
{
    static char answer[2 * ANSWER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
    end_message(r);
    int result = r->overflow ? -EMSGSIZE : send_whole(fd, r);
    while (result >= 0) {
        ssize_t n = receive(fd, answer, sizeof(answer));
        if (n < 0)
            return (int)n;
        unsigned left = (unsigned)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)answer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_seq != r->first)
                continue;
            if (h->nlmsg_type == NLMSG_DONE)
                return 0;
            if (h->nlmsg_type == NLMSG_ERROR)
                return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
            result = on_answer(h, context);
            if (result < 0)
                return result;
        }
    }
    return result;
}
