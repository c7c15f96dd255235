/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the gateway beside its loop: those that wait for the disk. */
#ifndef FAASD_GATEWAY_THREAD_H
#define FAASD_GATEWAY_THREAD_H

#include "base/err.h"

#include <pthread.h>

enum { THREAD_STACK_BYTES = 256 * 1024 };

/* With all signals blocked: they are the loop's. After gateway_confine(), so that it inherits the confinement. */
int thread_start(pthread_t *ret_thread, void *(*run)(void *argument), void *argument, struct err *e);

#endif
