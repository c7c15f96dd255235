# SPDX-License-Identifier: Apache-2.0
"""A client that reads a chunked reply piece by piece."""

import socket


class Stream:
    """One request on a connection of its own, its reply read by hand. `path`: behind /function/, or with its own slash."""

    def __init__(self, faasd, path, method="POST", body=b"", version="1.1", small=False, sock=None, fields=""):
        self.sock = sock or faasd.connect()
        if small:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131072)
        target = path if path.startswith("/") else f"/function/{path}"
        self.sock.sendall(f"{method} {target} HTTP/{version}\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)
        self.input = self.sock.makefile("rb")

    def head(self):
        self.status = int(self.input.readline().split()[1])
        self.lines = []
        while line := self.input.readline().strip():
            name, value = line.decode("latin-1").split(":", 1)
            self.lines.append((name.lower(), value.strip()))
        self.fields = dict(self.lines)
        return self.status

    def chunk(self):
        """The next chunk; None when the connection ends in its place."""
        size = self.input.readline()
        if not size:
            return None
        data = self.input.read(int(size, 16))
        assert self.input.readline() == b"\r\n"
        return data

    def rest(self):
        """(bytes, whether it is complete)"""
        pieces = []
        while piece := self.chunk():
            pieces.append(piece)
        return b"".join(pieces), piece is not None

    def close(self):
        self.input.close()
        self.sock.close()


def begin(faasd, path, **options):
    stream = Stream(faasd, path, **options)
    stream.head()
    return stream
