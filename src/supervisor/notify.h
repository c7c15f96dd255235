/* SPDX-License-Identifier: Apache-2.0 */
/* Telling whoever started us: systemd's notify protocol (sd_notify(3)), one datagram a message. Without NOTIFY_SOCKET nothing happens. */
#ifndef FAASD_SUPERVISOR_NOTIFY_H
#define FAASD_SUPERVISOR_NOTIFY_H

void notify_ready(void);
void notify_reloading(void); /* to be followed by notify_ready */
void notify_stopping(void);
void notify_alive(void); /* for its watchdog */

#endif
