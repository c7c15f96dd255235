/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_lost.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"
#include "codec/config.h"
#include "gateway/store_salvage.h"
#include "gateway/store_sql.h"
#include "supervisor/message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool store_lost_is_tree(const char *name)
{
    return strlen(name) == MESSAGE_DIGEST_MAX - 1 && strspn(name, "0123456789abcdef") == MESSAGE_DIGEST_MAX - 1;
}

static bool has_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? errno != ENOENT : st.st_size > 0;
}

/* A replacement that was cut off is finished when it is opened, and one that is marked already was told of. */
static bool is_gone(const char *path)
{
    return !has_bytes(path) && !store_salvage_is_cut_off(path) && !store_salvage_is_due(path);
}

static int count_trees(int versions_dirfd, unsigned *ret_count, struct err *e)
{
    int copy = openat(versions_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    if (!d) {
        fd_close(&copy);
        return err_set(e, errno, "list the versions' trees");
    }
    *ret_count = 0;
    for (const struct dirent *entry; (errno = 0, entry = readdir(d));)
        *ret_count += store_lost_is_tree(entry->d_name);
    int r = errno ? err_set(e, errno, "list the versions' trees") : 0;
    closedir(d);
    return r;
}

/* Durable before SQLite makes the new one: from then on nothing else tells that there was another. */
static int leave_mark(const char *db_dir, const char *path, const char *mark, struct err *e)
{
    char log[CONFIG_PATH_MAX + 64], kept[sizeof(log)];
    fmt_to(log, sizeof(log), "%s-wal", path);
    fmt_to(kept, sizeof(kept), "%s-wal", mark);
    if (rename(log, kept) < 0 && errno != ENOENT) /* SQLite removes one that stands beside an empty database */
        return err_set(e, errno, "set '%s' aside", log);
    scoped_fd fd = open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    scoped_fd dir = open(db_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || dir < 0 || fsync(dir) < 0)
        return err_set(e, errno, "make '%s'", mark);
    return 0;
}

int store_lost_check(const char *db_dir, int versions_dirfd, struct err *e)
{
    char path[CONFIG_PATH_MAX + 32], mark[sizeof(path) + 16];
    unsigned trees = 0;
    fmt_to(path, sizeof(path), "%s/" STORE_SQL_FILE, db_dir);
    fmt_to(mark, sizeof(mark), "%s.damaged", path);
    if (!is_gone(path))
        return 0;
    int r = count_trees(versions_dirfd, &trees, e);
    if (r < 0 || trees == 0)
        return r;
    r = leave_mark(db_dir, path, mark, e);
    if (r == 0)
        log_error("the database '%s' is missing or empty, but there is code of %u versions: what was deployed is lost "
                  "from it; restore a backup, or deploy again what is missing and remove '%s': until then no code is "
                  "thrown away",
                  path, trees, mark);
    return r;
}
