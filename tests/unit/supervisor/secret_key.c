/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/secret_key.h"

#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char scratch[] = "/tmp/faasd-key-test-XXXXXX";
static int state_fd = -1;

static int make_scratch(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    if (!mkdtemp(scratch))
        return -1;
    state_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return state_fd < 0;
}

static int remove_scratch(void **state)
{
    (void)state;
    char command[128];
    fd_close(&state_fd);
    snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
    return system(command);
}

/* No key yet: each test begins there. */
static int forget(void **state)
{
    (void)state;
    char command[160];
    snprintf(command, sizeof(command), "rm -rf '%s/keys' '%s/credentials'", scratch, scratch);
    unsetenv("CREDENTIALS_DIRECTORY");
    return system(command);
}

static struct secret_keys *open_keys(void)
{
    struct secret_keys *k = NULL;
    struct err e = {0};
    if (secret_key_open(&k, state_fd, &e) < 0)
        fail_msg("%s", e.text);
    return k;
}

static void refuse(int code, const char *word)
{
    struct secret_keys *k = NULL;
    struct err e = {0};
    assert_int_equal(secret_key_open(&k, state_fd, &e), -code);
    assert_null(k);
    if (!strstr(e.text, word))
        fail_msg("'%s' does not say '%s'", e.text, word);
}

static void put(const char *path, const void *bytes, size_t n)
{
    int fd = openat(state_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
}

static void a_key_is_made_once_for_root_alone(void **state)
{
    (void)state;
    struct stat dir, file;
    struct secret_keys *first = open_keys();
    assert_int_equal(fstatat(state_fd, "keys", &dir, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(fstatat(state_fd, "keys/secrets.key", &file, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(dir.st_mode, S_IFDIR | 0700);
    assert_int_equal(file.st_mode, S_IFREG | 0600);
    assert_int_equal(file.st_size, SECRET_KEY_BYTES);
    struct secret_keys *again = open_keys();
    assert_memory_equal(first, again, sizeof(*first));
    secret_key_close(first);
    secret_key_close(again);
}

static void a_start_that_was_cut_off_leaves_nothing_in_the_way(void **state)
{
    (void)state;
    assert_int_equal(mkdirat(state_fd, "keys", 0700), 0);
    put("keys/secrets.key.new", "half", 4);
    secret_key_close(open_keys());
    assert_int_equal(faccessat(state_fd, "keys/secrets.key.new", F_OK, 0), -1);
}

static void a_key_of_a_wrong_size_is_refused_and_stays(void **state)
{
    (void)state;
    struct stat st;
    static const char bytes[SECRET_KEY_BYTES + 1] = "0123456789";
    static const size_t sizes[] = {0, 1, SECRET_KEY_BYTES - 1, SECRET_KEY_BYTES + 1};
    assert_int_equal(mkdirat(state_fd, "keys", 0700), 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put("keys/secrets.key", bytes, sizes[i]);
        refuse(EINVAL, "a key has 32");
        assert_int_equal(fstatat(state_fd, "keys/secrets.key", &st, 0), 0);
        assert_int_equal(st.st_size, sizes[i]);
    }
}

static void a_key_that_others_could_read_is_refused(void **state)
{
    (void)state;
    secret_key_close(open_keys());
    assert_int_equal(fchmodat(state_fd, "keys/secrets.key", 0640, 0), 0);
    refuse(EPERM, "mode 600");
    assert_int_equal(fchmodat(state_fd, "keys/secrets.key", 0600, 0), 0);
    assert_int_equal(fchownat(state_fd, "keys/secrets.key", 70001, 0, 0), 0);
    refuse(EPERM, "belongs to uid 70001");
}

static void a_link_in_the_keys_place_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdirat(state_fd, "keys", 0700), 0);
    assert_int_equal(symlinkat("/etc/hostname", state_fd, "keys/secrets.key"), 0);
    refuse(ELOOP, "secrets.key");
    forget(NULL);
    assert_int_equal(symlinkat("/etc", state_fd, "keys"), 0);
    refuse(ENOTDIR, "keys");
}

static void a_credential_of_systemds_comes_first(void **state)
{
    (void)state;
    char dir[64];
    uint8_t bytes[SECRET_KEY_BYTES];
    struct secret_keys *own = open_keys();
    memset(bytes, 7, sizeof(bytes));
    assert_int_equal(mkdirat(state_fd, "credentials", 0700), 0);
    snprintf(dir, sizeof(dir), "%s/credentials", scratch);
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    struct secret_keys *still = open_keys(); /* a directory without one of ours */
    assert_memory_equal(still, own, sizeof(*own));
    put("credentials/faasd-secrets-key", bytes, sizeof(bytes));
    struct secret_keys *given = open_keys();
    assert_memory_equal(given->private, bytes, sizeof(bytes));
    put("credentials/faasd-secrets-key", bytes, 5);
    refuse(EINVAL, "faasd-secrets-key");
    secret_key_close(own);
    secret_key_close(still);
    secret_key_close(given);
}

static void a_forked_process_does_not_have_it(void **state)
{
    (void)state;
    int status;
    static const struct secret_keys zero;
    struct secret_keys *k = open_keys();
    pid_t pid = fork();
    if (pid == 0)
        _exit(memcmp(k, &zero, sizeof(zero)) == 0 ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_memory_not_equal(k, &zero, sizeof(zero));
    secret_key_close(k);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup(t, forget)
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_made_once_for_root_alone),          TEST(a_start_that_was_cut_off_leaves_nothing_in_the_way),
        TEST(a_key_of_a_wrong_size_is_refused_and_stays), TEST(a_key_that_others_could_read_is_refused),
        TEST(a_link_in_the_keys_place_is_refused),        TEST(a_credential_of_systemds_comes_first),
        TEST(a_forked_process_does_not_have_it),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
