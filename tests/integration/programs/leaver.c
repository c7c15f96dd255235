/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for what the requests before it left, and leaves everything that a process can. */
#include <faasd/function.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static char kept[4096];         /* a global */
static char mark[] = "xECRET-"; /* put together at run time, or it would find itself */

/* How many of other requests' secrets stand anywhere in what this process may read and write. */
static int search(const char *own)
{
    char line[512];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || strncmp(rights, "rw", 2))
            continue;
        for (char *at = (char *)from; (at = memmem(at, to - (unsigned long)at, mark, 7)); at += 7)
            found += at + 16 <= (char *)to && at[7] >= '0' && at[7] <= '9' && strncmp(at, own, strlen(own)) != 0;
    }
    if (maps)
        fclose(maps);
    return found;
}

static int handle(const struct faasd_event *event, struct faasd_reply *reply)
{
    struct sigaction action;
    struct itimerval timer;
    struct rlimit limit;
    struct stat st;
    sigset_t blocked;
    char cwd[64] = "", target[64];
    int open_ones = 0;
    mark[0] = 'S';
    sigaction(SIGUSR1, NULL, &action);
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    getitimer(ITIMER_REAL, &timer);
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 4; fd < 64; fd++)
        open_ones += fcntl(fd, F_GETFD) >= 0;
    mode_t mask = umask(0);
    int lock = open("/var/task/leaver", O_RDONLY);
    struct flock whole = {.l_type = F_RDLCK};
    faasd_reply_printf(reply,
                       "{\"memory\": %d, \"env\": %d, \"handler\": %d, \"blocked\": %d, \"timer\": %d, \"files\": %lu, "
                       "\"open\": %d, \"umask\": %d, ",
                       search(event->body), getenv("LEFT") != NULL, action.sa_handler != SIG_DFL,
                       sigismember(&blocked, SIGUSR2), timer.it_value.tv_sec != 0, (unsigned long)limit.rlim_cur,
                       open_ones, mask);
    faasd_reply_printf(reply, "\"cwd\": \"%s\", \"tmp\": %d, \"mode\": %d, \"shm\": %d, \"log\": %d, \"lock\": %d}",
                       getcwd(cwd, sizeof(cwd)), access("/tmp/left", F_OK) == 0,
                       stat("/tmp", &st) == 0 ? (int)(st.st_mode & 07777) : -1, access("/dev/shm/left", F_OK) == 0,
                       (int)readlink("/proc/self/fd/1", target, sizeof(target)) < 0, fcntl(lock, F_SETLK, &whole) != 0);
    /* everything that a process can leave */
    memcpy(kept, event->body, event->body_length);
    setenv("LEFT", event->body, 1);
    char *heap = malloc(100000);
    for (int i = 0; i < 1000; i++)
        memcpy(heap + 100 * i, event->body, event->body_length);
    signal(SIGUSR1, SIG_IGN);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR2);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {1000, 0}}, NULL);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){50, 50});
    umask(077);
    int out = open("/tmp/left", O_CREAT | O_RDWR, 0600);
    if (write(out, event->body, event->body_length) < 0 || chdir("/tmp") < 0)
        return -1;
    chmod("/tmp", 0700);
    close(open("/dev/shm/left", O_CREAT | O_RDWR, 0600));
    if (fork() == 0)
        for (close(3);;)
            pause();
    return 0;
}

FAASD_FUNCTION(handle)
