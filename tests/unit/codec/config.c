/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int read_text(struct config *c, const char *json, struct err *e)
{
    config_init(c);
    return config_read_json(c, str_from(json), "config.json", e);
}

static void refuse(const char *json, const char *why)
{
    struct config c;
    struct err e = {0};
    assert_int_equal(read_text(&c, json, &e), -EINVAL);
    if (!strstr(e.text, why))
        fail_msg("%s: '%s' does not say '%s'", json, e.text, why);
}

static void refuse_without_a_guess(const char *json, const char *why)
{
    struct config c;
    struct err e = {0};
    assert_int_equal(read_text(&c, json, &e), -EINVAL);
    assert_string_equal(e.text, why);
}

static void the_defaults_are_a_valid_configuration(void **state)
{
    (void)state;
    struct config c;
    struct err e = {0};
    config_init(&c);
    if (config_check(&c, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c.listen_count, 2);
    assert_string_equal(c.listen[0], "127.0.0.1:8080");
    assert_string_equal(c.listen[1], "[::1]:8080");
    assert_int_equal(c.defaults.memory_bytes, 128 << 20);
    assert_int_equal(c.request_bytes_max, 6 << 20);
    assert_int_equal(c.grant_mount_count, 0);
    assert_true(c.memory_budget_bytes > 0);
    assert_int_equal(c.idle_freeze_ms, 5000);
    assert_true(c.prewarm);
    assert_int_equal(c.template_forks_max, 10000);
    assert_int_equal(c.template_age_max_ms, 3600000);
    assert_int_equal(c.runtime_count, 0);
}

static void every_key_prints_and_reads_back(void **state)
{
    (void)state;
    struct config c, again;
    struct err e = {0};
    struct buf first, second;
    static const char text[] =
        "{// "
        "comment\n\"listen\":[\"9000\",\"unix:/run/"
        "x.sock\"],\"invoke_group\":\"www-data\",\"invoke_mode\":\"0666\",\"errors\":\"brief\","
        "\"defaults\":{\"memory\":\"64M\",\"cpus\":0.5,\"tmp_exec\":true,\"max_concurrency\":3},"
        "\"logs\":{\"line_bytes\":1024},"
        "\"etc\":[\"fonts\",\"java-*\"],\"versions_kept\":2,\"drain\":\"1m\","
        "\"runtimes\":{\"python3.12\":\"/opt/py312/bin/python3\",\"node\":\"/usr/bin/node\"},"
        "\"default_auth\":\"token\",\"insecure_control\":true,\"tokens\":5,"
        "\"hosts\":[\"faas.example.org\"],\"trusted_proxies\":[\"10.0.0.0/8\",\"::1\",\"unix:\"],"
        "\"idle_freeze\":\"0s\",\"prewarm\":false,\"template_forks\":7,\"template_age\":\"2h\","
        "\"grants\":{\"mounts\":[\"/data\",\"/srv/www:rw\"],\"devices\":[\"/dev/"
        "ttyS0\"],\"network_host\":true,\"timeout_zero\":true}}";
    if (read_text(&c, text, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c.listen_count, 3);
    assert_string_equal(c.listen[2], "unix:/run/x.sock");
    assert_int_equal(c.invoke_mode, 0666);
    assert_int_equal(c.errors, CONFIG_ERRORS_BRIEF);
    assert_int_equal(c.defaults.cpus_milli, 500);
    assert_int_equal(c.log_line_bytes, 1024);
    assert_int_equal(c.etc_count, 2);
    assert_int_equal(c.drain_ms, 60000);
    assert_int_equal(c.runtime_count, 2);
    assert_true(c.default_auth == SETTINGS_AUTH_TOKEN && c.insecure_control && c.tokens_max == 5);
    assert_string_equal(c.hosts[0], "faas.example.org");
    assert_true(c.proxy_count == 3 && c.proxies[0].bits == 8 && c.proxies[2].first.family == ADDRESS_UNIX);
    assert_string_equal(c.runtimes[0].prefix, "/opt/py312");
    assert_string_equal(c.runtimes[1].prefix, "");
    assert_true(c.idle_freeze_ms == 0 && !c.prewarm && c.template_forks_max == 7);
    assert_int_equal(c.template_age_max_ms, 7200000);
    assert_true(!c.grant_mounts[0].writable && c.grant_mounts[1].writable);
    assert_string_equal(c.grant_mounts[1].source, "/srv/www");
    assert_true(c.grant_network_host && !c.grant_cpuset && c.grant_timeout_zero);

    buf_init(&first, 0);
    buf_init(&second, 0);
    assert_int_equal(config_print_json(&c, &first), 0);
    config_init(&again);
    if (config_read_json(&again, buf_str(&first), "printed", &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(config_print_json(&again, &second), 0);
    assert_true(str_equal(buf_str(&first), buf_str(&second)));
    assert_memory_equal(&c, &again,
                        offsetof(struct config, file_count)); /* what follows tells where a value came from */
    buf_fini(&first);
    buf_fini(&second);
}

static void an_unknown_key_is_named_with_its_line_and_the_nearest(void **state)
{
    (void)state;
    refuse("{\n\"lissten\": []}", "config.json:2: unknown key 'lissten', did you mean 'listen'?");
    refuse("{\"defaults\": {\n\"memroy\": \"1M\"}}",
           "config.json:2: unknown key 'defaults.memroy', did you mean 'defaults.memory'?");
    refuse("{\"grant\": {}}", "did you mean 'grants'?");
    refuse("{\"memory\": \"1M\"}", "unknown key 'memory', did you mean 'defaults.memory'?");
    refuse_without_a_guess("{\"nope\": 1}", "config.json:1: unknown key 'nope'");
    refuse("{\"defaults.memory\": \"64M\"}", "unknown key");
    refuse("{\"defaults\": 1}", "an object was expected");
    refuse("[1]", "an object, not an array");
    refuse("{", "config.json: line 1");
}

static void a_wrong_value_is_refused_with_its_key(void **state)
{
    (void)state;
    refuse("{\"listen\": [\"example.com:80\"]}", "listen: 'example.com:80': the host must be a literal address");
    refuse("{\"listen\": [\"127.0.0.1:99999\"]}", "is not an address");
    refuse("{\"listen\": [\":80\"]}", "literal address");
    refuse("{\"listen\": [\"unix:relative\"]}", "absolute");
    refuse("{\"listen\": [\"8080\",\"127.0.0.1:8080\"]}", "twice");
    refuse("{\"listen\": \"8080\"}", "an array of strings");
    refuse("{\"connections\": 0}", "too small");
    refuse("{\"invoke_mode\": 432}", "a mode such as");
    refuse("{\"invoke_mode\": \"0999\"}", "is not a mode");
    refuse("{\"head_bytes\": 65536}", "did you mean 65536M?");
    refuse("{\"etc\": [\"../shadow\"]}", "not a name under /etc");
    refuse("{\"etc\": [\"a/b/c\"]}", "not a name under /etc");
    refuse("{\"etc\": [\"/etc/fonts\"]}", "not a name under /etc");
    refuse("{\"grants\": {\"mounts\": [\"data\"]}}", "absolute path");
    refuse("{\"grants\": {\"mounts\": [\"/data/../x\"]}}", "absolute path");
    refuse("{\"grants\": {\"devices\": [\"/dev\"]}}", "not a device");
    refuse("{\"grants\": {\"network_host\": \"yes\"}}", "true or false");
    refuse("{\"default_auth\": \"nobody\"}", "is not one of: auto, anonymous, token, admin");
    refuse("{\"tokens\": 0}", "too small");
    refuse("{\"failed_credentials\": 0}", "too small");
    refuse("{\"hosts\": [\"faas.example.org:8080\"]}", "without its port");
    refuse("{\"hosts\": [\"\"]}", "without its port");
    refuse("{\"hosts\": [\"a..b\"]}", "without its port");
    refuse("{\"trusted_proxies\": [\"10.0.0.1/8\"]}", "no bit behind the prefix");
    refuse("{\"trusted_proxies\": [\"localhost\"]}", "is not a range");
    refuse("{\"trusted_proxies\": \"10.0.0.1\"}", "an array of strings");
    refuse("{\"uid_base\": 0}", "too small");
    refuse("{\"uid_base\": 4294967000}", "beyond the last id");
    refuse("{\"uid_count\": 100}", "instances");
    refuse("{\"template_forks\": 0}", "too small");
    refuse("{\"template_age\": \"1ms\"}", "too small");
    refuse("{\"prewarm\": 1}", "true or false");
    refuse("{\"defaults\": {\"min_warm\": 900, \"max_concurrency\": 1}}", "min_warm");
}

static void listening_addresses_are_normalised(void **state)
{
    (void)state;
    struct config c;
    struct err e = {0};
    config_init(&c);
    c.listen_count = 0;
    assert_int_equal(config_add_listen(&c, "0", &e), 0);
    assert_int_equal(config_add_listen(&c, "[0:0::1]:0", &e), 0);
    assert_int_equal(config_add_listen(&c, "0.0.0.0:81", &e), 0);
    assert_int_equal(config_add_listen(&c, "localhost:82", &e), 0);
    assert_int_equal(c.listen_count, 6);
    assert_string_equal(c.listen[0], "127.0.0.1:0");
    assert_string_equal(c.listen[1], "[::1]:0");
    assert_string_equal(c.listen[2], "[::1]:0");
    assert_string_equal(c.listen[5], "[::1]:82");
    assert_int_equal(config_add_listen(&c, "1", &e), 0);
    assert_int_equal(config_add_listen(&c, "2", &e), -EINVAL);
}

/* Whatever single byte of the struct is changed, the check answers, and what passes it prints. */
static void a_struct_with_any_byte_changed_is_refused_or_harmless(void **state)
{
    (void)state;
    struct config good, bad;
    struct err e = {0};
    struct buf out;
    unsigned refused = 0;
    config_init(&good);
    buf_init(&out, 0);
    for (size_t at = 0; at < sizeof(good); at += 7) {
        memcpy(&bad, &good, sizeof(bad));
        ((unsigned char *)&bad)[at] ^= 0xff;
        if (config_check(&bad, &e) < 0) {
            refused++;
            continue;
        }
        out.len = 0;
        assert_int_equal(config_print_json(&bad, &out), 0);
    }
    assert_true(refused > 10);
    memset(&bad, 0, sizeof(bad));
    assert_int_equal(config_check(&bad, &e), -EINVAL);
    memset(&bad, 0xff, sizeof(bad));
    bad.magic = CONFIG_MAGIC;
    bad.size = sizeof(bad);
    assert_int_equal(config_check(&bad, &e), -EINVAL);
    buf_fini(&out);
}

static void keys_that_need_a_restart_are_listed(void **state)
{
    (void)state;
    struct config a, b;
    char keys[128];
    config_init(&a);
    memcpy(&b, &a, sizeof(b));
    assert_int_equal(config_restart_keys(&a, &b, keys, sizeof(keys)), 0);
    b.drain_ms++;
    assert_int_equal(config_restart_keys(&a, &b, keys, sizeof(keys)), 0);
    b.uid_base++;
    b.listen_count--;
    assert_int_not_equal(config_restart_keys(&a, &b, keys, sizeof(keys)), 0);
    assert_string_equal(keys, "listen, uid_base");
}

static char directory[] = "/tmp/faasd-config-XXXXXX";

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int make_directory(void **state)
{
    (void)state;
    char path[128];
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof(path), "%s/conf.d", directory);
    return mkdir(path, 0755) || chmod(path, 0755);
}

static int remove_directory(void **state)
{
    (void)state;
    static const char *const names[] = {"config.json", "conf.d/10-a.json", "conf.d/20-b.json", "conf.d/README",
                                        "conf.d/.hidden.json"};
    char path[128];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/conf.d", directory);
    rmdir(path);
    return rmdir(directory);
}

static void files_of_conf_d_come_after_the_main_file_in_name_order(void **state)
{
    (void)state;
    struct config c;
    struct err e = {0};
    char path[128];
    snprintf(path, sizeof(path), "%s/config.json", directory);
    config_init(&c);
    assert_int_equal(config_read_files(&c, path, false, &e), 0);
    assert_int_equal(config_read_files(&c, path, true, &e), -ENOENT);
    assert_int_equal(config_read_files(&c, "/nonexistent/config.json", false, &e), 0);

    write_file("config.json", "{\"drain\":\"1s\",\"functions\":1,\"queue_timeout\":\"1s\"}", 0644);
    write_file("conf.d/20-b.json", "{\"drain\":\"3s\"}", 0600);
    write_file("conf.d/10-a.json", "{\"drain\":\"2s\",\"functions\":2}", 0644);
    write_file("conf.d/README", "not json", 0644);
    write_file("conf.d/.hidden.json", "not json", 0644);
    if (config_read_files(&c, path, true, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c.drain_ms, 3000);
    assert_int_equal(c.functions_max, 2);
    assert_int_equal(c.queue_timeout_ms, 1000);

    write_file("conf.d/20-b.json", "{\n\"drian\":\"3s\"}", 0644);
    assert_int_equal(config_read_files(&c, path, true, &e), -EINVAL);
    assert_non_null(strstr(e.text, "conf.d/20-b.json:2: unknown key 'drian', did you mean 'drain'?"));
    write_file("conf.d/20-b.json", "{}", 0644);
}

static void a_file_or_directory_that_others_may_write_is_refused(void **state)
{
    (void)state;
    struct config c;
    struct err e = {0};
    char path[128];
    snprintf(path, sizeof(path), "%s/config.json", directory);
    write_file("config.json", "{}", 0666);
    config_init(&c);
    assert_int_equal(config_read_files(&c, path, true, &e), -EPERM);
    assert_non_null(strstr(e.text, "written by others"));
    write_file("config.json", "{}", 0644);
    assert_int_equal(config_read_files(&c, path, true, &e), 0);
    assert_int_equal(chmod(directory, 0777), 0);
    assert_int_equal(config_read_files(&c, path, true, &e), -EPERM);
    assert_int_equal(chmod(directory, 0755), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_a_valid_configuration),
        cmocka_unit_test(every_key_prints_and_reads_back),
        cmocka_unit_test(an_unknown_key_is_named_with_its_line_and_the_nearest),
        cmocka_unit_test(a_wrong_value_is_refused_with_its_key),
        cmocka_unit_test(listening_addresses_are_normalised),
        cmocka_unit_test(a_struct_with_any_byte_changed_is_refused_or_harmless),
        cmocka_unit_test(keys_that_need_a_restart_are_listed),
        cmocka_unit_test(files_of_conf_d_come_after_the_main_file_in_name_order),
        cmocka_unit_test(a_file_or_directory_that_others_may_write_is_refused),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
