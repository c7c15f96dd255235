/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/event_stream.h"

#include <assert.h>
#include <string.h>

enum { HEADER_STRING = 7, PRELUDE = 12 };

static uint32_t table[256];

/* The polynomial 0x04C11DB7 with its bits the other way round. */
static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t rest = i;
        for (int bit = 0; bit < 8; bit++)
            rest = rest & 1 ? rest >> 1 ^ UINT32_C(0xEDB88320) : rest >> 1;
        table[i] = rest;
    }
}

uint32_t event_stream_crc(uint32_t crc, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    if (!table[1])
        fill_table();
    crc = ~crc;
    for (size_t i = 0; i < n; i++)
        crc = table[(crc ^ p[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}

static char *put_u32(char *to, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (char)(value >> shift);
    return to;
}

static char *put_header(char *to, const char *name, const char *value)
{
    size_t name_len = strlen(name);
    size_t value_len = strlen(value);
    *to++ = (char)name_len;
    memcpy(to, name, name_len);
    to += name_len;
    *to++ = HEADER_STRING;
    *to++ = (char)(value_len >> 8);
    *to++ = (char)value_len;
    memcpy(to, value, value_len);
    return to + value_len;
}

size_t event_stream_frame(const struct event_stream_event *e, char head[EVENT_STREAM_HEAD_MAX],
                          char tail[EVENT_STREAM_TAIL])
{
    assert(strlen(e->type) + strlen(e->content_type) < 128);
    char *end = put_header(head + PRELUDE, ":message-type", "event");
    end = put_header(end, ":event-type", e->type);
    end = put_header(end, ":content-type", e->content_type);
    size_t head_len = (size_t)(end - head);
    size_t total = head_len + e->payload.n + EVENT_STREAM_TAIL;
    assert(total <= EVENT_STREAM_PAYLOAD_MAX);
    char *at = put_u32(head, (uint32_t)total);
    at = put_u32(at, (uint32_t)(head_len - PRELUDE));
    put_u32(at, event_stream_crc(0, head, 8));
    uint32_t crc = event_stream_crc(0, head, head_len);
    put_u32(tail, event_stream_crc(crc, e->payload.p, e->payload.n));
    return head_len;
}
