/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeps for as many milliseconds as the event says and answers nothing: time without work. */
#include "faasd/function.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int handle(const struct faasd_event *event, struct faasd_reply *reply)
{
    char text[16] = "";
    (void)reply;
    if (event->body_length < sizeof(text))
        memcpy(text, event->body, event->body_length);
    long ms = strtol(text, NULL, 10);
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0)
        continue;
    return 0;
}

FAASD_FUNCTION(handle)
