/* SPDX-License-Identifier: Apache-2.0 */
/* What Lambda's API reads of the configuration: a part of struct config, plain as it is. */
#ifndef FAASD_CODEC_CONFIG_LAMBDA_H
#define FAASD_CODEC_CONFIG_LAMBDA_H

#include "codec/settings.h"

enum {
    CONFIG_URL_DOMAIN_MAX = 201, /* with a URL's id before it still a DNS name */
    CONFIG_LAMBDA_REGION_MAX = 26,
    CONFIG_LAMBDA_ACCOUNT_MAX = 13, /* 12 digits and a NUL */
    CONFIG_BUCKETS_MAX = 16,
    CONFIG_BUCKET_MAX = 64, /* a bucket's name and a NUL */
    CONFIG_BUCKET_PATH_MAX = 256,
    CONFIG_ROLES_MAX = 32,
    CONFIG_ROLE_MAX = 256, /* a role's ARN and a NUL */
};

/* code_buckets: {"zips": "/srv/zips"}: what the API reads as S3Bucket and S3Key. */
struct config_bucket {
    char name[CONFIG_BUCKET_MAX];
    char path[CONFIG_BUCKET_PATH_MAX];
};

enum config_network { CONFIG_NETWORK_NONE, CONFIG_NETWORK_HOST, CONFIG_NETWORK_EGRESS };

/* lambda.roles: {"arn:aws:iam::000000000000:role/reader": {"secret": "reader-keys", "network": "host"}} */
struct config_role {
    char arn[CONFIG_ROLE_MAX];
    char secret[SETTINGS_NAME_MAX]; /* "" = none */
    bool has_network;               /* else config_lambda.network */
    enum config_network network;
};

struct config_lambda {
    enum config_network network; /* of its functions, where neither settings nor the role say: none */
    uint32_t layers_max;         /* versions of layers, of all names: 1000 */
    uint32_t role_count;
    struct config_role roles[CONFIG_ROLES_MAX];
    uint32_t bucket_count;
    struct config_bucket buckets[CONFIG_BUCKETS_MAX];
};

/* Entries by their name; NULL: there is none. */
struct config;
const struct config_bucket *config_find_bucket(const struct config *c, const char *name);
const struct config_role *config_find_role(const struct config *c, const char *arn);

#endif
