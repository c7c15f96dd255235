/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/archive_ignore.h"

#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>

static const char FILE_NAME[] = ".faasdignore";

static int add_rule(struct archive_ignore *ignore, char *line, unsigned number, struct err *e)
{
    size_t n = strlen(line);
    while (n && strchr(" \t\r", line[n - 1]))
        line[--n] = '\0';
    if (n == 0 || line[0] == '#')
        return 0;
    if (line[0] == '!' || strstr(line, "**"))
        return err_say(e, EINVAL, "%s:%u: '%.*s': '!' and '**' are not supported", FILE_NAME, number, 64, line);
    if (ignore->count == ARCHIVE_IGNORE_RULES_MAX)
        return err_say(e, EINVAL, "%s: more than %d patterns", FILE_NAME, (int)ARCHIVE_IGNORE_RULES_MAX);
    struct archive_ignore_rule rule = {.directories = line[n - 1] == '/'};
    if (rule.directories)
        line[--n] = '\0';
    rule.anchored = strchr(line, '/') != NULL;
    rule.pattern = line[0] == '/' ? line + 1 : line;
    if (!*rule.pattern)
        return err_say(e, EINVAL, "%s:%u: a pattern that names nothing", FILE_NAME, number);
    ignore->rules[ignore->count++] = rule;
    return 0;
}

/* Nobody's pattern has one: the file is UTF-16, say, and what stands behind it would be no rule. */
static int refuse_nul(const char *text, size_t n, struct err *e)
{
    const char *nul = memchr(text, '\0', n);
    unsigned number = 1;
    if (!nul)
        return 0;
    for (const char *at = text; at < nul; at++)
        number += *at == '\n';
    return err_say(e, EINVAL, "%s:%u: a NUL byte: save the file as plain text (UTF-8)", FILE_NAME, number);
}

int archive_ignore_load(struct archive_ignore *ignore, int dirfd, struct err *e)
{
    *ignore = (struct archive_ignore){0};
    if (faccessat(dirfd, FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
        ignore->rules[ignore->count++] = (struct archive_ignore_rule){.pattern = ".git"};
        ignore->rules[ignore->count++] = (struct archive_ignore_rule){.pattern = "__pycache__"};
        return 0;
    }
    ignore->text = malloc(ARCHIVE_IGNORE_BYTES_MAX);
    if (!ignore->text)
        return err_set(e, ENOMEM, "read %s", FILE_NAME);
    ssize_t n = fd_read_file_at(dirfd, FILE_NAME, ignore->text, ARCHIVE_IGNORE_BYTES_MAX, e);
    int r = n < 0 ? (int)n : refuse_nul(ignore->text, (size_t)n, e);
    unsigned number = 0;
    for (char *line = ignore->text, *next; r == 0 && line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        r = add_rule(ignore, line, ++number, e);
    }
    if (r < 0)
        archive_ignore_fini(ignore);
    return r;
}

void archive_ignore_fini(struct archive_ignore *ignore)
{
    free(ignore->text);
    *ignore = (struct archive_ignore){0};
}

bool archive_ignore_matches(const struct archive_ignore *ignore, const char *path, bool is_directory)
{
    if (!strcmp(path, FILE_NAME))
        return true;
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    for (size_t i = 0; i < ignore->count; i++) {
        const struct archive_ignore_rule *rule = &ignore->rules[i];
        if (rule->directories && !is_directory)
            continue;
        if (fnmatch(rule->pattern, rule->anchored ? path : last, FNM_PATHNAME) == 0)
            return true;
    }
    return false;
}
