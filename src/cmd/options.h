/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option parsing as tables: each entry names an option and where its value goes. Long options take their value after
 * '=' or as the next word, single letters bundle ("-fn10"), options and operands mix, "--" ends the options, "--help"
 * prints the command's text.
 */
#ifndef FAASD_CMD_OPTIONS_H
#define FAASD_CMD_OPTIONS_H

#include "base/err.h"

#include <stdbool.h>

enum option_kind {
    OPTION_BOOL,   /* target is a bool: set to true */
    OPTION_TEXT,   /* target is a const char *: the last one given wins; borrowed from argv */
    OPTION_CALL,   /* on_value(target, value) for each, in order */
    OPTION_SWITCH, /* as CALL, but the value is only taken after '=': NULL without one */
};

struct option {
    const char *name; /* without dashes; NULL ends a table */
    char letter;      /* 0 = none */
    enum option_kind kind;
    void *target;                                                    /* borrowed */
    int (*on_value)(void *target, const char *value, struct err *e); /* 0 or -errno with a sentence */
};

enum { OPTION_TABLES_MAX = 4 };

struct options {
    /* given by the command */
    const char *command;                            /* "deploy" */
    const struct option *tables[OPTION_TABLES_MAX]; /* unused ones are NULL */
    int operands_min;
    int operands_max;          /* -1 = any number */
    const char *operands_text; /* what is missing, for the message: "NAME and PATH" */

    /* found */
    char **operands; /* within argv, which is rearranged; ends with a NULL */
    int operand_count;
    int after_dashes; /* index of the first operand that stood behind "--"; -1: there was no "--" */
};

enum { OPTIONS_GO_ON = -1 };

/* OPTIONS_GO_ON, or the exit status: 0 after --help, 2 after a message on stderr. */
int options_parse(struct options *o, int argc, char **argv);

/* "faasd COMMAND: message" and where to read more, on stderr; returns CMD_USAGE. */
int options_refuse(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
