/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of a function's log, as it stands on disk and as the API gives it:
 *   2026-11-21T09:00:00.123Z inst=17 req=6f1c... text
 *   {"time":"2026-11-21T09:00:00.123Z","instance":17,"request":"6f1c...","message":"text"}
 * Text is valid UTF-8 without control characters (tabs excepted): everything else is shown as \xNN, so that no line can steer a terminal.
 */
#ifndef FAASD_GATEWAY_STORE_LINE_H
#define FAASD_GATEWAY_STORE_LINE_H

#include "base/buf.h"

struct store_line {
    uint64_t time_ms; /* real time */
    uint64_t instance;
    struct str request; /* empty outside requests */
    struct str text;
    uint64_t cut; /* bytes that were left off the text's end */
};

/* At most `limit` bytes of raw text, not ending inside a UTF-8 sequence. */
struct str store_line_cut(struct str text, size_t limit);

/* Both escape the text (which changes nothing in text that is escaped already) and end with a newline. 0 or -errno; nothing is added then. */
int store_line_print(const struct store_line *l, struct buf *out);
int store_line_print_json(const struct store_line *l, struct buf *out);

/* A line from disk, without its newline. False when it is none of ours. */
bool store_line_parse(struct str line, struct store_line *ret_line);

#endif
