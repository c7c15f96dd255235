/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what was uploaded; what may become a file, and where, is decided in archive_tree.c. */
#include "codec/archive.h"

#include "base/fdio.h"
#include "codec/archive_library.h"
#include "codec/archive_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { BLOCK = 65536, SHOWN = 80, TAR_BLOCK = 512 };

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
    const char *why = archive_lib.archive_error_string(u->archive);
    int error = archive_lib.archive_errno(u->archive);
    if (error == ENOMEM || error == EIO) /* the host's; of what is in it libarchive has numbers of its own */
        return err_set(u->e, error, "read the archive");
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
    /* a negative one is more than any limit */
    if (archive_lib.archive_entry_size_is_set(entry))
        end = archive_lib.archive_entry_size(entry);
    int r = archive_tree_count_bytes(&u->tree, (uint64_t)end, name, u->e);
    while (r == 0) {
        int status = archive_lib.archive_read_data_block(u->archive, &block, &n, &at);
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
    const char *name = archive_lib.archive_entry_pathname(entry), *hard = archive_lib.archive_entry_hardlink(entry);
    *ret_item = (struct archive_item){.name = name, .executable = (archive_lib.archive_entry_perm(entry) & 0111) != 0};
    if (!name)
        return err_say(u->e, EINVAL, "a name in the archive is not UTF-8");
    if (hard) {
        ret_item->kind = ARCHIVE_ITEM_HARD_LINK;
        ret_item->target = hard;
        return 0;
    }
    /* Dropping them in silence would change what the program does; it has no user to become inside anyway. On directories they only say who owns new files. */
    if (archive_lib.archive_entry_filetype(entry) == AE_IFREG &&
        archive_lib.archive_entry_perm(entry) & (S_ISUID | S_ISGID))
        return err_say(u->e, EINVAL, "'%.*s' is set-user-id or set-group-id: chmod ug-s it", SHOWN, name);
    switch (archive_lib.archive_entry_filetype(entry)) {
    case AE_IFREG:
        ret_item->kind = ARCHIVE_ITEM_FILE;
        return 0;
    case AE_IFDIR:
        ret_item->kind = ARCHIVE_ITEM_DIRECTORY;
        return 0;
    case AE_IFLNK:
        ret_item->kind = ARCHIVE_ITEM_LINK;
        ret_item->target = archive_lib.archive_entry_symlink(entry);
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
        int status = archive_lib.archive_read_next_header(u->archive, &entry);
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
    unsigned char last[TAR_BLOCK] = {1};
    if (pread(fd, last, sizeof(last), (off_t)(bytes - TAR_BLOCK)) < 0)
        return err_set(e, errno, "read the upload");
    if (!is_zero(last, sizeof(last)))
        return err_say(e, EINVAL, "the archive is cut short: it has no end mark");
    return 0;
}

static int open_reader(struct unpack *u, int fd, enum archive_kind kind)
{
    struct archive *a = u->archive;
    int status = kind == ARCHIVE_ZIP ? archive_lib.archive_read_support_format_zip_seekable(a)
                                     : archive_lib.archive_read_support_format_tar(a);
    if (status == ARCHIVE_OK && kind == ARCHIVE_TAR_GZ)
        status = archive_lib.archive_read_support_filter_gzip(a);
    if (status == ARCHIVE_OK)
        status = archive_lib.archive_read_open_fd(a, fd, BLOCK);
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
    int r = archive_library_load(u->e);
    if (r == 0 && kind == ARCHIVE_TAR)
        r = check_end_mark(fd, u->packed_bytes, u->e);
    if (r < 0)
        return r;
    u->archive = archive_lib.archive_read_new();
    if (!u->archive)
        return err_set(u->e, ENOMEM, "read the archive");
    locale_t before, utf8 = archive_enter_utf8(&before);
    r = open_reader(u, fd, kind);
    if (r == 0)
        r = read_entries(u);
    archive_lib.archive_read_free(u->archive);
    archive_leave_utf8(utf8, before);
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
