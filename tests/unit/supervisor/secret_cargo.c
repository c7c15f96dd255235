/* SPDX-License-Identifier: Apache-2.0 */
/* What a gateway that was taken over may hand over in a secret's place. */
#include "supervisor/secret_cargo.h"

#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static struct secret_keys keys;
enum { ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static int make_keys(void **state)
{
    (void)state;
    struct err e;
    return secret_keys_make(&keys, &e);
}

struct fixture {
    struct message_spawn message;
    struct buf sealed;
};

static void add(struct fixture *f, const char *name, struct str value)
{
    struct err e;
    struct message_secret *to = &f->message.secrets[f->message.secret_count++];
    strcpy(to->name, name);
    to->sealed_bytes = (uint32_t)(SECRET_OVERHEAD + value.n);
    assert_int_equal(
        secret_seal(keys.public, &(struct secret_plain){.name = str_from(name), .value = value}, &f->sealed, &e), 0);
}

static struct fixture two(void)
{
    struct fixture f = {0};
    add(&f, "db", STR_LITERAL("hush"));
    add(&f, "tls", STR_LITERAL("a longer one"));
    return f;
}

static int file_of(const struct fixture *f, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, f->sealed.data, f->sealed.len), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void refuse(struct fixture *f, int fd, int code, const char *word)
{
    struct secret_cargo c;
    struct err e = {0};
    assert_int_equal(secret_cargo_open(&c, &keys, &f->message, fd, &e), -code);
    if (!strstr(e.text, word))
        fail_msg("'%s' does not say '%s'", e.text, word);
    assert_null(c.area);
    fd_close(&fd);
    buf_fini(&f->sealed);
}

static void secrets_are_opened_in_order_wherever_the_file_stands(void **state)
{
    (void)state;
    struct secret_cargo c;
    struct err e = {0};
    struct fixture f = two();
    int fd = file_of(&f, ALL_SEALS);
    if (secret_cargo_open(&c, &keys, &f.message, fd, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c.sizes[0], 4);
    assert_memory_equal(c.values[0], "hush", 4);
    assert_int_equal(c.sizes[1], 12);
    assert_memory_equal(c.values[1], "a longer one", 12);
    secret_cargo_wipe(&c);
    secret_cargo_wipe(&c); /* harmless */
    close(fd);
    buf_fini(&f.sealed);
}

static void without_secrets_nothing_is_needed(void **state)
{
    (void)state;
    struct secret_cargo c;
    struct err e;
    static const struct message_spawn none;
    assert_int_equal(secret_cargo_open(&c, &keys, &none, -1, &e), 0);
    assert_null(c.area);
    secret_cargo_wipe(&c);
}

static void one_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct fixture f = two();
    f.message.secrets[1].sealed_bytes = 0;
    refuse(&f, -1, ENOENT, "faasd secret set tls");
}

static void what_did_not_come_is_said(void **state)
{
    (void)state;
    struct fixture f = two();
    refuse(&f, -1, EAGAIN, "open files");
}

static void only_a_sealed_memory_file_of_the_right_size_is_read(void **state)
{
    (void)state;
    struct fixture f = two();
    refuse(&f, file_of(&f, 0), EPROTO, "sealed memory file");
    static const int seals[] = {F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE};
    for (size_t i = 0; i < 4; i++) {
        f = two();
        refuse(&f, file_of(&f, ALL_SEALS & ~seals[i]), EPROTO, "sealed memory file");
    }
    f = two();
    f.message.secrets[0].sealed_bytes++;
    refuse(&f, file_of(&f, ALL_SEALS), EPROTO, "right size");
    f = two();
    f.message.secrets[0].sealed_bytes--;
    refuse(&f, file_of(&f, ALL_SEALS), EPROTO, "right size");
    f = two();
    refuse(&f, open("/dev/zero", O_RDONLY | O_CLOEXEC), EPROTO, "sealed memory file");
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    f = two();
    refuse(&f, ends[0], EPROTO, "sealed memory file"); /* and does not wait for it */
    close(ends[1]);
}

static void two_secrets_can_not_be_swapped(void **state)
{
    (void)state;
    struct fixture f = two();
    strcpy(f.message.secrets[0].name, "tls");
    refuse(&f, file_of(&f, ALL_SEALS), EPERM, "another name");
}

static void bytes_at_the_wrong_place_are_not_opened(void **state)
{
    (void)state;
    struct fixture f = two();
    f.message.secrets[0].sealed_bytes++;
    f.message.secrets[1].sealed_bytes--;
    refuse(&f, file_of(&f, ALL_SEALS), EBADMSG, "faasd secret set db");
}

static void sixteen_of_the_longest_fit(void **state)
{
    (void)state;
    static char value[SECRET_VALUE_MAX];
    struct secret_cargo c;
    struct err e = {0};
    struct fixture f = {0};
    for (int i = 0; i < SETTINGS_SECRETS_MAX; i++)
        add(&f, "db", (struct str){value, sizeof(value)});
    int fd = file_of(&f, ALL_SEALS);
    assert_int_equal(secret_cargo_open(&c, &keys, &f.message, fd, &e), 0);
    for (int i = 0; i < SETTINGS_SECRETS_MAX; i++)
        assert_int_equal(c.sizes[i], SECRET_VALUE_MAX);
    secret_cargo_wipe(&c);
    close(fd);
    buf_fini(&f.sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_opened_in_order_wherever_the_file_stands),
        cmocka_unit_test(without_secrets_nothing_is_needed),
        cmocka_unit_test(one_that_is_not_there_is_named),
        cmocka_unit_test(what_did_not_come_is_said),
        cmocka_unit_test(only_a_sealed_memory_file_of_the_right_size_is_read),
        cmocka_unit_test(two_secrets_can_not_be_swapped),
        cmocka_unit_test(bytes_at_the_wrong_place_are_not_opened),
        cmocka_unit_test(sixteen_of_the_longest_fit),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
