/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/bucket.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What is no file in the bucket, whatever the reason: a client is told no more of the host than that. */
static bool is_absent(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV || error == ENAMETOOLONG ||
           error == EINVAL;
}

/* Without opening it: a device or a pipe would notice. */
static int find_file(int dir, const char *key)
{
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    long fd;
    do
        fd = syscall(SYS_openat2, dir, key, &how, sizeof(how));
    while (fd < 0 && (errno == EAGAIN || errno == EINTR)); /* a rename elsewhere: openat2(2) */
    return fd < 0 ? -errno : (int)fd;
}

int bucket_open(const struct config *c, const char *bucket, const char *key, struct err *e)
{
    char path[48];
    struct stat st;
    const struct config_bucket *b = config_find_bucket(c, bucket);
    if (!b)
        return err_say(e, ENXIO, "code_buckets has no '%s'", bucket);
    scoped_fd dir = open(b->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        log_warn("code_buckets: open '%s' for bucket '%s': %s", b->path, b->name, strerrorname_np(errno));
        return err_set(e, ENXIO, "open the directory of bucket '%s'", bucket);
    }
    int found = find_file(dir, key);
    if (found < 0)
        return is_absent(-found) ? err_set(e, ENOENT, "find '%.200s' in bucket '%s'", key, bucket)
                                 : err_set(e, -found, "find '%.200s' in bucket '%s'", key, bucket);
    scoped_fd file = found;
    if (fstat(file, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(e, ENOENT, "'%.200s' in bucket '%s' is no regular file", key, bucket);
    fmt_to(path, sizeof(path), "/proc/self/fd/%d", (int)file);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? err_set(e, errno, "open '%.200s' in bucket '%s'", key, bucket) : fd;
}

void bucket_answer(struct channel *to, const struct config *c, const struct message_object *m)
{
    struct message_failed answer = {.header = {.type = MESSAGE_DONE, .size = sizeof(answer), .id = m->header.id}};
    int fd = bucket_open(c, m->bucket, m->key, &answer.error);
    if (fd >= 0)
        answer.error = (struct err){0};
    channel_send(to, &answer.header, &fd, fd >= 0);
}
