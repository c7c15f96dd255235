/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/client.h"

#include "base/fdio.h"
#include "cmd/cmd.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "cmd/client_connect.h"

enum {
    CLIENT_HEAD_MAX = 65536,
    CLIENT_PIECE_MAX = 65536, /* read or written at once */
};

struct client {
    int fd;
    struct client_address address;
    char *in; /* owned: CLIENT_HEAD_MAX bytes; the head stands at its front, body bytes behind it */
    size_t in_len;
    size_t in_at;    /* body bytes before this one were handed out */
    size_t head_len; /* 0 until the reply's head is complete */
    struct http1_progress progress;
    struct http1_response reply;
    struct http1_chunked chunked;
    uint64_t body_left; /* for a body with a length */
    bool body_ended;
};

static int client_open_address(struct client **ret_client, const struct client_address *a, int *ret_exit, struct err *e)
{
    struct client *c = calloc(1, sizeof(*c));
    char *in = malloc(CLIENT_HEAD_MAX);
    if (!c || !in) {
        free(c);
        free(in);
        *ret_exit = CMD_FAILED;
        return err_set(e, ENOMEM, "connect");
    }
    c->in = in;
    c->address = *a;
    c->fd = client_connect(a, ret_exit, e);
    if (c->fd < 0) {
        int r = c->fd;
        client_close(c);
        return r;
    }
    *ret_client = c;
    return 0;
}

int client_open(struct client **ret_client, const struct client_target *t, int *ret_exit, struct err *e)
{
    struct client_address a;
    int r = client_find(t, &a, ret_exit, e);
    return r < 0 ? r : client_open_address(ret_client, &a, ret_exit, e);
}

int client_open_socket(struct client **ret_client, const char *path, int *ret_exit, struct err *e)
{
    struct client_address a = {.is_unix = true};
    if (!str_copy(str_from(path), a.path, sizeof(a.path))) {
        *ret_exit = CMD_USAGE;
        return err_say(e, ENAMETOOLONG, "'%s' is too long", path);
    }
    client_address_print(&a);
    return client_open_address(ret_client, &a, ret_exit, e);
}

void client_close(struct client *c)
{
    if (!c)
        return;
    fd_close(&c->fd);
    free(c->in);
    free(c);
}

const char *client_url(const struct client *c)
{
    return c->address.url;
}

/* Bytes of the request that wait to be sent, and where more come from. */
struct sending {
    const struct client_request *request;
    struct buf out;
    size_t at;
    bool chunked;
    bool complete; /* everything stands in `out` */
    uint64_t sent;
};

static int add_head(struct client *c, struct sending *s, struct err *e)
{
    const struct client_request *r = s->request;
    buf_init(&s->out, 0);
    e->code = 0;
    if (buf_addf(&s->out, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: faasd\r\n", r->method, r->target,
                 c->address.is_unix ? "localhost" : c->address.host) < 0 ||
        buf_add_str(&s->out, r->fields) < 0)
        return -ENOMEM;
    if (c->address.by_url && client_print_token(&s->out, e) < 0)
        return -e->code;
    s->complete = true;
    if (!r->has_body)
        return buf_add_text(&s->out, "\r\n");
    if (r->body_fd >= 0) {
        s->complete = false;
        s->chunked = true;
        return buf_add_text(&s->out, "Transfer-Encoding: chunked\r\n\r\n");
    }
    if (buf_addf(&s->out, "Content-Length: %zu\r\n\r\n", r->body.n) < 0)
        return -ENOMEM;
    return buf_add_str(&s->out, r->body);
}

/* The next chunk of a body that comes from a descriptor. */
static int add_chunk(struct sending *s, struct err *e)
{
    char piece[CLIENT_PIECE_MAX];
    ssize_t n;
    do
        n = read(s->request->body_fd, piece, sizeof(piece));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set(e, errno, "read the body");
    s->out.len = 0;
    s->at = 0;
    s->complete = n == 0;
    if (buf_addf(&s->out, "%zx\r\n", (size_t)n) < 0 || buf_add(&s->out, piece, (size_t)n) < 0 ||
        buf_add_text(&s->out, "\r\n") < 0)
        return err_set(e, ENOMEM, "send the body");
    s->sent += (uint64_t)n;
    if (s->request->on_sent)
        s->request->on_sent(s->request->context, s->sent);
    return 0;
}

/* Sends until all is sent or a reply begins to arrive: a daemon that refuses a body says so at once and reads no
 * further. */
static int send_all(struct client *c, struct sending *s, struct err *e)
{
    for (;;) {
        if (s->at == s->out.len && s->complete)
            return 0;
        if (s->at == s->out.len) {
            int r = add_chunk(s, e);
            if (r < 0)
                return r;
        }
        struct pollfd p = {.fd = c->fd, .events = POLLIN | POLLOUT};
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return err_set(e, errno, "wait for %s", c->address.url);
        if (p.revents & (POLLIN | POLLHUP | POLLERR))
            return 0;
        if (!(p.revents & POLLOUT))
            continue;
        ssize_t n = send(c->fd, s->out.data + s->at, s->out.len - s->at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return 0; /* what it said before may still be readable */
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_set(e, errno, "send to %s", c->address.url);
        if (n > 0)
            s->at += (size_t)n;
    }
}

/* More bytes behind in_len; 0 is end of file. */
static ssize_t fill(struct client *c, struct err *e)
{
    ssize_t n;
    do
        n = recv(c->fd, c->in + c->in_len, CLIENT_HEAD_MAX - c->in_len, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set(e, errno, "read the reply of %s", c->address.url);
    c->in_len += (size_t)n;
    return n;
}

static int read_head(struct client *c, bool head_request, struct err *e)
{
    static const struct http1_limits limits = {.head_bytes = CLIENT_HEAD_MAX, .fields = HTTP1_FIELDS_MAX};
    for (;;) {
        enum http1_outcome outcome =
            http1_parse_response(&c->reply, &c->progress, c->in, c->in_len, head_request, &limits, &c->head_len);
        if (outcome == HTTP1_BAD)
            return err_say(e, EPROTO, "the reply of %s is not HTTP/1.1", c->address.url);
        if (outcome == HTTP1_DONE && c->reply.status >= 200) {
            break;
        }
        if (outcome == HTTP1_DONE && c->reply.status == 101)
            break;
        if (outcome == HTTP1_DONE) { /* 100 Continue and its like: another head follows */
            c->in_len -= c->head_len;
            memmove(c->in, c->in + c->head_len, c->in_len);
            c->progress = (struct http1_progress){0};
            continue;
        }
        ssize_t n = c->in_len < CLIENT_HEAD_MAX ? fill(c, e) : err_say(e, EPROTO, "the reply's head is too long");
        if (n < 0)
            return (int)n;
        if (n == 0)
            return err_say(e, ECONNRESET, "%s closed the connection without a reply", c->address.url);
    }
    c->in_at = c->head_len;
    c->body_left = c->reply.content_length;
    c->body_ended = c->reply.body == HTTP1_BODY_NONE || (c->reply.body == HTTP1_BODY_LENGTH && c->body_left == 0);
    return 0;
}

int client_send(struct client *c, const struct client_request *r, const struct http1_response **ret_reply,
                struct err *e)
{
    struct sending s = {.request = r};
    int status = add_head(c, &s, e);
    if (status == 0)
        status = send_all(c, &s, e);
    else if (!e->code)
        err_set(e, -status, "make the request");
    if (s.out.cap)
        explicit_bzero(s.out.data, s.out.cap); /* a token may stand in it */
    buf_fini(&s.out);
    if (status == 0)
        status = read_head(c, strcmp(r->method, "HEAD") == 0, e);
    if (status == 0)
        *ret_reply = &c->reply;
    return status;
}

/* Body bytes overwrite each other behind the head, whose fields stay readable. */
static ssize_t refill(struct client *c, struct err *e)
{
    c->in_len = c->head_len;
    c->in_at = c->head_len;
    if (c->in_len == CLIENT_HEAD_MAX)
        return err_say(e, EPROTO, "the reply's head is too long");
    return fill(c, e);
}

static int take_chunked(struct client *c, struct str *ret_piece, struct err *e)
{
    size_t used;
    struct str in = {.p = c->in + c->in_at, .n = c->in_len - c->in_at};
    struct http1_refusal refusal = {0};
    enum http1_outcome outcome = http1_decode_chunked(&c->chunked, in, &used, ret_piece, &refusal);
    if (outcome == HTTP1_BAD)
        return err_say(e, EPROTO, "the reply of %s breaks the chunked coding: %s", c->address.url, refusal.reason);
    c->in_at += used;
    c->body_ended = outcome == HTTP1_DONE;
    return 0;
}

static int take(struct client *c, struct str *ret_piece, struct err *e)
{
    if (c->reply.body == HTTP1_BODY_CHUNKED)
        return take_chunked(c, ret_piece, e);
    *ret_piece = (struct str){.p = c->in + c->in_at, .n = c->in_len - c->in_at};
    if (c->reply.body == HTTP1_BODY_LENGTH) {
        if (ret_piece->n > c->body_left)
            ret_piece->n = (size_t)c->body_left;
        c->body_left -= ret_piece->n;
        c->body_ended = c->body_left == 0;
    }
    c->in_at += ret_piece->n;
    return 0;
}

int client_read(struct client *c, struct str *ret_piece, struct err *e)
{
    *ret_piece = (struct str){0};
    while (!c->body_ended) {
        if (c->in_at < c->in_len) {
            int r = take(c, ret_piece, e);
            if (r < 0 || ret_piece->n)
                return r;
            continue;
        }
        ssize_t n = refill(c, e);
        if (n < 0)
            return (int)n;
        if (n == 0 && c->reply.body != HTTP1_BODY_UNTIL_CLOSE)
            return err_say(e, ECONNRESET, "%s closed the connection in the middle of its reply", c->address.url);
        c->body_ended = n == 0;
    }
    return 0;
}

int client_read_all(struct client *c, struct buf *out, struct err *e)
{
    for (;;) {
        struct str piece;
        int r = client_read(c, &piece, e);
        if (r < 0 || piece.n == 0)
            return r;
        r = buf_add_str(out, piece);
        if (r < 0)
            return err_set(e, -r, "keep the reply of %s", c->address.url);
    }
}

int client_take_socket(struct client *c, struct str *ret_early)
{
    *ret_early = (struct str){.p = c->in + c->in_at, .n = c->in_len - c->in_at};
    return fd_take(&c->fd);
}

int client_exit_status(unsigned status)
{
    if (status < 400)
        return CMD_OK;
    if (status == 404)
        return CMD_NO_SUCH;
    if (status == 401 || status == 403)
        return CMD_DENIED;
    return status == 429 || status == 503 ? CMD_TRY_AGAIN : CMD_FAILED;
}

int client_encode(struct buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c);
        int r = plain ? buf_add(out, text, 1) : buf_addf(out, "%%%02X", c);
        if (r < 0)
            return r;
    }
    return 0;
}
