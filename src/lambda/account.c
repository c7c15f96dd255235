/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/account.h"

#include "codec/config.h"
#include "lambda/concurrency.h"

enum {
    ZIPPED_MAX = 52428800,    /* of an archive that stands in a request */
    UNZIPPED_MAX = 262144000, /* AWS's limit, where faasd's own is higher */
};

static void add_function(struct function *f, void *context)
{
    uint64_t *code_bytes = context;
    *code_bytes += f->current->code_bytes;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void get_account_settings(struct lambda_call *c)
{
    const struct config *config = c->x->gateway->config;
    uint64_t code_bytes = 0;
    registry_walk(c->x->gateway->registry, add_function, &code_bytes);
    uint64_t unzipped = smaller(config->code_bytes_max, UNZIPPED_MAX);
    struct json_writer *w = lambda_reply_begin();
    json_put_object(w, "AccountLimit");
    json_put_u64(w, "TotalCodeSize",
                 unzipped * config->functions_max); /* no limit of its own: what the two others allow */
    json_put_u64(w, "CodeSizeUnzipped", unzipped);
    json_put_u64(w, "CodeSizeZipped", smaller(config->archive_bytes_max, ZIPPED_MAX));
    json_put_u64(w, "ConcurrentExecutions", config->instances_max);
    json_put_u64(w, "UnreservedConcurrentExecutions",
                 config->instances_max - smaller(concurrency_reserved(c->x->gateway), config->instances_max));
    json_put_object_end(w);
    json_put_object(w, "AccountUsage");
    json_put_u64(w, "TotalCodeSize", code_bytes);
    json_put_u64(w, "FunctionCount", registry_count(c->x->gateway->registry));
    json_put_object_end(w);
    lambda_reply_json(c->x, 200);
}

const struct lambda_operation lambda_get_account_settings = {
    .route = LAMBDA_ROUTE("GET", ACCESS_READ, LAMBDA_JSON_MAX),
    .name = "GetAccountSettings",
    .path = "/2016-08-19/account-settings",
    .run = get_account_settings,
};
