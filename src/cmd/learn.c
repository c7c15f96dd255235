/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `faasd learn NAME`: the function's instances are replaced by ones whose system calls are noted (seccomp: learning), its real requests run for a while, and what was seen
 * becomes its list (system_calls). Whoever runs it only waits: another `faasd learn NAME --stop` does the last step as well.
 */
#include "base/clock.h"
#include "base/units.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LOOK_MS = 500 };
#define FOR_DEFAULT "10m"
static const uint64_t FOR_MAX_MS = UINT64_C(24) * 3600 * 1000;

struct learn {
    struct client_target target;
    const char *name;
    bool json;
    struct buf reply;     /* of the last call */
    struct json_doc *doc; /* the same, read */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int ask(struct learn *l, const char *method, const char *rest, struct str body)
{
    struct buf path;
    struct err e = {0};
    buf_init(&path, 0);
    json_free(l->doc);
    l->doc = NULL;
    l->reply.len = 0;
    if (client_path(&path, l->name, rest) < 0)
        return CMD_FAILED;
    const struct client_request request = {.method = method,
                                           .target = path.data,
                                           .fields = STR_LITERAL("Content-Type: application/json\r\n"),
                                           .body = body,
                                           .body_fd = -1,
                                           .has_body = body.n > 0};
    const struct client_call call = {.command = "learn", .target = &l->target, .request = &request};
    int status = client_call(&call, &l->reply);
    if (status == CMD_OK && json_parse(buf_str(&l->reply), JSON_STRICT, &l->doc, &e) < 0) {
        fprintf(stderr, "faasd learn: the daemon's reply: %s\n", e.text);
        status = CMD_FAILED;
    }
    buf_fini(&path);
    return status;
}

/* Which profile it has now: "learning". */
static int look(struct learn *l, const char **ret_seccomp)
{
    int status = ask(l, "GET", "/learned", (struct str){0});
    const char *seccomp = status == CMD_OK ? json_get_text(json_root(l->doc), "seccomp") : NULL;
    *ret_seccomp = seccomp ? seccomp : "";
    return status;
}

static int begin(struct learn *l, const char *how_long)
{
    const char *seccomp;
    int status = look(l, &seccomp);
    if (status != CMD_OK)
        return status;
    if (strcmp(seccomp, "strict") == 0) {
        fprintf(stderr,
                "faasd learn: '%s' runs under seccomp strict, which leaves it less than a list would: `faasd config %s "
                "--seccomp default` first\n",
                l->name, l->name);
        return CMD_FAILED;
    }
    if (strcmp(seccomp, "learning") != 0)
        status = ask(l, "PATCH", "", STR_LITERAL("{\"seccomp\":\"learning\"}"));
    if (status == CMD_OK && !l->json)
        printf("%s: its system calls are noted for %s, and it is slower meanwhile; Ctrl-C or `faasd learn %s --stop` "
               "ends it before\n",
               l->name, how_long, l->name);
    fflush(stdout);
    return status;
}

/* Ends early when somebody else has ended it: *ret_over. */
static int wait_for(struct learn *l, uint64_t ms, bool *ret_over)
{
    const uint64_t end_ms = clock_mono_ns() / 1000000 + ms;
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int status = CMD_OK;
    while (!interrupted && status == CMD_OK && clock_mono_ns() / 1000000 < end_ms) {
        const char *seccomp;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
        status = look(l, &seccomp);
        *ret_over = status == CMD_OK && strcmp(seccomp, "learning") != 0;
        if (*ret_over)
            break;
    }
    return status;
}

/* {"seccomp":"default","system_calls":[...]} of the daemon's last answer; the number of calls in *ret_count. */
static int print_settings(const struct learn *l, struct buf *out, unsigned *ret_count)
{
    struct json_writer w;
    const struct json *list = json_get(json_root(l->doc), "system_calls");
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    json_put_text(&w, "seccomp", "default");
    json_put_array(&w, "system_calls");
    for (const struct json *at = json_first(list); at; at = json_next(at), ++*ret_count)
        json_put_text(&w, NULL, json_text(at));
    json_put_array_end(&w);
    json_put_object_end(&w);
    return json_writer_end(&w);
}

static void print_list(const struct learn *l, struct str settings, unsigned count)
{
    struct json_doc *doc;
    struct err e;
    if (l->json) {
        printf("%.*s\n", (int)settings.n, settings.p);
        return;
    }
    printf("%s: %u system calls, beside those that faasd's own init makes:\n ", l->name, count);
    if (json_parse(settings, JSON_STRICT, &doc, &e) == 0) {
        for (const struct json *at = json_first(json_get(json_root(doc), "system_calls")); at; at = json_next(at))
            printf(" %s", json_text(at));
        json_free(doc);
    }
    printf("\nto allow it these and no more: faasd config %s --seccomp learned\n", l->name);
}

static int finish(struct learn *l)
{
    const char *seccomp;
    unsigned count = 0;
    struct buf settings;
    int status = look(l, &seccomp);
    if (status != CMD_OK)
        return status;
    if (strcmp(seccomp, "learning") != 0) {
        fprintf(stderr, "faasd learn: '%s' is not learning; `faasd learn %s` begins\n", l->name, l->name);
        return CMD_FAILED;
    }
    buf_init(&settings, 0);
    if (print_settings(l, &settings, &count) < 0) {
        fprintf(stderr, "faasd learn: out of memory\n");
        status = CMD_FAILED;
    } else if (count == 0) {
        fprintf(stderr, "faasd learn: nothing was learnt: no instance of '%s' ran meanwhile\n", l->name);
        ask(l, "PATCH", "", STR_LITERAL("{\"seccomp\":\"default\"}"));
        status = CMD_FAILED;
    } else {
        status = ask(l, "PATCH", "", buf_str(&settings));
    }
    if (status == CMD_OK)
        print_list(l, buf_str(&settings), count);
    buf_fini(&settings);
    return status;
}

static int learn_for(struct learn *l, const char *how_long)
{
    uint64_t ms;
    struct err e;
    bool over = false;
    if (units_parse_time(str_from(how_long), &ms, &e) < 0)
        return options_refuse("learn", "--for: %s", e.text);
    if (ms == 0 || ms > FOR_MAX_MS)
        return options_refuse("learn", "--for: %s is not between 1ms and 24h", how_long);
    int status = begin(l, how_long);
    if (status == CMD_OK)
        status = wait_for(l, ms, &over);
    if (status == CMD_OK && over && !l->json)
        printf("%s: it was ended by another\n", l->name);
    return status == CMD_OK && !over ? finish(l) : status;
}

int cmd_learn(int argc, char **argv)
{
    struct learn l = {.doc = NULL};
    const char *how_long = NULL;
    bool stop = false;
    const struct option table[] = {{.name = "for", .kind = OPTION_TEXT, .target = &how_long},
                                   {.name = "stop", .kind = OPTION_BOOL, .target = &stop},
                                   {.name = "json", .kind = OPTION_BOOL, .target = &l.json},
                                   CLIENT_OPTIONS(&l.target),
                                   {0}};
    int status = client_parse_name("learn", table, argc, argv, &l.name);
    if (status != OPTIONS_GO_ON)
        return status;
    if (stop && how_long)
        return options_refuse("learn", "--stop ends it now: leave --for out");
    buf_init(&l.reply, 0);
    status = stop ? finish(&l) : learn_for(&l, how_long ? how_long : FOR_DEFAULT);
    json_free(l.doc);
    buf_fini(&l.reply);
    return output_finish("learn", status);
}
