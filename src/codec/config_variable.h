/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of the environment that are nobody's. */
#ifndef FAASD_CODEC_CONFIG_VARIABLE_H
#define FAASD_CODEC_CONFIG_VARIABLE_H

#include <stdbool.h>

enum { CONFIG_VARIABLE_MAX = 96 };

/* A FAASD_ variable that is neither a key's nor one of the command line's: very likely a slip, but it may be somebody else's name, so it is for a warning. From
 * *at on, which moves behind it. False when there is none (any more). `name`: cut. *ret_nearest: NULL when none is near; valid until the next call. */
bool config_next_unknown_variable(char *const **at, char name[CONFIG_VARIABLE_MAX], const char **ret_nearest);

#endif
