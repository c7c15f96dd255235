/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor under a gateway that was taken over: sequences of messages, right, nearly right and any bytes, with and without descriptors, through the real socket,
 * checks, boxes and trees, while sandboxes of a model are set up, die late, are killed late, and gateways are replaced. Where a sandbox would be cloned,
 * the plan that would be carried out is held against what is deployed and granted. Nothing is cloned, mounted or killed here.
 *
 * fuzz-sources: src/supervisor src/sandbox src/os
 * fuzz-libs: -lev -lcap -lseccomp
 * fuzz-wrap: sandbox_spawn sandbox_verify claim_check claim_check_dead pidfd_open pidfd_kill pidfd_reap pidfd_is_dead pidfd_read_status prlimit
 * fuzz-wrap: cgroup_kill cgroup_is_empty cgroup_remove cgroup_read_usage cgroup_oom_fd cgroup_oom_fd_tell cgroup_freeze cgroup_create_child
 * fuzz-wrap: cgroup_open_join cgroup_park cgroup_renew cgroup_has_one gateway_process_kill gateway_process_restart ahead_put_off
 * fuzz-wrap: egress_ask egress_detach
 * fuzz-wrap: log_error log_warn log_info
 */
#include "codec/secret.h"
#include "os/sock.h"
#include "supervisor/box_internal.h"
#include "supervisor/core.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#include "supervisor_world.h"

enum { OPS_MAX = 120 };

/* --- the input --- */

static const uint8_t *in;
static size_t left;

static uint8_t byte(void)
{
    if (!left)
        return 0;
    left--;
    return *in++;
}

static uint64_t small_id(void)
{
    return 1 + byte() % 12;
}

static size_t number(size_t below)
{
    size_t n = byte();
    n = n << 8 | byte();
    return below ? n % below : 0;
}

/* A message that is right but for what the input writes over it. */
static void patch(void *m, size_t n)
{
    for (unsigned i = byte() % 4; i > 0; i--) {
        size_t at = number(n);
        for (unsigned k = byte() % 16; k > 0 && at < n; k--)
            ((uint8_t *)m)[at++] = byte();
    }
}

/* n: whatever its header says by now */
static void send_message(const void *m, size_t n, int fd)
{
    if (gateway_end >= 0)
        sock_send(gateway_end, m, n, &fd, fd >= 0);
}

static int seal(struct message_spawn *m)
{
    struct buf sealed;
    struct err e;
    const struct secret_plain plain = {.name = STR_LITERAL("key"), .value = STR_LITERAL("quiet")};
    buf_init(&sealed, 0);
    assert(secret_seal(keys.public, &plain, &sealed, &e) == 0);
    int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert(fd >= 0 && write(fd, sealed.data, sealed.len) == (ssize_t)sealed.len);
    if (byte() % 4)
        assert(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
    m->secret_count = 1;
    strcpy(m->secrets[0].name, "key");
    strcpy(m->secrets[0].file, "key");
    m->secrets[0].sealed_bytes = (uint32_t)sealed.len;
    buf_fini(&sealed);
    return fd;
}

static void ask_for_network(struct message_spawn *m)
{
    static const char *const rules[] = {"public",      "example.com:443",    "10.1.2.0/24:5432", "10.2.0.0/16:1",
                                        "0.0.0.0/0:*", "169.254.169.254:80", "*.example.com:*",  "127.0.0.1:80"};
    struct err e;
    uint8_t how = byte();
    m->network = how & 1 ? SETTINGS_NETWORK_EGRESS : SETTINGS_NETWORK_HOST;
    for (how >>= 1; how % 4 > m->allow_count && m->allow_count < EGRESS_RULES_MAX; m->allow_count++)
        assert(egress_parse(str_from(rules[byte() % 8]), &m->allow[m->allow_count], &e) == 0);
}

/* What a function may ask for beyond a plain sandbox, granted or not. */
static void ask_for_more(struct message_spawn *m, uint8_t what)
{
    static const char *const sources[] = {"/data", "/data/x",      "/srv/www",  "/etc",
                                          "/",     "/data/../etc", "/database", "/srv"};
    static const char *const targets[] = {"/data",  "/mnt/x", "/opt",        "/opt/x",
                                          "/usr/x", "/var",   "/var/task/x", "/run/secrets"};
    if (what & 1) {
        m->mount_count = 1 + byte() % 2;
        for (unsigned i = 0; i < m->mount_count; i++) {
            strcpy(m->mounts[i].source, sources[byte() % 8]);
            strcpy(m->mounts[i].target, targets[byte() % 8]);
            m->mounts[i].writable = byte() % 2;
        }
    }
    if (what & 2) {
        m->device_count = 1;
        strcpy(m->devices[0], byte() % 2 ? "/dev/video0" : "/dev/mem");
    }
    if (what & 4)
        ask_for_network(m);
    if (what & 8)
        strcpy(m->cpuset, "0-1");
    if (what & 16)
        strcpy(m->runtime_name, byte() % 2 ? "python3" : "python9");
    if (what & 32)
        m->slots = byte() % 20;
    if (what & 64) {
        m->layer_count = 1 + byte() % 2;
        for (unsigned i = 0; i < m->layer_count; i++)
            strcpy(m->layers[i], digest_of(byte() % (DIGESTS + 1)));
    }
}

static void op_spawn(void)
{
    struct message_spawn m = {.header = {.type = MESSAGE_SPAWN, .size = sizeof(m), .id = small_id()},
                              .kind = byte() % 4,
                              .memory_bytes = (uint64_t)(1 + byte()) << 22,
                              .tmp_bytes = 1 << 20,
                              .pids = 16,
                              .cpus_milli = 1000,
                              .cpu_weight = 100};
    int fd = -1;
    if (m.kind == MESSAGE_SPAWN_UNPACK || m.kind == MESSAGE_SPAWN_DELETE) {
        m.staging = small_id();
        m.memory_bytes = 64 << 20;
    } else {
        m.runtime = byte() % SETTINGS_RUNTIMES;
        strcpy(m.function, "hello");
        strcpy(m.digest, digest_of(byte() % (DIGESTS + 1)));
        strcpy(m.revision, digest_of(byte() % DIGESTS));
        uint8_t what = byte();
        ask_for_more(&m, what);
        if (what & 128)
            fd = seal(&m);
    }
    patch(&m, sizeof(m));
    send_message(&m, sizeof(m), fd);
    fd_close(&fd);
}

static void op_plain(void)
{
    static const uint32_t types[] = {MESSAGE_KILL,   MESSAGE_KILL,         MESSAGE_USAGE,
                                     MESSAGE_FREEZE, MESSAGE_THAW,         MESSAGE_PONG,
                                     MESSAGE_HELLO,  MESSAGE_CONFIG_TAKEN, MESSAGE_CONFIG_KEPT};
    struct message_plain m = {.header = {.type = types[byte() % 9], .size = sizeof(m), .id = small_id()}};
    patch(&m, sizeof(m));
    send_message(&m, sizeof(m), -1);
}

static void op_tree(void)
{
    static const uint32_t types[] = {MESSAGE_PUBLISH, MESSAGE_DISCARD, MESSAGE_RETIRE};
    struct message_tree m = {.header = {.type = types[byte() % 3], .size = sizeof(m), .id = small_id()},
                             .staging = small_id()};
    strcpy(m.digest, digest_of(byte() % (DIGESTS + 1)));
    patch(&m, sizeof(m));
    send_message(&m, sizeof(m), -1);
}

static void op_prepare(void)
{
    struct message_prepare m = {.header = {.type = MESSAGE_PREPARE, .size = sizeof(m), .id = small_id()},
                                .template = small_id(),
                                .slot = byte() % 18,
                                .has_files = byte() % 2};
    patch(&m, sizeof(m));
    send_message(&m, sizeof(m), -1);
}

/* A process in some child's group, whoever made it; or one that is named without being there. */
static void op_adopt(void)
{
    struct message_adopt m = {.header = {.type = MESSAGE_ADOPT, .size = sizeof(m), .id = small_id()},
                              .pid = PID_FOREIGN};
    uint8_t how = byte();
    if (how % 3 && process_count)
        m.pid = processes[byte() % process_count].pid;
    struct box *x = boxes_find(&super.boxes, m.header.id);
    if (how % 3 == 2 && x && x->is_child && x->sandbox.group && process_count < PROCESSES_MAX) {
        int fd;
        m.pid = process_new(x->sandbox.group, &fd)->pid;
        close(fd);
        if (how & 64)
            die(&processes[process_count - 1]);
    }
    patch(&m, sizeof(m));
    send_message(&m, sizeof(m), -1);
}

static void op_object(void)
{
    static const char *const names[] = {"code.zip",    "link", "../outside", "up/outside",
                                        "/etc/passwd", "",     ".",          "bucket/../code.zip"};
    struct message_object m = {.header = {.type = MESSAGE_OPEN_OBJECT, .size = sizeof(m), .id = small_id()}};
    strcpy(m.bucket, byte() % 4 ? "code" : "none");
    strcpy(m.key, names[byte() % 8]);
    patch(&m, sizeof(m));
    send_message(&m, sizeof(m), -1);
}

static void op_steps(void)
{
    struct message_steps m = {.header = {.type = MESSAGE_STEPS, .size = sizeof(m), .id = small_id()},
                              .instance = small_id()};
    patch(&m, sizeof(m));
    send_message(&m, sizeof(m), -1);
}

static void op_bytes(void)
{
    union request r;
    memset(&r, 0xa5, sizeof(r));
    size_t n = number(sizeof(r) + 1);
    for (size_t i = 0; i < n && i < 64; i++)
        ((uint8_t *)&r)[i] = byte();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int fds[] = {null, null, null};
    sock_send(gateway_end, &r, n, fds, byte() % 4);
    close(null);
}

/* What happens on the host. */
static void op_event(void)
{
    uint8_t what = byte();
    struct process *p = process_count ? &processes[byte() % process_count] : NULL;
    struct err e = {.code = EPERM};
    if (what & 32)
        bring_network(!(what & 64));
    if (what % 8 == 0)
        super.config = what & 16 ? granting : nothing; /* as a reload does */
    else if (what % 8 == 1)
        setups_fail = !setups_fail;
    else if (what % 8 == 2 && p && p->setup_end >= 0)
        (void)!write(p->setup_end, &e, what & 16 ? sizeof(e) : 3); /* or nobody reads it any more */
    else if (what % 8 <= 4 && p)
        fd_close(&p->setup_end); /* the set-up is complete */
    else if (what % 8 == 5 && what & 16)
        supervisor_on_gateway_broken(&super, "the input says so");
    else if (p)
        die(p);
}

static void step(void)
{
    static void (*const ops[])(void) = {op_spawn, op_spawn, op_spawn, op_plain, op_tree,   op_tree,  op_prepare,
                                        op_adopt, op_event, op_event, op_event, op_object, op_steps, op_bytes};
    ops[byte() % (sizeof(ops) / sizeof(ops[0]))]();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!super.loop)
        make_world();
    int lowest = dup(0);
    close(lowest);
    begin();
    in = data;
    left = n;
    struct message_plain hello = {.header = {.type = MESSAGE_HELLO, .size = sizeof(hello)}};
    send_message(&hello, sizeof(hello), -1);
    turn();
    for (unsigned i = 0; i < OPS_MAX && left; i++) {
        step();
        if (byte() % 4) /* else the next message comes in the same turn */
            turn();
    }
    end();
    int lowest_after = dup(0);
    close(lowest_after);
    assert(lowest == lowest_after); /* no descriptor stayed open */
    return 0;
}
