/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_lock.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

static_assert(sizeof(struct flock) == sizeof(struct flock64), "SQLite is built for large files");

enum { TRIES = 200, PAUSE_US = 1000 }; /* memory that is not there for so long is not coming back soon */

/* SQLite's own calls come through here (os_unix.c: with an int, with a struct flock *, or with nothing). */
static int call_fcntl(int fd, int op, ...)
{
    va_list ap;
    va_start(ap, op);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    bool unlocks = op == F_SETLK && ((const struct flock *)argument)->l_type == F_UNLCK;
    int r = fcntl(fd, op, argument);
    for (int i = 0; unlocks && r < 0 && i < TRIES; i++) {
        usleep(PAUSE_US);
        r = fcntl(fd, op, argument);
    }
    return r;
}

static void replace(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL); /* NULL without memory: then nothing is opened either */
    if (vfs && vfs->iVersion >= 3)
        vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)call_fcntl);
}

void store_lock_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, replace);
}
