/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/url.h"

#include "base/id.h"
#include "base/log.h"
#include "gateway/store_urls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 };

static struct url *by_id[BUCKETS], *by_function[BUCKETS];
static uint64_t seed; /* names are chosen by users */

/* ---- one ---- */

struct url *url_new(void)
{
    return calloc(1, sizeof(struct url));
}

static void clear_cors(struct url *u)
{
    free(u->cors_text);
    free(u->cors.origins);
    free(u->cors.methods);
    free(u->cors.headers);
    free(u->cors.exposed);
    u->cors_text = NULL;
    u->cors = (struct url_cors){0};
}

void url_free(struct url *u)
{
    if (!u)
        return;
    clear_cors(u);
    free(u);
}

/* 252 is the greatest multiple of 36 in a byte: what lies above would make some characters likelier. */
void url_draw_id(char out[EXCHANGE_URL_ID_MAX])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char bytes[64];
    size_t n = 0;
    while (n < URL_ID_BYTES) {
        id_random(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes) && n < URL_ID_BYTES; i++)
            if (bytes[i] < 252)
                out[n++] = alphabet[bytes[i] % 36];
    }
    out[n] = '\0';
}

const char *url_auth_name(enum url_auth auth)
{
    return auth == URL_AUTH_IAM ? "AWS_IAM" : "NONE";
}

const char *url_mode_name(enum url_mode mode)
{
    static const char *const names[] = {
        [URL_MODE_UNSAID] = "", [URL_MODE_BUFFERED] = "BUFFERED", [URL_MODE_STREAM] = "RESPONSE_STREAM"};
    return names[mode];
}

/* ---- CORS ---- */

static int join(const struct json *list, char **ret_text)
{
    struct buf out;
    buf_init(&out, URL_CORS_MAX);
    int r = 0;
    JSON_EACH(list, item)
    {
        struct str text = str_from(json_text(item));
        bool plain = text.n > 0 && !memchr(text.p, ',', text.n) && http1_field_is_valid(STR_LITERAL("x"), text);
        if (r == 0 && !plain)
            r = -EINVAL;
        if (r == 0 && out.len)
            r = buf_add(&out, ", ", 2);
        if (r == 0)
            r = buf_add_str(&out, text);
    }
    if (r == 0)
        r = buf_add(&out, "", 1);
    if (r < 0 || out.len == 1) {
        buf_fini(&out);
        return r;
    }
    *ret_text = out.data;
    return 0;
}

static int keep_text(const struct json *cors, char **ret_text)
{
    struct json_writer w;
    struct buf out;
    buf_init(&out, URL_CORS_MAX);
    json_writer_init(&w, &out);
    json_put_value(&w, NULL, cors);
    int r = json_writer_end(&w);
    if (r == 0)
        r = buf_add(&out, "", 1);
    if (r < 0)
        buf_fini(&out);
    else
        *ret_text = out.data;
    return r;
}

int url_set_cors(struct url *u, const struct json *cors)
{
    clear_cors(u);
    if (!json_is_object(cors) || json_count(cors) == 0)
        return 0;
    struct url_cors *c = &u->cors;
    c->has_max_age = json_get_u64(cors, "MaxAge", &c->max_age_s);
    if (!json_get_bool(cors, "AllowCredentials", &c->credentials))
        c->credentials = false;
    int r = join(json_get(cors, "AllowOrigins"), &c->origins);
    if (r == 0)
        r = join(json_get(cors, "AllowMethods"), &c->methods);
    if (r == 0)
        r = join(json_get(cors, "AllowHeaders"), &c->headers);
    if (r == 0)
        r = join(json_get(cors, "ExposeHeaders"), &c->exposed);
    if (r == 0)
        r = keep_text(cors, &u->cors_text);
    if (r < 0)
        clear_cors(u);
    return r;
}

/* ---- the table ---- */

static struct url **bucket(struct url **table, struct str key)
{
    if (!seed)
        seed = id_random_u64() | 1;
    return &table[str_hash(key, seed) % BUCKETS];
}

struct url *url_find_id(struct str id)
{
    struct url *u = *bucket(by_id, id);
    while (u && !str_is(id, u->id))
        u = u->next_by_id;
    return u;
}

struct url *url_find(const char *function, const char *qualifier)
{
    struct url *u = *bucket(by_function, str_from(function));
    while (u && (strcmp(u->function, function) != 0 || strcmp(u->qualifier, qualifier) != 0))
        u = u->next_by_function;
    return u;
}

struct url *url_next(const char *function, const char *after, bool first)
{
    struct url *best = NULL;
    for (struct url *u = *bucket(by_function, str_from(function)); u; u = u->next_by_function) {
        bool follows = first || strcmp(u->qualifier, after) > 0;
        if (strcmp(u->function, function) == 0 && follows && (!best || strcmp(u->qualifier, best->qualifier) < 0))
            best = u;
    }
    return best;
}

void url_add(struct url *u)
{
    struct url **id = bucket(by_id, str_from(u->id)), **function = bucket(by_function, str_from(u->function));
    u->next_by_id = *id;
    u->next_by_function = *function;
    *id = *function = u;
}

void url_remove(struct url *u)
{
    struct url **at = bucket(by_id, str_from(u->id));
    while (*at != u)
        at = &(*at)->next_by_id;
    *at = u->next_by_id;
    at = bucket(by_function, str_from(u->function));
    while (*at != u)
        at = &(*at)->next_by_function;
    *at = u->next_by_function;
    url_free(u);
}

void url_remove_function(const char *function)
{
    for (struct url *u = url_next(function, "", true); u; u = url_next(function, "", true))
        url_remove(u);
}

/* ---- loading ---- */

struct loader {
    bool (*wanted)(const char *function, void *context);
    void *context;
};

static int take(struct url *u, const struct store_url *row)
{
    struct json_doc *doc = NULL;
    if (!str_copy(str_from(row->id), u->id, sizeof(u->id)) ||
        !str_copy(str_from(row->function), u->function, sizeof(u->function)) ||
        !str_copy(str_from(row->qualifier), u->qualifier, sizeof(u->qualifier)))
        return -EINVAL;
    u->auth = strcmp(row->auth, "NONE") == 0 ? URL_AUTH_NONE : URL_AUTH_IAM;
    u->mode = strcmp(row->mode, "RESPONSE_STREAM") == 0 ? URL_MODE_STREAM
              : row->mode[0]                            ? URL_MODE_BUFFERED
                                                        : URL_MODE_UNSAID;
    u->created_ms = row->created_ms;
    u->modified_ms = row->modified_ms;
    if (!row->cors[0])
        return 0;
    int r = json_parse(str_from(row->cors), JSON_STRICT, &doc, NULL);
    if (r == 0)
        r = url_set_cors(u, json_root(doc));
    json_free(doc);
    return r;
}

static void on_row(const struct store_url *row, void *context)
{
    const struct loader *l = context;
    if (!l->wanted(row->function, l->context))
        return; /* what could not be served has no URL either; a first deploy by that name removes the row */
    struct url *u = url_new();
    if (u && take(u, row) == 0) {
        url_add(u);
        return;
    }
    log_error("a stored Function URL can't be served fn=%s id=%s", row->function, row->id);
    url_free(u);
}

int url_load(struct store_db *db, bool (*wanted)(const char *function, void *context), void *context, struct err *e)
{
    struct loader l = {wanted, context};
    return store_urls_load(db, on_row, &l, e);
}
