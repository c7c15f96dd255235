/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/upload.h"

#include "base/fdio.h"
#include "cmd/output.h"
#include "cmd/run_command.h"
#include "cmd/tar_file.h"
#include "codec/archive.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { LEFT_OUT_SHOWN = 10 };

/* A nameless file for the archive: nothing to remove, however this process ends. */
static int make_temporary(struct err *e)
{
    const char *dir = getenv("TMPDIR");
    int fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        fd = memfd_create("faasd-upload", MFD_CLOEXEC);
    return fd < 0 ? err_set(e, errno, "make a temporary file") : fd;
}

static int rewind_archive(struct upload *u, struct err *e)
{
    off_t end = lseek(u->fd, 0, SEEK_END);
    if (end < 0 || lseek(u->fd, 0, SEEK_SET) < 0)
        return err_set(e, errno, "read the archive");
    u->bytes = (uint64_t)end;
    return 0;
}

/* A program that is linked with libfaasd carries what it says when it is started by hand: known without a flag. */
static bool is_native(int fd)
{
    static const char mark[] = "faasd deploy NAME PROGRAM --runtime native";
    struct stat st;
    char elf[4] = "";
    if (pread(fd, elf, sizeof(elf), 0) != (ssize_t)sizeof(elf) || memcmp(elf, "\177ELF", sizeof(elf)) != 0)
        return false;
    if (fstat(fd, &st) < 0 || st.st_size <= 0)
        return false;
    void *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (image == MAP_FAILED)
        return false;
    bool found = memmem(image, (size_t)st.st_size, mark, sizeof(mark) - 1) != NULL;
    munmap(image, (size_t)st.st_size);
    return found;
}

static void say_left_out(const char *command, struct str names)
{
    unsigned count = 0;
    if (names.n == 0)
        return;
    fprintf(stderr, "faasd %s: left out (.faasdignore says what):", command);
    while (names.n) {
        struct str name = str_cut(names, '\n', &names, NULL);
        if (count++ >= LEFT_OUT_SHOWN)
            continue;
        fputc(' ', stderr);
        output_text(stderr, name, false);
    }
    if (count > LEFT_OUT_SHOWN)
        fprintf(stderr, " and %u more", count - LEFT_OUT_SHOWN);
    fputc('\n', stderr);
}

static int pack_directory(struct upload *u, const struct upload_source *source, struct err *e)
{
    struct buf left_out;
    char path[PATH_MAX];
    buf_init(&left_out, 0);
    u->fd = make_temporary(e);
    if (u->fd < 0)
        return u->fd;
    int r = archive_pack(source->path, u->fd, &left_out, e);
    if (r == 0 && !source->quiet)
        say_left_out(source->command, buf_str(&left_out));
    buf_fini(&left_out);
    if (r < 0)
        return r;
    if (*source->handler && snprintf(path, sizeof(path), "%s/%s", source->path, source->handler) < (int)sizeof(path)) {
        scoped_fd handler = open(path, O_RDONLY | O_CLOEXEC);
        u->native = handler >= 0 && is_native(handler);
    }
    return rewind_archive(u, e);
}

static bool is_interpreted(const struct upload_source *source)
{
    return source->runtime == SETTINGS_RUNTIME_PYTHON || source->runtime == SETTINGS_RUNTIME_NODE ||
           source->contract == SETTINGS_CONTRACT_FILES;
}

static int pack_file(struct upload *u, const struct upload_source *source, int fd, const struct stat *st, struct err *e)
{
    const char *slash = strrchr(source->path, '/');
    u->native = is_native(fd);
    u->fd = make_temporary(e);
    if (u->fd < 0)
        return u->fd;
    if (!(st->st_mode & 0111) && !is_interpreted(source) && !source->quiet)
        fprintf(stderr, "faasd %s: '%s' is not executable here; in the function it is\n", source->command,
                source->path);
    int r = tar_file_add(u->fd, slash ? slash + 1 : source->path, fd, (uint64_t)st->st_size, e);
    r = r < 0 ? r : tar_file_end(u->fd, e);
    return r < 0 ? r : rewind_archive(u, e);
}

static int open_file(struct upload *u, const struct upload_source *source, int fd, const struct stat *st, struct err *e)
{
    int kind = archive_detect(fd, e);
    if (kind < 0)
        return kind;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_set(e, errno, "read '%s'", source->path);
    if (kind == ARCHIVE_PROGRAM || (kind == ARCHIVE_UNKNOWN && (st->st_mode & 0111 || is_interpreted(source))))
        return pack_file(u, source, fd, st, e);
    if (kind == ARCHIVE_UNKNOWN)
        return err_say(e, EINVAL,
                       "'%s' is no program (neither executable nor with a #! line) and no .zip, .tar or .tar.gz "
                       "archive; a file of "
                       "Python or JavaScript needs --runtime python or node",
                       source->path);
    u->fd = dup(fd);
    if (u->fd < 0 || fcntl(u->fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_set(e, errno, "open '%s'", source->path);
    return rewind_archive(u, e);
}

int upload_open(struct upload *u, const struct upload_source *source, struct err *e)
{
    struct stat st;
    *u = (struct upload){.fd = -1};
    scoped_fd fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not block here */
    if (fd < 0 && errno == ENOENT)
        return err_say(e, ENOENT, "there is no '%s'", source->path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, errno, "open '%s'", source->path);
    int r = S_ISDIR(st.st_mode)   ? pack_directory(u, source, e)
            : S_ISREG(st.st_mode) ? open_file(u, source, fd, &st, e)
                                  : err_say(e, EINVAL, "'%s' is neither a file nor a directory", source->path);
    if (r < 0)
        upload_close(u);
    return r;
}

/* One word for sh(1): 'it'\''s'. */
static int add_quoted(struct buf *out, const char *word)
{
    int r = buf_add_text(out, "'");
    for (; r == 0 && *word; word++)
        r = *word == '\'' ? buf_add_text(out, "'\\''") : buf_add(out, word, 1);
    return r < 0 ? r : buf_add_text(out, "'");
}

static int make_script(struct buf *out, const struct upload_command *command, const char *program)
{
    int r = buf_add_text(out, "#!/bin/sh\n");
    r = r < 0 ? r : add_quoted(out, program);
    for (char *const *word = command->argv + 1; r == 0 && *word; word++) {
        r = buf_add_text(out, " ");
        r = r < 0 ? r : add_quoted(out, *word);
    }
    return r < 0 ? r
                 : buf_addf(out, "\nfaasd_status=$?\nprintf '\\n%s %%d\\n' \"$faasd_status\"\nexit \"$faasd_status\"\n",
                            command->mark);
}

static int add_program(struct upload *u, const char *path, const char *name, struct err *e)
{
    struct stat st;
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, errno, "open '%s'", path);
    return tar_file_add(u->fd, name, fd, (uint64_t)st.st_size, e);
}

int upload_open_command(struct upload *u, const struct upload_command *command, struct err *e)
{
    char inside[PATH_MAX + 16];
    struct buf script;
    const char *name = strrchr(command->program, '/') + 1; /* it is absolute */
    *u = (struct upload){.fd = -1};
    if (command->local && strcmp(name, RUN_WRAPPER) == 0)
        return err_say(e, EINVAL, "a command can't be called '%s'", name);
    u->fd = make_temporary(e);
    if (u->fd < 0)
        return u->fd;
    snprintf(inside, sizeof(inside), command->local ? "/var/task/%s" : "%s", command->local ? name : command->program);
    buf_init(&script, 0);
    int r = make_script(&script, command, inside);
    r = r < 0 ? err_set(e, -r, "make the script") : tar_file_add_text(u->fd, RUN_WRAPPER, buf_str(&script), e);
    if (r == 0 && command->local)
        r = add_program(u, command->program, name, e);
    r = r < 0 ? r : tar_file_end(u->fd, e);
    r = r < 0 ? r : rewind_archive(u, e);
    buf_fini(&script);
    if (r < 0)
        upload_close(u);
    return r;
}

void upload_close(struct upload *u)
{
    fd_close(&u->fd);
}

static void show_progress(void *context, uint64_t sent)
{
    const struct upload *u = context;
    char done[OUTPUT_AGE_MAX];
    char whole[OUTPUT_AGE_MAX];
    output_bytes(sent, done);
    output_bytes(u->bytes, whole);
    fprintf(stderr, sent < u->bytes ? "\r%s of %s\033[K" : "\r\033[K", done, whole);
}

int upload_send(struct client *c, const struct upload *u, const struct upload_put *put,
                const struct http1_response **ret_reply, struct err *e)
{
    struct buf path;
    struct buf fields;
    buf_init(&path, 0);
    buf_init(&fields, 0);
    int r = client_path(&path, put->name, put->dry_run ? "?dry_run=1" : "");
    r = r < 0 ? r : buf_addf(&fields, "Faasd-Settings: %s\r\n", put->settings);
    struct upload shown = *u;
    const struct client_request request = {
        .method = "PUT",
        .target = path.data,
        .fields = buf_str(&fields),
        .body_fd = u->fd,
        .has_body = true,
        .on_sent = put->progress && isatty(STDERR_FILENO) ? show_progress : NULL,
        .context = &shown,
    };
    r = r < 0 ? err_set(e, -r, "make the request") : client_send(c, &request, ret_reply, e);
    buf_fini(&path);
    buf_fini(&fields);
    return r;
}
