/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/options.h"

#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/help.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct cursor {
    int argc;
    char **argv;
    int at; /* the word being read */
};

int options_refuse(const char *command, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "faasd %s: ", command);
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\nsee `faasd help %s`\n", command);
    va_end(ap);
    return CMD_USAGE;
}

static const struct option *find_long(const struct options *o, struct str name)
{
    for (int t = 0; t < OPTION_TABLES_MAX; t++)
        for (const struct option *at = o->tables[t]; at && at->name; at++)
            if (str_is(name, at->name))
                return at;
    return NULL;
}

static const struct option *find_letter(const struct options *o, char letter)
{
    for (int t = 0; t < OPTION_TABLES_MAX; t++)
        for (const struct option *at = o->tables[t]; at && at->name; at++)
            if (at->letter && at->letter == letter)
                return at;
    return NULL;
}

static const char *find_nearest(const struct options *o, const char *name)
{
    const char *nearest = NULL;
    unsigned least = str_slips(name) + 1;
    for (int t = 0; t < OPTION_TABLES_MAX; t++)
        for (const struct option *at = o->tables[t]; at && at->name; at++) {
            unsigned distance = str_distance(name, at->name);
            if (distance < least && distance < strlen(at->name)) {
                least = distance;
                nearest = at->name;
            }
        }
    return nearest;
}

static int refuse_unknown(const struct options *o, struct str name)
{
    char text[64];
    const char *nearest = str_copy(name, text, sizeof(text)) ? find_nearest(o, text) : NULL;
    if (nearest)
        return options_refuse(o->command, "unknown option '--%.*s', did you mean '--%s'?", (int)name.n, name.p,
                              nearest);
    return options_refuse(o->command, "unknown option '--%.*s'", (int)name.n, name.p);
}

static int give(const struct options *o, const struct option *at, const char *value)
{
    struct err e = {0};
    switch (at->kind) {
    case OPTION_BOOL:
        *(bool *)at->target = true;
        break;
    case OPTION_TEXT:
        *(const char **)at->target = value;
        break;
    case OPTION_CALL:
    case OPTION_SWITCH:
        if (at->on_value(at->target, value, &e) < 0)
            return options_refuse(o->command, "--%s: %s", at->name, e.text);
        break;
    }
    return OPTIONS_GO_ON;
}

static bool takes_value(const struct option *at)
{
    return at->kind == OPTION_TEXT || at->kind == OPTION_CALL;
}

static int read_long(const struct options *o, struct cursor *c)
{
    bool has_value;
    struct str value;
    struct str name = str_cut(str_from(c->argv[c->at] + 2), '=', &value, &has_value);
    const struct option *at = find_long(o, name);
    if (!at)
        return refuse_unknown(o, name);
    if (at->kind == OPTION_BOOL && has_value)
        return options_refuse(o->command, "option '--%s' takes no value", at->name);
    if (has_value)
        return give(o, at, value.p); /* runs to the word's end */
    if (!takes_value(at))
        return give(o, at, NULL);
    if (c->at + 1 >= c->argc)
        return options_refuse(o->command, "option '--%s' needs a value", at->name);
    return give(o, at, c->argv[++c->at]);
}

/* One word of single letters: each a flag, or the last one with its value in the same or the next word. */
static int read_letters(const struct options *o, struct cursor *c)
{
    for (const char *p = c->argv[c->at] + 1; *p; p++) {
        const struct option *at = find_letter(o, *p);
        if (!at)
            return options_refuse(o->command, "unknown option '-%c'", *p);
        if (takes_value(at) && !p[1] && c->at + 1 >= c->argc)
            return options_refuse(o->command, "option '-%c' needs a value", *p);
        if (takes_value(at))
            return give(o, at, p[1] ? p + 1 : c->argv[++c->at]);
        int status = give(o, at, NULL);
        if (status != OPTIONS_GO_ON)
            return status;
    }
    return OPTIONS_GO_ON;
}

static void keep_operand(struct options *o, char *word)
{
    o->operands[o->operand_count++] = word; /* never overtakes the word being read */
}

static int read_word(struct options *o, struct cursor *c)
{
    const char *word = c->argv[c->at];
    if (strcmp(word, "--help") == 0 || (strcmp(word, "-h") == 0 && !find_letter(o, 'h'))) {
        help_print(o->command);
        return CMD_OK;
    }
    if (strncmp(word, "--", 2) == 0)
        return read_long(o, c);
    if (word[0] == '-' && word[1])
        return read_letters(o, c);
    keep_operand(o, c->argv[c->at]);
    return OPTIONS_GO_ON;
}

static int check_operands(const struct options *o)
{
    if (o->operand_count < o->operands_min)
        return options_refuse(o->command, o->operand_count ? "too few words: it needs %s" : "it needs %s",
                              o->operands_text);
    if (o->operands_max >= 0 && o->operand_count > o->operands_max)
        return options_refuse(o->command, "'%s' is one word too many", o->operands[o->operands_max]);
    return OPTIONS_GO_ON;
}

int options_parse(struct options *o, int argc, char **argv)
{
    struct cursor c = {.argc = argc, .argv = argv, .at = 1};
    o->operands = argv + 1;
    o->operand_count = 0;
    o->after_dashes = -1;
    for (; c.at < argc && o->after_dashes < 0; c.at++) {
        if (strcmp(argv[c.at], "--") == 0) {
            o->after_dashes = o->operand_count;
            continue;
        }
        int status = read_word(o, &c);
        if (status != OPTIONS_GO_ON)
            return status;
    }
    for (; c.at < argc; c.at++)
        keep_operand(o, argv[c.at]);
    o->operands[o->operand_count] = NULL; /* at most where argv ends with its own */
    return check_operands(o);
}
