/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/api.h"

/* While draining no request gets here: the connection answers each with 503 (conn.c). */
void api_health(struct exchange *x, struct str name)
{
    (void)name;
    struct reply r = {.status = 200, .content_type = "application/json", .body = STR_LITERAL("{\"status\":\"ok\"}\n")};
    exchange_reply(x, &r);
}
