/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/changes.h"

#include "cmd/cmd.h"
#include "cmd/output.h"
#include "codec/json.h"

static void print_indented(const char *label, const char *text)
{
    printf("  %s", label);
    output_text(stdout, str_from(text ? text : ""), false);
    fputc('\n', stdout);
}

void changes_print_details(const struct json *reply, enum changes_lines lines)
{
    const char *runtime = json_get_text(reply, "runtimeUsed");
    const char *unforked = json_get_text(reply, "noTemplate");
    JSON_EACH(json_get(reply, "changed"), line)
    {
        bool is_code = str_starts_with(str_from(json_text(line)), "code ");
        if (lines == CHANGES_ALL || (lines == CHANGES_SETTINGS && !is_code))
            print_indented("", json_text(line));
    }
    if (runtime && *runtime)
        print_indented("runs on ", runtime);
    if (unforked && *unforked)
        print_indented("not forked: ", unforked);
    JSON_EACH(json_get(reply, "warnings"), warning)
    {
        print_indented("warning: ", json_text(warning));
    }
}

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
    changes_print_details(root, CHANGES_ALL);
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
