// SPDX-License-Identifier: Apache-2.0
// What a caller and the log are told: errorType, errorMessage and the lines of a stack trace, without those of this program.
'use strict';

const TYPE_MAX = 128;
const MESSAGE_MAX = 32768;
const TRACE_LINES_MAX = 100;
const CAUSES_MAX = 10;
const TRACE_HEAD_MAX = 20; // of a long message, which is told in full beside it
const TRACE_LINE_MAX = 1000;
const HERE = __dirname + '/';

// The worker can't start. `cause` is the error whose trace tells where.
class InitFailure extends Error {
  constructor(errorType, message, cause) {
    super(message);
    this.errorType = errorType;
    this.cause = cause;
  }
}

function read(object, name) {
  try {
    return object[name];
  } catch {
    return undefined; // a getter of the function's own
  }
}

function text(value) {
  try {
    return String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

// An error of another realm is one as well.
function isError(value) {
  return value instanceof Error || (typeof value === 'object' && value !== null && typeof read(value, 'stack') === 'string');
}

// Its name and message, then the places, as `stack` has them; not those of this program and of node's loader that it went through.
function traceOf(error) {
  const stack = read(error, 'stack');
  if (typeof stack !== 'string') return [];
  const lines = stack.split('\n').filter((line) => !(line.startsWith('    at ') && (line.includes(HERE) || line.includes('node:internal/modules/'))));
  const places = lines.findIndex((line) => line.startsWith('    at '));
  if (places > TRACE_HEAD_MAX) lines.splice(TRACE_HEAD_MAX, places - TRACE_HEAD_MAX, `... ${places - TRACE_HEAD_MAX} lines left out ...`);
  return lines.slice(0, TRACE_LINES_MAX).map((line) => line.slice(0, TRACE_LINE_MAX));
}

// One printable word: it goes into a header of the reply to the caller.
function word(type) {
  return text(type).slice(0, TYPE_MAX).replace(/[^!-~]/g, '_') || 'Error';
}

function make(errorType, errorMessage, trace) {
  return { errorType: word(errorType), errorMessage: text(errorMessage).slice(0, MESSAGE_MAX), trace };
}

// What was thrown and is no error: an object without words of its own is told by what is in it.
function describe(value) {
  const said = text(value);
  if (said !== '[object Object]') return said;
  try {
    return JSON.stringify(value) ?? said;
  } catch {
    return said;
  }
}

// The errors behind one: what it was made from (`cause`), what it is made of (AggregateError).
function causesOf(error) {
  const parts = read(error, 'errors');
  const cause = read(error, 'cause');
  return [...(Array.isArray(parts) ? parts.slice(0, CAUSES_MAX) : []), ...(cause === undefined || cause === null ? [] : [cause])];
}

// Their traces, each behind a line that says so. Bounded, as causes may run in circles.
function traceOfCauses(error) {
  const lines = [];
  const seen = new Set([error]);
  for (const one of seen) {
    if (seen.size > CAUSES_MAX) break;
    for (const cause of isError(one) ? causesOf(one) : []) {
      if (seen.has(cause)) continue;
      seen.add(cause);
      lines.push('caused by:', ...(isError(cause) ? traceOf(cause) : [describe(cause).slice(0, TRACE_LINE_MAX)]));
    }
  }
  return lines;
}

function wholeTraceOf(error) {
  return [...traceOf(error), ...traceOfCauses(error)].slice(0, TRACE_LINES_MAX);
}

// Whatever a handler has thrown, rejected with or handed to its callback.
function of(value) {
  if (!isError(value)) return make(typeof value, describe(value), []);
  return make(read(value, 'name') || 'Error', read(value, 'message') ?? '', wholeTraceOf(value));
}

// One that is told under a type of the runtime's.
function as(errorType, value) {
  return isError(value) ? make(errorType, text(value), wholeTraceOf(value)) : make(errorType, describe(value), []);
}

function ofInit(value) {
  if (!(value instanceof InitFailure)) return of(value);
  return make(value.errorType, value.message, value.cause ? wholeTraceOf(value.cause) : []);
}

module.exports = { InitFailure, as, make, of, ofInit };
