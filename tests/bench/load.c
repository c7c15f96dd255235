/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A closed loop: N keep-alive connections, each sends its next request when the reply has come, for S seconds behind a short warm-up.
 * Prints one line of JSON; exits 1 when a reply was not 200.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CLIENTS_MAX = 256, SAMPLES_MAX = 1 << 24, WARM_UP_MS = 300 };

static const char body[] = "{\"name\":\"world\"}";
static struct client clients[CLIENTS_MAX];
static uint32_t *samples; /* ns */
static size_t sample_count;
static size_t errors;

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void take_sample(uint64_t ns, int status, bool counted)
{
    if (status != 200)
        errors++;
    if (counted && sample_count < SAMPLES_MAX)
        samples[sample_count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static void run(int poll_fd, const char *path, uint64_t counted_from, uint64_t end)
{
    struct epoll_event events[CLIENTS_MAX];
    for (uint64_t now = client_now_ns(); now < end; now = client_now_ns()) {
        int n = epoll_wait(poll_fd, events, CLIENTS_MAX, 1000);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            uint64_t ns;
            int status;
            if (!client_receive(c, &ns, &status))
                continue;
            take_sample(ns, status, now >= counted_from);
            client_send(c, path, body);
        }
    }
}

static double at_percentile(double percent)
{
    return samples[(size_t)((double)(sample_count - 1) * percent / 100)] / 1000.0;
}

int main(int argc, char **argv)
{
    if (argc != 6 || atoi(argv[4]) < 1 || atoi(argv[4]) > CLIENTS_MAX || atof(argv[5]) <= 0) {
        fprintf(stderr, "usage: load HOST PORT PATH CONNECTIONS SECONDS\n");
        return 2;
    }
    int connections = atoi(argv[4]);
    double seconds = atof(argv[5]);
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    samples = malloc(SAMPLES_MAX * sizeof(*samples));
    if (!samples || poll_fd < 0)
        return 1;
    for (int i = 0; i < connections; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &clients[i]};
        client_connect(&clients[i], argv[1], argv[2]);
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, clients[i].fd, &e) != 0)
            return 1;
        client_send(&clients[i], argv[3], body);
    }
    uint64_t counted_from = client_now_ns() + (uint64_t)WARM_UP_MS * 1000000;
    run(poll_fd, argv[3], counted_from, counted_from + (uint64_t)(seconds * 1e9));
    if (sample_count == 0)
        return 1;
    qsort(samples, sample_count, sizeof(*samples), by_size);
    printf("{\"connections\":%d,\"requests\":%zu,\"errors\":%zu,\"rps\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_"
           "us\":%.1f}\n",
           connections, sample_count, errors, (double)sample_count / seconds, at_percentile(50), at_percentile(99),
           at_percentile(100));
    return errors ? 1 : 0;
}
