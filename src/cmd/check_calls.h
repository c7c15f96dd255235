/* SPDX-License-Identifier: Apache-2.0 */
/* `faasd check --system-calls PROFILE`: the table that the filter is made from (sandbox/profile.h), for people and, as JSON, for tests. */
#ifndef FAASD_CMD_CHECK_CALLS_H
#define FAASD_CMD_CHECK_CALLS_H

#include <stdbool.h>

int check_calls(const char *profile, bool json); /* the command's status */

#endif
