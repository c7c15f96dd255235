/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/verbs.h"

#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/help.h"
#include "cmd/options.h"

#include <stdio.h>
#include <string.h>

/* "set, ls or rm" */
static void list_verbs(const struct verb *verbs, char *text, size_t size)
{
    size_t n = 0;
    for (const struct verb *v = verbs; v->name && n < size; v++) {
        const char *between = v == verbs ? "" : v[1].name ? ", " : " or ";
        n += (size_t)snprintf(text + n, size - n, "%s%s", between, v->name);
    }
}

static const char *find_nearest(const struct verb *verbs, const char *word)
{
    for (const struct verb *v = verbs; v->name; v++)
        if (str_distance(word, v->name) == 1)
            return v->name;
    return NULL;
}

int verbs_run(const char *command, const struct verb *verbs, int argc, char **argv)
{
    char all[128];
    const char *word = argc > 1 ? argv[1] : NULL;
    list_verbs(verbs, all, sizeof(all));
    if (!word)
        return options_refuse(command, "say what to do: %s", all);
    for (const struct verb *v = verbs; v->name; v++)
        if (strcmp(v->name, word) == 0)
            return v->run(argc - 1, argv + 1);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        help_print(command);
        return CMD_OK;
    }
    const char *nearest = find_nearest(verbs, word);
    if (nearest)
        return options_refuse(command, "say what to do: not '%s', did you mean '%s'?", word, nearest);
    return options_refuse(command, "say what to do: %s, not '%s'", all, word);
}
