/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InvokeWithResponseStream: an invocation as any other whose reply goes out as it comes, in messages of application/vnd.amazon.eventstream: PayloadChunk for each piece, InvokeComplete at
 * the end. Status 200 is sent with the first piece, so that what keeps the function from running (throttled, not found) is an error as of Invoke; what happens in the function
 * stands in InvokeComplete.
 */
#ifndef FAASD_LAMBDA_STREAM_H
#define FAASD_LAMBDA_STREAM_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_invoke_with_response_stream;

/* struct face.begin_stream and write_stream; and answer_invocation for requests whose reply_mode is EXCHANGE_REPLY_STREAMED. */
void lambda_stream_begin(struct invocation *inv, const struct invocation_reply *h);
void lambda_stream_write(struct exchange *x, struct str piece);
void lambda_stream_answer(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r);

#endif
