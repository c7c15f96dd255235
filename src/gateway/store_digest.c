/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_digest.h"

#include "base/fdio.h"
#include "base/id.h"
#include "codec/crypto.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK_BYTES = 64 * 1024, PAUSE_BYTES = 512 * 1024, PAUSE_ENTRIES = 256 };

struct walk {
    struct crypto_hash hash;
    const struct store_digest_options *options;
    char *chunk;    /* owned: CHUNK_BYTES */
    uint64_t bytes; /* contents so far */
    uint64_t paused_at;
    unsigned entries; /* since the last pause */
};

static void add(struct walk *w, const void *bytes, size_t n)
{
    crypto_hash_add(&w->hash, bytes, n);
}

static void add_number(struct walk *w, uint64_t value, size_t width)
{
    unsigned char out[8];
    for (size_t i = 0; i < width; i++)
        out[i] = (unsigned char)(value >> (8 * i));
    add(w, out, width);
}

static void maybe_pause(struct walk *w)
{
    if (w->bytes - w->paused_at < PAUSE_BYTES && w->entries < PAUSE_ENTRIES)
        return;
    w->paused_at = w->bytes;
    w->entries = 0;
    if (w->options->on_pause)
        w->options->on_pause(w->options->context);
}

/* ---- one directory's names ---- */

struct names {
    char **list; /* owned, each too */
    size_t count, cap;
};

static void free_names(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->list[i]);
    free(n->list);
}

static int add_name(struct names *n, const char *name)
{
    if (n->count == n->cap) {
        size_t cap = n->cap ? 2 * n->cap : 16;
        char **list = realloc(n->list, cap * sizeof(*list));
        if (!list)
            return -ENOMEM;
        n->list = list;
        n->cap = cap;
    }
    n->list[n->count] = strdup(name);
    if (!n->list[n->count])
        return -ENOMEM;
    n->count++;
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* readdir(3) gives names in no order that could be relied on. */
static int read_names(int dirfd, struct names *n)
{
    int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    int r = d ? 0 : -errno;
    if (!d) {
        fd_close(&copy);
        return r;
    }
    errno = 0;
    for (const struct dirent *entry; r == 0 && (entry = readdir(d)); errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = add_name(n, entry->d_name);
    if (r == 0 && errno)
        r = -errno;
    closedir(d);
    if (n->count)
        qsort(n->list, n->count, sizeof(*n->list), compare);
    return r;
}

/* ---- entries ---- */

static int add_contents(struct walk *w, int fd, uint64_t size)
{
    uint64_t left = size;
    add_number(w, size, 8);
    while (left) {
        ssize_t got = fd_read_full(fd, w->chunk, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES);
        if (got <= 0)
            return got < 0 ? (int)got : -EIO; /* shorter than it was: nobody may write here any more */
        add(w, w->chunk, (size_t)got);
        left -= (uint64_t)got;
        w->bytes += (uint64_t)got;
        maybe_pause(w);
    }
    return 0;
}

static void add_head(struct walk *w, char type, const char *name)
{
    size_t n = strlen(name);
    add(w, &type, 1);
    add_number(w, n, 4);
    add(w, name, n);
    w->entries++;
}

static int add_file(struct walk *w, int dirfd, const char *name, struct err *e)
{
    struct stat st;
    /* Non-blocking: should the entry have become a pipe since it was looked at, the open must not wait for a writer. */
    scoped_fd fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, errno, "open '%s'", name);
    if (!S_ISREG(st.st_mode))
        return err_say(e, EINVAL, "'%s' is no regular file", name);
    add_head(w, st.st_mode & S_IXUSR ? 'x' : 'f', name);
    int r = add_contents(w, fd, (uint64_t)st.st_size);
    return r < 0 ? err_set(e, -r, "read '%s'", name) : 0;
}

static int add_link(struct walk *w, int dirfd, const char *name, struct err *e)
{
    ssize_t n = readlinkat(dirfd, name, w->chunk, CHUNK_BYTES);
    if (n < 0)
        return err_set(e, errno, "read the link '%s'", name);
    add_head(w, 'l', name);
    add_number(w, (uint64_t)n, 4);
    add(w, w->chunk, (size_t)n);
    return 0;
}

static int add_directory(struct walk *w, int dirfd, unsigned depth, struct err *e);

static int add_subdirectory(struct walk *w, int dirfd, const char *name, unsigned depth, struct err *e)
{
    if (depth == STORE_DIGEST_DEPTH_MAX)
        return err_say(e, ELOOP, "more than %u directories inside each other at '%s'", (unsigned)STORE_DIGEST_DEPTH_MAX,
                       name);
    scoped_fd fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open the directory '%s'", name);
    add_head(w, 'd', name);
    return add_directory(w, fd, depth + 1, e);
}

static int add_entry(struct walk *w, int dirfd, const char *name, unsigned depth, struct err *e)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(e, errno, "look at '%s'", name);
    maybe_pause(w);
    if (S_ISDIR(st.st_mode))
        return add_subdirectory(w, dirfd, name, depth, e);
    if (S_ISREG(st.st_mode))
        return add_file(w, dirfd, name, e);
    if (S_ISLNK(st.st_mode))
        return add_link(w, dirfd, name, e);
    return err_say(e, EINVAL, "'%s' is neither file, directory nor link", name);
}

/* Recursion is bounded by STORE_DIGEST_DEPTH_MAX. */
static int add_directory(struct walk *w, int dirfd, unsigned depth, struct err *e)
{
    struct names names = {0};
    int r = read_names(dirfd, &names);
    if (r < 0)
        err_set(e, -r, "list a directory of the code");
    for (size_t i = 0; r == 0 && i < names.count; i++)
        r = add_entry(w, dirfd, names.list[i], depth, e);
    free_names(&names);
    add(w, "e", 1);
    return r;
}

static void finish(struct crypto_hash *hash, char ret_digest[STORE_DIGEST_MAX])
{
    unsigned char raw[CRYPTO_HASH_BYTES];
    static_assert(2 * sizeof(raw) + 1 == STORE_DIGEST_MAX, "the digest in hex and a NUL");
    crypto_hash_end(hash, raw);
    id_hex(raw, sizeof(raw), ret_digest);
}

int store_digest_compute(int dirfd, const char *path, const struct store_digest_options *o,
                         char ret_digest[STORE_DIGEST_MAX], uint64_t *ret_bytes, struct err *e)
{
    static const char magic[] = "faasd-tree-1";
    scoped_fd fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open the code at '%s'", path);
    struct walk w = {.options = o, .chunk = malloc(CHUNK_BYTES)};
    if (!w.chunk)
        return err_set(e, ENOMEM, "hash the code at '%s'", path);
    crypto_hash_init(&w.hash);
    add(&w, magic, sizeof(magic));
    int r = add_directory(&w, fd, 0, e);
    free(w.chunk);
    if (r < 0)
        return err_wrap(e, "hash the code");
    finish(&w.hash, ret_digest);
    *ret_bytes = w.bytes;
    return 0;
}

void store_digest_revision(const struct store_digest_trees *trees, const char *handler, struct str settings,
                           char ret_digest[STORE_DIGEST_MAX])
{
    static const char magic[] = "faasd-revision-1", with_opt[] = "faasd-revision-2";
    struct crypto_hash hash;
    bool has_opt = trees->opt && *trees->opt;
    crypto_hash_init(&hash);
    crypto_hash_add(&hash, has_opt ? with_opt : magic, sizeof(magic));
    crypto_hash_add(&hash, trees->code, strlen(trees->code) + 1);
    if (has_opt)
        crypto_hash_add(&hash, trees->opt, strlen(trees->opt) + 1);
    crypto_hash_add(&hash, handler, strlen(handler) + 1);
    if (settings.n)
        crypto_hash_add(&hash, settings.p, settings.n);
    finish(&hash, ret_digest);
}
