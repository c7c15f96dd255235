// SPDX-License-Identifier: Apache-2.0
// awslambda.streamifyResponse(async (event, responseStream, context) => ...): such a function runs, and its reply leaves in one piece when its stream is at its end.
'use strict';

const { Writable } = require('stream');

const STREAMED = Symbol.for('faasd.streamed');

class ResponseStream extends Writable {
  chunks = [];
  status = 200;
  headers = [['content-type', 'application/octet-stream']];

  _write(chunk, encoding, callback) {
    this.chunks.push(Buffer.from(chunk, encoding === 'buffer' ? undefined : encoding));
    callback();
  }

  setContentType(type) {
    this.headers = [['content-type', String(type)], ...this.headers.filter(([name]) => name !== 'content-type')];
  }
}

const HttpResponseStream = {
  from(stream, { statusCode = 200, headers = {}, cookies = [] } = {}) {
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
    const fields = stream.headers.map(([name, value]) => `${name}\0${value}\0`).join('');
    return { [STREAMED]: { status: stream.status, fields, body: Buffer.concat(stream.chunks) } };
  };
}

module.exports = { HttpResponseStream, streamifyResponse };
