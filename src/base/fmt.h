/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A printf subset that is async-signal-safe: no malloc, no locale, no stdio. Usable between clone and exec.
 *
 * Understands %s %c %d %u %x %% with the length modifiers l, ll, z and nothing else; %.*s and %.12s take a length.
 * A NULL string prints as "(null)". Output is cut at the buffer's end and always NUL-terminated.
 */
#ifndef FAASD_BASE_FMT_H
#define FAASD_BASE_FMT_H

#include <stdarg.h>
#include <stddef.h>

/* Both return the number of bytes that stand in `out`, without the NUL (never more than cap - 1). cap > 0. */
size_t fmt_v(char *out, size_t cap, const char *format, va_list ap) __attribute__((format(printf, 3, 0)));
size_t fmt_to(char *out, size_t cap, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Writes behind the first `at` bytes of `out`; returns the new length. at < cap. */
size_t fmt_at(char *out, size_t cap, size_t at, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
