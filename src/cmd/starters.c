/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/starters.h"

#include "starter_texts.h"

#define TEXT(array)                                                                                                    \
    {                                                                                                                  \
        .p = (const char *)(array), .n = sizeof(array)                                                                 \
    }
#define EVERY_ONE(runtime)                                                                                             \
    {"faasd.json", TEXT(starter_##runtime##_faasd_json), 0644}, {"event.json", TEXT(starter_event_json), 0644},        \
    {                                                                                                                  \
        "README.md", TEXT(starter_##runtime##_README_md), 0644                                                         \
    }

static const struct starter_file EXEC[] = {{"run", TEXT(starter_exec_run), 0755}, EVERY_ONE(exec), {0}};
static const struct starter_file NATIVE[] = {
    {"main.c", TEXT(starter_native_main_c_in), 0644},
    {"Makefile", TEXT(starter_native_Makefile), 0644},
    EVERY_ONE(native),
    {0},
};
static const struct starter_file PYTHON[] = {{"app.py", TEXT(starter_python_app_py), 0644}, EVERY_ONE(python), {0}};
static const struct starter_file NODE[] = {{"index.mjs", TEXT(starter_node_index_mjs), 0644}, EVERY_ONE(node), {0}};
static const struct starter_file PROVIDED[] = {
    {"bootstrap", TEXT(starter_provided_bootstrap), 0755}, EVERY_ONE(provided), {0}};

const struct starter_file *starter_files(enum settings_runtime r)
{
    static const struct starter_file *const files[SETTINGS_RUNTIMES] = {
        [SETTINGS_RUNTIME_EXEC] = EXEC, [SETTINGS_RUNTIME_NATIVE] = NATIVE,     [SETTINGS_RUNTIME_PYTHON] = PYTHON,
        [SETTINGS_RUNTIME_NODE] = NODE, [SETTINGS_RUNTIME_PROVIDED] = PROVIDED,
    };
    return files[r];
}

int starter_fill(struct str text, const struct starter_words *words, struct buf *out)
{
    const struct {
        const char *mark, *word;
    } places[] = {
        {"@NAME@", words->name}, {"@RUNTIME@", words->runtime}, {"@LIB@", words->lib}, {"@INCLUDE@", words->include}};
    int r = 0;
    while (r == 0 && text.n) {
        bool found;
        struct str rest;
        struct str before = str_cut(text, '@', &rest, &found);
        r = buf_add_str(out, before);
        if (r < 0 || !found)
            break;
        text = str_skip(text, before.n);
        size_t i = 0;
        while (i < sizeof(places) / sizeof(places[0]) && !str_starts_with(text, places[i].mark))
            i++;
        bool known = i < sizeof(places) / sizeof(places[0]);
        r = buf_add_text(out, known ? places[i].word : "@");
        text = str_skip(text, known ? str_from(places[i].mark).n : 1);
    }
    return r;
}
