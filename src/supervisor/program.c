/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/program.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define PROGRAM     "program"
#define PROGRAM_NEW "program.new"

static int copy_all(int from, int to, struct err *e)
{
    for (;;) {
        ssize_t n = sendfile(to, from, NULL, 1 << 20);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, errno, "copy the program to state/%s", PROGRAM);
        if (n == 0)
            return 0;
    }
}

int program_keep(int state_fd, struct err *e)
{
    scoped_fd from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return err_set(e, errno, "open '/proc/self/exe'");
    unlinkat(state_fd, PROGRAM_NEW, 0); /* of a start that was killed here */
    scoped_fd to = openat(state_fd, PROGRAM_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0700);
    if (to < 0)
        return err_set(e, errno, "create 'state/%s'", PROGRAM_NEW);
    int r = copy_all(from, to, e);
    if (r < 0)
        return r;
    /* Readable and executable for the code owner's id, which unpackers run as, whatever the umask. */
    if (fchmod(to, 0755) < 0 || renameat(state_fd, PROGRAM_NEW, state_fd, PROGRAM) < 0)
        return err_set(e, errno, "put 'state/%s' in place", PROGRAM);
    int kept = openat(state_fd, PROGRAM, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return kept < 0 ? err_set(e, errno, "open 'state/%s'", PROGRAM) : kept;
}

void program_discard(int state_fd)
{
    if (state_fd >= 0)
        unlinkat(state_fd, PROGRAM, 0);
}
