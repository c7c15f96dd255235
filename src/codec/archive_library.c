/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/archive_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define LIBRARY "libarchive.so.13"

struct archive_library archive_lib;

int archive_library_load(struct err *e)
{
    static const struct {
        const char *name;
        void *place;
    } wanted[] = {
#define PLACE(f) {#f, &archive_lib.f},
        ARCHIVE_FUNCTIONS(PLACE)
#undef PLACE
    };
    if (archive_lib.handle)
        return 0;
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return err_say(e, ENOENT, "%s; where it is missing: install libarchive13", dlerror());
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        void *symbol = dlsym(handle, wanted[i].name);
        if (!symbol) {
            dlclose(handle);
            return err_say(e, ENOENT, "%s has no %s", LIBRARY, wanted[i].name);
        }
        /* through memcpy: ISO C has no conversion from an object's pointer to a function's */
        memcpy(wanted[i].place, &symbol, sizeof(symbol));
    }
    archive_lib.handle = handle;
    return 0;
}

/* "C.UTF-8" is built into glibc since 2.35. */
locale_t archive_enter_utf8(locale_t *ret_before)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    *ret_before = utf8 ? uselocale(utf8) : (locale_t)0;
    return utf8;
}

void archive_leave_utf8(locale_t utf8, locale_t before)
{
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
}
