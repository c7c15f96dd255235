/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's process: finds what the supervisor left for it (supervisor/message.h), loads the registry, gives up what power it still has,
 * says HELLO, serves, and leaves when it is told to or when the supervisor is gone.
 *
 * The order at start: everything that opens files comes before gateway_confine(), everything that reads what strangers wrote, and the two
 * stores' threads, which inherit the confinement, after it.
 */
#include "base/fdio.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/watch.h"
#include "gateway/api.h"
#include "gateway/calls.h"
#include "gateway/confine.h"
#include "gateway/credential.h"
#include "gateway/deploy.h"
#include "gateway/face.h"
#include "gateway/front.h"
#include "gateway/invocation.h"
#include "gateway/learning.h"
#include "gateway/link.h"
#include "gateway/pool.h"
#include "gateway/process_stats.h"
#include "gateway/records.h"
#include "gateway/registry.h"
#include "gateway/revision.h"
#include "gateway/role.h"
#include "gateway/secrets.h"
#include "gateway/store.h"
#include "gateway/store_records.h"
#include "gateway/store_versions.h"
#include "gateway/tree_make.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct gateway_boot boot;
static struct gateway gateway;
static ev_timer drain_timer;
#define CUT_OFF_SECONDS 1. /* half of the supervisor's grace: what is on its way to the disk gets there, too */
static bool lost;          /* the supervisor is gone */

/* ---- draining ---- */

void gateway_check_drained(struct gateway *g)
{
    if (!g->draining || invocation_count() || deploy_count() || tree_make_count() || front_busy_count(g->front))
        return;
    ev_break(g->loop, EVBREAK_ALL);
}

static void on_cut_off(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void on_drain_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)events;
    log_warn("the drain's deadline has passed: what still runs is cut off requests=%u deploys=%u", invocation_count(),
             deploy_count());
    /* Their callers are told once their processes are dead; gateway_check_drained() ends the loop with the last byte, this timer if one takes too long. */
    unsigned told = pools_cut_off(gateway.pools) + api_exec_cut_off() + deploy_cut_off();
    if (told == 0) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    ev_set_cb(w, on_cut_off);
    ev_timer_set(w, CUT_OFF_SECONDS, 0.);
    ev_timer_start(loop, w);
}

static void on_drain(struct gateway *g)
{
    if (g->draining)
        return;
    g->draining = true;
    front_drain(g->front);
    calls_drain(g->calls);
    ev_timer_init(&drain_timer, on_drain_deadline, (double)g->config->drain_ms / 1e3, 0.);
    ev_timer_start(g->loop, &drain_timer);
    gateway_check_drained(g);
}

/* ---- the supervisor's other words ---- */

static int read_config(int fd, struct config *c, struct err *e)
{
    ssize_t n = fd_read_full(fd, c, sizeof(*c));
    if (n != (ssize_t)sizeof(*c))
        return err_set(e, n < 0 ? (int)-n : EPROTO, "read the new configuration");
    return config_check(c, e);
}

/* The configuration may give a role a network that its function's sandbox can't have: said now, not only when the function starts next. */
static void check_role(struct function *f, void *context)
{
    const struct gateway *g = context;
    struct err e;
    if (f->current && role_check(g->config, &f->current->settings, f->current->role, &e) < 0)
        log_warn("%s; its starts are refused until then fn=%s", e.text, f->name);
}

static void on_config(struct gateway *g, int fd)
{
    struct err e;
    scoped_fd from = fd;
    scoped_free struct config *fresh = malloc(sizeof(*fresh));
    int r = fd < 0 ? err_set(&e, -fd, "take the new configuration over") : 0;
    if (r == 0)
        r = fresh ? read_config(from, fresh, &e) : err_set(&e, ENOMEM, "read the new configuration");
    if (r < 0) {
        log_error("reload: %s", e.text); /* the supervisor says what that means */
        link_send_plain(g->link, NULL, MESSAGE_CONFIG_KEPT);
        return;
    }
    link_send_plain(g->link, NULL, MESSAGE_CONFIG_TAKEN); /* ahead of whatever is asked for by it */
    *g->config = *fresh;
    store_configure(g->store);
    log_info("the new configuration is in use");
    registry_each(g->registry, check_role, g);
}

static void on_lost(struct gateway *g, const char *why)
{
    log_error("%s", why);
    lost = true;
    ev_break(g->loop, EVBREAK_ALL);
}

static const struct link_events LINK_EVENTS = {.on_drain = on_drain, .on_config = on_config, .on_lost = on_lost};

/* ---- starting ---- */

/* An arena for each thread and a heap that never shrinks would cost more than all that this process keeps. */
static void keep_memory_small(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
    mallopt(M_TOP_PAD, 32 * 1024);
}

static int read_boot(struct err *e)
{
    scoped_fd fd = GATEWAY_FD_BOOT;
    ssize_t n = fd_read_full(fd, &boot, sizeof(boot));
    if (n != (ssize_t)sizeof(boot) || boot.magic != CONFIG_MAGIC)
        return err_say(e, EPROTO, "this process is started by `faasd serve` only");
    unsigned listeners_max = sizeof(boot.listener_kinds) / sizeof(boot.listener_kinds[0]);
    if (boot.listener_count > listeners_max)
        return err_say(e, EPROTO, "the supervisor handed over %u listening sockets, more than %u", boot.listener_count,
                       listeners_max);
    int r = config_check(&boot.config, e);
    for (unsigned i = 0; r == 0 && i < 1 + boot.listener_count; i++) {
        int inherited = i ? GATEWAY_FD_LISTENERS + (int)i - 1 : GATEWAY_FD_LINK;
        if (fcntl(inherited, F_SETFD, FD_CLOEXEC) < 0)
            r = err_set(e, errno, "take over descriptor %d", inherited);
    }
    return r;
}

/* A row that can't be used costs its own function, not all the others; without memory none can be told from another, and a further start may have it. */
static int take_revision(const struct store_revision *r, void *context)
{
    struct gateway *g = context;
    struct err e = {.code = EINVAL, .text = "its name is no function's name"};
    if (!r->current)
        return 0;
    struct version *v = settings_name_is_valid(str_from(r->function)) ? revision_load(g->config, r, &e) : NULL;
    if (!v && e.code == ENOMEM)
        return -ENOMEM;
    if (!v) {
        log_error("a stored function cannot be served fn=%s: %s", r->function, e.text);
        return 0;
    }
    struct function *f = registry_ensure(g->registry, str_from(r->function));
    if (!f) {
        version_put(v);
        if (!registry_is_full(g->registry))
            return -ENOMEM;
        log_error("a stored function cannot be served fn=%s: the limit 'functions' (%u) is reached", r->function,
                  g->config->functions_max);
        return 0;
    }
    registry_set_current(g->registry, f, v);
    learning_begin(g, f);
    return 0;
}

/* Of a function that can't be served nothing is taken over. Without memory for a number or alias it is not found until the next start. */
static void take_number(const char *function, uint64_t number, uint64_t used_ms, void *context)
{
    struct gateway *g = context;
    struct function *f = registry_find(g->registry, str_from(function));
    if (f && versions_add(&f->versions, number, used_ms) < 0)
        log_error("out of memory: a version is not found fn=%s version=%lu", function, (unsigned long)number);
}

static void take_removed(const char *function, uint64_t number, void *context)
{
    struct gateway *g = context;
    struct function *f = registry_find(g->registry, str_from(function));
    if (f)
        versions_note_last(&f->versions, number);
}

static void take_alias(const char *function, const struct versions_alias *a, void *context)
{
    struct gateway *g = context;
    struct function *f = registry_find(g->registry, str_from(function));
    if (f && versions_set_alias(&f->versions, a) < 0)
        log_error("out of memory: an alias is not found fn=%s alias=%s", function, a->name);
}

static void end_at_once(const char *why)
{
    log_error("%s; the supervisor starts another gateway", why);
    _exit(EXIT_FAILURE);
}

static int make_parts(struct gateway *g, struct err *e)
{
    g->boot = &boot;
    g->config = &boot.config;
    watch_prepare(end_at_once);
    g->loop = watch_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!g->loop)
        return err_set(e, ENOMEM, "make the event loop");
    g->link = link_new(g, GATEWAY_FD_LINK, e);
    if (!g->link)
        return -e->code;
    link_set_events(g->link, &LINK_EVENTS);
    g->pools = pools_new(g);
    g->registry = registry_new(g);
    g->records = records_new(g);
    if (!g->pools || !g->registry || !g->records)
        return err_set(e, ENOMEM, "make the registry");
    g->store = store_open(g, boot.db_dir, boot.log_dir, e);
    if (!g->store)
        return -e->code;
    const struct store_versions_events versions = {
        .on_number = take_number, .on_removed = take_removed, .on_alias = take_alias, .context = g};
    g->secrets = secrets_new(boot.secrets_key);
    if (!g->secrets)
        return err_set(e, ENOMEM, "make room for secrets");
    /* secrets before the functions: what is to be warm starts at once */
    int r = secrets_load(g->secrets, store_database(g->store), e);
    if (r == 0)
        r = store_load(g->store, take_revision, g, e);
    if (r == 0)
        r = store_versions_load(g->store, &versions, e);
    if (r == 0)
        r = g->face->load(g, e);
    if (r < 0)
        return r;
    g->tokens = tokens_new();
    g->credentials = credentials_new();
    if (!g->tokens || !g->credentials)
        return err_set(e, ENOMEM, "make room for the tokens");
    r = tokens_load(g->tokens, store_database(g->store), boot.signing_key, e);
    if (r < 0)
        return r;
    g->calls = calls_new(g, e);
    if (!g->calls)
        return -e->code;
    g->front = front_new(g, e);
    return g->front ? 0 : -e->code;
}

static int start(struct gateway *g, struct err *e)
{
    int r = read_boot(e);
    if (r == 0 && boot.quiet)
        log_set_quiet();
    if (r == 0)
        r = make_parts(g, e);
    process_stats_open();
    if (r == 0)
        r = gateway_confine(&boot, e);
    if (r == 0)
        r = store_start(g->store, e);
    return r;
}

int gateway_main(const struct face *face)
{
    struct err e;
    gateway.face = face;
    log_set_role("gateway");
    prctl(PR_SET_NAME, "faasd-gateway");
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    keep_memory_small();
    if (start(&gateway, &e) < 0) {
        log_error("the gateway could not start: %s", e.text);
        return EXIT_FAILURE;
    }
    link_send_plain(gateway.link, NULL, MESSAGE_HELLO);
    calls_start(gateway.calls);
    deploy_collect(&gateway);
    memory_give_back();
    if (!lost) /* with the greeting */
        ev_run(gateway.loop, 0);
    /* Sandboxes and sockets end with the process; the disk is the one thing that must be brought to an end. */
    calls_close(gateway.calls);
    records_close(gateway.records);
    store_close(gateway.store);
    store_records_close();
    return lost ? EXIT_FAILURE : EXIT_SUCCESS;
}
