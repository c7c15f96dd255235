/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/event.h"

#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int cannot_open(const char *path, int error, struct err *e)
{
    if (error != ENOENT)
        return err_set(e, error, "-d @%s: open '%s'", path, path);
    return err_say(e, error,
                   "-d @%s: there is no file '%s' to take the event from; an event that begins with @ goes through "
                   "stdin, with -d -",
                   path, path);
}

int event_open(struct event *ev, const char *data, const char *absent, struct err *e)
{
    *ev = (struct event){.text = str_from(data ? data : absent), .fd = -1};
    if (!data)
        return 0;
    if (strcmp(data, "-") == 0) {
        ev->fd = STDIN_FILENO;
    } else if (data[0] == '@') {
        ev->fd = open(data + 1, O_RDONLY | O_CLOEXEC);
        ev->fd_owned = true;
        if (ev->fd < 0)
            return cannot_open(data + 1, errno, e);
    }
    return 0;
}

void event_close(struct event *ev)
{
    if (ev->fd_owned)
        fd_close(&ev->fd);
    ev->fd = -1;
}
