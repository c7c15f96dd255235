/* SPDX-License-Identifier: Apache-2.0 */
/* Answers with the event's bytes, whatever they are. */
#include <faasd/function.h>

static int echo(const struct faasd_event *event, struct faasd_reply *reply)
{
    return faasd_reply_write(reply, event->body, event->body_length);
}

FAASD_FUNCTION(echo)
