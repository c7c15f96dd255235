/* SPDX-License-Identifier: Apache-2.0 */
/* What a Python function's files say about themselves, and which handler is meant. */
#include "codec/python_tree.h"
#include "codec/handler_module.h"
#include "codec/python_package.h"

#include "base/fmt.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

static char top[64];
static int dir = -1;
static struct err e;

static int make_tree(void **state)
{
    (void)state;
    strcpy(top, "/tmp/faasd-tree-XXXXXX");
    if (!mkdtemp(top))
        return 1;
    dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0;
}

static int remove_tree(void **state)
{
    (void)state;
    char command[128];
    close(dir);
    fmt_to(command, sizeof(command), "rm -rf '%s'", top);
    return system(command);
}

static void put_bytes(const char *path, const void *bytes, size_t n)
{
    char part[PATH_MAX];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        fmt_to(part, sizeof(part), "%.*s", (int)(slash - path), path);
        mkdirat(dir, part, 0755);
    }
    int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

static void put(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text));
}

#if defined(__x86_64__)
#define HERE "x86_64"
enum { HERE_ELF = EM_X86_64, ELSEWHERE_ELF = EM_AARCH64 };
#define ELSEWHERE "aarch64"
#else
#define HERE      "aarch64"
enum { HERE_ELF = EM_AARCH64, ELSEWHERE_ELF = EM_X86_64 };
#define ELSEWHERE "x86_64"
#endif

static void put_module(const char *path, unsigned machine)
{
    Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB}, .e_machine = (Elf64_Half)machine};
    put_bytes(path, &h, sizeof(h));
}

static char text[8192];

static const char *warn(const struct python_tree *t)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(python_tree_warn(t, &out), 0);
    assert_true(out.len < sizeof(text));
    if (out.len)
        memcpy(text, out.data, out.len);
    text[out.len] = '\0';
    buf_fini(&out);
    return text;
}

static struct python_tree tree_311(void)
{
    return (struct python_tree){.dir = dir, .minor = 11, .host_is_visible = true, .venv = ""};
}

static void assert_says(const char *said, const char *what)
{
    if (!strstr(said, what))
        fail_msg("'%s' does not say '%s'", said, what);
}

static void a_tree_of_plain_modules_has_no_warning(void **state)
{
    (void)state;
    const struct python_tree t = tree_311();
    put("app.py", "def handler(e, c): return e\n");
    put_module("fast.cpython-311-" HERE "-linux-gnu.so", HERE_ELF);
    put_module("any.abi3.so", HERE_ELF);
    put_module("plain.so", HERE_ELF);
    assert_string_equal(warn(&t), "");
}

static void a_module_for_another_python_is_named_with_both_versions(void **state)
{
    (void)state;
    const struct python_tree t = tree_311();
    put_module("numpy/core/_x.cpython-39-" HERE "-linux-gnu.so", HERE_ELF);
    const char *said = warn(&t);
    assert_says(said, "1 compiled module is built for CPython 3.9, and this function runs on Python 3.11, " HERE
                      ": numpy/core/_x.cpython-39-" HERE "-linux-gnu.so");
    assert_says(said, "pip install -t DIR");
}

static void a_module_that_is_there_for_this_python_too_is_no_fault(void **state)
{
    (void)state;
    const struct python_tree t = tree_311();
    put_module("_x.cpython-39-" HERE "-linux-gnu.so", HERE_ELF);
    put_module("_x.cpython-311-" HERE "-linux-gnu.so", HERE_ELF);
    put_module("_y.cpython-312-" HERE "-linux-gnu.so", HERE_ELF);
    put_module("_y.abi3.so", HERE_ELF);
    assert_string_equal(warn(&t), "");
}

static void a_module_for_another_cpu_or_system_is_named(void **state)
{
    (void)state;
    struct python_tree t = tree_311();
    put_module("a/_x.cpython-311-" ELSEWHERE "-linux-gnu.so", ELSEWHERE_ELF);
    assert_says(warn(&t), "built for " ELSEWHERE ", and this function runs on Python 3.11, " HERE);
    t.minor = -1;
    assert_says(warn(&t), "this function runs on " HERE ": a/_x");
    put("b/_y.cpython-311-darwin.so",
        "\xcf\xfa\xed\xfe and as many bytes as the head of an ELF file has, which is sixty-four");
    put_module("b/_z.abi3.so", ELSEWHERE_ELF);
    assert_says(warn(&t), "3 compiled modules are built for");
}

static void many_files_with_one_fault_are_one_line(void **state)
{
    (void)state;
    const struct python_tree t = tree_311();
    char name[64];
    for (int i = 0; i < 9; i++) {
        fmt_to(name, sizeof(name), "m%d.cpython-312-" HERE "-linux-gnu.so", i);
        put_module(name, HERE_ELF);
    }
    const char *said = warn(&t);
    assert_says(said, "9 compiled modules are built for CPython 3.12");
    assert_says(said, " and 6 more; ");
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

static void a_wheels_own_tags_count(void **state)
{
    (void)state;
    static const struct {
        const char *tags;
        bool foreign;
    } wheels[] = {
        {"Tag: py3-none-any\n", false},
        {"Tag: py2-none-any\nTag: py3-none-any\n", false},
        {"Tag: cp311-cp311-manylinux_2_17_" HERE "\r\n", false},
        {"Tag: cp311-cp311-manylinux_2_17_" HERE ".manylinux2014_" HERE "\n", false},
        {"Tag: cp37-abi3-manylinux2014_" HERE "\n", false},
        {"Tag: cp37-abi3-linux_" HERE "\n", false},
        {"Tag: py3-none-manylinux1_" HERE "\n", false},
        {"Tag: py39-none-any\n", false},
        {"no tag at all\n", false},
        {"Tag: cp39-cp39-manylinux2014_" HERE "\n", true},
        {"Tag: cp312-abi3-manylinux2014_" HERE "\n", true},
        {"Tag: cp311-cp311-manylinux2014_" ELSEWHERE "\n", true},
        {"Tag: cp311-cp311-musllinux_1_1_" HERE "\n", true},
        {"Tag: cp311-cp311-macosx_11_0_arm64\n", true},
        {"Tag: cp311-cp311-win_amd64\n", true},
    };
    char built_for[48];
    for (size_t i = 0; i < sizeof(wheels) / sizeof(wheels[0]); i++) {
        put("x-1.dist-info/WHEEL", wheels[i].tags);
        if (python_wheel_is_foreign(dir, "x-1.dist-info/WHEEL", 11, HERE, built_for, sizeof(built_for)) !=
            wheels[i].foreign)
            fail_msg("%s", wheels[i].tags);
    }
    const struct python_tree t = tree_311();
    assert_says(warn(&t), "1 package is built for cp311 win_amd64, and this function runs on Python 3.11, " HERE
                          ": x-1.dist-info;");
}

static void requirements_nobody_installed_are_named(void **state)
{
    (void)state;
    const struct python_tree t = tree_311();
    put("requirements.txt", "# what we need\n"
                            "No_Such.Package-XYZ==1.2 # here\r\n"
                            "vendored_one>=1\n"
                            "Dist.Info_One[extra]~=2.0\n"
                            "plainmodule\n"
                            "-r other.txt\n--hash=sha256:00\n./local\n"
                            "git+https://example.com/x.git\n"
                            "name @ https://example.com/y.whl\n"
                            "only-elsewhere; sys_platform == 'win32'\n"
                            "another-missing-one\n");
    mkdirat(dir, "vendored_one", 0755);
    mkdirat(dir, "dist_info_one-2.1.dist-info", 0755);
    put("plainmodule.py", "");
    const char *said = warn(&t);
    assert_says(said,
                "requirements.txt names no-such-package-xyz, another-missing-one, but neither the deployed files");
    assert_says(said, "has them: run pip install -r requirements.txt -t DIR");
    assert_null(strstr(said, "vendored"));
    assert_null(strstr(said, "elsewhere"));
}

static void requirements_are_looked_for_where_they_can_be_seen(void **state)
{
    (void)state;
    struct python_tree t = tree_311();
    put("requirements.txt", "in-the-venv\n");
    mkdirat(dir, "env", 0755);
    put("env/lib/python3.11/site-packages/in_the_venv/__init__.py", "");
    assert_says(warn(&t), "in-the-venv");
    t.venv = "env";
    assert_string_equal(warn(&t), "");
    /* What the host has is seen from inside only where the environment says so. */
    assert_true(
        python_package_is_in(AT_FDCWD, "/usr/lib/python3/dist-packages", "pytest")); /* or no test could run here */
    put("requirements.txt", "pytest\n");
    put("env/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\n");
    assert_says(warn(&t), "requirements.txt names pytest, but");
    put("env/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = true\n");
    assert_string_equal(warn(&t), "");
    put("requirements.txt", "in-neither\n");
    assert_says(warn(&t), "in-neither");
    unlinkat(dir, "env/pyvenv.cfg", 0);
    t.venv = "";
    t.host_is_visible = false; /* an interpreter with a prefix of its own: nobody here knows */
    assert_string_equal(warn(&t), "");
}

static void a_virtual_environment_must_be_of_this_python(void **state)
{
    (void)state;
    struct python_tree t = tree_311();
    t.venv = ".venv";
    assert_int_equal(python_tree_check_venv(&t, &e), -EINVAL);
    assert_says(e.text, "venv: there is no directory '.venv'");
    put(".venv/pyvenv.cfg", "home = /usr/bin\n");
    assert_int_equal(python_tree_check_venv(&t, &e), -EINVAL);
    assert_says(e.text, "no virtual environment");
    put(".venv/lib/python3.9/site-packages/x.py", "");
    assert_int_equal(python_tree_check_venv(&t, &e), -EINVAL);
    assert_says(e.text, "made for python3.9, and this function runs on python3.11");
    put(".venv/lib/python3.11/site-packages/x.py", "");
    assert_int_equal(python_tree_check_venv(&t, &e), 0);
    t.venv = "";
    assert_says(warn(&t), "'.venv' is a virtual environment that nothing uses: say --venv .venv");
}

/* ---- handlers ---- */

static char chosen[SETTINGS_PATH_MAX];

static int choose(enum settings_runtime runtime, const char *said, const char *only_file)
{
    const struct handler_question q = {.tree = dir, .runtime = runtime, .said = said, .only_file = only_file};
    return handler_choose_module(&q, chosen, &e);
}

static void assert_chosen(enum settings_runtime runtime, const char *only_file, const char *handler)
{
    if (choose(runtime, NULL, only_file) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(chosen, handler);
}

static void a_handlers_module_must_be_there(void **state)
{
    (void)state;
    put("main.py", "");
    put("pkg/sub/api.py", "");
    put("whole/__init__.py", "");
    put_module("fast.cpython-311-" HERE "-linux-gnu.so", HERE_ELF);
    assert_int_equal(choose(SETTINGS_RUNTIME_PYTHON, "main.handler", NULL), 0);
    assert_int_equal(choose(SETTINGS_RUNTIME_PYTHON, "pkg.sub.api.get", NULL), 0);
    assert_int_equal(choose(SETTINGS_RUNTIME_PYTHON, "pkg/sub/api.get", NULL), 0);
    assert_int_equal(choose(SETTINGS_RUNTIME_PYTHON, "whole.run", NULL), 0);
    assert_int_equal(choose(SETTINGS_RUNTIME_PYTHON, "fast.run", NULL), 0);
    assert_int_equal(choose(SETTINGS_RUNTIME_PYTHON, "app.handler", NULL), -ENOENT);
    assert_says(e.text, "names the module app.py, which is not among the uploaded files: there is main.py");
    assert_int_equal(choose(SETTINGS_RUNTIME_PYTHON, "main", NULL), -EINVAL);
    assert_says(e.text, "MODULE.FUNCTION");
    assert_int_equal(choose(SETTINGS_RUNTIME_NODE, "index.handler", NULL), -ENOENT);
    assert_says(e.text, "index.mjs, .js or .cjs");
    put("lib/index.cjs", "");
    assert_int_equal(choose(SETTINGS_RUNTIME_NODE, "lib/index.handler", NULL), 0);
    assert_int_equal(choose(SETTINGS_RUNTIME_NODE, "lib.handler", NULL), 0);
}

static void a_handler_may_not_lead_out_of_the_tree(void **state)
{
    (void)state;
    assert_int_equal(symlinkat("/etc/passwd", dir, "app.py"), 0);
    assert_true(choose(SETTINGS_RUNTIME_PYTHON, "app.handler", NULL) < 0);
    unlinkat(dir, "app.py", 0);
    assert_int_equal(symlinkat("../../../etc/passwd", dir, "app.py"), 0);
    assert_true(choose(SETTINGS_RUNTIME_PYTHON, "app.handler", NULL) < 0);
    unlinkat(dir, "app.py", 0);
    put("real.py", "");
    assert_int_equal(symlinkat("real.py", dir, "app.py"), 0);
    assert_int_equal(choose(SETTINGS_RUNTIME_PYTHON, "app.handler", NULL), 0);
}

static void the_usual_handler_is_found_where_nobody_says_one(void **state)
{
    (void)state;
    put("hello.py", "import json\n\ndef main(args):\n    return args\n");
    assert_chosen(SETTINGS_RUNTIME_PYTHON, "hello.py", "hello.main");
    put("hello.py", "async def handler(event, context):\n    return event\n\ndef main(): pass\n");
    assert_chosen(SETTINGS_RUNTIME_PYTHON, "hello.py", "hello.handler");
    put("hello.py", "def lambda_handler(event, context): pass\n");
    assert_chosen(SETTINGS_RUNTIME_PYTHON, "hello.py", "hello.lambda_handler");
    put("hello.py", "from other import *\n");
    assert_chosen(SETTINGS_RUNTIME_PYTHON, "hello.py", "hello.handler");
    put("my.hello.py", "");
    assert_int_equal(choose(SETTINGS_RUNTIME_PYTHON, NULL, "my.hello.py"), -EINVAL);
    assert_says(e.text, "rename it");
    assert_int_equal(choose(SETTINGS_RUNTIME_PYTHON, NULL, NULL), -EINVAL);
    assert_says(e.text, "say --handler MODULE.FUNCTION (there is ");
    put("lambda_function.py", "");
    assert_chosen(SETTINGS_RUNTIME_PYTHON, NULL, "lambda_function.lambda_handler");
    put("app.py", "handler = print\n");
    assert_chosen(SETTINGS_RUNTIME_PYTHON, NULL, "app.handler");
    put("one.mjs", "");
    assert_chosen(SETTINGS_RUNTIME_NODE, "one.mjs", "one.handler");
    assert_int_equal(choose(SETTINGS_RUNTIME_NODE, NULL, NULL), -EINVAL);
    put("index.js", "");
    assert_chosen(SETTINGS_RUNTIME_NODE, NULL, "index.handler");
}

static void the_earlier_handler_stays_while_its_module_is_there(void **state)
{
    (void)state;
    put("app.py", "");
    put("old.py", "");
    struct handler_question q = {.tree = dir, .runtime = SETTINGS_RUNTIME_PYTHON, .earlier = "old.run"};
    assert_int_equal(handler_choose_module(&q, chosen, &e), 0);
    assert_string_equal(chosen, "old.run");
    q.earlier = "gone.run";
    assert_int_equal(handler_choose_module(&q, chosen, &e), 0);
    assert_string_equal(chosen, "app.handler");
}

#define IN_A_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_TREE(a_tree_of_plain_modules_has_no_warning),
        IN_A_TREE(a_module_for_another_python_is_named_with_both_versions),
        IN_A_TREE(a_module_that_is_there_for_this_python_too_is_no_fault),
        IN_A_TREE(a_module_for_another_cpu_or_system_is_named),
        IN_A_TREE(many_files_with_one_fault_are_one_line),
        IN_A_TREE(a_wheels_own_tags_count),
        IN_A_TREE(requirements_nobody_installed_are_named),
        IN_A_TREE(requirements_are_looked_for_where_they_can_be_seen),
        IN_A_TREE(a_virtual_environment_must_be_of_this_python),
        IN_A_TREE(a_handlers_module_must_be_there),
        IN_A_TREE(a_handler_may_not_lead_out_of_the_tree),
        IN_A_TREE(the_usual_handler_is_found_where_nobody_says_one),
        IN_A_TREE(the_earlier_handler_stays_while_its_module_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
