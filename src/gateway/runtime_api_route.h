/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the Runtime API's endpoints a request is for: a table, and what stands between the fixed parts of a path. */
#ifndef FAASD_GATEWAY_RUNTIME_API_ROUTE_H
#define FAASD_GATEWAY_RUNTIME_API_ROUTE_H

#include "base/str.h"

enum runtime_api_route {
    RUNTIME_API_NEXT,
    RUNTIME_API_RESPONSE,
    RUNTIME_API_ERROR,
    RUNTIME_API_INIT_ERROR,
    RUNTIME_API_PING,
    RUNTIME_API_LOGS,      /* a stub: agents that subscribe get the answer of a host without it, and live on */
    RUNTIME_API_TELEMETRY, /* the same */
    RUNTIME_API_BAD_METHOD,
    RUNTIME_API_NOT_FOUND, /* also restore/ (SnapStart) and extension/: answered as by a host that has neither */
};

/* *ret_id: the request id of RESPONSE and ERROR as it stands in the path, else empty. */
enum runtime_api_route runtime_api_find_route(struct str method, struct str path, struct str *ret_id);

#endif
