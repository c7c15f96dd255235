/* SPDX-License-Identifier: Apache-2.0 */
/* `faasd config show`: each key of the configuration, its value and where that came from. */
#ifndef FAASD_CMD_CONFIG_SHOW_H
#define FAASD_CMD_CONFIG_SHOW_H

#include "cmd/client.h"

struct config_show {
    const struct client_target *target;
    const char *config; /* --config: the file that a daemon would be started with; NULL: the usual one */
    bool daemon;        /* what the running daemon uses; otherwise what one started here and now would */
    bool json;
};
int config_show(const struct config_show *s); /* enum cmd_exit */

#endif
