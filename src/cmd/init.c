/* SPDX-License-Identifier: Apache-2.0 */
/* `faasd init`: a directory with a function that works, to start from. */
#include "base/fdio.h"
#include "base/fmt.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/starters.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct init {
    const char *name;
    const char *path; /* the directory to write */
    const char *runtime_name;
    enum settings_runtime runtime;
    char lib[PATH_MAX];
    char include[PATH_MAX];
};

/* libfaasd as it lies beside this program: in a source tree's build directory, or where `make install` put both. */
static void find_library(struct init *n)
{
    static const struct {
        const char *lib, *include;
    } places[] = {{"libfaasd.a", "../include"}, {"libfaasd.a", "../../include"}, {"../lib/libfaasd.a", "../include"}};
    char program[PATH_MAX], header[PATH_MAX + 32], joined[PATH_MAX + 32];
    str_copy(STR_LITERAL("/usr/local/lib/libfaasd.a"), n->lib, sizeof(n->lib));
    str_copy(STR_LITERAL("/usr/local/include"), n->include, sizeof(n->include));
    if (!realpath("/proc/self/exe", program) || !strrchr(program, '/'))
        return;
    *strrchr(program, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char lib[PATH_MAX], include[PATH_MAX];
        fmt_to(joined, sizeof(joined), "%s/%s", program, places[i].lib);
        if (!realpath(joined, lib))
            continue;
        fmt_to(joined, sizeof(joined), "%s/%s", program, places[i].include);
        fmt_to(header, sizeof(header), "%s/faasd/function.h", joined);
        if (access(header, R_OK) < 0 || !realpath(joined, include))
            continue;
        str_copy(str_from(lib), n->lib, sizeof(n->lib));
        str_copy(str_from(include), n->include, sizeof(n->include));
        return;
    }
}

static int write_file(int dir, const struct starter_file *f, const struct starter_words *words, struct err *e)
{
    struct buf text;
    buf_init(&text, 0);
    int r = starter_fill(f->text, words, &text);
    if (r < 0)
        err_set(e, -r, "fill in '%s'", f->name);
    scoped_fd fd = r < 0 ? -1 : openat(dir, f->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, f->mode);
    if (r == 0 && fd < 0)
        r = err_set(e, errno, "make '%s'", f->name);
    if (r == 0) {
        r = fd_write_full(fd, text.data, text.len);
        if (r < 0)
            err_set(e, -r, "write '%s'", f->name);
    }
    if (r < 0 && fd >= 0)
        unlinkat(dir, f->name, 0);
    buf_fini(&text);
    return r;
}

/* All or nothing: nothing is made while one of the names is taken, and what was made goes when a later one fails. */
static int write_all(const struct init *n, int dir, struct err *e)
{
    const struct starter_words words = {
        .name = n->name, .runtime = n->runtime_name, .lib = n->lib, .include = n->include};
    const struct starter_file *first = starter_files(n->runtime), *f;
    struct stat st;
    for (f = first; f->name; f++)
        if (fstatat(dir, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return err_say(e, EEXIST, "'%s/%s' is there already; nothing was written. Choose another --path", n->path,
                           f->name);
    for (f = first; f->name; f++) {
        int r = write_file(dir, f, &words, e);
        if (r == 0)
            continue;
        while (f-- > first)
            unlinkat(dir, f->name, 0);
        return r;
    }
    return 0;
}

static int write_directory(const struct init *n, struct err *e)
{
    bool made = mkdir(n->path, 0755) == 0;
    if (!made && errno != EEXIST)
        return err_set(e, errno, "make directory '%s'", n->path);
    scoped_fd dir = open(n->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dir < 0 ? err_set(e, errno, "open directory '%s'", n->path) : write_all(n, dir, e);
    if (r < 0 && made)
        rmdir(n->path);
    return r;
}

static void print_result(const struct init *n)
{
    const char *make = n->runtime == SETTINGS_RUNTIME_NATIVE ? "make && " : "";
    output_text(stdout, str_from(n->path), false);
    fputc(':', stdout);
    for (const struct starter_file *f = starter_files(n->runtime); f->name; f++)
        printf(" %s", f->name);
    printf("\ntry: cd ");
    output_text(stdout, str_from(n->path), false);
    printf(" && %sfaasd deploy %s . && faasd invoke %s -d @event.json\n", make, n->name, n->name);
}

static int init(struct init *n)
{
    struct err e = {0};
    if (!client_check_name("init", str_from(n->name)))
        return CMD_USAGE;
    find_library(n);
    if (write_directory(n, &e) < 0) {
        fprintf(stderr, "faasd init: %s\n", e.text);
        return CMD_FAILED;
    }
    print_result(n);
    return output_finish("init", CMD_OK);
}

static int on_runtime(void *target, const char *text, struct err *e)
{
    static const char key[] = "runtime: "; /* the option's name says it already */
    struct init *n = target;
    struct settings s = {0};
    int r = settings_set_text(&s, "runtime", str_from(text), e);
    if (r < 0 && str_starts_with(str_from(e->text), key))
        memmove(e->text, e->text + sizeof(key) - 1, strlen(e->text + sizeof(key) - 1) + 1);
    n->runtime = s.runtime;
    n->runtime_name = text;
    return r;
}

int cmd_init(int argc, char **argv)
{
    struct init n = {0};
    const struct option table[] = {
        {.name = "runtime", .kind = OPTION_CALL, .target = &n, .on_value = on_runtime},
        {.name = "path", .kind = OPTION_TEXT, .target = &n.path},
        {0},
    };
    struct options o = {.command = "init",
                        .tables = {table},
                        .operands_min = 1,
                        .operands_max = 1,
                        .operands_text = "a NAME for the function"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (!n.runtime_name)
        return options_refuse("init", "--runtime is missing: exec, native, python, node or provided");
    n.name = o.operands[0];
    if (!n.path)
        n.path = n.name;
    return init(&n);
}
