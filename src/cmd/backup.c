/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `faasd backup FILE`: the databases as of one moment each, and the trees of code that they name. It reads the state directory itself, so it needs no daemon, and does
 * not disturb one: SQLite copies beside writers, and trees never change. One that is thrown away between the two makes the whole begin again.
 */
#include "base/fdio.h"
#include "base/fmt.h"
#include "cmd/archive_state.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/output.h"
#include "codec/json.h"
#include "gateway/store_copy.h"
#include "supervisor/rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BACKUP_TRIES = 5 };

struct backup {
    const char *file;
    bool with_key;
    bool json;
    struct supervisor_paths paths;
    char scratch[PATH_MAX]; /* beside the file: what the archive is made of; "" = none */
    char part[PATH_MAX];    /* the file while it is written */
    unsigned functions, versions;
    uint64_t bytes;
};

static int put_file(const struct backup *b, const char *name, const char *text, struct err *e)
{
    char path[PATH_MAX + 32];
    fmt_to(path, sizeof(path), "%s/%s", b->scratch, name);
    scoped_fd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : fd_write_full(fd, text, strlen(text));
    return r < 0 ? err_set(e, -r, "write '%s'", path) : 0;
}

static int copy_database(const char *name, void *context, struct err *e)
{
    const struct backup *b = context;
    char from[CONFIG_PATH_MAX + NAME_MAX + 8], to[PATH_MAX + NAME_MAX + 8];
    if (!archive_state_is_database(name))
        return 0;
    fmt_to(from, sizeof(from), "%s/db/%s", b->paths.state, name);
    fmt_to(to, sizeof(to), "%s/db/%s", b->scratch, name);
    return store_copy_database(from, to, e);
}

static int describe(const struct backup *b, struct err *e)
{
    char text[160], when[40];
    time_t now = time(NULL);
    struct tm tm;
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    fmt_to(text, sizeof(text), ARCHIVE_STATE_MARK "created %s\nkeys %s\n", when, b->with_key ? "yes" : "no");
    return put_file(b, "BACKUP", text, e);
}

/* tar's --files-from: the trees that the copied rows name. */
static int list_trees(struct backup *b, struct err *e)
{
    char db[PATH_MAX + 8];
    struct buf codes, list;
    buf_init(&codes, 0);
    buf_init(&list, 0);
    fmt_to(db, sizeof(db), "%s/db", b->scratch);
    int r = archive_state_list_codes(db, &codes, &b->functions, e);
    b->versions = 0;
    for (size_t at = 0; r == 0 && at < codes.len; at += strlen(codes.data + at) + 1) {
        b->versions++;
        if (buf_addf(&list, "versions/%s\n", codes.data + at) < 0)
            r = err_set(e, ENOMEM, "list the trees");
    }
    if (r == 0 && buf_add(&list, "", 1) < 0)
        r = err_set(e, ENOMEM, "list the trees");
    r = r < 0 ? r : put_file(b, "list", list.data, e);
    buf_fini(&codes);
    buf_fini(&list);
    return r;
}

static int fill(struct backup *b, struct err *e)
{
    char db[PATH_MAX + 8], place[CONFIG_PATH_MAX + 8], format[64] = "";
    fmt_to(place, sizeof(place), "%s/FORMAT", b->paths.state);
    if (fd_read_file_at(AT_FDCWD, place, format, sizeof(format), NULL) < 0 || strncmp(format, "faasd ", 6) != 0)
        return err_say(e, ENOENT, "'%s' is no state directory of faasd (or is closed to you: be root)", b->paths.state);
    fmt_to(db, sizeof(db), "%s/db", b->scratch);
    if (mkdir(b->scratch, 0700) < 0)
        return err_set(e, errno, "write '%s'", b->file);
    if (mkdir(db, 0700) < 0)
        return err_set(e, errno, "make '%s'", db);
    fmt_to(place, sizeof(place), "%s/db", b->paths.state);
    int r = put_file(b, "FORMAT", format, e);
    if (r == 0)
        r = describe(b, e);
    if (r == 0)
        r = archive_state_each(place, copy_database, b, e);
    return r < 0 ? r : list_trees(b, e);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static int pack(struct backup *b, struct err *e)
{
    char keys[CONFIG_PATH_MAX + 8], list[PATH_MAX + 16];
    fmt_to(keys, sizeof(keys), "%s/keys", b->paths.state);
    fmt_to(list, sizeof(list), "%s/list", b->scratch);
    bool has_keys = b->with_key && access(keys, R_OK) == 0;
    const char *packed = ends_with(b->file, ".gz") || ends_with(b->file, ".tgz") ? "-czf" : "-cf";
    const char *const argv[] = {"tar",
                                packed,
                                b->part,
                                "--force-local", /* a time in the file's name makes no host of it */
                                "--numeric-owner",
                                "-C",
                                b->scratch,
                                "BACKUP",
                                "FORMAT",
                                "db",
                                "-C",
                                b->paths.state,
                                "--verbatim-files-from",
                                "-T",
                                list,
                                has_keys ? "keys" : NULL,
                                NULL};
    int r = archive_state_run_tar(argv, e);
    if (r < 0)
        return r;
    struct stat st;
    scoped_fd fd = open(b->part, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0 || fstat(fd, &st) < 0)
        return err_set(e, errno, "write '%s' to the disk", b->part);
    b->bytes = (uint64_t)st.st_size;
    return 0;
}

/* Every tree that the rows name stood there when it was packed? */
static bool lost_a_tree(const struct backup *b)
{
    char path[PATH_MAX + 16], line[256];
    bool lost = false;
    fmt_to(path, sizeof(path), "%s/list", b->scratch);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        fmt_to(path, sizeof(path), "%s/%s", b->paths.state, line);
        lost = lost || access(path, F_OK) < 0;
    }
    if (f)
        fclose(f);
    return lost;
}

static int write_archive(struct backup *b, struct err *e)
{
    struct err ignored;
    int r = -EAGAIN;
    mode_t before = umask(077);
    for (int tries = 0; tries < BACKUP_TRIES && r < 0; tries++) {
        r = fill(b, e);
        if (r == 0)
            r = pack(b, e);
        bool again = r < 0 && lost_a_tree(b);
        archive_state_remove(b->scratch, &ignored);
        if (!again)
            break;
    }
    umask(before);
    if (r == 0 && rename(b->part, b->file) < 0)
        r = err_set(e, errno, "name it '%s'", b->file);
    if (r < 0)
        unlink(b->part);
    return r;
}

static void print_json(const struct backup *b)
{
    struct json_writer w;
    struct buf out;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    json_put_object(&w, NULL);
    json_put_text(&w, "file", b->file);
    json_put_u64(&w, "functions", b->functions);
    json_put_u64(&w, "trees", b->versions);
    json_put_u64(&w, "bytes", b->bytes);
    json_put_bool(&w, "keys", b->with_key);
    json_put_object_end(&w);
    if (json_writer_end(&w) == 0)
        printf("%.*s\n", (int)out.len, out.data);
    buf_fini(&out);
}

static int backup(struct backup *b)
{
    struct err e = {0};
    if (fmt_to(b->scratch, sizeof(b->scratch), "%s.faasd-%d", b->file, getpid()) + 8 >= sizeof(b->scratch)) {
        fprintf(stderr, "faasd backup: '%s' is too long a path\n", b->file);
        return CMD_FAILED;
    }
    fmt_to(b->part, sizeof(b->part), "%s.part", b->scratch);
    if (write_archive(b, &e) < 0) {
        fprintf(stderr, "faasd backup: %s\n", e.text);
        return e.code == EACCES || e.code == EPERM ? CMD_DENIED : CMD_FAILED;
    }
    if (b->json)
        print_json(b);
    else
        printf("%s: %u functions, %u trees of code, %lu bytes, %s\n", b->file, b->functions, b->versions,
               (unsigned long)b->bytes,
               b->with_key
                   ? "with the keys: keep it as you keep them"
                   : "without the keys (--with-key): secrets and tokens' signing keys can't be opened without them");
    return output_finish("backup", CMD_OK);
}

int cmd_backup(int argc, char **argv)
{
    struct backup b = {0};
    struct err e;
    const char *root = NULL;
    const struct option table[] = {{.name = "root", .kind = OPTION_TEXT, .target = &root},
                                   {.name = "with-key", .kind = OPTION_BOOL, .target = &b.with_key},
                                   {.name = "json", .kind = OPTION_BOOL, .target = &b.json},
                                   {0}};
    struct options o = {
        .command = "backup", .tables = {table}, .operands_min = 1, .operands_max = 1, .operands_text = "a FILE"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    b.file = o.operands[0];
    if (supervisor_find_paths(root, &b.paths, &e) < 0)
        return options_refuse("backup", "%s", e.text);
    if (rootless_enter_private(&b.paths, &e) < 0) {
        fprintf(stderr, "faasd backup: %s\n", e.text);
        return CMD_DENIED;
    }
    return backup(&b);
}
