/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls that a function's settings name (`system_calls`, written by `faasd learn`): what seccomp `learned` leaves it. */
#ifndef FAASD_CODEC_SETTINGS_CALLS_H
#define FAASD_CODEC_SETTINGS_CALLS_H

#include "codec/settings.h"

enum { SETTINGS_CALLS_MAX = 512, SETTINGS_CALL_NAME_MAX = 40 };

/* Adds names with commas between; in alphabetical order, each once. -EINVAL: something is no name of that form; whether it is one is the gateway's to know. */
int settings_add_calls(struct settings *s, struct str names, struct err *e);
void settings_drop_calls(struct settings *s);

/* The name that begins at *at, and moves *at behind it; begin at 0. A NUL follows it. False at the end. */
bool settings_call_next(const struct settings *s, size_t *at, struct str *ret_name);

#endif
