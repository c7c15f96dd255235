/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `faasd restore FILE`: what `faasd backup` wrote, into a state directory that is empty or not there. Unpacked beside it, checked whole (databases, every tree against the
 * digest that is its name), handed to today's owners, and only then renamed into place.
 */
#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"
#include "cmd/archive_state.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/output.h"
#include "gateway/store_copy.h"
#include "gateway/store_digest.h"
#include "sandbox/identity.h"
#include "supervisor/configuration.h"
#include "supervisor/directory.h"
#include "supervisor/rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WALK_FDS = 16 };

struct restore {
    const char *file;
    bool json;
    struct supervisor_paths paths;
    struct accounts accounts;
    uint32_t code_owner;
    char scratch[CONFIG_PATH_MAX + 32];
    char created[64];
    bool has_keys;
    unsigned functions, trees;
};

/* ---- before ---- */

static int find_owners(struct restore *r, struct err *e)
{
    const struct supervisor_options o = {.paths = r->paths, .ready_fd = -1};
    scoped_free struct config *c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(e, ENOMEM, "read the configuration");
    int result = configuration_load(&o, c, &r->accounts, e);
    r->code_owner = identity_code_owner(c);
    return result;
}

/* Nothing is ever restored over something: what was there could not be had back. */
static int check_place(const struct restore *r, struct err *e)
{
    if (rmdir(r->paths.state) == 0 || errno == ENOENT)
        return 0;
    if (errno == ENOTEMPTY || errno == EEXIST)
        return err_say(e, EEXIST, "'%s' is not empty: stop faasd and move it away first (mv %s %s.old)", r->paths.state,
                       r->paths.state, r->paths.state);
    return err_set(e, errno, "look at '%s'", r->paths.state);
}

/* ---- what was unpacked ---- */

static struct str line_value(struct str text, const char *key)
{
    while (text.n) {
        struct str line = str_cut(text, '\n', &text, NULL);
        if (str_starts_with(line, key))
            return str_skip(line, strlen(key));
    }
    return (struct str){0};
}

static int check_mark(struct restore *r, struct err *e)
{
    char path[sizeof(r->scratch) + 16], text[256] = "";
    fmt_to(path, sizeof(path), "%s/BACKUP", r->scratch);
    if (fd_read_file_at(AT_FDCWD, path, text, sizeof(text), NULL) < 0 || strncmp(text, "faasd-backup ", 13) != 0)
        return err_say(e, EINVAL, "'%s' is no backup of faasd", r->file);
    if (strncmp(text, ARCHIVE_STATE_MARK, strlen(ARCHIVE_STATE_MARK)) != 0)
        return err_say(e, EPROTO, "'%s' was written by a newer faasd", r->file);
    str_copy(line_value(str_from(text), "created "), r->created, sizeof(r->created));
    r->has_keys = str_is(line_value(str_from(text), "keys "), "yes");
    return 0;
}

static int check_database(const char *name, void *context, struct err *e)
{
    const struct restore *r = context;
    char path[sizeof(r->scratch) + NAME_MAX + 8];
    fmt_to(path, sizeof(path), "%s/db/%s", r->scratch, name);
    if (!archive_state_is_database(name))
        return err_say(e, EINVAL, "'db/%s' is nothing that a backup holds", name);
    return store_check_database(path, e);
}

static int check_tree(const char *name, void *context, struct err *e)
{
    struct restore *r = context;
    char path[sizeof(r->scratch) + NAME_MAX + 16], digest[STORE_DIGEST_MAX];
    uint64_t bytes;
    const struct store_digest_options o = {0};
    fmt_to(path, sizeof(path), "%s/versions/%s", r->scratch, name);
    int result = store_digest_compute(AT_FDCWD, path, &o, digest, &bytes, e);
    if (result == 0 && strcmp(digest, name) != 0)
        result = err_say(e, EUCLEAN, "the tree '%.12s' is not what was deployed: the backup is damaged", name);
    r->trees++;
    return result;
}

/* No row without its tree. */
static int check_rows(struct restore *r, struct err *e)
{
    char path[sizeof(r->scratch) + STORE_DIGEST_MAX + 16];
    struct buf codes;
    buf_init(&codes, 0);
    fmt_to(path, sizeof(path), "%s/db", r->scratch);
    int result = archive_state_list_codes(path, &codes, &r->functions, e);
    for (size_t at = 0; result == 0 && at < codes.len; at += strlen(codes.data + at) + 1) {
        fmt_to(path, sizeof(path), "%s/versions/%s", r->scratch, codes.data + at);
        if (access(path, F_OK) < 0)
            result = err_say(e, EUCLEAN, "the tree '%.12s' is missing: the backup is damaged", codes.data + at);
    }
    buf_fini(&codes);
    return result;
}

static int check_all(struct restore *r, struct err *e)
{
    char path[sizeof(r->scratch) + 16];
    int result = check_mark(r, e);
    fmt_to(path, sizeof(path), "%s/db", r->scratch);
    if (result == 0)
        result = archive_state_each(path, check_database, r, e);
    fmt_to(path, sizeof(path), "%s/versions", r->scratch);
    if (result == 0 && mkdir(path, 0755) < 0 && errno != EEXIST) /* none was deployed */
        result = err_set(e, errno, "make '%s'", path);
    if (result == 0)
        result = archive_state_each(path, check_tree, r, e);
    return result < 0 ? result : check_rows(r, e);
}

/* ---- owners ---- */

static struct {
    uid_t uid;
    gid_t gid;
    int error;
} handed; /* nftw has no context */

static int hand_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    handed.error = lchown(path, handed.uid, handed.gid) < 0 ? errno : 0;
    return handed.error;
}

static int hand_over(const char *path, uid_t uid, gid_t gid, struct err *e)
{
    handed.uid = uid;
    handed.gid = gid;
    handed.error = 0;
    if (nftw(path, hand_entry, WALK_FDS, FTW_PHYS) != 0)
        return err_set(e, handed.error ? handed.error : errno, "hand '%s' to uid %u", path, uid);
    return 0;
}

static int hand_tree(const char *name, void *context, struct err *e)
{
    const struct restore *r = context;
    char path[sizeof(r->scratch) + NAME_MAX + 16];
    fmt_to(path, sizeof(path), "%s/versions/%s", r->scratch, name);
    return hand_over(path, r->code_owner, r->code_owner, e);
}

static int hand_all(struct restore *r, struct err *e)
{
    char path[sizeof(r->scratch) + 16];
    fmt_to(path, sizeof(path), "%s/versions", r->scratch);
    int result = archive_state_each(path, hand_tree, r, e);
    fmt_to(path, sizeof(path), "%s/db", r->scratch);
    if (result == 0)
        result = hand_over(path, r->accounts.gateway_uid, r->accounts.gateway_gid, e);
    if (result == 0 && (chmod(path, 0700) < 0 || chmod(r->scratch, 0710) < 0))
        result = err_set(e, errno, "set the mode of '%s'", path);
    return result;
}

/* ---- all of it ---- */

static int unpack(struct restore *r, struct err *e)
{
    /* --force-local: "faasd-09:30.tar" is a file, no tape drive of a host "faasd-09" */
    const char *const argv[] = {
        "tar", "-xf", r->file, "--force-local", "-C", r->scratch, "--no-same-owner", "--no-same-permissions", NULL};
    return archive_state_run_tar(argv, e) < 0 ? err_wrap(e, "unpack '%s'", r->file) : 0;
}

static int put_in_place(struct restore *r, struct err *e)
{
    char path[sizeof(r->scratch) + 16];
    fmt_to(path, sizeof(path), "%s/BACKUP", r->scratch);
    scoped_fd fd = open(r->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (unlink(path) < 0 || fd < 0 || syncfs(fd) < 0)
        return err_set(e, errno, "write '%s' to the disk", r->scratch);
    if (rename(r->scratch, r->paths.state) < 0)
        return err_set(e, errno, "put '%s' into place", r->paths.state);
    return 0;
}

static int check_file(const struct restore *r, struct err *e)
{
    struct stat st;
    scoped_fd fd = open(r->file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, errno, "open '%s'", r->file);
    return S_ISDIR(st.st_mode)
               ? err_say(e, EISDIR, "'%s' is a directory: name the file that `faasd backup` wrote", r->file)
               : 0;
}

/* On a new host the directories above it are not there either: made as `serve` makes them. */
static int make_parents(const struct restore *r, struct err *e)
{
    int fd = directory_open_own(r->paths.state, 0700, e);
    if (fd < 0)
        return fd;
    fd_close(&fd);
    return check_place(r, e);
}

static int restore_state(struct restore *r, struct err *e)
{
    struct err ignored;
    int result = check_file(r, e);
    if (result == 0)
        result = check_place(r, e);
    if (result == 0)
        result = make_parents(r, e);
    if (result < 0)
        return result;
    fmt_to(r->scratch, sizeof(r->scratch), "%s.restore-%d", r->paths.state, getpid());
    if (mkdir(r->scratch, 0700) < 0)
        return err_set(e, errno, "make '%s'", r->scratch);
    mode_t before = umask(022);
    result = unpack(r, e);
    if (result == 0)
        result = check_all(r, e);
    if (result == 0)
        result = hand_all(r, e);
    if (result == 0)
        result = put_in_place(r, e);
    umask(before);
    if (result < 0)
        archive_state_remove(r->scratch, &ignored);
    return result;
}

static int restore(struct restore *r)
{
    struct err e = {0};
    int result = find_owners(r, &e);
    if (result == 0 && geteuid() != 0)
        result = err_say(&e, EPERM, "state belongs to several users: be root");
    result = result < 0 ? result : restore_state(r, &e);
    if (result < 0) {
        fprintf(stderr, "faasd restore: %s\n", e.text);
        return e.code == EPERM || e.code == EACCES ? CMD_DENIED : CMD_FAILED;
    }
    if (r->json)
        printf("{\"functions\":%u,\"trees\":%u,\"keys\":%s}\n", r->functions, r->trees, r->has_keys ? "true" : "false");
    else
        printf("%s: %u functions, %u trees of code, as of %s%s\n", r->paths.state, r->functions, r->trees, r->created,
               r->has_keys
                   ? ""
                   : "; without the keys: secrets are to be set again, and tokens can be shown but sign nothing");
    return output_finish("restore", CMD_OK);
}

int cmd_restore(int argc, char **argv)
{
    struct restore r = {0};
    struct err e;
    const char *root = NULL;
    const struct option table[] = {{.name = "root", .kind = OPTION_TEXT, .target = &root},
                                   {.name = "json", .kind = OPTION_BOOL, .target = &r.json},
                                   {0}};
    struct options o = {
        .command = "restore", .tables = {table}, .operands_min = 1, .operands_max = 1, .operands_text = "a FILE"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    r.file = o.operands[0];
    if (supervisor_find_paths(root, &r.paths, &e) < 0)
        return options_refuse("restore", "%s", e.text);
    if (rootless_enter_private(&r.paths, &e) < 0) {
        fprintf(stderr, "faasd restore: %s\n", e.text);
        return CMD_DENIED;
    }
    return restore(&r);
}
