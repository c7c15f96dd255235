/* SPDX-License-Identifier: Apache-2.0 */
/* The constants are the kernel's (include/uapi/linux/landlock.h), written out because the headers of older distributions end at ABI 3. */
#include "os/landlock.h"

#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset /* one number on every architecture */
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

enum { CREATE_VERSION = 1, RULE_PATH_BENEATH = 1 };

enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_CHAR = 1 << 6,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_MAKE_FIFO = 1 << 10,
    FS_MAKE_BLOCK = 1 << 11,
    FS_MAKE_SYM = 1 << 12,
    FS_REFER = 1 << 13,     /* ABI 2 */
    FS_TRUNCATE = 1 << 14,  /* ABI 3 */
    FS_IOCTL_DEV = 1 << 15, /* ABI 5 */

    FS_ABI_1 = FS_REFER - 1,
    NET_ABI_4 = 3,   /* bind, connect */
    SCOPE_ABI_6 = 3, /* abstract sockets, signals */

    READS = FS_READ_FILE | FS_READ_DIR,
    WRITES = FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK | FS_MAKE_FIFO |
             FS_MAKE_SYM | FS_REFER | FS_TRUNCATE,
    OF_FILES =
        FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV, /* what a rule on a file may name */
};

struct ruleset { /* struct landlock_ruleset_attr; older kernels take its first fields */
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

struct path_beneath { /* struct landlock_path_beneath_attr */
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

int landlock_abi(void)
{
    long r = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
    return r < 0 ? 0 : (int)r;
}

/* What is handled is denied unless a rule allows it. */
static uint64_t handled_fs(int abi)
{
    uint64_t fs = FS_ABI_1;
    if (abi >= 2)
        fs |= FS_REFER;
    if (abi >= 3)
        fs |= FS_TRUNCATE;
    if (abi >= 5)
        fs |= FS_IOCTL_DEV;
    return fs;
}

static uint64_t fs_rights(unsigned rights)
{
    uint64_t fs = 0;
    if (rights & LANDLOCK_RIGHT_READ)
        fs |= READS;
    if (rights & LANDLOCK_RIGHT_EXECUTE)
        fs |= FS_EXECUTE;
    if (rights & LANDLOCK_RIGHT_WRITE)
        fs |= WRITES;
    return fs;
}

static int add_path(int ruleset, const struct landlock_path *p, uint64_t handled, struct err *e)
{
    scoped_fd fd = open(p->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : err_set(e, errno, "open '%s' for a Landlock rule", p->path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "look at '%s' for a Landlock rule", p->path);
    struct path_beneath rule = {.allowed = fs_rights(p->rights) & handled, .parent_fd = fd};
    if (!S_ISDIR(st.st_mode))
        rule.allowed &= OF_FILES;
    if (rule.allowed && syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
        return err_set(e, errno, "add a Landlock rule for '%s'", p->path);
    return 0;
}

int landlock_restrict(const struct landlock_spec *s, struct err *e)
{
    int abi = landlock_abi();
    if (abi == 0)
        return 0;
    struct ruleset attr = {
        .fs = handled_fs(abi),
        .net = s->deny_tcp && abi >= 4 ? NET_ABI_4 : 0,
        .scoped = s->scope && abi >= 6 ? SCOPE_ABI_6 : 0,
    };
    size_t size = abi >= 6 ? sizeof(attr) : abi >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
    scoped_fd ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return err_set(e, errno, "make a Landlock ruleset");
    for (unsigned i = 0; i < s->path_count; i++) {
        int r = add_path(ruleset, &s->paths[i], attr.fs, e);
        if (r < 0)
            return r;
    }
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return err_set(e, errno, "enter the Landlock domain");
    return 0;
}
