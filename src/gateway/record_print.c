/* SPDX-License-Identifier: Apache-2.0 */
/* Records as the API tells them (docs/RECORDS.md). */
#include "gateway/records.h"

#include "base/clock.h"
#include "codec/json.h"
#include "gateway/advice.h"

#include <stdio.h>
#include <string.h>

const char *record_status_name(enum record_status s)
{
    static const char *const NAMES[] = {[RECORD_SUCCEEDED] = "succeeded",
                                        [RECORD_FAILED] = "failed",
                                        [RECORD_CANCELLED] = "cancelled",
                                        [RECORD_EXPIRED] = "expired"};
    return NAMES[s];
}

const char *record_outcome_name(enum invocation_outcome o)
{
    static const char *const NAMES[] = {
        [INVOCATION_SUCCEEDED] = "succeeded", [INVOCATION_FUNCTION_ERROR] = "function_error",
        [INVOCATION_CRASHED] = "crashed",     [INVOCATION_OUT_OF_MEMORY] = "out_of_memory",
        [INVOCATION_TIMED_OUT] = "timed_out", [INVOCATION_THROTTLED] = "throttled",
        [INVOCATION_REFUSED] = "refused",
    };
    return NAMES[o];
}

static const char *start_name(uint8_t start)
{
    static const char *const NAMES[] = {
        [INVOCATION_WARM] = "warm", [INVOCATION_COLD] = "cold", [INVOCATION_FORKED] = "fork"};
    return NAMES[start];
}

static const char *peak_name(uint8_t peak)
{
    static const char *const NAMES[] = {[RECORD_PEAK_UNKNOWN] = NULL,
                                        [RECORD_PEAK_INSTANCE] = "instance_peak_bytes",
                                        [RECORD_PEAK_REQUEST] = "peak_bytes",
                                        [RECORD_PEAK_PROCESS] = "process_peak_bytes"};
    return NAMES[peak];
}

static void put_time(struct json_writer *w, const char *key, uint64_t real_ms)
{
    char text[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(real_ms, text);
    json_put_text(w, key, text);
}

/* GB-seconds with nine decimals: a 1 MiB function's microsecond is still more than nothing. */
static void put_gb_seconds(struct json_writer *w, uint64_t run_us, uint64_t memory_kib)
{
    char text[48];
    double gb_seconds = (double)memory_kib / 1048576.0 * ((double)run_us / 1e6);
    int n = snprintf(text, sizeof(text), "%.9f", gb_seconds);
    json_put_raw(w, "billed_gb_seconds", (struct str){text, (size_t)n});
}

static void put_trace(struct json_writer *w, const struct trace_ids *trace)
{
    char text[TRACE_PARENT_MAX];
    if (!trace_is_set(trace))
        return;
    trace_print_parent(trace, text);
    json_put_str(w, "trace_id", (struct str){text + 3, 32});
    json_put_str(w, "span_id", (struct str){text + 36, 16});
}

/* Where its lines stand: what `faasd logs NAME --id ID --since --until` looks through. */
static void put_log(struct json_writer *w, uint64_t since_ms, uint64_t until_ms)
{
    json_put_object(w, "log");
    json_put_u64(w, "since", since_ms);
    json_put_u64(w, "until", until_ms);
    json_put_object_end(w);
}

static void put_delivered(struct json_writer *w, const struct record *r)
{
    json_put_text(w, "start", start_name(r->start));
    json_put_u64(w, "instance", r->instance);
    json_put_milli(w, "spawn_ms", r->spawn_us);
    json_put_milli(w, "init_ms", r->init_us);
    json_put_milli(w, "run_ms", r->run_us);
    json_put_milli(w, "cpu_ms", r->cpu_us);
    if (peak_name(r->peak))
        json_put_u64(w, peak_name(r->peak), (uint64_t)r->peak_kib * 1024);
    json_put_bool(w, "usage_final", !r->usage_open);
    json_put_u64(w, "memory_bytes", (uint64_t)r->memory_kib * 1024);
    put_gb_seconds(w, r->run_us, r->memory_kib);
}

uint64_t record_ended_ms(const struct record *r)
{
    return r->started_ms + (r->queue_us + r->run_us) / 1000;
}

void record_print(struct json_writer *w, const struct record *r, const char *status)
{
    char id[ID_UUID_MAX];
    id_uuid_print(r->id, id);
    json_put_text(w, "id", id);
    if (r->background)
        json_put_bool(w, RECORD_ASYNC_KEY, true);
    json_put_text(w, "function", r->account ? r->account->name : NULL);
    if (r->version)
        json_put_u64(w, "version", r->version);
    json_put_text(w, "status", status ? status : record_status_name(r->status));
    if (r->status == RECORD_SUCCEEDED || r->status == RECORD_FAILED)
        json_put_text(w, "outcome", record_outcome_name(r->outcome));
    if (r->type[0])
        json_put_text(w, "type", r->type);
    if (r->http_status)
        json_put_u64(w, "http_status", r->http_status);
    put_time(w, "started", r->started_ms);
    json_put_milli(w, "queue_ms", r->queue_us);
    if (r->delivered)
        put_delivered(w, r);
    put_log(w, r->started_ms, record_ended_ms(r) + 1000 /* what it says with its last breath comes a little later */);
    put_trace(w, &r->trace);
}

void record_print_live(struct json_writer *w, const struct invocation *inv, const char *status)
{
    uint64_t now = clock_mono_ns();
    bool runs = inv->version != NULL;
    json_put_text(w, "id", inv->exchange->id);
    if (inv->background)
        json_put_bool(w, RECORD_ASYNC_KEY, true);
    json_put_text(w, "function", inv->function->name);
    if (runs)
        json_put_u64(w, "version", inv->version->number);
    json_put_text(w, "status", status ? status : runs ? "running" : "queued");
    put_time(w, "started", inv->started_ms);
    json_put_milli(w, "queue_ms", ((runs ? inv->delivered_ns : now) - inv->queued_ns) / 1000);
    if (runs) {
        json_put_text(w, "start", start_name((uint8_t)inv->start));
        json_put_u64(w, "instance", inv->instance);
        json_put_milli(w, "spawn_ms", inv->spawn_ns / 1000);
        json_put_milli(w, "init_ms", inv->init_ns / 1000);
        json_put_milli(w, "run_ms", (now - inv->delivered_ns) / 1000);
        json_put_u64(w, "memory_bytes", inv->version->settings.memory_bytes);
    }
    put_log(w, inv->started_ms, clock_real_ms());
    put_trace(w, &inv->trace);
}

static struct str cut(struct str text, size_t max)
{
    return text.n > max ? (struct str){text.p, max} : text;
}

void record_print_failure(struct json_writer *w, const struct invocation *inv, const struct invocation_end *end)
{
    const struct invocation_failure *f = end->failure;
    json_put_object(w, "error");
    json_put_text(w, "errorType", f->type);
    json_put_str(w, "errorMessage", cut(f->message, RECORDS_TEXT_MAX));
    if (f->trace.n && f->trace.n <= RECORDS_TEXT_MAX)
        json_put_raw(w, "trace", f->trace);
    if (f->cause.signal)
        json_put_u64(w, "signal", (uint64_t)f->cause.signal);
    json_put_object_end(w);
    const struct version *v = inv->version ? inv->version : inv->function->current;
    const struct advice_facts facts = {
        .function = inv->function->name,
        .id = inv->exchange->id,
        .settings = v ? &v->settings : NULL,
        .outcome = end->outcome,
        .type = f->type,
        .cause = f->cause,
        .delivered = inv->delivered_ns != 0,
        .run_us = inv->delivered_ns ? (end->now_ns - inv->delivered_ns) / 1000 : 0,
        .cpu_us = inv->cpu_ns / 1000,
        .limited = inv->function->limited,
        .limit = inv->function->limit,
    };
    advice_print(w, &facts);
}
