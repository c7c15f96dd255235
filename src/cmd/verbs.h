/* SPDX-License-Identifier: Apache-2.0 */
/* Commands with a verb as their next word: `secret set`, `alias ls`. One table a command, one way to say what there is. */
#ifndef FAASD_CMD_VERBS_H
#define FAASD_CMD_VERBS_H

struct verb {
    const char *name;                  /* NULL ends a table */
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

/* Runs what argv[1] names and returns its exit status. --help and -h print the command's text; anything else is refused with the list of verbs. */
int verbs_run(const char *command, const struct verb *verbs, int argc, char **argv);

#endif
