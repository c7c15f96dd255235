/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/archive_state.h"

#include "base/fdio.h"
#include "base/str.h"
#include "gateway/store_layers.h"
#include "gateway/store_sql.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAR_SAID_MAX = 512, WALK_FDS = 16 };

static _Noreturn void be_tar(const char *const *argv, int said)
{
    if (dup2(said, STDERR_FILENO) >= 0)
        execvp("tar", (char *const *)argv);
    dprintf(said, "execute tar: %s", strerror(errno));
    _exit(127);
}

int archive_state_run_tar(const char *const *argv, struct err *e)
{
    char text[TAR_SAID_MAX + 1], more[256];
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(e, errno, "make a pipe");
    scoped_fd in = ends[0];
    scoped_fd out = ends[1];
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return err_set(e, errno, "fork");
    if (pid == 0)
        be_tar(argv, out);
    fd_close(&out);
    ssize_t n = fd_read_full(in, text, TAR_SAID_MAX);
    while (fd_read_full(in, more, sizeof(more)) > 0)
        continue; /* what it has to say beyond must not stop it */
    text[n > 0 ? n : 0] = '\0';
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(e, errno, "wait for tar");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    char *line = text + strspn(text, "\n"); /* gzip begins with an empty one */
    line[strcspn(line, "\n")] = '\0';
    return err_say(e, EIO, "%s", *line ? line : "tar failed");
}

/* ---- rows ---- */

struct listing {
    struct buf *codes;
    unsigned functions;
    char last[SETTINGS_NAME_MAX];
};

static bool has_code(const struct buf *codes, const char *code)
{
    for (size_t at = 0; at < codes->len; at += strlen(codes->data + at) + 1)
        if (strcmp(codes->data + at, code) == 0)
            return true;
    return false;
}

static int add_code(struct buf *codes, const char *code)
{
    return !*code || has_code(codes, code) ? 0 : buf_add(codes, code, strlen(code) + 1);
}

static int on_revision(const struct store_revision *r, void *context)
{
    struct listing *l = context;
    if (strcmp(l->last, r->function) != 0) /* rows come in the order of their functions */
        l->functions++;
    str_copy(str_from(r->function), l->last, sizeof(l->last));
    int result = add_code(l->codes, r->code);
    return result < 0 ? result : add_code(l->codes, r->opt);
}

static int on_layer(const char *code, void *context)
{
    struct listing *l = context;
    return add_code(l->codes, code);
}

int archive_state_list_codes(const char *db_dir, struct buf *ret_codes, unsigned *ret_functions, struct err *e)
{
    struct store_sql *q;
    struct listing l = {.codes = ret_codes};
    int r = store_sql_open(&q, db_dir, e);
    if (r < 0)
        return r;
    if (store_db_is_salvaged(store_sql_db(q)))
        r = err_say(e, EUCLEAN, "the database is damaged");
    r = r < 0 ? r : store_sql_load(q, on_revision, &l, e);
    r = r < 0 ? r : store_layers_each_code(store_sql_db(q), on_layer, &l, e);
    store_sql_close(q);
    *ret_functions = l.functions;
    return r;
}

/* ---- files ---- */

bool archive_state_is_database(const char *name)
{
    size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".db") == 0;
}

int archive_state_each(const char *dir, int (*on_name)(const char *name, void *context, struct err *e), void *context,
                       struct err *e)
{
    DIR *d = opendir(dir);
    int r = d ? 0 : err_set(e, errno, "list '%s'", dir);
    for (const struct dirent *at; r == 0 && (errno = 0, at = readdir(d));)
        if (strcmp(at->d_name, ".") != 0 && strcmp(at->d_name, "..") != 0)
            r = on_name(at->d_name, context, e);
    r = r == 0 && errno ? err_set(e, errno, "list '%s'", dir) : r;
    if (d)
        closedir(d);
    return r;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

int archive_state_remove(const char *dir, struct err *e)
{
    return nftw(dir, remove_entry, WALK_FDS, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT
               ? err_set(e, errno, "remove '%s'", dir)
               : 0;
}
