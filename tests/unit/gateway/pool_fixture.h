/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool with a supervisor and workers that the test plays: what goes to the supervisor is read from the other end of the link, requests are answered into
 * an array. The three functions of exchange.h that an invocation calls, the log's and the drain's are replaced, so nothing of the front door or the store is linked. Versions
 * that are asked for by number are read from `stored_settings`, when the test says so.
 */
#ifndef TESTS_POOL_FIXTURE_H
#define TESTS_POOL_FIXTURE_H

#include "gateway/payload.h"
#include "gateway/pool_internal.h"
#include "gateway/records.h"

#include "base/fdio.h"
#include "gateway/revision.h"
#include "gateway/store.h"
#include "gateway/store_versions.h"
#include "gateway/version_collect.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { ANSWERS_MAX = 64, MIB = 1 << 20 };

static struct gateway gateway;
static struct config config;
static struct function *function; /* the one that requests and deploys are for */
static struct function *functions[2];
static int supervisor = -1; /* the other end of the link */
static struct {
    int status;
    char type[64];
    char start[16];   /* X-Faasd-Start */
    uint64_t version; /* X-Faasd-Version */
} answers[ANSWERS_MAX];
static unsigned answer_count;
static struct exchange exchanges[ANSWERS_MAX]; /* as the connection's, they outlive their end for a moment */
static unsigned exchange_count;
static unsigned trials_done;
static struct err trial_result;
static char trial_said[4096]; /* type|message|trace */

/* ---- what is replaced ---- */

static void note_answer(int status, const char *type, const char *fields)
{
    assert_true(answer_count < ANSWERS_MAX);
    const char *start = fields ? strstr(fields, "X-Faasd-Start: ") : NULL;
    answers[answer_count].status = status;
    snprintf(answers[answer_count].type, sizeof(answers[0].type), "%s", type);
    answers[answer_count].start[0] = '\0';
    answers[answer_count].version = 0;
    if (start)
        sscanf(start, "X-Faasd-Start: %15s X-Faasd-Version: %lu", answers[answer_count].start,
               &answers[answer_count].version);
    answer_count++;
}

bool exchange_reserve(struct exchange *x, size_t n)
{
    (void)x, (void)n;
    return true;
}

void exchange_reply(struct exchange *x, const struct reply *r)
{
    char fields[512];
    (void)x;
    assert_true(str_copy(r->fields, fields, sizeof(fields)));
    note_answer(r->status, "", fields);
}

void exchange_error_full(struct exchange *x, int status, const char *type, struct str message, struct str trace,
                         const char *fields)
{
    (void)x;
    (void)message;
    (void)trace;
    note_answer(status, type, fields);
}

void exchange_error(struct exchange *x, int status, const char *type, const char *format, ...)
{
    (void)x;
    (void)format;
    note_answer(status, type, NULL);
}

/* Nothing here streams. */
void exchange_stream_reply(struct exchange *x, const struct reply *r)
{
    exchange_reply(x, r);
}

void exchange_stream_end(struct exchange *x)
{
    (void)x;
}

void exchange_stream_cut(struct exchange *x, const char *type)
{
    (void)x;
    (void)type;
}

bool exchange_stream_is_full(const struct exchange *x)
{
    (void)x;
    return false;
}

int exchange_stream_write(struct exchange *x, struct str data)
{
    (void)x;
    (void)data;
    return 0;
}

/* Events and replies are raw bytes. */
bool payload_is_http(const struct invocation *inv, const struct settings *s)
{
    (void)inv;
    (void)s;
    return false;
}

bool payload_translates(const struct invocation *inv, const struct settings *s)
{
    (void)inv;
    (void)s;
    return false;
}

const char *payload_translate(const struct invocation_reply *r, uint64_t body_max, struct buf *body,
                              struct invocation_reply *ret_reply)
{
    (void)body_max;
    (void)body;
    *ret_reply = *r;
    return NULL;
}

bool payload_admit(struct invocation *inv)
{
    (void)inv;
    return true;
}

void payload_release(struct invocation *inv)
{
    (void)inv;
}

void store_log_line(struct store *s, const char *name, uint64_t instance, const char *request_id, struct str line)
{
    (void)s;
    (void)name;
    (void)instance;
    (void)request_id;
    (void)line;
}

void gateway_check_drained(struct gateway *g)
{
    (void)g;
}

/* ---- the store ---- */

enum { READS_MAX = 8 };
static struct store_version_read *reads[READS_MAX]; /* not answered yet, oldest first */
static unsigned read_count;
static struct settings stored_settings; /* of every version that is read back */

static inline struct version *make_version(const struct settings *s, uint64_t number)
{
    struct version *v = version_new();
    v->settings = *s;
    v->number = number;
    return v;
}

static inline void run_read(struct store_task *t, struct store_db *db)
{
    (void)t;
    (void)db;
}

/* What else goes to the disk is looked at elsewhere (tests/integration/test_records.py). */
void store_submit(struct store *s, struct store_task *t)
{
    (void)s;
    if (t->run != run_read)
        return;
    assert_true(read_count < READS_MAX);
    t->error = (struct err){0};
    reads[read_count++] = (struct store_version_read *)(void *)t;
}

void store_version_read_init(struct store_version_read *q, const char *name, uint64_t number)
{
    *q = (struct store_version_read){.task.run = run_read, .number = number};
    q->row.revision.number = number;
    str_copy(str_from(name), q->function, sizeof(q->function));
}

void store_version_read_fini(struct store_version_read *q)
{
    (void)q;
}

static unsigned collections; /* asked for: then uses are written down as well */

void version_collect(struct gateway *g, struct function *f)
{
    (void)g;
    (void)f;
    collections++;
}

struct version *revision_load(const struct config *c, const struct store_revision *r, struct err *e)
{
    (void)c;
    (void)e;
    return make_version(&stored_settings, r->number);
}

/* ---- the loop ---- */

static void turn(void)
{
    for (int i = 0; i < 10; i++)
        ev_run(gateway.loop, EVRUN_NOWAIT);
}

/* At least so long, timers and all. */
static inline void on_time(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static inline void pass(double seconds)
{
    ev_timer t;
    ev_now_update(gateway.loop);
    ev_timer_init(&t, on_time, seconds, 0.);
    ev_timer_start(gateway.loop, &t);
    ev_run(gateway.loop, 0);
    turn();
}

/* ---- the supervisor ---- */

union heard {
    struct message_header header;
    struct message_spawn spawn;
    struct message_prepare prepare;
    struct message_adopt adopt;
};

static union heard unread[64];
static unsigned unread_count;

static void tell(const void *message, size_t size, const int *fds, unsigned fd_count);

static bool is_looked_at(const struct list *instances, uint64_t id)
{
    LIST_EACH (instances, link) {
        const struct instance *i = LIST_ENTRY(link, struct instance, link);
        if (i->waiter.id == id)
            return i->usage.asked;
    }
    return false;
}

/* Who served is looked at for what it used, some time later (gateway/usage.h): answered here, and nothing that a test hears of. */
static bool answer_look(const union heard *m)
{
    uint64_t id = m->header.id;
    bool asked = false;
    for (int k = 0; k < 2 && !asked; k++)
        asked = functions[k] &&
                (is_looked_at(&functions[k]->pool->idle, id) || is_looked_at(&functions[k]->pool->trials, id) ||
                 is_looked_at(&functions[k]->pool->others, id));
    if (m->header.type != MESSAGE_USAGE || !asked)
        return false;
    const struct message_exited answer = {.header = {.type = MESSAGE_USAGE_IS, .size = sizeof(answer), .id = id}};
    tell(&answer, sizeof(answer), NULL, 0);
    return true;
}

static void hear(const union heard *m)
{
    if (answer_look(m))
        return;
    assert_true(unread_count < sizeof(unread) / sizeof(unread[0]));
    unread[unread_count++] = *m;
}

static void listen_on(void)
{
    static char record[sizeof(union heard)];
    union heard m;
    turn();
    for (ssize_t n; (n = recv(supervisor, record, sizeof(record), MSG_DONTWAIT)) > 0;) {
        for (size_t at = 0, size = (size_t)n; at < size; at += m.header.size) {
            memcpy(&m, record + at, size - at);
            assert_true(m.header.size >= sizeof(m.header) && m.header.size <= size - at);
            assert_true(m.header.size == size || message_may_share(m.header.type));
            hear(&m);
        }
    }
}

static union heard take_unread(unsigned at)
{
    union heard m = unread[at];
    unread_count--;
    memmove(unread + at, unread + at + 1, (unread_count - at) * sizeof(unread[0]));
    return m;
}

/* The oldest message of this type; what others were sent meanwhile stays. */
static union heard expect(enum message_type type)
{
    listen_on();
    for (unsigned i = 0; i < unread_count; i++)
        if (unread[i].header.type == type)
            return take_unread(i);
    fail_msg("no message of type %d; %u others, the first of type %u", type, unread_count,
             unread_count ? unread[0].header.type : 0);
    return unread[0];
}

static void expect_silence(void)
{
    listen_on();
    assert_int_equal(unread_count ? unread[0].header.type : 0, 0);
}

static void tell(const void *message, size_t size, const int *fds, unsigned fd_count)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)message, .iov_len = size};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        control.h.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        control.h.cmsg_level = SOL_SOCKET;
        control.h.cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(&control.h), fds, sizeof(int) * fd_count);
    }
    assert_int_equal(sendmsg(supervisor, &m, MSG_NOSIGNAL), size);
    turn();
}

/* ---- workers ---- */

/* One side of a sandbox or of a child, as its processes see it. */
struct peer {
    uint64_t id;
    int control, log, worker; /* -1 where there is none */
};

static void peer_close(struct peer *p)
{
    fd_close(&p->control);
    fd_close(&p->log);
    fd_close(&p->worker);
}

/* Answers a SPAWN as the supervisor does. */
static struct peer spawned(uint64_t id)
{
    int control[2], log[2], worker[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, control), 0);
    assert_int_equal(pipe2(log, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, worker), 0);
    const int fds[3] = {control[0], log[0], worker[0]};
    struct message_spawned m = {
        .header = {.type = MESSAGE_SPAWNED, .size = sizeof(m), .id = id}, .fd_count = 3, .pid = 4711};
    tell(&m, sizeof(m), fds, 3);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    return (struct peer){.id = id, .control = control[1], .log = log[1], .worker = worker[1]};
}

static void say_ready(const struct peer *p, const char *template)
{
    struct {
        struct faasd_frame frame;
        char fields[300];
    } f = {.frame.type = FAASD_FRAME_READY};
    if (template) {
        int n = snprintf(f.fields, sizeof(f.fields), "template%c%s", '\0', template);
        f.frame.length = (uint32_t)n + 1;
    }
    ssize_t size = (ssize_t)sizeof(f.frame) + f.frame.length;
    assert_int_equal(write(p->worker, &f, (size_t)size), size);
    turn();
}

static inline void say_init_error(const struct peer *p)
{
    struct {
        struct faasd_frame frame;
        struct faasd_error_head head;
        char text[14];
    } f = {.frame = {.length = sizeof(f.head) + 14, .type = FAASD_FRAME_ERROR},
           .head = {.type_length = 11, .message_length = 3}};
    memcpy(f.text, "ImportErrorno!", 14);
    ssize_t size = sizeof(f.frame) + sizeof(f.head) + 14;
    assert_int_equal(write(p->worker, &f, (size_t)size), size);
    turn();
}

/* Answers a PREPARE with one file to join. */
static void prepared(uint64_t id)
{
    int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct message_spawned m = {.header = {.type = MESSAGE_SPAWNED, .size = sizeof(m), .id = id}, .fd_count = 1};
    assert_true(file >= 0);
    tell(&m, sizeof(m), &file, 1);
    close(file);
}

/* What a template reads; the slot in *ret_slot, the file to join in *ret_file. */
static inline struct peer forked_with(const struct peer *template, uint64_t id, uint32_t *ret_slot, int *ret_file)
{
    struct {
        struct faasd_frame frame;
        struct faasd_fork fork;
    } order;
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int) * FAASD_FORK_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = &order, .iov_len = sizeof(order)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int fds[2];
    assert_int_equal(recvmsg(template->worker, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), sizeof(order));
    assert_int_equal(order.frame.type, FAASD_FRAME_FORK);
    assert_int_equal(control.h.cmsg_len, CMSG_LEN(sizeof(fds)));
    memcpy(fds, CMSG_DATA(&control.h), sizeof(fds));
    *ret_file = fds[1];
    *ret_slot = order.fork.slot;
    return (struct peer){.id = id, .control = -1, .log = -1, .worker = fds[0]};
}

static inline struct peer forked(const struct peer *template, uint64_t id, uint32_t *ret_slot)
{
    int file;
    struct peer p = forked_with(template, id, ret_slot, &file);
    close(file);
    return p;
}

static void say_child_ready(struct peer *child)
{
    const struct faasd_frame ready = {.type = FAASD_FRAME_READY};
    int log[2];
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)&ready, .iov_len = sizeof(ready)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    control.h.cmsg_len = CMSG_LEN(sizeof(int));
    control.h.cmsg_level = SOL_SOCKET;
    control.h.cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(&control.h), &log[0], sizeof(int));
    assert_int_equal(sendmsg(child->worker, &m, MSG_NOSIGNAL), sizeof(ready));
    close(log[0]);
    child->log = log[1];
    turn();
}

/* From PREPARE to ADOPT: a child that is ready. */
static inline struct peer fork_child(const struct peer *template)
{
    uint32_t slot;
    union heard m = expect(MESSAGE_PREPARE);
    assert_int_equal(m.prepare.template, template->id);
    prepared(m.header.id);
    struct peer child = forked(template, m.header.id, &slot);
    say_child_ready(&child);
    m = expect(MESSAGE_ADOPT);
    assert_int_equal(m.header.id, child.id);
    assert_int_equal(m.adopt.pid, getpid());
    return child;
}

static struct peer start_worker(void)
{
    union heard m = expect(MESSAGE_SPAWN);
    return spawned(m.header.id);
}

/* An instance that is to be a template, and becomes one. */
static inline struct peer start_template(void)
{
    union heard m = expect(MESSAGE_SPAWN);
    assert_true(m.spawn.slots > 0);
    struct peer p = spawned(m.header.id);
    say_ready(&p, "yes");
    return p;
}

/* Reads an INVOKE: what ends now takes the request along. */
static inline void take_request(const struct peer *p)
{
    char in[4096];
    assert_true(recv(p->worker, in, sizeof(in), MSG_DONTWAIT) >= (ssize_t)sizeof(struct faasd_frame));
}

/* Reads an INVOKE and answers it. */
static void serve(const struct peer *p)
{
    char in[4096];
    struct faasd_frame f;
    ssize_t n = recv(p->worker, in, sizeof(in), MSG_DONTWAIT);
    assert_true(n >= (ssize_t)sizeof(f));
    memcpy(&f, in, sizeof(f));
    assert_int_equal(f.type, FAASD_FRAME_INVOKE);
    struct {
        struct faasd_frame frame;
        struct faasd_reply_head head;
    } r = {.frame = {.length = sizeof(r.head), .type = FAASD_FRAME_REPLY, .id = f.id}, .head.status = 200};
    assert_int_equal(write(p->worker, &r, sizeof(r)), sizeof(r));
    turn();
}

static bool has_work(const struct peer *p)
{
    char byte;
    turn();
    return recv(p->worker, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
}

/* Every process of it is dead. */
static void exited(struct peer *p, int status)
{
    peer_close(p);
    turn();
    struct message_exited m = {.header = {.type = MESSAGE_EXITED, .size = sizeof(m), .id = p->id}, .status = status};
    tell(&m, sizeof(m), NULL, 0);
}

/* KILL for this one and no other. */
static void expect_kill_of(const struct peer *p)
{
    union heard m = expect(MESSAGE_KILL);
    assert_int_equal(m.header.id, p->id);
}

static void expect_kill(struct peer *p)
{
    expect_kill_of(p);
    exited(p, SIGKILL);
}

/* ---- requests ---- */

static inline void request_version(const char *body, uint64_t number)
{
    static const struct http1_request http = {.method = {"POST", 4}};
    assert_true(exchange_count < ANSWERS_MAX);
    struct exchange *x = &exchanges[exchange_count++];
    x->gateway = &gateway;
    x->request = &http;
    x->body = str_from(body);
    x->peer = "";
    strcpy(x->id, "6f1c7b1e-0d5a-4c57-9c39-0a1f6f0f3b11");
    invocation_start_version(x, function, number, STR_LITERAL(""));
    turn();
}

static void request(const char *body)
{
    request_version(body, VERSIONS_LATEST_NUMBER);
}

static inline void on_trial(void *owner, const struct err *e, const struct instance_fault *said)
{
    (void)owner;
    trial_said[0] = '\0';
    if (said)
        snprintf(trial_said, sizeof(trial_said), "%.*s|%.*s|%.*s", (int)said->type.n, said->type.p,
                 (int)said->message.n, said->message.p, (int)said->trace.n, said->trace.n ? said->trace.p : "");
    trials_done++;
    trial_result = *e;
}

/* ---- life ---- */

static struct settings settings_for(enum settings_runtime runtime, enum settings_isolation isolation)
{
    return (struct settings){.runtime = runtime,
                             .isolation = isolation,
                             .handler = "f",
                             .memory_bytes = 64 * MIB,
                             .timeout_ms = 60000,
                             .keep_warm_ms = 60000,
                             .max_concurrency = 4,
                             .queue = 10};
}

static void publish(const struct settings *s)
{
    uint64_t number = versions_next(&function->versions);
    assert_int_equal(versions_add(&function->versions, number, 0), 0);
    registry_set_current(gateway.registry, function, make_version(s, number));
    turn();
}

/* The oldest question to the store is answered: `error` 0, or an errno. */
static inline void answer_read(uint64_t number, int error)
{
    assert_true(read_count > 0);
    struct store_version_read *q = reads[0];
    memmove(reads, reads + 1, --read_count * sizeof(reads[0]));
    assert_int_equal(q->number, number);
    if (error)
        err_set(&q->task.error, error, "read it");
    q->task.done(&q->task);
    turn();
}

static int set_up(void **state)
{
    int pair[2];
    struct err e;
    (void)state;
    config = (struct config){.memory_budget_bytes = 4096ull * MIB,
                             .instances_max = 100,
                             .functions_max = 10,
                             .init_timeout_ms = 60000,
                             .queue_timeout_ms = 60000,
                             .crash_backoff_max_ms = 10000,
                             .reply_bytes_max = MIB,
                             .template_forks_max = 10000,
                             .template_age_max_ms = 3600000,
                             .records_max = 16,
                             .records_flush_ms = 86400000,
                             .runtime_count = 2,
                             .runtimes = {{.name = "python3", .path = "/usr/bin/python3", .found = true},
                                          {.name = "node", .path = "/usr/bin/node", .found = true}}};
    static const struct gateway_boot boot; /* as on a host with control groups */
    gateway = (struct gateway){.config = &config, .boot = &boot, .loop = ev_loop_new(EVBACKEND_EPOLL)};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    supervisor = pair[1];
    gateway.link = link_new(&gateway, pair[0], &e);
    gateway.records = records_new(&gateway);
    gateway.pools = pools_new(&gateway);
    gateway.pools->separable = true;
    gateway.registry = registry_new(&gateway);
    function = functions[0] = registry_ensure(gateway.registry, STR_LITERAL("f"));
    functions[1] = NULL;
    answer_count = exchange_count = trials_done = unread_count = read_count = collections = 0;
    return function ? 0 : -1;
}

/* From here on requests and deploys are for another one. */
static inline void turn_to_other_function(void)
{
    function = functions[1] = registry_ensure(gateway.registry, STR_LITERAL("other"));
    assert_non_null(function);
}

static void on_each(const struct pool_instance_info *i, void *context)
{
    uint64_t *id = context;
    *id = i->id;
}

/* Whatever the test left: the supervisor says that it is dead. */
static void end_function(struct function *f)
{
    struct pool *pool = f->pool;
    function_get(f);
    registry_remove(gateway.registry, f);
    for (;;) {
        uint64_t id = 0;
        pool_each_instance(pool, on_each, &id);
        if (id == 0)
            break;
        struct message_exited m = {.header = {.type = MESSAGE_EXITED, .size = sizeof(m), .id = id}};
        tell(&m, sizeof(m), NULL, 0);
        listen_on();
        unread_count = 0;
    }
    function_put(f);
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        if (functions[i])
            end_function(functions[i]);
        functions[i] = NULL;
    }
    assert_int_equal(gateway.pools->memory_bytes, 0);
    assert_int_equal(gateway.pools->kept_bytes, 0);
    assert_int_equal(gateway.pools->instances, 0);
    assert_int_equal(gateway.pools->alive, 0);
    assert_true(list_is_empty(&gateway.pools->templates) && list_is_empty(&gateway.pools->freezer.thawed));
    registry_free(gateway.registry);
    pools_free(gateway.pools);
    records_free(gateway.records);
    link_free(gateway.link);
    fd_close(&supervisor);
    ev_loop_destroy(gateway.loop);
    return 0;
}

#endif
