/* SPDX-License-Identifier: Apache-2.0 */
/* A native function that tells which process answered and how many requests it has seen: for isolation, measured and asserted. */
#include <faasd/function.h>

#include <sys/random.h>
#include <unistd.h>

static int tell(const struct faasd_event *event, struct faasd_reply *reply)
{
    static unsigned long long process;
    static unsigned seen;
    (void)event;
    if (!process && getrandom(&process, sizeof(process), 0) != sizeof(process))
        return faasd_fail(reply, "NoRandom", "getrandom failed");
    faasd_reply_type(reply, "application/json");
    return faasd_reply_printf(reply, "{\"process\":\"%016llx\",\"pid\":%d,\"seen\":%u}", process, (int)getpid(),
                              ++seen);
}

FAASD_FUNCTION(tell)
