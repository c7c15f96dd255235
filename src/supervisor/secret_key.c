/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/secret_key.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "supervisor/directory.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define CREDENTIAL "faasd-secrets-key"
#define KEYS_DIR   "keys"
#define KEY_FILE   "secrets.key"
#define KEY_NEW    "secrets.key.new"

/* One page for what must not get out: in no dump, in no child, in no swap. The last is not allowed everywhere, and no reason to serve nobody. */
static int map_keys(struct secret_keys **ret_keys, struct err *e)
{
    void *page = mmap(NULL, sizeof(struct secret_keys), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return err_set(e, ENOMEM, "make room for the secrets' key");
    if (madvise(page, sizeof(struct secret_keys), MADV_DONTDUMP) < 0 ||
        madvise(page, sizeof(struct secret_keys), MADV_WIPEONFORK) < 0) {
        int saved = errno;
        munmap(page, sizeof(struct secret_keys));
        return err_set(e, saved, "protect the secrets' key");
    }
    mlock(page, sizeof(struct secret_keys));
    *ret_keys = page;
    return 0;
}

/* Exactly a key's bytes, and complete. `name` is for people. */
static int read_key(int fd, struct secret_keys *k, const char *name, struct err *e)
{
    uint8_t more;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "look at '%s'", name);
    if (!S_ISREG(st.st_mode))
        return err_say(e, EINVAL, "'%s' is no file", name);
    ssize_t n = fd_read_full(fd, k->private, sizeof(k->private));
    if (n < 0)
        return err_set(e, (int)-n, "read '%s'", name);
    if (n != sizeof(k->private) || fd_read_full(fd, &more, 1) != 0)
        return err_say(e, EINVAL,
                       "'%s' has %lld bytes, a key has %d: restore it; or remove it, and set every secret again", name,
                       (long long)st.st_size, SECRET_KEY_BYTES);
    int r = secret_keys_complete(k, e);
    return r < 0 ? err_wrap(e, "'%s'", name) : 0;
}

/* 1: there is one and it was read. */
static int read_credential(struct secret_keys *k, struct err *e)
{
    char path[PATH_MAX];
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (!dir || dir[0] != '/')
        return 0;
    if (fmt_to(path, sizeof(path), "%s/" CREDENTIAL, dir) == sizeof(path) - 1)
        return err_say(e, ENAMETOOLONG, "CREDENTIALS_DIRECTORY is too long");
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set(e, errno, "open '%s'", path);
    int r = read_key(fd, k, path, e);
    return r < 0 ? r : 1;
}

/* Under another name until it is on the disk: after a power cut there is the whole key or none, and none was used before. */
static int write_key(int dir_fd, const struct secret_keys *k, struct err *e)
{
    if (unlinkat(dir_fd, KEY_NEW, 0) < 0 && errno != ENOENT)
        return err_set(e, errno, "remove 'keys/" KEY_NEW "'");
    scoped_fd fd = openat(dir_fd, KEY_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, errno, "make 'keys/" KEY_NEW "'");
    int r = fd_write_full(fd, k->private, sizeof(k->private));
    if (r < 0)
        return err_set(e, -r, "write 'keys/" KEY_NEW "'");
    if (fsync(fd) < 0 || renameat(dir_fd, KEY_NEW, dir_fd, KEY_FILE) < 0 || fsync(dir_fd) < 0)
        return err_set(e, errno, "store 'keys/" KEY_FILE "'");
    return 0;
}

static int read_own(int fd, struct secret_keys *k, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "look at 'keys/" KEY_FILE "'");
    if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return err_say(e, EPERM,
                       "'keys/" KEY_FILE "' belongs to uid %u, or its mode lets others read it: make it uid %u's with "
                       "mode 600, or remove it and set every secret again",
                       st.st_uid, geteuid());
    return read_key(fd, k, "keys/" KEY_FILE, e);
}

static int find_own(struct secret_keys *k, int state_fd, struct err *e)
{
    scoped_fd dir = directory_open_own_at(state_fd, KEYS_DIR, 0700, e);
    if (dir < 0)
        return dir;
    if (fchmod(dir, 0700) < 0)
        return err_set(e, errno, "set the mode of '" KEYS_DIR "'");
    scoped_fd fd = openat(dir, KEY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        return read_own(fd, k, e);
    if (errno != ENOENT)
        return err_set(e, errno, "open 'keys/" KEY_FILE "'");
    int r = secret_keys_make(k, e);
    return r < 0 ? r : write_key(dir, k, e);
}

int secret_key_open(struct secret_keys **ret_keys, int state_fd, struct err *e)
{
    struct secret_keys *k;
    int r = map_keys(&k, e);
    if (r < 0)
        return r;
    r = read_credential(k, e);
    if (r == 0)
        r = find_own(k, state_fd, e);
    if (r < 0) {
        secret_key_close(k);
        return err_wrap(e, "the key of secrets");
    }
    *ret_keys = k;
    return 0;
}

void secret_key_close(struct secret_keys *keys)
{
    if (!keys)
        return;
    secret_wipe(keys, sizeof(*keys));
    munmap(keys, sizeof(*keys));
}
