/* SPDX-License-Identifier: Apache-2.0 */
/* Its fork() is its own: it does what the file `hostile` beside the program says, which the test puts there from outside. */
#include <faasd/frame.h>
#include <faasd/function.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

pid_t _Fork(void);

pid_t fork(void)
{
    char how[16] = "";
    FILE *f = fopen("/var/task/hostile", "re");
    if (f && !fgets(how, sizeof(how), f))
        how[0] = 0;
    if (f)
        fclose(f);
    if (!strcmp(how, "exit"))
        _exit(0);
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "hang"))
        for (;;)
            pause();
    if (!strcmp(how, "garbage") && write(FAASD_FRAME_FD, "0123456789abcdef0123456789abcdef", 32))
        return 12345;
    if (!strcmp(how, "ready")) {
        struct faasd_frame ready = {.type = FAASD_FRAME_READY};
        if (write(FAASD_FRAME_FD, &ready, sizeof(ready)))
            return 12345;
    }
    if (!strcmp(how, "lie")) /* the template passes itself off as its child */
        return 0;
    if (!strcmp(how, "nothing"))
        return 12345;
    return _Fork();
}

/* Until the test has put a file of this name beside the program. */
static void wait_for(const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/var/task/%s", name);
    while (access(path, F_OK) < 0)
        usleep(5000);
}

static int handle(const struct faasd_event *event, struct faasd_reply *reply)
{
    if (!strcmp(event->body, "crash"))
        abort();
    if (!strcmp(event->body, "exit"))
        exit(3);
    if (!strncmp(event->body, "slow", 4)) /* and for how many milliseconds */
        usleep(1000 * (useconds_t)atoi(event->body + 4));
    if (!strncmp(event->body, "until ", 6))
        wait_for(event->body + 6);
    return faasd_reply_printf(reply, "%p", (void *)handle);
}

FAASD_FUNCTION(handle)
