/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/listener.h"

#include "codec/json.h"

#include <string.h>

void listener_find(const struct client_target *target, char *out, size_t cap)
{
    const struct client_request request = {.method = "GET", .target = "/v1/system", .body_fd = -1};
    const struct http1_response *reply;
    struct client *c;
    struct buf body;
    struct json_doc *doc = NULL;
    struct err ignored;
    int status;
    out[0] = '\0';
    buf_init(&body, 1 << 20);
    if (client_open(&c, target, &status, &ignored) < 0)
        return;
    if (client_send(c, &request, &reply, &ignored) == 0 && reply->status == 200 &&
        client_read_all(c, &body, &ignored) == 0 && json_parse(buf_str(&body), JSON_STRICT, &doc, &ignored) == 0)
        JSON_EACH(json_get(json_root(doc), "listen"), at)
        {
            const char *text = json_text(at);
            if (text && *text != '/' && strncmp(text, "unix:", 5) != 0 && str_copy(str_from(text), out, cap))
                break;
        }
    json_free(doc);
    buf_fini(&body);
    client_close(c);
}
