/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking into a temporary directory. Archives are made by hand, header by header, because no packer writes what is refused here; those of real
 * packers are in tests/integration/test_archive.py.
 */
#include "codec/archive.h"

#include "codec/handler.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct archive_options usual = {.bytes_max = 64 << 20, .entries_max = 1000};
static const struct archive_options with_program = {
    .bytes_max = 64 << 20, .entries_max = 1000, .program_name = "hello"};

struct scene {
    char path[64]; /* an empty directory; beside it lies `marker`, which must never change */
    int dir;
    int upload;
};

static int run(const char *command)
{
    return system(command); /* rm and the like, of directories that this test made */
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));
    if (!s)
        return -1;
    strcpy(s->path, "/tmp/faasd-archive-XXXXXX");
    if (!mkdtemp(s->path))
        return -1;
    int top = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int marker = openat(top, "marker", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (marker < 0 || write(marker, "safe", 4) != 4 || mkdirat(top, "tree", 0755) < 0)
        return -1;
    close(marker);
    s->dir = openat(top, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->upload = memfd_create("upload", MFD_CLOEXEC);
    close(top);
    *state = s;
    return s->dir < 0 || s->upload < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    char command[128], content[8] = "";
    snprintf(command, sizeof(command), "%s/marker", s->path);
    int marker = open(command, O_RDONLY | O_CLOEXEC);
    bool safe = read(marker, content, sizeof(content)) == 4 && !memcmp(content, "safe", 4);
    close(marker);
    close(s->dir);
    close(s->upload);
    snprintf(command, sizeof(command), "rm -rf '%s'", s->path);
    int r = run(command);
    free(s);
    return safe && r == 0 ? 0 : -1;
}

static void add(const struct scene *s, const void *bytes, size_t n)
{
    assert_int_equal(write(s->upload, bytes, n), (ssize_t)n);
}

struct member {
    const char *name;
    char type; /* '0' file, '1' hard link, '2' link, '3' device, '5' directory, '6' fifo */
    unsigned mode;
    const char *link;
    const char *content;
};

static void put_octal(unsigned char *field, unsigned digits, size_t value)
{
    while (digits--) {
        field[digits] = (unsigned char)('0' + value % 8);
        value /= 8;
    }
}

static void add_member(const struct scene *s, const struct member *m)
{
    unsigned char h[512] = {0};
    size_t n = m->content ? strlen(m->content) : 0, sum = 0;
    memcpy(h, m->name, strlen(m->name));
    put_octal(h + 100, 7, m->mode ? m->mode : 0644);
    put_octal(h + 108, 7, 0);
    put_octal(h + 116, 7, 0);
    put_octal(h + 124, 11, n);
    put_octal(h + 136, 11, 0);
    memset(h + 148, ' ', 8);
    h[156] = (unsigned char)m->type;
    if (m->link)
        memcpy(h + 157, m->link, strlen(m->link));
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(h); i++)
        sum += h[i];
    put_octal(h + 148, 6, sum);
    h[154] = 0;
    add(s, h, sizeof(h));
    if (n) {
        char block[512] = {0};
        assert_true(n <= sizeof(block));
        memcpy(block, m->content, n);
        add(s, block, sizeof(block));
    }
}

static void end_tar(const struct scene *s)
{
    char zero[1024] = {0};
    add(s, zero, sizeof(zero));
}

static int unpack(const struct scene *s, const struct member *members, size_t count, struct err *e)
{
    struct archive_totals totals;
    for (size_t i = 0; i < count; i++)
        add_member(s, &members[i]);
    end_tar(s);
    return archive_unpack(s->upload, s->dir, &usual, &totals, e);
}

static void refuse(void **state, const struct member *members, size_t count, const char *why)
{
    struct err e = {0};
    int r = unpack(*state, members, count, &e);
    if (r != -EINVAL || !strstr(e.text, why))
        fail_msg("%d, '%s' does not say '%s'", r, e.text, why);
}

#define REFUSE(why_, ...)                                                                                              \
    do {                                                                                                               \
        const struct member members_[] = {__VA_ARGS__};                                                                \
        refuse(state, members_, sizeof(members_) / sizeof(members_[0]), why_);                                         \
    } while (0)

static mode_t mode_of(const struct scene *s, const char *path)
{
    struct stat st;
    assert_int_equal(fstatat(s->dir, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode;
}

static void files_directories_and_links_are_kept_with_normal_modes(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    const struct member members[] = {
        {"./", '5', 0700, NULL, NULL},
        {"./bin/", '5', 01777, NULL, NULL},
        {"./bin/run", '0', 0751, NULL, "#!/bin/sh\n"},
        {"deep/er/data", '0', 0600, NULL, "x"},
        {"bin/again", '2', 0777, "run", NULL},
        {"bin/awk", '2', 0777, "/usr/bin/awk", NULL},
        {"deep/up", '2', 0777, "../bin/again", NULL},
        {"dangling", '2', 0777, "not/here", NULL},
        {"deep/same", '1', 0, "bin/run", NULL},
    };
    if (unpack(s, members, sizeof(members) / sizeof(members[0]), &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(mode_of(s, "bin/run"), S_IFREG | 0755);
    assert_int_equal(mode_of(s, "bin"), S_IFDIR | 0755);
    assert_int_equal(mode_of(s, "deep/er"), S_IFDIR | 0755);
    assert_int_equal(mode_of(s, "deep/er/data"), S_IFREG | 0644);
    assert_true(S_ISLNK(mode_of(s, "bin/again")));
    assert_true(S_ISLNK(mode_of(s, "dangling")));
    struct stat a, b;
    assert_int_equal(fstatat(s->dir, "bin/run", &a, 0) | fstatat(s->dir, "deep/same", &b, 0), 0);
    assert_int_equal(a.st_ino, b.st_ino);
}

static void a_name_that_leads_out_is_refused(void **state)
{
    REFUSE("absolute path", {"/etc/passwd", '0', 0, NULL, "x"});
}

static void dots_and_empty_components_are_refused(void **state)
{
    const struct scene *s = *state;
    static const struct {
        const char *name, *why;
    } bad[] = {
        {"../marker", "'..'"}, {"a/../../marker", "'..'"},
        {"./../x", "'..'"},    {"a//b", "empty"},
        {"a/./b", "empty"},    {"..", "'..'"},
        {"a\\b", "backslash"}, {"a\nb", "control character"},
        {"\xff\xfe", "UTF-8"}, {"././a", "empty"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ftruncate(s->upload, 0) | lseek(s->upload, 0, SEEK_SET), 0);
        REFUSE(bad[i].why, {bad[i].name, '0', 0, NULL, "x"});
    }
}

static void nothing_is_written_through_a_link(void **state)
{
    /* the link would point at the directory with the marker; it is not made before the file's path is */
    REFUSE("has a directory of that name", {"up", '2', 0, "..", NULL}, {"up/marker", '0', 0, NULL, "overwritten"});
}

static void a_link_over_a_file_is_refused(void **state)
{
    REFUSE("twice", {"a", '0', 0, NULL, "x"}, {"a", '2', 0, "b", NULL});
}

static void links_that_lead_out_are_refused(void **state)
{
    const struct scene *s = *state;
    static const char *const bad[] = {"..",        "../x",  "/etc/passwd", "/",          "/usr/../etc/passwd",
                                      "d/../../x", "/usrx", "/lib64x/y",   "/var/task/x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'/tree/*", s->path);
        assert_int_equal(run(command), 0);
        assert_int_equal(ftruncate(s->upload, 0) | lseek(s->upload, 0, SEEK_SET), 0);
        REFUSE("leads out of the tree", {"l", '2', 0, bad[i], NULL});
    }
}

static void a_link_that_leads_out_by_way_of_another_is_refused(void **state)
{
    /* by its text "a/../.." stays inside; a is a link to the top, so ".." of it isn't */
    REFUSE("leads out of the tree", {"d/e/f", '0', 0, NULL, "x"}, {"d/a", '2', 0, "..", NULL},
           {"d/e/out", '2', 0, "../a/../x", NULL});
}

static void the_python_of_a_virtual_environment_is_refused_with_what_to_do(void **state)
{
    REFUSE("name it in .faasdignore, or make it with `python -m venv --copies`",
           {"venv/bin/python3", '2', 0, "/opt/py312/bin/python3", NULL});
}

static void another_link_to_a_python_is_refused_as_any(void **state)
{
    REFUSE("allowed: inside it", {"robin/python3", '2', 0, "/opt/py312/bin/python3", NULL});
}

static void links_in_a_circle_are_refused(void **state)
{
    REFUSE("more than 40 links", {"a", '2', 0, "b", NULL}, {"b", '2', 0, "a", NULL});
}

static void a_long_chain_of_links_is_refused(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct archive_totals totals;
    for (int i = 0; i < 60; i++) {
        char name[16], target[16];
        snprintf(name, sizeof(name), "l%d", i);
        snprintf(target, sizeof(target), "l%d", i + 1);
        add_member(s, &(struct member){name, '2', 0, target, NULL});
    }
    end_tar(s);
    assert_int_equal(archive_unpack(s->upload, s->dir, &usual, &totals, &e), -EINVAL);
    assert_non_null(strstr(e.text, "more than 40 links"));
}

static void a_link_to_nothing_is_refused(void **state)
{
    REFUSE("'l' is a link without a usable target", {"l", '2', 0, "", NULL});
}

static void set_id_files_are_refused(void **state)
{
    REFUSE("'run' is set-user-id", {"run", '0', 04755, NULL, "#!/bin/sh\n"});
    REFUSE("'run' is set-user-id or set-group-id", {"run", '0', 02755, NULL, "#!/bin/sh\n"});
}

static void devices_are_refused(void **state)
{
    REFUSE("is a device", {"null", '3', 0, NULL, NULL});
}

static void fifos_are_refused(void **state)
{
    REFUSE("is a fifo", {"pipe", '6', 0, NULL, NULL});
}

static void a_hard_link_to_outside_is_refused(void **state)
{
    REFUSE("'..'", {"l", '1', 0, "../marker", NULL});
}

static void a_hard_link_to_an_absolute_path_is_refused(void **state)
{
    REFUSE("absolute path", {"l", '1', 0, "/etc/passwd", NULL});
}

static void a_hard_link_to_a_link_is_refused(void **state)
{
    REFUSE("no earlier file", {"s", '2', 0, "/usr/bin/awk", NULL}, {"h", '1', 0, "s", NULL});
}

static void a_name_that_stands_twice_is_refused(void **state)
{
    REFUSE("'a' stands in the archive twice", {"a", '0', 0, NULL, "1"}, {"./a", '0', 0, NULL, "2"});
}

static void a_file_where_a_directory_is_needed_is_refused(void **state)
{
    REFUSE("needs a directory where the archive has a file", {"a", '0', 0, NULL, "1"}, {"a/b", '0', 0, NULL, "2"});
}

static void a_directory_where_a_file_stands_is_refused(void **state)
{
    REFUSE("has a directory of that name", {"a/", '5', 0, NULL, NULL}, {"a", '0', 0, NULL, "2"});
}

static void limits_are_enforced(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct archive_totals totals;
    add_member(s, &(struct member){"d/a", '0', 0, NULL, "12345"});
    add_member(s, &(struct member){"d/b", '0', 0, NULL, "12345"});
    end_tar(s);
    const struct archive_options few = {.bytes_max = 100, .entries_max = 2},
                                 small = {.bytes_max = 9, .entries_max = 100};
    assert_int_equal(archive_unpack(s->upload, s->dir, &few, &totals, &e), -EMSGSIZE);
    assert_non_null(strstr(e.text, "more than 2 entries"));
    assert_int_equal(unlinkat(s->dir, "d/a", 0) | unlinkat(s->dir, "d/b", 0) | unlinkat(s->dir, "d", AT_REMOVEDIR), 0);
    assert_int_equal(archive_unpack(s->upload, s->dir, &small, &totals, &e), -EMSGSIZE);
    assert_non_null(strstr(e.text, "unpacks to more than 9B"));
}

/* A directory that is named again makes no entry, but each header costs something. */
static void headers_have_a_limit_of_their_own(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct archive_totals totals;
    const struct archive_options three = {.bytes_max = 100, .entries_max = 3};
    for (int i = 0; i < 4; i++)
        add_member(s, &(struct member){"d", '5', 0, NULL, NULL});
    end_tar(s);
    if (archive_unpack(s->upload, s->dir, &three, &totals, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(ftruncate(s->upload, 0) | (int)lseek(s->upload, 0, SEEK_SET), 0);
    for (int i = 0; i < 5; i++)
        add_member(s, &(struct member){"d", '5', 0, NULL, NULL});
    end_tar(s);
    assert_int_equal(archive_unpack(s->upload, s->dir, &three, &totals, &e), -EMSGSIZE);
    assert_string_equal(e.text, "the archive holds more than 3 entries (code_entries)");
}

static void an_archive_cut_anywhere_is_refused(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct archive_totals totals;
    add_member(s, &(struct member){"a", '0', 0, NULL, "12345"});
    add_member(s, &(struct member){"b", '0', 0, NULL, "12345"});
    off_t end = lseek(s->upload, 0, SEEK_END);
    for (; end > 0; end -= 128) {
        assert_int_equal(ftruncate(s->upload, end), 0);
        if (archive_unpack(s->upload, s->dir, &usual, &totals, &e) != -EINVAL)
            fail_msg("cut at %ld was taken", (long)end);
        unlinkat(s->dir, "a", 0);
        unlinkat(s->dir, "b", 0);
    }
}

static void what_is_no_archive_is_said_to_be_none(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct archive_totals totals;
    assert_int_equal(archive_detect(s->upload, &e), ARCHIVE_UNKNOWN);
    add(s, "#!/bin/sh\n", 10);
    assert_int_equal(archive_detect(s->upload, &e), ARCHIVE_PROGRAM);
    assert_int_equal(archive_unpack(s->upload, s->dir, &usual, &totals, &e), -EINVAL);
    assert_int_equal(archive_unpack(s->upload, s->dir, &with_program, &totals, &e), 0);
    assert_int_equal(totals.files, 1);
    assert_string_equal(totals.file, "hello");
    assert_int_equal(mode_of(s, "hello"), S_IFREG | 0755);
    assert_int_equal(ftruncate(s->upload, 0), 0);
    assert_int_equal(lseek(s->upload, 0, SEEK_SET), 0);
    add(s, "hello world", 11);
    assert_int_equal(archive_detect(s->upload, &e), ARCHIVE_UNKNOWN);
}

static void archives_of_nothing_are_known_by_their_end_marks(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct archive_totals totals;
    static const char empty_zip[22] = "PK\005\006";
    add(s, empty_zip, sizeof(empty_zip));
    assert_int_equal(archive_detect(s->upload, &e), ARCHIVE_ZIP);
    /* libarchive wants more than the mark */
    assert_int_equal(archive_unpack(s->upload, s->dir, &usual, &totals, &e), -EINVAL);
    assert_non_null(strstr(e.text, "damaged or of an unknown kind"));
    assert_int_equal(ftruncate(s->upload, 0) | lseek(s->upload, 0, SEEK_SET), 0);
    end_tar(s);
    assert_int_equal(archive_detect(s->upload, &e), ARCHIVE_TAR);
    assert_int_equal(archive_unpack(s->upload, s->dir, &usual, &totals, &e), 0);
    assert_int_equal(totals.entries, 0);
}

static void write_script(const struct scene *s, const char *name, const char *text)
{
    int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void a_program_that_cannot_start_is_refused_with_the_reason(void **state)
{
    const struct scene *s = *state;
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"#!/usr/bin/pyhton3\n", "'app' starts with '#!/usr/bin/pyhton3', which is not in the sandbox"},
        {"#!/bin/sh\r\n", "Windows line ends"},
        {"#!\n", "names no interpreter"},
        {"#!sh\n", "not an absolute path"},
        {"#!/usr/bin/env pyhton3\n", "asks env for 'pyhton3'"},
        {"#!/var/task/no/such\n", "not in the sandbox"},
        {"echo hello\n", "neither '#!' nor an ELF header"},
        {"\x7f"
         "ELF\x02\x01\x01",
         "damaged ELF"},
    };
    struct err e = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_script(s, "app", bad[i].text);
        int r = handler_check(s->dir, "app", &e);
        if (r != -EINVAL || !strstr(e.text, bad[i].why))
            fail_msg("%s: %d, '%s' does not say '%s'", bad[i].text, r, e.text, bad[i].why);
        assert_int_equal(mode_of(s, "app"), S_IFREG | 0644);
    }
    assert_int_equal(handler_check(s->dir, "absent", &e), -EINVAL);
    assert_int_equal(handler_check(s->dir, "../marker", &e), -EINVAL);
    assert_int_equal(symlinkat("/usr/bin/awk", s->dir, "awk"), 0);
    assert_int_equal(handler_check(s->dir, "awk", &e), -EINVAL);
}

static void a_program_that_can_start_becomes_executable(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    static const char *const good[] = {"#!/bin/sh\n", "#! /usr/bin/env sh\n", "#!/bin/sh -e",
                                       "#!/usr/bin/env -S sh -e\n", "#!/var/task/app\n"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        write_script(s, "app", good[i]);
        if (handler_check(s->dir, "app", &e) < 0)
            fail_msg("%s: %s", good[i], e.text);
        assert_int_equal(mode_of(s, "app"), S_IFREG | 0755);
    }
    assert_int_equal(symlinkat("app", s->dir, "link"), 0);
    assert_int_equal(handler_check(s->dir, "link", &e), 0);
}

static void this_machines_elf_files_pass_and_others_are_named(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    char bytes[65536];
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(self, bytes, sizeof(bytes));
    close(self);
    assert_true(n > 4096);
    int fd = openat(s->dir, "elf", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, bytes, (size_t)n), n);
    if (handler_check(s->dir, "elf", &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(pwrite(fd, "\x28\x00", 2, 18), 2);
    assert_int_equal(handler_check(s->dir, "elf", &e), -EINVAL);
    assert_non_null(strstr(e.text, "is built for arm"));
    assert_int_equal(pwrite(fd, "\x01", 1, 4), 1);
    assert_int_equal(handler_check(s->dir, "elf", &e), -EINVAL);
    assert_non_null(strstr(e.text, "32-bit"));
    close(fd);
}

static void a_packed_directory_unpacks_as_the_same_and_says_what_it_left_out(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct archive_totals totals;
    struct buf left_out;
    char command[1024], source[128];
    buf_init(&left_out, 0);
    snprintf(source, sizeof(source), "%s/source", s->path);
    snprintf(command, sizeof(command),
             "mkdir -p '%s'/lib/__pycache__ '%s'/.git && cd '%s' && printf '#!/bin/sh\\n' > run && chmod 700 run && "
             "printf '{}' > 'b\xc3\xa9.json' && "
             "ln -s run again && touch .git/x lib/__pycache__/y lib/z",
             source, source, source);
    assert_int_equal(run(command), 0);
    if (archive_pack(source, s->upload, &left_out, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(buf_add(&left_out, "", 1), 0);
    assert_string_equal(left_out.data, ".git/\nlib/__pycache__/\n");
    if (archive_unpack(s->upload, s->dir, &usual, &totals, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(mode_of(s, "run"), S_IFREG | 0755);
    assert_int_equal(mode_of(s, "b\xc3\xa9.json"), S_IFREG | 0644);
    assert_true(S_ISLNK(mode_of(s, "again")));
    assert_int_equal(mode_of(s, "lib/z"), S_IFREG | 0644);
    assert_int_equal(faccessat(s->dir, ".git", F_OK, 0), -1);
    assert_int_equal(totals.files, 3);
    buf_fini(&left_out);
}

static void make(const char *directory, const char *name, size_t bytes)
{
    char path[192];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    for (size_t i = 0; i < bytes; i += 4) {
        uint32_t word = (uint32_t)i * 2654435761u;
        assert_int_equal(write(fd, &word, bytes - i < 4 ? bytes - i : 4), bytes - i < 4 ? bytes - i : 4);
    }
    assert_int_equal(close(fd), 0);
}

static void what_is_packed_has_its_content_and_targets(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct archive_totals totals;
    struct buf left_out;
    char source[128], command[512], target[16];
    snprintf(source, sizeof(source), "%s/source", s->path);
    assert_int_equal(mkdir(source, 0755), 0);
    make(source, "a", 5);
    make(source, "block", 65536);
    make(source, "empty", 0);
    make(source, "long", 65537);
    make(source, "two", 131072);
    snprintf(command, sizeof(command), "cd '%s' && mkdir -p deep/er && cp a deep/er/b && ln -s ../a deep/link", source);
    assert_int_equal(run(command), 0);
    buf_init(&left_out, 0);
    if (archive_pack(source, s->upload, &left_out, &e) < 0 ||
        archive_unpack(s->upload, s->dir, &usual, &totals, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(left_out.len, 0);
    snprintf(command, sizeof(command), "diff -r --no-dereference '%s' '%s/tree'", source, s->path);
    assert_int_equal(run(command), 0);
    assert_int_equal(readlinkat(s->dir, "deep/link", target, sizeof(target)), 4);
    assert_memory_equal(target, "../a", 4);
    assert_int_equal(totals.files, 6);
    buf_fini(&left_out);
}

/* A new directory in `top`, four levels of 251 bytes below. */
static int make_deep(int top)
{
    char name[252];
    memset(name, 'd', sizeof(name));
    name[251] = '\0';
    int fd = dup(top);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mkdirat(fd, name, 0755), 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = next;
    }
    return fd;
}

static void a_path_is_packed_up_to_1023_bytes(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct buf left_out;
    char source[128];
    snprintf(source, sizeof(source), "%s/source", s->path);
    assert_int_equal(mkdir(source, 0755), 0);
    int top = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC), deep = make_deep(top);
    buf_init(&left_out, 0);
    assert_int_equal(mkdirat(deep, "123456789012345", 0755), 0); /* 4 * 252 + 15 */
    if (archive_pack(source, s->upload, &left_out, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(unlinkat(deep, "123456789012345", AT_REMOVEDIR), 0);
    assert_int_equal(mkdirat(deep, "1234567890123456", 0755), 0);
    assert_int_equal(archive_pack(source, s->upload, &left_out, &e), -EINVAL);
    assert_non_null(strstr(e.text, "...' has a path of more than 1023 bytes"));
    close(deep);
    close(top);
    buf_fini(&left_out);
}

static void a_directory_that_can_not_be_read_is_named(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct buf left_out;
    struct rlimit before;
    char source[128], inner[160];
    snprintf(source, sizeof(source), "%s/source", s->path);
    snprintf(inner, sizeof(inner), "%s/sub", source);
    assert_true(mkdir(source, 0755) == 0 && mkdir(inner, 0755) == 0);
    buf_init(&left_out, 0);
    assert_int_equal(archive_pack(source, s->upload, &left_out, &e), 0); /* the library is loaded */
    int first = dup(STDERR_FILENO), second = dup(STDERR_FILENO);
    close(first);
    close(second);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit few = {.rlim_cur = (rlim_t)second + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0); /* source, sub, and none to read sub with */
    int r = archive_pack(source, s->upload, &left_out, &e);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(r, -EMFILE);
    assert_non_null(strstr(e.text, "read directory 'sub'"));
    assert_int_equal(archive_pack(inner, -1, &left_out, &e), -EBADF);
    assert_int_equal(archive_pack("/nonexistent", s->upload, &left_out, &e), -ENOENT);
    assert_non_null(strstr(e.text, "open '/nonexistent'"));
    buf_fini(&left_out);
}

static void faasdignore_replaces_the_defaults(void **state)
{
    const struct scene *s = *state;
    struct err e = {0};
    struct archive_totals totals;
    struct buf left_out;
    char command[1024], source[128];
    buf_init(&left_out, 0);
    snprintf(source, sizeof(source), "%s/source", s->path);
    snprintf(command, sizeof(command),
             "mkdir -p '%s'/a/build '%s'/build '%s'/__pycache__ && cd '%s' && "
             "printf '# comment\\n\\n*.o\\n/build/\\na/*.txt\\nonly-dir/\\n' > .faasdignore && "
             "touch x.o a/y.o a/n.txt n.txt build/k a/build/k only-dir __pycache__/k",
             source, source, source, source);
    assert_int_equal(run(command), 0);
    if (archive_pack(source, s->upload, &left_out, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(buf_add(&left_out, "", 1), 0);
    assert_string_equal(left_out.data, ".faasdignore\na/n.txt\na/y.o\nbuild/\nx.o\n");
    assert_int_equal(archive_unpack(s->upload, s->dir, &usual, &totals, &e), 0);
    assert_int_equal(faccessat(s->dir, "only-dir", F_OK, 0), 0);
    assert_int_equal(faccessat(s->dir, "a/build/k", F_OK, 0), 0);
    assert_int_equal(faccessat(s->dir, "__pycache__/k", F_OK, 0), 0);
    buf_fini(&left_out);

    snprintf(command, sizeof(command), "printf '!keep\\n' > '%s'/.faasdignore", source);
    assert_int_equal(run(command), 0);
    buf_init(&left_out, 0);
    assert_int_equal(archive_pack(source, s->upload, &left_out, &e), -EINVAL);
    assert_non_null(strstr(e.text, ".faasdignore:1"));
    snprintf(command, sizeof(command), "rm '%s'/.faasdignore && mkfifo '%s'/pipe", source, source);
    assert_int_equal(run(command), 0);
    assert_int_equal(archive_pack(source, s->upload, &left_out, &e), -EINVAL);
    assert_non_null(strstr(e.text, "'pipe' is neither"));
    buf_fini(&left_out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_directories_and_links_are_kept_with_normal_modes),
        TEST(a_name_that_leads_out_is_refused),
        TEST(dots_and_empty_components_are_refused),
        TEST(nothing_is_written_through_a_link),
        TEST(a_link_over_a_file_is_refused),
        TEST(links_that_lead_out_are_refused),
        TEST(a_link_that_leads_out_by_way_of_another_is_refused),
        TEST(the_python_of_a_virtual_environment_is_refused_with_what_to_do),
        TEST(another_link_to_a_python_is_refused_as_any),
        TEST(links_in_a_circle_are_refused),
        TEST(a_long_chain_of_links_is_refused),
        TEST(a_link_to_nothing_is_refused),
        TEST(set_id_files_are_refused),
        TEST(devices_are_refused),
        TEST(fifos_are_refused),
        TEST(a_hard_link_to_outside_is_refused),
        TEST(a_hard_link_to_an_absolute_path_is_refused),
        TEST(a_hard_link_to_a_link_is_refused),
        TEST(a_name_that_stands_twice_is_refused),
        TEST(a_file_where_a_directory_is_needed_is_refused),
        TEST(a_directory_where_a_file_stands_is_refused),
        TEST(limits_are_enforced),
        TEST(headers_have_a_limit_of_their_own),
        TEST(an_archive_cut_anywhere_is_refused),
        TEST(what_is_no_archive_is_said_to_be_none),
        TEST(archives_of_nothing_are_known_by_their_end_marks),
        TEST(a_program_that_cannot_start_is_refused_with_the_reason),
        TEST(a_program_that_can_start_becomes_executable),
        TEST(this_machines_elf_files_pass_and_others_are_named),
        TEST(a_packed_directory_unpacks_as_the_same_and_says_what_it_left_out),
        TEST(what_is_packed_has_its_content_and_targets),
        TEST(a_path_is_packed_up_to_1023_bytes),
        TEST(a_directory_that_can_not_be_read_is_named),
        TEST(faasdignore_replaces_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
