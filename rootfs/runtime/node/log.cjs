// SPDX-License-Identifier: Apache-2.0
// console.* as Lambda writes it: TIMESTAMP\tREQUEST-ID\tLEVEL\tMESSAGE, one write(2) per record, before the call returns. The lines of a message behind its first
// begin with a TAB, so that no message can pass for another record.
'use strict';

const { writeSync } = require('fs');
const { format, inspect } = require('util');

const OUT = 1, ERR = 2;
const LEVELS = { log: ['INFO', OUT], info: ['INFO', OUT], debug: ['DEBUG', OUT], warn: ['WARN', ERR], error: ['ERROR', ERR] };

let requestId = '';

function setRequestId(id) {
  requestId = id;
}

// The pipe blocks, unless the function's own use of process.stdout has made it not to.
function writeAll(fd, text) {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at, bytes.length - at);
    } catch (error) {
      if (error.code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      else if (error.code !== 'EINTR') return; // there is nobody to tell
    }
  }
}

function write(fd, level, message) {
  const text = message.includes('\n') ? message.replace(/\r?\n(?=[^])/g, '\n\t') : message;
  writeAll(fd, `${new Date().toISOString()}\t${requestId}\t${level}\t${text}${text.endsWith('\n') ? '' : '\n'}`);
}

function trace(...args) {
  const holder = { name: 'Trace', message: format(...args) };
  Error.captureStackTrace(holder, trace);
  write(ERR, 'TRACE', holder.stack);
}

function install() {
  for (const [name, [level, fd]] of Object.entries(LEVELS)) console[name] = (...args) => write(fd, level, format(...args));
  console.trace = trace;
  console.dir = (value, options) => write(OUT, 'INFO', inspect(value, { customInspect: false, ...options }));
}

// Of a failure; `what` as Lambda's runtime words it.
function writeFailure(what, failure) {
  const { errorType, errorMessage, trace: stack } = failure;
  write(ERR, 'ERROR', `${what} \t${JSON.stringify({ errorType, errorMessage, stack })}`);
}

module.exports = { install, setRequestId, writeFailure };
