/* SPDX-License-Identifier: Apache-2.0 */
/* What strangers upload as a program: each way in which it could not be started is told before it is. */
#include "codec/handler.h"

#include <elf.h>
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

#if defined(__x86_64__)
enum { HERE = EM_X86_64, ELSEWHERE = EM_AARCH64 };
#else
enum { HERE = EM_AARCH64, ELSEWHERE = EM_X86_64 };
#endif

struct scene {
    char path[64];
    int tree;
};

static int set_up(void **state)
{
    static struct scene s;
    strcpy(s.path, "/tmp/faasd-handler-XXXXXX");
    if (!mkdtemp(s.path))
        return -1;
    s.tree = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = &s;
    return s.tree < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", s->path);
    close(s->tree);
    return system(command); /* of a directory that this test made */
}

static void put(const struct scene *s, const char *name, const void *bytes, size_t n)
{
    unlinkat(s->tree, name, 0); /* one that was accepted is executable */
    int fd = openat(s->tree, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
}

static void refuse(const struct scene *s, const char *name, const char *why)
{
    struct err e = {0};
    struct stat st;
    int r = handler_check(s->tree, name, &e);
    if (r != -EINVAL || !strstr(e.text, why))
        fail_msg("%s: %d, '%s' does not say '%s'", name, r, e.text, why);
    if (fstatat(s->tree, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
        assert_int_equal(st.st_mode & 0111, 0);
}

static void accept(const struct scene *s, const char *name)
{
    struct err e = {0};
    struct stat st;
    if (handler_check(s->tree, name, &e) < 0)
        fail_msg("%s: %s", name, e.text);
    assert_int_equal(fstatat(s->tree, name, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
}

static void refuse_script(const struct scene *s, const char *text, const char *why)
{
    put(s, "script", text, strlen(text));
    refuse(s, "script", why);
}

static void accept_script(const struct scene *s, const char *text)
{
    put(s, "script", text, strlen(text));
    accept(s, "script");
}

static void a_script_names_an_interpreter_that_there_is(void **state)
{
    struct scene *s = *state;
    accept_script(s, "#!/bin/sh\necho\n");
    accept_script(s, "#! /bin/sh\t-e\necho\n");
    accept_script(s, "#!/bin/sh"); /* the kernel takes one without a line's end, too */
    refuse_script(s, "#!\n", "names no interpreter");
    refuse_script(s, "#!  \t\n", "names no interpreter");
    refuse_script(s, "#!", "names no interpreter");
    refuse_script(s, "#!bin/sh\n", "starts with '#!bin/sh', which is not an absolute path");
    refuse_script(s, "#!/bin/no-such-shell\n", "starts with '#!/bin/no-such-shell', which is not in the sandbox");
    refuse_script(s, "#!/etc/passwd\n", "which is not in the sandbox"); /* nobody may execute it */
    refuse_script(s, "#!/tmp\n", "which is not in the sandbox");        /* no file */
    refuse_script(s, "#!/bin/sh\r\n", "has Windows line ends");
}

static void a_first_line_may_be_as_long_as_the_kernel_reads(void **state)
{
    struct scene *s = *state;
    char text[300];
    memset(text, ' ', sizeof(text));
    memcpy(text, "#!/bin/sh", 9);
    text[255] = '\n';
    put(s, "script", text, sizeof(text));
    accept(s, "script");
    text[255] = ' ';
    text[256] = '\n';
    put(s, "script", text, sizeof(text));
    refuse(s, "script", "has a first line of more than 255 bytes");
}

static void what_env_is_asked_for_is_looked_up_as_env_will(void **state)
{
    struct scene *s = *state;
    accept_script(s, "#!/usr/bin/env sh\n");
    accept_script(s, "#!/bin/env sh -e\n");
    accept_script(s, "#!/usr/bin/env -S sh -e\n");
    refuse_script(s, "#!/usr/bin/env no-such-shell\n",
                  "asks env for 'no-such-shell', which is not in the sandbox's PATH");
    refuse_script(s, "#!/usr/bin/env -S no-such-shell -e\n", "asks env for 'no-such-shell'");
    /* env's own business */
    accept_script(s, "#!/usr/bin/env\n");
    accept_script(s, "#!/usr/bin/env -i sh\n");
    accept_script(s, "#!/usr/bin/env A=b sh\n");
    accept_script(s, "#!/usr/bin/env ./sh\n");
}

static void an_interpreter_may_be_among_the_uploaded_files(void **state)
{
    struct scene *s = *state;
    put(s, "own", "#!/bin/sh\n", 10);
    refuse_script(s, "#!/var/task/own\n", "which is not in the sandbox"); /* not executable yet */
    assert_int_equal(fchmodat(s->tree, "own", 0755, 0), 0);
    accept_script(s, "#!/var/task/own\n");
    assert_int_equal(symlinkat("/bin/sh", s->tree, "outside"), 0);
    accept_script(s, "#!/var/task/outside\n"); /* leads to the sandbox's own */
    assert_int_equal(symlinkat("../../../secret", s->tree, "nowhere"), 0);
    refuse_script(s, "#!/var/task/nowhere\n", "which is not in the sandbox");
}

/* ---- ELF ---- */

struct program {
    Elf64_Ehdr head;
    Elf64_Phdr segments[2];
    char loader[32];
};

static struct program good_program(void)
{
    struct program p;
    memset(&p, 0, sizeof(p));
    memcpy(p.head.e_ident, ELFMAG, SELFMAG);
    p.head.e_ident[EI_CLASS] = ELFCLASS64;
    p.head.e_ident[EI_DATA] = ELFDATA2LSB;
    p.head.e_machine = HERE;
    p.head.e_type = ET_EXEC;
    p.head.e_phentsize = sizeof(Elf64_Phdr);
    p.head.e_phnum = 2;
    p.head.e_phoff = offsetof(struct program, segments);
    p.segments[0].p_type = PT_LOAD;
    p.segments[1].p_type = PT_INTERP;
    p.segments[1].p_offset = offsetof(struct program, loader);
    strcpy(p.loader, "/bin/sh"); /* any that there is */
    p.segments[1].p_filesz = strlen(p.loader) + 1;
    return p;
}

static void refuse_program(const struct scene *s, const struct program *p, const char *why)
{
    put(s, "program", p, sizeof(*p));
    refuse(s, "program", why);
}

static void accept_program(const struct scene *s, const struct program *p)
{
    put(s, "program", p, sizeof(*p));
    accept(s, "program");
}

static void a_program_is_one_for_this_machine(void **state)
{
    static const struct {
        uint16_t machine;
        const char *name;
    } others[] = {{ELSEWHERE, ELSEWHERE == EM_AARCH64 ? "aarch64" : "x86-64"},
                  {EM_386, "i386"},
                  {EM_ARM, "arm"},
                  {EM_RISCV, "riscv"},
                  {EM_S390, "another machine"}};
    struct scene *s = *state;
    struct program p = good_program();
    accept_program(s, &p);
    p.head.e_type = ET_DYN;
    accept_program(s, &p);
    p.head.e_type = ET_REL;
    refuse_program(s, &p, "is an ELF file but no program");
    p = good_program();
    p.head.e_ident[EI_CLASS] = ELFCLASS32;
    refuse_program(s, &p, "is a 32-bit program; sandboxes run 64-bit ones");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char why[64];
        p = good_program();
        p.head.e_machine = others[i].machine;
        snprintf(why, sizeof(why), "is built for %s, and this host is ", others[i].name);
        refuse_program(s, &p, why);
    }
    p = good_program();
    p.head.e_ident[EI_DATA] = ELFDATA2MSB;
    refuse_program(s, &p, "is built for");
}

static void a_damaged_program_is_refused(void **state)
{
    static const char damaged[] = "is a damaged ELF file";
    struct scene *s = *state;
    struct program p = good_program();
    put(s, "program", &p, sizeof(p.head) - 1);
    refuse(s, "program", damaged);
    put(s, "program", &p, offsetof(struct program, segments[1]) + 1);
    refuse(s, "program", damaged);
    p.head.e_phentsize--;
    refuse_program(s, &p, damaged);
    p = good_program();
    p.head.e_phnum = 257;
    refuse_program(s, &p, damaged);
    p = good_program();
    p.head.e_phoff = UINT64_MAX - 10;
    refuse_program(s, &p, damaged);
    p.head.e_phoff = INT32_MAX;
    refuse_program(s, &p, damaged);
    p = good_program();
    p.head.e_phnum = 0;
    accept_program(s, &p); /* nothing says that the kernel would not take it */
}

static void a_loader_is_a_path_that_there_is(void **state)
{
    struct scene *s = *state;
    struct program p = good_program();
    strcpy(p.loader, "/lib/no-such-loader.so.1");
    p.segments[1].p_filesz = strlen(p.loader) + 1;
    refuse_program(s, &p, "needs the loader '/lib/no-such-loader.so.1', which is not in the sandbox");
    strcpy(p.loader, "bin/sh");
    p.segments[1].p_filesz = 7;
    refuse_program(s, &p, "needs the loader 'bin/sh'");
    static const struct {
        uint64_t offset, size;
    } bad[] = {
        {offsetof(struct program, loader), 1},
        {offsetof(struct program, loader), 257},
        {offsetof(struct program, loader), 7},
        {offsetof(struct program, loader), 200},
        {UINT64_MAX, 8},
        {INT64_MAX, 8},
        {sizeof(struct program), 8},
        {offsetof(struct program, loader), UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        p = good_program();
        p.segments[1].p_offset = bad[i].offset;
        p.segments[1].p_filesz = bad[i].size;
        refuse_program(s, &p, "is a damaged ELF file");
    }
}

/* ---- neither ---- */

static void what_is_no_program_is_told_with_what_it_may_be(void **state)
{
    static const struct {
        const char *name, *why;
    } files[] = {{"app.py", "a Python module takes --runtime python --handler MODULE.FUNCTION"},
                 {"index.js", "a JavaScript module takes --runtime node"},
                 {"index.mjs", "a JavaScript module takes --runtime node"},
                 {"index.cjs", "a JavaScript module takes --runtime node"},
                 {"index.ts", "compile TypeScript to JavaScript"},
                 {"index.mts", "compile TypeScript to JavaScript"},
                 {"plain", "starts with neither '#!' nor an ELF header"},
                 {".py", "starts with neither '#!' nor an ELF header"}};
    struct scene *s = *state;
    struct err e = {0};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        put(s, files[i].name, "text", 4);
        refuse(s, files[i].name, files[i].why);
        assert_false(handler_is_likely(s->tree, files[i].name));
    }
    assert_int_equal(handler_check_bare_python(s->tree, "app.py", &e), access("/usr/bin/python3", X_OK) ? -EINVAL : 0);
    assert_int_equal(handler_check_bare_python(s->tree, "index.js", &e), -EINVAL);
    put(s, "empty", "", 0);
    refuse(s, "empty", "starts with neither");
    put(s, "short",
        "\x7f"
        "EL",
        3);
    refuse(s, "short", "starts with neither");
}

static void a_handler_is_a_file_within_the_tree(void **state)
{
    struct scene *s = *state;
    refuse(s, "none", "the handler 'none' is not among the uploaded files");
    refuse(s, "app.handler", "MODULE.FUNCTION is for --runtime python");
    refuse(s, "../none", "leads out of the function's own files");
    refuse(s, "/bin/sh", "leads out of the function's own files");
    assert_int_equal(symlinkat("/bin/sh", s->tree, "shell"), 0);
    refuse(s, "shell", "leads out of the function's own files");
    assert_int_equal(symlinkat("self", s->tree, "self"), 0);
    refuse(s, "self", "leads out of the function's own files");
    assert_int_equal(mkdirat(s->tree, "directory", 0755), 0);
    refuse(s, "directory", "is not a regular file");
    assert_int_equal(mkfifoat(s->tree, "fifo", 0644), 0);
    refuse(s, "fifo", "is not a regular file");
    put(s, "file", "#!/bin/sh\n", 10);
    refuse(s, "file/none", "is not among the uploaded files");
    assert_int_equal(symlinkat("file", s->tree, "link"), 0);
    accept(s, "link");
    assert_true(handler_is_likely(s->tree, "file"));
    assert_false(handler_is_likely(s->tree, "link")); /* the file itself is asked about, too */
    assert_false(handler_is_likely(s->tree, "directory"));
    assert_false(handler_is_likely(s->tree, "none"));
    struct program p = good_program();
    put(s, "program", &p, sizeof(p));
    assert_true(handler_is_likely(s->tree, "program"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_script_names_an_interpreter_that_there_is),
        TEST(a_first_line_may_be_as_long_as_the_kernel_reads),
        TEST(what_env_is_asked_for_is_looked_up_as_env_will),
        TEST(an_interpreter_may_be_among_the_uploaded_files),
        TEST(a_program_is_one_for_this_machine),
        TEST(a_damaged_program_is_refused),
        TEST(a_loader_is_a_path_that_there_is),
        TEST(what_is_no_program_is_told_with_what_it_may_be),
        TEST(a_handler_is_a_file_within_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
