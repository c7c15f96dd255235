/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fmt.h"
#include "cmd/check_calls.h"
#include "cmd/check_egress.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/output.h"
#include "codec/json.h"
#include "supervisor/rootless.h"

#include <stdio.h>
#include <string.h>

static const char *need_text(enum feature_need need)
{
    switch (need) {
    case FEATURE_REQUIRED:
        return "required";
    case FEATURE_DEGRADES:
        return "expected";
    case FEATURE_NICE:
        return "optional";
    }
    return "";
}

static int print_json(const struct feature_set *set)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    json_put_object(&w, NULL);
    json_put_array(&w, "features");
    for (int i = 0; i < FEATURE_COUNT; i++) {
        enum feature f = (enum feature)i;
        json_put_object(&w, NULL);
        json_put_text(&w, "name", feature_name(f));
        json_put_bool(&w, "found", set->found[i]);
        json_put_text(&w, "need", need_text(feature_need(f)));
        json_put_text(&w, "detail", set->detail[i]);
        json_put_text(&w, "lost_without", feature_loss(f));
        if (feature_remedy(set, f))
            json_put_text(&w, "remedy", feature_remedy(set, f));
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    json_put_object_end(&w);
    int r = json_writer_end(&w);
    if (r == 0) {
        fwrite(out.data, 1, out.len, stdout);
        putchar('\n');
    }
    buf_fini(&out);
    return r;
}

/* Once each: several features may want the same. */
static void print_remedies(const struct feature_set *set)
{
    char last[512] = "";
    for (int i = 0; i < FEATURE_COUNT; i++) {
        const char *remedy = feature_remedy(set, (enum feature)i);
        if (!remedy || strcmp(remedy, last) == 0)
            continue;
        printf("%s%s: %s\n", last[0] ? "" : "\n", feature_name((enum feature)i), remedy);
        fmt_to(last, sizeof(last), "%s", remedy);
    }
}

static int print_table(const struct feature_set *set)
{
    static const struct output_column columns[] = {
        {"FEATURE", false}, {"NEED", false}, {"", false}, {"DETAIL", false}, {"WITHOUT IT", false}};
    struct output_table t;
    output_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    int r = 0;
    for (int i = 0; i < FEATURE_COUNT && r == 0; i++) {
        enum feature f = (enum feature)i;
        const char *const cells[] = {feature_name(f), need_text(feature_need(f)), set->found[i] ? "found" : "MISSING",
                                     set->detail[i], set->found[i] ? "" : feature_loss(f)};
        for (size_t k = 0; k < sizeof(cells) / sizeof(cells[0]) && r == 0; k++)
            r = output_table_add(&t, str_from(cells[k]));
    }
    output_table_print(&t, stdout);
    print_remedies(set);
    return r;
}

/* What `faasd serve` would say (hygiene_demand_features). */
static int give_verdict(const struct feature_set *set, bool json)
{
    unsigned required = 0;
    unsigned expected = 0;
    for (int i = 0; i < FEATURE_COUNT; i++) {
        enum feature_need need = feature_need((enum feature)i);
        required += !set->found[i] && need == FEATURE_REQUIRED;
        expected += !set->found[i] && need == FEATURE_DEGRADES;
    }
    if (!json && required)
        puts("\n`faasd serve` can't serve here: what is required and missing, it can't do without.");
    else if (!json && expected)
        puts("\n`faasd serve` refuses to serve here; with --allow-degraded it serves without what is expected and "
             "missing.");
    else if (!json)
        puts("\n`faasd serve` serves here.");
    return required || expected ? CMD_FAILED : CMD_OK;
}

int cmd_check(int argc, char **argv)
{
    bool json = false;
    const char *profile = NULL;
    const struct option table[] = {{.name = "json", .kind = OPTION_BOOL, .target = &json},
                                   {.name = "system-calls", .kind = OPTION_TEXT, .target = &profile},
                                   {0}};
    struct options o = {.command = "check", .tables = {table}};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    if (profile)
        return check_calls(profile, json);
    struct err e;
    struct feature_set set;
    rootless_enter(NULL, &e); /* what can't be had is told */
    if (feature_probe(&set, &e) < 0) {
        fprintf(stderr, "faasd check: %s\n", e.text);
        return CMD_FAILED;
    }
    check_egress_probe(&set);
    if ((json ? print_json(&set) : print_table(&set)) < 0) {
        fprintf(stderr, "faasd check: no memory\n");
        return CMD_FAILED;
    }
    return output_finish("check", give_verdict(&set, json));
}
