/* SPDX-License-Identifier: Apache-2.0 */
#include "reply.h"

#include "channel.h"
#include "faasd/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static size_t reply_limit = (size_t)64 << 20;

void faasd_set_reply_limit(size_t bytes)
{
    reply_limit = bytes;
}

static void growing_trim(struct growing *g)
{
    g->length = 0;
    if (g->room <= REPLY_KEPT_BYTES)
        return;
    free(g->data);
    *g = (struct growing){0};
}

void faasd_reply_reset(struct faasd_reply *reply)
{
    growing_trim(&reply->fields);
    growing_trim(&reply->body);
    reply->status = 200;
    reply->failed = false;
    reply->has_type = false;
    reply->streams = false;
}

void faasd_reply_free(struct faasd_reply *reply)
{
    free(reply->fields.data);
    free(reply->body.data);
    reply->fields = (struct growing){0};
    reply->body = (struct growing){0};
}

static void fail_out_of_memory(struct faasd_reply *reply)
{
    faasd_fail(reply, "OutOfMemory", "no memory for the reply");
}

/* Room for n more bytes, by doubling; the caller has checked the limit. */
static bool growing_reserve(struct growing *g, size_t n)
{
    size_t needed;
    if (__builtin_add_overflow(g->length, n, &needed))
        return false;
    if (needed <= g->room)
        return true;
    size_t room = g->room ? g->room : 1024;
    while (room < needed)
        if (__builtin_mul_overflow(room, (size_t)2, &room))
            return false;
    char *data = realloc(g->data, room);
    if (!data)
        return false;
    g->data = data;
    g->room = room;
    return true;
}

int faasd_reply_make_room(struct faasd_reply *reply)
{
    return growing_reserve(&reply->fields, 1) && growing_reserve(&reply->body, 1) ? 0 : -1;
}

static int body_reserve(struct faasd_reply *reply, size_t n)
{
    if (reply->failed)
        return -1;
    if (n > reply_limit || reply->body.length > reply_limit - n) {
        faasd_fail(reply, "ReplyTooLarge", "the reply is larger than %zu bytes", reply_limit);
        return -1;
    }
    if (growing_reserve(&reply->body, n))
        return 0;
    fail_out_of_memory(reply);
    return -1;
}

/* ---- streams ---- */

static int send_head(struct faasd_reply *reply)
{
    struct faasd_reply_head head = {
        .status = reply->status,
        .fields_length = (uint32_t)reply->fields.length,
        .flags = FAASD_REPLY_MORE,
    };
    struct faasd_frame frame = {
        .length = (uint32_t)(sizeof(head) + reply->fields.length), .type = FAASD_FRAME_REPLY, .id = reply->id};
    struct iovec parts[] = {
        {&frame, sizeof(frame)},
        {&head, sizeof(head)},
        {reply->fields.data, reply->fields.length},
    };
    return faasd_channel_send(reply->fd, parts, 3, -1);
}

/* `length` 0 ends the stream. */
static int send_chunk(struct faasd_reply *reply, const char *bytes, size_t length)
{
    struct faasd_frame frame = {.length = (uint32_t)length, .type = FAASD_FRAME_CHUNK, .id = reply->id};
    struct iovec parts[] = {
        {&frame, sizeof(frame)},
        {(void *)bytes, length},
    };
    return faasd_channel_send(reply->fd, parts, 2, -1);
}

static int send_body(struct faasd_reply *reply)
{
    const struct growing *body = &reply->body;
    for (size_t at = 0; at < body->length;) {
        size_t n = body->length - at < FAASD_CHUNK_MAX ? body->length - at : FAASD_CHUNK_MAX;
        if (send_chunk(reply, body->data + at, n) != 0)
            return -1;
        at += n;
    }
    growing_trim(&reply->body);
    return 0;
}

int faasd_reply_flush(struct faasd_reply *reply)
{
    if (reply->failed)
        return -1;
    if (!reply->streams) {
        if (!reply->has_type && faasd_reply_type(reply, "application/octet-stream") != 0)
            return -1;
        if (send_head(reply) != 0)
            return faasd_fail(reply, "ConnectionLost", "faasd does not read the reply");
        reply->streams = true;
    }
    if (send_body(reply) != 0)
        return faasd_fail(reply, "ConnectionLost", "faasd does not read the reply");
    return 0;
}

static int flush_much(struct faasd_reply *reply)
{
    return reply->streams && reply->body.length >= REPLY_FLUSH_BYTES ? faasd_reply_flush(reply) : 0;
}

int faasd_reply_end_stream(struct faasd_reply *reply)
{
    return send_body(reply) == 0 && send_chunk(reply, NULL, 0) == 0 ? 0 : -1;
}

/* The head is on its way already. */
static int refuse_late(struct faasd_reply *reply, const char *what)
{
    return faasd_fail(reply, "HeadersSent", "%s after the first flush of the reply", what);
}

/* ---- the body ---- */

int faasd_reply_write(struct faasd_reply *reply, const void *bytes, size_t length)
{
    if (body_reserve(reply, length) != 0)
        return -1;
    if (length)
        memcpy(reply->body.data + reply->body.length, bytes, length);
    reply->body.length += length;
    return flush_much(reply);
}

int faasd_reply_text(struct faasd_reply *reply, const char *text)
{
    return faasd_reply_write(reply, text, strlen(text));
}

int faasd_reply_vprintf(struct faasd_reply *reply, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, arguments);
    int result = -1;
    if (n < 0)
        faasd_fail(reply, "BadFormat", "a format that printf refuses");
    else if (body_reserve(reply, (size_t)n + 1) == 0) { /* vsnprintf ends with a NUL, which is no part of the reply */
        vsnprintf(reply->body.data + reply->body.length, (size_t)n + 1, format, again);
        reply->body.length += (size_t)n;
        result = flush_much(reply);
    }
    va_end(again);
    return result;
}

int faasd_reply_printf(struct faasd_reply *reply, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = faasd_reply_vprintf(reply, format, arguments);
    va_end(arguments);
    return result;
}

int faasd_reply_status(struct faasd_reply *reply, int status)
{
    if (reply->failed)
        return -1;
    if (reply->streams)
        return refuse_late(reply, "a status");
    if (status < 200 || status > 599)
        return faasd_fail(reply, "BadStatus", "%d is no status that a reply may have (200 to 599)", status);
    reply->status = (unsigned)status;
    return 0;
}

/* The characters of a token (RFC 9110 section 5.6.2). */
static bool name_is_valid(const char *name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (const char *c = name; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!letter && !strchr(others, *c))
            return false;
    }
    return name[0] != '\0';
}

static bool value_is_valid(const char *value)
{
    for (const unsigned char *c = (const unsigned char *)value; *c; c++)
        if ((*c < ' ' && *c != '\t') || *c == 0x7f)
            return false;
    return true;
}

static int add_field(struct faasd_reply *reply, const char *name, const char *value)
{
    size_t name_size = strlen(name) + 1;
    size_t value_size = strlen(value) + 1;
    struct growing *f = &reply->fields;
    if (name_size > REPLY_FIELDS_MAX || value_size > REPLY_FIELDS_MAX ||
        f->length + name_size + value_size > REPLY_FIELDS_MAX)
        return faasd_fail(reply, "ReplyTooLarge", "the reply's headers are larger than %d bytes", REPLY_FIELDS_MAX);
    if (!growing_reserve(f, name_size + value_size)) {
        fail_out_of_memory(reply);
        return -1;
    }
    memcpy(f->data + f->length, name, name_size);
    memcpy(f->data + f->length + name_size, value, value_size);
    f->length += name_size + value_size;
    return 0;
}

int faasd_reply_header(struct faasd_reply *reply, const char *name, const char *value)
{
    if (reply->failed)
        return -1;
    if (reply->streams)
        return refuse_late(reply, "a header");
    if (!name_is_valid(name) || !value_is_valid(value))
        return faasd_fail(reply, "BadHeader", "a header's name is no token or its value holds a control character");
    if (strcasecmp(name, "content-type") == 0) {
        if (reply->has_type)
            return faasd_fail(reply, "BadHeader", "Content-Type is set twice");
        reply->has_type = true;
    }
    return add_field(reply, name, value);
}

int faasd_reply_type(struct faasd_reply *reply, const char *content_type)
{
    return faasd_reply_header(reply, "content-type", content_type);
}

/* The type goes into a header of the reply to the caller: one printable word (docs/PROTOCOL.md), or faasd refuses the whole ERROR. */
static void set_error_type(struct faasd_reply *reply, const char *type)
{
    snprintf(reply->type, sizeof(reply->type), "%s", type[0] ? type : "Error");
    for (char *c = reply->type; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            *c = '_';
}

void faasd_reply_vfail(struct faasd_reply *reply, const char *type, const char *format, va_list arguments)
{
    if (reply->failed) /* the first cause is the one to tell */
        return;
    reply->failed = true;
    set_error_type(reply, type);
    vsnprintf(reply->message, sizeof(reply->message), format, arguments);
}

int faasd_fail(struct faasd_reply *reply, const char *type, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    faasd_reply_vfail(reply, type, format, arguments);
    va_end(arguments);
    return -1;
}

void faasd_reply_complete(struct faasd_reply *reply)
{
    if (!reply->failed && !reply->has_type && reply->body.length > 0)
        add_field(reply, "content-type", "application/octet-stream");
}
