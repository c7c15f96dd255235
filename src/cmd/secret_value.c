/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/secret_value.h"

#include "base/fdio.h"
#include "codec/secret.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <termios.h>

enum { ROOM = SECRET_VALUE_MAX + 1 };

static int make_room(struct secret_value *v, struct err *e)
{
    void *bytes = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return err_set(e, ENOMEM, "make room for the value");
    madvise(bytes, ROOM, MADV_DONTDUMP);
    mlock(bytes, ROOM); /* 64 KiB are what most systems let anybody lock; where not, it is a moment's risk */
    v->bytes = bytes;
    return 0;
}

void secret_value_wipe(struct secret_value *v)
{
    if (v->bytes) {
        secret_wipe(v->bytes, ROOM);
        munmap(v->bytes, ROOM);
    }
    *v = (struct secret_value){0};
}

static int read_fd(struct secret_value *v, int fd, const char *name, struct err *e)
{
    ssize_t n = fd_read_full(fd, v->bytes, ROOM);
    if (n < 0)
        return err_set(e, (int)-n, "read %s", name);
    v->n = (size_t)n;
    return 0;
}

static void trim(struct secret_value *v)
{
    if (v->n && v->bytes[v->n - 1] == '\n')
        v->n--;
    if (v->n && v->bytes[v->n - 1] == '\r')
        v->n--;
}

/* ---- a terminal ---- */

static struct termios echoing;

/* Ctrl-C must not leave a terminal that shows nothing. */
static void on_signal(int number)
{
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &echoing);
    signal(number, SIG_DFL);
    raise(number);
}

/* One line, at most what the terminal's own line editing takes (4,095 bytes): longer ones are no job for typing. */
static int read_line(struct secret_value *v, struct err *e)
{
    ssize_t n;
    while (v->n < ROOM && (n = read(STDIN_FILENO, v->bytes + v->n, ROOM - v->n)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, errno, "read the terminal");
        v->n += (size_t)n;
        if (v->bytes[v->n - 1] == '\n')
            break;
    }
    trim(v);
    return 0;
}

static int read_terminal(struct secret_value *v, const char *name, struct err *e)
{
    static const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct termios silent;
    if (tcgetattr(STDIN_FILENO, &echoing) < 0)
        return err_set(e, errno, "ask the terminal");
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        signal(fatal[i], on_signal);
    silent = echoing;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    /* Silenced first: whoever types as soon as the question stands there must not see it. */
    int r = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0 ? err_set(e, errno, "silence the terminal") : 0;
    if (r == 0) {
        fprintf(stderr, "value of '%s' (not shown, ends with Enter): ", name);
        r = read_line(v, e);
    }
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &echoing);
    fputc('\n', stderr);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        signal(fatal[i], SIG_DFL);
    return r;
}

/* ---- all of them ---- */

static int read_source(struct secret_value *v, const struct secret_source *s, struct err *e)
{
    if (s->file) {
        scoped_fd fd = open(s->file, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? err_set(e, errno, "open '%s'", s->file) : read_fd(v, fd, s->file, e);
    }
    return isatty(STDIN_FILENO) ? read_terminal(v, s->name, e) : read_fd(v, STDIN_FILENO, "stdin", e);
}

int secret_value_read(struct secret_value *v, const struct secret_source *s, struct err *e)
{
    *v = (struct secret_value){0};
    int r = make_room(v, e);
    if (r == 0)
        r = read_source(v, s, e);
    if (r == 0 && v->n > SECRET_VALUE_MAX)
        r = err_say(e, EINVAL, "the value is longer than %d bytes, the most that a secret has", SECRET_VALUE_MAX);
    if (r == 0 && s->trim)
        trim(v);
    if (r == 0 && v->n == 0)
        r = err_say(e, EINVAL, "the value is empty: it comes from stdin, or from --file FILE");
    if (r < 0)
        secret_value_wipe(v);
    return r;
}
