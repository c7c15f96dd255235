/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/starters.h"

#include "codec/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct starter_words WORDS = {
    .name = "greet", .runtime = "exec", .lib = "/lib/libfaasd.a", .include = "/include"};

static char *fill(struct str text, const struct starter_words *words)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(starter_fill(text, words, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    return out.data;
}

static void words_take_their_places_and_other_signs_stay(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"@NAME@", "greet"},
        {"a@NAME@b@NAME@", "agreetbgreet"},
        {"-d @event.json @NAME@", "-d @event.json greet"},
        {"@LIB@ @INCLUDE@", "/lib/libfaasd.a /include"},
        {"@", "@"},
        {"@@NAME@@", "@greet@"},
        {"$@ $<", "$@ $<"},
        {"", ""},
        {"@NAM", "@NAM"},
        {"@RUNTIME@@RUNTIME@", "execexec"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = fill(str_from(cases[i].text), &WORDS);
        assert_string_equal(text, cases[i].want);
        free(text);
    }
}

static void every_runtime_has_a_manifest_an_event_and_a_readme(void **state)
{
    (void)state;
    static const char *const needed[] = {"faasd.json", "event.json", "README.md"};
    for (unsigned r = 0; r < SETTINGS_RUNTIMES; r++)
        for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
            const struct starter_file *f = starter_files(r);
            while (f->name && strcmp(f->name, needed[i]) != 0)
                f++;
            if (!f->name)
                fail_msg("%s has no %s", settings_runtime_family(r), needed[i]);
        }
}

static void every_manifest_is_one_that_the_daemon_takes(void **state)
{
    (void)state;
    struct config *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    config_init(c);
    for (unsigned r = 0; r < SETTINGS_RUNTIMES; r++) {
        struct starter_words words = WORDS;
        struct settings s;
        struct err e = {0};
        words.runtime = settings_runtime_family(r);
        for (const struct starter_file *f = starter_files(r); f->name; f++) {
            if (strcmp(f->name, "faasd.json") != 0)
                continue;
            char *text = fill(f->text, &words);
            settings_init(&s, &c->defaults);
            if (settings_read_json(&s, &c->defaults, str_from(text), &e) < 0 || settings_check(&s, false, &e) < 0)
                fail_msg("%s: %s", words.runtime, e.text);
            assert_int_equal(s.runtime, r);
            settings_fini(&s);
            free(text);
        }
    }
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_take_their_places_and_other_signs_stay),
        cmocka_unit_test(every_runtime_has_a_manifest_an_event_and_a_readme),
        cmocka_unit_test(every_manifest_is_one_that_the_daemon_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
