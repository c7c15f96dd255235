/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds a TCP port, for the message that says it is taken. */
#ifndef FAASD_SUPERVISOR_PORT_HOLDER_H
#define FAASD_SUPERVISOR_PORT_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* "nginx (pid 123)"; false when /proc does not tell. */
bool port_holder_find(unsigned port, char *out, size_t cap);

#endif
