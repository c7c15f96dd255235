/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/changes.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/settings_flags.h"
#include "cmd/upload.h"
#include "codec/json.h"

#include <stdio.h>
#include <string.h>

struct deploy {
    struct client_target target;
    struct settings_flags flags;
    bool dry_run;
    bool json;
};

/* The first TCP address that the daemon listens on: "" when there is none or it can't be asked. */
static void find_listener(const struct client_target *target, char *out, size_t cap)
{
    const struct client_request request = {.method = "GET", .target = "/v1/system", .body_fd = -1};
    const struct http1_response *reply;
    struct client *c;
    struct buf body;
    struct json_doc *doc = NULL;
    struct err ignored;
    int status;
    out[0] = '\0';
    buf_init(&body, 1 << 20);
    if (client_open(&c, target, &status, &ignored) < 0)
        return;
    if (client_send(c, &request, &reply, &ignored) == 0 && reply->status == 200 &&
        client_read_all(c, &body, &ignored) == 0 && json_parse(buf_str(&body), JSON_STRICT, &doc, &ignored) == 0)
        JSON_EACH(json_get(json_root(doc), "listen"), at)
        {
            const char *text = json_text(at);
            if (text && *text != '/' && strncmp(text, "unix:", 5) != 0 && str_copy(str_from(text), out, cap))
                break;
        }
    json_free(doc);
    buf_fini(&body);
    client_close(c);
}

/* What to try next. */
static void print_url(const struct client_target *target, const char *name)
{
    char listener[128];
    if (target->url && strncmp(target->url, "http://", 7) == 0)
        snprintf(listener, sizeof(listener), "%s", target->url + 7);
    else
        find_listener(target, listener, sizeof(listener));
    if (*listener)
        printf("http://%s/function/%s\ntry: curl -d '{\"name\":\"world\"}' http://%s/function/%s\n", listener, name,
               listener, name);
    else
        printf("try: faasd invoke %s -d '{\"name\":\"world\"}'\n", name);
}

static int send_upload(const struct deploy *d, const char *name, const struct upload *u, const char *settings)
{
    const struct upload_put put = {.name = name, .settings = settings, .dry_run = d->dry_run, .progress = true};
    const struct http1_response *reply;
    struct client *c;
    struct buf body;
    struct err e = {0};
    int status;
    if (client_open(&c, &d->target, &status, &e) < 0) {
        fprintf(stderr, "faasd deploy: %s\n", e.text);
        return status;
    }
    buf_init(&body, 1 << 20);
    int r = upload_send(c, u, &put, &reply, &e);
    if (r == 0 && reply->status >= 400)
        r = client_refused("deploy", c, reply);
    else if (r == 0)
        r = client_read_all(c, &body, &e);
    client_close(c);
    if (r < 0)
        fprintf(stderr, "faasd deploy: %s\n", e.text);
    status = r < 0 ? CMD_FAILED : r;
    if (status == CMD_OK)
        status = changes_print(
            &(struct changes){.command = "deploy", .reply = buf_str(&body), .json = d->json, .dry_run = d->dry_run});
    if (status == CMD_OK && !d->json && !d->dry_run)
        print_url(&d->target, name);
    buf_fini(&body);
    return status;
}

/* A file that is linked with libfaasd says so itself; nothing else needs a guess, since exec is the default. */
static int guess_runtime(struct settings_flags *f, const struct upload *u, struct err *e)
{
    if (!u->native || settings_flags_has(f, SETTINGS_KEY_RUNTIME))
        return 0;
    return settings_set_text(&f->settings, "runtime", STR_LITERAL("native"), e);
}

static int deploy(struct deploy *d, const char *name, const char *path)
{
    struct upload u;
    struct buf settings;
    struct err e = {0};
    const struct upload_source source = {.command = "deploy", .path = path, .handler = d->flags.settings.handler};
    if (!client_check_name("deploy", str_from(name)))
        return CMD_USAGE;
    if (upload_open(&u, &source, &e) < 0) {
        fprintf(stderr, "faasd deploy: %s\n", e.text);
        return CMD_FAILED;
    }
    buf_init(&settings, 0);
    int status = CMD_FAILED;
    if (guess_runtime(&d->flags, &u, &e) < 0 || settings_flags_print_json(&d->flags, &settings, &e) < 0 ||
        buf_add(&settings, "", 1) < 0)
        fprintf(stderr, "faasd deploy: %s\n", *e.text ? e.text : "out of memory");
    else
        status = send_upload(d, name, &u, settings.data);
    buf_fini(&settings);
    upload_close(&u);
    return status;
}

int cmd_deploy(int argc, char **argv)
{
    struct deploy d = {0};
    if (settings_flags_init(&d.flags) < 0)
        return CMD_FAILED;
    const struct option table[] = {
        {.name = "dry-run", .kind = OPTION_BOOL, .target = &d.dry_run},
        {.name = "json", .kind = OPTION_BOOL, .target = &d.json},
        CLIENT_OPTIONS(&d.target),
        {0},
    };
    struct options o = {.command = "deploy",
                        .tables = {table, d.flags.table},
                        .operands_min = 2,
                        .operands_max = 2,
                        .operands_text = "NAME and PATH"};
    int status = options_parse(&o, argc, argv);
    if (status == OPTIONS_GO_ON)
        status = deploy(&d, o.operands[0], o.operands[1]);
    settings_flags_fini(&d.flags);
    return status;
}
