/* SPDX-License-Identifier: Apache-2.0 */
/* The event of `faasd invoke` and `faasd run`: -d DATA, -d @FILE, -d - or nothing. */
#ifndef FAASD_CMD_EVENT_H
#define FAASD_CMD_EVENT_H

#include "base/err.h"
#include "base/str.h"

struct event {
    struct str text; /* used when fd is -1 */
    int fd;          /* a file or stdin */
    bool fd_owned;
};

/* `data` is -d's value, NULL without one: the event is `absent` then. */
int event_open(struct event *ev, const char *data, const char *absent, struct err *e);
void event_close(struct event *ev);

#endif
