/* SPDX-License-Identifier: Apache-2.0 */
/* Which runtime a file or directory is for, where neither a flag nor its manifest says one. */
#ifndef FAASD_CMD_GUESS_H
#define FAASD_CMD_GUESS_H

#include "cmd/settings_flags.h"

struct guess {
    enum settings_runtime runtime; /* PYTHON, NODE or PROVIDED; EXEC: nothing was found that says another */
    bool has_manifest; /* the directory has a faasd.json, which together with the flags is the whole truth */
    char because[SETTINGS_PATH_MAX]; /* the file that says so: "app.py" */
};

/*
 * A file: executable with a #! line -> exec; NAME.py -> python; NAME.mjs, .cjs, .js -> node; a program called bootstrap -> provided.
 * A directory: what its manifest says; the handler, where one is given, names a file there; bootstrap -> provided; app.py,
 * lambda_function.py -> python; index.mjs, .js, .cjs -> node. Everything else is exec, or native by what the program is linked with.
 * `handler`: as the flags say, "" for none. Not asked where a contract is given: only exec has them. What can't be read is left to whoever packs it.
 */
void guess_runtime(const char *path, const char *handler, struct guess *ret_guess);

/* Sets the flags' runtime to it, and says so on stderr after "faasd COMMAND: ". Nothing for EXEC. */
int guess_apply(const struct guess *g, const char *command, struct settings_flags *f, struct err *e);

#endif
