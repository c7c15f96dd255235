/* SPDX-License-Identifier: Apache-2.0 */
/* Says which version it is, twice: by the file `version` beside it, read at its start, and by the environment. Where the two differ it is half of one version and half of another. */
#include <faasd/function.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char mark[32];

static int setup(void)
{
    FILE *f = fopen("/var/task/version", "re");
    if (!f)
        return faasd_init_fail("NoVersion", "there is no file 'version'");
    if (!fgets(mark, sizeof(mark), f))
        mark[0] = '\0';
    fclose(f);
    return 0;
}

static int answer(const struct faasd_event *event, struct faasd_reply *reply)
{
    const char *version = getenv("VERSION");
    (void)event;
    return faasd_reply_printf(reply, "%s %s", mark, version ? version : "-");
}

FAASD_FUNCTION_WITH_INIT(setup, answer)
