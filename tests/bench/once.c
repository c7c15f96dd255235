/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests one by one, or a volley at once, on connections opened long before: for cold starts. Each line of stdin names one or more paths; the
 * answer is a line with as many "STATUS:NANOSECONDS", each from the moment its request was sent.
 */
#include "client.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { CLIENTS_MAX = 64 };

static struct client clients[CLIENTS_MAX];
static uint64_t taken_ns[CLIENTS_MAX];
static int statuses[CLIENTS_MAX];

static int fire(char *line)
{
    int n = 0;
    for (char *path = strtok(line, " \n"); path && n < CLIENTS_MAX; path = strtok(NULL, " \n"))
        client_send(&clients[n++], path, "{}");
    return n;
}

static void collect(int n)
{
    struct pollfd polled[CLIENTS_MAX];
    for (int i = 0; i < n; i++)
        polled[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    for (int left = n; left > 0;) {
        poll(polled, (nfds_t)n, -1);
        for (int i = 0; i < n; i++) {
            if (polled[i].fd >= 0 && polled[i].revents && client_receive(&clients[i], &taken_ns[i], &statuses[i])) {
                polled[i].fd = -1;
                left--;
            }
        }
    }
}

int main(int argc, char **argv)
{
    char line[8192];
    if (argc != 3) {
        fprintf(stderr, "usage: once HOST PORT < PATHS\n");
        return 2;
    }
    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i].fd = -1;
    for (int opened = 0; fgets(line, sizeof(line), stdin);) {
        if (strcmp(line, "open\n") == 0) { /* one connection more, apart from the measurement */
            client_connect(&clients[opened++], argv[1], argv[2]);
            printf("%d\n", opened);
        } else {
            int n = fire(line);
            collect(n);
            for (int i = 0; i < n; i++)
                printf("%d:%lu%c", statuses[i], (unsigned long)taken_ns[i], i + 1 < n ? ' ' : '\n');
        }
        fflush(stdout);
    }
    return 0;
}
