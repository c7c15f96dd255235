/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/reply_head.h"

#include "base/put.h"
#include "codec/http1.h"

#include <assert.h>
#include <string.h>

size_t reply_head_print(const struct reply_head *h, char out[REPLY_HEAD_MAX])
{
    assert(h->status >= 100 && h->status <= 599);
    char *to = PUT_LITERAL(out, "HTTP/1.1 ");
    to = put_number(to, (uint64_t)h->status);
    *to++ = ' ';
    to = put_text(to, http1_reason(h->status));
    to = PUT_LITERAL(to, "\r\n");
    if (h->content_type) {
        assert(strlen(h->content_type) < REPLY_HEAD_TYPE_MAX);
        to = PUT_LITERAL(to, "Content-Type: ");
        to = put_text(to, h->content_type);
        to = PUT_LITERAL(to, "\r\n");
    }
    if (h->framing == REPLY_LENGTH) {
        to = PUT_LITERAL(to, "Content-Length: ");
        to = put_number(to, h->content_length);
        to = PUT_LITERAL(to, "\r\n");
    } else if (h->framing == REPLY_CHUNKED) {
        to = PUT_LITERAL(to, "Transfer-Encoding: chunked\r\n");
    }
    to = put_text(to, h->id_field ? h->id_field : "X-Request-Id");
    to = PUT_LITERAL(to, ": ");
    to = put_text(to, h->request_id);
    to = PUT_LITERAL(to, "\r\n");
    if (h->connection) {
        to = PUT_LITERAL(to, "Connection: ");
        to = put_text(to, h->connection);
        to = PUT_LITERAL(to, "\r\n");
    }
    assert(to <= out + REPLY_HEAD_MAX);
    return (size_t)(to - out);
}
