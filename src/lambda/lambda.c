/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/lambda.h"

#include "lambda/error.h"
#include "lambda/invoke.h"
#include "lambda/operation.h"
#include "lambda/stream.h"

static void answer_invocation(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r)
{
    if (inv->exchange->reply_mode == EXCHANGE_REPLY_STREAMED)
        lambda_stream_answer(inv, e, r);
    else
        lambda_answer_invocation(inv, e, r);
}

static const struct face FACE = {
    .id_field = "x-amzn-RequestId",
    .claims = lambda_claims,
    .find = lambda_find,
    .answer_error = lambda_answer_error,
    .print_arn = lambda_print_invoked,
    .answer_invocation = answer_invocation,
    .begin_stream = lambda_stream_begin,
    .write_stream = lambda_stream_write,
};

const struct face *lambda_face(void)
{
    return &FACE;
}
