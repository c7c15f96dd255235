/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/reply_head.h"

#include "codec/http1.h"

#include <assert.h>
#include <string.h>

static char *put_bytes(char *to, const char *p, size_t n)
{
    memcpy(to, p, n);
    return to + n;
}

#define PUT_LITERAL(to, text) put_bytes(to, text, sizeof(text) - 1)

static char *put_text(char *to, const char *text)
{
    return put_bytes(to, text, strlen(text));
}

static char *put_number(char *to, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return put_bytes(to, digits + at, sizeof(digits) - at);
}

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
    to = PUT_LITERAL(to, "X-Request-Id: ");
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
