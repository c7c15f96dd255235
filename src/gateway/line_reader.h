/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe that a function writes its log to: read as it comes, cut into lines, handed to the store. Bounded: a line longer than
 * LINE_READER_MAX is handed over in pieces, a flood is read LINE_READER_TURN bytes a loop turn, so that nobody else waits for it. */
#ifndef FAASD_GATEWAY_LINE_READER_H
#define FAASD_GATEWAY_LINE_READER_H

#include "base/buf.h"
#include "base/id.h"
#include "gateway/gateway.h"

enum {
    LINE_READER_MAX = 16384,
    LINE_READER_TURN = 65536,
    LINE_READER_TAIL = 2048,
    LINE_READER_LATER_MS = 5, /* less than a pipe takes to fill but in a flood, which then waits as long */
};

struct line_reader {
    struct gateway *gateway; /* borrowed */
    ev_io watcher;
    ev_timer later; /* active: the watcher is not yet; starts that */
    bool late;   /* line_reader_attach_later(): what was written before a reply may be seen in a later turn than that */
    int fd;      /* owned; -1 = closed */
    bool shared; /* the function holds the same open file: shared_pipe.h */
    struct buf partial;               /* the line at hand */
    char function[SETTINGS_NAME_MAX]; /* "" = discard the lines, keep the tail (the unpacker) */
    uint64_t instance;
    char request_id[ID_UUID_MAX]; /* of the request at hand; "" between requests */
    char tail[LINE_READER_TAIL];  /* the last bytes since line_reader_begin, a ring */
    size_t tail_total;
    struct buf
        *copy;     /* borrowed; all that comes, up to its limit; NULL = nobody wants one. Set after line_reader_init */
    bool copy_cut; /* more came than it takes */
    struct log_tail
        *also; /* borrowed: gets the lines of the request at hand, too (gateway/log_tail.h); NULL: nobody does */
    void (*on_closed)(struct line_reader *r); /* end of file was reached; may be NULL */
    void *owner;
};

void line_reader_init(struct line_reader *r, struct gateway *g, const char *function, uint64_t instance);
void line_reader_attach(struct line_reader *r, int fd);        /* takes the descriptor over and starts reading */
void line_reader_attach_shared(struct line_reader *r, int fd); /* the same for a pipe that the function itself sent */
/* The same, but nothing is watched for LINE_READER_LATER_MS: line_reader_end() and line_reader_drain() read what there is. For a process that most likely
 * ends before that, whose pipe need not go into the event loop and out of it. */
void line_reader_attach_later(struct line_reader *r, int fd);
void line_reader_begin(struct line_reader *r,
                       const char *request_id); /* a request starts: lines are its, the tail is empty */
/* The same, and its lines are added to `also` until line_reader_end(). */
void line_reader_begin_also(struct line_reader *r, const char *request_id, struct log_tail *also);
void line_reader_flush(struct line_reader *r); /* hands the unfinished line over */
void line_reader_drain(struct line_reader *r); /* reads what stands in the pipe now, at most LINE_READER_TURN bytes */
/* Reads what is there where the watcher may come too late; hands the unfinished line over; lines belong to no request from here */
void line_reader_end(struct line_reader *r);
void line_reader_fini(struct line_reader *r); /* closes */

/* The tail in order, without trailing newlines; out has room for LINE_READER_TAIL. When more was written than is kept it begins with a line's beginning, or, where one line is
 * longer than all of it, with a character's. */
struct str line_reader_tail(const struct line_reader *r, char out[LINE_READER_TAIL]);

#endif
