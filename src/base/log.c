/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"
#include "base/fmt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *log_role = "faasd";
static bool log_quiet;
static atomic_uint log_lost; /* lines for which there was no room since the last one for which there was */

static size_t escape(char *out, size_t cap, const char *text)
{
    size_t n = 0;
    for (const char *p = text; *p && n + 5 < cap; p++) {
        unsigned char c = (unsigned char)*p;
        if (c >= 0x20 && c != 0x7f) {
            out[n++] = *p;
            continue;
        }
        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = "0123456789abcdef"[c >> 4];
        out[n++] = "0123456789abcdef"[c & 15];
    }
    return n;
}

/* False when there was no room. Any other failure is the end of the matter: nothing sensible is left to do with a closed stderr. */
static bool put(const char *severity, const char *text)
{
    char when[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(clock_real_ms(), when);
    char line[LOG_LINE_MAX];
    size_t n = fmt_to(line, sizeof(line), "%s [%s] %s: ", when, log_role, severity);
    n += escape(line + n, sizeof(line) - n - 1, text);
    line[n++] = '\n';
    /* A socket (the journal's) is another's too, who may want it to block; of pipes and terminals hygiene_apply() makes a description that does not. */
    ssize_t r;
    do
        r = send(STDERR_FILENO, line, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    while (r < 0 && (errno == ENOTSOCK || errno == EINTR))
        r = write(STDERR_FILENO, line, n);
    return r >= 0 || errno != EAGAIN;
}

static void tell_lost(void)
{
    char text[96];
    unsigned lost = atomic_exchange(&log_lost, 0);
    if (lost == 0)
        return;
    fmt_to(text, sizeof(text), "%u lines of this log were lost before this one: nobody read it", lost);
    if (!put("warn", text))
        atomic_fetch_add(&log_lost, lost);
}

__attribute__((format(printf, 2, 0))) static void log_line(const char *severity, const char *format, va_list ap)
{
    char text[LOG_LINE_MAX - 96];
    fmt_v(text, sizeof(text), format, ap);
    int saved = errno;
    tell_lost();
    if (!put(severity, text))
        atomic_fetch_add(&log_lost, 1);
    errno = saved;
}

void log_set_quiet(void)
{
    log_quiet = true;
}

void log_set_role(const char *role)
{
    log_role = role;
}

#define LOG_AT(name)                                                                                                   \
    void log_##name(const char *format, ...)                                                                           \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        va_start(ap, format);                                                                                          \
        log_line(#name, format, ap);                                                                                   \
        va_end(ap);                                                                                                    \
    }

LOG_AT(error)
LOG_AT(warn)

void log_info(const char *format, ...)
{
    if (log_quiet)
        return;
    va_list ap;
    va_start(ap, format);
    log_line("info", format, ap);
    va_end(ap);
}
