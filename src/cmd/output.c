/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/output.h"

#include "cmd/cmd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Length of the UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF), 0 when there
 * is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    static const struct {
        unsigned char first_low, first_high, second_low, second_high;
        size_t length;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    if (p[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (p[0] < forms[i].first_low || p[0] > forms[i].first_high)
            continue;
        if (n < forms[i].length || p[1] < forms[i].second_low || p[1] > forms[i].second_high)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

/* How many bytes at p may reach a terminal as they are; 0: the first byte has to be shown as \xNN. */
static size_t safe_length(const unsigned char *p, size_t n, bool lines)
{
    if (p[0] == '\t' || (lines && p[0] == '\n'))
        return 1;
    if (p[0] < 0x20 || p[0] == 0x7f)
        return 0;
    size_t length = utf8_length(p, n);
    if (length == 2 && p[0] == 0xc2 && p[1] < 0xa0)
        return 0; /* U+0080 to U+009F: terminals take them as controls */
    return length;
}

int output_escape(struct buf *out, struct str text, bool lines)
{
    const unsigned char *p = (const unsigned char *)text.p;
    int r = 0;
    for (size_t i = 0; r == 0 && i < text.n;) {
        size_t run = 0, length; /* what may go out as it is, whole */
        while (i + run < text.n && (length = safe_length(p + i + run, text.n - i - run, lines)) != 0)
            run += length;
        r = buf_add(out, p + i, run);
        i += run;
        if (r == 0 && i < text.n)
            r = buf_addf(out, "\\x%02x", p[i++]);
    }
    return r;
}

void output_text(FILE *to, struct str text, bool lines)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t i = 0;
    while (i < text.n) {
        size_t length = safe_length(p + i, text.n - i, lines);
        if (length)
            fwrite(p + i, 1, length, to);
        else
            fprintf(to, "\\x%02x", p[i]);
        i += length ? length : 1;
    }
}

const char *output_style(FILE *to, enum output_style style)
{
    static const char *const sequences[] = {
        [OUTPUT_PLAIN] = "\033[0m", [OUTPUT_BOLD] = "\033[1m",   [OUTPUT_DIM] = "\033[2m",
        [OUTPUT_RED] = "\033[31m",  [OUTPUT_GREEN] = "\033[32m", [OUTPUT_YELLOW] = "\033[33m",
    };
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if (!isatty(fileno(to)) || (no_color && *no_color) || !term || strcmp(term, "dumb") == 0)
        return "";
    return sequences[style];
}

void output_table_init(struct output_table *t, const struct output_column *columns, unsigned count)
{
    *t = (struct output_table){.columns = columns, .column_count = count};
    buf_init(&t->cells, 0);
}

int output_table_add(struct output_table *t, struct str cell)
{
    int r = output_escape(&t->cells, cell, false);
    return r < 0 ? r : buf_add(&t->cells, "", 1);
}

int output_table_addf(struct output_table *t, const char *format, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    return n < 0 ? -EINVAL : output_table_add(t, str_from(text));
}

static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80; /* code points, not bytes */
    return width;
}

static void print_spaces(FILE *to, size_t n)
{
    while (n--)
        fputc(' ', to);
}

static void print_cell(FILE *to, const char *text, size_t width, bool right, bool last)
{
    size_t pad = width - width_of(text);
    if (right)
        print_spaces(to, pad);
    fputs(text, to);
    if (last)
        fputc('\n', to);
    else
        print_spaces(to, right ? 2 : pad + 2);
}

void output_table_print(struct output_table *t, FILE *to)
{
    size_t widths[OUTPUT_COLUMNS_MAX] = {0};
    assert(t->column_count > 0);
    for (unsigned i = 0; i < t->column_count; i++)
        widths[i] = width_of(t->columns[i].title);
    unsigned column = 0;
    for (size_t at = 0; at < t->cells.len; at += strlen(t->cells.data + at) + 1) {
        size_t width = width_of(t->cells.data + at);
        if (width > widths[column])
            widths[column] = width;
        column = (column + 1) % t->column_count;
    }
    fputs(output_style(to, OUTPUT_BOLD), to);
    for (unsigned i = 0; i < t->column_count; i++)
        print_cell(to, t->columns[i].title, widths[i], t->columns[i].right, i + 1 == t->column_count);
    fputs(output_style(to, OUTPUT_PLAIN), to);
    column = 0;
    for (size_t at = 0; at < t->cells.len; at += strlen(t->cells.data + at) + 1) {
        print_cell(to, t->cells.data + at, widths[column], t->columns[column].right, column + 1 == t->column_count);
        column = (column + 1) % t->column_count;
    }
    buf_fini(&t->cells);
}

void output_age(uint64_t ms, char out[OUTPUT_AGE_MAX])
{
    uint64_t s = ms / 1000;
    if (s < 120)
        snprintf(out, OUTPUT_AGE_MAX, "%lus", (unsigned long)s);
    else if (s < 2 * 3600)
        snprintf(out, OUTPUT_AGE_MAX, "%lum", (unsigned long)(s / 60));
    else if (s < 2 * 86400)
        snprintf(out, OUTPUT_AGE_MAX, "%luh", (unsigned long)(s / 3600));
    else
        snprintf(out, OUTPUT_AGE_MAX, "%lud", (unsigned long)(s / 86400));
}

void output_bytes(uint64_t bytes, char out[OUTPUT_AGE_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    snprintf(out, OUTPUT_AGE_MAX, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

int output_finish(const char *command, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno == EPIPE) /* the reader (`| head`) has had enough */
        return status;
    fprintf(stderr, "faasd %s: write to stdout: %s\n", command, strerror(errno));
    return status == CMD_OK ? CMD_FAILED : status;
}
