// SPDX-License-Identifier: Apache-2.0
// Node's HTTP server on a Unix socket: each request that its parser takes is answered with its body, when that has come whole. What it refuses is answered by it and the connection ends.
"use strict";
const http = require("http");

const server = http.createServer({ insecureHTTPParser: false, maxHeaderSize: 65536 }, (request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const body = Buffer.concat(pieces);
    response.writeHead(200, { "Content-Length": body.length, "X-Peer": "took" });
    response.end(body);
  });
});
// Requests before the refused one have been parsed and are still to be answered.
server.on("clientError", (error, socket) => {
  setImmediate(() => setImmediate(() => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    else socket.destroy();
  }));
});
server.httpAllowHalfOpen = true;
// A request that its client's end cut off is no error to Node where its field Upgrade has stopped the parser: nobody would ever end such a connection.
server.on("connection", (socket) => socket.on("end", () => setTimeout(() => socket.destroy(), 500).unref()));
server.keepAliveTimeout = 60000;
server.listen(process.argv[2], 4096, () => process.stdout.write("ready\n"));
