/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `faasd dev`: serves a path from a private daemon, as `faasd run` has one, and deploys it again whenever something beneath it changes.
 */
#include "base/clock.h"
#include "base/fdio.h"
#include "base/fmt.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/dev_deploy.h"
#include "cmd/listener.h"
#include "cmd/log_follower.h"
#include "cmd/output.h"
#include "cmd/private.h"
#include "cmd/watch.h"
#include "supervisor/rootless.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

enum {
    QUIET_MS = 50,     /* after the last change: an editor's save is a handful of events */
    PATIENCE_MS = 500, /* after the first one: what changes without a pause is deployed all the same */
    GONE_MS = 200,     /* how often a path that is gone is looked for */
    NAMES_SHOWN = 3,
};

struct dev {
    struct settings_flags flags;
    struct supervisor_paths paths;
    struct private_daemon daemon;
    struct dev_deploy deploy;
    struct watch *watch;
    struct log_follower follower;
    const char *root;
    const char *listen;
    const char *name;
    const char *path;
    bool allow_degraded;
    char own_name[SETTINGS_NAME_MAX]; /* made of the path's */
    struct buf changed;               /* names, each with a newline, waiting to be deployed */
    uint64_t first_ns, last_ns;       /* CLOCK_MONOTONIC, of the changes that wait; 0: none do */
};

/* The last component, with what a name can't hold as '-': "thumbnail", "my-app-py". */
static void make_name(struct dev *d)
{
    char real[PATH_MAX];
    const char *base = realpath(d->path, real) && strrchr(real, '/') ? strrchr(real, '/') + 1 : "";
    size_t n = 0;
    for (; base[n] && n + 1 < sizeof(d->own_name); n++) {
        char c = base[n];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        d->own_name[n] = good ? c : '-';
    }
    d->own_name[n] = '\0';
    if (!n)
        str_copy(STR_LITERAL("dev"), d->own_name, sizeof(d->own_name));
    d->name = d->own_name;
}

static bool has_event(const struct dev *d)
{
    char path[PATH_MAX];
    bool plain =
        strspn(d->path, "/._-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(d->path);
    return plain && fmt_to(path, sizeof(path), "%s/event.json", d->path) + 1 < sizeof(path) && access(path, R_OK) == 0;
}

static void print_url(const struct dev *d)
{
    char url[sizeof(d->daemon.socket) + 16], listener[128];
    snprintf(url, sizeof(url), "unix://%s", d->daemon.socket);
    listener_find(&(struct client_target){.url = url}, listener, sizeof(listener));
    printf("watching '");
    output_text(stdout, str_from(d->path), false);
    printf("', to be served at http://%s/function/%s (Ctrl-C ends it)\n", listener, d->name);
    if (has_event(d))
        printf("try: curl -d @%s/event.json http://%s/function/%s\n", d->path, listener, d->name);
    else
        printf("try: curl -d '{\"name\":\"world\"}' http://%s/function/%s\n", listener, d->name);
    fflush(stdout);
}

/* Deploys, and listens to the log as soon as there is one. */
static int deploy(struct dev *d, const char *changed, uint64_t since_ns, struct err *e)
{
    uint64_t begun_ms = clock_real_ms(); /* what attempts before it logged has been said */
    d->deploy.is_followed = d->follower.pid >= 0;
    int r = dev_deploy(&d->deploy, changed, since_ns, e);
    if (r == 0 && d->deploy.serving && d->follower.pid < 0)
        r = log_follower_start(&d->follower, d->daemon.socket, d->name, begun_ms, e);
    return r;
}

static int left_ms(uint64_t now_ns, uint64_t since_ns, unsigned limit_ms)
{
    uint64_t passed_ms = (now_ns - since_ns) / 1000000;
    return passed_ms >= limit_ms ? 0 : (int)(limit_ms - passed_ms);
}

/* How long nothing is to be done: -1 for ever, 0 when the changes are to be deployed now. */
static int wait_ms(const struct dev *d)
{
    uint64_t now = clock_mono_ns();
    if (d->first_ns) {
        int quiet = left_ms(now, d->last_ns, QUIET_MS), patience = left_ms(now, d->first_ns, PATIENCE_MS);
        return quiet < patience ? quiet : patience;
    }
    return watch_fd(d->watch) < 0 ? GONE_MS : -1;
}

static int take_changes(struct dev *d, struct err *e)
{
    int r = watch_read(d->watch, &d->changed, e);
    if (r > 0) {
        d->last_ns = clock_mono_ns();
        d->first_ns = d->first_ns ? d->first_ns : d->last_ns;
    }
    return r < 0 ? r : 0;
}

static bool is_there(const struct dev *d, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    if (lstat(d->path, &st) == 0 && !S_ISDIR(st.st_mode))
        return true; /* a file is watched alone, and its name is the only one */
    return fmt_to(path, sizeof(path), "%s/%s", d->path, name) + 1 < sizeof(path) && lstat(path, &st) == 0;
}

/* "app.py, lib/a.py and 3 more": what is there now, since an editor's temporary files are not what has changed; otherwise what is gone. */
static void print_names(const struct dev *d, char *out, size_t cap)
{
    char name[PATH_MAX];
    for (int gone = 0; gone < 2; gone++) {
        size_t n = 0;
        unsigned count = 0;
        for (struct str rest = buf_str(&d->changed); rest.n;) {
            struct str at = str_cut(rest, '\n', &rest, NULL);
            if (!str_copy(at, name, sizeof(name)) || (!gone && !is_there(d, name)) || count++ >= NAMES_SHOWN)
                continue;
            n = fmt_at(out, cap, n, "%s%s", n ? ", " : "", name);
        }
        if (count > NAMES_SHOWN)
            fmt_at(out, cap, n, " and %u more", count - NAMES_SHOWN);
        if (count)
            return;
    }
    fmt_to(out, cap, "something");
}

static int deploy_changes(struct dev *d, struct err *e)
{
    uint64_t since = d->first_ns;
    char changed[256];
    print_names(d, changed, sizeof(changed));
    d->changed.len = 0;
    d->first_ns = 0;
    return deploy(d, changed, since, e);
}

/* Until a signal has ended the daemon: 0. -errno: something else has. */
static int serve(struct dev *d, int daemon_fd, struct err *e)
{
    int r = 0;
    while (r == 0) {
        struct pollfd fds[] = {{.fd = daemon_fd, .events = POLLIN},
                               {.fd = watch_fd(d->watch), .events = POLLIN},
                               {.fd = d->follower.fd, .events = POLLIN}};
        int timeout = wait_ms(d);
        int ready = timeout == 0 ? 0 : poll(fds, sizeof(fds) / sizeof(fds[0]), timeout);
        if (ready < 0 && errno != EINTR)
            return err_set(e, errno, "wait for changes");
        if (ready > 0 && fds[0].revents)
            return private_signal() ? 0 : err_say(e, EIO, "the private daemon has ended");
        if (ready > 0 && fds[2].revents) {
            log_follower_stop(&d->follower);
            r = log_follower_start(&d->follower, d->daemon.socket, d->name, clock_real_ms(), e);
        }
        if (r == 0 && ((ready > 0 && fds[1].revents) || watch_fd(d->watch) < 0))
            r = take_changes(d, e);
        if (r == 0 && d->first_ns && wait_ms(d) == 0)
            r = deploy_changes(d, e);
    }
    return r;
}

static int run_in_daemon(struct dev *d, struct err *e)
{
    const struct private_options options = {
        .config_path = d->paths.config, .listen = d->listen, .allow_degraded = d->allow_degraded};
    int r = private_start(&d->daemon, &options, e);
    if (r < 0)
        return r;
    scoped_fd daemon_fd = pidfd_open(d->daemon.guardian, 0);
    d->deploy = (struct dev_deploy){.socket = d->daemon.socket, .name = d->name, .path = d->path, .flags = &d->flags};
    if (daemon_fd < 0)
        r = err_set(e, errno, "watch the private daemon");
    if (r == 0) {
        print_url(d);
        r = deploy(d, "", clock_mono_ns(), e);
    }
    r = r < 0 ? r : serve(d, daemon_fd, e);
    log_follower_stop(&d->follower);
    private_stop(&d->daemon);
    return private_signal() ? 0 : r; /* what a signal breaks off is no failure */
}

static int dev(struct dev *d)
{
    struct err e = {0};
    d->follower = (struct log_follower){.pid = -1, .fd = -1};
    buf_init(&d->changed, 0);
    int r = watch_open(&d->watch, d->path, &e); /* before the first deploy: a change during it is not missed */
    r = r < 0 ? r : run_in_daemon(d, &e);
    watch_close(d->watch);
    buf_fini(&d->changed);
    if (r < 0)
        fprintf(stderr, "faasd dev: %s\n", e.text);
    return output_finish("dev", r < 0 ? CMD_FAILED : CMD_OK);
}

static int start(struct dev *d, const char *path)
{
    struct err e = {0};
    d->path = path;
    if (d->name && !client_check_name("dev", str_from(d->name)))
        return CMD_USAGE;
    if (!d->name)
        make_name(d);
    if (supervisor_find_paths(d->root, &d->paths, &e) < 0)
        return options_refuse("dev", "%s", e.text);
    if (rootless_enter_private(&d->paths, &e) < 0) {
        fprintf(stderr, "faasd dev: %s\n", e.text);
        return CMD_FAILED;
    }
    return dev(d);
}

static int on_listen(void *target, const char *value, struct err *e)
{
    scoped_free struct config *scratch = calloc(1, sizeof(*scratch)); /* a slip is said here, as usage */
    if (!scratch)
        return err_set(e, ENOMEM, "look at '%s'", value);
    int r = config_add_listen(scratch, value, e);
    if (r == 0)
        *(const char **)target = value;
    return r;
}

int cmd_dev(int argc, char **argv)
{
    struct dev d = {.listen = "127.0.0.1:0"};
    if (settings_flags_init(&d.flags) < 0)
        return CMD_FAILED;
    const struct option table[] = {
        {.name = "name", .kind = OPTION_TEXT, .target = &d.name},
        {.name = "listen", .kind = OPTION_CALL, .target = &d.listen, .on_value = on_listen},
        {.name = "root", .kind = OPTION_TEXT, .target = &d.root},
        {.name = "allow-degraded", .kind = OPTION_BOOL, .target = &d.allow_degraded},
        {0},
    };
    struct options o = {.command = "dev",
                        .tables = {table, d.flags.table},
                        .operands_min = 1,
                        .operands_max = 1,
                        .operands_text = "a PATH"};
    int status = options_parse(&o, argc, argv);
    if (status == OPTIONS_GO_ON)
        status = start(&d, o.operands[0]);
    settings_flags_fini(&d.flags);
    return status;
}
