/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's own log: one line, one write(2) (or send(2)) to stderr, never more than LOG_LINE_MAX bytes.
 * "2026-11-21T09:00:00.123Z [gateway] warn: text key=value". Only gateway/, supervisor/ and cmd/ log.
 * error = somebody should act; warn says what happens next; info = life cycle only, never per request.
 * Nobody waits for who reads it: a line for which a pipe or a socket has no room is lost, and the next one for which there is says how many were.
 * Control characters in a line are shown as \xNN, so that nothing a function says reaches a terminal.
 */
#ifndef FAASD_BASE_LOG_H
#define FAASD_BASE_LOG_H

enum { LOG_LINE_MAX = 1024 };

void log_set_quiet(void);            /* no info lines from here on: a daemon behind one command (faasd run) */
void log_set_role(const char *role); /* borrowed for the life of the process */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
