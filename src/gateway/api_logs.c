/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/functions/NAME/logs: NDJSON, from disk, then with ?follow=1 line by line as they come. A follower is registered before the disk is
 * read; the store hands lines and answers over in the order in which it worked, so what comes before the answer is in the answer.
 */
#include "gateway/api.h"

#include "base/clock.h"
#include "codec/json.h"
#include "gateway/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_READERS_MAX = 64 }; /* at a time: each may hold max_bytes of the store's answer or a stream */

struct log_reader {
    struct store_follower follower; /* first; registered while `following` */
    struct store_log_query query;
    struct exchange *x; /* ended here */
    bool following;
    bool streaming; /* the disk has answered, lines go out */
};

static unsigned reader_count;

static void reader_free(struct log_reader *l)
{
    if (l->following)
        store_unfollow(l->x->gateway->store, &l->follower);
    reader_count--;
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

static void on_line(struct store_follower *f, struct str ndjson)
{
    struct log_reader *l = (struct log_reader *)f;
    if (!l->streaming || !is_wanted(l, ndjson))
        return;
    if (l->query.until_ms && clock_real_ms() > l->query.until_ms) {
        end_stream(l);
        return;
    }
    /* Who reads too slowly is cut off rather than kept in memory; the lines are on disk. */
    if (exchange_stream_write(l->x, ndjson) < 0)
        end_stream(l);
}

static void on_log(void *owner, const struct err *e, struct str ndjson)
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
    if (exchange_stream_write(x, ndjson) < 0 || exchange_client_is_done(x) || x->gateway->draining)
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
    if (str_is(x->request->method, "GET") && http1_query_find(x->request->query, "follow", &follow) &&
        str_is(follow, "1")) {
        memcpy(l->follower.function, f->name, sizeof(l->follower.function));
        l->follower.on_line = on_line;
        l->following = true;
        store_follow(x->gateway->store, &l->follower);
    }
    store_read_log(x->gateway->store, &l->query, on_log, l);
}
