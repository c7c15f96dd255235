/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/secret_cargo.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Bytes of the sealed secrets, or why there is nothing to open. */
static int64_t check_message(const struct message_spawn *m, int fd, struct err *e)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < m->secret_count; i++) {
        if (m->secrets[i].sealed_bytes == 0)
            return err_say(e, ENOENT, "there is no secret '%s' (any more). Make it: faasd secret set %s",
                           m->secrets[i].name, m->secrets[i].name);
        total += m->secrets[i].sealed_bytes;
    }
    return fd >= 0 ? total : err_say(e, EAGAIN, "its secrets did not come: the gateway has too many open files");
}

/* Only what lies in memory and can't change any more is read: a pipe would make this process wait, and what changes could be another thing at the second look. */
static int check_file(int fd, int64_t total, struct err *e)
{
    const int wanted = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &st) < 0 || st.st_size != total)
        return err_say(e, EPROTO, "its secrets did not come in a sealed memory file of the right size");
    return 0;
}

static int make_area(struct secret_cargo *c, size_t bytes, struct err *e)
{
    void *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        return err_set(e, ENOMEM, "make room for secrets");
    if (madvise(area, bytes, MADV_DONTDUMP) < 0) {
        int saved = errno;
        munmap(area, bytes);
        return err_set(e, saved, "protect secrets");
    }
    mlock(area, bytes); /* not allowed everywhere, and no reason to start nobody */
    c->area = area;
    c->area_bytes = bytes;
    return 0;
}

static int open_all(struct secret_cargo *c, const struct secret_keys *keys, const struct message_spawn *m, int fd,
                    struct err *e)
{
    size_t at = 0;
    scoped_free char *sealed = malloc(SECRET_SEALED_MAX);
    if (!sealed)
        return err_set(e, ENOMEM, "make room for secrets");
    for (uint32_t i = 0; i < m->secret_count; i++) {
        size_t n = m->secrets[i].sealed_bytes;
        if (pread(fd, sealed, n, (off_t)at) != (ssize_t)n)
            return err_set(e, EIO, "read the sealed secrets");
        int r = secret_open(keys, m->secrets[i].name, (struct str){sealed, n}, c->area + at, e);
        if (r < 0)
            return r;
        c->values[i] = c->area + at + SECRET_HEADER_BYTES;
        c->sizes[i] = n - SECRET_OVERHEAD;
        at += n;
    }
    return 0;
}

int secret_cargo_open(struct secret_cargo *c, const struct secret_keys *keys, const struct message_spawn *m, int fd,
                      struct err *e)
{
    *c = (struct secret_cargo){0};
    if (m->secret_count == 0)
        return 0;
    int64_t total = check_message(m, fd, e);
    int r = total < 0 ? (int)total : check_file(fd, total, e);
    if (r == 0)
        r = make_area(c, (size_t)total, e);
    if (r == 0)
        r = open_all(c, keys, m, fd, e);
    if (r < 0)
        secret_cargo_wipe(c);
    return r;
}

void secret_cargo_wipe(struct secret_cargo *c)
{
    if (c->area) {
        secret_wipe(c->area, c->area_bytes);
        munmap(c->area, c->area_bytes);
    }
    *c = (struct secret_cargo){0};
}
