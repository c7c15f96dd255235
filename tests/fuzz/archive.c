/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an upload. The first byte is not part of it: odd means that checksums of tar headers are put right first, without which a mutation hardly
 * ever gets past the first header. Whatever comes of it, nothing appears beside the tree, and inside there are only files, directories and links.
 */
#include "codec/archive.h"
#include "codec/handler.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { BLOCK = 512 };
static char top[] = "/dev/shm/faasd-fuzz-XXXXXX";
static char tree_path[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    if (at->level > 0)
        assert(remove(path) == 0);
    return 0;
}

static int check_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path;
    (void)type;
    if (S_ISREG(st->st_mode))
        assert((st->st_mode & 07777) == 0755 || (st->st_mode & 07777) == 0644);
    else if (S_ISDIR(st->st_mode))
        assert(at->level == 0 || (st->st_mode & 07777) == 0755);
    else
        assert(S_ISLNK(st->st_mode));
    return 0;
}

static void remove_top(void)
{
    nftw(tree_path, remove_one, 64, FTW_DEPTH | FTW_PHYS);
    rmdir(tree_path);
    rmdir(top);
}

static void make_top(void)
{
    if (tree_path[0])
        return;
    assert(mkdtemp(top));
    snprintf(tree_path, sizeof(tree_path), "%s/tree", top);
    assert(mkdir(tree_path, 0755) == 0);
    atexit(remove_top);
}

static void put_checksums_right(uint8_t *bytes, size_t n)
{
    for (size_t at = 0; at + BLOCK <= n;) {
        uint8_t *h = bytes + at;
        unsigned long size = 0, sum = 0;
        if (!h[0])
            return;
        memset(h + 148, ' ', 8);
        for (unsigned i = 0; i < BLOCK; i++)
            sum += h[i];
        char text[8];
        snprintf(text, sizeof(text), "%06lo", sum);
        memcpy(h + 148, text, 7);
        for (unsigned i = 124; i < 135 && h[i] >= '0' && h[i] <= '7'; i++)
            size = size * 8 + (h[i] - '0');
        at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    }
}

static int make_upload(const uint8_t *data, size_t n)
{
    int fd = memfd_create("upload", MFD_CLOEXEC);
    uint8_t *copy = malloc(n);
    assert(fd >= 0 && copy);
    memcpy(copy, data, n);
    if (copy[0] & 1)
        put_checksums_right(copy + 1, n - 1);
    assert(write(fd, copy + 1, n - 1) == (ssize_t)n - 1);
    free(copy);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct archive_options limits = {.bytes_max = 1 << 20, .entries_max = 100};
    struct archive_totals totals;
    struct stat before, after;
    struct err e = {0};
    if (n == 0)
        return 0;
    make_top();
    int fd = make_upload(data, n);
    int dir = open(tree_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(dir >= 0 && stat(top, &before) == 0);
    int r = archive_unpack(fd, dir, &limits, &totals, &e);
    assert(r == 0 || (e.code && e.text[0]));
    if (r == 0) {
        assert(nftw(tree_path, check_one, 64, FTW_PHYS) == 0);
        assert(totals.bytes <= limits.bytes_max && totals.entries <= limits.entries_max);
        if (totals.files)
            handler_check(dir, totals.file, &e);
    }
    assert(stat(top, &after) == 0 && after.st_nlink == before.st_nlink &&
           after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
    close(dir);
    close(fd);
    assert(nftw(tree_path, remove_one, 64, FTW_DEPTH | FTW_PHYS) == 0);
    return 0;
}
