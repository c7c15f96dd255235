/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of gateway/calls*.c, the loop's side. */
#ifndef FAASD_GATEWAY_CALLS_INTERNAL_H
#define FAASD_GATEWAY_CALLS_INTERNAL_H

#include "base/clock.h"
#include "base/id.h"
#include "gateway/calls.h"
#include "gateway/calls_store.h"

enum {
    CALLS_LANE_BUCKETS = 256,
    CALLS_FETCH_MAX = 64,          /* calls a fetch */
    CALLS_FETCH_BYTES = 4 << 20,   /* and their bytes: what a lane reserves of the window */
    CALLS_WINDOW_BYTES = 64 << 20, /* calls in memory, all functions together */
    CALLS_UNKNOWN_CONCURRENCY = 4, /* of a function that is not there: its calls are told so */
    CALLS_AGAIN_MS = 1000,         /* what memory or the disk refused is tried again */
    CALLS_TIMER_MAX_MS =
        60000, /* libev's timers stand still while the machine sleeps, the queue's clock does not: look in between */
    CALLS_SWEEP_MS = 60000,  /* what is too old is looked for */
    CALLS_SWEEP_STEPS = 256, /* rows that go in one transaction */
};

/* Of a call whose stored event is not the one that was accepted. */
#define CALLS_EVENT_DAMAGED    "EventDamaged"
#define CALLS_EVENT_UNREADABLE "EventUnreadable"
#define CALLS_EVENT_UNREADABLE_TEXT                                                                                    \
    "the call was stored with a request line or header fields that this faasd does not take: it was not run"
#define CALLS_EVENT_DAMAGED_TEXT "the call's event was changed on the disk since it was accepted: it was not run"

struct calls {
    struct gateway *gateway;
    struct calls_store *store;
    struct calls_clock clock;                     /* once the store is open */
    struct calls_lane *lanes[CALLS_LANE_BUCKETS]; /* by the hash of the function's name */
    struct list running; /* struct calls_call.link: from their fetch to the commit of their end */
    unsigned running_count;
    size_t window_bytes;         /* of those, and reserved by fetches under way */
    struct list blocked;         /* struct calls_lane.blocked_link: the window is full */
    struct list stalled;         /* struct calls_call.link: memory was out when they were to be run */
    struct calls_job *unsettled; /* the disk did not take them */
    ev_timer again;              /* for those two */
    ev_timer sweep_timer;
    bool sweeping; /* a SWEEP job is under way */
    struct calls_totals totals;
};

/* One function's calls. Exists while any waits or runs, or somebody holds it. */
struct calls_lane {
    struct calls *calls;
    char name[SETTINGS_NAME_MAX];
    struct calls_lane *next; /* of its bucket */
    struct list blocked_link;
    ev_timer timer;    /* at next_ms */
    uint64_t next_ms;  /* when the first call that is not in memory is due; 0 = there is none */
    uint64_t noted_ms; /* the same, of those that came while a fetch was under way */
    unsigned running;  /* its calls in memory */
    unsigned holders;  /* jobs that will note something */
    bool fetching;
};

static inline uint64_t calls_now(const struct calls *c)
{
    return calls_clock_at(&c->clock, clock_boot_ns() / 1000000);
}

void calls_cancel_quietly(struct calls *c, const uint8_t id[CALLS_ID_BYTES]);
void calls_note_totals(struct calls *c, const struct calls_job *j);

/* calls_lane.c */
struct calls_lane *calls_lane_hold(struct calls *c, struct str function); /* found or made; NULL when memory is out */
void calls_lane_release(struct calls_lane *l);
void calls_lane_note(struct calls_lane *l, uint64_t due_ms); /* a call of it is due then */
void calls_lane_pump(struct calls_lane *l);         /* starts what may be started; the lane may be gone afterwards */
void calls_lane_call_over(struct calls_call *call); /* it is neither running nor waiting any more: frees it */

/* calls_terms.c: what holds for a call now, by its qualifier and by its function's settings. Borrowed: not past the next turn of the loop. */
struct calls_terms {
    const struct function *function; /* NULL: there is none such */
    uint32_t retries;
    uint64_t backoff_ms, max_age_ms;
    const char *on_success, *on_failure, *dead_letter; /* "" = nobody */
};
void calls_find_terms(struct calls_call *call, struct calls_terms *ret);

/* calls_run.c */
void calls_run(struct calls_call *call);
void calls_settle_again(struct calls *c); /* what the disk did not take */
void calls_try_again(struct calls *c);    /* the timer's turn: that, and the stalled ones */
void calls_again_later(struct calls *c);
void calls_settle(struct calls *c, struct calls_job *j);

#endif
