/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/signing_key.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char scratch[64];
static int dir = -1; /* the state directory */

#define KEY SIGNING_KEY_DIR "/" SIGNING_KEY_FILE
static struct err e;

static int set_up(void **state)
{
    (void)state;
    strcpy(scratch, "/tmp/faasd-key-test-XXXXXX");
    if (!mkdtemp(scratch))
        return -1;
    dir = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 || mkdirat(dir, SIGNING_KEY_DIR, 0755) < 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    fd_close(&dir);
    snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
    return system(command);
}

static void put(const char *name, size_t n, mode_t mode)
{
    scoped_fd fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char bytes[64];
    memset(bytes, 'k', sizeof(bytes));
    assert_true(fd >= 0 && fchmod(fd, mode) == 0);
    assert_int_equal(write(fd, bytes, n), n);
}

static void a_first_start_makes_a_key_that_the_next_finds(void **state)
{
    (void)state;
    unsigned char first[SIGNING_KEY_BYTES] = {0}, second[SIGNING_KEY_BYTES] = {0}, nothing[SIGNING_KEY_BYTES] = {0};
    struct stat st;
    assert_int_equal(signing_key_load(dir, "", first, &e), 0);
    assert_int_equal(signing_key_load(dir, "", second, &e), 0);
    assert_memory_equal(first, second, SIGNING_KEY_BYTES);
    assert_memory_not_equal(first, nothing, SIGNING_KEY_BYTES);
    assert_int_equal(fstatat(dir, KEY, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, SIGNING_KEY_BYTES);
    assert_int_equal(fstatat(dir, SIGNING_KEY_DIR, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(faccessat(dir, KEY ".new", F_OK, 0), -1);
}

static void two_states_have_two_keys(void **state)
{
    (void)state;
    unsigned char first[SIGNING_KEY_BYTES], second[SIGNING_KEY_BYTES];
    assert_int_equal(signing_key_load(dir, "", first, &e), 0);
    assert_int_equal(unlinkat(dir, KEY, 0), 0);
    assert_int_equal(signing_key_load(dir, "", second, &e), 0);
    assert_memory_not_equal(first, second, SIGNING_KEY_BYTES);
}

static void what_is_no_key_of_ours_is_refused_and_stays(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        mode_t mode;
        const char *text;
    } rows[] = {{0, 0600, "32 random bytes"},
                {31, 0600, "32 random bytes"},
                {33, 0600, "32 random bytes"},
                {32, 0644, "chmod 600"},
                {32, 0660, "chmod 600"}};
    unsigned char key[SIGNING_KEY_BYTES];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stat st;
        put(KEY, rows[i].n, rows[i].mode);
        assert_true(signing_key_load(dir, "", key, &e) < 0);
        assert_non_null(strstr(e.text, rows[i].text));
        assert_int_equal(fstatat(dir, KEY, &st, 0), 0);
        assert_int_equal(st.st_size, rows[i].n);
    }
    unlinkat(dir, KEY, 0);
    assert_int_equal(symlinkat("/etc/passwd", dir, KEY), 0);
    assert_true(signing_key_load(dir, "", key, &e) < 0);
    unlinkat(dir, KEY, 0);
    assert_int_equal(mkdirat(dir, KEY, 0700), 0);
    assert_true(signing_key_load(dir, "", key, &e) < 0);
    assert_int_equal(unlinkat(dir, KEY, AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(dir, SIGNING_KEY_DIR, AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("/tmp", dir, SIGNING_KEY_DIR), 0);
    assert_true(signing_key_load(dir, "", key, &e) < 0);
}

static void the_service_managers_credential_wins(void **state)
{
    (void)state;
    unsigned char key[SIGNING_KEY_BYTES], expected[SIGNING_KEY_BYTES];
    memset(expected, 'k', sizeof(expected));
    assert_int_equal(signing_key_load(dir, scratch, key, &e), 0); /* none there: the file is made */
    assert_memory_not_equal(key, expected, sizeof(key));
    put(SIGNING_KEY_CREDENTIAL, SIGNING_KEY_BYTES, 0440);
    assert_int_equal(signing_key_load(dir, scratch, key, &e), 0);
    assert_memory_equal(key, expected, sizeof(key));
    put(SIGNING_KEY_CREDENTIAL, SIGNING_KEY_BYTES - 1, 0400);
    assert_true(signing_key_load(dir, scratch, key, &e) < 0);
    assert_non_null(strstr(e.text, SIGNING_KEY_CREDENTIAL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_first_start_makes_a_key_that_the_next_finds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_states_have_two_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_key_of_ours_is_refused_and_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_service_managers_credential_wins, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
