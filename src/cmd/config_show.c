/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/config_show.h"

#include "base/fdio.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"
#include "supervisor/supervisor.h"

#include <stdio.h>
#include <stdlib.h>

static int ask_daemon(const struct config_show *s, struct buf *out)
{
    const struct client_request request = {.method = "GET", .target = "/v1/config", .body_fd = -1};
    const struct client_call call = {.command = "config show", .target = s->target, .request = &request};
    return client_call(&call, out);
}

static int read_files(const struct config_show *s, struct buf *out)
{
    struct err e = {0};
    struct supervisor_options o = {.ready_fd = -1};
    scoped_free struct config *c = calloc(1, sizeof(*c));
    int r = c ? supervisor_find_paths(s->target->root, &o.paths, &e) : err_set(&e, ENOMEM, "read the configuration");
    if (r == 0 && s->config) {
        o.config_must_exist = true;
        if (!str_copy(str_from(s->config), o.paths.config, sizeof(o.paths.config)))
            r = err_say(&e, ENAMETOOLONG, "'%s' is too long a path", s->config);
    }
    r = r < 0 ? r : supervisor_load_config(&o, c, &e);
    if (r == 0 && config_print_origins(c, out) < 0)
        r = err_set(&e, ENOMEM, "print the configuration");
    if (r < 0)
        fprintf(stderr, "faasd config show: %s\n", e.text);
    return r < 0 ? CMD_FAILED : CMD_OK;
}

static void add_value(struct output_table *t, const struct json *value, const char *waiting_in)
{
    struct json_writer w;
    struct buf text;
    const char *plain = json_text(value);
    buf_init(&text, 0);
    json_writer_init(&w, &text);
    if (plain)
        buf_add_text(&text, plain);
    else
        json_put_value(&w, NULL, value);
    if (waiting_in) /* without memory for it, it goes unsaid */
        (void)!buf_addf(&text, " (another value, from %s, waits for a restart)", waiting_in);
    output_table_add(t, buf_str(&text));
    buf_fini(&text);
}

static int print_table(struct str reply)
{
    static const struct output_column columns[] = {{.title = "KEY"}, {.title = "FROM"}, {.title = "VALUE"}};
    struct json_doc *doc;
    struct err e = {0};
    if (json_parse(reply, JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd config show: the daemon's reply: %s\n", e.text);
        return CMD_FAILED;
    }
    struct output_table t;
    output_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    JSON_EACH(json_root(doc), key)
    {
        const char *from = json_get_text(key, "from");
        output_table_add(&t, str_from(json_key(key)));
        output_table_add(&t, str_from(from ? from : "-"));
        add_value(&t, json_get(key, "value"), json_get_text(key, "waiting_in"));
    }
    output_table_print(&t, stdout);
    json_free(doc);
    return CMD_OK;
}

int config_show(const struct config_show *s)
{
    struct buf reply;
    buf_init(&reply, 0);
    int status = s->daemon ? ask_daemon(s, &reply) : read_files(s, &reply);
    if (status == CMD_OK && s->json)
        printf("%.*s\n", (int)str_trim(buf_str(&reply)).n, str_trim(buf_str(&reply)).p);
    else if (status == CMD_OK)
        status = print_table(buf_str(&reply));
    buf_fini(&reply);
    return output_finish("config show", status);
}
