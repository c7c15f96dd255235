/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/signing_key.h"

#include "base/fdio.h"
#include "base/id.h"
#include "supervisor/directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Exactly SIGNING_KEY_BYTES. `path` for messages. */
static int read_key(int fd, const char *path, unsigned char key[SIGNING_KEY_BYTES], struct err *e)
{
    unsigned char bytes[SIGNING_KEY_BYTES + 1];
    ssize_t n = fd_read_full(fd, bytes, sizeof(bytes));
    int r = 0;
    if (n < 0)
        r = err_set(e, (int)-n, "read '%s'", path);
    else if (n != SIGNING_KEY_BYTES)
        r = err_say(e, EINVAL, "'%s' has to be %d random bytes: `head -c %d /dev/urandom` makes such a file", path,
                    SIGNING_KEY_BYTES, SIGNING_KEY_BYTES);
    else
        memcpy(key, bytes, SIGNING_KEY_BYTES);
    explicit_bzero(bytes, sizeof(bytes));
    return r;
}

static int check_file(int fd, const char *path, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "look at '%s'", path);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
        return err_say(e, EPERM, "'%s' has to be a file that only its owner, uid %u, can read (chmod 600)", path,
                       geteuid());
    return 0;
}

static int make_key(int dir, unsigned char key[SIGNING_KEY_BYTES], struct err *e)
{
    static const char fresh[] = SIGNING_KEY_FILE ".new";
    scoped_fd fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, 0600) < 0)
        return err_set(e, errno, "make '%s'", fresh);
    id_random(key, SIGNING_KEY_BYTES);
    int r = fd_write_full(fd, key, SIGNING_KEY_BYTES);
    if (r < 0)
        return err_set(e, -r, "write '%s'", fresh);
    if (fsync(fd) < 0 || renameat(dir, fresh, dir, SIGNING_KEY_FILE) < 0 || fsync(dir) < 0)
        return err_set(e, errno, "store '%s'", SIGNING_KEY_FILE);
    return 0;
}

int signing_key_load(int state_fd, const char *credentials, unsigned char key[SIGNING_KEY_BYTES], struct err *e)
{
    char path[512];
    if (*credentials) {
        int n = snprintf(path, sizeof(path), "%s/" SIGNING_KEY_CREDENTIAL, credentials);
        /* systemd made the directory for this service alone; the file may be a bind mount of any mode it likes. */
        scoped_fd given = n > 0 && (size_t)n < sizeof(path) ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
        if (given >= 0)
            return read_key(given, path, key, e);
        if (errno != ENOENT)
            return err_set(e, errno, "open '%s'", path);
    }
    scoped_fd dir = directory_open_own_at(state_fd, SIGNING_KEY_DIR, 0700, e);
    if (dir < 0)
        return dir;
    if (fchmod(dir, 0700) < 0)
        return err_set(e, errno, "set the mode of '" SIGNING_KEY_DIR "'");
    scoped_fd fd = openat(dir, SIGNING_KEY_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return make_key(dir, key, e);
    if (fd < 0)
        return err_set(e, errno, "open '" SIGNING_KEY_DIR "/" SIGNING_KEY_FILE "'");
    int r = check_file(fd, SIGNING_KEY_DIR "/" SIGNING_KEY_FILE, e);
    return r < 0 ? r : read_key(fd, SIGNING_KEY_DIR "/" SIGNING_KEY_FILE, key, e);
}
