/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "base/fmt.h"

#include <stdarg.h>
#include <string.h>

static const char *errno_name(int errnum)
{
    const char *name = strerrorname_np(errnum);
    return name ? name : "unknown errno";
}

int err_set(struct err *e, int errnum, const char *format, ...)
{
    if (!e)
        return -errnum;
    va_list ap;
    va_start(ap, format);
    size_t n = fmt_v(e->text, sizeof(e->text), format, ap);
    va_end(ap);
    e->code = errnum;
    fmt_at(e->text, sizeof(e->text), n, ": %s", errno_name(errnum));
    return -errnum;
}

int err_say(struct err *e, int errnum, const char *format, ...)
{
    if (!e)
        return -errnum;
    va_list ap;
    va_start(ap, format);
    fmt_v(e->text, sizeof(e->text), format, ap);
    va_end(ap);
    e->code = errnum;
    return -errnum;
}

int err_wrap(struct err *e, const char *format, ...)
{
    char inner[ERR_TEXT_MAX];
    memcpy(inner, e->text, sizeof(inner));
    va_list ap;
    va_start(ap, format);
    size_t n = fmt_v(e->text, sizeof(e->text), format, ap);
    va_end(ap);
    fmt_at(e->text, sizeof(e->text), n, ": %s", inner);
    return -e->code;
}
