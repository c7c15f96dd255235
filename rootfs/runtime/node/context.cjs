// SPDX-License-Identifier: Apache-2.0
// The second argument of a handler, with the names that it has on AWS Lambda.
'use strict';

const env = process.env;
// What is the same for all requests of this worker. The function may change process.env later, and must not change who it is.
const FUNCTION = {
  functionName: env.AWS_LAMBDA_FUNCTION_NAME || '',
  functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION || '',
  memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE || '',
  logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME || '',
  logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME || '',
};
const DEFAULT_ARN = `arn:aws:lambda:${env.AWS_REGION || 'us-east-1'}:000000000000:function:${FUNCTION.functionName}`;

let traced = false; // the last request

// Names and values in turn; headers come last, as "http.NAME".
function splitFields(fields) {
  const words = fields.split('\0');
  const own = {};
  let at = 0;
  for (; at + 1 < words.length && !words[at].startsWith('http.'); at += 2) own[words[at]] ??= words[at + 1];
  return { own, words, headersAt: at };
}

function readHeaders(words, at) {
  const headers = Object.create(null); // no name that a caller sends means anything to JavaScript
  for (; at + 1 < words.length; at += 2) {
    const name = words[at].slice(5);
    headers[name] = name in headers ? headers[name] + (name === 'cookie' ? '; ' : ',') + words[at + 1] : words[at + 1];
  }
  return headers;
}

function readClientContext(json) {
  try {
    return json ? JSON.parse(Buffer.from(json, 'latin1').toString()) : undefined; // fields are bytes
  } catch {
    return undefined;
  }
}

// `finish` has setWaits(bool), waits() and callback(error, result): the older ways to end an invocation.
function makeContext(frame, finish) {
  const { own, words, headersAt } = splitFields(frame.fields);
  // X-Ray's and OpenTelemetry's libraries look for it there.
  if (own.trace_id) process.env._X_AMZN_TRACE_ID = own.trace_id;
  else if (traced) delete process.env._X_AMZN_TRACE_ID;
  traced = Boolean(own.trace_id);
  let http;
  return {
    ...FUNCTION,
    awsRequestId: own.request_id || '',
    invokedFunctionArn: own.function_arn || DEFAULT_ARN,
    clientContext: readClientContext(own.client_context),
    identity: undefined,
    get callbackWaitsForEmptyEventLoop() {
      return finish.waits();
    },
    set callbackWaitsForEmptyEventLoop(value) {
      finish.setWaits(Boolean(value));
    },
    get http() {
      return (http ??= { method: own.method || '', path: own.path || '', query: own.query || '', headers: readHeaders(words, headersAt) });
    },
    getRemainingTimeInMillis() {
      return frame.deadlineMs ? Math.max(0, frame.deadlineMs - Date.now()) : Number.MAX_SAFE_INTEGER;
    },
    done: (error, result) => finish.callback(error, result),
    succeed: (result) => finish.callback(null, result),
    fail: (error) => finish.callback(error ?? 'handled'),
  };
}

module.exports = { makeContext };
