/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What will not work of a Python function's files, found by names and headers at deploy time, where the person who can mend it looks on: packages that
 * requirements.txt names and nobody installed, compiled modules for another Python or another CPU, a virtual environment of another Python. Nothing is executed.
 */
#ifndef FAASD_CODEC_PYTHON_TREE_H
#define FAASD_CODEC_PYTHON_TREE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct python_tree {
    int dir;   /* the function's directory */
    int minor; /* of the interpreter: 11 of 3.11; -1: unknown, and compiled modules are looked at for their CPU alone */
    bool host_is_visible; /* the interpreter is of /usr, whose packages stand where this process sees them */
    const char *venv;     /* relative; "" = none */
};

/* Adds one line for each thing to `warnings`. -ENOMEM, or 0. */
int python_tree_warn(const struct python_tree *t, struct buf *warnings);

/* -EINVAL with a sentence when `venv` is set and is none of this Python. */
int python_tree_check_venv(const struct python_tree *t, struct err *e);

#endif
