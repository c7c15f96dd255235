// SPDX-License-Identifier: Apache-2.0
// The frames on fd 3 (docs/PROTOCOL.md, include/faasd/frame.h).
//
// Between requests the worker blocks in read(2): no module has to be loaded for it, a request costs 33 us instead of 48 us through libuv's loop, and nothing of the
// function runs meanwhile. Only a function that leaves something running behind its answer (a timer, a connection) gets a worker that waits in the event
// loop: then what is left running may go on, and fail, without harm to the next request.
'use strict';

const { readSync, writeSync } = require('fs');

const FD = 3;
const HEAD_BYTES = 16;
const READY = 1, INVOKE = 2, REPLY = 3, ERROR = 4, CHUNK = 6;
const INVOKE_HEAD_BYTES = 16;
const FIRST_BYTES = 65536;
const KEPT_BYTES = 262144; // one large request must not make an idle worker large
const FRAME_BYTES_MAX = 1 << 30;
const NOBODY = Buffer.alloc(8); // the id of READY, and of ERROR in its place
const MORE = 1; // in a REPLY: its body goes on in CHUNKs, up to an empty one
const HTTP = 2; // in a REPLY: its body is HTTP's, whatever payload format the function has
const CHUNK_MAX = 65520;
const LEAVING = 1; // in an ERROR: the worker ends, it must not be given another request

let input = Buffer.allocUnsafeSlow(FIRST_BYTES);
let length = 0;
let stream = null; // a net.Socket once the event loop waits
let waiting = null; // called with the next invocation

class OutOfStep extends Error {}

function makeRoom(total) {
  if (total <= input.length) return;
  const grown = Buffer.allocUnsafeSlow(total);
  input.copy(grown, 0, 0, length);
  input = grown;
}

// A whole frame as {id, deadlineMs, fields, event}, null when more bytes are needed.
function take() {
  if (length < HEAD_BYTES) return null;
  const payloadLength = input.readUInt32LE(0);
  if (payloadLength > FRAME_BYTES_MAX) throw new OutOfStep('a frame of impossible length');
  const total = HEAD_BYTES + payloadLength;
  if (length < total) {
    makeRoom(total);
    return null;
  }
  const frame = parse(payloadLength, total);
  length -= total;
  if (length > 0) input.copyWithin(0, total, total + length);
  else if (input.length > KEPT_BYTES) input = Buffer.allocUnsafeSlow(FIRST_BYTES);
  return frame;
}

function parse(payloadLength, total) {
  if (input.readUInt16LE(4) !== INVOKE || payloadLength < INVOKE_HEAD_BYTES) throw new OutOfStep('a frame that is not INVOKE');
  const fieldsLength = input.readUInt32LE(24);
  if (INVOKE_HEAD_BYTES + fieldsLength + input.readUInt32LE(28) !== payloadLength)
    throw new OutOfStep('an INVOKE frame whose lengths disagree');
  const fieldsEnd = HEAD_BYTES + INVOKE_HEAD_BYTES + fieldsLength;
  return {
    id: Buffer.from(input.subarray(8, 16)),
    deadlineMs: input.readUInt32LE(16) + input.readUInt32LE(20) * 4294967296,
    fields: input.latin1Slice(HEAD_BYTES + INVOKE_HEAD_BYTES, fieldsEnd),
    event: input.utf8Slice(fieldsEnd, total),
  };
}

// Blocks until the next invocation. null at end of file; undefined when fd 3 is set not to block: receive by receiveInLoop() then.
function receive() {
  for (;;) {
    const frame = take();
    if (frame) return frame;
    let n;
    try {
      n = readSync(FD, input, length, input.length - length, null);
    } catch (error) {
      if (error.code === 'EAGAIN') return undefined;
      if (error.code === 'EINTR') continue;
      if (error.code !== 'ECONNRESET') throw error;
      n = 0;
    }
    if (n === 0) return null;
    length += n;
  }
}

function onBytes(bytes) {
  makeRoom(length + bytes.length);
  bytes.copy(input, length);
  length += bytes.length;
  deliver();
}

function deliver() {
  if (!waiting) return;
  const frame = take();
  if (!frame) return;
  const callback = waiting;
  waiting = null;
  stream.unref(); // while the handler works, only what the handler does keeps the loop going
  callback(frame);
}

// From here on the socket doesn't block: the event loop reads it, and writes when there is room.
function openInLoop(onEnd) {
  if (stream) return;
  const { Socket } = require('net');
  stream = new Socket({ fd: FD, readable: true, writable: true, allowHalfOpen: false });
  stream.on('data', onBytes);
  stream.on('end', onEnd);
  stream.on('error', onEnd);
  stream.unref();
}

// Calls back with the next invocation while the event loop runs, or `onEnd` at end of file.
function receiveInLoop(callback, onEnd) {
  waiting = callback;
  openInLoop(onEnd);
  stream.ref();
  deliver();
}

function isInLoop() {
  return stream !== null;
}

// In the loop's mode a full socket is libuv's to wait for; `now` is for a process that ends.
function send(bytes, now) {
  if (stream?.writableLength && now) return; // half of another frame is on its way: the end of this process must say it
  if (stream && !now) {
    stream.write(bytes);
    return;
  }
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(FD, bytes, at, bytes.length - at);
    } catch (error) {
      if (error.code !== 'EAGAIN' && error.code !== 'EINTR') throw error;
      pause();
    }
  }
}

// The socket's buffer is full and nothing here can poll(2).
function pause() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
}

function begin(type, id, payloadLength) {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + payloadLength);
  frame.writeUInt32LE(payloadLength, 0);
  frame.writeUInt32LE(type, 4); // and the reserved half
  id.copy(frame, 8);
  return frame;
}

function sendReady(fields) {
  const text = Object.entries(fields).map(([name, value]) => `${name}\0${value}\0`).join('');
  const frame = begin(READY, NOBODY, Buffer.byteLength(text));
  frame.write(text, HEAD_BYTES);
  send(frame);
}

// `body` is a string or a Buffer; `fields` "name\0value\0...", in bytes that are characters.
function sendReply(id, status, fields, body, isHttp) {
  const bodyLength = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  const frame = begin(REPLY, id, 16 + fields.length + bodyLength);
  frame.writeUInt32LE(status, 16);
  frame.writeUInt32LE(fields.length, 20);
  frame.writeUInt32LE(bodyLength, 24);
  frame.writeUInt32LE(isHttp ? HTTP : 0, 28);
  frame.latin1Write(fields, 32);
  if (typeof body === 'string') frame.utf8Write(body, 32 + fields.length);
  else body.copy(frame, 32 + fields.length);
  send(frame);
}

// A reply in pieces, in the loop's mode alone.
function sendBegin(id, status, fields, isHttp) {
  const frame = begin(REPLY, id, 16 + fields.length);
  frame.writeUInt32LE(status, 16);
  frame.writeUInt32LE(fields.length, 20);
  frame.writeUInt32LE(0, 24);
  frame.writeUInt32LE(isHttp ? MORE | HTTP : MORE, 28);
  frame.latin1Write(fields, 32);
  send(frame);
}

// `done` is called when the socket has taken all of it: a caller that reads slowly holds it back.
function sendPiece(id, bytes, done) {
  for (let at = 0; at < bytes.length; at += CHUNK_MAX) {
    const piece = bytes.subarray(at, at + CHUNK_MAX);
    const frame = begin(CHUNK, id, piece.length);
    piece.copy(frame, HEAD_BYTES);
    stream.write(frame, at + CHUNK_MAX < bytes.length ? undefined : done);
  }
}

function sendEnd(id) {
  send(begin(CHUNK, id, 0));
}

// `id` null: in the place of READY. `leaving`: nothing follows, the process ends.
function sendError(id, failure, leaving) {
  const parts = [failure.errorType, failure.errorMessage, JSON.stringify(failure.trace)].map((text) => Buffer.from(text));
  const frame = begin(ERROR, id || NOBODY, 16 + parts[0].length + parts[1].length + parts[2].length);
  parts.forEach((part, i) => frame.writeUInt32LE(part.length, 16 + 4 * i));
  frame.writeUInt32LE(id && leaving ? LEAVING : 0, 28);
  let at = 32;
  for (const part of parts) at += part.copy(frame, at);
  send(frame, leaving);
}

module.exports = {
  OutOfStep, isInLoop, openInLoop, receive, receiveInLoop, sendBegin, sendEnd, sendError, sendPiece, sendReady, sendReply,
};
