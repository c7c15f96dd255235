/* SPDX-License-Identifier: Apache-2.0 */
/* How an instance, or the process in it, ends: what the supervisor tells about it, and what its request is told. */
#include "gateway/instance_failure.h"
#include "gateway/instance_internal.h"

#include "base/units.h"
#include "gateway/pool_events.h"
#include "gateway/verdict_runtime.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static uint32_t since(uint32_t now, uint32_t seen)
{
    return now > seen ? now - seen : 0;
}

/* Did it end by itself, in a way that the kernel still knows? A KILL that came behind its end changes nothing about that. */
static bool tells_status(const struct message_exited *m)
{
    if (m->status == MESSAGE_STATUS_UNKNOWN)
        return false;
    return !(m->killed && WIFSIGNALED(m->status) && WTERMSIG(m->status) == SIGKILL);
}

/* Of its program, or of its worker where init or, for a child, the supervisor could tell it. */
static int wait_status_of(const struct instance *i, const struct message_exited *m)
{
    if (i->failed.head.type && !(i->failed.flags & (INIT_DONE_EXEC_FAILED | INIT_DONE_NO_EVENT)))
        return i->failed.status;
    return instance_is_child(i) && tells_status(m) ? m->status : -1;
}

/* The supervisor reads them of a group whose /tmp an exec function's init may be emptying: that one has told before what there was. */
static uint64_t shmem_of(const struct instance *i, const struct message_exited *m)
{
    const struct init_done *done = &i->channel.done;
    bool is_told = i->driver == &driver_exec && m->oom_kills && done->head.type == INIT_DONE &&
                   done->head.request == i->channel.request;
    return is_told && done->tmp_bytes > m->shmem_bytes ? done->tmp_bytes : m->shmem_bytes;
}

static struct verdict_facts collect_facts(struct instance *i, const struct message_exited *m, char *tail)
{
    return (struct verdict_facts){
        .version = i->version,
        .oom_kills = since(m->oom_kills, i->oom_seen),
        .pids_denied = since(m->pids_denied, i->pids_seen),
        .memory_peak_bytes = m->memory_peak_bytes,
        .shmem_bytes = shmem_of(i, m),
        .wait_status = wait_status_of(i, m),
        .tmp_full = i->failed.flags & INIT_DONE_TMP_FULL,
        .tail = line_reader_tail(i->driver == &driver_exec ? &i->channel.log : &i->log, tail),
    };
}

/* Of a process that owed something: an exit with status 0 would otherwise read as if all were well. */
static void describe_worker(const struct instance *i, int wait_status, char out[ERR_TEXT_MAX])
{
    char status[VERDICT_STATUS_MAX];
    verdict_print_status(wait_status, status);
    const char *when = wait_status != 0 ? "" : i->ready_ns ? " before it answered" : " before it was ready";
    snprintf(out, ERR_TEXT_MAX, "the worker %s%s", status, when);
}

/* How it ended, for people: its worker's status where init, or for a child the supervisor, could tell it. */
static void describe_end(const struct instance *i, const struct message_exited *m, char out[ERR_TEXT_MAX])
{
    char status[VERDICT_STATUS_MAX];
    /* Init's own end by a signal says more than that its sockets were closed. */
    bool by_signal = !instance_is_child(i) && !m->killed && WIFSIGNALED(m->status);
    if (i->failed.head.type == INIT_WORKER_EXITED && (i->failed.flags & INIT_DONE_EXEC_FAILED)) {
        const char *name = strerrorname_np(i->failed.error);
        snprintf(out, ERR_TEXT_MAX, "the handler '%.100s' can't be executed: %s", i->version->settings.handler,
                 name ? name : "?");
    } else if (i->failed.head.type == INIT_WORKER_EXITED) {
        describe_worker(i, i->failed.status, out);
    } else if (instance_is_child(i) && tells_status(m)) {
        describe_worker(i, m->status, out);
    } else if (i->doom != INSTANCE_NOT_DOOMED && !by_signal) {
        snprintf(out, ERR_TEXT_MAX, "%s", i->doom_text);
    } else if (instance_is_child(i)) {
        snprintf(out, ERR_TEXT_MAX, "the worker ended");
    } else {
        verdict_print_status(m->status, status);
        snprintf(out, ERR_TEXT_MAX, "the sandbox %s", status);
    }
}

static void answer_invocation(struct instance *i, const struct message_exited *m)
{
    struct invocation *inv = i->invocation;
    if (!inv)
        return;
    usage_end_request(i, NULL);
    usage_end_dead(i, m);
    i->invocation = NULL;
    char tail[LINE_READER_TAIL];
    struct verdict_facts facts = collect_facts(i, m, tail);
    facts.is_logged = i->driver == &driver_provided && i->failed.head.type == INIT_WORKER_EXITED;
    char how[ERR_TEXT_MAX];
    describe_end(i, m, how);
    if (i->doom == INSTANCE_TIMED_OUT)
        verdict_timeout(inv, &facts);
    else if (i->doom == INSTANCE_CUT_OFF)
        verdict_cut_off(inv);
    else if (i->doom == INSTANCE_BAD_REPLY && !facts.oom_kills)
        verdict_bad_reply(inv, i->doom_text);
    else if (i->driver == &driver_provided && i->failed.head.type == INIT_WORKER_EXITED)
        verdict_runtime(inv, &i->failed, &facts);
    else
        verdict_crash(inv, how, &facts);
}

/* ---- the program or the worker ended, the sandbox lives ---- */

static void judge_program(struct instance *i, const struct verdict_facts *facts)
{
    struct invocation *inv = i->invocation;
    usage_end_request(i, &i->failed);
    i->invocation = NULL;
    bool ready = i->channel.state == EXEC_CHANNEL_READY;
    verdict_program(inv, &i->failed, facts);
    line_reader_end(&i->log);
    instance_after_request(i, false);
    if (ready)
        instance_ready(i);
}

static void judge_worker(struct instance *i, const struct message_exited *m)
{
    answer_invocation(i, m);
    usage_settle(i, m); /* before its next process begins */
    line_reader_end(&i->log);
    if (pool_on_process_lost(i->pool, i))
        instance_begin_again(i);
    else
        instance_stop(i, INSTANCE_CRASHED, "its process was lost too often");
}

void instance_on_usage(struct instance *i, const struct message_exited *m)
{
    /* Answers come in the order of the questions: one that was asked before the request failed says nothing about that. */
    if (i->usage.asked || i->state != INSTANCE_JUDGING) {
        usage_settle(i, m);
        bool is_counted = i->state == INSTANCE_ENDING && i->usage.told_before_end;
        if (is_counted && i->driver->on_counted && !i->driver->on_counted(i))
            instance_stop(i, INSTANCE_CRASHED, "init can't be asked to end its process");
        return;
    }
    char tail[LINE_READER_TAIL];
    line_reader_drain(&i->log);
    struct verdict_facts facts = collect_facts(i, m, tail);
    if (facts.oom_kills) {
        /* On v1 the kernel killed one process of it; the promise is that the instance dies whole. */
        instance_stop(i, INSTANCE_CRASHED, "out of memory");
        return;
    }
    bool is_worker = i->failed.head.type == INIT_WORKER_EXITED;
    if (is_worker)
        judge_worker(i, m);
    else
        judge_program(i, &facts);
    i->oom_seen = m->oom_kills;
    i->pids_seen = m->pids_denied;
}

/* ---- the end of it all ---- */

/* The supervisor holds nothing of it any more. */
static void go(struct instance *i, bool failed_start, const struct err *why, const struct instance_fault *said)
{
    instance_set_state(i, INSTANCE_GONE);
    usage_fini(i);
    ev_timer_stop(i->gateway->loop, &i->timer);
    link_unregister(i->gateway->link, &i->waiter);
    if (i->on_trial)
        instance_tell_trial(i, why, said);
    pool_on_instance_gone(i->pool, i, failed_start);
}

static bool is_sigkill(int wait_status)
{
    return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL;
}

/* Nobody inside can kill init; a worker could kill itself, and is started again no more often for that. */
static bool was_killed_outside(const struct instance *i, const struct message_exited *m)
{
    if (m->oom_kills || instance_is_child(i) || (i->kill_sent && !i->ended_first) || i->fault.type.n)
        return false;
    if (i->failed.head.type == INIT_WORKER_EXITED)
        return !(i->failed.flags & INIT_DONE_EXEC_FAILED) && is_sigkill(i->failed.status);
    return is_sigkill(m->status);
}

/* The last line of several is what an interpreter says in short. */
static struct str last_line(struct str text)
{
    for (size_t k = text.n; k > 0; k--)
        if (text.p[k - 1] == '\n')
            return str_skip(text, k);
    return text;
}

/* doom_text is for our own log, one line; `end` has all of it. Without memory for that, doom_text must do. */
static void explain_end(struct instance *i, const char *how)
{
    char tail[LINE_READER_TAIL];
    struct str said = line_reader_tail(&i->log, tail);
    struct str line = last_line(said);
    if (said.n && buf_addf(&i->end, "%s:%s%.*s", how, line.n < said.n ? "\n" : " ", (int)said.n, said.p) < 0)
        i->end.len = 0;
    if (i->doom == INSTANCE_TIMED_OUT)
        return; /* doom_text says which limit it was */
    if (said.n)
        snprintf(i->doom_text, sizeof(i->doom_text), "%.120s: %.*s", how, line.n < 120 ? (int)line.n : 120, line.p);
    else
        snprintf(i->doom_text, sizeof(i->doom_text), "%s", how);
}

/* Why it never became ready, as the deployer and those who waited for it are told. */
static void explain_failed_start(struct instance *i, const struct message_exited *m)
{
    char how[ERR_TEXT_MAX];
    char tail[LINE_READER_TAIL];
    i->out_of_memory = m->oom_kills > 0;
    i->killed_outside = was_killed_outside(i, m);
    if (i->out_of_memory) {
        struct verdict_facts facts = collect_facts(i, m, tail);
        verdict_print_memory(&facts, "out of memory while starting", i->doom_text, sizeof(i->doom_text));
        return;
    }
    if (i->fault.type.n)
        return; /* it said so itself, and doom_text repeats it */
    if (i->doom == INSTANCE_TIMED_OUT)
        snprintf(how, sizeof(how), "%s", i->doom_text);
    else
        describe_end(i, m, how);
    char denied[NOTICES_TEXT_MAX];
    size_t n = strlen(how);
    if (instance_print_denied(i, denied))
        snprintf(how + n, sizeof(how) - n, "; %s", denied);
    explain_end(i, how);
}

bool instance_is_lost_fork(const struct instance *i)
{
    return instance_is_child(i) && i->fault.type.n == 0 && !i->out_of_memory && i->doom != INSTANCE_TIMED_OUT;
}

/* Of memory, processes, descriptors, namespaces, cgroups: what another moment may bring. */
static bool is_shortage(int error)
{
    static const int shortages[] = {EAGAIN,  ENOMEM, ENOSPC, EMFILE, ENFILE,
                                    ENOBUFS, EDQUOT, EUSERS, EBUSY,  ETOOMANYREFS};
    for (size_t k = 0; k < sizeof(shortages) / sizeof(shortages[0]); k++)
        if (error == shortages[k])
            return true;
    return false;
}

static const char NO_ROOM[] = "the host had no room for a sandbox: ";

void instance_explain_start(const struct instance *i, struct instance_start_failure *ret)
{
    bool said = i->fault.type.n && !i->out_of_memory;
    const char *aim = i->out_of_memory ? "" : "the function could not be started: ";
    struct str end = i->end.len ? buf_str(&i->end) : str_from(i->doom_text);
    ret->line[0] = '\0';
    struct invocation_failure *f = &ret->failure;
    *f = (struct invocation_failure){.outcome = INVOCATION_CRASHED, .status = 502, .type = "FunctionCrashed"};
    if (said && str_copy(i->fault.type, ret->type, sizeof(ret->type))) {
        *f = (struct invocation_failure){.outcome = INVOCATION_FUNCTION_ERROR,
                                         .status = 500,
                                         .type = ret->type,
                                         .message = i->fault.message,
                                         .trace = i->fault.trace};
        return;
    }
    if (i->host_full) {
        *f = (struct invocation_failure){.outcome = INVOCATION_REFUSED, .status = 503, .type = "NoCapacity"};
        aim = NO_ROOM;
    } else if (i->out_of_memory)
        *f = (struct invocation_failure){.outcome = INVOCATION_OUT_OF_MEMORY, .status = 502, .type = "OutOfMemory"};
    else if (i->doom == INSTANCE_TIMED_OUT)
        *f = (struct invocation_failure){.outcome = INVOCATION_TIMED_OUT, .status = 504, .type = "Timeout"};
    snprintf(ret->line, sizeof(ret->line), "%s%s", aim, i->doom_text);
    snprintf(ret->message, sizeof(ret->message), "%s%.*s", aim, (int)end.n, end.p);
    f->message = str_from(ret->message);
}

/* In one line, and whole. */
static void print_failed_start(const struct instance *i, struct err *ret_why, struct instance_fault *ret_said)
{
    struct instance_start_failure f;
    const char *text = i->doom_text[0] ? i->doom_text : "it ended before it was ready";
    instance_explain_start(i, &f);
    if (f.failure.type == f.type) {
        *ret_said = i->fault;
        err_say(ret_why, ECHILD, "%s", text);
        return;
    }
    *ret_said = (struct instance_fault){.type = str_from(f.failure.type),
                                        .message = i->end.len ? buf_str(&i->end) : str_from(text)};
    err_say(ret_why, ECHILD, "%s: %s", f.failure.type, text);
}

/* The supervisor's message can overtake what the worker had sent before: a reply, or an error that says more than its end does. */
static void hear_last_words(struct instance *i)
{
    if (i->driver != &driver_native || (i->state != INSTANCE_BUSY && i->state != INSTANCE_STARTING))
        return;
    exec_channel_drain(&i->channel);
    if (!instance_is_child(i))
        return;
    instance_doom(i, INSTANCE_CRASHED, "the worker ended");
    native_channel_drain(&i->native);
}

void instance_on_exited(struct instance *i, const struct message_exited *m)
{
    hear_last_words(i);
    bool failed_start = i->ready_ns == 0 && i->doom != INSTANCE_RETIRED;
    bool crashed = i->doom == INSTANCE_NOT_DOOMED || i->doom == INSTANCE_CRASHED;
    if (i->state != INSTANCE_STOPPING)
        instance_set_state(i, INSTANCE_STOPPING);
    /* What init and the worker said with their last breath may still stand in the sockets. */
    exec_channel_drain(&i->channel);
    line_reader_drain(&i->log);
    if (i->driver == &driver_native)
        native_channel_drain(&i->native); /* closed for certain now: had the worker read its request? */
    if (failed_start)
        explain_failed_start(i, m);
    answer_invocation(i, m);
    usage_settle(i, m);
    if (instance_is_child(i) && failed_start)
        template_child_failed(i, i->fault.type.n > 0 || m->oom_kills > 0);
    else if (instance_is_child(i) && crashed && !m->oom_kills)
        template_child_crashed(i, m->status);
    struct err why;
    struct instance_fault said;
    print_failed_start(i, &why, &said);
    go(i, failed_start, &why, &said);
}

void instance_on_spawn_failed(struct instance *i, const struct message_failed *m)
{
    bool failed_start = i->doom != INSTANCE_RETIRED; /* our KILL may have crossed it */
    if (i->state != INSTANCE_STOPPING)
        instance_set_state(i, INSTANCE_STOPPING);
    /* Its sockets may have closed before the supervisor's word came, which alone says why. */
    if (i->doom == INSTANCE_START_FAILED || (i->doom == INSTANCE_CRASHED && i->ready_ns == 0))
        i->doom = INSTANCE_NOT_DOOMED;
    instance_doom(i, INSTANCE_START_FAILED, m->error.text);
    i->host_full = is_shortage(m->error.code);
    if (i->invocation) {
        struct invocation *inv = i->invocation;
        i->invocation = NULL;
        if (i->host_full)
            invocation_fail(inv, INVOCATION_REFUSED, 503, "NoCapacity", "%s%s", NO_ROOM, m->error.text);
        else
            invocation_fail(inv, INVOCATION_CRASHED, 502, "FunctionCrashed", "%s", m->error.text);
    }
    struct err told = m->error;
    if (i->host_full) /* one word for all of them: ENOSPC would be taken for a full disk */
        told.code = EAGAIN;
    go(i, failed_start, &told, NULL);
}
