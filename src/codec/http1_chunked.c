/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunked coding (RFC 9112 section 7.1), without the leniency that request smuggling lives on:
 *
 *   size      1 to 16 hexadecimal digits and nothing else: no sign, "0x", "_" or blank; below 2^63
 *   extension ";" name ["=" value], printable ASCII, ignored (section 7.1.1); a blank before the ";" is refused
 *   CRLF      both bytes, everywhere: behind the size, behind the data, behind each trailer line
 *   trailers  read by the rules of header lines (section 7.1.2): none of them may change the request, most callers drop them
 */
#include "codec/http1_scan.h"

enum { CHUNK_SIZE_DIGITS = 16, CHUNK_LINE_BYTES = 1024, CHUNK_TRAILER_BYTES = 16384 };

enum chunk_state {
    CHUNK_SIZE_FIRST = 0,
    CHUNK_SIZE,
    CHUNK_EXTENSION_NAME, /* behind a ";" */
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER,
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_OVER,
};

static const char *take_digit(struct http1_chunked *c, char byte)
{
    if (c->line_bytes > CHUNK_SIZE_DIGITS || c->left > UINT64_MAX >> 5) /* one more digit would reach 2^63 */
        return "a chunk size that is too large";
    c->left = c->left << 4 | http1_hex_value(byte);
    c->state = CHUNK_SIZE;
    return NULL;
}

static const char *step_size(struct http1_chunked *c, char byte)
{
    if (http1_is(byte, HTTP1_HEX))
        return take_digit(c, byte);
    if (c->state == CHUNK_SIZE_FIRST)
        return "a chunk size that is no hexadecimal number";
    if (byte == ';')
        c->state = CHUNK_EXTENSION_NAME;
    else if (byte == '\r')
        c->state = CHUNK_SIZE_LF;
    else
        return "a chunk size that is no hexadecimal number";
    return NULL;
}

static const char *step_extension(struct http1_chunked *c, char byte)
{
    if (c->state == CHUNK_EXTENSION_NAME && !http1_is(byte, HTTP1_TOKEN))
        return "a chunk extension without a name";
    if (byte == '\r')
        c->state = CHUNK_SIZE_LF;
    else if (!http1_is(byte, HTTP1_VALUE) || (unsigned char)byte >= 0x80)
        return "a byte that no chunk extension may hold";
    else
        c->state = CHUNK_EXTENSION;
    return NULL;
}

static const char *step_line_end(struct http1_chunked *c, char byte)
{
    if (byte != (c->state == CHUNK_DATA_CR ? '\r' : '\n'))
        return c->state == CHUNK_DATA_CR ? "a chunk longer than its size" : "a CR without LF in the chunked body";
    switch (c->state) {
    case CHUNK_SIZE_LF:
        c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
        c->line_bytes = 0;
        break;
    case CHUNK_DATA_CR:
        c->state = CHUNK_DATA_LF;
        break;
    case CHUNK_DATA_LF:
        c->state = CHUNK_SIZE_FIRST;
        c->line_bytes = 0;
        break;
    case CHUNK_TRAILER_LF:
        c->state = CHUNK_TRAILER;
        break;
    default:
        c->state = CHUNK_OVER;
        break;
    }
    return NULL;
}

static const char *step_trailer(struct http1_chunked *c, char byte)
{
    switch (c->state) {
    case CHUNK_TRAILER:
        if (byte == '\r')
            c->state = CHUNK_END_LF;
        else if (http1_is(byte, HTTP1_TOKEN))
            c->state = CHUNK_TRAILER_NAME;
        else
            return "a trailer line that is no header field";
        return NULL;
    case CHUNK_TRAILER_NAME:
        if (byte == ':')
            c->state = CHUNK_TRAILER_VALUE;
        else if (!http1_is(byte, HTTP1_TOKEN))
            return "a trailer line that is no header field";
        return NULL;
    default:
        if (byte == '\r')
            c->state = CHUNK_TRAILER_LF;
        else if (!http1_is(byte, HTTP1_VALUE))
            return "a control character in a trailer";
        return NULL;
    }
}

static const char *step(struct http1_chunked *c, char byte)
{
    switch (c->state) {
    case CHUNK_SIZE_FIRST:
    case CHUNK_SIZE:
        return step_size(c, byte);
    case CHUNK_EXTENSION_NAME:
    case CHUNK_EXTENSION:
        return step_extension(c, byte);
    case CHUNK_TRAILER:
    case CHUNK_TRAILER_NAME:
    case CHUNK_TRAILER_VALUE:
        return step_trailer(c, byte);
    default:
        return step_line_end(c, byte);
    }
}

static bool line_is_too_long(const struct http1_chunked *c, struct http1_refusal *ret_refusal)
{
    if (c->state >= CHUNK_TRAILER) {
        uint32_t max = c->trailer_bytes_max ? c->trailer_bytes_max : CHUNK_TRAILER_BYTES;
        if (c->line_bytes > max)
            http1_refuse(ret_refusal, 431, "the trailers are too large");
        return c->line_bytes > max;
    }
    if (c->line_bytes > CHUNK_LINE_BYTES)
        http1_refuse(ret_refusal, 400, "a chunk extension that is too long");
    return c->line_bytes > CHUNK_LINE_BYTES;
}

static bool is_in_trailers(const struct http1_chunked *c)
{
    return c->state >= CHUNK_TRAILER && c->state <= CHUNK_TRAILER_LF;
}

enum http1_outcome http1_decode_chunked_trailers(struct http1_chunked *c, struct str in, size_t *ret_used,
                                                 struct str *ret_data, struct str *ret_trailers,
                                                 struct http1_refusal *ret_refusal)
{
    size_t at = 0;
    *ret_data = (struct str){.p = in.p, .n = 0};
    *ret_trailers = (struct str){.p = in.p, .n = 0};
    while (at < in.n && c->state != CHUNK_DATA && c->state != CHUNK_OVER) {
        bool of_trailer = is_in_trailers(c);
        c->line_bytes++;
        if (line_is_too_long(c, ret_refusal))
            return HTTP1_BAD;
        const char *why = step(c, in.p[at]);
        if (why) {
            http1_refuse(ret_refusal, 400, why);
            return HTTP1_BAD;
        }
        at++;
        /* The bytes of all trailer lines follow one another; the CR that turns out to end the section is none of them. */
        if (of_trailer && is_in_trailers(c)) {
            if (ret_trailers->n == 0)
                ret_trailers->p = in.p + at - 1;
            ret_trailers->n++;
        }
    }
    if (c->state == CHUNK_DATA && at < in.n) {
        size_t n = in.n - at < c->left ? in.n - at : (size_t)c->left;
        *ret_data = (struct str){.p = in.p + at, .n = n};
        at += n;
        c->left -= n;
        if (c->left == 0)
            c->state = CHUNK_DATA_CR;
    }
    *ret_used = at;
    return c->state == CHUNK_OVER ? HTTP1_DONE : HTTP1_NEED_MORE;
}

enum http1_outcome http1_decode_chunked(struct http1_chunked *c, struct str in, size_t *ret_used, struct str *ret_data,
                                        struct http1_refusal *ret_refusal)
{
    struct str dropped;
    return http1_decode_chunked_trailers(c, in, ret_used, ret_data, &dropped, ret_refusal);
}

/* Half a size is none: what the next digit makes of it, or whether it is refused, must not depend on where the bytes were cut. */
uint64_t http1_chunk_left(const struct http1_chunked *c)
{
    return c->state == CHUNK_DATA ? c->left : 0;
}

bool http1_parse_trailers(struct str lines, struct http1_field *fields, unsigned max, unsigned *ret_count)
{
    struct http1_progress p = {.state = HTTP1_STATE_FIELD};
    struct http1_refusal no;
    *ret_count = 0;
    while (p.scanned < lines.n) {
        struct http1_field f;
        if (http1_scan_field(&p, lines, &f, &no) != HTTP1_SCAN_LINE || *ret_count == max)
            return false;
        fields[(*ret_count)++] = f;
    }
    return true;
}
