/* SPDX-License-Identifier: Apache-2.0 */
/* The last value that a message may hold, and the first that it may not; lists whose later entries count as the first do. */
#include "supervisor/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct config config;
static struct err fault;

static union request spawn(void)
{
    union request r;
    memset(&r, 0, sizeof(r));
    r.spawn = (struct message_spawn){.header = {.type = MESSAGE_SPAWN, .size = sizeof(struct message_spawn), .id = 7},
                                     .memory_bytes = 1 << 27,
                                     .pids = 64,
                                     .cpus_milli = 1000};
    strcpy(r.spawn.function, "hello");
    strcpy(r.spawn.digest, DIGEST);
    strcpy(r.spawn.revision, DIGEST);
    return r;
}

static union request helper(uint32_t kind)
{
    union request r = spawn();
    r.spawn.kind = kind;
    r.spawn.staging = 1;
    memset(r.spawn.function, 0, sizeof(r.spawn.function));
    memset(r.spawn.digest, 0, sizeof(r.spawn.digest));
    memset(r.spawn.revision, 0, sizeof(r.spawn.revision));
    return r;
}

static union request with_mounts(uint32_t count)
{
    union request r = spawn();
    r.spawn.mount_count = count;
    for (uint32_t i = 0; i < count && i < SETTINGS_MOUNTS_MAX; i++) {
        strcpy(r.spawn.mounts[i].source, "/data");
        snprintf(r.spawn.mounts[i].target, sizeof(r.spawn.mounts[i].target), "/mnt/%u", i);
    }
    return r;
}

static enum request_verdict judge(const union request *r)
{
    fault = (struct err){0};
    return request_check(r, r->header.size, &config, &fault);
}

static int configure(void **state)
{
    (void)state;
    config = (struct config){.memory_budget_bytes = UINT64_MAX, .grant_mount_count = 2, .grant_device_count = 2};
    strcpy(config.grant_mounts[0].source, "/data");
    strcpy(config.grant_mounts[1].source, "/srv");
    config.grant_mounts[1].writable = true;
    strcpy(config.grant_devices[0], "/dev/null");
    strcpy(config.grant_devices[1], "/dev/video0");
    return 0;
}

static void the_largest_values_are_taken_and_one_more_is_not(void **state)
{
    (void)state;
#define LARGEST(member, value, beyond)                                                                                 \
    do {                                                                                                               \
        union request r = spawn();                                                                                     \
        r.spawn.member = (value);                                                                                      \
        assert_int_equal(judge(&r), REQUEST_OK);                                                                       \
        r.spawn.member++;                                                                                              \
        assert_int_equal(judge(&r), beyond);                                                                           \
    } while (0)
    LARGEST(memory_bytes, INT64_MAX, REQUEST_BAD);
    LARGEST(tmp_bytes, INT64_MAX, REQUEST_BAD);
    LARGEST(cpu_weight, 10000, REQUEST_BAD);
    LARGEST(cpus_milli, REQUEST_CPUS_MILLI_MAX, REQUEST_BAD);
    LARGEST(pids, REQUEST_PIDS_MAX, REQUEST_REFUSED);
    assert_non_null(strstr(fault.text, "pids 32769 is more than 32768"));
    LARGEST(tmp_exec, 1, REQUEST_BAD);
    config.memory_budget_bytes = 1 << 28;
    LARGEST(memory_bytes, 1 << 28, REQUEST_REFUSED);
    assert_non_null(strstr(fault.text, "memory 268435457 is more than the host's budget of 268435456 bytes"));
#undef LARGEST
    union request r = spawn();
    r.spawn.pids = r.spawn.cpus_milli = 1;
    r.spawn.memory_bytes = 1;
    assert_int_equal(judge(&r), REQUEST_OK);
    r.spawn.cpus_milli = 0;
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    assert_string_equal(fault.text, "cpus 0 would be no limit at all");
}

static void every_kind_and_profile_has_its_place(void **state)
{
    (void)state;
    static const uint32_t profiles[] = {SETTINGS_SECCOMP_DEFAULT, SETTINGS_SECCOMP_LEARNED, SETTINGS_SECCOMP_LEARNING};
    for (size_t i = 0; i < 3; i++) {
        union request r = spawn();
        r.spawn.seccomp = profiles[i];
        assert_int_equal(judge(&r), REQUEST_OK);
        r.spawn.kind = MESSAGE_SPAWN_SHELL;
        assert_int_equal(judge(&r), profiles[i] == SETTINGS_SECCOMP_DEFAULT ? REQUEST_OK : REQUEST_BAD);
    }
    union request r = spawn();
    for (unsigned i = 0; i < MESSAGE_CALL_WORDS; i++) {
        r = spawn();
        r.spawn.system_calls[i] = 1;
        assert_int_equal(judge(&r), REQUEST_BAD);
        r.spawn.seccomp = SETTINGS_SECCOMP_LEARNED;
        assert_int_equal(judge(&r), REQUEST_OK);
    }
    r = helper(MESSAGE_SPAWN_DELETE);
    assert_int_equal(judge(&r), REQUEST_OK);
    r.spawn.staging = 0;
    assert_int_equal(judge(&r), REQUEST_OK);
    static const uint32_t forking[] = {SETTINGS_RUNTIME_NATIVE, SETTINGS_RUNTIME_PYTHON, SETTINGS_RUNTIME_NODE};
    for (size_t i = 0; i < 3; i++) {
        r = spawn();
        r.spawn.runtime = forking[i];
        r.spawn.slots = 1;
        assert_int_equal(judge(&r), REQUEST_OK);
    }
}

static void a_helper_with_anything_of_a_function_is_bad(void **state)
{
    (void)state;
#define SPOILED(change)                                                                                                \
    do {                                                                                                               \
        union request r = helper(MESSAGE_SPAWN_UNPACK);                                                                \
        assert_int_equal(judge(&r), REQUEST_OK);                                                                       \
        change;                                                                                                        \
        assert_int_equal(judge(&r), REQUEST_BAD);                                                                      \
    } while (0)
    config.grant_cpuset = config.grant_network_host = true;
    config.runtime_count = 1;
    strcpy(config.runtimes[0].name, "node");
    SPOILED(strcpy(r.spawn.function, "hello"));
    SPOILED(strcpy(r.spawn.digest, DIGEST));
    SPOILED(strcpy(r.spawn.revision, DIGEST));
    SPOILED(strcpy(r.spawn.cpuset, "0"));
    SPOILED(strcpy(r.spawn.runtime_name, "node"));
    SPOILED(r.spawn.mounts[0] = with_mounts(1).spawn.mounts[0]; r.spawn.mount_count = 1);
    SPOILED(strcpy(r.spawn.devices[0], "/dev/null"); r.spawn.device_count = 1);
    SPOILED(r.spawn.network = SETTINGS_NETWORK_HOST);
    SPOILED(r.spawn.cpus_milli = 0);
    SPOILED(r.spawn.memory_bytes = MESSAGE_HELPER_MEMORY_MAX + 1);
    SPOILED(r.spawn.slots = 1);
#undef SPOILED
}

static void names_are_each_looked_at(void **state)
{
    (void)state;
#define UNTERMINATED(member)                                                                                           \
    do {                                                                                                               \
        union request r = spawn();                                                                                     \
        memset(r.spawn.member, 'a', sizeof(r.spawn.member));                                                           \
        assert_int_equal(judge(&r), REQUEST_BAD);                                                                      \
    } while (0)
    UNTERMINATED(function);
    UNTERMINATED(digest);
    UNTERMINATED(revision);
    UNTERMINATED(runtime_name);
#undef UNTERMINATED
    for (uint32_t kind = MESSAGE_SPAWN_FUNCTION; kind <= MESSAGE_SPAWN_SHELL; kind++) {
        union request r = spawn();
        r.spawn.kind = kind;
        assert_int_equal(judge(&r), REQUEST_OK);
        memset(r.spawn.function, 0, sizeof(r.spawn.function));
        assert_int_equal(judge(&r), REQUEST_BAD);
        r = spawn();
        r.spawn.kind = kind;
        r.spawn.revision[0] = 'A';
        assert_int_equal(judge(&r), REQUEST_BAD);
    }
}

static void any_printable_name_is_a_path_and_dots_alone_are_not(void **state)
{
    (void)state;
    static const char *const good[] = {"/d",        "/data/a b", "/data/!",   "/data/~",   "/data/\xc3\xa4",
                                       "/data/.a",  "/data/..a", "/data/a..", "/data/...", "/data/.../x",
                                       "/data/a.b", "/data/.x/y"};
    static const char *const bad[] = {"/data/\x1f", "/data/\x7f", "/data/a\x1f",  "/data/\x01x/y", "/data/x\n",
                                      "/data/.",    "/data/..",   "/data/./x",    "/data/../x",    "//data",
                                      "/data/",     "/data//",    "/data/x/../y", "x/data",        "/"};
    strcpy(config.grant_mounts[0].source, "/");
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        union request r = with_mounts(1);
        strcpy(r.spawn.mounts[0].source, good[i]);
        assert_int_equal(judge(&r), REQUEST_OK);
        r = with_mounts(1);
        strcpy(r.spawn.mounts[0].target, good[i]);
        assert_int_equal(judge(&r), REQUEST_OK);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        union request r = with_mounts(1);
        strcpy(r.spawn.mounts[0].source, bad[i]);
        assert_int_equal(judge(&r), REQUEST_BAD);
        r = with_mounts(1);
        strcpy(r.spawn.mounts[0].target, bad[i]);
        assert_int_equal(judge(&r), REQUEST_BAD);
    }
}

static void the_last_mount_is_judged_as_the_first(void **state)
{
    (void)state;
    union request r = with_mounts(SETTINGS_MOUNTS_MAX);
    assert_int_equal(judge(&r), REQUEST_OK);
    for (uint32_t i = 0; i < SETTINGS_MOUNTS_MAX; i++) {
        r = with_mounts(SETTINGS_MOUNTS_MAX);
        memset(r.spawn.mounts[i].source, 'a', sizeof(r.spawn.mounts[i].source));
        assert_int_equal(judge(&r), REQUEST_BAD);
        r = with_mounts(SETTINGS_MOUNTS_MAX);
        memset(r.spawn.mounts[i].target, 'a', sizeof(r.spawn.mounts[i].target));
        assert_int_equal(judge(&r), REQUEST_BAD);
        r = with_mounts(SETTINGS_MOUNTS_MAX);
        strcpy(r.spawn.mounts[i].source, "/etc");
        assert_int_equal(judge(&r), REQUEST_REFUSED);
        assert_string_equal(fault.text,
                            "mount '/etc' is not granted: add \"/etc\" to grants.mounts in the configuration");
        r = with_mounts(SETTINGS_MOUNTS_MAX);
        strcpy(r.spawn.mounts[i].target, "/proc/self");
        assert_int_equal(judge(&r), REQUEST_REFUSED);
        assert_string_equal(fault.text, "mount target '/proc/self' would cover or lie in '/proc' of the sandbox");
        r = with_mounts(SETTINGS_MOUNTS_MAX);
        strcpy(r.spawn.mounts[i].source, "/srv/www");
        r.spawn.mounts[i].writable = true;
        assert_int_equal(judge(&r), REQUEST_OK);
    }
}

static void any_two_mounts_that_overlap_are_refused(void **state)
{
    (void)state;
    for (uint32_t later = 1; later < 4; later++)
        for (uint32_t earlier = 0; earlier < later; earlier++) {
            union request r = with_mounts(4);
            snprintf(r.spawn.mounts[later].target, sizeof(r.spawn.mounts[later].target), "/mnt/%u/in", earlier);
            assert_int_equal(judge(&r), REQUEST_REFUSED);
            assert_non_null(strstr(fault.text, "overlap"));
            strcpy(r.spawn.mounts[later].target, r.spawn.mounts[earlier].target);
            assert_int_equal(judge(&r), REQUEST_REFUSED);
            strcpy(r.spawn.mounts[earlier].target, "/srv/a/b");
            strcpy(r.spawn.mounts[later].target, "/srv/a");
            assert_int_equal(judge(&r), REQUEST_REFUSED);
            strcpy(r.spawn.mounts[later].target, "/srv/a/bc");
            assert_int_equal(judge(&r), REQUEST_OK);
        }
}

static void each_device_needs_a_grant_of_its_own(void **state)
{
    (void)state;
    union request r = spawn();
    r.spawn.device_count = SETTINGS_DEVICES_MAX;
    for (uint32_t i = 0; i < SETTINGS_DEVICES_MAX; i++)
        strcpy(r.spawn.devices[i], i % 2 ? "/dev/video0" : "/dev/null");
    assert_int_equal(judge(&r), REQUEST_OK);
    for (uint32_t i = 0; i < SETTINGS_DEVICES_MAX; i++) {
        union request other = r;
        strcpy(other.spawn.devices[i], "/dev/kmsg");
        assert_int_equal(judge(&other), REQUEST_REFUSED);
        assert_string_equal(fault.text,
                            "device '/dev/kmsg' is not granted: add it to grants.devices in the configuration");
        strcpy(other.spawn.devices[i], "/dev/../etc");
        assert_int_equal(judge(&other), REQUEST_BAD);
        memset(other.spawn.devices[i], 'd', sizeof(other.spawn.devices[i]));
        assert_int_equal(judge(&other), REQUEST_BAD);
    }
}

static void only_beside_layers_is_opt_taken(void **state)
{
    (void)state;
    union request r = with_mounts(2);
    r.spawn.layer_count = 1;
    strcpy(r.spawn.layers[0], DIGEST);
    assert_int_equal(judge(&r), REQUEST_OK);
    strcpy(r.spawn.mounts[1].target, "/opt/x");
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    assert_string_equal(fault.text, "mount target '/opt/x' lies in /opt, where the function's layers are");
    r.spawn.layer_count = 0;
    assert_int_equal(judge(&r), REQUEST_OK);
}

/* Sixteen of the greatest and one of nothing are as much as a daemon keeps. */
static void secrets_have_a_sum(void **state)
{
    (void)state;
    union request r = spawn();
    r.spawn.secret_count = MESSAGE_SECRETS_MAX;
    for (uint32_t i = 0; i < MESSAGE_SECRETS_MAX; i++) {
        strcpy(r.spawn.secrets[i].name, "db");
        r.spawn.secrets[i].file[0] = (char)('a' + i);
        r.spawn.secrets[i].sealed_bytes = i ? SECRET_SEALED_MAX : SECRET_OVERHEAD;
    }
    assert_int_equal(judge(&r), REQUEST_OK);
    r.spawn.secrets[0].sealed_bytes++;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r.spawn.secrets[0].sealed_bytes = 0;
    for (uint32_t later = 1; later < MESSAGE_SECRETS_MAX; later++) {
        union request twice = r;
        strcpy(twice.spawn.secrets[later].file, twice.spawn.secrets[later - 1].file);
        assert_int_equal(judge(&twice), REQUEST_BAD);
    }
}

static void a_refusal_says_what_would_have_to_be_set(void **state)
{
    (void)state;
    union request r = spawn();
    r.spawn.network = SETTINGS_NETWORK_HOST;
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    assert_string_equal(fault.text, "network 'host' is not granted: set grants.network_host in the configuration");
    assert_int_equal(fault.code, EPERM);
    r = spawn();
    strcpy(r.spawn.cpuset, "0-1,3");
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    assert_string_equal(fault.text, "cpuset is not granted: set grants.cpuset in the configuration");
    r = spawn();
    r.spawn.slots = 1;
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    assert_non_null(strstr(fault.text, "a template is forked by its own code"));
    r = spawn();
    r.spawn.seccomp = SETTINGS_SECCOMP_STRICT;
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    assert_non_null(strstr(fault.text, "seccomp 'strict' is for runtime native"));
    r = spawn();
    strcpy(r.spawn.runtime_name, "ruby");
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    assert_non_null(strstr(fault.text, "add it to runtimes in the configuration"));
    assert_int_equal(fault.code, ENOENT);
    r = spawn();
    r.header.id = 0;
    assert_int_equal(judge(&r), REQUEST_BAD);
    assert_string_equal(fault.text, "message without an id");
    assert_int_equal(fault.code, EPROTO);
}

static void numbers_of_trees_children_and_processes_begin_where_they_mean_something(void **state)
{
    (void)state;
    union request r = {.prepare = {.header = {.type = MESSAGE_PREPARE, .size = sizeof(struct message_prepare), .id = 8},
                                   .template = 1}};
    assert_int_equal(judge(&r), REQUEST_OK);
    r = (union request){
        .adopt = {.header = {.type = MESSAGE_ADOPT, .size = sizeof(struct message_adopt), .id = 8}, .pid = 2}};
    assert_int_equal(judge(&r), REQUEST_OK);
    r = (union request){
        .steps = {.header = {.type = MESSAGE_STEPS, .size = sizeof(struct message_steps), .id = 8}, .instance = 1}};
    assert_int_equal(judge(&r), REQUEST_OK);
    static const uint32_t types[] = {MESSAGE_PUBLISH, MESSAGE_DISCARD, MESSAGE_RETIRE};
    for (size_t i = 0; i < 3; i++) {
        r = (union request){.tree = {.header = {.type = types[i], .size = sizeof(struct message_tree), .id = 1},
                                     .staging = 1,
                                     .digest = DIGEST}};
        assert_int_equal(judge(&r), REQUEST_OK);
        r.tree.staging = 0;
        assert_int_equal(judge(&r), types[i] == MESSAGE_RETIRE ? REQUEST_OK : REQUEST_BAD);
        r.tree.staging = 1;
        r.tree.digest[0] = '\0';
        assert_int_equal(judge(&r), types[i] == MESSAGE_DISCARD ? REQUEST_OK : REQUEST_BAD);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, configure)
    const struct CMUnitTest tests[] = {
        CASE(the_largest_values_are_taken_and_one_more_is_not),
        CASE(every_kind_and_profile_has_its_place),
        CASE(a_helper_with_anything_of_a_function_is_bad),
        CASE(names_are_each_looked_at),
        CASE(any_printable_name_is_a_path_and_dots_alone_are_not),
        CASE(the_last_mount_is_judged_as_the_first),
        CASE(any_two_mounts_that_overlap_are_refused),
        CASE(each_device_needs_a_grant_of_its_own),
        CASE(only_beside_layers_is_opt_taken),
        CASE(secrets_have_a_sum),
        CASE(a_refusal_says_what_would_have_to_be_set),
        CASE(numbers_of_trees_children_and_processes_begin_where_they_mean_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
