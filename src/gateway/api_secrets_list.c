/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/secrets: the key to seal for, the names, and who uses them. */
#include "gateway/api.h"

#include "base/clock.h"
#include "codec/json.h"
#include "codec/settings_secret.h"
#include "gateway/secrets.h"

#include <stdlib.h>
#include <string.h>

/* One pass over the functions, for all secrets. */
struct uses {
    const struct secrets *secrets;
    struct buf found; /* struct use */
    int error;
};
struct use {
    const struct secret *secret;
    const struct function *function;
    unsigned order; /* by function name */
};

static void add_uses(struct function *f, void *context)
{
    struct uses *u = context;
    struct settings_secret named;
    for (size_t at = 0; f->current && settings_secret_next(&f->current->settings, &at, &named);) {
        const struct use use = {.secret = secrets_find(u->secrets, named.name),
                                .function = f,
                                .order = (unsigned)(u->found.len / sizeof(use))};
        if (use.secret && u->error == 0)
            u->error = buf_add(&u->found, &use, sizeof(use));
    }
}

static int compare_uses(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    int by_name = strcmp(x->secret->name, y->secret->name);
    return by_name ? by_name : (x->order > y->order) - (x->order < y->order);
}

static void put_secret(struct json_writer *w, const struct secrets *all, const struct secret *s)
{
    char time[CLOCK_RFC3339_MAX];
    json_put_text(w, "name", s->name);
    json_put_u64(w, "bytes", secret_value_bytes(s));
    clock_format_rfc3339(s->created_ms, time);
    json_put_text(w, "created", time);
    clock_format_rfc3339(s->updated_ms, time);
    json_put_text(w, "updated", time);
    json_put_text(w, "key", s->key);
    json_put_bool(w, "usable", secrets_can_open(all, s));
}

static void put_secrets(struct json_writer *w, struct uses *u)
{
    const struct use *use = (const struct use *)(const void *)u->found.data;
    size_t left = u->found.len / sizeof(*use);
    const struct secret *s;
    if (left)
        qsort(u->found.data, left, sizeof(*use), compare_uses);
    json_put_array(w, "secrets");
    for (unsigned i = 0; (s = secrets_at(u->secrets, i)); i++) {
        json_put_object(w, NULL);
        put_secret(w, u->secrets, s);
        json_put_array(w, "functions");
        const struct function *last = NULL; /* one may name a secret twice, as two files */
        for (; left && use->secret == s; use++, left--) {
            if (use->function != last)
                json_put_text(w, NULL, use->function->name);
            last = use->function;
        }
        json_put_array_end(w);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

void api_secrets_list(struct exchange *x, struct str name)
{
    struct gateway *g = x->gateway;
    struct uses u = {.secrets = g->secrets};
    struct json_writer w;
    struct buf body;
    char key[2 * SECRET_KEY_BYTES + 1];
    (void)name;
    buf_init(&u.found, 0);
    registry_each(g->registry, add_uses, &u);
    id_hex(g->boot->secrets_key, SECRET_KEY_BYTES, key);
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_text(&w, "key", key);
    json_put_text(&w, "fingerprint", secrets_fingerprint(g->secrets));
    put_secrets(&w, &u);
    json_put_object_end(&w);
    int end = json_writer_end(&w);
    buf_fini(&u.found);
    api_reply_json(x, &body, u.error < 0 ? u.error : end);
}
