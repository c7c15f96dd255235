/* SPDX-License-Identifier: Apache-2.0 */
/* libarchive's only user. It reads and writes the formats; what may become a file, and where, is decided in archive_tree.c. */
#include "codec/archive.h"

#include "base/fdio.h"
#include "codec/archive_ignore.h"
#include "codec/archive_tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

enum { BLOCK = 65536, SHOWN = 80, TAR_BLOCK = 512 };

/* Loaded rather than linked: its own dependencies (libxml2, ICU, ...) would cost both daemons megabytes for what a short-lived process does. */
#define LIBRARY "libarchive.so.13"
#define FUNCTIONS(X)                                                                                                   \
    X(archive_error_string)                                                                                            \
    X(archive_errno)                                                                                                   \
    X(archive_read_new)                                                                                                \
    X(archive_read_free)                                                                                               \
    X(archive_read_support_filter_gzip)                                                                                \
    X(archive_read_support_format_tar)                                                                                 \
    X(archive_read_support_format_zip_seekable)                                                                        \
    X(archive_read_open_fd)                                                                                            \
    X(archive_read_next_header)                                                                                        \
    X(archive_read_data_block)                                                                                         \
    X(archive_write_new)                                                                                               \
    X(archive_write_free)                                                                                              \
    X(archive_write_set_format_pax_restricted)                                                                         \
    X(archive_write_add_filter_none)                                                                                   \
    X(archive_write_open_fd)                                                                                           \
    X(archive_write_header)                                                                                            \
    X(archive_write_data)                                                                                              \
    X(archive_write_close)                                                                                             \
    X(archive_entry_new)                                                                                               \
    X(archive_entry_free)                                                                                              \
    X(archive_entry_filetype)                                                                                          \
    X(archive_entry_perm)                                                                                              \
    X(archive_entry_pathname)                                                                                          \
    X(archive_entry_symlink)                                                                                           \
    X(archive_entry_hardlink)                                                                                          \
    X(archive_entry_size)                                                                                              \
    X(archive_entry_size_is_set)                                                                                       \
    X(archive_entry_set_pathname)                                                                                      \
    X(archive_entry_set_symlink)                                                                                       \
    X(archive_entry_set_filetype)                                                                                      \
    X(archive_entry_set_perm)                                                                                          \
    X(archive_entry_set_size)                                                                                          \
    X(archive_entry_set_mtime)

static struct {
    void *handle;
#define MEMBER(f) __typeof__(f) *f;
    FUNCTIONS(MEMBER)
#undef MEMBER
} lib;

static int load(struct err *e)
{
    static const struct {
        const char *name;
        void *place;
    } wanted[] = {
#define PLACE(f) {#f, &lib.f},
        FUNCTIONS(PLACE)
#undef PLACE
    };
    if (lib.handle)
        return 0;
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return err_say(e, ENOENT, "%s is missing: install libarchive13", LIBRARY);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        void *symbol = dlsym(handle, wanted[i].name);
        if (!symbol) {
            dlclose(handle);
            return err_say(e, ENOENT, "%s has no %s", LIBRARY, wanted[i].name);
        }
        /* through memcpy: ISO C has no conversion from an object's pointer to a function's */
        memcpy(wanted[i].place, &symbol, sizeof(symbol));
    }
    lib.handle = handle;
    return 0;
}

/* libarchive converts names by the locale's character set; the C locale would refuse all but ASCII. "C.UTF-8" is built into glibc since 2.35. */
static locale_t enter_utf8(locale_t *ret_before)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    *ret_before = utf8 ? uselocale(utf8) : (locale_t)0;
    return utf8;
}

static void leave_utf8(locale_t utf8, locale_t before)
{
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
}

/* A tar header's checksum (pax(1), "ustar Interchange Format"): the sum of its bytes with the checksum's own taken as spaces. */
static bool is_tar_header(const unsigned char *b)
{
    unsigned long sum = 0, told = 0;
    for (unsigned i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : b[i];
    unsigned at = 148;
    while (at < 156 && b[at] == ' ')
        at++;
    for (; at < 156 && b[at] >= '0' && b[at] <= '7'; at++)
        told = told * 8 + (b[at] - '0');
    return sum == told;
}

static bool is_zero(const unsigned char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (b[i])
            return false;
    return true;
}

int archive_detect(int fd, struct err *e)
{
    unsigned char b[TAR_BLOCK] = {0};
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_set(e, errno, "read the upload");
    ssize_t n = fd_read_full(fd, b, sizeof(b));
    if (n < 0)
        return err_set(e, (int)-n, "read the upload");
    if (!memcmp(b,
                "\x7f"
                "ELF",
                4) ||
        !memcmp(b, "#!", 2))
        return ARCHIVE_PROGRAM;
    if (b[0] == 0x1f && b[1] == 0x8b)
        return ARCHIVE_TAR_GZ;
    if (!memcmp(b, "PK\003\004", 4) || !memcmp(b, "PK\005\006", 4))
        return ARCHIVE_ZIP;
    if (n == TAR_BLOCK && (is_tar_header(b) || is_zero(b, sizeof(b))))
        return ARCHIVE_TAR;
    return ARCHIVE_UNKNOWN;
}

struct unpack {
    struct archive *archive;
    struct archive_tree tree;
    uint64_t packed_bytes;
    uint64_t written_bytes; /* holes not counted */
    struct err *e;
};

static int say_damaged(struct unpack *u)
{
    const char *why = lib.archive_error_string(u->archive);
    if (lib.archive_errno(u->archive) == ENOMEM)
        return err_set(u->e, ENOMEM, "read the archive");
    return err_say(u->e, EINVAL, "the archive is damaged or of an unknown kind: %s", why ? why : "no reason known");
}

static int write_at(int fd, const char *bytes, size_t n, off_t at)
{
    while (n) {
        ssize_t done = pwrite(fd, bytes, n, at);
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            bytes += done;
            at += done;
            n -= (size_t)done;
        }
    }
    return 0;
}

/* Counts a run of content before it is written: no byte beyond a limit reaches the disk. */
static int admit_block(struct unpack *u, uint64_t end, size_t n, const char *name)
{
    u->written_bytes += n;
    if (u->written_bytes > ARCHIVE_RATIO_FREE && u->written_bytes / ARCHIVE_RATIO_MAX > u->packed_bytes)
        return err_say(u->e, EMSGSIZE, "the archive unpacks to more than %d times its size", (int)ARCHIVE_RATIO_MAX);
    return archive_tree_count_bytes(&u->tree, end, name, u->e);
}

static int write_content(struct unpack *u, struct archive_entry *entry, int fd, const char *name)
{
    const void *block;
    size_t n;
    la_int64_t at, end = 0;
    if (lib.archive_entry_size_is_set(entry))
        end = lib.archive_entry_size(entry);
    if (end < 0)
        return err_say(u->e, EINVAL, "'%.*s' has a negative size", SHOWN, name);
    int r = archive_tree_count_bytes(&u->tree, (uint64_t)end, name, u->e);
    while (r == 0) {
        int status = lib.archive_read_data_block(u->archive, &block, &n, &at);
        if (status == ARCHIVE_EOF)
            break;
        if (status != ARCHIVE_OK)
            return say_damaged(u);
        if (at < 0 || at > LLONG_MAX - (la_int64_t)n)
            return err_say(u->e, EINVAL, "'%.*s' has an impossible offset", SHOWN, name);
        end = at + (la_int64_t)n > end ? at + (la_int64_t)n : end;
        r = admit_block(u, (uint64_t)end, n, name);
        if (r < 0)
            return r;
        r = write_at(fd, block, n, at);
        if (r < 0)
            return err_set(u->e, -r, "write '%.*s'", SHOWN, name);
    }
    /* a hole at the end has no block of its own */
    if (r == 0 && ftruncate(fd, end) < 0)
        r = err_set(u->e, errno, "write '%.*s'", SHOWN, name);
    return r;
}

static int describe(struct unpack *u, struct archive_entry *entry, struct archive_item *ret_item)
{
    const char *name = lib.archive_entry_pathname(entry), *hard = lib.archive_entry_hardlink(entry);
    *ret_item = (struct archive_item){.name = name, .executable = (lib.archive_entry_perm(entry) & 0111) != 0};
    if (!name)
        return err_say(u->e, EINVAL, "a name in the archive is not UTF-8");
    if (hard) {
        ret_item->kind = ARCHIVE_ITEM_HARD_LINK;
        ret_item->target = hard;
        return 0;
    }
    /* Dropping them in silence would change what the program does; it has no user to become inside anyway. On directories they only say who owns new files. */
    if (lib.archive_entry_filetype(entry) == AE_IFREG && lib.archive_entry_perm(entry) & (S_ISUID | S_ISGID))
        return err_say(u->e, EINVAL, "'%.*s' is set-user-id or set-group-id: chmod ug-s it", SHOWN, name);
    switch (lib.archive_entry_filetype(entry)) {
    case AE_IFREG:
        ret_item->kind = ARCHIVE_ITEM_FILE;
        return 0;
    case AE_IFDIR:
        ret_item->kind = ARCHIVE_ITEM_DIRECTORY;
        return 0;
    case AE_IFLNK:
        ret_item->kind = ARCHIVE_ITEM_LINK;
        ret_item->target = lib.archive_entry_symlink(entry);
        return ret_item->target ? 0 : err_say(u->e, EINVAL, "'%.*s' is a link without a usable target", SHOWN, name);
    case AE_IFIFO:
        return err_say(u->e, EINVAL, "'%.*s' is a fifo: only files, directories and links are allowed", SHOWN, name);
    case AE_IFSOCK:
        return err_say(u->e, EINVAL, "'%.*s' is a socket: only files, directories and links are allowed", SHOWN, name);
    case AE_IFCHR:
    case AE_IFBLK:
        return err_say(u->e, EINVAL, "'%.*s' is a device: only files, directories and links are allowed", SHOWN, name);
    default:
        return err_say(u->e, EINVAL, "'%.*s' is of an unknown type", SHOWN, name);
    }
}

static int take_entry(struct unpack *u, struct archive_entry *entry)
{
    struct archive_item item;
    scoped_fd fd = -1;
    int r = describe(u, entry, &item);
    if (r == 0)
        r = archive_tree_add(&u->tree, &item, &fd, u->e);
    if (r == 0 && fd >= 0)
        r = write_content(u, entry, fd, item.name);
    if (r == 0 && fd >= 0)
        r = archive_tree_end_file(&u->tree, &item, &fd, u->e);
    return r;
}

static int read_entries(struct unpack *u)
{
    struct archive_entry *entry;
    /* directories that stand there twice are counted here and nowhere else */
    for (uint64_t headers = 0;; headers++) {
        int status = lib.archive_read_next_header(u->archive, &entry);
        if (status == ARCHIVE_EOF)
            return 0;
        if (status != ARCHIVE_OK)
            return say_damaged(u);
        if (headers > u->tree.options->entries_max)
            return err_say(u->e, EMSGSIZE, "the archive holds more than %lu entries (code_entries)",
                           (unsigned long)u->tree.options->entries_max);
        int r = take_entry(u, entry);
        if (r < 0)
            return r;
    }
}

/* libarchive takes the end of the file for the end of a tar; one that was cut between two entries would pass for whole. */
static int check_end_mark(int fd, uint64_t bytes, struct err *e)
{
    unsigned char last[TAR_BLOCK];
    if (bytes < TAR_BLOCK || pread(fd, last, sizeof(last), (off_t)(bytes - TAR_BLOCK)) != TAR_BLOCK ||
        !is_zero(last, sizeof(last)))
        return err_say(e, EINVAL, "the archive is cut short: it has no end mark");
    return 0;
}

static int open_reader(struct unpack *u, int fd, enum archive_kind kind)
{
    struct archive *a = u->archive;
    int status =
        kind == ARCHIVE_ZIP ? lib.archive_read_support_format_zip_seekable(a) : lib.archive_read_support_format_tar(a);
    if (status == ARCHIVE_OK && kind == ARCHIVE_TAR_GZ)
        status = lib.archive_read_support_filter_gzip(a);
    if (status == ARCHIVE_OK)
        status = lib.archive_read_open_fd(a, fd, BLOCK);
    return status == ARCHIVE_OK ? 0 : say_damaged(u);
}

static int measure(int fd, struct unpack *u)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return err_set(u->e, errno, "read the upload");
    u->packed_bytes = (uint64_t)st.st_size;
    return 0;
}

static int copy_program(struct unpack *u, int from, int to, const char *name)
{
    char block[BLOCK];
    uint64_t end = 0;
    for (;;) {
        ssize_t n = fd_read_full(from, block, sizeof(block));
        if (n <= 0)
            return n < 0 ? err_set(u->e, (int)-n, "read the upload") : 0;
        end += (uint64_t)n;
        int r = archive_tree_count_bytes(&u->tree, end, name, u->e);
        if (r < 0)
            return r;
        r = fd_write_full(to, block, (size_t)n);
        if (r < 0)
            return err_set(u->e, -r, "write '%.*s'", SHOWN, name);
    }
}

/* The same way into the tree as an archive's single file. */
static int store_program(struct unpack *u, int fd, const char *name)
{
    struct archive_item item = {.kind = ARCHIVE_ITEM_FILE, .name = name, .executable = true};
    scoped_fd file = -1;
    int r = archive_tree_add(&u->tree, &item, &file, u->e);
    if (r == 0)
        r = copy_program(u, fd, file, name);
    if (r == 0)
        r = archive_tree_end_file(&u->tree, &item, &file, u->e);
    return r;
}

static int read_archive(struct unpack *u, int fd, enum archive_kind kind)
{
    int r = load(u->e);
    if (r == 0 && kind == ARCHIVE_TAR)
        r = check_end_mark(fd, u->packed_bytes, u->e);
    if (r < 0)
        return r;
    u->archive = lib.archive_read_new();
    if (!u->archive)
        return err_set(u->e, ENOMEM, "read the archive");
    locale_t before, utf8 = enter_utf8(&before);
    r = open_reader(u, fd, kind);
    if (r == 0)
        r = read_entries(u);
    lib.archive_read_free(u->archive);
    leave_utf8(utf8, before);
    return r;
}

int archive_unpack(int fd, int into, const struct archive_options *o, struct archive_totals *ret_totals, struct err *e)
{
    struct unpack u = {.e = e};
    int kind = archive_detect(fd, e);
    if (kind < 0)
        return kind;
    if (kind == ARCHIVE_UNKNOWN || (kind == ARCHIVE_PROGRAM && !o->program_name))
        return err_say(e, EINVAL, "the upload is no tar, tar.gz or zip archive%s",
                       o->program_name ? " and no program (an ELF file, or a script that starts with #!)" : "");
    int r = measure(fd, &u);
    if (r < 0)
        return r;
    archive_tree_init(&u.tree, into, o, ret_totals);
    r = kind == ARCHIVE_PROGRAM ? store_program(&u, fd, o->program_name)
                                : read_archive(&u, fd, (enum archive_kind)kind);
    if (r == 0)
        r = archive_tree_finish(&u.tree, e);
    archive_tree_fini(&u.tree);
    return r;
}

struct pack {
    struct archive *archive;
    struct archive_ignore ignore;
    struct buf *left_out; /* borrowed */
    char path[ARCHIVE_PATH_MAX];
    struct err *e;
};

static int say_unwritten(struct pack *p)
{
    int error = lib.archive_errno(p->archive);
    return err_set(p->e, error > 0 ? error : EIO, "write '%.*s' to the archive", SHOWN, p->path);
}

static int pack_header(struct pack *p, const struct stat *st, const char *target)
{
    struct archive_entry *entry = lib.archive_entry_new();
    if (!entry)
        return err_set(p->e, ENOMEM, "write the archive");
    lib.archive_entry_set_pathname(entry, p->path);
    lib.archive_entry_set_filetype(entry, st->st_mode & S_IFMT);
    lib.archive_entry_set_perm(entry, S_ISREG(st->st_mode) && !(st->st_mode & 0111) ? 0644 : 0755);
    lib.archive_entry_set_size(entry, S_ISREG(st->st_mode) ? st->st_size : 0);
    lib.archive_entry_set_mtime(entry, 0, 0);
    if (target)
        lib.archive_entry_set_symlink(entry, target);
    int status = lib.archive_write_header(p->archive, entry);
    lib.archive_entry_free(entry);
    return status == ARCHIVE_OK ? 0 : say_unwritten(p);
}

static int pack_file(struct pack *p, int fd, const struct stat *st)
{
    char block[BLOCK];
    int r = pack_header(p, st, NULL);
    for (off_t left = st->st_size; r == 0 && left > 0;) {
        ssize_t n = fd_read_full(fd, block, left < BLOCK ? (size_t)left : BLOCK);
        if (n < 0)
            return err_set(p->e, (int)-n, "read '%.*s'", SHOWN, p->path);
        if (n == 0)
            return err_say(p->e, EAGAIN, "'%.*s' became shorter while it was read", SHOWN, p->path);
        if (lib.archive_write_data(p->archive, block, (size_t)n) != n)
            return say_unwritten(p);
        left -= n;
    }
    return r;
}

static int pack_link(struct pack *p, int dirfd, const char *name, const struct stat *st)
{
    char target[ARCHIVE_PATH_MAX];
    ssize_t n = readlinkat(dirfd, name, target, sizeof(target));
    if (n < 0 || n == sizeof(target))
        return err_set(p->e, n < 0 ? errno : ENAMETOOLONG, "read link '%.*s'", SHOWN, p->path);
    target[n] = '\0';
    return pack_header(p, st, target);
}

static int pack_directory(struct pack *p, int fd);

/* p->path is the entry's, relative to the packed directory. */
static int pack_entry(struct pack *p, int dirfd, const char *name)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(p->e, errno, "stat '%.*s'", SHOWN, p->path);
    bool is_directory = S_ISDIR(st.st_mode);
    if (archive_ignore_matches(&p->ignore, p->path, is_directory))
        return buf_addf(p->left_out, "%s%s\n", p->path, is_directory ? "/" : "") < 0
                   ? err_set(p->e, ENOMEM, "list what is left out")
                   : 0;
    if (S_ISLNK(st.st_mode))
        return pack_link(p, dirfd, name, &st);
    if (!S_ISREG(st.st_mode) && !is_directory)
        return err_say(p->e, EINVAL, "'%.*s' is neither a file, a directory nor a link: name it in .faasdignore", SHOWN,
                       p->path);
    scoped_fd fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(p->e, errno, "open '%.*s'", SHOWN, p->path);
    if (!is_directory)
        return pack_file(p, fd, &st);
    int r = pack_header(p, &st, NULL);
    return r < 0 ? r : pack_directory(p, fd);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_real(const struct dirent *d)
{
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* Depth is bounded by the length of p->path. */
static int pack_directory(struct pack *p, int fd)
{
    struct dirent **names = NULL;
    size_t length = strlen(p->path);
    int r = 0, n = scandirat(fd, ".", &names, is_real, by_bytes);
    if (n < 0)
        return err_set(p->e, errno, "read directory '%.*s'", SHOWN, *p->path ? p->path : ".");
    for (int i = 0; i < n; i++) {
        size_t start = length ? length + 1 : 0, name_length = strlen(names[i]->d_name);
        if (r == 0 && start + name_length >= sizeof(p->path))
            r = err_say(p->e, EINVAL, "'%.*s...' has a path of more than %d bytes", SHOWN, p->path,
                        ARCHIVE_PATH_MAX - 1);
        if (r == 0) {
            if (length)
                p->path[length] = '/';
            memcpy(p->path + start, names[i]->d_name, name_length + 1);
            r = pack_entry(p, fd, names[i]->d_name);
        }
        free(names[i]);
    }
    p->path[length] = '\0';
    free(names);
    return r;
}

static int write_tar(struct pack *p, int dir, int out_fd)
{
    struct archive *a = p->archive;
    int status = lib.archive_write_set_format_pax_restricted(a);
    if (status == ARCHIVE_OK)
        status = lib.archive_write_add_filter_none(a);
    if (status == ARCHIVE_OK)
        status = lib.archive_write_open_fd(a, out_fd);
    if (status != ARCHIVE_OK)
        return say_unwritten(p);
    int r = pack_directory(p, dir);
    if (r == 0 && lib.archive_write_close(a) != ARCHIVE_OK)
        r = say_unwritten(p);
    return r;
}

int archive_pack(const char *path, int out_fd, struct buf *left_out, struct err *e)
{
    struct pack p = {.left_out = left_out, .e = e};
    scoped_fd dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, errno, "open '%s'", path);
    int r = load(e);
    if (r == 0)
        r = archive_ignore_load(&p.ignore, dir, e);
    if (r < 0)
        return r;
    p.archive = lib.archive_write_new();
    if (p.archive) {
        locale_t before, utf8 = enter_utf8(&before);
        r = write_tar(&p, dir, out_fd);
        lib.archive_write_free(p.archive);
        leave_utf8(utf8, before);
    } else {
        r = err_set(e, ENOMEM, "write the archive");
    }
    archive_ignore_fini(&p.ignore);
    return r;
}
