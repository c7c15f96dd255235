/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a manifest: either refused with a sentence, or printed in a form that reads back as itself. */
#include "codec/settings.h"

#include "../unit/codec/settings_defaults.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_round_trip(const struct settings *s)
{
    struct settings again;
    struct err e = {0};
    struct buf first, second, changes;
    buf_init(&first, 0);
    buf_init(&second, 0);
    buf_init(&changes, 0);
    settings_init(&again, &defaults);
    assert(settings_print_json(s, true, false, &first) == 0);
    assert(settings_read_json(&again, &defaults, buf_str(&first), &e) == 0);
    assert(settings_print_json(&again, true, false, &second) == 0);
    assert(str_equal(buf_str(&first), buf_str(&second)));
    assert(settings_print_changes(s, &again, &changes) == 0 && changes.len == 0);
    second.len = 0;
    assert(settings_print_json(s, false, true, &second) == 0);
    buf_fini(&first);
    buf_fini(&second);
    buf_fini(&changes);
    settings_fini(&again);
}

/* "key=value" as a flag */
static void set_one(struct str text)
{
    char key[64];
    struct settings s;
    struct err e = {0};
    struct str value;
    struct str name = str_cut(text, '=', &value, NULL);
    settings_init(&s, &defaults);
    if (str_copy(name, key, sizeof(key)) && settings_set_text(&s, key, value, &e) == 0)
        assert(s.given != 0);
    settings_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct settings s;
    struct err e = {0};
    struct str text = {.p = (const char *)data, .n = n};
    settings_init(&s, &defaults);
    if (settings_read_json(&s, &defaults, text, &e) == 0)
        check_round_trip(&s);
    else
        assert(e.code && e.text[0]);
    settings_fini(&s);
    set_one(text);
    return 0;
}
