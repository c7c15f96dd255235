/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/settings.h"

#include "base/fdio.h"
#include "codec/config.h"
#include "codec/json.h"
#include "codec/settings_secret.h"

#include "settings_defaults.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void read_good(struct settings *s, const char *json)
{
    struct err e = {0};
    if (settings_read_json(s, &defaults, str_from(json), &e) < 0)
        fail_msg("%s: %s", json, e.text);
}

static void refuse(const char *json, const char *why)
{
    struct settings s;
    struct err e = {0};
    settings_init(&s, &defaults);
    int r = settings_read_json(&s, &defaults, str_from(json), &e);
    r = r < 0 ? r : settings_check(&s, false, &e);
    assert_int_equal(r, -EINVAL);
    if (!strstr(e.text, why))
        fail_msg("%s: '%s' does not say '%s'", json, e.text, why);
    settings_fini(&s);
}

static char *print(const struct settings *s, bool given_only, bool mask)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(settings_print_json(s, given_only, mask, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    return out.data;
}

static void expect_given(const struct settings *s, const char *want)
{
    char *text = print(s, true, false);
    assert_string_equal(text, want);
    free(text);
}

static void names_of_functions_are_letters_digits_dash_and_underscore(void **state)
{
    (void)state;
    char name[66];
    memset(name, 'a', 65);
    name[65] = '\0';
    assert_true(settings_name_is_valid(str_from("aZ09_-")));
    assert_true(settings_name_is_valid((struct str){.p = name, .n = 64}));
    assert_false(settings_name_is_valid((struct str){.p = name, .n = 65}));
    static const char *const bad[] = {"", ".", "a.b", "../x", "a b", "\xc3\xa9", "a/b", "a:1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(settings_name_is_valid(str_from(bad[i])));
    assert_false(settings_name_is_valid(STR_LITERAL("a\0b")));
}

static void every_key_is_read_and_printed_in_its_canonical_form(void **state)
{
    (void)state;
    struct settings s;
    settings_init(&s, &defaults);
    read_good(&s,
              "{\"description\":\"a "
              "line\",\"runtime\":\"python3.11\",\"handler\":\"app."
              "run\",\"contract\":\"stdio\",\"payload\":\"raw\",\"content_type\":"
              "\"text/"
              "plain\",\"memory\":\"262144K\",\"timeout\":\"60s\",\"tmp\":\"1MiB\",\"tmp_exec\":true,\"env\":{\"B\":"
              "\"2\",\"A\":\"1\"},"
              "\"cpus\":\"0.50\",\"cpu_weight\":7,\"cpuset\":\"0-1,3\",\"pids\":100,\"isolation\":\"fork\","
              "\"stream\":true,\"template\":\"on\","
              "\"imports\":\"json,xml.etree\",\"venv\":\".venv\",\"min_warm\":1,\"max_concurrency\":9,\"reserved\":2,"
              "\"keep_warm\":\"1m30s\",\"queue\":0,\"async_retries\":5,\"async_backoff\":\"20ms\",\"async_max_age\":"
              "\"2h\",\"async_concurrency\":3,"
              "\"on_success\":\"done:$LATEST\",\"on_failure\":\"failed\",\"dead_letter\":\"dead:7\",\"network\":"
              "\"egress\",\"allow_host\":[\"A.example:443\",\"10.0.0.0/8:5432\"],\"mount\":[\"/data:/mnt/"
              "d:rw\",\"/x:/"
              "y\"],\"device\":[\"/dev/"
              "ttyS0\"],\"secret\":[\"db\",\"tls=server.key\"],\"seccomp\":\"learned\",\"system_calls\":[\"write\","
              "\"mmap\",\"write\"],\"auth\":\"token\",\"cors\":\"https://"
              "a.example\",\"$schema\":\"x\"}");
    expect_given(
        &s,
        "{\"runtime\":\"python3.11\",\"handler\":\"app."
        "run\",\"contract\":\"stdio\",\"payload\":\"raw\",\"content_type\":\"text/"
        "plain\",\"stream\":true,\"memory\":\"256M\",\"timeout\":\"1m\",\"tmp\":\"1M\",\"tmp_exec\":true,\"env\":{"
        "\"A\":\"1\","
        "\"B\":\"2\"},"
        "\"cpus\":0.5,\"cpu_weight\":7,\"cpuset\":\"0-1,3\",\"pids\":100,\"isolation\":\"fork\",\"template\":\"on\","
        "\"imports\":\"json,xml.etree\",\"venv\":\".venv\",\"min_warm\":1,\"max_concurrency\":9,\"reserved\":2,"
        "\"keep_warm\":\"1m30s\",\"queue\":0,\"async_retries\":5,\"async_backoff\":\"20ms\",\"async_max_age\":\"2h\","
        "\"async_concurrency\":3,"
        "\"on_success\":\"done:$LATEST\",\"on_failure\":\"failed\",\"dead_letter\":\"dead:7\",\"network\":\"egress\","
        "\"allow_host\":[\"a.example:443\",\"10.0.0.0/8:5432\"],\"mount\":[\"/data:/mnt/"
        "d:rw\",\"/x:/"
        "y\"],\"device\":[\"/dev/"
        "ttyS0\"],\"secret\":[\"db\",\"tls=server.key\"],\"seccomp\":\"learned\",\"system_calls\":[\"mmap\",\"write\"],"
        "\"auth\":\"token\",\"cors\":\"https://"
        "a.example\",\"description\":\"a line\"}");
    assert_int_equal(s.cpus_milli, 500);
    assert_int_equal(s.keep_warm_ms, 90000);
    assert_int_equal(s.async_backoff_ms, 20);
    assert_string_equal(s.on_success, "done:$LATEST");
    assert_string_equal(s.dead_letter, "dead:7");
    assert_true(s.mounts[0].writable && !s.mounts[1].writable);
    assert_int_equal(s.runtime, SETTINGS_RUNTIME_PYTHON);
    assert_string_equal(s.runtime_name, "python3.11");
    assert_int_equal(s.isolation, SETTINGS_ISOLATION_FORK);
    assert_int_equal(s.template, SETTINGS_TEMPLATE_ON);
    assert_int_equal(s.given, (UINT64_C(1) << SETTINGS_KEY_COUNT) - 1);

    /* what is printed reads as the same */
    char *text = print(&s, true, false);
    struct settings again;
    settings_init(&again, &defaults);
    read_good(&again, text);
    expect_given(&again, text);
    free(text);
    settings_fini(&again);
    settings_fini(&s);
}

static void keys_not_given_are_marked_as_defaults(void **state)
{
    (void)state;
    struct settings s;
    settings_init(&s, &defaults);
    read_good(&s, "{\"memory\":\"64M\",\"env\":{\"K\":\"hush\"}}");
    char *text = print(&s, false, true);
    assert_non_null(strstr(text, "\"memory\":\"64M\""));
    assert_non_null(strstr(text, "\"timeout\":\"30s\""));
    assert_non_null(strstr(text, "\"env\":{\"K\":\"***\"}"));
    assert_null(strstr(text, "hush"));
    char *list = strstr(text, "\"defaults\":[");
    assert_non_null(list);
    assert_non_null(strstr(list, "\"timeout\""));
    assert_null(strstr(list, "\"memory\""));
    free(text);
    settings_fini(&s);
}

static void null_returns_a_key_to_its_default(void **state)
{
    (void)state;
    struct settings s;
    settings_init(&s, &defaults);
    read_good(&s, "{\"memory\":\"64M\",\"tmp\":\"1M\",\"env\":{\"A\":\"1\",\"B\":\"2\",\"C\":\"\"},\"mount\":[\"/a:/"
                  "b\"],\"device\":[\"/dev/x\"]}");
    read_good(&s, "{\"memory\":null,\"env\":{\"A\":null,\"D\":\"4\"},\"mount\":null,\"device\":[]}");
    assert_int_equal(s.memory_bytes, defaults.memory_bytes);
    expect_given(&s, "{\"tmp\":\"1M\",\"env\":{\"B\":\"2\",\"C\":\"\",\"D\":\"4\"}}");
    read_good(&s, "{\"env\":null,\"tmp\":null}");
    expect_given(&s, "{}");
    assert_null(s.env);
    settings_fini(&s);
}

static void the_environment_stays_sorted_however_it_is_changed(void **state)
{
    (void)state;
    struct settings s;
    struct err e = {0};
    settings_init(&s, &defaults);
    static const char *const steps[] = {"M=1", "Z=2", "A=3", "AB=4", "A=", "M=longer value", "_=x"};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        assert_int_equal(settings_set_text(&s, "env", str_from(steps[i]), &e), 0);
    static const char want[] = "A=\0AB=4\0M=longer value\0Z=2\0_=x";
    assert_int_equal(s.env_bytes, sizeof(want));
    assert_memory_equal(s.env, want, sizeof(want));
    struct settings copy;
    assert_int_equal(settings_copy(&copy, &s), 0);
    settings_fini(&s);
    assert_memory_equal(copy.env, want, sizeof(want));
    settings_fini(&copy);
}

static void the_environment_has_a_limit(void **state)
{
    (void)state;
    struct settings s;
    struct err e = {0};
    settings_init(&s, &defaults);
    char *value = malloc(SETTINGS_ENV_BYTES_MAX + 1);
    assert_non_null(value);
    memset(value, 'x', SETTINGS_ENV_BYTES_MAX);
    memcpy(value, "A=", 2);
    assert_int_equal(settings_set_text(&s, "env", (struct str){.p = value, .n = SETTINGS_ENV_BYTES_MAX}, &e), -EINVAL);
    assert_int_equal(settings_set_text(&s, "env", (struct str){.p = value, .n = SETTINGS_ENV_BYTES_MAX - 1}, &e), 0);
    assert_int_equal(settings_set_text(&s, "env", str_from("B="), &e), -EINVAL);
    assert_non_null(strstr(e.text, "65536 bytes"));
    free(value);
    settings_fini(&s);
}

static void a_wrong_value_is_refused_with_its_key_and_line(void **state)
{
    (void)state;
    refuse("{\n\"memory\": 128}", "line 2: memory: '128' has no unit: did you mean 128M?");
    refuse("{\"timeout\": \"30\"}", "did you mean 30s?");
    refuse("{\"memory\": \"1M\"}", "memory: 1M is too small: the least is 4M");
    refuse("{\"memory\": true}", "a size such as \"64M\" was expected, not a boolean");
    refuse("{\"pids\": 1}", "too small");
    refuse("{\"pids\": \"64\"}", "a whole number was expected, not a string");
    refuse("{\"pids\": 1.5}", "not a whole number");
    refuse("{\"pids\": -1}", "not a whole number");
    refuse("{\"cpus\": 0.0001}", "not a number");
    refuse("{\"cpus\": 0}", "too small: the least is 0.01");
    refuse("{\"tmp_exec\": \"yes\"}", "true or false was expected, not a string");
    refuse("{\"tmp\": 0}", "too small");
    refuse("{\"handler\": \"../x\"}", "not a path inside");
    refuse("{\"handler\": \"/bin/sh\"}", "not a path inside");
    refuse("{\"handler\": \"a//b\"}", "not a path inside");
    refuse("{\"handler\": \"a/\"}", "not a path inside");
    refuse("{\"content_type\": \"text/plain\\r\\nX: y\"}", "printable ASCII");
    refuse("{\"content_type\": \"text\"}", "media type");
    refuse("{\"description\": \"a\\u001bb\"}", "control characters");
    refuse("{\"cpuset\": \"3-1\"}", "list of CPUs");
    refuse("{\"cpuset\": \"0,\"}", "list of CPUs");
    refuse("{\"env\": {\"A B\":\"1\"}}", "variable's name");
    refuse("{\"env\": {\"A\":1}}", "'A' is a number, not a string");
    refuse("{\"env\": [\"A=1\"]}", "an object of strings");
    refuse("{\"env\": {\"LD_PRELOAD\":\"x\"}}", "LD_PRELOAD is not allowed");
    refuse("{\"mount\": \"/a:/b\"}", "an array of strings");
    refuse("{\"mount\": [\"/a\"]}", "SRC:DST");
    refuse("{\"mount\": [\"/a:/b:rx\"]}", "SRC:DST");
    refuse("{\"mount\": [\"/a:/\"]}", "'/' is the whole tree");
    refuse("{\"mount\": [\"/a/:/b\"]}", "ends with a slash");
    refuse("{\"mount\": [\"a:/b\"]}", "absolute path");
    refuse("{\"mount\": [\"/a/../b:/b\"]}", "absolute path");
    refuse("{\"mount\": [\"/a:/etc/x\"]}", "would hide /etc");
    refuse("{\"mount\": [\"/a:/var\"]}", "would hide /var/task");
    refuse("{\"mount\": [\"/a:/tmp/x\"]}", "would hide /tmp");
    refuse("{\"mount\": [\"/a:/b\",\"/c:/b/d\"]}", "overlap");
    refuse("{\"device\": [\"/etc/passwd\"]}", "not a device");
    refuse("{\"device\": [\"/dev/a\",\"/dev/a\"]}", "twice");
    refuse("{\"secret\": \"db\"}", "an array of strings");
    refuse("{\"secret\": [\"a b\"]}", "no secret's name");
    refuse("{\"secret\": [\"\"]}", "no secret's name");
    refuse("{\"secret\": [\"=db\"]}", "no secret's name");
    refuse("{\"secret\": [\"db=\"]}", "'db=': that is no file name");
    refuse("{\"secret\": [\"db=../x\"]}", "no file name");
    refuse("{\"secret\": [\"db=.x\"]}", "no file name");
    refuse("{\"secret\": [\"db=a/b\"]}", "no file name");
    refuse("{\"secret\": [\"db\",\"other=db\"]}", "'db' stands there twice");
    refuse("{\"secret\": "
           "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\",\"n\",\"o\",\"p\",\"q\"]}",
           "more than 16");
    refuse("{\"min_warm\": 5}", "more than max_concurrency");
    refuse("{\"tmp\":\"65M\",\"memory\":\"64M\"}", "more than memory (64M)");
    refuse("[]", "an object, not an array");
    refuse("{\"memory\":\"64M\",\"memory\":\"65M\"}", "twice");
    refuse("{\"memory\":", "value was expected");
}

static void an_unknown_key_is_refused_with_the_nearest_one(void **state)
{
    (void)state;
    refuse("{\n // a comment\n\"memroy\": \"64M\"}", "line 3: unknown key 'memroy', did you mean 'memory'?");
    refuse("{\"zzzzzzzzzz\": 1}", "unknown key 'zzzzzzzzzz'");
}

static void what_a_later_release_brings_is_refused_by_name(void **state)
{
    (void)state;
    refuse("{\"rootfs\": []}", "'rootfs' is not built yet");
    refuse("{\"payload\": \"htp\"}", "'htp' is not one of: raw, http");
    refuse("{\"network\": \"bridge\"}", "'bridge' is not one of: none, egress, host");
}

static void cors_is_a_list_of_origins_as_browsers_send_them(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "*",
                                       "https://app.example.org",
                                       "http://localhost:3000,https://a.example",
                                       "http://[::1]:8080",
                                       "http://192.0.2.7"};
    static const char *const bad[] = {"app.example.org",     "https://",
                                      "https://a.example/",  "https://A.example",
                                      "ftp://a.example",     "https://a b",
                                      "https://a.example,",  ",https://a.example",
                                      "*,https://a.example", "https://a.example:0",
                                      "https://a.example:x", "http://[::1",
                                      "https://*.a.example", "null"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct settings s;
        struct err e = {0};
        settings_init(&s, &defaults);
        if (settings_set_text(&s, "cors", str_from(good[i]), &e) < 0)
            fail_msg("'%s': %s", good[i], e.text);
        settings_fini(&s);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[128];
        snprintf(text, sizeof(text), "{\"cors\": \"%s\"}", bad[i]);
        refuse(text, "is not an origin");
    }
}

static void an_origin_is_compared_whole(void **state)
{
    (void)state;
    struct settings s = {.cors = "https://a.example,http://localhost:3000"};
    assert_true(settings_cors_allows(&s, STR_LITERAL("https://a.example")));
    assert_true(settings_cors_allows(&s, STR_LITERAL("http://localhost:3000")));
    assert_false(settings_cors_allows(&s, STR_LITERAL("http://a.example")));
    assert_false(settings_cors_allows(&s, STR_LITERAL("https://a.example.evil")));
    assert_false(settings_cors_allows(&s, STR_LITERAL("https://a")));
    assert_false(settings_cors_allows(&s, STR_LITERAL("")));
    strcpy(s.cors, "*");
    assert_true(settings_cors_allows(&s, STR_LITERAL("null")));
    s.cors[0] = '\0';
    assert_false(settings_cors_allows(&s, STR_LITERAL("https://a.example")));
    assert_false(settings_cors_allows(&s, STR_LITERAL("")));
}

static void a_runtime_has_a_family_and_keeps_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum settings_runtime family;
    } good[] = {
        {"exec", SETTINGS_RUNTIME_EXEC},
        {"native", SETTINGS_RUNTIME_NATIVE},
        {"python", SETTINGS_RUNTIME_PYTHON},
        {"python3", SETTINGS_RUNTIME_PYTHON},
        {"python3.9", SETTINGS_RUNTIME_PYTHON},
        {"python3.11", SETTINGS_RUNTIME_PYTHON},
        {"node", SETTINGS_RUNTIME_NODE},
        {"node20", SETTINGS_RUNTIME_NODE},
        {"nodejs", SETTINGS_RUNTIME_NODE},
        {"nodejs20.x", SETTINGS_RUNTIME_NODE},
        {"provided", SETTINGS_RUNTIME_PROVIDED},
        {"provided.al2", SETTINGS_RUNTIME_PROVIDED},
        {"provided.al2023", SETTINGS_RUNTIME_PROVIDED},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct settings s;
        struct err e = {0};
        char want[64];
        settings_init(&s, &defaults);
        assert_int_equal(settings_set_text(&s, "runtime", str_from(good[i].name), &e), 0);
        assert_int_equal(s.runtime, good[i].family);
        assert_string_equal(settings_runtime_name(&s), good[i].name);
        snprintf(want, sizeof(want), "{\"runtime\":\"%s\"}", good[i].name);
        expect_given(&s, want);
        for (size_t other = 0; other < sizeof(good) / sizeof(good[0]); other++) {
            assert_int_equal(settings_set_text(&s, "runtime", str_from(good[other].name), &e), 0);
            assert_int_equal(s.runtime, good[other].family);
        }
        read_good(&s, "{\"runtime\":null}");
        assert_string_equal(settings_runtime_name(&s), "exec");
        expect_given(&s, "{}");
        settings_fini(&s);
    }
    enum settings_runtime untouched = SETTINGS_RUNTIME_NATIVE;
    static const char *const bad[] = {"",           "Python",      "python2",  "python3.",       "python3.1111",
                                      "python3.1a", "nodejs20",    "nodejs.x", "nodejs20.1",     "node20.x",
                                      "provided.",  "provided.al", "exec ",    "provided.al2 23"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(settings_runtime_parse(str_from(bad[i]), &untouched));
    assert_false(settings_runtime_parse(STR_LITERAL("node\0"), &untouched));
    assert_int_equal(untouched, SETTINGS_RUNTIME_NATIVE);
}

static void an_unknown_runtime_is_refused_with_the_nearest_and_the_list(void **state)
{
    (void)state;
    refuse("{\"runtime\": \"pyton\"}", "runtime: 'pyton' is not one of: exec, native, python,");
    refuse("{\"runtime\": \"pyton\"}", "did you mean 'python'?");
    refuse("{\"runtime\": \"nodejs20\"}", "did you mean 'nodejs20.x'?");
    refuse("{\"runtime\": \"python2.7\"}", "did you mean 'python'?");
    refuse("{\"runtime\": \"provided.al2032\"}", "did you mean 'provided.al2023'?");
    refuse("{\"runtime\": \"dotnet8\"}", "What speaks the Lambda Runtime API runs as provided");
    refuse("{\"runtime\": \"\"}", "'' is not one of");
    refuse("{\"runtime\": 3}", "runtime: a string was expected, not a number");
    refuse("{\"runtime\": \"an unreasonably long text in the place of the name of a runtime, far too long\"}",
           "'an unreasonably long text in the place o' is not one of");
}

static void limits_follow_the_runtime_unless_given(void **state)
{
    (void)state;
    struct settings s;
    settings_init(&s, &defaults);
    read_good(&s, "{\"runtime\":\"node\"}");
    assert_int_equal(s.pids, 512);
    assert_false(s.tmp_exec);
    read_good(&s, "{\"runtime\":\"provided\"}");
    assert_int_equal(s.pids, 512);
    assert_true(s.tmp_exec);
    char *text = print(&s, false, false);
    assert_non_null(strstr(text, "\"pids\":512"));
    assert_non_null(strstr(strstr(text, "\"defaults\":["), "\"pids\""));
    free(text);
    read_good(&s, "{\"pids\":70,\"tmp_exec\":false}");
    assert_int_equal(s.pids, 70);
    assert_false(s.tmp_exec);
    read_good(&s, "{\"runtime\":\"python\",\"pids\":null,\"tmp_exec\":null}");
    assert_int_equal(s.pids, 64);
    assert_false(s.tmp_exec);
    settings_fini(&s);

    struct settings_defaults wide = defaults;
    wide.pids = 1000;
    wide.tmp_exec = true;
    struct err e = {0};
    settings_init(&s, &wide);
    assert_int_equal(settings_read_json(&s, &wide, str_from("{\"runtime\":\"node\"}"), &e), 0);
    assert_int_equal(s.pids, 1000);
    assert_true(s.tmp_exec);
    settings_fini(&s);
}

static void accept(const char *json)
{
    struct settings s;
    struct err e = {0};
    settings_init(&s, &defaults);
    read_good(&s, json);
    if (settings_check(&s, false, &e) < 0)
        fail_msg("%s: %s", json, e.text);
    settings_fini(&s);
}

static void keys_that_do_not_go_together_are_refused_with_both_names(void **state)
{
    (void)state;
    refuse("{\"runtime\":\"node\",\"imports\":\"json\"}", "imports: for runtime python; with runtime node");
    refuse("{\"imports\":\"json\"}", "imports: for runtime python; with runtime exec");
    refuse("{\"runtime\":\"provided.al2\",\"venv\":\".venv\"}", "venv: for runtime python; with runtime provided.al2");
    refuse("{\"runtime\":\"python3.11\",\"contract\":\"cgi\"}", "contract: cgi and files are for runtime exec");
    refuse("{\"runtime\":\"native\",\"contract\":\"files\"}", "with runtime native");
    refuse("{\"runtime\":\"node\",\"template\":\"on\"}", "template: instances of runtime node can't be forked");
    refuse("{\"runtime\":\"provided\",\"template\":\"on\"}", "can't be forked");
    refuse("{\"template\":\"on\"}", "instances of runtime exec can't be forked");
    refuse("{\"runtime\":\"python\",\"template\":\"on\",\"isolation\":\"sandbox\"}", "exclude each other");
    refuse("{\"runtime\":\"provided\",\"network\":\"host\"}", "open to every process of the host");
    refuse("{\"reserved\":9}", "reserved: 9 is more than max_concurrency (4)");
    refuse("{\"isolation\":\"vm\"}", "isolation: 'vm' is not one of: reuse, fork, sandbox");
    refuse("{\"template\":true}", "template: a string was expected, not a boolean");
    refuse("{\"template\":\"yes\"}", "'yes' is not one of: auto, on, off");
    refuse("{\"contract\":\"azure\"}", "'azure' is not one of: stdio, cgi, files");
    refuse("{\"async_retries\":1001}", "async_retries: 1001 is too large: the most is 1000");
    refuse("{\"on_success\":\"a b\"}", "on_success: 'a b' is not a function's NAME or NAME:QUALIFIER");
    refuse("{\"on_failure\":\"a:\"}", "on_failure: 'a:' is not a function's NAME or NAME:QUALIFIER");
    refuse("{\"dead_letter\":\"a.b\"}", "dead_letter: 'a.b' is not a function's NAME or NAME:QUALIFIER");
    refuse("{\"on_failure\":\"a:$OLDEST\"}", "on_failure: 'a:$OLDEST' is not a function's NAME or NAME:QUALIFIER");
    refuse("{\"reserved\":1001}", "reserved: 1001 is too large: the most is 1000");

    refuse("{\"seccomp\":\"strict\"}", "seccomp: strict is for runtime native; runtime exec needs more");
    refuse("{\"runtime\":\"python3.11\",\"seccomp\":\"strict\"}", "runtime python3.11 needs more");
    refuse("{\"runtime\":\"node\",\"seccomp\":\"strict\"}", "runtime node needs more");
    refuse("{\"runtime\":\"provided\",\"seccomp\":\"strict\"}", "runtime provided needs more");
    refuse("{\"runtime\":\"native\",\"seccomp\":\"strict\",\"isolation\":\"fork\"}",
           "strict and forked instances exclude");
    refuse("{\"runtime\":\"native\",\"seccomp\":\"strict\",\"template\":\"on\"}",
           "strict and forked instances exclude");
    refuse("{\"runtime\":\"native\",\"seccomp\":\"strict\",\"network\":\"host\"}", "strict and network host exclude");
    refuse("{\"runtime\":\"native\",\"seccomp\":\"strict\",\"network\":\"egress\"}",
           "strict and network egress exclude");
    refuse("{\"runtime\":\"native\",\"seccomp\":\"strict\",\"tmp_exec\":true}", "strict and tmp_exec exclude");
    refuse("{\"seccomp\":\"docker\"}", "seccomp: 'docker' is not one of: default, strict, learned, learning");

    refuse("{\"seccomp\":\"learned\"}", "learned needs system_calls");
    refuse("{\"seccomp\":\"learned\",\"system_calls\":[]}", "learned needs system_calls");
    refuse("{\"system_calls\":[\"read\",\"Write\"]}", "'Write' is no system call's name");
    refuse("{\"system_calls\":[\"\"]}", "'' is no system call's name");
    refuse("{\"system_calls\":\"read\"}", "system_calls: ");

    accept("{\"seccomp\":\"learned\",\"system_calls\":[\"read\",\"openat,write\"]}");
    accept("{\"seccomp\":\"learning\"}");
    accept("{\"runtime\":\"native\",\"seccomp\":\"strict\",\"isolation\":\"sandbox\"}");
    accept("{\"contract\":\"files\"}");
    accept("{\"runtime\":\"node\",\"contract\":\"stdio\",\"imports\":\"\",\"venv\":\"\",\"template\":\"auto\"}");
    accept("{\"runtime\":\"native\",\"template\":\"on\",\"isolation\":\"reuse\"}");
    accept("{\"runtime\":\"python\",\"template\":\"off\",\"isolation\":\"sandbox\",\"imports\":\"_a.b1\"}");
    accept("{\"runtime\":\"node\",\"isolation\":\"fork\",\"network\":\"host\"}");
    accept("{\"isolation\":\"sandbox\"}");
    accept("{\"runtime\":\"provided\",\"isolation\":\"sandbox\"}");
}

static void before_the_manifest_is_known_only_given_keys_conflict(void **state)
{
    (void)state;
    static const char *const undecided[] = {
        "{\"imports\":\"json\"}", "{\"template\":\"on\"}", "{\"handler\":\"app/../x\"}",    "{\"min_warm\":9}",
        "{\"reserved\":9}",       "{\"tmp\":\"500M\"}",    "{\"handler\":\"app.handler\"}",
    };
    static const char *const hopeless[] = {
        "{\"imports\":\"json\",\"runtime\":\"node\"}",
        "{\"min_warm\":9,\"max_concurrency\":8}",
        "{\"tmp\":\"500M\",\"memory\":\"200M\"}",
        "{\"runtime\":\"python\",\"handler\":\"app.py\"}",
    };
    struct settings s;
    struct err e = {0};
    for (size_t i = 0; i < sizeof(undecided) / sizeof(undecided[0]); i++) {
        settings_init(&s, &defaults);
        read_good(&s, undecided[i]);
        if (settings_check(&s, true, &e) < 0)
            fail_msg("%s: %s", undecided[i], e.text);
        settings_fini(&s);
    }
    for (size_t i = 0; i < sizeof(hopeless) / sizeof(hopeless[0]); i++) {
        settings_init(&s, &defaults);
        read_good(&s, hopeless[i]);
        assert_int_equal(settings_check(&s, true, &e), -EINVAL);
        settings_fini(&s);
    }
}

static void a_handler_is_written_as_its_runtime_reads_it(void **state)
{
    (void)state;
    static const struct {
        enum settings_runtime runtime;
        const char *handler, *module, *function; /* module NULL: refused */
    } cases[] = {
        {SETTINGS_RUNTIME_PYTHON, "app.handler", "app", "handler"},
        {SETTINGS_RUNTIME_PYTHON, "lambda_function.lambda_handler", "lambda_function", "lambda_handler"},
        {SETTINGS_RUNTIME_PYTHON, "pkg.app.handler", "pkg/app", "handler"},
        {SETTINGS_RUNTIME_PYTHON, "pkg/app.handler", "pkg/app", "handler"},
        {SETTINGS_RUNTIME_PYTHON, "my-app.main", "my-app", "main"},
        {SETTINGS_RUNTIME_PYTHON, "app", NULL, NULL},
        {SETTINGS_RUNTIME_PYTHON, "app.py", NULL, NULL},
        {SETTINGS_RUNTIME_PYTHON, "app.", NULL, NULL},
        {SETTINGS_RUNTIME_PYTHON, ".handler", NULL, NULL},
        {SETTINGS_RUNTIME_PYTHON, "a..b", NULL, NULL},
        {SETTINGS_RUNTIME_PYTHON, "../app.handler", NULL, NULL},
        {SETTINGS_RUNTIME_PYTHON, "/app.handler", NULL, NULL},
        {SETTINGS_RUNTIME_PYTHON, "a//app.handler", NULL, NULL},
        {SETTINGS_RUNTIME_PYTHON, "app.2nd", NULL, NULL},
        {SETTINGS_RUNTIME_PYTHON, "app.a b", NULL, NULL},
        {SETTINGS_RUNTIME_PYTHON, "", NULL, NULL},
        {SETTINGS_RUNTIME_NODE, "index.handler", "index", "handler"},
        {SETTINGS_RUNTIME_NODE, "src/index.handler", "src/index", "handler"},
        {SETTINGS_RUNTIME_NODE, "index.api.get", "index", "api.get"},
        {SETTINGS_RUNTIME_NODE, "a.b/index.handler", "a.b/index", "handler"},
        {SETTINGS_RUNTIME_NODE, "index.mjs", NULL, NULL},
        {SETTINGS_RUNTIME_NODE, "index.js", NULL, NULL},
        {SETTINGS_RUNTIME_NODE, "index.cjs", NULL, NULL},
        {SETTINGS_RUNTIME_NODE, "index", NULL, NULL},
        {SETTINGS_RUNTIME_NODE, "index.", NULL, NULL},
        {SETTINGS_RUNTIME_NODE, "index.a..b", NULL, NULL},
        {SETTINGS_RUNTIME_NODE, "index.a.", NULL, NULL},
        {SETTINGS_RUNTIME_NODE, "../index.handler", NULL, NULL},
        {SETTINGS_RUNTIME_NODE, "src/.handler", NULL, NULL},
        {SETTINGS_RUNTIME_EXEC, "app.handler", NULL, NULL},
    };
    char module[SETTINGS_PATH_MAX], function[SETTINGS_PATH_MAX];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool good = settings_handler_split(cases[i].runtime, cases[i].handler, module, function);
        if (good != (cases[i].module != NULL))
            fail_msg("%s is %s", cases[i].handler, good ? "taken" : "refused");
        if (!good)
            continue;
        assert_string_equal(module, cases[i].module);
        assert_string_equal(function, cases[i].function);
    }
    refuse("{\"runtime\":\"python\",\"handler\":\"app.py\"}",
           "handler: runtime python: 'app.py' is not MODULE.FUNCTION");
    refuse("{\"runtime\":\"nodejs20.x\",\"handler\":\"index.mjs\"}", "'index.mjs' is not FILE.EXPORT");
    refuse("{\"runtime\":\"native\",\"handler\":\"../x\"}", "not a path inside");
    refuse("{\"runtime\":\"provided\",\"handler\":\"a\\nb\"}", "control characters");
    accept("{\"runtime\":\"provided\",\"handler\":\"com.example.Handler::call\"}");
    accept("{\"runtime\":\"provided\",\"handler\":\"../x\"}");
    accept("{\"runtime\":\"python\"}");
}

static void imports_are_modules_and_a_venv_lies_in_the_directory(void **state)
{
    (void)state;
    static const char *const bad[] = {",",  "json,", ",json",       "a..b", "a.",  ".a",
                                      "1a", "a b",   "json, boto3", "a-b",  "os;x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char json[128];
        snprintf(json, sizeof(json), "{\"runtime\":\"python\",\"imports\":\"%s\"}", bad[i]);
        refuse(json, "imports: '");
    }
    refuse("{\"runtime\":\"python\",\"venv\":\"/usr/lib/venv\"}", "venv: '/usr/lib/venv' is not a path inside");
    refuse("{\"runtime\":\"python\",\"venv\":\"../venv\"}", "not a path inside");
    accept("{\"runtime\":\"python\",\"venv\":\"env/.venv\",\"imports\":\"json,xml.etree.ElementTree,_x\"}");

    char long_list[SETTINGS_IMPORTS_MAX + 1];
    struct settings s;
    struct err e = {0};
    settings_init(&s, &defaults);
    memset(long_list, 'a', sizeof(long_list));
    assert_int_equal(settings_set_text(&s, "imports", (struct str){.p = long_list, .n = SETTINGS_IMPORTS_MAX}, &e),
                     -EINVAL);
    assert_non_null(strstr(e.text, "the most is 1023"));
    assert_int_equal(settings_set_text(&s, "imports", (struct str){.p = long_list, .n = SETTINGS_IMPORTS_MAX - 1}, &e),
                     0);
    settings_fini(&s);
}

static void a_flag_is_read_by_the_same_parser(void **state)
{
    (void)state;
    struct settings s;
    struct err e = {0};
    settings_init(&s, &defaults);
    assert_int_equal(settings_set_text(&s, "memory", str_from("64"), &e), -EINVAL);
    assert_non_null(strstr(e.text, "did you mean 64M?"));
    assert_int_equal(settings_set_text(&s, "memory", str_from("64M"), &e), 0);
    assert_int_equal(settings_set_text(&s, "tmp_exec", str_from("yes"), &e), 0);
    assert_int_equal(settings_set_text(&s, "cpus", str_from("1.25"), &e), 0);
    assert_int_equal(settings_set_text(&s, "timeout", str_from("0"), &e), 0);
    assert_int_equal(settings_set_text(&s, "mount", str_from("/a:/mnt/a"), &e), 0);
    assert_int_equal(settings_set_text(&s, "mount", str_from("/b:/mnt/b:ro"), &e), 0);
    assert_int_equal(settings_set_text(&s, "pids", str_from("12"), &e), 0);
    assert_int_equal(settings_set_text(&s, "env", str_from("NAME"), &e), -EINVAL);
    assert_int_equal(settings_set_text(&s, "nothing", str_from("1"), &e), -EINVAL);
    expect_given(&s, "{\"memory\":\"64M\",\"timeout\":\"0s\",\"tmp_exec\":true,\"cpus\":1.25,\"pids\":12,\"mount\":[\"/"
                     "a:/mnt/a\",\"/b:/mnt/b\"]}");
    settings_fini(&s);
}

static void changes_are_listed_without_the_environments_values(void **state)
{
    (void)state;
    struct settings before, after;
    struct buf out;
    settings_init(&before, &defaults);
    settings_init(&after, &defaults);
    read_good(&before, "{\"env\":{\"A\":\"1\",\"B\":\"2\",\"C\":\"3\"},\"mount\":[\"/a:/b\"]}");
    read_good(&after, "{\"runtime\":\"python3.11\",\"memory\":\"256M\",\"env\":{\"A\":\"1\",\"B\":\"hush\",\"D\":"
                      "\"hush\"},\"cpus\":0.5}");
    buf_init(&out, 0);
    assert_int_equal(settings_print_changes(&before, &after, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_string_equal(out.data, "runtime exec -> python3.11\nmemory 128M -> 256M\nenv B changed\nenv C removed\nenv "
                                  "D added\ncpus 1 -> 0.5\nmount /a:/b -> none\n");
    buf_fini(&out);
    settings_fini(&before);
    settings_fini(&after);
}

static void secrets_have_a_name_and_a_file_and_are_copied(void **state)
{
    (void)state;
    struct settings s, copy;
    struct settings_secret secret;
    struct err e;
    struct buf out;
    size_t at = 0;
    settings_init(&s, &defaults);
    assert_false(settings_secret_next(&s, &at, &secret));
    assert_int_equal(settings_set_text(&s, "secret", STR_LITERAL("db"), &e), 0);
    assert_int_equal(settings_set_text(&s, "secret", STR_LITERAL("tls=server.key"), &e), 0);
    assert_int_equal(settings_set_text(&s, "secret", STR_LITERAL("x=db"), &e), -EINVAL);
    assert_int_equal(settings_copy(&copy, &s), 0);
    read_good(&s, "{\"secret\":null}");
    expect_given(&s, "{}");
    expect_given(&copy, "{\"secret\":[\"db\",\"tls=server.key\"]}");
    assert_true(settings_secret_next(&copy, &at, &secret));
    assert_true(str_is(secret.name, "db") && str_is(secret.file, "db"));
    assert_true(settings_secret_next(&copy, &at, &secret));
    assert_true(str_is(secret.name, "tls") && str_is(secret.file, "server.key"));
    assert_false(settings_secret_next(&copy, &at, &secret));
    buf_init(&out, 0);
    assert_int_equal(settings_print_changes(&s, &copy, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_string_equal(out.data, "secret none -> db, tls=server.key\n");
    buf_fini(&out);
    settings_fini(&copy);
    settings_fini(&s);
}

/* Somebody who writes the value where the name belongs must not find it in a log afterwards. */
static void what_is_no_secrets_name_is_not_repeated(void **state)
{
    (void)state;
    struct settings s;
    struct err e;
    settings_init(&s, &defaults);
    assert_int_equal(settings_set_text(&s, "secret", STR_LITERAL("hunter 2!"), &e), -EINVAL);
    assert_null(strstr(e.text, "hunter"));
    assert_int_equal(settings_set_text(&s, "secret", STR_LITERAL("db=hunter/2!"), &e), -EINVAL);
    assert_null(strstr(e.text, "hunter"));
    settings_fini(&s);
}

static void every_key_has_a_name_and_a_help_line(void **state)
{
    (void)state;
    unsigned n = 0;
    for (; settings_key_name(n); n++)
        assert_non_null(settings_key_help(n));
    assert_int_equal(n, SETTINGS_KEY_COUNT);
    assert_null(settings_key_help(n));
    assert_true(settings_key_is_boolean(SETTINGS_KEY_TMP_EXEC));
    assert_false(settings_key_is_boolean(SETTINGS_KEY_MEMORY));
    assert_false(settings_key_is_boolean(SETTINGS_KEY_ENV));
}

/* Tests run at the top of the repository. */
static void the_published_schema_has_the_same_keys(void **state)
{
    (void)state;
    static char text[65536];
    struct json_doc *doc = NULL;
    struct err e = {0};
    ssize_t n = fd_read_file_at(AT_FDCWD, "docs/faasd.schema.json", text, sizeof(text), &e);
    if (n < 0 || json_parse((struct str){.p = text, .n = (size_t)n}, JSON_STRICT, &doc, &e) < 0)
        fail_msg("%s", e.text);
    unsigned i = 0;
    const struct json *at = json_first(json_get(json_root(doc), "properties"));
    assert_string_equal(json_key(at), "$schema");
    for (at = json_next(at); at; at = json_next(at))
        assert_string_equal(json_key(at), settings_key_name(i++));
    assert_int_equal(i, SETTINGS_KEY_COUNT);
    json_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_functions_are_letters_digits_dash_and_underscore),
        cmocka_unit_test(every_key_is_read_and_printed_in_its_canonical_form),
        cmocka_unit_test(keys_not_given_are_marked_as_defaults),
        cmocka_unit_test(null_returns_a_key_to_its_default),
        cmocka_unit_test(the_environment_stays_sorted_however_it_is_changed),
        cmocka_unit_test(the_environment_has_a_limit),
        cmocka_unit_test(a_wrong_value_is_refused_with_its_key_and_line),
        cmocka_unit_test(an_unknown_key_is_refused_with_the_nearest_one),
        cmocka_unit_test(what_a_later_release_brings_is_refused_by_name),
        cmocka_unit_test(cors_is_a_list_of_origins_as_browsers_send_them),
        cmocka_unit_test(an_origin_is_compared_whole),
        cmocka_unit_test(a_runtime_has_a_family_and_keeps_its_name),
        cmocka_unit_test(an_unknown_runtime_is_refused_with_the_nearest_and_the_list),
        cmocka_unit_test(limits_follow_the_runtime_unless_given),
        cmocka_unit_test(keys_that_do_not_go_together_are_refused_with_both_names),
        cmocka_unit_test(before_the_manifest_is_known_only_given_keys_conflict),
        cmocka_unit_test(a_handler_is_written_as_its_runtime_reads_it),
        cmocka_unit_test(imports_are_modules_and_a_venv_lies_in_the_directory),
        cmocka_unit_test(a_flag_is_read_by_the_same_parser),
        cmocka_unit_test(changes_are_listed_without_the_environments_values),
        cmocka_unit_test(secrets_have_a_name_and_a_file_and_are_copied),
        cmocka_unit_test(what_is_no_secrets_name_is_not_repeated),
        cmocka_unit_test(every_key_has_a_name_and_a_help_line),
        cmocka_unit_test(the_published_schema_has_the_same_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
