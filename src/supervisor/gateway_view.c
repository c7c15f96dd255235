/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/gateway_view.h"

#include "base/fdio.h"
#include "base/str.h"
#include "os/mnt.h"
#include "os/ns.h"
#include "os/userns.h"
#include "supervisor/directory.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Looks the path up part by part: covers the first closed one, makes what is missing beneath a cover. */
static int open_way(const char *path, uid_t uid, gid_t gid, struct err *e)
{
    char part[PATH_MAX];
    if (!str_copy(str_from(path), part, sizeof(part)))
        return err_say(e, ENAMETOOLONG, "path '%s' is too long", path);
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        struct stat st;
        *p = '\0';
        if (stat(part, &st) < 0) {
            if (errno != ENOENT || mkdir(part, 0711) < 0 || chmod(part, 0711) < 0)
                return err_set(e, errno, "make the gateway's way to '%s'", path);
        } else if (end && !directory_may_pass(&st, uid, gid)) {
            int r = mnt_tmpfs(part, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                              "size=64k,nr_inodes=256,mode=711", e);
            if (r < 0)
                return r;
        }
        *p = end;
        if (!end)
            return 0;
    }
}

int gateway_view_make(const char *const paths[], unsigned count, uid_t uid, gid_t gid, struct err *e)
{
    int trees[GATEWAY_VIEW_PATHS_MAX] = {-1, -1, -1, -1};
    struct err closed;
    assert(userns_own()->entered); /* uid 0 is an ordinary user of the host: none of this is done with power over it */
    assert(count <= GATEWAY_VIEW_PATHS_MAX);
    int r = ns_unshare(CLONE_NEWNS, e);
    /* All before the first cover, which may hide the others. */
    for (unsigned i = 0; i < count && r == 0; i++)
        r = (trees[i] = mnt_clone_tree(AT_FDCWD, paths[i], 0, e)) < 0 ? -e->code : 0;
    for (unsigned i = 0; i < count && r == 0; i++) {
        if (directory_check_reach(paths[i], uid, gid, &closed) == 0)
            continue;
        r = open_way(paths[i], uid, gid, e);
        if (r == 0)
            r = mnt_attach(trees[i], paths[i], e);
    }
    for (unsigned i = 0; i < count; i++)
        fd_close(&trees[i]);
    return r;
}
