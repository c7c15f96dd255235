/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that cannot start. */
#include <faasd/function.h>

static int load(void)
{
    return faasd_init_fail("NoModel", "open %s: there is no file", "model.bin");
}

static int handle(const struct faasd_event *event, struct faasd_reply *reply)
{
    (void)event;
    return faasd_reply_text(reply, "");
}

FAASD_FUNCTION_WITH_INIT(load, handle)
