/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/dev_deploy.h"

#include "base/clock.h"
#include "cmd/changes.h"
#include "cmd/guess.h"
#include "cmd/output.h"
#include "cmd/upload.h"
#include "codec/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REPLY_MAX = 1 << 20 };

static void print_time(FILE *to)
{
    char text[16];
    struct tm local;
    time_t now = (time_t)(clock_real_ms() / 1000);
    strftime(text, sizeof(text), "%H:%M:%S", localtime_r(&now, &local));
    fprintf(to, "%s%s%s ", output_style(to, OUTPUT_DIM), text, output_style(to, OUTPUT_PLAIN));
}

static void print_changed(FILE *to, const char *changed)
{
    if (!*changed)
        return;
    output_text(to, str_from(changed), false);
    fputs(" changed: ", to);
}

enum outcome {
    OUTCOME_GONE /* the daemon */,
    OUTCOME_REFUSED,
    OUTCOME_NOT_STARTED /* its log says why */,
    OUTCOME_SERVED
};

static void say_refused(const struct dev_deploy *d, const char *changed, enum outcome outcome)
{
    const char *where = outcome == OUTCOME_NOT_STARTED ? "; why it does not start stands in its log" : "";
    fflush(stdout);
    print_time(stderr);
    print_changed(stderr, changed);
    if (d->serving)
        fprintf(stderr, "%srefused%s, version %lu goes on serving%s\n", output_style(stderr, OUTPUT_RED),
                output_style(stderr, OUTPUT_PLAIN), (unsigned long)d->serving, where);
    else
        fprintf(stderr, "%srefused%s; waiting for a change\n", output_style(stderr, OUTPUT_RED),
                output_style(stderr, OUTPUT_PLAIN));
}

static void say_served(struct dev_deploy *d, const struct json *reply, const char *changed, uint64_t since_ns)
{
    uint64_t before = d->serving;
    json_get_u64(reply, "number", &d->serving);
    print_time(stdout);
    print_changed(stdout, changed);
    if (before == d->serving)
        printf("the same as version %lu\n", (unsigned long)d->serving);
    else
        printf("%sversion %lu serves%s after %lu ms\n", output_style(stdout, OUTPUT_GREEN), (unsigned long)d->serving,
               output_style(stdout, OUTPUT_PLAIN), (unsigned long)((clock_mono_ns() - since_ns) / 1000000));
    changes_print_details(reply, before ? CHANGES_SETTINGS : CHANGES_NONE);
    fflush(stdout);
}

static int guess(const struct dev_deploy *d, struct err *e)
{
    struct guess g;
    if (settings_flags_has(d->flags, SETTINGS_KEY_RUNTIME) || settings_flags_has(d->flags, SETTINGS_KEY_CONTRACT))
        return 0;
    guess_runtime(d->path, d->flags->settings.handler, &g);
    return guess_apply(&g, "dev", d->flags, e);
}

/* Says why, unless the log does. */
static enum outcome report(const struct dev_deploy *d, const struct http1_response *reply, struct str body)
{
    struct json_doc *doc = NULL;
    struct err ignored;
    if (d->is_followed && json_parse(body, JSON_STRICT, &doc, &ignored) < 0)
        doc = NULL;
    bool stands_in_log = doc && json_count(json_get(json_root(doc), "trace")) > 0;
    json_free(doc);
    if (stands_in_log)
        return OUTCOME_NOT_STARTED;
    client_report("dev", reply, body);
    return OUTCOME_REFUSED;
}

/* What was answered is in `body`. OUTCOME_GONE: with an error. */
static enum outcome send_upload(const struct dev_deploy *d, const struct upload *u, const char *settings,
                                struct buf *body, struct err *e)
{
    enum outcome outcome = OUTCOME_GONE;
    const struct upload_put put = {.name = d->name, .settings = settings};
    const struct http1_response *reply;
    struct client *c;
    int status;
    if (client_open_socket(&c, d->socket, &status, e) < 0)
        return OUTCOME_GONE;
    if (upload_send(c, u, &put, &reply, e) == 0 && client_read_all(c, body, e) == 0)
        outcome = reply->status >= 400 ? report(d, reply, buf_str(body)) : OUTCOME_SERVED;
    client_close(c);
    return outcome;
}

/* As send_upload. */
static enum outcome send_path(struct dev_deploy *d, struct buf *body, struct err *e)
{
    struct upload u = {.fd = -1};
    struct buf settings;
    buf_init(&settings, 0);
    int r = guess(d, e);
    const struct upload_source source = {.command = "dev",
                                         .path = d->path,
                                         .handler = d->flags->settings.handler,
                                         .runtime = d->flags->settings.runtime,
                                         .contract = d->flags->settings.contract,
                                         .quiet = d->attempts++ > 0};
    r = r < 0 ? r : upload_open(&u, &source, e);
    if (r == 0 && u.native && !settings_flags_has(d->flags, SETTINGS_KEY_RUNTIME))
        r = settings_set_text(&d->flags->settings, "runtime", STR_LITERAL("native"), e);
    r = r < 0 ? r : settings_flags_print_json(d->flags, &settings, e);
    if (r == 0)
        r = buf_add(&settings, "", 1);
    if (r < 0)
        fprintf(stderr, "faasd dev: %s\n", *e->text ? e->text : "out of memory");
    enum outcome outcome = r < 0 ? OUTCOME_REFUSED : send_upload(d, &u, settings.data, body, e);
    buf_fini(&settings);
    upload_close(&u);
    return outcome;
}

int dev_deploy(struct dev_deploy *d, const char *changed, uint64_t since_ns, struct err *e)
{
    struct json_doc *doc = NULL;
    struct buf body;
    buf_init(&body, REPLY_MAX);
    enum outcome outcome = send_path(d, &body, e);
    if (outcome == OUTCOME_SERVED && json_parse(buf_str(&body), JSON_STRICT, &doc, e) < 0)
        outcome = OUTCOME_GONE;
    if (outcome == OUTCOME_SERVED)
        say_served(d, json_root(doc), changed, since_ns);
    else if (outcome != OUTCOME_GONE)
        say_refused(d, changed, outcome);
    json_free(doc);
    buf_fini(&body);
    return outcome == OUTCOME_GONE ? -e->code : 0;
}
