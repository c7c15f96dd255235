/* SPDX-License-Identifier: Apache-2.0 */
/* Says what it finds of the request before it, then leaves everything it can behind. */
#include <dirent.h>
#include <faasd/function.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

static int global;

/* What earlier requests opened. */
static int count_open(void)
{
    char path[32], target[16];
    int n = 0;
    for (int fd = 0; fd < 100; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof(target));
        n += length == 10 && !memcmp(target, "/etc/hosts", 10);
    }
    return n;
}

static int count(const char *path, int numbers_only)
{
    int n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.' && (!numbers_only || (e->d_name[0] >= '1' && e->d_name[0] <= '9'));
    if (d)
        closedir(d);
    return n;
}

static void *linger(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static int handle(const struct faasd_event *event, struct faasd_reply *reply)
{
    (void)event;
    int segment = shmget(0x5eed, 4096, 0);
    faasd_reply_type(reply, "application/json");
    faasd_reply_printf(reply,
                       "{\"pid\": %d, \"global\": %d, \"fds\": %d, \"threads\": %d, \"env\": \"%s\", \"tmp\": %d, "
                       "\"processes\": %d, \"sysv\": %d}",
                       getpid(), global, count_open(), count("/proc/self/task", 0),
                       getenv("MARK") ? getenv("MARK") : "", count("/tmp", 0), count("/proc", 1), segment >= 0);
    global = 1;
    setenv("MARK", "left", 1);
    open("/etc/hosts", O_RDONLY);
    pthread_t thread;
    pthread_create(&thread, NULL, linger, NULL);
    close(open("/tmp/left", O_CREAT | O_WRONLY, 0600));
    shmget(0x5eed, 4096, IPC_CREAT | 0600);
    if (fork() == 0) {
        close(3);
        for (;;)
            pause();
    }
    return 0;
}

FAASD_FUNCTION(handle)
