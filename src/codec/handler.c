/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/handler.h"

#include "base/fdio.h"
#include "base/str.h"
#include "codec/archive.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 256, /* of a script's first line that the kernel reads (BINPRM_BUF_SIZE, linux/binfmts.h) */
    SEGMENTS_MAX = 256,
    SHOWN = 80,
};

#if defined(__x86_64__)
enum { HOST_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { HOST_MACHINE = EM_AARCH64 };
#else
#error "name this machine's ELF number here"
#endif

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_X86_64:
        return "x86-64";
    case EM_AARCH64:
        return "aarch64";
    case EM_386:
        return "i386";
    case EM_ARM:
        return "arm";
    case EM_RISCV:
        return "riscv";
    default:
        return "another machine";
    }
}

static bool is_executable_at(int dirfd, const char *path)
{
    struct stat st;
    return fstatat(dirfd, path, &st, 0) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

/* An absolute path as a function will see it. */
static bool exists_in_sandbox(int tree, const char *path)
{
    static const char task[] = "/var/task/";
    char end[ARCHIVE_PATH_MAX];
    if (strncmp(path, task, sizeof(task) - 1) != 0)
        return is_executable_at(AT_FDCWD, path);
    if (archive_resolve(tree, path + sizeof(task) - 1, end, NULL) < 0)
        return false;
    return is_executable_at(end[0] == '/' ? AT_FDCWD : tree, end);
}

/* `#!/usr/bin/env NAME`: NAME is looked up as env will, in the PATH that functions get. */
static int check_env_target(int tree, const char *handler, struct str arguments, struct err *e)
{
    static const char *const path[] = {"/usr/local/bin", "/usr/bin", "/bin"};
    if (str_starts_with(arguments, "-S"))
        arguments = str_trim(str_skip(arguments, 2));
    struct str name = str_cut(arguments, ' ', &(struct str){0}, NULL);
    char text[LINE_MAX_BYTES], full[LINE_MAX_BYTES + 32];
    if (!str_copy(name, text, sizeof(text)) || !*text || *text == '-' || strchr(text, '=') || strchr(text, '/'))
        return 0; /* env's own business */
    for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
        memcpy(full, path[i], strlen(path[i]));
        full[strlen(path[i])] = '/';
        memcpy(full + strlen(path[i]) + 1, text, strlen(text) + 1);
        if (exists_in_sandbox(tree, full))
            return 0;
    }
    return err_say(e, EINVAL, "'%.*s' asks env for '%.*s', which is not in the sandbox's PATH", SHOWN, handler, SHOWN,
                   text);
}

static int check_script(int tree, const char *handler, struct str head, struct err *e)
{
    char interpreter[LINE_MAX_BYTES];
    const char *newline = memchr(head.p, '\n', head.n);
    struct str line = {.p = head.p + 2, .n = (newline ? (size_t)(newline - head.p) : head.n) - 2};
    if (line.n && line.p[line.n - 1] == '\r')
        return err_say(e, EINVAL, "'%.*s' has Windows line ends: its first line ends with a carriage return", SHOWN,
                       handler);
    if (!newline && head.n >= LINE_MAX_BYTES)
        return err_say(e, EINVAL, "'%.*s' has a first line of more than %d bytes", SHOWN, handler, LINE_MAX_BYTES - 1);
    line = str_trim(line);
    size_t n = 0;
    while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
        n++;
    if (!n || !str_copy((struct str){.p = line.p, .n = n}, interpreter, sizeof(interpreter)))
        return err_say(e, EINVAL, "'%.*s' starts with '#!' but names no interpreter", SHOWN, handler);
    if (interpreter[0] != '/')
        return err_say(e, EINVAL, "'%.*s' starts with '#!%.*s', which is not an absolute path", SHOWN, handler, SHOWN,
                       interpreter);
    if (!exists_in_sandbox(tree, interpreter))
        return err_say(e, EINVAL, "'%.*s' starts with '#!%.*s', which is not in the sandbox", SHOWN, handler, SHOWN,
                       interpreter);
    if (!strcmp(interpreter, "/usr/bin/env") || !strcmp(interpreter, "/bin/env"))
        return check_env_target(tree, handler, str_trim(str_skip(line, n)), e);
    return 0;
}

static int check_loader(int tree, int fd, const Elf64_Phdr *segment, const char *handler, struct err *e)
{
    char loader[LINE_MAX_BYTES];
    size_t n = segment->p_filesz;
    if (n < 2 || n > sizeof(loader) || segment->p_offset > INT64_MAX ||
        pread(fd, loader, n, (off_t)segment->p_offset) != (ssize_t)n || loader[n - 1] != '\0')
        return err_say(e, EINVAL, "'%.*s' is a damaged ELF file", SHOWN, handler);
    if (loader[0] != '/' || !exists_in_sandbox(tree, loader))
        return err_say(e, EINVAL,
                       "'%.*s' needs the loader '%.*s', which is not in the sandbox: link it statically, or against "
                       "this host's C library",
                       SHOWN, handler, SHOWN, loader);
    return 0;
}

static int check_elf(int tree, int fd, struct str head, const char *handler, struct err *e)
{
    Elf64_Ehdr h;
    Elf64_Phdr segment;
    if (head.n < sizeof(h))
        return err_say(e, EINVAL, "'%.*s' is a damaged ELF file", SHOWN, handler);
    memcpy(&h, head.p, sizeof(h));
    if (h.e_ident[EI_CLASS] != ELFCLASS64)
        return err_say(e, EINVAL, "'%.*s' is a 32-bit program; sandboxes run 64-bit ones", SHOWN, handler);
    if (h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_machine != HOST_MACHINE)
        return err_say(e, EINVAL, "'%.*s' is built for %s, and this host is %s", SHOWN, handler,
                       machine_name(h.e_machine), machine_name(HOST_MACHINE));
    if (h.e_type != ET_EXEC && h.e_type != ET_DYN)
        return err_say(e, EINVAL, "'%.*s' is an ELF file but no program", SHOWN, handler);
    if (h.e_phentsize != sizeof(segment) || h.e_phnum > SEGMENTS_MAX || h.e_phoff > INT32_MAX)
        return err_say(e, EINVAL, "'%.*s' is a damaged ELF file", SHOWN, handler);
    for (unsigned i = 0; i < h.e_phnum; i++) {
        off_t at = (off_t)(h.e_phoff + i * sizeof(segment));
        if (pread(fd, &segment, sizeof(segment), at) != (ssize_t)sizeof(segment))
            return err_say(e, EINVAL, "'%.*s' is a damaged ELF file", SHOWN, handler);
        if (segment.p_type == PT_INTERP)
            return check_loader(tree, fd, &segment, handler, e);
    }
    return 0;
}

/* The regular file at `path` of the tree, its first bytes in `head`. -EINVAL: it is none; others: the host's. */
static int open_file(int tree, const char *path, char head[LINE_MAX_BYTES], size_t *ret_n)
{
    struct stat st;
    scoped_fd fd = openat(tree, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return errno == ELOOP ? -EINVAL : -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    ssize_t n = fd_read_full(fd, head, LINE_MAX_BYTES);
    if (n < 0)
        return (int)n;
    *ret_n = (size_t)n;
    return fd_take(&fd);
}

static bool is_script(struct str head)
{
    return str_starts_with(head, "#!");
}

static bool is_elf(struct str head)
{
    return head.n >= 4 && !memcmp(head.p, ELFMAG, SELFMAG);
}

static const char PYTHON[] = "/usr/bin/python3";

bool handler_is_likely(int tree, const char *path)
{
    char bytes[LINE_MAX_BYTES];
    struct str head = {.p = bytes};
    scoped_fd fd = open_file(tree, path, bytes, &head.n);
    return fd >= 0 && (is_script(head) || is_elf(head));
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && strcmp(text + n - m, suffix) == 0;
}

/* What a file of that name may have been meant for; "" where nothing can be guessed. */
static const char *advise_source(const char *handler)
{
    if (ends_with(handler, ".py"))
        return "; a Python module takes --runtime python --handler MODULE.FUNCTION";
    if (ends_with(handler, ".js") || ends_with(handler, ".mjs") || ends_with(handler, ".cjs"))
        return "; a JavaScript module takes --runtime node --handler FILE.EXPORT";
    if (ends_with(handler, ".ts") || ends_with(handler, ".mts"))
        return "; compile TypeScript to JavaScript and deploy that with --runtime node";
    return "";
}

static const char *advise_missing(const char *handler)
{
    return strchr(handler, '.') ? "; MODULE.FUNCTION is for --runtime python, FILE.EXPORT for node" : "";
}

static int check(int tree, const char *handler, bool bare_python, struct err *e)
{
    char path[ARCHIVE_PATH_MAX], bytes[LINE_MAX_BYTES];
    struct str head = {.p = bytes};
    int r = archive_resolve(tree, handler, path, e);
    if (r < 0 && r != -EINVAL && r != -ELOOP)
        return r;
    if (r < 0 || path[0] == '/' || !path[0])
        return err_say(e, EINVAL, "the handler '%.*s' leads out of the function's own files", SHOWN, handler);
    bool found = faccessat(tree, path, F_OK, 0) == 0;
    if (!found && errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
        return err_set(e, errno, "look for '%.*s'", SHOWN, handler);
    if (!found)
        return err_say(e, EINVAL, "the handler '%.*s' is not among the uploaded files%s", SHOWN, handler,
                       advise_missing(handler));
    scoped_fd fd = open_file(tree, path, bytes, &head.n);
    if (fd == -EINVAL)
        return err_say(e, EINVAL, "the handler '%.*s' is not a regular file", SHOWN, handler);
    if (fd < 0)
        return err_set(e, -fd, "read '%.*s'", SHOWN, handler);
    if (is_script(head))
        r = check_script(tree, handler, head, e);
    else if (is_elf(head))
        r = check_elf(tree, fd, head, handler, e);
    else if (bare_python && ends_with(handler, ".py") && access(PYTHON, X_OK) == 0)
        r = 0; /* init gives it to that one (rootfs/init/payload.c) */
    else
        r = err_say(e, EINVAL, "'%.*s' is no program: it starts with neither '#!' nor an ELF header%s", SHOWN, handler,
                    advise_source(handler));
    if (r == 0 && fchmod(fd, 0755) < 0)
        r = err_set(e, errno, "set the mode of '%.*s'", SHOWN, handler);
    if (r == 0 && fsync(fd) < 0)
        r = err_set(e, errno, "write '%.*s' to the disk", SHOWN, handler);
    return r;
}

int handler_check(int tree, const char *handler, struct err *e)
{
    return check(tree, handler, false, e);
}

int handler_check_bare_python(int tree, const char *handler, struct err *e)
{
    return check(tree, handler, true, e);
}
