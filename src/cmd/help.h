/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of `faasd help`. */
#ifndef FAASD_CMD_HELP_H
#define FAASD_CMD_HELP_H

#include <stdbool.h>
#include <stdio.h>

/* One command's text on stdout. False, and nothing printed, for an unknown name. */
bool help_print(const char *command);

void help_print_overview(FILE *to);

/* The command whose name is nearest to a mistyped one, NULL when none is near. */
const char *help_find_nearest(const char *command);

#endif
