/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of lambda/function_change.c and lambda/function_deploy.c: one change of a function, from its request to its answer. The first finds out what is asked for and what is there, the
 * second has it deployed and tells what came of it.
 */
#ifndef FAASD_LAMBDA_FUNCTION_CHANGE_JOB_H
#define FAASD_LAMBDA_FUNCTION_CHANGE_JOB_H

#include "gateway/deploy.h"
#include "gateway/store_pages.h"
#include "lambda/code_source.h"
#include "lambda/configuration.h"
#include "lambda/function_layers.h"
#include "lambda/function_settings.h"
#include "lambda/operation.h"

enum change_kind { CHANGE_CREATE, CHANGE_CODE, CHANGE_CONFIGURATION, CHANGE_DELETE };

struct function_change {
    struct store_page page; /* first: the row before, then the row that was made */
    struct deploy_wish wish;
    struct exchange *x;     /* to be ended */
    struct exchange *inner; /* borrowed: the deploy's, until it replies */
    struct json_doc *doc;   /* owned: what is asked for */
    struct configuration before;
    char region[LAMBDA_REGION_MAX];
    char name[SETTINGS_NAME_MAX];

    struct str zip;            /* as the request has it, in x->body */
    struct code_source source; /* the archive on its way */
    const char *fault;         /* why the upload was broken off; NULL: it was not */
    enum lambda_error fault_type;
    enum change_kind kind;
    struct function_layers layers; /* that it will have, where some are asked for */
    struct buf layers_json;
    struct buf settings, attributes;

    bool publish, dry_run;
    bool has_before;
    bool has_layers;
    bool complete; /* all of the archive was sent */
    bool starting; /* the deploy's handler has not returned: a reply is only noted */
    bool over;     /* answered: to be freed */
};

/* function_change.c */
void function_change_free(struct function_change *c);
void function_change_fail(struct function_change *c, enum lambda_error error, const char *text); /* and frees it */
struct function_sources function_change_sources(const struct function_change *c);

/* function_deploy.c */
void function_deploy_start(
    struct function_change *c); /* all that is asked for is there; the change is its own from now on */
void function_deploy_feed(struct function_change *c); /* there is more of the archive; c->inner is not NULL */

#endif
