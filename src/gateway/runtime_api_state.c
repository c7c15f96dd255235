/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/runtime_api_state.h"

#include <assert.h>
#include <stdio.h>

#define TO(state) (1u << RUNTIME_API_##state)

static const unsigned TRANSITIONS[] = {
    [RUNTIME_API_OFF] = TO(STARTED),
    [RUNTIME_API_STARTED] = TO(INIT_FAILED) | TO(READY) | TO(OFF),
    [RUNTIME_API_INIT_FAILED] = TO(OFF),
    [RUNTIME_API_READY] = TO(RUNNING) | TO(OFF),
    [RUNTIME_API_RUNNING] = TO(RESPONDING) | TO(OFF),
    [RUNTIME_API_RESPONDING] = TO(RESPONDED) | TO(OFF),
    [RUNTIME_API_RESPONDED] = TO(READY) | TO(OFF),
};

static void set_state(struct runtime_api_machine *m, enum runtime_api_state next)
{
    assert(TRANSITIONS[m->state] & (1u << next));
    m->state = next;
}

void runtime_api_machine_begin(struct runtime_api_machine *m)
{
    set_state(m, RUNTIME_API_STARTED);
}

void runtime_api_machine_end(struct runtime_api_machine *m)
{
    m->has_event = false;
    if (m->state != RUNTIME_API_OFF)
        set_state(m, RUNTIME_API_OFF);
}

bool runtime_api_machine_deliver(struct runtime_api_machine *m, const char *id)
{
    assert(!m->has_event);
    assert(m->state == RUNTIME_API_READY || m->state == RUNTIME_API_STARTED || m->state == RUNTIME_API_OFF);
    m->has_event = true;
    snprintf(m->id, sizeof(m->id), "%s", id);
    if (m->state != RUNTIME_API_READY)
        return false;
    set_state(m, RUNTIME_API_RUNNING);
    return true;
}

enum runtime_api_answer runtime_api_machine_next(struct runtime_api_machine *m)
{
    switch (m->state) {
    case RUNTIME_API_STARTED:
    case RUNTIME_API_RESPONDED:
        set_state(m, RUNTIME_API_READY);
        if (!m->has_event)
            return RUNTIME_API_WAIT;
        set_state(m, RUNTIME_API_RUNNING);
        return RUNTIME_API_SERVE;
    case RUNTIME_API_READY: /* on a second connection, or because the first one broke */
        return RUNTIME_API_WAIT;
    case RUNTIME_API_RUNNING: /* the same event again: its reply may have been lost on the way */
        return RUNTIME_API_SERVE;
    default:
        return RUNTIME_API_FORBIDDEN;
    }
}

enum runtime_api_answer runtime_api_machine_respond(struct runtime_api_machine *m, struct str id)
{
    /* The id is looked at first, as on AWS: an answer too late or twice is a wrong id, not a wrong state. One that was not told yet can only be guessed. */
    bool told = m->state == RUNTIME_API_RUNNING || m->state == RUNTIME_API_RESPONDING;
    if (!told || !str_is(id, m->id))
        return RUNTIME_API_INVALID_ID;
    if (m->state != RUNTIME_API_RUNNING)
        return RUNTIME_API_FORBIDDEN;
    set_state(m, RUNTIME_API_RESPONDING);
    return RUNTIME_API_ACCEPT;
}

void runtime_api_machine_responded(struct runtime_api_machine *m)
{
    m->has_event = false;
    set_state(m, RUNTIME_API_RESPONDED);
}

enum runtime_api_answer runtime_api_machine_init_error(struct runtime_api_machine *m)
{
    if (m->state != RUNTIME_API_STARTED)
        return RUNTIME_API_FORBIDDEN;
    set_state(m, RUNTIME_API_INIT_FAILED);
    return RUNTIME_API_ACCEPT;
}

const char *runtime_api_state_name(enum runtime_api_state s)
{
    static const char *const NAMES[] = {
        [RUNTIME_API_OFF] = "Off",
        [RUNTIME_API_STARTED] = "Started",
        [RUNTIME_API_INIT_FAILED] = "InitError",
        [RUNTIME_API_READY] = "Ready",
        [RUNTIME_API_RUNNING] = "Running",
        [RUNTIME_API_RESPONDING] = "InvocationResponse",
        [RUNTIME_API_RESPONDED] = "ResponseSent",
    };
    return NAMES[s];
}
