/* SPDX-License-Identifier: Apache-2.0 */
/* From a checked SPAWN message to a sandbox that runs. */
#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"
#include "base/str.h"
#include "base/watch.h"
#include "sandbox/identity.h"
#include "sandbox/profile.h"
#include "supervisor/box_internal.h"
#include "supervisor/core.h"
#include "supervisor/request.h"
#include "supervisor/secret_cargo.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static_assert((int)MESSAGE_CALL_WORDS == (int)PROFILE_CALL_WORDS,
              "a list of system calls goes from one to the other as it is");

enum { TMP_BYTES_MIN = 4096 /* tmpfs reads size=0 as "no limit" (tmpfs(5)) */ };

void box_trial_free(struct box_trial *t)
{
    if (!t)
        return;
    fd_close(&t->code_fd);
    fd_close(&t->secrets_fd);
    for (unsigned i = 0; i < MESSAGE_LAYERS_MAX; i++)
        fd_close(&t->layer_fds[i]);
    free(t);
}

static int open_code(const struct supervisor *s, const struct message_spawn *m, struct err *e)
{
    if (m->kind == MESSAGE_SPAWN_UNPACK)
        return state_make_staging(&s->state, m->staging, s->code_owner, e);
    if (m->kind != MESSAGE_SPAWN_DELETE)
        return state_open_version(&s->state, m->digest, s->code_owner, e);
    int fd = openat(s->state.trash_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_set(e, errno, "open the trash") : fd;
}

static int open_layers(const struct supervisor *s, struct box_trial *t, struct err *e)
{
    for (uint32_t i = 0; i < t->message.layer_count; i++) {
        int fd = t->layer_fds[i] = state_open_version(&s->state, t->message.layers[i], s->code_owner, e);
        if (fd < 0)
            return err_wrap(e, "layers");
    }
    return 0;
}

static enum sandbox_worker worker_of(const struct message_spawn *m)
{
    if (m->kind == MESSAGE_SPAWN_SHELL)
        return SANDBOX_WORKER_PTY;
    if (m->kind != MESSAGE_SPAWN_FUNCTION || m->runtime == SETTINGS_RUNTIME_EXEC)
        return SANDBOX_WORKER_NONE;
    return m->runtime == SETTINGS_RUNTIME_PROVIDED ? SANDBOX_WORKER_LISTENER : SANDBOX_WORKER_SOCKET;
}

struct cgroup_limits box_limits_of(const struct message_spawn *m)
{
    return (struct cgroup_limits){.memory_bytes = m->memory_bytes,
                                  .pids = m->pids,
                                  .cpus_milli = m->cpus_milli,
                                  .cpu_weight = m->cpu_weight ? m->cpu_weight : 100,
                                  .cpuset = m->cpuset};
}

static void fill_spec(struct box_trial *t, const struct box *x)
{
    static const enum sandbox_kind kinds[] = {
        [MESSAGE_SPAWN_FUNCTION] = SANDBOX_FUNCTION,
        [MESSAGE_SPAWN_SHELL] = SANDBOX_SHELL,
        [MESSAGE_SPAWN_UNPACK] = SANDBOX_UNPACK,
        [MESSAGE_SPAWN_DELETE] = SANDBOX_DELETE,
    };
    static const char *const names[] = {[MESSAGE_SPAWN_FUNCTION] = "",
                                        [MESSAGE_SPAWN_SHELL] = "",
                                        [MESSAGE_SPAWN_UNPACK] = "unpack",
                                        [MESSAGE_SPAWN_DELETE] = "delete"};
    const struct message_spawn *m = &t->message;
    const char *name = *m->function ? m->function : names[m->kind];
    fmt_to(t->hostname, sizeof(t->hostname), "%s", name);
    const struct config_runtime *runtime = request_find_runtime(&x->supervisor->config, m->runtime_name);
    fmt_to(t->runtime_prefix, sizeof(t->runtime_prefix), "%s", runtime ? runtime->prefix : "");
    fmt_to(t->name, sizeof(t->name), "%s-%llu", name, (unsigned long long)x->supervisor->boxes.next_serial++);
    t->spec = (struct sandbox_spec){
        .kind = kinds[m->kind],
        .worker = worker_of(m),
        .name = t->name,
        .hostname = t->hostname,
        .code_dirfd = t->code_fd,
        .host_uid = x->host_uid,
        .tmp_bytes = m->tmp_bytes < TMP_BYTES_MIN ? TMP_BYTES_MIN : m->tmp_bytes,
        .tmp_exec = m->tmp_exec == 1,
        .network_host = m->network == SETTINGS_NETWORK_HOST,
        .network_egress = m->network == SETTINGS_NETWORK_EGRESS,
        .network_fd = -1,
        .strict = m->seccomp == SETTINGS_SECCOMP_STRICT,
        .learning = m->seccomp == SETTINGS_SECCOMP_LEARNING,
        .calls = m->seccomp == SETTINGS_SECCOMP_LEARNED ? m->system_calls : NULL,
        .slots = m->slots,
        .runtime_prefix = t->runtime_prefix,
        .limits = box_limits_of(m),
        .mount_count = m->mount_count,
        .device_count = m->device_count,
        .layer_count = m->layer_count,
    };
    for (uint32_t i = 0; i < m->layer_count; i++)
        t->spec.layer_dirfds[i] = t->layer_fds[i];
    for (uint32_t i = 0; i < m->mount_count; i++)
        t->spec.mounts[i] = (struct sandbox_mount){
            .source = m->mounts[i].source, .target = m->mounts[i].target, .writable = m->mounts[i].writable};
    for (uint32_t i = 0; i < m->device_count; i++)
        t->spec.devices[i] = m->devices[i];
    t->spec.secret_count = m->secret_count;
    for (uint32_t i = 0; i < m->secret_count; i++)
        t->spec.secrets[i].file = t->message.secrets[i].file;
}

/* The secrets are in this process's memory for as long as the clone takes: the child has its own copy of it, and wipes that. */
static int spawn_with_secrets(struct box *x, struct box_trial *t, int secrets_fd, struct err *e)
{
    struct supervisor *s = x->supervisor;
    struct secret_cargo cargo;
    int r = secret_cargo_open(&cargo, s->keys, &t->message, secrets_fd, e);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < t->spec.secret_count; i++) {
        t->spec.secrets[i].bytes = cargo.values[i];
        t->spec.secrets[i].size = cargo.sizes[i];
    }
    t->spec.clock = x->clock;
    r = sandbox_spawn(s->base, s->groups, &t->spec, &x->sandbox, e);
    secret_cargo_wipe(&cargo);
    for (uint32_t i = 0; i < t->spec.secret_count; i++)
        t->spec.secrets[i].bytes = NULL;
    return r;
}

/* The host's share, held here as well: a gateway that was taken over must not be able to use the host up. */
int boxes_check_room(const struct boxes *b, uint64_t memory_bytes, bool is_helper, struct err *e)
{
    const struct config *c = &b->supervisor->config;
    if (b->counted >= c->instances_max + BOX_SPARE || b->living >= 2 * (c->instances_max + BOX_SPARE))
        return err_say(e, EAGAIN, "%u sandboxes live, the configuration allows %u (instances)", b->living,
                       c->instances_max);
    if (is_helper && b->helpers >= BOX_HELPERS_MAX)
        return err_say(e, EAGAIN, "%u unpackers and deleters live, %d are the most", b->helpers, BOX_HELPERS_MAX);
    if (!is_helper && b->memory_bytes + memory_bytes > c->memory_budget_bytes)
        return err_say(e, EAGAIN, "memory_budget (%llu bytes) is in use: %llu bytes",
                       (unsigned long long)c->memory_budget_bytes, (unsigned long long)b->memory_bytes);
    return 0;
}

static void send_spawned(struct box *x)
{
    struct sandbox *b = &x->sandbox;
    struct message_spawned m = {
        .header = {.type = MESSAGE_SPAWNED, .size = sizeof(m), .id = x->id}, .fd_count = 2, .pid = b->pid};
    int fds[MESSAGE_FDS_MAX] = {fd_take(&b->control_fd), fd_take(&b->log_fd)};
    if (b->worker_fd >= 0)
        fds[m.fd_count++] = fd_take(&b->worker_fd);
    x->told = true;
    channel_send(&x->supervisor->channel, &m.header, fds, m.fd_count);
}

/* With the last process goes the tmpfs: before anybody has read how much of the memory it was, unless it is held. v2's kernel kills the whole group at its limit.
 * v1's tells of the limit and then kills one task, which may be init or end it: all of them can be dead before this process is on a processor. */
static void hold_tmp(struct box *x)
{
    if (x->kind != MESSAGE_SPAWN_FUNCTION)
        return;
    char path[48];
    fmt_to(path, sizeof(path), "/proc/%d/root/tmp", x->sandbox.pid);
    x->tmp_fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); /* without it the answer says less */
}

/* The set-up is complete. */
static void on_complete(struct box *x)
{
    struct supervisor *s = x->supervisor;
    if (x->state != BOX_SETTING_UP)
        return;
    struct box_trial *t = x->trial;
    if (t) {
        struct err e;
        if (sandbox_verify(s->base, &t->spec, &x->sandbox, &e) < 0) {
            log_error("%s fn=%s pid=%d", e.text, t->message.function, x->sandbox.pid);
            box_fail(x, &e);
            return;
        }
        verified_add(&s->boxes.verified, verified_plan(&t->message), t->message.revision);
        box_trial_free(t);
        x->trial = NULL;
        step_clock_mark_parent(x->clock, "look at the first one");
    }
    start_clocks_leave(&s->boxes.clocks, &x->clock);
    box_set_state(x, BOX_RUNNING);
    ev_timer_stop(s->loop, &x->timer);
    hold_tmp(x); /* before SPAWNED: what the function does is begun by who gets that */
    if (!x->told && x->known)
        send_spawned(x);
}

void box_read_setup(struct box *x)
{
    if (x->sandbox.error_fd < 0)
        return;
    struct err e;
    ssize_t n;
    do
        n = read(x->sandbox.error_fd, &e, sizeof(e));
    while (n < 0 && errno == EINTR); /* nobody may ask again */
    if (n < 0 && errno == EAGAIN)
        return;
    ev_io_stop(x->supervisor->loop, &x->on_setup);
    fd_close(&x->sandbox.error_fd);
    if (n == 0) {
        step_clock_mark_exec(x->clock);
        if (!x->trial || x->state != BOX_SETTING_UP) /* nobody writes to it any more */
            start_clocks_leave(&x->supervisor->boxes.clocks, &x->clock);
        return;
    }
    /* the child has not run any code but ours yet, but its answer goes on to people: terminated, and an error in any case */
    if (n != sizeof(e) || e.code <= 0)
        err_say(&e, EPROTO, "the sandbox's set-up answered with %zd bytes", n);
    e.text[sizeof(e.text) - 1] = '\0';
    box_fail(x, &e);
}

void box_look_at_setup(struct box *x)
{
    box_read_setup(x);
    if (x->sandbox.error_fd < 0)
        on_complete(x);
}

static void on_setup(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    box_look_at_setup(w->data);
}

/* Under v2 memory.oom.group makes the kernel kill the whole group, and the usage at the end tells why: nothing to watch. */
void box_watch_oom(struct box *x)
{
    bool priority = false;
    int oom = cgroup_oom_fd(x->sandbox.group, &priority);
    if (oom < 0 || priority)
        return;
    ev_io_set(&x->on_oom, oom, EV_READ);
    ev_io_start(x->supervisor->loop, &x->on_oom);
}

static void watch(struct box *x)
{
    struct ev_loop *loop = x->supervisor->loop;
    struct sandbox *b = &x->sandbox;
    ev_io_init(&x->on_exit, box_on_exit, b->pidfd, EV_READ);
    ev_io_init(&x->on_setup, on_setup, b->error_fd, EV_READ);
    ev_init(&x->on_oom, box_on_oom);
    x->on_exit.data = x->on_setup.data = x->on_oom.data = x;
    ev_io_start(loop, &x->on_exit);
    ev_io_start(loop, &x->on_setup);
    box_watch_oom(x);
    box_start_timer(x, BOX_SETUP_SECONDS, 0.);
}

/* The pids controller counts at fork and never refuses who joins (pids_can_attach in the kernel). With the files by which its children join their
 * groups, a hostile template could fork in its own and move away, without end. The id is the sandbox's alone, so this limit counts all of them. */
static int bound_processes(const struct box *x, const struct message_spawn *m, struct err *e)
{
    if (m->slots == 0)
        return 0;
    rlim_t most = (rlim_t)m->pids * (m->slots + 1);
    const struct rlimit limit = {.rlim_cur = most, .rlim_max = most};
    if (prlimit(x->sandbox.pid, RLIMIT_NPROC, &limit, NULL) < 0)
        return err_set(e, errno, "limit the processes of a template");
    return 0;
}

static struct box_trial *trial_new(const struct message_spawn *m)
{
    struct box_trial *t = malloc(sizeof(*t));
    if (!t)
        return NULL;
    t->message = *m;
    t->code_fd = t->secrets_fd = -1;
    for (unsigned i = 0; i < MESSAGE_LAYERS_MAX; i++)
        t->layer_fds[i] = -1;
    return t;
}

/* What the sandbox is to be; with a way out its network is asked for first, and the start goes on in box_on_network(). */
static int make_sandbox(struct box *x, const struct message_spawn *m, int secrets_fd, struct err *e)
{
    struct supervisor *s = x->supervisor;
    struct box_trial *t = x->trial = trial_new(m);
    if (!t)
        return err_set(e, ENOMEM, "make a sandbox");
    int r = t->code_fd = open_code(s, m, e);
    if (r >= 0)
        r = open_layers(s, t, e);
    if (r < 0)
        return r;
    fill_spec(t, x);
    if (!t->spec.network_egress)
        return spawn_with_secrets(x, t, secrets_fd, e);
    if (secrets_fd >= 0 && (t->secrets_fd = fcntl(secrets_fd, F_DUPFD_CLOEXEC, 0)) < 0)
        return err_set(e, errno, "keep the secrets for a sandbox");
    x->state = BOX_WAITING;
    return egress_ask(&s->egress, x, m, &x->egress, e);
}

/* It is cloned: what guards it, and the answer. */
static void go_on(struct box *x)
{
    struct err e;
    const struct message_spawn *m = &x->trial->message;
    bool is_verified = verified_has(&x->supervisor->boxes.verified, verified_plan(m), m->revision);
    watch(x);
    /* before SPAWNED: nothing of the function runs until the gateway has init's socket */
    if (bound_processes(x, m, &e) < 0) {
        box_fail(x, &e);
    } else if (is_verified) {
        box_trial_free(x->trial);
        x->trial = NULL;
        send_spawned(x);
    }
}

/* The namespace is the sandbox's from its clone on, and gone with it. */
void box_on_network(struct box *x, int fd, const struct err *why)
{
    struct err e;
    struct box_trial *t = x->trial;
    if (x->state != BOX_WAITING)
        return;
    if (fd < 0) {
        box_fail(x, why);
        return;
    }
    t->spec.network_fd = fd;
    t->spec.network_inode = x->egress->namespace;
    int r = spawn_with_secrets(x, t, t->secrets_fd, &e);
    t->spec.network_fd = -1;
    fd_close(&t->secrets_fd);
    if (r < 0) {
        box_fail(x, &e);
        return;
    }
    box_set_state(x, BOX_SETTING_UP);
    go_on(x);
}

static struct box *box_new(struct boxes *b, const struct message_spawn *m, int secrets_fd, struct err *e)
{
    struct supervisor *s = b->supervisor;
    bool is_function = m->kind == MESSAGE_SPAWN_FUNCTION || m->kind == MESSAGE_SPAWN_SHELL;
    bool takes_id = is_function && !identity_is_shared();
    uint32_t uid = takes_id ? uids_take(&b->uids) : s->code_owner;
    if (uid == 0 && takes_id) {
        err_say(e, EAGAIN, "every host uid of uid_base and uid_count is in use");
        return NULL;
    }
    struct box *x = calloc(1, sizeof(*x));
    if (!x) {
        if (takes_id)
            uids_give_back(&b->uids, uid);
        err_set(e, ENOMEM, "make a sandbox");
        return NULL;
    }
    x->supervisor = s;
    x->state = BOX_SETTING_UP;
    x->tmp_fd = -1;
    x->sandbox = (struct sandbox){.pidfd = -1, .error_fd = -1, .control_fd = -1, .log_fd = -1, .worker_fd = -1};
    x->id = m->header.id;
    x->kind = m->kind;
    x->staging = m->staging;
    x->memory_bytes = is_function ? m->memory_bytes : 0;
    x->host_uid = uid;
    list_init(&x->sibling);
    if (is_function)
        x->clock = start_clocks_take(&b->clocks, x->id);
    int r = 0;
    if (m->slots > 0) {
        x->as_template = box_template_new(m);
        r = x->as_template ? 0 : err_set(e, ENOMEM, "make a sandbox");
    }
    if (r == 0 && make_sandbox(x, m, secrets_fd, e) == 0)
        return x;
    start_clocks_leave(&b->clocks, &x->clock);
    box_template_free(x->as_template);
    box_trial_free(x->trial);
    if (takes_id)
        uids_give_back(&b->uids, uid);
    free(x);
    return NULL;
}

int boxes_spawn(struct boxes *b, const struct message_spawn *m, int secrets_fd)
{
    struct err e = {0};
    if (boxes_find(b, m->header.id))
        return -EPROTO;
    bool is_helper = m->kind == MESSAGE_SPAWN_UNPACK || m->kind == MESSAGE_SPAWN_DELETE;
    struct box *x = boxes_check_room(b, m->memory_bytes, is_helper, &e) == 0 ? box_new(b, m, secrets_fd, &e) : NULL;
    if (!x) {
        channel_send_failed(&b->supervisor->channel, MESSAGE_SPAWN_FAILED, m->header.id, &e);
        return 0;
    }
    box_enter(x);
    ev_init(&x->timer, box_on_timer);
    x->timer.data = x;
    if (x->state == BOX_WAITING)
        box_start_timer(x, BOX_SETUP_SECONDS, 0.);
    else
        go_on(x);
    return 0;
}
