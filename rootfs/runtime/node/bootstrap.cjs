// SPDX-License-Identifier: Apache-2.0
// Serves one Node function: the program that faasd starts in a sandbox for `runtime node`.
//
//   bootstrap.cjs  this file: what must be in place before the function's code is loaded, then loads it
//   worker.cjs     the life of a worker: one invocation after another, and every way in which one can end
//   frames.cjs     bytes on the worker's socket (docs/PROTOCOL.md)
//   handler.cjs    from "index.handler" to something that can be called
//   context.cjs    the second argument of a handler
//   failure.cjs    what a caller and the log are told when something failed
//   role.cjs       the credentials of the function's role, where it has some
//   log.cjs        console, in Lambda's format
//   streaming.cjs  awslambda.streamifyResponse
//
// CommonJS, and few modules: each costs 0.2 ms of every cold start, the loader of ES modules 3.5 ms (it is loaded when the function needs it).
'use strict';

const { InitFailure } = require('./failure.cjs');
const log = require('./log.cjs');
const worker = require('./worker.cjs');

const OLDEST = 18;

// "nodejs20.x", "node20": a name that promises a major version. "node" promises none.
function keepsPromise(name) {
  const wanted = /^node(?:js)?(\d+)/.exec(name || '');
  return !wanted || wanted[1] === process.versions.node.split('.')[0];
}

// `entry`: the name under which the configuration has this node, if it has.
function checkVersion(name, entry) {
  const refuse = (why) => new InitFailure('Runtime.InvalidRuntime', why);
  if (Number(process.versions.node.split('.')[0]) < OLDEST)
    throw refuse(`this host's node is ${process.version}; functions need node ${OLDEST} or newer`);
  if (!keepsPromise(entry))
    throw refuse(`the runtime ${entry} is ${process.execPath} on this host, and that is node ${process.version}: ` +
      "name the right one in 'runtimes' of the configuration, or deploy with another --runtime");
  if (!keepsPromise(name))
    throw refuse(`'${name}' is asked for and this host's node is ${process.version}; deploy with runtime node, ` +
      "or name another one under 'runtimes' in the configuration");
}

async function main() {
  log.install();
  worker.install();
  try {
    checkVersion(process.env.FAASD_RUNTIME_NAME, process.env.FAASD_RUNTIME_ENTRY);
    if (process.env.FAASD_ROLE_CREDENTIALS)
      require('./role.cjs').take(process.env.FAASD_ROLE_CREDENTIALS);
    worker.serve(await require('./handler.cjs').load(process.env._HANDLER, process.env.LAMBDA_TASK_ROOT || '/var/task'));
  } catch (error) {
    worker.failInit(error);
  }
}

main();
