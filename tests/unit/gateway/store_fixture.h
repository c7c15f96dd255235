/* SPDX-License-Identifier: Apache-2.0 */
/* A store with its real thread, database and files in a directory of its own, gone after each test. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "gateway/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[] = "/tmp/faasd-store-XXXXXX";
static char db_dir[64], log_dir[64];
static struct config config;
static struct gateway_boot boot;
static struct gateway gateway;

static void open_store(bool start)
{
    struct err e = {.text = ""};
    gateway.store = store_open(&gateway, db_dir, log_dir, &e);
    if (!gateway.store)
        fail_msg("%s", e.text);
    if (start)
        assert_int_equal(store_start(gateway.store, &e), 0);
}

static void make_dir(char *out, size_t cap, const char *name)
{
    snprintf(out, cap, "%s/%s", root, name);
    assert_int_equal(mkdir(out, 0755), 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(root + sizeof(root) - 7, "XXXXXX");
    if (!mkdtemp(root))
        return -1;
    make_dir(db_dir, sizeof(db_dir), "db");
    make_dir(log_dir, sizeof(log_dir), "logs");
    make_dir(boot.versions_dir, sizeof(boot.versions_dir), "versions");
    make_dir(boot.staging_dir, sizeof(boot.staging_dir), "staging");
    config = (struct config){.log_function_bytes = 10 << 20, .log_total_bytes = 1 << 30, .log_line_bytes = 200};
    gateway = (struct gateway){.config = &config, .boot = &boot, .loop = ev_loop_new(EVBACKEND_EPOLL)};
    open_store(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    store_close(gateway.store);
    ev_loop_destroy(gateway.loop);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

#endif
