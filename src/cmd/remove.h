/* SPDX-License-Identifier: Apache-2.0 */
/* `rm`, `secret rm`, `token rm`: a DELETE for each word. */
#ifndef FAASD_CMD_REMOVE_H
#define FAASD_CMD_REMOVE_H

#include <stdbool.h>

struct removal {
    const char *command;                                 /* whose help it is, and who refuses: "secret" */
    const char *verb;                                    /* for what the daemon refuses: "secret rm" */
    const char *operands_text;                           /* what is missing: "the NAME of a secret" */
    const char *path;                                    /* "/v1/secrets/": a word is added, encoded */
    int (*check)(const char *command, const char *word); /* CMD_OK, or CMD_USAGE after a message */
    bool takes_force;                                    /* --force, sent as ?force=1 */
};

/* The others are removed although one can't be, unless that is because of the daemon or of who asks. The exit status of the last that failed. */
int remove_all(const struct removal *r, int argc, char **argv);

#endif
