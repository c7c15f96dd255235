/* SPDX-License-Identifier: Apache-2.0 */
/* The credential that the command line shows: FAASD_TOKEN, or the file FAASD_TOKEN_FILE. */
#include "base/fdio.h"
#include "cmd/client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { TOKEN_MAX = 4096 };

/* A line of its own or nothing else: what would break the header line is no token. */
static int add_line(struct buf *out, struct str token, const char *where, struct err *e)
{
    token = str_trim(token);
    while (token.n && (token.p[token.n - 1] == '\n' || token.p[token.n - 1] == '\r'))
        token.n--;
    bool good = token.n > 0;
    for (size_t i = 0; good && i < token.n; i++)
        good = token.p[i] > ' ' && token.p[i] <= '~';
    if (!good)
        return err_say(e, EINVAL, "%s holds no token: `faasd token create` prints one, as one line", where);
    if (buf_addf(out, "Authorization: Bearer %.*s\r\n", (int)token.n, token.p) < 0)
        return err_set(e, ENOMEM, "make the request");
    return 0;
}

int client_print_token(struct buf *out, struct err *e)
{
    const char *token = getenv("FAASD_TOKEN");
    const char *file = getenv("FAASD_TOKEN_FILE");
    char text[TOKEN_MAX];
    if (token && *token)
        return add_line(out, str_from(token), "FAASD_TOKEN", e);
    if (!file || !*file)
        return 0;
    ssize_t n = fd_read_file_at(AT_FDCWD, file, text, sizeof(text), e);
    if (n < 0)
        return err_wrap(e, "FAASD_TOKEN_FILE");
    int r = add_line(out, (struct str){text, (size_t)n}, file, e);
    explicit_bzero(text, sizeof(text));
    return r;
}
