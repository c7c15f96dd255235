/* SPDX-License-Identifier: Apache-2.0 */
/* How long a command takes from start to exit: SAMPLES times, IDLE_MS apart. Prints one line of nanoseconds. */
#include "client.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: spawn SAMPLES IDLE_MS COMMAND...\n");
        return 2;
    }
    for (int i = atoi(argv[1]); i > 0; i--) {
        pid_t pid;
        int status;
        usleep((useconds_t)atoi(argv[2]) * 1000);
        uint64_t start = client_now_ns();
        if (posix_spawnp(&pid, argv[3], NULL, NULL, argv + 3, environ) != 0 || waitpid(pid, &status, 0) != pid)
            return 1;
        uint64_t taken = client_now_ns() - start;
        if (status != 0) {
            fprintf(stderr, "spawn: %s failed\n", argv[3]);
            return 1;
        }
        printf("%lu%c", (unsigned long)taken, i > 1 ? ' ' : '\n');
    }
    return 0;
}
