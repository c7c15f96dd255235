/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/rootless.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"
#include "os/userns.h"
#include "supervisor/directory.h"

#include <string.h>
#include <sys/stat.h>

static const char UID_FILE[] = "/etc/subuid", GID_FILE[] = "/etc/subgid";

static int judge_configuration(const struct supervisor_paths *p, struct err *e)
{
    char dir[CONFIG_PATH_MAX];
    str_copy(str_from(p->config), dir, sizeof(dir));
    char *slash = strrchr(dir, '/');
    if (!slash || slash == dir)
        return 0; /* in "/", which is root's */
    *slash = '\0';
    scoped_fd fd = directory_check_way(dir, e);
    struct stat st;
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd; /* no directory, no configuration */
    /* A file there may be put in another one's place, even in a sticky directory, as soon as it is gone. */
    if (fstat(fd, &st) == 0 && st.st_mode & (S_IWGRP | S_IWOTH))
        return err_say(e, EPERM,
                       "others may write directory '%s', where the configuration is: refused (chmod go-w, or a "
                       "directory of your own)",
                       dir);
    return 0;
}

/* What is missing is made inside, by us: in a directory that was judged here. */
static int judge(const struct supervisor_paths *p, struct err *e)
{
    const char *const paths[] = {p->run, p->state};
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        scoped_fd fd = directory_check_way(paths[i], e);
        if (fd < 0 && fd != -ENOENT)
            return fd;
    }
    return judge_configuration(p, e);
}

static int find_ids(uid_t user, struct subids *uids, struct subids *gids, struct err *e)
{
    int r = subid_read(UID_FILE, user, uids, e);
    if (r == 0)
        r = subid_read(GID_FILE, user, gids, e);
    if (r < 0)
        return r;
    uint32_t count = subid_total(uids) < subid_total(gids) ? subid_total(uids) : subid_total(gids);
    if (count > USERNS_IDS_MAX)
        count = USERNS_IDS_MAX;
    if (count < USERNS_IDS_MIN)
        return err_say(e, ERANGE, "%s and %s give uid %u %u ids, and %d are the least", UID_FILE, GID_FILE, user, count,
                       USERNS_IDS_MIN);
    subid_cut(uids, count);
    subid_cut(gids, count);
    return 0;
}

static void enter(void)
{
    struct subids uids, gids;
    struct err why = {0};
    if (geteuid() == 0)
        return;
    bool has_ids = find_ids(geteuid(), &uids, &gids, &why) == 0;
    userns_enter(has_ids ? &uids : NULL, has_ids ? &gids : NULL, why.text, &why);
}

int rootless_enter(const struct supervisor_paths *paths, struct err *e)
{
    int r = paths && geteuid() != 0 ? judge(paths, e) : 0;
    if (r == 0)
        enter();
    return r;
}

int rootless_enter_private(const struct supervisor_paths *paths, struct err *e)
{
    int r = geteuid() != 0 ? judge_configuration(paths, e) : 0;
    if (r == 0)
        enter();
    return r;
}
