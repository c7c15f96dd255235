/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/destination.h"

#include "codec/config.h"
#include "lambda/name.h"

#include <stdio.h>
#include <string.h>

static bool refuse(struct str arn, const char *why, char fault[DESTINATION_FAULT_MAX])
{
    snprintf(fault, DESTINATION_FAULT_MAX, "The destination ARN %.*s is invalid: %s", (int)(arn.n < 350 ? arn.n : 350),
             arn.p, why);
    return false;
}

bool destination_parse(const struct destination_context *d, struct str arn, char target[SETTINGS_TARGET_MAX],
                       char fault[DESTINATION_FAULT_MAX])
{
    struct lambda_name name;
    target[0] = '\0';
    if (!arn.n)
        return true;
    if (!str_starts_with(arn, "arn:") || !lambda_name_parse(arn, &name))
        return refuse(
            arn,
            "on this host a destination is a Lambda function, arn:aws:lambda:REGION:ACCOUNT:function:NAME with "
            "or without a qualifier; SQS, SNS, EventBridge and S3 are not part of faasd",
            fault);
    if (!str_is(name.region, d->region))
        return refuse(arn, "it is of another region than the request", fault);
    const struct function *f =
        str_is(name.account, d->config->lambda_account) ? registry_find(d->registry, name.name) : NULL;
    uint64_t number;
    if (!f || (name.qualifier.n && versions_resolve(&f->versions, name.qualifier, &number) != VERSIONS_FOUND))
        return refuse(arn, "there is no such function", fault);
    int n = snprintf(target, SETTINGS_TARGET_MAX, "%s%s%.*s", f->name, name.qualifier.n ? ":" : "",
                     (int)name.qualifier.n, name.qualifier.n ? name.qualifier.p : "");
    if (n < SETTINGS_TARGET_MAX && settings_target_is_valid(str_from(target)))
        return true;
    return refuse(arn, "a destination's qualifier has at most 64 characters", fault);
}

const char *destination_print(const struct destination_context *d, const char *target, char out[DESTINATION_ARN_MAX])
{
    snprintf(out, DESTINATION_ARN_MAX, "arn:aws:lambda:%s:%s:function:%s", d->region, d->config->lambda_account,
             target);
    return out;
}
