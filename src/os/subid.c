/* SPDX-License-Identifier: Apache-2.0 */
#include "os/subid.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <fcntl.h>
#include <pwd.h>
#include <string.h>

enum { FILE_MAX = 1024 * 1024 };

/* "name:first:count" */
static bool parse_line(struct str line, const char *name, const char *number, struct subid_range *ret_range)
{
    struct str rest;
    uint64_t first, count;
    struct str owner = str_cut(line, ':', &rest, NULL);
    if (!(name[0] && str_is(owner, name)) && !str_is(owner, number))
        return false;
    struct str from = str_cut(rest, ':', &rest, NULL);
    if (!str_to_u64(from, &first) || !str_to_u64(rest, &count) || first == 0 || count == 0 ||
        first + count > UINT32_MAX || first > UINT32_MAX || count > UINT32_MAX)
        return false;
    *ret_range = (struct subid_range){.first = (uint32_t)first, .count = (uint32_t)count};
    return true;
}

int subid_read(const char *path, uid_t user, struct subids *ret_ids, struct err *e)
{
    scoped_free char *text = malloc(FILE_MAX);
    if (!text)
        return err_set(e, ENOMEM, "read '%s'", path);
    ssize_t n = fd_read_file_at(AT_FDCWD, path, text, FILE_MAX, e);
    if (n < 0)
        return (int)n;
    char name[256] = "", number[16];
    const struct passwd *known = getpwuid(user);
    if (known)
        str_copy(str_from(known->pw_name), name, sizeof(name));
    fmt_to(number, sizeof(number), "%u", user);
    *ret_ids = (struct subids){0};
    struct str rest = {.p = text, .n = (size_t)n};
    while (rest.n && ret_ids->count < SUBID_RANGES_MAX)
        ret_ids->count += parse_line(str_cut(rest, '\n', &rest, NULL), name, number, &ret_ids->ranges[ret_ids->count]);
    if (ret_ids->count == 0)
        return err_say(e, ENOENT, "'%s' gives uid %u none", path, user);
    return 0;
}

uint32_t subid_total(const struct subids *s)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < s->count; i++)
        total += s->ranges[i].count;
    return total > UINT32_MAX ? UINT32_MAX : (uint32_t)total;
}

void subid_cut(struct subids *s, uint32_t max)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->ranges[i].count >= max) {
            s->ranges[i].count = max;
            s->count = i + (max > 0);
            return;
        }
        max -= s->ranges[i].count;
    }
}
