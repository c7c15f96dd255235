/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/run_command.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/id.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *const SEARCHED[] = {"/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"};
static const char *const SHARED[] = {"/usr/", "/bin/", "/sbin/", "/lib/",
                                     "/lib64/"}; /* trees of the host that every sandbox shows */

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool is_shared(const char *path)
{
    for (size_t i = 0; i < sizeof(SHARED) / sizeof(SHARED[0]); i++)
        if (strncmp(path, SHARED[i], strlen(SHARED[i])) == 0)
            return true;
    return false;
}

static int search(struct run_command *c, const char *name, struct err *e)
{
    for (size_t i = 0; i < sizeof(SEARCHED) / sizeof(SEARCHED[0]); i++) {
        fmt_to(c->program, sizeof(c->program), "%s/%s", SEARCHED[i], name);
        if (is_program(c->program))
            return 0;
    }
    if (is_program(name))
        return err_say(e, ENOENT, "no program '%s' in /usr/local/bin, /usr/bin or /bin; for the file here write ./%s",
                       name, name);
    return err_say(e, ENOENT, "no program '%s' in /usr/local/bin, /usr/bin or /bin; for a file of yours write its path",
                   name);
}

int run_command_find(struct run_command *c, char *const *argv, struct err *e)
{
    const char *name = argv[0];
    char id[ID_UUID_MAX];
    *c = (struct run_command){.argv = argv};
    id_uuid(id);
    fmt_to(c->mark, sizeof(c->mark), "faasd-exit-%s", id);
    if (!strchr(name, '/'))
        return search(c, name, e);
    if (name[0] == '/' && is_shared(name)) {
        fmt_to(c->program, sizeof(c->program), "%s", name);
    } else {
        if (!realpath(name, c->program))
            return errno == ENOENT ? err_say(e, ENOENT, "there is no '%s'", name)
                                   : err_set(e, errno, "find '%s'", name);
        c->local = !is_shared(c->program);
    }
    struct stat st;
    if (stat(c->program, &st) < 0)
        return errno == ENOENT ? err_say(e, ENOENT, "there is no '%s'", name) : err_set(e, errno, "find '%s'", name);
    if (!S_ISREG(st.st_mode))
        return err_say(e, EACCES, "'%s' is no file", name);
    if (!c->local && access(c->program, X_OK) < 0)
        return err_set(e, errno, "execute '%s'", name);
    return 0;
}

bool run_command_read_status(const struct run_command *c, struct str *output, int *ret_status)
{
    char tail[RUN_MARK_MAX + 8];
    size_t n = fmt_to(tail, sizeof(tail), "\n%s ", c->mark);
    if (output->n < n)
        return false;
    /* searched from the end, since what the command left running may still have written behind it */
    for (size_t at = output->n - n;; at--) {
        if (memcmp(output->p + at, tail, n) == 0) {
            struct str rest;
            uint64_t status;
            struct str digits = str_cut(str_skip(*output, at + n), '\n', &rest, NULL);
            if (!str_to_u64(digits, &status) || status > 255)
                return false;
            *ret_status = (int)status;
            output->n = at;
            return true;
        }
        if (at == 0)
            return false;
    }
}

void run_command_describe(int status, char *out, size_t cap)
{
    /* the shell's way to say it; a program that exits with such a status itself is rare and reads well enough */
    const char *name = status > 128 ? sigabbrev_np(status - 128) : NULL;
    if (name)
        fmt_to(out, cap, "was killed by SIG%s (status %d)", name, status);
    else
        fmt_to(out, cap, "exited with status %d", status);
}
