/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "supervisor/rootless.h"

#include "base/fdio.h"
#include "base/fmt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int add_listen(void *target, const char *value, struct err *e)
{
    struct supervisor_options *o = target;
    if (o->listen_count == CONFIG_LISTEN_MAX)
        return err_say(e, EINVAL, "at most %d --listen", CONFIG_LISTEN_MAX);
    scoped_free struct config *scratch = calloc(1, sizeof(*scratch)); /* a slip is said here, as usage */
    if (!scratch)
        return err_set(e, ENOMEM, "look at '%s'", value);
    int r = config_add_listen(scratch, value, e);
    if (r < 0)
        return r;
    o->listen[o->listen_count++] = value;
    return 0;
}

static int set_metrics_listen(void *target, const char *value, struct err *e)
{
    struct supervisor_options *o = target;
    o->metrics_listen = value;
    return config_check_flag("metrics_listen", value, e);
}

static int set_url_domain(void *target, const char *value, struct err *e)
{
    struct supervisor_options *o = target;
    o->url_domain = value;
    return config_check_flag("url_domain", value, e);
}

/* The daemon works in '/', so a relative path must be made absolute here. */
static int set_config(struct supervisor_options *o, const char *path, struct err *e)
{
    char dir[CONFIG_PATH_MAX] = "";
    if (path[0] != '/' && !getcwd(dir, sizeof(dir)))
        return err_set(e, errno, "find the working directory");
    const char *slash = path[0] == '/' ? "" : "/";
    if (strlen(dir) + 1 + strlen(path) >= sizeof(o->paths.config))
        return err_say(e, ENAMETOOLONG, "path '%s' is too long", path);
    fmt_to(o->paths.config, sizeof(o->paths.config), "%s%s%s", dir, slash, path);
    o->config_must_exist = true;
    return 0;
}

/* The default place of an ordinary user is in a directory that nobody but root makes. */
static int demand_run(const struct supervisor_paths *p, struct err *e)
{
    char place[32];
    size_t n = fmt_to(place, sizeof(place), "/run/user/%u", geteuid());
    if (geteuid() == 0 || strncmp(p->run, place, n) != 0 || p->run[n] != '/' || access(place, F_OK) == 0)
        return 0;
    return err_say(e, ENOENT,
                   "XDG_RUNTIME_DIR is not set and there is no '%s', which a login makes (and `loginctl enable-linger` "
                   "keeps): set the one, or use --root DIR",
                   place);
}

int cmd_serve(int argc, char **argv)
{
    const char *root = NULL;
    const char *config = NULL;
    struct supervisor_options o = {.ready_fd = -1};
    const struct option table[] = {
        {.name = "config", .kind = OPTION_TEXT, .target = &config},
        {.name = "root", .kind = OPTION_TEXT, .target = &root},
        {.name = "listen", .kind = OPTION_CALL, .target = &o, .on_value = add_listen},
        {.name = "metrics-listen", .kind = OPTION_CALL, .target = &o, .on_value = set_metrics_listen},
        {.name = "url-domain", .kind = OPTION_CALL, .target = &o, .on_value = set_url_domain},
        {.name = "allow-degraded", .kind = OPTION_BOOL, .target = &o.allow_degraded},
        {.name = "insecure-control", .kind = OPTION_BOOL, .target = &o.insecure_control},
        {.name = "check-config", .kind = OPTION_BOOL, .target = &o.check_config},
        {0},
    };
    struct options options = {.command = "serve", .tables = {table}};
    int status = options_parse(&options, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    struct err e;
    int r = supervisor_find_paths(root, &o.paths, &e);
    if (r == 0 && config)
        r = set_config(&o, config, &e);
    if (r < 0) {
        fprintf(stderr, "faasd serve: %s\n", e.text);
        return CMD_FAILED;
    }
    if (!o.check_config && (demand_run(&o.paths, &e) < 0 || rootless_enter(&o.paths, &e) < 0)) {
        fprintf(stderr, "faasd serve: %s\n", e.text);
        return CMD_FAILED;
    }
    return supervisor_main(&o);
}
