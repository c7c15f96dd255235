/* SPDX-License-Identifier: Apache-2.0 */
/* A reply in pieces, as its path asks: the native function of tests/integration/test_stream.py. */
#include <faasd/function.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char block[65536];

static int flood(struct faasd_reply *reply, unsigned long blocks)
{
    for (unsigned long i = 0; i < blocks; i++)
        if (faasd_reply_write(reply, block, sizeof(block)) != 0)
            return -1;
    return 0;
}

static int answer(const struct faasd_event *event, struct faasd_reply *reply)
{
    if (!strcmp(event->path, "/whole"))
        return faasd_reply_text(reply, "whole");
    if (!strcmp(event->path, "/fail"))
        return faasd_fail(reply, "AtOnce", "before the first byte");
    int status = atoi(event->query);
    if (status)
        faasd_reply_status(reply, status);
    faasd_reply_type(reply, "text/plain");
    faasd_reply_header(reply, "X-Kind", "stream");
    faasd_reply_text(reply, "one ");
    if (faasd_reply_flush(reply) != 0)
        return -1;
    if (!strcmp(event->path, "/hang")) {
        for (;;)
            pause();
    }
    if (!strcmp(event->path, "/break"))
        return faasd_fail(reply, "MidStream", "behind the first byte");
    if (!strcmp(event->path, "/late"))
        return faasd_reply_status(reply, 404);
    if (!strcmp(event->path, "/crash"))
        abort();
    if (!strcmp(event->path, "/endless")) {
        while (flood(reply, 1) == 0)
            ;
        return -1;
    }
    if (!strcmp(event->path, "/large"))
        return flood(reply, 512);
    faasd_reply_text(reply, "two ");
    faasd_reply_flush(reply);
    return faasd_reply_text(reply, "three");
}

FAASD_FUNCTION(answer)
