/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following links without letting the kernel follow one: the path walked so far has none left in it, so each readlinkat() looks at exactly one name.
 * What is checked is what the kernel would do, not the text of a target: with `b -> x/y`, "b/.." is x.
 */
#include "codec/archive.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct walk {
    int tree;
    char *done; /* canonical, ARCHIVE_PATH_MAX; "" = the top of the tree */
    size_t done_len;
    char rest[2 * ARCHIVE_PATH_MAX + 2]; /* still to walk */
    unsigned hops;
    struct err *e;
};

static int lead_out(struct walk *w)
{
    return err_say(w->e, EINVAL, "it leads out of the tree");
}

static bool is_system_path(struct str path)
{
    static const char *const tops[] = {"/usr", "/bin", "/lib"};
    for (struct str rest = str_skip(path, 1); rest.n;)
        if (str_is(str_cut(rest, '/', &rest, NULL), ".."))
            return false;
    for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
        if (str_starts_with(path, tops[i]) && (path.n == strlen(tops[i]) || path.p[strlen(tops[i])] == '/'))
            return true;
    return false;
}

static int append(struct walk *w, struct str part)
{
    size_t start = w->done_len ? w->done_len + 1 : 0;
    if (start + part.n >= ARCHIVE_PATH_MAX)
        return err_say(w->e, EINVAL, "it leads to a path of more than %d bytes", ARCHIVE_PATH_MAX - 1);
    if (w->done_len)
        w->done[w->done_len] = '/';
    memcpy(w->done + start, part.p, part.n);
    w->done_len = start + part.n;
    w->done[w->done_len] = '\0';
    return 0;
}

static void drop_last(struct walk *w)
{
    char *slash = strrchr(w->done, '/');
    w->done_len = slash ? (size_t)(slash - w->done) : 0;
    w->done[w->done_len] = '\0';
}

/* `target` goes before what is still to walk. */
static int push_target(struct walk *w, const char *target, size_t n, struct str rest)
{
    char joined[sizeof(w->rest)];
    if (n + 1 + rest.n >= sizeof(joined))
        return err_say(w->e, EINVAL, "it leads to a path that is too long");
    memcpy(joined, target, n);
    joined[n] = '/';
    if (rest.n)
        memcpy(joined + n + 1, rest.p, rest.n);
    size_t total = rest.n ? n + 1 + rest.n : n;
    memcpy(w->rest, joined, total);
    w->rest[total] = '\0';
    return 0;
}

/* What readlink(2) says of a name that is no link, or no name of the tree; of one that it couldn't read nobody knows. */
static bool is_plain_name(int error)
{
    return error == EINVAL || error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG;
}

/* Takes the first component off w->rest. 1 when the walk has left for an absolute path, now whole in w->rest. */
static int step(struct walk *w)
{
    char target[ARCHIVE_PATH_MAX];
    struct str rest;
    struct str part = str_cut(str_from(w->rest), '/', &rest, NULL);
    bool is_link = false;
    ssize_t n = 0;
    int r = 0;
    if (str_is(part, "..")) {
        if (w->done_len == 0)
            return lead_out(w);
        drop_last(w);
    } else if (part.n && !str_is(part, ".")) {
        r = append(w, part);
        n = r < 0 ? -1 : readlinkat(w->tree, w->done, target, sizeof(target));
        is_link = n >= 0;
        if (r == 0 && !is_link && !is_plain_name(errno))
            r = err_set(w->e, errno, "follow '%.80s'", w->done);
    }
    if (r < 0)
        return r;
    if (!is_link) {
        memmove(w->rest, rest.p ? rest.p : "", rest.n);
        w->rest[rest.n] = '\0';
        return 0;
    }
    if (n == sizeof(target))
        return err_say(w->e, EINVAL, "a link's target is too long");
    if (++w->hops > ARCHIVE_LINK_HOPS_MAX)
        return err_say(w->e, ELOOP, "it leads through more than %d links", (int)ARCHIVE_LINK_HOPS_MAX);
    drop_last(w);
    r = push_target(w, target, (size_t)n, rest);
    if (r < 0 || w->rest[0] != '/')
        return r;
    return is_system_path(str_from(w->rest)) ? 1 : lead_out(w);
}

int archive_resolve(int tree, const char *path, char ret_path[ARCHIVE_PATH_MAX], struct err *e)
{
    struct walk w = {.tree = tree, .done = ret_path, .e = e};
    ret_path[0] = '\0';
    if (*path == '/' || !str_copy(str_from(path), w.rest, ARCHIVE_PATH_MAX))
        return err_say(e, EINVAL, "not a path of the tree");
    int r = 0;
    while (r == 0 && w.rest[0])
        r = step(&w);
    if (r == 1 && !str_copy(str_from(w.rest), ret_path, ARCHIVE_PATH_MAX))
        r = err_say(e, EINVAL, "it leads to a path that is too long");
    return r < 0 ? r : 0;
}
