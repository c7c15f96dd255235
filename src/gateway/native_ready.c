/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/native_ready.h"

/* Bytes from 0x80 on are left to whoever shows them: they may be a part of UTF-8. */
static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

static bool take(struct str *at, struct str value)
{
    if (at->p)
        return false;
    *at = value;
    return true;
}

const char *native_ready_parse(struct str payload, struct native_ready *ret_ready)
{
    struct native_ready r = {.runtime.n = 0};
    if (payload.n > NATIVE_READY_MAX)
        return "a READY frame longer than 4 KiB";
    while (payload.n) {
        bool has_name;
        bool has_value;
        struct str name = str_cut(payload, '\0', &payload, &has_name);
        struct str value = str_cut(payload, '\0', &payload, &has_value);
        if (!has_name || !has_value || name.n == 0)
            return "a READY frame whose fields are not pairs of NUL-terminated strings";
        if (!is_printable(name) || !is_printable(value))
            return "a READY frame with a control character in its fields";
        bool once = true;
        if (str_is(name, "runtime"))
            once = take(&r.runtime, value);
        else if (str_is(name, "template"))
            once = take(&r.template, value);
        else if (str_is(name, "imports"))
            once = take(&r.imports, value);
        if (!once)
            return "a READY frame with a field that comes twice";
    }
    *ret_ready = r;
    return NULL;
}
