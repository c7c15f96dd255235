/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, whatever one call gives or takes. */
#include "base/fdio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cmocka.h>

static unsigned calls;
static size_t piece;     /* at most so many bytes a call; 0: as many as asked for */
static bool interrupted; /* every second call */

static long pass(long number, int fd, const void *bytes, size_t n, off_t at)
{
    if (calls++ % 2 == 0 && interrupted) {
        errno = EINTR;
        return -1;
    }
    return syscall(number, fd, bytes, piece && n > piece ? piece : n, at);
}

/* They stand before the C library's. */
ssize_t pread_piece(int fd, void *out, size_t n, off_t at) __asm__("pread");
ssize_t pread_piece(int fd, void *out, size_t n, off_t at)
{
    return pass(SYS_pread64, fd, out, n, at);
}

ssize_t pwrite_piece(int fd, const void *bytes, size_t n, off_t at) __asm__("pwrite");
ssize_t pwrite_piece(int fd, const void *bytes, size_t n, off_t at)
{
    return pass(SYS_pwrite64, fd, bytes, n, at);
}

static int setup(void **state)
{
    static int fd;
    fd = memfd_create("fdio", MFD_CLOEXEC);
    calls = 0;
    piece = 0;
    interrupted = false;
    *state = &fd;
    return fd < 0;
}

static int teardown(void **state)
{
    fd_close(*state);
    return 0;
}

static void fill(int fd, const char *text)
{
    assert_int_equal(fd_pwrite_full(fd, text, strlen(text), 0), 0);
    calls = 0;
}

static void whole_lines_are_one_read(void **state)
{
    int fd = *(int *)*state;
    char out[64];
    fill(fd, "12\n345\n");
    assert_int_equal(fd_pread_lines(fd, out, sizeof(out)), 7);
    assert_memory_equal(out, "12\n345\n", 7);
    assert_int_equal(calls, 1);
    assert_int_equal(fd_pread_lines(fd, out, sizeof(out)), 7); /* from the beginning again */
}

static void nothing_is_nothing(void **state)
{
    char out[8];
    assert_int_equal(fd_pread_lines(*(int *)*state, out, sizeof(out)), 0);
}

static void pieces_and_interruptions_come_out_whole(void **state)
{
    int fd = *(int *)*state;
    char out[64];
    for (piece = 1; piece < 3; piece++)
        for (unsigned k = 0; k < 2; k++) {
            interrupted = k;
            fill(fd, "12\n345\n");
            assert_int_equal(fd_pread_lines(fd, out, sizeof(out)), 7);
            assert_memory_equal(out, "12\n345\n", 7);
        }
}

static void what_does_not_fit_is_left(void **state)
{
    int fd = *(int *)*state;
    char out[5];
    fill(fd, "12\n345\n");
    assert_int_equal(fd_pread_lines(fd, out, sizeof(out)), 5);
    assert_memory_equal(out, "12\n34", 5);
}

static void an_error_is_told(void **state)
{
    char out[5];
    (void)state;
    assert_int_equal(fd_pread_lines(-1, out, sizeof(out)), -EBADF);
    assert_int_equal(fd_pwrite_full(-1, out, 1, 0), -EBADF);
    assert_int_equal(fd_write_full(-1, out, 1), -EBADF);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(whole_lines_are_one_read),  TEST(nothing_is_nothing), TEST(pieces_and_interruptions_come_out_whole),
        TEST(what_does_not_fit_is_left), TEST(an_error_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
