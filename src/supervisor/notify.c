/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/notify.h"

#include "base/clock.h"
#include "base/fmt.h"
#include "base/log.h"
#include "os/sock.h"

#include <stdlib.h>
#include <string.h>

static void tell(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct err e;
    if (!path || !*path)
        return;
    if (sock_send_datagram(path, text, strlen(text), &e) < 0)
        log_warn("the service manager was not told: %s", e.text);
}

void notify_ready(void)
{
    tell("READY=1");
}

void notify_reloading(void)
{
    char text[64];
    fmt_to(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_mono_ns() / 1000));
    tell(text);
}

void notify_stopping(void)
{
    tell("STOPPING=1");
}

void notify_alive(void)
{
    tell("WATCHDOG=1");
}
