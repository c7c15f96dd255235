/* SPDX-License-Identifier: Apache-2.0 */
/* What a deploy or a change of settings answered, for people. */
#ifndef FAASD_CMD_CHANGES_H
#define FAASD_CMD_CHANGES_H

#include "base/str.h"

#include <stdbool.h>

/* "hello: version 3" and what changed, line by line, on stdout; the reply's JSON with `json`. An exit status. */
struct changes {
    const char *command;
    struct str reply;
    bool json;
    bool dry_run;
};
int changes_print(const struct changes *c);

/* Of a parsed reply, indented: what changed, the interpreter that runs it, each warning. */
enum changes_lines { CHANGES_ALL, CHANGES_SETTINGS, CHANGES_NONE };
struct json;
void changes_print_details(const struct json *reply, enum changes_lines lines);

#endif
