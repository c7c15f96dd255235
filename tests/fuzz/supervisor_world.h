/* SPDX-License-Identifier: Apache-2.0 */
/* What supervisor.c's messages meet: a configuration, a state directory, a gateway's socket and the turns of the loop. Included by it alone. */
#ifndef FAASD_TESTS_FUZZ_SUPERVISOR_WORLD_H
#define FAASD_TESTS_FUZZ_SUPERVISOR_WORLD_H

#include "supervisor_effects.h"

static void open_gateway(void)
{
    int ends[2];
    struct err e;
    fd_close(&gateway_end);
    assert(sock_pair(SOCK_SEQPACKET, ends, &e) == 0);
    gateway_end = ends[0];
    channel_open(&super.channel, ends[1]);
    super.gateway.state = GATEWAY_GREETING;
    super.gateway.was_killed = false;
}

void __wrap_gateway_process_restart(struct gateway_process *g)
{
    (void)g;
    open_gateway();
}

/* --- the world --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    remove(path);
    return 0;
}

static void remove_top(void)
{
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    fmt_to(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void make_bucket(void)
{
    char path[256], outside[256];
    fmt_to(bucket, sizeof(bucket), "%s/bucket", top);
    assert(mkdir(bucket, 0755) == 0);
    write_file(bucket, "code.zip", "in the bucket");
    write_file(top, "outside", "not in the bucket");
    fmt_to(path, sizeof(path), "%s/link", bucket);
    fmt_to(outside, sizeof(outside), "%s/outside", top);
    assert(symlink(outside, path) == 0);
    fmt_to(path, sizeof(path), "%s/up", bucket);
    assert(symlink("..", path) == 0);
}

static void make_configs(void)
{
    config_init(&nothing);
    nothing.memory_budget_bytes = BUDGET;
    nothing.instances_max = INSTANCES;
    nothing.uid_base = UID_BASE;
    nothing.uid_count = UID_COUNT;
    nothing.runtime_count = 1;
    strcpy(nothing.runtimes[0].name, "python3");
    strcpy(nothing.runtimes[0].prefix, "/srv/python");
    nothing.lambda.bucket_count = 1;
    strcpy(nothing.lambda.buckets[0].name, "code");
    strcpy(nothing.lambda.buckets[0].path, bucket);
    granting = nothing;
    granting.grant_mount_count = 2;
    strcpy(granting.grant_mounts[0].source, "/data");
    strcpy(granting.grant_mounts[1].source, "/srv/www");
    granting.grant_mounts[1].writable = true;
    granting.grant_device_count = 1;
    strcpy(granting.grant_devices[0], "/dev/video0");
    granting.grant_network_host = granting.grant_network_egress = granting.grant_cpuset = true;
    granting.egress.grants = (struct egress_grants){.count = 1, .ranges = {{0x0a010000, 16}}}; /* 10.1.0.0/16 */
}

static void open_state(void)
{
    char path[96];
    fmt_to(path, sizeof(path), "%s/state", top);
    assert(mkdir(path, 0755) == 0);
    super.state.state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    static const char *const names[] = {"versions", "staging", "trash"};
    int *const fds[] = {&super.state.versions_fd, &super.state.staging_fd, &super.state.trash_fd};
    for (unsigned i = 0; i < 3; i++) {
        assert(mkdirat(super.state.state_fd, names[i], 0755) == 0);
        *fds[i] = openat(super.state.state_fd, names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert(*fds[i] >= 0);
    }
    struct stat st;
    assert(mkdirat(super.state.state_fd, "empty", 0755) == 0 && fstatat(super.state.state_fd, "empty", &st, 0) == 0);
    empty_tree = st.st_ino;
}

static void make_world(void)
{
    struct err e;
    signal(SIGPIPE, SIG_IGN); /* the supervisor blocks it (supervisor/hygiene.c) */
    assert(mkdtemp(top));
    atexit(remove_top);
    make_bucket();
    make_configs();
    super = (struct supervisor){.options = &options, .self_fd = -1, .code_owner = geteuid() ? geteuid() : UID_BASE + 1};
    state_init(&super.state);
    open_state();
    super.loop = ev_loop_new(EVFLAG_AUTO);
    assert(super.loop && secret_keys_make(&keys, &e) == 0);
    super.keys = &keys;
    for (unsigned i = 0; i < FEATURE_COUNT; i++)
        features.found[i] = true;
    assert(plan_build_base(&base_plan, &nothing, top, &e) == 0);
}

/* Every directory but those that are deployed at the start, which are there. */
static void clear_directory(int fd, bool is_versions)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fdopendir(copy);
    assert(d);
    for (struct dirent *at = readdir(d); at; at = readdir(d))
        if (at->d_name[0] != '.')
            assert(unlinkat(fd, at->d_name, AT_REMOVEDIR) == 0);
    closedir(d);
    code_count = is_versions ? 0 : code_count;
    for (unsigned i = 0; i < DEPLOYED && is_versions; i++) {
        struct stat st;
        assert(mkdirat(fd, digest_of(i), 0755) == 0 && fstatat(fd, digest_of(i), &st, 0) == 0);
        assert(fchownat(fd, digest_of(i), super.code_owner, super.code_owner, 0) == 0);
        code[code_count++] = st.st_ino;
    }
}

static void begin(void)
{
    struct err e;
    clear_directory(super.state.staging_fd, false);
    clear_directory(super.state.trash_fd, false);
    clear_directory(super.state.versions_fd, true);
    process_count = group_count = asked_count = 0;
    must_restart = setups_fail = false;
    super.phase = SUPERVISOR_STARTING;
    super.config = nothing;
    super.gateway = (struct gateway_process){.supervisor = &super, .pidfd = -1};
    ev_init(&super.gateway.timer, NULL);
    ev_init(&super.gateway.on_exit, NULL);
    ev_init(&super.drain_timer, NULL);
    channel_init(&super.channel, &super);
    trees_init(&super.trees, &super);
    reload_init(&super.reload, &super);
    watchdog_init(&super.watchdog, &super);
    ahead_init(&super.ahead, &super);
    assert(boxes_init(&super.boxes, &super, &e) == 0);
    open_gateway();
}

static void check_object(const struct message_failed *m, int fd)
{
    char text[32] = "";
    assert(m->error.code == 0 && read(fd, text, sizeof(text) - 1) > 0 && strcmp(text, "in the bucket") == 0);
}

/* What the gateway would be told: whole, and of the kinds that there are. The length of the message at `p`. */
static size_t check_answer(const char *p, const struct sock_record *record, size_t left)
{
    struct message_header h;
    assert(left >= sizeof(h));
    memcpy(&h, p, sizeof(h));
    assert(h.size >= sizeof(h) && h.size <= left && h.type >= MESSAGE_SPAWNED && h.type <= MESSAGE_STEPS_ARE);
    assert(h.size == record->size ||
           (message_may_share(h.type) && !record->fd_count && record->size <= MESSAGE_RECORD_MAX));
    if (h.type == MESSAGE_DONE && record->fd_count)
        check_object((const struct message_failed *)p, record->fds[0]);
    else
        assert(!record->fd_count || h.type == MESSAGE_SPAWNED);
    return h.size;
}

static void read_answers(void)
{
    static _Alignas(struct message_failed) char room[65536];
    struct sock_record record;
    while (gateway_end >= 0 && sock_receive(gateway_end, room, sizeof(room), &record) == 0 && record.size) {
        for (size_t at = 0; at < record.size;)
            at += check_answer(room + at, &record, record.size - at);
        sock_record_close(&record);
    }
}

static void turn(void)
{
    ev_run(super.loop, EVRUN_NOWAIT);
    read_answers();
    while (super.trees.job_count) /* a real child, which is done at once */
        ev_run(super.loop, EVRUN_ONCE);
    if (must_restart) {
        must_restart = false;
        super.gateway.state = GATEWAY_ABSENT;
        supervisor_on_gateway_exit(&super, 9);
        ev_run(super.loop, EVRUN_NOWAIT);
    }
    read_answers();
}

static void end(void)
{
    supervisor_on_gateway_broken(&super, "the end of the input");
    if (super.phase == SUPERVISOR_STARTING)
        super.phase = SUPERVISOR_SERVING;
    must_restart = true;
    turn();
    for (unsigned i = 0; i < TURNS_MAX && super.boxes.living; i++) {
        for (unsigned k = 0; k < process_count; k++)
            die(&processes[k]);
        ev_run(super.loop, EVRUN_ONCE);
    }
    assert(super.boxes.living == 0 && super.boxes.counted == 0 && super.boxes.helpers == 0 &&
           super.boxes.memory_bytes == 0 && ways == 0);
    for (unsigned i = 0; i < group_count; i++)
        assert(!groups[i].live);
    for (unsigned i = 0; i < (UID_COUNT + 63) / 64; i++)
        assert(super.boxes.uids.taken[i] == 0 || super.boxes.uids.count % 64);
    trees_fini(&super.trees);
    channel_close(&super.channel);
    watchdog_fini(&super.watchdog);
    boxes_fini(&super.boxes);
    fd_close(&gateway_end);
    for (unsigned k = 0; k < process_count; k++)
        die(&processes[k]);
}

#endif
