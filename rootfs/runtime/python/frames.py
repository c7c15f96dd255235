# SPDX-License-Identifier: Apache-2.0
"""Frames on the worker's socket: include/faasd/frame.h in Python."""
import os
from _struct import Struct

READY, INVOKE, REPLY, ERROR, FORK = 1, 2, 3, 4, 5

HEAD = Struct("<IHHQ")  # length, type, reserved, id
HEAD_SIZE = 16
INVOKE_HEAD = Struct("<QII")  # deadline_ms, fields_length, event_length
REPLY_HEADS = Struct("<IHHQIIII")  # a frame's head, then status, fields_length, body_length, reserved
ERROR_HEADS = Struct("<IHHQIIII")  # a frame's head, then the lengths of type, message and trace, reserved

FRAME_MAX = 1 << 30  # beyond: the stream is out of step
ERROR_MAX = 256 << 10  # what faasd takes of an ERROR
READ_SIZE = 65536

INHERITED_FD = 3
# Where the socket is kept. Programs that close or write to low descriptors by number don't hit it, and those started by the function don't get it.
OWN_FD = 220


class Broken(Exception):
    """The stream can't be understood: the worker has to end."""


class Connection:
    def __init__(self, fd):
        self.fd = fd
        self.pending = b""
        os.set_blocking(fd, True)

    @classmethod
    def inherit(cls):
        return cls(move(INHERITED_FD))

    def read_frame(self):
        """(type, id, the whole frame as bytes-like), or None at the end of the stream."""
        data = self.pending or os.read(self.fd, READ_SIZE)
        while len(data) < HEAD_SIZE:
            piece = os.read(self.fd, READ_SIZE)
            if not piece:
                if not data:
                    return None
                raise Broken("the connection ended inside a frame")
            data += piece
        length, kind, reserved, request = HEAD.unpack_from(data)
        if length > FRAME_MAX or reserved:
            raise Broken("a frame of impossible length, or with a reserved field that is not 0")
        end = HEAD_SIZE + length
        self.pending = data[end:]
        if len(data) > end:
            data = data[:end]
        elif len(data) < end:
            data = self._read_rest(data, end)
        return kind, request, data

    def _read_rest(self, begin, end):
        frame = bytearray(end)
        frame[: len(begin)] = begin
        view = memoryview(frame)
        have = len(begin)
        while have < end:
            size = os.readv(self.fd, [view[have:]])
            if not size:
                raise Broken("the connection ended inside a frame")
            have += size
        return frame

    def send(self, *parts):
        """All bytes of all parts. Small ones go out as one piece."""
        if sum(map(len, parts)) <= READ_SIZE:
            parts = (b"".join(parts),)
        for part in parts:
            rest = memoryview(part)
            while len(rest):
                rest = rest[os.write(self.fd, rest) :]

    def send_reply(self, request, fields, body):
        head = REPLY_HEADS.pack(16 + len(fields) + len(body), REPLY, 0, request, 200, len(fields), len(body), 0)
        if len(body) > READ_SIZE:
            self.send(head + fields, body)
            return
        data = head + fields + body
        written = os.write(self.fd, data)
        if written != len(data):  # a signal came
            self.send(data[written:])

    def send_ready(self, fields):
        payload = pack_fields(fields)
        self.send(HEAD.pack(len(payload), READY, 0, 0), payload)

    def send_error(self, request, kind, message, trace=b""):
        self.send(pack_error(request, kind, message, trace))


def move(fd):
    """The descriptor's number from now on, closed on exec. Its old number is closed."""
    try:
        os.dup2(fd, OWN_FD, inheritable=False)
    except OSError:  # the limit of open files is lower
        os.set_inheritable(fd, False)
        return fd
    os.close(fd)
    return OWN_FD


def pack_fields(fields):
    return "".join(f"{name}\0{value}\0" for name, value in fields).encode("utf-8", "replace")


def pack_error(request, kind, message, trace):
    return ERROR_HEADS.pack(16 + len(kind) + len(message) + len(trace), ERROR, 0, request, len(kind), len(message), len(trace), 0) + kind + message + trace
