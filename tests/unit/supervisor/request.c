/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct config granting(void)
{
    struct config c = {.memory_budget_bytes = 1ULL << 32,
                       .grant_mount_count = 2,
                       .grant_device_count = 1,
                       .grant_network_host = true,
                       .grant_network_egress = true,
                       .egress.grants = {.count = 1, .ranges = {{0x0a010000, 16}}},
                       .grant_cpuset = true};
    strcpy(c.grant_mounts[0].source, "/data");
    strcpy(c.grant_mounts[1].source, "/srv/www");
    c.grant_mounts[1].writable = true;
    strcpy(c.grant_devices[0], "/dev/video0");
    return c;
}

static union request spawn(void)
{
    union request r;
    memset(&r, 0, sizeof(r));
    r.spawn = (struct message_spawn){.header = {.type = MESSAGE_SPAWN, .size = sizeof(struct message_spawn), .id = 7},
                                     .memory_bytes = 1 << 27,
                                     .tmp_bytes = 1 << 26,
                                     .pids = 64,
                                     .cpus_milli = 1000,
                                     .cpu_weight = 100};
    strcpy(r.spawn.function, "hello");
    strcpy(r.spawn.digest, DIGEST);
    strcpy(r.spawn.revision, DIGEST);
    return r;
}

static union request with_mount(const char *source, const char *target, bool writable)
{
    union request r = spawn();
    r.spawn.mount_count = 1;
    strcpy(r.spawn.mounts[0].source, source);
    strcpy(r.spawn.mounts[0].target, target);
    r.spawn.mounts[0].writable = writable;
    return r;
}

static enum request_verdict judge(const union request *r)
{
    struct err e;
    struct config c = granting();
    return request_check(r, r->header.size, &c, &e);
}

static union request with_secrets(uint32_t count)
{
    union request r = spawn();
    r.spawn.secret_count = count;
    for (uint32_t i = 0; i < count && i < MESSAGE_SECRETS_MAX; i++) {
        strcpy(r.spawn.secrets[i].name, "db");
        r.spawn.secrets[i].file[0] = (char)('a' + i);
        r.spawn.secrets[i].sealed_bytes = SECRET_OVERHEAD + 1;
    }
    return r;
}

static void secrets_of_good_form_are_accepted(void **state)
{
    (void)state;
    union request r = with_secrets(MESSAGE_SECRETS_MAX);
    assert_int_equal(judge(&r), REQUEST_OK);
    r.spawn.secrets[1].sealed_bytes = 0; /* there is none of that name: said when the sandbox is made */
    assert_int_equal(judge(&r), REQUEST_OK);
    strcpy(r.spawn.secrets[0].file, "server.key");
    r.spawn.secrets[0].sealed_bytes = SECRET_SEALED_MAX;
    assert_int_equal(judge(&r), REQUEST_OK);
    r.spawn.kind = MESSAGE_SPAWN_SHELL;
    assert_int_equal(judge(&r), REQUEST_OK);
}

static void a_wrong_field_of_a_secret_is_bad(void **state)
{
    (void)state;
    union request r = with_secrets(MESSAGE_SECRETS_MAX + 1);
    assert_int_equal(judge(&r), REQUEST_BAD);
    static const char *const files[] = {"", ".", "..", "a/b", "/a", ".x", "a\n", "../db"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        r = with_secrets(2);
        strcpy(r.spawn.secrets[1].file, files[i]);
        assert_int_equal(judge(&r), REQUEST_BAD);
        r = with_secrets(2);
        strcpy(r.spawn.secrets[1].name, files[i]);
        assert_int_equal(judge(&r), REQUEST_BAD);
    }
    r = with_secrets(2);
    memset(r.spawn.secrets[0].name, 'a', sizeof(r.spawn.secrets[0].name));
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_secrets(2);
    memset(r.spawn.secrets[0].file, 'a', sizeof(r.spawn.secrets[0].file));
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_secrets(2);
    strcpy(r.spawn.secrets[1].file, r.spawn.secrets[0].file);
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_secrets(1);
    r.spawn.secrets[0].reserved = 1;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_secrets(1);
    r.spawn.secrets[0].sealed_bytes = SECRET_SEALED_MAX + 1;
    assert_int_equal(judge(&r), REQUEST_BAD);
}

static void only_functions_and_shells_have_secrets(void **state)
{
    (void)state;
    static const uint32_t kinds[] = {MESSAGE_SPAWN_UNPACK, MESSAGE_SPAWN_DELETE};
    for (size_t i = 0; i < 2; i++) {
        union request r = with_secrets(0);
        r.spawn.kind = kinds[i];
        r.spawn.staging = 1;
        memset(r.spawn.function, 0, sizeof(r.spawn.function));
        memset(r.spawn.digest, 0, sizeof(r.spawn.digest));
        memset(r.spawn.revision, 0, sizeof(r.spawn.revision));
        assert_int_equal(judge(&r), REQUEST_OK);
        union request with = with_secrets(1);
        r.spawn.secret_count = 1;
        r.spawn.secrets[0] = with.spawn.secrets[0];
        assert_int_equal(judge(&r), REQUEST_BAD);
    }
}

static void a_plain_spawn_is_accepted(void **state)
{
    (void)state;
    union request r = spawn();
    assert_int_equal(judge(&r), REQUEST_OK);
}

static void every_wrong_size_is_bad(void **state)
{
    (void)state;
    struct config c = granting();
    struct err e;
    union request r = spawn();
    for (size_t n = 0; n < sizeof(struct message_spawn); n++)
        assert_int_equal(request_check(&r, n, &c, &e), REQUEST_BAD);
    r.header.size--;
    assert_int_equal(request_check(&r, sizeof(struct message_spawn), &c, &e), REQUEST_BAD);
    assert_int_equal(request_check(&r, sizeof(struct message_spawn) - 1, &c, &e), REQUEST_BAD);
}

static void only_types_that_a_gateway_sends_are_known(void **state)
{
    (void)state;
    struct config c = granting();
    struct err e;
    for (uint32_t type = 0; type < 300; type++) {
        union request r = {.plain = {.header = {.type = type, .size = sizeof(struct message_plain), .id = 1}}};
        bool known = type == MESSAGE_HELLO || type == MESSAGE_KILL || type == MESSAGE_USAGE || type == MESSAGE_FREEZE ||
                     type == MESSAGE_THAW || type == MESSAGE_PONG || type == MESSAGE_CONFIG_TAKEN ||
                     type == MESSAGE_CONFIG_KEPT;
        assert_int_equal(request_check(&r, sizeof(struct message_plain), &c, &e), known ? REQUEST_OK : REQUEST_BAD);
    }
}

static void only_a_greeting_and_answers_go_without_an_id(void **state)
{
    (void)state;
    static const uint32_t types[] = {MESSAGE_HELLO, MESSAGE_PONG, MESSAGE_CONFIG_TAKEN, MESSAGE_CONFIG_KEPT};
    union request r = {.plain = {.header = {.size = sizeof(struct message_plain)}}};
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        r.header.type = types[i];
        assert_int_equal(judge(&r), REQUEST_OK);
    }
    r.header.type = MESSAGE_KILL;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = spawn();
    r.header.id = 0;
    assert_int_equal(judge(&r), REQUEST_BAD);
}

static void steps_are_asked_of_an_instance(void **state)
{
    (void)state;
    union request r = {
        .steps = {.header = {.type = MESSAGE_STEPS, .size = sizeof(struct message_steps), .id = 8}, .instance = 3}};
    assert_int_equal(judge(&r), REQUEST_OK);
    r.steps.instance = 0;
    assert_int_equal(judge(&r), REQUEST_BAD);
}

static void values_out_of_range_are_bad(void **state)
{
    (void)state;
    struct message_spawn good = spawn().spawn;
#define SPOIL(member, value)                                                                                           \
    do {                                                                                                               \
        union request r = {.spawn = good};                                                                             \
        r.spawn.member = (value);                                                                                      \
        assert_int_equal(judge(&r), REQUEST_BAD);                                                                      \
    } while (0)
    SPOIL(kind, MESSAGE_SPAWN_DELETE + 1);
    SPOIL(runtime, SETTINGS_RUNTIMES);
    SPOIL(slots, MESSAGE_SLOTS_MAX + 1);
    SPOIL(slots, UINT32_MAX);
    SPOIL(seccomp, SETTINGS_SECCOMP_LEARNING + 1);
    SPOIL(system_calls[7], 1);
    SPOIL(seccomp, UINT32_MAX);
    SPOIL(network, SETTINGS_NETWORK_EGRESS + 1);
    SPOIL(allow_count, 1);
    SPOIL(tmp_exec, 2);
    SPOIL(mount_count, SETTINGS_MOUNTS_MAX + 1);
    SPOIL(device_count, SETTINGS_DEVICES_MAX + 1);
    SPOIL(memory_bytes, 0);
    SPOIL(memory_bytes, UINT64_MAX);
    SPOIL(tmp_bytes, UINT64_MAX);
    SPOIL(pids, 0);
    SPOIL(cpu_weight, 10001);
    SPOIL(cpus_milli, UINT32_MAX);
#undef SPOIL
}

static void strings_without_an_end_or_of_a_wrong_pattern_are_bad(void **state)
{
    (void)state;
    static const char *const names[] = {"", "../x", "a/b", ".", "a b", "a\n"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        union request r = spawn();
        strcpy(r.spawn.function, names[i]);
        assert_int_equal(judge(&r), REQUEST_BAD);
    }
    union request r = spawn();
    memset(r.spawn.function, 'a', sizeof(r.spawn.function));
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = spawn();
    memset(r.spawn.digest, 'a', sizeof(r.spawn.digest));
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = spawn();
    r.spawn.digest[3] = '/';
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = spawn();
    r.spawn.revision[63] = '\0';
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = spawn();
    memset(r.spawn.cpuset, '1', sizeof(r.spawn.cpuset));
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = spawn();
    strcpy(r.spawn.cpuset, "0;1");
    assert_int_equal(judge(&r), REQUEST_BAD);
}

static void a_path_that_is_not_normal_is_bad(void **state)
{
    (void)state;
    static const char *const paths[] = {"",          "data",     "/",   "/data/",   "/data//x", "/data/../etc",
                                        "/data/./x", "/data/..", "/..", "/da\x01ta"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        union request r = with_mount(paths[i], "/mnt", false);
        assert_int_equal(judge(&r), REQUEST_BAD);
        r = with_mount("/data", paths[i], false);
        assert_int_equal(judge(&r), REQUEST_BAD);
    }
    union request r = with_mount("/data", "/mnt", false);
    memset(r.spawn.mounts[0].source, 'a', SETTINGS_PATH_MAX);
    r.spawn.mounts[0].source[0] = '/';
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_mount("/data", "/mnt", false);
    memset(&r.spawn.mounts[0].writable, 2, 1);
    assert_int_equal(judge(&r), REQUEST_BAD);
}

static void a_mount_needs_a_grant_for_it_or_above_it(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        bool writable;
        enum request_verdict verdict;
    } rows[] = {
        {"/data", false, REQUEST_OK},          {"/data/in/there", false, REQUEST_OK}, {"/data", true, REQUEST_REFUSED},
        {"/database", false, REQUEST_REFUSED}, {"/etc", false, REQUEST_REFUSED},      {"/srv/www", true, REQUEST_OK},
        {"/srv/www/x", true, REQUEST_OK},      {"/srv", false, REQUEST_REFUSED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        union request r = with_mount(rows[i].source, "/mnt", rows[i].writable);
        assert_int_equal(judge(&r), rows[i].verdict);
    }
}

static void the_refusal_names_the_key_to_add(void **state)
{
    (void)state;
    struct config c = granting();
    struct err e;
    union request r = with_mount("/etc", "/mnt", true);
    assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_REFUSED);
    assert_non_null(strstr(e.text, "grants.mounts"));
    assert_non_null(strstr(e.text, "\"/etc:rw\""));
}

static void a_mount_over_or_in_the_sandboxs_own_places_is_refused(void **state)
{
    (void)state;
    static const char *const targets[] = {"/proc", "/dev/shm", "/tmp",      "/tmp/x",      "/usr", "/usr/local",
                                          "/etc",  "/var",     "/var/task", "/var/task/x", "/run", "/lib64"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        union request r = with_mount("/data", targets[i], false);
        assert_int_equal(judge(&r), REQUEST_REFUSED);
    }
    union request r = with_mount("/data", "/var/lib/data", false);
    assert_int_equal(judge(&r), REQUEST_OK);
    r = with_mount("/data", "/process", false);
    assert_int_equal(judge(&r), REQUEST_OK);
}

static void mounts_must_not_lie_in_each_other(void **state)
{
    (void)state;
    union request r = with_mount("/data", "/mnt", false);
    r.spawn.mount_count = 2;
    r.spawn.mounts[1] = r.spawn.mounts[0];
    strcpy(r.spawn.mounts[1].target, "/mnt/in");
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    strcpy(r.spawn.mounts[1].target, "/mnt2");
    assert_int_equal(judge(&r), REQUEST_OK);
}

static void network_cpuset_and_devices_need_their_grants(void **state)
{
    (void)state;
    struct config none = {.memory_budget_bytes = 1ULL << 32};
    struct err e;
    union request r = spawn();
    r.spawn.network = SETTINGS_NETWORK_HOST;
    assert_int_equal(judge(&r), REQUEST_OK);
    assert_int_equal(request_check(&r, r.header.size, &none, &e), REQUEST_REFUSED);
    r = spawn();
    strcpy(r.spawn.cpuset, "0-1,3");
    assert_int_equal(judge(&r), REQUEST_OK);
    assert_int_equal(request_check(&r, r.header.size, &none, &e), REQUEST_REFUSED);
    r = spawn();
    r.spawn.device_count = 1;
    strcpy(r.spawn.devices[0], "/dev/video0");
    assert_int_equal(judge(&r), REQUEST_OK);
    assert_int_equal(request_check(&r, r.header.size, &none, &e), REQUEST_REFUSED);
    strcpy(r.spawn.devices[0], "/dev/video01");
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    strcpy(r.spawn.devices[0], "/etc/shadow");
    assert_int_equal(judge(&r), REQUEST_BAD);
}

static void memory_beyond_the_hosts_budget_is_refused(void **state)
{
    (void)state;
    union request r = spawn();
    r.spawn.memory_bytes = (1ULL << 32) + 1;
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    r = spawn();
    r.spawn.cpus_milli = 0;
    assert_int_equal(judge(&r), REQUEST_REFUSED);
}

static void the_unpacker_gets_its_directory_and_nothing_else(void **state)
{
    (void)state;
    union request r = spawn();
    r.spawn.kind = MESSAGE_SPAWN_UNPACK;
    assert_int_equal(judge(&r), REQUEST_BAD);
    memset(r.spawn.function, 0, sizeof(r.spawn.function));
    memset(r.spawn.digest, 0, sizeof(r.spawn.digest));
    memset(r.spawn.revision, 0, sizeof(r.spawn.revision));
    assert_int_equal(judge(&r), REQUEST_BAD); /* no staging number yet */
    r.spawn.staging = 3;
    assert_int_equal(judge(&r), REQUEST_OK);
    r.spawn.network = SETTINGS_NETWORK_HOST;
    assert_int_equal(judge(&r), REQUEST_BAD);
}

/* memory_budget does not count helpers: a gateway that was taken over could otherwise start one after the other with the whole budget each. */
static void a_helper_gets_no_more_than_a_helpers_share(void **state)
{
    (void)state;
    union request r = spawn();
    r.spawn.kind = MESSAGE_SPAWN_DELETE;
    memset(r.spawn.function, 0, sizeof(r.spawn.function));
    memset(r.spawn.digest, 0, sizeof(r.spawn.digest));
    memset(r.spawn.revision, 0, sizeof(r.spawn.revision));
    r.spawn.memory_bytes = MESSAGE_HELPER_MEMORY_MAX;
    assert_int_equal(judge(&r), REQUEST_OK);
    r.spawn.cpus_milli = 0;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r.spawn.cpus_milli = 1000;
    r.spawn.memory_bytes = MESSAGE_HELPER_MEMORY_MAX + 1;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r.spawn.kind = MESSAGE_SPAWN_UNPACK;
    r.spawn.staging = 3;
    assert_int_equal(judge(&r), REQUEST_BAD);
}

static void only_a_function_is_a_template(void **state)
{
    (void)state;
    union request r = spawn();
    r.spawn.runtime = SETTINGS_RUNTIME_PYTHON;
    r.spawn.slots = MESSAGE_SLOTS_MAX;
    assert_int_equal(judge(&r), REQUEST_OK);
    r.spawn.kind = MESSAGE_SPAWN_SHELL;
    assert_int_equal(judge(&r), REQUEST_BAD);
    static const uint32_t without[] = {SETTINGS_RUNTIME_EXEC, SETTINGS_RUNTIME_PROVIDED};
    for (unsigned i = 0; i < 2; i++) {
        r = spawn();
        r.spawn.runtime = without[i];
        assert_int_equal(judge(&r), REQUEST_OK);
        r.spawn.slots = 1;
        assert_int_equal(judge(&r), REQUEST_REFUSED);
    }
}

static void strict_is_for_plain_native_functions(void **state)
{
    (void)state;
    union request good = spawn();
    good.spawn.runtime = SETTINGS_RUNTIME_NATIVE;
    good.spawn.seccomp = SETTINGS_SECCOMP_STRICT;
    assert_int_equal(judge(&good), REQUEST_OK);
    union request r = good;
    r.spawn.kind = MESSAGE_SPAWN_SHELL;
    assert_int_equal(judge(&r), REQUEST_BAD);
    for (uint32_t runtime = 0; runtime < SETTINGS_RUNTIMES; runtime++) {
        r = good;
        r.spawn.runtime = runtime;
        assert_int_equal(judge(&r), runtime == SETTINGS_RUNTIME_NATIVE ? REQUEST_OK : REQUEST_REFUSED);
    }
    r = good;
    r.spawn.slots = 1;
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    r = good;
    r.spawn.tmp_exec = 1;
    assert_int_equal(judge(&r), REQUEST_REFUSED);
    static const enum settings_network networks[] = {SETTINGS_NETWORK_HOST, SETTINGS_NETWORK_EGRESS}; /* both granted */
    for (unsigned i = 0; i < 2; i++) {
        r = good;
        r.spawn.network = networks[i];
        assert_int_equal(judge(&r), REQUEST_REFUSED);
        r.spawn.seccomp = SETTINGS_SECCOMP_DEFAULT;
        assert_int_equal(judge(&r), REQUEST_OK);
    }
}

static void a_runtime_has_to_be_one_of_the_configurations(void **state)
{
    (void)state;
    struct config c = granting();
    struct err e;
    c.runtime_count = 2;
    strcpy(c.runtimes[0].name, "python3.12");
    strcpy(c.runtimes[1].name, "node");
    union request r = spawn();
    r.spawn.runtime = SETTINGS_RUNTIME_PYTHON;
    strcpy(r.spawn.runtime_name, "python3.12");
    assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_OK);
    assert_ptr_equal(request_find_runtime(&c, "node"), &c.runtimes[1]);
    assert_null(request_find_runtime(&c, "nod"));
    static const char *const unknown[] = {"python3.11", "python3.1", "python3.12 ", "../../etc"};
    for (unsigned i = 0; i < 4; i++) {
        strcpy(r.spawn.runtime_name, unknown[i]);
        assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_REFUSED);
        assert_non_null(strstr(e.text, unknown[i]));
        assert_non_null(strstr(e.text, "runtimes"));
    }
    memset(r.spawn.runtime_name, 'a', sizeof(r.spawn.runtime_name));
    assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_BAD);
    r = spawn();
    r.spawn.kind = MESSAGE_SPAWN_DELETE;
    memset(r.spawn.function, 0, sizeof(r.spawn.function));
    memset(r.spawn.digest, 0, sizeof(r.spawn.digest));
    memset(r.spawn.revision, 0, sizeof(r.spawn.revision));
    assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_OK);
    strcpy(r.spawn.runtime_name, "node");
    assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_BAD);
}

static union request with_rule(const char *text)
{
    union request r = spawn();
    struct err e;
    r.spawn.network = SETTINGS_NETWORK_EGRESS;
    r.spawn.allow_count = 1;
    assert_int_equal(egress_parse(str_from(text), &r.spawn.allow[0], &e), 0);
    return r;
}

static void egress_needs_its_grant_and_private_addresses_theirs(void **state)
{
    (void)state;
    struct err e;
    static const struct {
        const char *rule;
        enum request_verdict verdict;
    } rows[] = {
        {"public", REQUEST_OK},
        {"example.com:443", REQUEST_OK},
        {"10.1.2.0/24:5432", REQUEST_OK},
        {"8.8.8.8:53/udp", REQUEST_OK},
        {"0.0.0.0/0:*", REQUEST_OK},
        {"10.2.0.0/24:5432", REQUEST_REFUSED},
        {"10.0.0.0/8:1", REQUEST_REFUSED},
        {"169.254.169.254:80", REQUEST_REFUSED},
        {"127.0.0.1:80", REQUEST_REFUSED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        union request r = with_rule(rows[i].rule);
        assert_int_equal(judge(&r), rows[i].verdict);
    }
    union request r = with_rule("public");
    struct config c = granting();
    c.grant_network_egress = false;
    assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_REFUSED);
    assert_non_null(strstr(e.text, "grants.network_egress"));
}

static void a_rule_that_no_settings_could_have_is_a_gateway_taken_over(void **state)
{
    (void)state;
    union request r = with_rule("example.com:443");
    r.spawn.network = SETTINGS_NETWORK_NONE;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_rule("example.com:443");
    r.spawn.allow_count = EGRESS_RULES_MAX + 1;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_rule("example.com:443");
    r.spawn.allow[0].name[3] = ' ';
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_rule("example.com:443");
    memset(r.spawn.allow[0].name, 'a', sizeof(r.spawn.allow[0].name));
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_rule("10.1.2.0/24:1");
    r.spawn.allow[0].address |= 1;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_rule("10.1.2.0/24:1");
    r.spawn.allow[0].bits = 33;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_rule("10.1.2.0/24:1");
    r.spawn.allow[0].kind = 0;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = with_rule("10.1.2.0/24:1");
    r.spawn.allow[0].protocol = 1;
    assert_int_equal(judge(&r), REQUEST_BAD);
}

static void the_runtime_api_is_never_on_the_hosts_network(void **state)
{
    (void)state;
    struct config c = granting();
    struct err e;
    union request r = spawn();
    r.spawn.network = SETTINGS_NETWORK_HOST;
    assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_OK);
    r.spawn.runtime = SETTINGS_RUNTIME_PROVIDED;
    assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_REFUSED);
    assert_non_null(strstr(e.text, "Runtime API"));
}

static void a_child_needs_a_template_and_a_process(void **state)
{
    (void)state;
    union request r = {.prepare = {.header = {.type = MESSAGE_PREPARE, .size = sizeof(struct message_prepare), .id = 8},
                                   .template = 7}};
    assert_int_equal(judge(&r), REQUEST_OK);
    r.prepare.template = 8;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r.prepare.template = 0;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r.prepare.template = 7;
    r.prepare.slot = MESSAGE_SLOTS_MAX - 1;
    assert_int_equal(judge(&r), REQUEST_OK);
    r.prepare.slot = MESSAGE_SLOTS_MAX;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r.prepare.slot = 0;
    r.prepare.has_files = 1;
    assert_int_equal(judge(&r), REQUEST_OK);
    r.prepare.has_files = 2;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r.prepare.has_files = 0;
    r.header.id = 0;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = (union request){
        .adopt = {.header = {.type = MESSAGE_ADOPT, .size = sizeof(struct message_adopt), .id = 8}, .pid = 1234}};
    assert_int_equal(judge(&r), REQUEST_OK);
    r.adopt.reserved = 1;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r.adopt.reserved = 0;
    static const int32_t none[] = {1, 0, -1, INT32_MIN};
    for (unsigned i = 0; i < 4; i++) {
        r.adopt.pid = none[i];
        assert_int_equal(judge(&r), REQUEST_BAD);
    }
    r.header.size--;
    assert_int_equal(judge(&r), REQUEST_BAD);
}

static void tree_messages_need_the_names_they_use(void **state)
{
    (void)state;
    union request r = {.tree = {.header = {.type = MESSAGE_PUBLISH, .size = sizeof(struct message_tree), .id = 1},
                                .staging = 4,
                                .digest = DIGEST}};
    assert_int_equal(judge(&r), REQUEST_OK);
    r.tree.digest[0] = '.';
    assert_int_equal(judge(&r), REQUEST_BAD);
    r.header.type = MESSAGE_DISCARD;
    assert_int_equal(judge(&r), REQUEST_OK);
    r.tree.staging = 0;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r.header.type = MESSAGE_RETIRE;
    assert_int_equal(judge(&r), REQUEST_BAD);
    strcpy(r.tree.digest, DIGEST);
    assert_int_equal(judge(&r), REQUEST_OK);
    memset(r.tree.digest, 'a', sizeof(r.tree.digest));
    assert_int_equal(judge(&r), REQUEST_BAD);
}

/* A spawn of `kind` with the names that it needs and `count` layers of good form. */
static union request with_layers(uint32_t kind, uint32_t count)
{
    union request r = spawn();
    r.spawn.kind = kind;
    if (kind == MESSAGE_SPAWN_UNPACK || kind == MESSAGE_SPAWN_DELETE) {
        memset(r.spawn.function, 0, sizeof(r.spawn.function));
        memset(r.spawn.digest, 0, sizeof(r.spawn.digest));
        memset(r.spawn.revision, 0, sizeof(r.spawn.revision));
        r.spawn.staging = 3;
    }
    r.spawn.layer_count = count;
    for (uint32_t i = 0; i < count && i < MESSAGE_LAYERS_MAX; i++)
        strcpy(r.spawn.layers[i], DIGEST);
    return r;
}

static void each_kind_has_as_many_layers_as_it_shows(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind;
        uint32_t most;
    } rows[] = {{MESSAGE_SPAWN_FUNCTION, 1},
                {MESSAGE_SPAWN_SHELL, 1},
                {MESSAGE_SPAWN_UNPACK, MESSAGE_LAYERS_MAX},
                {MESSAGE_SPAWN_DELETE, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        union request r = with_layers(rows[i].kind, rows[i].most);
        assert_int_equal(judge(&r), REQUEST_OK);
        r = with_layers(rows[i].kind, rows[i].most + 1);
        assert_int_equal(judge(&r), REQUEST_BAD);
        r.spawn.layer_count = UINT32_MAX;
        assert_int_equal(judge(&r), REQUEST_BAD);
    }
}

static void a_layer_that_is_no_digest_is_bad(void **state)
{
    (void)state;
    static const char *const names[] = {"", "..", ("../" DIGEST), "/etc", "0123456789abcdef"};
    union request r;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        r = with_layers(MESSAGE_SPAWN_FUNCTION, 1);
        memset(r.spawn.layers[0], 0, sizeof(r.spawn.layers[0]));
        memcpy(r.spawn.layers[0], names[i], strnlen(names[i], sizeof(r.spawn.layers[0]) - 1));
        assert_int_equal(judge(&r), REQUEST_BAD);
    }
    for (uint32_t i = 0; i < MESSAGE_LAYERS_MAX; i++) {
        r = with_layers(MESSAGE_SPAWN_UNPACK, MESSAGE_LAYERS_MAX);
        r.spawn.layers[i][10] = 'G';
        assert_int_equal(judge(&r), REQUEST_BAD);
        r = with_layers(MESSAGE_SPAWN_UNPACK, MESSAGE_LAYERS_MAX);
        memset(r.spawn.layers[i], 'a', sizeof(r.spawn.layers[i])); /* no end */
        assert_int_equal(judge(&r), REQUEST_BAD);
    }
}

/* /opt is then the layers' own: what lies there of the host would be hidden, or would hide them. */
static void layers_and_something_else_in_opt_are_refused(void **state)
{
    (void)state;
    struct config c = granting();
    struct err e;
    static const char *const targets[] = {"/opt", "/opt/data"};
    for (size_t i = 0; i < 2; i++) {
        union request r = with_mount("/data", targets[i], false);
        assert_int_equal(judge(&r), REQUEST_OK);
        r.spawn.layer_count = 1;
        strcpy(r.spawn.layers[0], DIGEST);
        assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_REFUSED);
        assert_non_null(strstr(e.text, targets[i]));
    }
    c.runtime_count = 1;
    strcpy(c.runtimes[0].name, "python3.12");
    strcpy(c.runtimes[0].prefix, "/opt/python");
    union request r = with_layers(MESSAGE_SPAWN_FUNCTION, 1);
    r.spawn.runtime = SETTINGS_RUNTIME_PYTHON;
    strcpy(r.spawn.runtime_name, "python3.12");
    assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_REFUSED);
    assert_non_null(strstr(e.text, "/opt/python"));
    strcpy(c.runtimes[0].prefix, "/optional");
    assert_int_equal(request_check(&r, r.header.size, &c, &e), REQUEST_OK);
}

static union request object(const char *bucket, const char *key)
{
    union request r = {
        .object = {.header = {.type = MESSAGE_OPEN_OBJECT, .size = sizeof(struct message_object), .id = 9}}};
    strcpy(r.object.bucket, bucket);
    strcpy(r.object.key, key);
    return r;
}

static void an_object_has_a_bucket_and_a_key(void **state)
{
    (void)state;
    union request r = object("zips", "deep/a.zip");
    assert_int_equal(judge(&r), REQUEST_OK);
    memset(r.object.bucket, 'a', sizeof(r.object.bucket) - 1);
    memset(r.object.key, 'a', sizeof(r.object.key) - 1); /* the longest that there are */
    assert_int_equal(judge(&r), REQUEST_OK);
    r.object.key[sizeof(r.object.key) - 1] = 'a';
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = object("zips", "a.zip");
    memset(r.object.bucket, 'a', sizeof(r.object.bucket));
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = object("", "a.zip");
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = object("zips", "");
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = object("zips", "a.zip");
    r.header.id = 0;
    assert_int_equal(judge(&r), REQUEST_BAD);
    r = object("zips", "a.zip");
    r.header.size--;
    assert_int_equal(judge(&r), REQUEST_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_spawn_is_accepted),
        cmocka_unit_test(secrets_of_good_form_are_accepted),
        cmocka_unit_test(a_wrong_field_of_a_secret_is_bad),
        cmocka_unit_test(only_functions_and_shells_have_secrets),
        cmocka_unit_test(every_wrong_size_is_bad),
        cmocka_unit_test(only_types_that_a_gateway_sends_are_known),
        cmocka_unit_test(only_a_greeting_and_answers_go_without_an_id),
        cmocka_unit_test(steps_are_asked_of_an_instance),
        cmocka_unit_test(values_out_of_range_are_bad),
        cmocka_unit_test(strings_without_an_end_or_of_a_wrong_pattern_are_bad),
        cmocka_unit_test(a_path_that_is_not_normal_is_bad),
        cmocka_unit_test(a_mount_needs_a_grant_for_it_or_above_it),
        cmocka_unit_test(the_refusal_names_the_key_to_add),
        cmocka_unit_test(a_mount_over_or_in_the_sandboxs_own_places_is_refused),
        cmocka_unit_test(mounts_must_not_lie_in_each_other),
        cmocka_unit_test(network_cpuset_and_devices_need_their_grants),
        cmocka_unit_test(memory_beyond_the_hosts_budget_is_refused),
        cmocka_unit_test(the_unpacker_gets_its_directory_and_nothing_else),
        cmocka_unit_test(a_helper_gets_no_more_than_a_helpers_share),
        cmocka_unit_test(only_a_function_is_a_template),
        cmocka_unit_test(strict_is_for_plain_native_functions),
        cmocka_unit_test(a_runtime_has_to_be_one_of_the_configurations),
        cmocka_unit_test(egress_needs_its_grant_and_private_addresses_theirs),
        cmocka_unit_test(a_rule_that_no_settings_could_have_is_a_gateway_taken_over),
        cmocka_unit_test(the_runtime_api_is_never_on_the_hosts_network),
        cmocka_unit_test(a_child_needs_a_template_and_a_process),
        cmocka_unit_test(tree_messages_need_the_names_they_use),
        cmocka_unit_test(each_kind_has_as_many_layers_as_it_shows),
        cmocka_unit_test(a_layer_that_is_no_digest_is_bad),
        cmocka_unit_test(layers_and_something_else_in_opt_are_refused),
        cmocka_unit_test(an_object_has_a_bucket_and_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
