/* SPDX-License-Identifier: Apache-2.0 */
/* The module that a python or node handler names: is it there, and which is meant where nobody says. Looks at names alone, nothing is executed. */
#ifndef FAASD_CODEC_HANDLER_MODULE_H
#define FAASD_CODEC_HANDLER_MODULE_H

#include "base/err.h"
#include "codec/settings.h"

struct handler_question {
    int tree;                      /* the function's directory */
    enum settings_runtime runtime; /* PYTHON or NODE */
    const char *said;              /* by the person or the manifest; NULL or "": nobody did */
    const char *earlier;           /* of the version before, taken where its module is still there; NULL: none */
    const char *only_file;         /* the one file that was deployed; NULL: there are more */
};

/* -ENOENT with what is there when the module of `said` is not; -EINVAL when `said` is no handler of that runtime, or when nobody said and nothing at the top is
 * what is usual. Usual are, for python: the one file's name and `handler` (or lambda_handler, main: whichever it defines), app.handler,
 * lambda_function.lambda_handler; for node: the one file's name and `handler`, index.handler. */
int handler_choose_module(const struct handler_question *q, char ret_handler[SETTINGS_PATH_MAX], struct err *e);

/* Does the tree hold the module of this handler? */
bool handler_module_exists(int tree, enum settings_runtime runtime, const char *handler);

#endif
