/* SPDX-License-Identifier: Apache-2.0 */
/* Layers: PublishLayerVersion (layer_publish.c), reading and removing versions (layer_read.c), and their policies, which are kept and told alone (layer_policy.c). */
#ifndef FAASD_LAMBDA_LAYER_H
#define FAASD_LAMBDA_LAYER_H

#include "gateway/store_layers.h"
#include "lambda/function_members.h"
#include "lambda/layer_name.h"
#include "lambda/operation.h"

extern const struct lambda_operation lambda_publish_layer_version, lambda_get_layer_version,
    lambda_get_layer_version_by_arn, lambda_list_layers, lambda_list_layer_versions, lambda_delete_layer_version,
    lambda_add_layer_version_permission, lambda_remove_layer_version_permission, lambda_get_layer_version_policy;

#define LAYER_PATH         "/2018-10-31/layers/{LayerName}/versions"
#define LAYER_VERSION_PATH LAYER_PATH "/{VersionNumber}"

#define LAYER_NAME_MEMBER                                                                                              \
    {                                                                                                                  \
        .name = "LayerName", .in = LAMBDA_IN_PATH, .bounded = true, .min = 1, .max = LAYER_NAME_MAX - 1,               \
        .pattern = LAYER_NAME_PATTERN, .ere = LAYER_NAME_ERE                                                           \
    }
#define LAYER_NUMBER_MEMBER                                                                                            \
    {                                                                                                                  \
        .name = "VersionNumber", .in = LAMBDA_IN_PATH, .type = LAMBDA_INTEGER, .bounded = true, .min = 1,              \
        .max = INT64_MAX                                                                                               \
    }

/* Where a version's row is shown: on the store's thread too, so nothing of the call. */
struct layer_place {
    char region[LAMBDA_REGION_MAX];
    char account[LAMBDA_ACCOUNT_MAX];
};
void layer_place_of(const struct lambda_call *c, struct layer_place *ret);

/* {LayerName} and, where the path has it, {VersionNumber}. False: of another region or account, where there is none. */
bool layer_take_name(const struct lambda_call *c, struct layer_name *ret);

/* Members of a version, into an object that is open: as lists have it, and what Publish and Get have besides. */
void layer_put_version(const struct layer_place *p, const struct store_layer *row, struct json_writer *w);
void layer_put_content(const struct layer_place *p, const struct store_layer *row, struct json_writer *w);

#endif
