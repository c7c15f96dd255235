/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers that a function is to have: looked up, and where they are several, merged to the one tree that is shown at /opt. The first is laid down first; what a later one has of the same
 * name takes its place, as on AWS.
 *
 *   LOOKING  the store's thread reads the rows   none: the store answers every task
 *   MERGING  the trees become one                the tree's own timers
 *   OVER     `done` was called
 */
#ifndef FAASD_LAMBDA_FUNCTION_LAYERS_H
#define FAASD_LAMBDA_FUNCTION_LAYERS_H

#include "codec/json.h"
#include "gateway/store.h"
#include "gateway/tree_make.h"
#include "lambda/error.h"
#include "lambda/layer_name.h"

enum { FUNCTION_LAYERS_MAX = 5, FUNCTION_LAYERS_FAULT_MAX = 512 };

struct function_layer {
    struct layer_name name;
    char code[MESSAGE_DIGEST_MAX];
    uint64_t bytes;     /* of its files */
    uint64_t code_size; /* of its archive */
    struct tree_hold hold;
};

struct function_layers {
    struct store_task task; /* first */
    struct gateway *gateway;
    unsigned count;
    struct function_layer at[FUNCTION_LAYERS_MAX];
    struct tree_make *merge; /* until it is closed: its tree is held by it */
    bool is_merging;
    char before_opt[MESSAGE_DIGEST_MAX]; /* the tree of the very same layers, that the function has by now; "" = none */
    char opt[MESSAGE_DIGEST_MAX];        /* what comes to /opt; "" = nothing */
    uint64_t bytes;                      /* of all */
    char fault[FUNCTION_LAYERS_FAULT_MAX];
    enum lambda_error error;
    void (*done)(void *owner); /* `fault` "" = all is well */
    void *owner;
};

/* `asked`: an array of ARNs. False: `fault` and `error` say why; else `done` comes later, but not for none: then all is said. */
struct function_layers_question {
    struct gateway *gateway;
    const char *region;
    const struct json *asked;
    const struct json *before; /* the layers that it has, as function_layers_print() printed them; NULL: none */
    const char *before_opt;    /* their tree; it has to be its own until the change is made */
};
bool function_layers_find(struct function_layers *l, const struct function_layers_question *q);
/* After `done`, or before function_layers_find(): when the row is stored that names the tree. */
void function_layers_close(struct function_layers *l);

/* An array of {"Arn", "CodeSize", "Bytes"}: what is kept of them as a function's attribute. */
int function_layers_print(const struct function_layers *l, const char *region, struct buf *out);
/* The bytes of those that are kept. */
uint64_t function_layers_kept_bytes(const struct json *kept);

#endif
