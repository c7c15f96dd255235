/* SPDX-License-Identifier: Apache-2.0 */
/* Its init leaves what HAZARD names, which children would share. */
#include <faasd/function.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static int calls;
static int *counter = &calls;

static void *linger(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static int prepare(void)
{
    const char *hazard = getenv("HAZARD");
    pthread_t thread;
    if (!strcmp(hazard, "thread"))
        return pthread_create(&thread, NULL, linger, NULL);
    if (!strcmp(hazard, "file"))
        return open("/etc/hosts", O_RDONLY) < 0;
    if (!strcmp(hazard, "eventfd"))
        return eventfd(0, 0) < 0;
    counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return counter == MAP_FAILED;
}

static int handle(const struct faasd_event *event, struct faasd_reply *reply)
{
    (void)event;
    return faasd_reply_printf(reply, "%d", (*counter)++);
}

FAASD_FUNCTION_WITH_INIT(prepare, handle)
