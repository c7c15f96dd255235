/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/verdict.h"

#include "base/units.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { TEXT_MAX = 4096 };

struct text {
    char bytes[TEXT_MAX];
    size_t len;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(t->bytes + t->len, sizeof(t->bytes) - t->len, format, ap);
    va_end(ap);
    if (n > 0)
        t->len += (size_t)n;
    if (t->len >= sizeof(t->bytes))
        t->len = sizeof(t->bytes) - 1;
}

void verdict_print_status(int wait_status, char out[VERDICT_STATUS_MAX])
{
    if (WIFEXITED(wait_status)) {
        snprintf(out, VERDICT_STATUS_MAX, "exited with status %d", WEXITSTATUS(wait_status));
        return;
    }
    int signal_number = WTERMSIG(wait_status);
    const char *name = sigabbrev_np(signal_number);
    snprintf(out, VERDICT_STATUS_MAX, "was killed by signal %d (SIG%s)%s", signal_number, name ? name : "?",
             signal_number == SIGSYS ? ": a system call that the sandbox does not allow" : "");
}

static void add_limits(struct text *t, const struct verdict_facts *facts, bool tmp_full)
{
    const struct settings *s = &facts->version->settings;
    char size[UNITS_TEXT_MAX];
    if (facts->pids_denied)
        add(t, "; %u %s refused at the limit 'pids' (%u)", facts->pids_denied,
            facts->pids_denied == 1 ? "fork or thread was" : "forks or threads were", s->pids);
    if (tmp_full) {
        units_format_size(s->tmp_bytes, size);
        add(t, "; /tmp is full: the limit 'tmp' is %s", size);
    }
}

static struct invocation_cause cause_of(const struct verdict_facts *facts)
{
    struct invocation_cause c = {.pids_denied = facts->pids_denied,
                                 .peak_bytes = facts->memory_peak_bytes,
                                 .shmem_bytes = facts->shmem_bytes,
                                 .tmp_full = facts->tmp_full};
    if (facts->wait_status != -1 && WIFSIGNALED(facts->wait_status))
        c.signal = WTERMSIG(facts->wait_status);
    c.has_exited = facts->wait_status != -1 && WIFEXITED(facts->wait_status);
    if (c.has_exited)
        c.exit_status = WEXITSTATUS(facts->wait_status);
    return c;
}

/* What the caller is answered. */
struct answer {
    enum invocation_outcome outcome;
    int status;
    const char *type;
};

static void end_with(struct invocation *inv, const struct answer *a, const struct verdict_facts *facts,
                     const struct text *t)
{
    struct invocation_failure f = {.outcome = a->outcome,
                                   .status = a->status,
                                   .type = a->type,
                                   .message = {t->bytes, t->len},
                                   .cause = cause_of(facts)};
    invocation_end_failure(inv, &f);
}

/* Whoever looks for the reason in the log finds nothing of the function's own there: it was ended in the middle of a word. What it did say stands there
 * already, so this comes before the tail is added. */
static void tell_log(const struct invocation *inv, const char *type, const struct text *t,
                     const struct verdict_facts *facts)
{
    if (!facts->is_logged)
        invocation_log(inv, type, (struct str){t->bytes, t->len});
}

static void add_memory(struct text *t, const char *what, const struct verdict_facts *facts)
{
    char limit[UNITS_TEXT_MAX];
    units_format_size(facts->version->settings.memory_bytes, limit);
    add(t, "%s: the limit 'memory' is %s", what, limit);
    if (facts->memory_peak_bytes)
        add(t, ", the peak was %.1fM", (double)facts->memory_peak_bytes / 1048576);
    if (facts->shmem_bytes >= VERDICT_SHMEM_TOLD)
        add(t, ", of which %.1fM in /tmp and shared memory", (double)facts->shmem_bytes / 1048576);
}

void verdict_print_memory(const struct verdict_facts *facts, const char *what, char *out, size_t cap)
{
    struct text t = {.len = 0};
    add_memory(&t, what, facts);
    snprintf(out, cap, "%s", t.bytes);
}

void verdict_out_of_memory(struct invocation *inv, const struct verdict_facts *facts)
{
    struct text t = {.len = 0};
    add_memory(&t, "out of memory", facts);
    invocation_log(inv, "OutOfMemory", (struct str){t.bytes, t.len});
    end_with(inv, &(struct answer){INVOCATION_OUT_OF_MEMORY, 502, "OutOfMemory"}, facts, &t);
}

void verdict_cut_off(struct invocation *inv)
{
    struct text t = {.len = 0};
    char limit[UNITS_TEXT_MAX];
    units_format_time(inv->exchange->gateway->config->drain_ms, limit);
    add(&t, "cut off: faasd is shutting down, and the limit 'drain' is %s", limit);
    invocation_log(inv, "NoCapacity", (struct str){t.bytes, t.len});
    /* timed out rather than refused: its function ran, so its record is kept, and its event for who wants it replayed */
    invocation_fail(inv, INVOCATION_TIMED_OUT, 503, "NoCapacity", "%s", t.bytes);
}

void verdict_timeout(struct invocation *inv, const struct verdict_facts *facts)
{
    struct text t = {.len = 0};
    char limit[UNITS_TEXT_MAX];
    units_format_time(facts->version->settings.timeout_ms, limit);
    add(&t, "timed out: the limit 'timeout' is %s", limit);
    add_limits(&t, facts, false);
    tell_log(inv, "Timeout", &t, facts);
    end_with(inv, &(struct answer){INVOCATION_TIMED_OUT, 504, "Timeout"}, facts, &t);
}

void verdict_crash(struct invocation *inv, const char *how, const struct verdict_facts *facts)
{
    if (facts->oom_kills) {
        verdict_out_of_memory(inv, facts);
        return;
    }
    struct text t = {.len = 0};
    add(&t, "%s", how);
    add_limits(&t, facts, false);
    tell_log(inv, "FunctionCrashed", &t, facts);
    if (facts->tail.n)
        add(&t, ": %.*s", (int)facts->tail.n, facts->tail.p);
    end_with(inv, &(struct answer){INVOCATION_CRASHED, 502, "FunctionCrashed"}, facts, &t);
}

void verdict_bad_reply(struct invocation *inv, const char *fault)
{
    invocation_log(inv, "BadReply", str_from(fault));
    invocation_fail(inv, INVOCATION_CRASHED, 502, "BadReply", "%s", fault);
}

/* Contract files: the event could not be put into /tmp. */
static void no_event(struct invocation *inv, const struct init_done *done, const struct verdict_facts *facts)
{
    struct text t = {.len = 0};
    char size[UNITS_TEXT_MAX];
    const char *name = strerrorname_np(done->error);
    units_format_size(facts->version->settings.tmp_bytes, size);
    if (done->error == ENOSPC)
        add(&t, "the event does not fit into /tmp, where the contract 'files' puts it: the limit 'tmp' is %s", size);
    else
        add(&t, "the event could not be written to /tmp: %s", name ? name : "unknown errno");
    tell_log(inv, "StorageFull", &t, facts);
    end_with(inv, &(struct answer){INVOCATION_REFUSED, 507, "StorageFull"}, facts, &t);
}

void verdict_program(struct invocation *inv, const struct init_done *done, const struct verdict_facts *facts)
{
    if (facts->oom_kills) {
        verdict_out_of_memory(inv, facts);
        return;
    }
    struct text t = {.len = 0};
    if (done->flags & INIT_DONE_EXEC_FAILED) {
        const char *name = strerrorname_np(done->error);
        add(&t, "the handler '%s' can't be executed: %s", facts->version->settings.handler,
            name ? name : "unknown errno");
        tell_log(inv, "FunctionCrashed", &t, facts);
        end_with(inv, &(struct answer){INVOCATION_CRASHED, 502, "FunctionCrashed"}, facts, &t);
        return;
    }
    if (done->flags & INIT_DONE_NO_EVENT) {
        no_event(inv, done, facts);
        return;
    }
    bool crashed = WIFSIGNALED(done->status);
    const char *type = crashed ? "FunctionCrashed" : "FunctionError";
    char status[VERDICT_STATUS_MAX];
    verdict_print_status(done->status, status);
    add(&t, "the program %s", status);
    add_limits(&t, facts, done->flags & INIT_DONE_TMP_FULL);
    tell_log(inv, type, &t, facts);
    if (facts->tail.n)
        add(&t, ": %.*s", (int)facts->tail.n, facts->tail.p);
    if (crashed)
        end_with(inv, &(struct answer){INVOCATION_CRASHED, 502, type}, facts, &t);
    else
        end_with(inv, &(struct answer){INVOCATION_FUNCTION_ERROR, 500, type}, facts, &t);
}
