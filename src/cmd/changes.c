/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/changes.h"

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"

static void print_lines(const struct json *root, bool dry_run)
{
    uint64_t number = 0;
    bool created = false;
    const struct json *changed = json_get(root, "changed");
    const char *name = json_get_text(root, "name");
    json_get_u64(root, "number", &number);
    json_get_bool(root, "created", &created);
    output_text(stdout, str_from(name ? name : "?"), false);
    if (dry_run)
        fputs(created ? ": would be new" : json_count(changed) ? ": would change" : ": would not change", stdout);
    else if (created)
        printf(": version %lu, new", (unsigned long)number);
    else if (json_count(changed))
        printf(": version %lu", (unsigned long)number);
    else
        printf(": unchanged, version %lu", (unsigned long)number);
    fputc('\n', stdout);
    JSON_EACH(changed, line)
    {
        fputs("  ", stdout);
        output_text(stdout, str_from(json_text(line) ? json_text(line) : ""), false);
        fputc('\n', stdout);
    }
}

int changes_print(const struct changes *c)
{
    struct json_doc *doc;
    struct err e = {0};
    if (c->json) {
        printf("%.*s\n", (int)str_trim(c->reply).n, c->reply.p);
        return output_finish(c->command, CMD_OK);
    }
    if (json_parse(c->reply, JSON_STRICT, &doc, &e) < 0) {
        fprintf(stderr, "faasd %s: the daemon's reply: %s\n", c->command, e.text);
        return CMD_FAILED;
    }
    print_lines(json_root(doc), c->dry_run);
    json_free(doc);
    return output_finish(c->command, CMD_OK);
}
