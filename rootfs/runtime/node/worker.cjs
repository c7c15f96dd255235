// SPDX-License-Identifier: Apache-2.0
// The life of a worker. Every invocation ends exactly once, through end(): with what the handler returned, resolved with or handed to its callback, or with the reason
// why it never will. What leaves the process in doubt (an uncaught exception, an unhandled rejection, an exit) is answered first, and then ends it: faasd starts another
// one for the next request.
'use strict';

const failure = require('./failure.cjs');
const { InitFailure } = failure;
const frames = require('./frames.cjs');
const log = require('./log.cjs');
const { makeContext } = require('./context.cjs');

const JSON_FIELDS = 'content-type\0application/json\0';
const NEVER_SETTLED = 'the handler waits for a promise that nothing will settle: the event loop is empty';
const GENERATORS = ['[object Generator]', '[object AsyncGenerator]']; // as JSON they would be {}
const GENERATOR = 'it is a generator (function*): collect what it yields and return that, or stream with awslambda.streamifyResponse()';
const NO_TEMPLATE = 'node is multi-threaded and is started anew instead';
const STREAMED = Symbol.for('faasd.streamed'); // of streaming.cjs, which few functions load
const { parse, stringify } = JSON;

let handler = null;
let current = null; // the running invocation
let isReady = false;
let isOver = false; // this process has said its last word

// ---- an invocation ----

function makeReply(result) {
  if (typeof result === 'object' && result !== null) {
    if (result[STREAMED]) return { status: result[STREAMED].status, fields: result[STREAMED].fields, body: '', isHttp: result[STREAMED].isHttp }; // nothing was written
    if (GENERATORS.includes(Object.prototype.toString.call(result))) throw new TypeError(GENERATOR);
  }
  return { status: 200, fields: JSON_FIELDS, body: stringify(result) ?? 'null' };
}

// The one way out. The answer leaves in an immediate of its own: by then a rejection that nobody handles has been seen, and the rest of the loop has had its turn.
function end(invocation, outcome) {
  if (invocation !== current || invocation.outcome) return;
  invocation.outcome = outcome;
  setImmediate(answer, invocation);
}

function answer(invocation) {
  if (invocation !== current || isOver) return;
  const { id } = invocation.frame;
  let { failed, result } = invocation.outcome;
  let reply;
  if (!failed && !invocation.streams) {
    try {
      reply = makeReply(result);
    } catch (error) {
      failed = failure.make('Runtime.MarshalError', `Unable to stringify the handler's result: ${error?.message ?? error}`, []);
    }
  }
  current = null;
  if (failed) {
    log.writeFailure('Invoke Error', failed);
    frames.sendError(id, failed, false);
  } else if (invocation.streams) {
    frames.sendEnd(id);
  } else {
    frames.sendReply(id, reply.status, reply.fields, reply.body, reply.isHttp);
  }
  log.setRequestId('');
  next();
}

function succeed(invocation, result) {
  end(invocation, { result });
}

function fail(invocation, error) {
  end(invocation, { failed: failure.of(error) });
}

// callback(error, result), context.done(), context.succeed(), context.fail().
function endByCallback(invocation, error, result) {
  if (invocation !== current || invocation.outcome || invocation.called) return;
  if (error !== null && error !== undefined) return fail(invocation, error);
  invocation.called = { result };
  if (!invocation.waits) succeed(invocation, result);
}

function begin(frame) {
  const invocation = { frame, outcome: null, called: null, waits: true, isPromise: false, streams: false };
  current = invocation;
  const callback = (error, result) => endByCallback(invocation, error, result);
  const context = makeContext(frame, {
    callback,
    waits: () => invocation.waits,
    setWaits(value) {
      invocation.waits = value;
      if (!value && invocation.called) succeed(invocation, invocation.called.result);
    },
  });
  log.setRequestId(context.awsRequestId);
  let event;
  try {
    event = frame.event ? parse(frame.event) : {};
  } catch (error) {
    end(invocation, { failed: failure.make('Runtime.UnmarshalError', `the event is not JSON: ${error.message}`, []) });
    return;
  }
  call(invocation, event, context, callback);
}

// For streaming.cjs: how the running invocation's reply leaves in pieces. What is written behind its end goes nowhere.
function openReply() {
  const invocation = current;
  const isOpen = () => invocation && invocation === current && !invocation.outcome && !isOver;
  return {
    begin(status, fields, isHttp) {
      if (!isOpen()) return;
      invocation.streams = true;
      frames.openInLoop(() => leave(0));
      frames.sendBegin(invocation.frame.id, status, fields, isHttp);
    },
    write(bytes, done) {
      if (isOpen()) frames.sendPiece(invocation.frame.id, bytes, done);
      else done();
    },
  };
}

function call(invocation, event, context, callback) {
  let returned;
  try {
    returned = handler(event, context, callback);
    invocation.isPromise = typeof returned?.then === 'function';
    if (invocation.isPromise) returned.then((result) => succeed(invocation, result), (error) => fail(invocation, error));
  } catch (error) {
    fail(invocation, error);
    return;
  }
  // A plain function that takes no callback can only have meant what it returned.
  if (!invocation.isPromise && returned !== undefined && handler.length < 3 && !invocation.called) succeed(invocation, returned);
}

// ---- between invocations ----

// What a handler left running. stdout and stderr, once the function has used process.stdout, count among the pipes.
function hasBackgroundWork() {
  const active = process.getActiveResourcesInfo();
  return active.length > 2 || active.some((name) => name !== 'PipeWrap');
}

function next() {
  if (!frames.isInLoop() && !hasBackgroundWork()) {
    const frame = frames.receive();
    if (frame === null) leave(0);
    if (frame) return begin(frame);
  }
  frames.receiveInLoop(begin, () => leave(0));
}

// ---- ends of the process ----

function leave(status) {
  isOver = true;
  process.exit(status);
}

// Answers whoever waits, if anybody does. Never twice.
function lastWord(failed, what) {
  if (isOver) return;
  isOver = true;
  log.writeFailure(what, failed);
  try {
    if (!isReady) frames.sendError(null, failed, true);
    else if (current) frames.sendError(current.frame.id, failed, true);
  } catch {
    // faasd has gone: there is nobody to tell
  }
}

function describeExit(status) {
  const prefix = current ? `RequestId: ${current.frame.fields.split('\0')[1]} Error: ` : '';
  return prefix + (status ? `Runtime exited with error: exit status ${status}` : 'Runtime exited without providing a reason');
}

function onExit(status) {
  if (isReady && !current) return;
  lastWord(failure.make('Runtime.ExitError', describeExit(status), []), isReady ? 'Invoke Error' : 'Init Error');
}

function onUncaught(error) {
  lastWord(isReady ? failure.as('Runtime.UncaughtException', error) : failure.of(error), 'Uncaught Exception');
  process.exit(1);
}

function onUnhandled(reason) {
  lastWord(failure.as('Runtime.UnhandledPromiseRejection', reason), 'Unhandled Promise Rejection');
  process.exit(1);
}

// The event loop is empty: whatever has not happened by now never will.
function onEmptyLoop() {
  if (!isReady) failInit(new InitFailure('Runtime.NodeJsExit', 'the module waits for a promise (top-level await) that nothing will settle'));
  if (!current || current.outcome) return;
  if (current.isPromise) end(current, { failed: failure.make('Runtime.NodeJsExit', NEVER_SETTLED, []) });
  else succeed(current, current.called?.result);
}

function install() {
  process.on('exit', onExit);
  process.on('beforeExit', onEmptyLoop);
  process.on('uncaughtException', onUncaught);
  process.on('unhandledRejection', onUnhandled);
}

function failInit(error) {
  lastWord(failure.ofInit(error), 'Init Error');
  process.exit(1);
}

// The function is there: says so and takes requests.
function serve(loaded) {
  handler = loaded;
  isReady = true;
  frames.sendReady({ runtime: `Node ${process.version}`, template: NO_TEMPLATE });
  setImmediate(next);
}

module.exports = { failInit, install, openReply, serve };
