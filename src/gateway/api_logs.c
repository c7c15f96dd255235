/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/functions/NAME/logs: NDJSON, from disk, then with ?follow=1 line by line as they come. A follower is registered before the disk is
 * read. Lines that come before the disk has answered are kept: those that it had not seen when it was read follow its answer.
 */
#include "gateway/api.h"

#include "base/buf.h"
#include "base/clock.h"
#include "codec/json.h"
#include "gateway/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOG_READERS_MAX = 64,      /* at a time: each may hold max_bytes of the store's answer or a stream */
    EARLY_LINES_MAX = 1 << 20, /* bytes of lines that came while the disk was read */
};

/* Before each early line. */
struct early_head {
    uint64_t at;
    uint64_t size;
};

struct log_reader {
    struct store_follower follower; /* first; registered while `following` */
    struct store_log_query query;
    struct exchange *x; /* ended here */
    bool following;
    bool streaming;   /* the disk has answered, lines go out */
    struct buf early; /* until then: early_head and the line, again and again */
    bool missed;      /* a line found no room there */
};

static unsigned reader_count;

static void reader_free(struct log_reader *l)
{
    if (l->following)
        store_unfollow(l->x->gateway->store, &l->follower);
    reader_count--;
    buf_fini(&l->early);
    free(l);
}

static void end_stream(struct log_reader *l)
{
    struct exchange *x = l->x;
    reader_free(l);
    exchange_stream_end(x);
}

static void on_stream_gone(struct exchange *x)
{
    end_stream(x->owner);
}

/* A line is the store's own JSON, so its request can be trusted to be where it says. */
static bool is_wanted(const struct log_reader *l, struct str line)
{
    struct json_doc *doc;
    if (!l->query.request_id[0])
        return true;
    if (json_parse(str_trim(line), JSON_STRICT, &doc, NULL) < 0)
        return false;
    const char *request = json_get_text(json_root(doc), "request");
    bool wanted = request && strcmp(request, l->query.request_id) == 0;
    json_free(doc);
    return wanted;
}

static void keep_line(struct log_reader *l, struct str ndjson, uint64_t at)
{
    const struct early_head head = {.at = at, .size = ndjson.n};
    if (l->missed || buf_reserve(&l->early, sizeof(head) + ndjson.n) < 0) {
        l->missed = true;
        return;
    }
    buf_add(&l->early, &head, sizeof(head));
    buf_add_str(&l->early, ndjson);
}

/* What came after `end`. -errno: the client doesn't take it, or a line is missing. */
static int write_early(struct log_reader *l, uint64_t end)
{
    struct early_head head;
    int r = 0;
    for (size_t at = 0; r == 0 && at < l->early.len; at += sizeof(head) + head.size) {
        memcpy(&head, l->early.data + at, sizeof(head));
        if (head.at > end)
            r = exchange_stream_write(l->x, (struct str){l->early.data + at + sizeof(head), head.size});
    }
    buf_fini(&l->early);
    return r < 0 ? r : l->missed ? -EMSGSIZE : 0;
}

static void on_line(struct store_follower *f, struct str ndjson, uint64_t at)
{
    struct log_reader *l = (struct log_reader *)f;
    if (!is_wanted(l, ndjson))
        return;
    if (!l->streaming) {
        keep_line(l, ndjson, at);
        return;
    }
    if (l->query.until_ms && clock_real_ms() > l->query.until_ms) {
        end_stream(l);
        return;
    }
    /* Who reads too slowly is cut off rather than kept in memory; the lines are on disk. */
    if (exchange_stream_write(l->x, ndjson) < 0)
        end_stream(l);
}

static void on_log(void *owner, const struct err *e, struct str ndjson, uint64_t end)
{
    struct log_reader *l = owner;
    struct exchange *x = l->x;
    if (e->code) {
        reader_free(l);
        exchange_error(x, e->code == EAGAIN ? 503 : 500, e->code == EAGAIN ? "NoCapacity" : "InternalError",
                       "read the log: %s", e->text);
        return;
    }
    if (!l->following) {
        reader_free(l);
        struct reply r = {.status = 200, .content_type = "application/x-ndjson", .body = ndjson};
        exchange_reply(x, &r);
        return;
    }
    exchange_stream_start(x, 200, "application/x-ndjson");
    l->streaming = true;
    x->owner = l;
    x->on_stream_gone = on_stream_gone;
    if (exchange_stream_write(x, ndjson) < 0 || write_early(l, end) < 0 || exchange_client_is_done(x) ||
        x->gateway->draining)
        end_stream(l);
}

/* --- the query --- */

static bool read_number(struct exchange *x, const char *key, uint64_t *ret_value)
{
    struct str text;
    if (!http1_query_find(x->request->query, key, &text))
        return true;
    if (str_to_u64(text, ret_value))
        return true;
    exchange_error(x, 400, "BadRequest", "%s='%.*s' is not a number%s", key, (int)(text.n < 64 ? text.n : 64), text.p,
                   strcmp(key, "lines") ? " of milliseconds since 1970" : "");
    return false;
}

/* False when the exchange was ended with 400. */
static bool read_query(struct exchange *x, struct store_log_query *q)
{
    struct str text;
    uint64_t lines = 0;
    size_t n;
    if (!read_number(x, "since", &q->since_ms) || !read_number(x, "until", &q->until_ms) ||
        !read_number(x, "lines", &lines))
        return false;
    q->lines = lines > UINT32_MAX ? 0 : (uint32_t)lines;
    if (!http1_query_find(x->request->query, "request", &text))
        return true;
    if (http1_percent_decode(text, q->request_id, sizeof(q->request_id) - 1, &n))
        return true;
    exchange_error(x, 400, "BadRequest", "request= takes a request id");
    return false;
}

void api_logs(struct exchange *x, struct str name)
{
    struct store_log_query q = {0};
    struct str follow;
    struct function *f = api_find_function(x, name);
    if (!f || !read_query(x, &q))
        return;
    struct log_reader *l = reader_count < LOG_READERS_MAX ? calloc(1, sizeof(*l)) : NULL;
    if (!l) {
        exchange_error(x, 503, "NoCapacity", "%u readers of logs at a time are the most", LOG_READERS_MAX);
        return;
    }
    reader_count++;
    memcpy(q.function, f->name, sizeof(q.function));
    l->query = q;
    l->x = x;
    buf_init(&l->early, EARLY_LINES_MAX);
    if (str_is(x->request->method, "GET") && http1_query_find(x->request->query, "follow", &follow) &&
        str_is(follow, "1")) {
        memcpy(l->follower.function, f->name, sizeof(l->follower.function));
        l->follower.on_line = on_line;
        l->following = true;
        store_follow(x->gateway->store, &l->follower);
    }
    store_read_log(x->gateway->store, &l->query, on_log, l);
}
