/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MANY_PROCESSES = 1000, MANY_THREADS = 1000, HOG_MIB = 512, MANY_FDS = 5000, MANY_TIMERS = 1000 };

static struct finding R1(const char *argument) {
    static pid_t children[MANY_PROCESSES];
    int made = 0;
    (void)argument;
    for (; made < MANY_PROCESSES; made++) {
        children[made] = fork();
        if (children[made] == 0) {
            pause();
            _exit(0);
        }
        if (children[made] < 0)
            break;
    }
    int why = errno;
    for (int i = 0; i < made; i++)
        kill(children[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    return made == MANY_PROCESSES ? found_open("%d processes at once", made)
                                  : found_denied("after %d: %s", made, strerrorname_np(why));
}

static void *
idle_thread(void *argument)
{
    pause();
    return argument;
}

static struct finding R2(const char *argument) {
    pthread_attr_t attributes;
    pthread_t thread;
    int made = 0;
    int why = 0;
    (void)argument;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    while (made < MANY_THREADS && (why = pthread_create(&thread, &attributes, idle_thread, NULL)) == 0)
        made++;
    return made == MANY_THREADS ? found_open("%d threads", made)
                                : found_denied("after %d: %s", made, strerrorname_np(why));
}

static struct finding
R3(const char *argument) {
    (void)argument;
    for (int i = 0; i < HOG_MIB; i++) {
        char *p = malloc(1 << 20);
        if (!p)
            return found_denied("malloc after %dM", i);
        explicit_bzero(p, 1 << 20); /* a memset that nobody reads is none to some compilers */
    }
    return found_open("%dM of memory", HOG_MIB);
}

static struct finding
R4(const char *argument) {
    pid_t hog = fork();
    if (hog == 0)
        _exit(R3(argument).open ? 0 : 1);
    waitpid(hog, NULL, 0);
    sleep(3);
    return found_open("the parent of a process killed for memory lives on");
}

static struct finding
R5(const char *argument) {
    static char block[1 << 20];
    int fd = memfd_create("r5", MFD_CLOEXEC);
    (void)argument;
    if (fd < 0)
        return found_denied("memfd_create: %s", strerrorname_np(errno));
    for (int i = 0; i < HOG_MIB; i++) {
        memset(block, i, sizeof(block));
        if (write(fd, block, sizeof(block)) != sizeof(block))
            return found_denied("after %dM: %s", i, strerrorname_np(errno));
    }
    return found_open("%dM in a memfd", HOG_MIB);
}

static struct finding
R6(const char *argument) {
    (void)argument;
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mlock(p, 1 << 20) == 0)
        return found_open("mlock of 1M");
    int why = errno;
    void *huge = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (huge != MAP_FAILED) {
        return found_open("a huge page was mapped");
    }
    return found_denied("mlock: %s, MAP_HUGETLB: %s", strerrorname_np(why), strerrorname_np(errno));
}

static struct finding
R9(const char *argument) {
    struct sched_param p = {.sched_priority = 1};
    (void)argument;
    if (sched_setscheduler(0, SCHED_FIFO, &p) == 0)
        return found_open("SCHED_FIFO");
    return judge("setpriority -20", setpriority(PRIO_PROCESS, 0, -20));
}

static struct finding
R10(const char *argument) {
    int made = 0;
    (void)argument;
    while (made < MANY_FDS && dup(2) >= 0)
        made++;
    return made == MANY_FDS ? found_open("%d descriptors", made)
                            : found_denied("after %d: %s", made, strerrorname_np(errno));
}

/* A socket that holds a socket that holds a socket: none of them costs a descriptor, only the outermost is open. */
static struct finding
R11(const char *argument) {
    enum { NESTED = 3000 };
    int holder = dup(2);
    int made = 0;
    (void)argument;
    for (; made < NESTED; made++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
            break;
        union {
            struct cmsghdr head;
            char space[CMSG_SPACE(sizeof(int))];
        } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
        memcpy(CMSG_DATA(&control.head), &holder, sizeof(int));
        struct iovec iov = {"x", 1};
        struct msghdr m = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        if (sendmsg(pair[1], &m, MSG_DONTWAIT) < 0)
            break;
        close(holder);
        close(pair[1]);
        holder = pair[0];
    }
    return made == NESTED ? found_open("%d sockets in flight", made)
                          : found_denied("after %d: %s", made, strerrorname_np(errno));
}

static struct finding
R12(const char *argument) {
    timer_t timer;
    int made = 0;
    (void)argument;
    while (made < MANY_TIMERS && timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0)
        made++;
    return made == MANY_TIMERS ? found_open("%d timers", made)
                               : found_denied("after %d: %s", made, strerrorname_np(errno));
}

static struct finding
R13(const char *argument) {
    int seconds = atoi(argument);
    sleep(seconds ? (unsigned)seconds : 600);
    return found_open("it slept");
}

static struct finding
R14(const char *argument) {
    enum { FLOOD_MIB = 64 };
    static char block[1 << 20];
    (void)argument;
    signal(SIGPIPE, SIG_IGN);
    memset(block, 'x', sizeof(block));
    int written = 0;
    for (; written < FLOOD_MIB; written++)
        for (size_t at = 0; at < sizeof(block);) {
            ssize_t n = write(STDOUT_FILENO, block + at, sizeof(block) - at);
            if (n <= 0)
                return found_denied("after %d MiB: %s", written, strerrorname_np(errno));
            at += (size_t)n;
        }
    return found_open("%d MiB of output", written);
}

const struct probe PROBES_RESOURCES[] = {
    {"R1", R1},   {"R2", R2},   {"R3", R3},   {"R4", R4},   {"R5", R5},   {"R6", R6}, {"R9", R9},
    {"R10", R10}, {"R11", R11}, {"R12", R12}, {"R13", R13}, {"R14", R14}, {0},
};
