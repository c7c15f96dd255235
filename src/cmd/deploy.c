/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/changes.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/guess.h"
#include "cmd/listener.h"
#include "cmd/settings_flags.h"
#include "cmd/upload.h"
#include "codec/json.h"

#include <stdio.h>
#include <string.h>

enum { REPLY_MAX = 1 << 20 };

struct deploy {
    struct client_target target;
    struct settings_flags flags;
    enum settings_runtime packed_as; /* of a file: given or guessed */
    bool dry_run;
    bool json;
};

/* What to try next. */
static void print_url(const struct client_target *target, const char *name)
{
    char listener[128];
    if (target->url && strncmp(target->url, "http://", 7) == 0)
        snprintf(listener, sizeof(listener), "%s", target->url + 7);
    else
        listener_find(target, listener, sizeof(listener));
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
    buf_init(&body, REPLY_MAX);
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

/* The runtime of the function that is there: false when none is, or the daemon can't be asked, which the deploy will tell. */
static bool find_runtime(const struct client_target *target, const char *name, enum settings_runtime *ret_runtime)
{
    const struct http1_response *reply;
    struct json_doc *doc = NULL;
    struct client *c;
    struct buf path, body;
    struct err ignored;
    int status;
    bool found = false;
    buf_init(&path, 0);
    buf_init(&body, REPLY_MAX);
    if (client_path(&path, name, "") == 0 && client_open(&c, target, &status, &ignored) == 0) {
        const struct client_request request = {.method = "GET", .target = path.data, .body_fd = -1};
        if (client_send(c, &request, &reply, &ignored) == 0 && reply->status == 200 &&
            client_read_all(c, &body, &ignored) == 0 && json_parse(buf_str(&body), JSON_STRICT, &doc, &ignored) == 0)
            found = settings_runtime_parse(str_from(json_get_text(json_get(json_root(doc), "settings"), "runtime")),
                                           ret_runtime);
        client_close(c);
    }
    json_free(doc);
    buf_fini(&path);
    buf_fini(&body);
    return found;
}

/* Without a manifest, what was said at an earlier deploy stays: only a new function is in want of a guess. */
static int guess(struct deploy *d, const char *name, const char *path, struct err *e)
{
    struct guess g;
    enum settings_runtime before;
    d->packed_as = d->flags.settings.runtime;
    if (settings_flags_has(&d->flags, SETTINGS_KEY_RUNTIME) || settings_flags_has(&d->flags, SETTINGS_KEY_CONTRACT))
        return 0;
    guess_runtime(path, d->flags.settings.handler, &g);
    d->packed_as = g.runtime;
    if (g.runtime == SETTINGS_RUNTIME_EXEC || g.has_manifest || !find_runtime(&d->target, name, &before))
        return guess_apply(&g, "deploy", &d->flags, e);
    if (before != g.runtime)
        fprintf(stderr, "faasd deploy: '%s' is of runtime %s and stays so, %s looks like %s: --runtime %s changes it\n",
                name, settings_runtime_family(before), g.because, settings_runtime_family(g.runtime),
                settings_runtime_family(g.runtime));
    return 0;
}

/* A file that is linked with libfaasd says so itself. */
static int take_native(struct settings_flags *f, const struct upload *u, struct err *e)
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
    if (!client_check_name("deploy", str_from(name)))
        return CMD_USAGE;
    int r = guess(d, name, path, &e);
    const struct upload_source source = {.command = "deploy",
                                         .path = path,
                                         .handler = d->flags.settings.handler,
                                         .runtime = d->packed_as,
                                         .contract = d->flags.settings.contract};
    if (r < 0 || upload_open(&u, &source, &e) < 0) {
        fprintf(stderr, "faasd deploy: %s\n", e.text);
        return CMD_FAILED;
    }
    buf_init(&settings, 0);
    int status = CMD_FAILED;
    if (take_native(&d->flags, &u, &e) < 0 || settings_flags_print_json(&d->flags, &settings, &e) < 0 ||
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
