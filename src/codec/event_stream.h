/* SPDX-License-Identifier: Apache-2.0 */
/*
 * application/vnd.amazon.eventstream, the encoding alone: a message is a prelude (length of all, length of its headers, CRC of both), headers, payload and the CRC of all before
 * it; integers are big-endian, the CRC is that of IEEE 802.3 (zlib's). Pure. The payload is not copied: a message is sent as head, payload, tail.
 */
#ifndef FAASD_CODEC_EVENT_STREAM_H
#define FAASD_CODEC_EVENT_STREAM_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum {
    EVENT_STREAM_HEAD_MAX = 256,
    EVENT_STREAM_TAIL = 4,
    EVENT_STREAM_PAYLOAD_MAX = 1 << 24, /* clients refuse messages of 16 MiB */
};

struct event_stream_event {
    const char *type;         /* :event-type, "PayloadChunk" */
    const char *content_type; /* :content-type */
    struct str payload;       /* shorter than EVENT_STREAM_PAYLOAD_MAX by head and tail */
};

/* What stands before and behind the payload. Returns the head's length; the type's and content type's bytes are together less than 128. */
size_t event_stream_frame(const struct event_stream_event *e, char head[EVENT_STREAM_HEAD_MAX],
                          char tail[EVENT_STREAM_TAIL]);

/* `crc` is 0 to begin with, or what the bytes before gave. */
uint32_t event_stream_crc(uint32_t crc, const void *bytes, size_t n);

#endif
