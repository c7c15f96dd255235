/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/advice.h"

#include "base/units.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SENTENCE_MAX = 1024 };

/* A sentence that grows. */
struct text {
    char bytes[SENTENCE_MAX];
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
        t->len = t->len + (size_t)n < sizeof(t->bytes) ? t->len + (size_t)n : sizeof(t->bytes) - 1;
}

static void say(struct json_writer *w, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(struct json_writer *w, const char *key, const char *format, ...)
{
    char text[SENTENCE_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    json_put_text(w, key, text);
}

static void suggest_log(struct json_writer *w, const struct advice_facts *f)
{
    say(w, NULL, "faasd logs %s --id %s", f->function, f->id);
}

/* Twice the limit, and never less than what was asked for in vain. */
static void suggest_size(struct json_writer *w, const struct advice_facts *f, const char *option, uint64_t bytes)
{
    char size[UNITS_TEXT_MAX];
    units_format_size(bytes * 2, size);
    say(w, NULL, "faasd config %s --%s %s", f->function, option, size);
}

/* ---- one for each kind of end ---- */

static void out_of_memory(struct json_writer *w, const struct advice_facts *f)
{
    const struct invocation_cause *c = &f->cause;
    struct text t = {.len = 0};
    char limit[UNITS_TEXT_MAX] = "?";
    if (f->settings)
        units_format_size(f->settings->memory_bytes, limit);
    add(&t, "it needed more memory than the limit 'memory' (%s) allows", limit);
    if (c->peak_bytes)
        add(&t, "; the peak was %.1fM", (double)c->peak_bytes / 1048576);
    if (c->shmem_bytes >= 104858) /* "0.1M" */
        add(&t, ", of which %.1fM were files in /tmp and shared memory", (double)c->shmem_bytes / 1048576);
    json_put_text(w, "reason", t.bytes);
    json_put_array(w, "change");
    if (f->settings)
        suggest_size(w, f, "memory", f->settings->memory_bytes);
    if (f->settings && c->shmem_bytes > f->settings->memory_bytes / 2)
        say(w, NULL, "remove files from /tmp when they are not needed any more: they count as memory");
    json_put_array_end(w);
}

static void timed_out(struct json_writer *w, const struct advice_facts *f)
{
    char limit[UNITS_TEXT_MAX] = "?";
    char twice[UNITS_TEXT_MAX];
    bool computed = f->cpu_us * 10 > f->run_us * 7; /* for more than 70% of the time */
    bool waited = f->cpu_us * 10 < f->run_us * 3;
    if (f->settings)
        units_format_time(f->settings->timeout_ms, limit);
    if (f->cpu_us && f->run_us)
        say(w, "reason", "it ran longer than the limit 'timeout' (%s); it used %lu of %lu ms processor time%s", limit,
            (unsigned long)(f->cpu_us / 1000), (unsigned long)(f->run_us / 1000),
            computed ? ": it was computing"
            : waited ? ": most of the time it waited for something"
                     : "");
    else
        say(w, "reason", "it ran longer than the limit 'timeout' (%s)", limit);
    json_put_array(w, "change");
    if (f->settings) {
        units_format_time(f->settings->timeout_ms * 2, twice);
        say(w, NULL, "faasd config %s --timeout %s", f->function, twice);
    }
    if (f->settings && computed)
        say(w, NULL, "faasd config %s --cpus %.1f, if it can use more than %.1f", f->function,
            (double)f->settings->cpus_milli * 2 / 1000, (double)f->settings->cpus_milli / 1000);
    suggest_log(w, f);
    json_put_array_end(w);
}

static void add_limits(struct text *t, const struct advice_facts *f)
{
    char size[UNITS_TEXT_MAX];
    if (f->cause.denied)
        add(t, "; before that it made a call that it may not make: %s", f->cause.denied);
    if (f->cause.pids_denied)
        add(t, "; before that %u %s refused at the limit 'pids' (%u)", f->cause.pids_denied,
            f->cause.pids_denied == 1 ? "fork or thread was" : "forks or threads were",
            f->settings ? f->settings->pids : 0);
    if (f->cause.tmp_full && f->settings) {
        units_format_size(f->settings->tmp_bytes, size);
        add(t, "; /tmp was full: the limit 'tmp' is %s", size);
    }
}

static void suggest_calls(struct json_writer *w, const struct advice_facts *f)
{
    if (!f->cause.denied || !f->settings)
        return;
    if (f->settings->seccomp == SETTINGS_SECCOMP_LEARNED)
        say(w, NULL, "faasd learn %s, while it does what it did here: what is seen is added to its list", f->function);
    say(w, NULL, "faasd config %s --seccomp default", f->function);
}

static void suggest_limits(struct json_writer *w, const struct advice_facts *f)
{
    suggest_calls(w, f);
    if (f->cause.pids_denied && f->settings)
        say(w, NULL, "faasd config %s --pids %u", f->function, f->settings->pids * 2);
    if (f->cause.tmp_full && f->settings)
        suggest_size(w, f, "tmp", f->settings->tmp_bytes);
}

static void cut_off(struct json_writer *w, const struct advice_facts *f)
{
    say(w, "reason", "faasd was told to stop, and this request ran for longer than it waited ('drain')");
    json_put_array(w, "change");
    say(w, NULL, "faasd invocation replay %s", f->id);
    say(w, NULL, "drain in the configuration, where requests need longer");
    json_put_array_end(w);
}

static void killed(struct json_writer *w, const struct advice_facts *f)
{
    struct text t = {.len = 0};
    int number = f->cause.signal;
    const char *name = sigabbrev_np(number);
    const char *words = sigdescr_np(number);
    add(&t, "it was killed by signal %d (SIG%s): %s", number, name ? name : "?",
        number == SIGSYS ? "it made a system call that has no place in a sandbox, which ends a program at once"
        : number == SIGXCPU || number == SIGXFSZ ? "a limit of its own process"
        : words                                  ? words
                                                 : "?");
    add_limits(&t, f);
    json_put_text(w, "reason", t.bytes);
    json_put_array(w, "change");
    suggest_limits(w, f);
    if (number == SIGSYS) {
        say(w, NULL,
            "leave the call out: mount, umount2, pivot_root, mount_setattr, kexec_load, kexec_file_load, init_module, "
            "finit_module, delete_module, reboot, swapon and swapoff are those that kill");
        say(w, NULL,
            "which of them it is: `faasd why %s` as root on the daemon's host names it from the kernel's log; or run "
            "the "
            "program outside under `strace -f`",
            f->id);
    }
    suggest_log(w, f);
    json_put_array_end(w);
}

static void failed(struct json_writer *w, const struct advice_facts *f)
{
    struct text t = {.len = 0};
    if (f->cause.has_exited)
        add(&t, "the program exited with status %d", f->cause.exit_status);
    else if (f->outcome == INVOCATION_FUNCTION_ERROR)
        add(&t, "the function raised %s", f->type);
    else if (strcmp(f->type, "BadReply") == 0)
        add(&t, "what it sent is no reply: the error says which rule it breaks");
    else
        add(&t, "its process ended before it had answered");
    add_limits(&t, f);
    json_put_text(w, "reason", t.bytes);
    json_put_array(w, "change");
    suggest_limits(w, f);
    suggest_log(w, f);
    json_put_array_end(w);
}

static void throttled_by_limit(struct json_writer *w, const struct advice_facts *f)
{
    if (f->limit == 0)
        say(w, "reason", "the function is stopped: its reserved concurrency is 0");
    else
        say(w, "reason",
            "all instances that its reserved concurrency (%u) allows were busy, and it found the queue (%u) full or "
            "waited for longer than queue_timeout",
            f->limit, f->settings ? f->settings->queue : 0);
    json_put_array(w, "change");
    say(w, NULL, "aws lambda put-function-concurrency --function-name %s --reserved-concurrent-executions %u",
        f->function, f->limit ? f->limit * 2 : 1);
    say(w, NULL, "aws lambda delete-function-concurrency --function-name %s", f->function);
    json_put_array_end(w);
}

static void throttled(struct json_writer *w, const struct advice_facts *f)
{
    const struct settings *s = f->settings;
    if (f->limited) {
        throttled_by_limit(w, f);
        return;
    }
    say(w, "reason",
        "all instances that max_concurrency (%u) allows were busy, and it found the queue (%u) full or waited for "
        "longer than queue_timeout",
        s ? s->max_concurrency : 0, s ? s->queue : 0);
    json_put_array(w, "change");
    if (s) {
        say(w, NULL, "faasd config %s --max-concurrency %u", f->function, s->max_concurrency * 2);
        say(w, NULL, "faasd config %s --queue %u", f->function, s->queue ? s->queue * 2 : 100);
    }
    say(w, NULL, "send it again: 429 says in Retry-After when");
    json_put_array_end(w);
}

static void refused(struct json_writer *w, const struct advice_facts *f)
{
    if (strcmp(f->type, "NoCapacity") == 0) {
        say(w, "reason",
            "no instance could be had: the host's memory_budget or 'instances' is used up, or the "
            "function's starts keep failing and are put off (crash_backoff)");
        json_put_array(w, "change");
        say(w, NULL, "faasd stats (what is reserved), then memory_budget in the configuration, or a smaller --memory");
        say(w, NULL, "faasd logs %s (why starts fail)", f->function);
    } else {
        say(w, "reason", "the request is not one that this function takes (%s)", f->type);
        json_put_array(w, "change");
        say(w, NULL, "the request: the error that was answered says what is wrong with it");
    }
    json_put_array_end(w);
}

void advice_print(struct json_writer *w, const struct advice_facts *f)
{
    json_put_object(w, "why");
    if (f->outcome == INVOCATION_OUT_OF_MEMORY)
        out_of_memory(w, f);
    else if (f->outcome == INVOCATION_TIMED_OUT && strcmp(f->type, "NoCapacity") == 0)
        cut_off(w, f);
    else if (f->outcome == INVOCATION_TIMED_OUT)
        timed_out(w, f);
    else if (f->outcome == INVOCATION_THROTTLED)
        throttled(w, f);
    else if (f->outcome == INVOCATION_REFUSED)
        refused(w, f);
    else if (f->cause.signal)
        killed(w, f);
    else
        failed(w, f);
    json_put_object_end(w);
}
