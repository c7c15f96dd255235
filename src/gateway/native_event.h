/* SPDX-License-Identifier: Apache-2.0 */
/* A request as the fields of an INVOKE (faasd/frame.h). */
#ifndef FAASD_GATEWAY_NATIVE_EVENT_H
#define FAASD_GATEWAY_NATIVE_EVENT_H

#include "gateway/invocation.h"

/* `arn` is its function's, as contexts tell it. The fields stand in one buffer until the next call. */
struct str native_event_build(const struct invocation *inv, const char *arn);

#endif
