// SPDX-License-Identifier: Apache-2.0
// awslambda.streamifyResponse(async (event, responseStream, context) => ...): each write leaves at once. Whether the caller gets it then, or the whole at the end, is
// what the caller asked for.
'use strict';

const { Writable } = require('stream');
const worker = require('./worker.cjs');

const STREAMED = Symbol.for('faasd.streamed');

class InvalidStreamingOperation extends Error {
  name = 'InvalidStreamingOperation';
}

class ResponseStream extends Writable {
  reply = worker.openReply();
  begun = false; // status and headers have left
  isHttp = false; // from() said status and headers
  status = 200;
  headers = [['content-type', 'application/octet-stream']];

  get fields() {
    return this.headers.map(([name, value]) => `${name}\0${value}\0`).join('');
  }

  // An empty chunk sends the headers alone.
  _write(chunk, encoding, callback) {
    if (!this.begun) this.reply.begin(this.status, this.fields, this.isHttp);
    this.begun = true;
    if (chunk.length) this.reply.write(chunk, callback);
    else callback();
  }

  demandUnsent(what) {
    if (this.begun) throw new InvalidStreamingOperation(`${what} after the first write: the headers have been sent`);
  }

  setContentType(type) {
    this.demandUnsent('setContentType()');
    this.headers = [['content-type', String(type)], ...this.headers.filter(([name]) => name !== 'content-type')];
  }
}

const HttpResponseStream = {
  from(stream, { statusCode = 200, headers = {}, cookies = [] } = {}) {
    stream.demandUnsent('HttpResponseStream.from()');
    stream.isHttp = true;
    stream.status = statusCode;
    for (const [name, value] of Object.entries(headers)) {
      if (name.toLowerCase() === 'content-type') stream.setContentType(value);
      else stream.headers.push([name, String(value)]);
    }
    for (const cookie of cookies) stream.headers.push(['set-cookie', String(cookie)]);
    return stream;
  },
};

function streamifyResponse(handler) {
  return async (event, context) => {
    const stream = new ResponseStream();
    const finished = new Promise((resolve, reject) => stream.on('finish', resolve).on('error', reject));
    await Promise.all([handler(event, stream, context), finished]);
    return { [STREAMED]: stream };
  };
}

module.exports = { HttpResponseStream, streamifyResponse };
