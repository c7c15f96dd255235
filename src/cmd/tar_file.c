/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/tar_file.h"

#include "base/fdio.h"

#include <stdio.h>
#include <string.h>

enum { TAR_BLOCK = 512, TAR_NAME_MAX = 100, TAR_PIECE = 65536 };

static const uint64_t TAR_SIZE_MAX = (UINT64_C(1) << 33) - 1; /* eleven octal digits */

struct tar_head {
    char name[TAR_NAME_MAX];
    char mode[8], uid[8], gid[8];
    char size[12], mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6], version[2];
    char owner[32], group[32];
    char major[8], minor[8];
    char prefix[155];
    char pad[12];
};
_Static_assert(sizeof(struct tar_head) == TAR_BLOCK, "a tar header is one block");

static int write_head(int out_fd, const char *name, uint64_t size, struct err *e)
{
    struct tar_head h = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
    size_t length = strlen(name);
    if (length > TAR_NAME_MAX)
        return err_say(e, EINVAL,
                       "the name '%s' is longer than %d bytes: put the file into a directory and deploy that", name,
                       TAR_NAME_MAX);
    if (size > TAR_SIZE_MAX)
        return err_say(e, EFBIG, "'%s' is too large", name);
    memcpy(h.name, name, length);
    snprintf(h.mode, sizeof(h.mode), "%07o", 0755);
    snprintf(h.uid, sizeof(h.uid), "%07o", 0);
    snprintf(h.gid, sizeof(h.gid), "%07o", 0);
    snprintf(h.size, sizeof(h.size), "%011lo", (unsigned long)size);
    snprintf(h.mtime, sizeof(h.mtime), "%011o", 0); /* equal files give equal bytes */
    memset(h.checksum, ' ', sizeof(h.checksum));    /* counts as spaces in its own sum */
    unsigned sum = 0;
    const unsigned char *bytes = (const unsigned char *)&h;
    for (size_t i = 0; i < sizeof(h); i++)
        sum += bytes[i];
    snprintf(h.checksum, sizeof(h.checksum), "%06o", sum & 0777777);
    int r = fd_write_full(out_fd, &h, sizeof(h));
    return r < 0 ? err_set(e, -r, "write the archive") : 0;
}

static int write_padding(int out_fd, uint64_t size, struct err *e)
{
    static const char zeros[TAR_BLOCK];
    size_t n = (size_t)(-size % TAR_BLOCK);
    int r = fd_write_full(out_fd, zeros, n);
    return r < 0 ? err_set(e, -r, "write the archive") : 0;
}

static int copy(int out_fd, int in_fd, uint64_t size, struct err *e)
{
    char piece[TAR_PIECE];
    while (size) {
        ssize_t n = fd_read_full(in_fd, piece, size < sizeof(piece) ? (size_t)size : sizeof(piece));
        if (n <= 0)
            return n < 0 ? err_set(e, (int)-n, "read the file")
                         : err_say(e, EIO, "the file became shorter while it was read");
        int r = fd_write_full(out_fd, piece, (size_t)n);
        if (r < 0)
            return err_set(e, -r, "write the archive");
        size -= (uint64_t)n;
    }
    return 0;
}

int tar_file_add(int out_fd, const char *name, int in_fd, uint64_t size, struct err *e)
{
    int r = write_head(out_fd, name, size, e);
    r = r < 0 ? r : copy(out_fd, in_fd, size, e);
    return r < 0 ? r : write_padding(out_fd, size, e);
}

int tar_file_add_text(int out_fd, const char *name, struct str text, struct err *e)
{
    int r = write_head(out_fd, name, text.n, e);
    if (r == 0 && (r = fd_write_full(out_fd, text.p, text.n)) < 0)
        err_set(e, -r, "write the archive");
    return r < 0 ? r : write_padding(out_fd, text.n, e);
}

int tar_file_end(int out_fd, struct err *e)
{
    static const char zeros[2 * TAR_BLOCK];
    int r = fd_write_full(out_fd, zeros, sizeof(zeros));
    return r < 0 ? err_set(e, -r, "write the archive") : 0;
}
