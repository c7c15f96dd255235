/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/lambda.h"

#include "lambda/error.h"
#include "lambda/invoke.h"
#include "lambda/operation.h"

static const struct face FACE = {
    .id_field = "x-amzn-RequestId",
    .claims = lambda_claims,
    .find = lambda_find,
    .answer_error = lambda_answer_error,
    .answer_invocation = lambda_answer_invocation,
};

const struct face *lambda_face(void)
{
    return &FACE;
}
