/* SPDX-License-Identifier: Apache-2.0 */
/* From an INVOKE frame's payload to struct faasd_event; inside the library only. */
#ifndef FAASD_FUNCTION_EVENT_H
#define FAASD_FUNCTION_EVENT_H

#include "faasd/function.h"

/* *e points into the payload. NULL, or a sentence that says what is wrong with it. */
const char *faasd_event_read(const char *payload, size_t length, struct faasd_event *e);

#endif
