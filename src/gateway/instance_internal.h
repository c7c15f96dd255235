/* SPDX-License-Identifier: Apache-2.0 */
/* What instance.c, instance_start.c and instance_end.c share. */
#ifndef FAASD_GATEWAY_INSTANCE_INTERNAL_H
#define FAASD_GATEWAY_INSTANCE_INTERNAL_H

#include "gateway/instance.h"

/* The one setter: asserts the table of transitions, tells the pool. */
void instance_set_state(struct instance *i, enum instance_state next);
/* Its one timer, from now; 0 stops it. */
void instance_arm(struct instance *i, uint64_t ms);
void instance_on_timer(struct ev_loop *loop, ev_timer *w, int events);
/* The first reason stands. */
void instance_doom(struct instance *i, enum instance_doom why, const char *text);
/* A trial is told once how it went; e->code 0: well. `said` as for pool_on_trial. */
void instance_tell_trial(struct instance *i, const struct err *e, const struct instance_fault *said);
/* The request at hand has ended, well or not: what becomes of the instance. */
void instance_after_request(struct instance *i, bool clean);
/* No process of its worker lives and nobody waits for an answer: the next one is started in the same sandbox. */
void instance_begin_again(struct instance *i);

/* instance_end.c: messages that end something */
void instance_on_usage(struct instance *i, const struct message_exited *m);
void instance_on_exited(struct instance *i, const struct message_exited *m);
void instance_on_spawn_failed(struct instance *i, const struct message_failed *m);

/* instance_denied.c: a delivered request's failure names the call that was denied meanwhile; a failed start that of its own. False: none was. */
void instance_listen_for(struct instance *i, struct invocation *inv);
bool instance_print_denied(const struct instance *i, char out[NOTICES_TEXT_MAX]);
/* Where its version is one that learns. */
void instance_begin_learning(struct instance *i);

#endif
