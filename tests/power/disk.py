# SPDX-License-Identifier: Apache-2.0
"""A disk with a volatile write cache, for qemu, as a server of the network block device protocol (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md).

What the guest has written is certain only once it has flushed, or forced it through. cut() is the end of power: of what was not flushed a random part has reached the platter, in any order, torn
at sectors, and the rest is gone. qemu's own cache modes can't show that: killed, it leaves all that it was given in this host's page cache. tests/integration/test_power.py holds this
disk against a model.
"""

import collections
import os
import random
import socket
import struct
import threading
import time

SECTOR = 4096
MAGIC, OPTION_MAGIC, REPLY_MAGIC = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9
REQUEST, SIMPLE_REPLY = 0x25609513, 0x67446698
FLAGS = 1 | 4 | 8  # has flags, flush, force unit access
READ, WRITE, CLOSE, FLUSH = 0, 1, 2, 3
FUA = 1
OPT_EXPORT_NAME, OPT_ABORT, OPT_INFO, OPT_GO = 1, 2, 6, 7
EINVAL = 22
FLUSH_WITHIN_SECONDS = 1.0
REMEMBERED = 200000  # requests, for whoever has to find out what went wrong


class PowerOff(Exception):
    """The request is never answered."""


class Disk:
    """`flush_seconds`: what a flush takes, on average."""

    def __init__(self, path, size, seed, flush_seconds=0.0):
        self.path, self.flush_seconds = path, flush_seconds
        self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self.file, size)
        self.size, self.rng, self.lock = size, random.Random(seed), threading.Lock()
        self.cache = {}  # sector -> bytes, not flushed
        self.flushes = self.forced = self.lost = self.kept = 0
        self.on, self.lying, self.doomed = True, False, False  # doomed: the next flush is its last
        self.ended = threading.Event()
        self.requests = collections.deque(maxlen=REMEMBERED)

    def read(self, at, count):
        with self.lock:
            self._need_power()
            data = bytearray(os.pread(self.file, count, at))
            first, last = at // SECTOR, (at + count - 1) // SECTOR
            if self.cache:
                for sector in range(first, last + 1):
                    piece = self.cache.get(sector)
                    if piece is not None:
                        offset = sector * SECTOR - at
                        data[offset:offset + SECTOR] = piece
            return bytes(data)

    def write(self, at, data, through):
        assert at % SECTOR == 0 and len(data) % SECTOR == 0, "the guest writes whole sectors"
        with self.lock:
            self._need_power()
            self._note("force" if through else "write", at, len(data))
            for offset in range(0, len(data), SECTOR):
                self._write_sector((at + offset) // SECTOR, data[offset:offset + SECTOR], through and not self.lying)
            self.forced += bool(through)

    def flush(self):
        # A disk takes its time, and that is when power ends most often: more has been written by then than is certain.
        time.sleep(self.rng.uniform(0, 2 * self.flush_seconds))
        with self.lock:
            self._need_power()
            if self.doomed:
                self._end()
                raise PowerOff
            self._note("flush", 0, len(self.cache) * SECTOR)
            self.flushes += 1
            if not self.lying:
                for sector, data in self.cache.items():
                    os.pwrite(self.file, data, sector * SECTOR)
                self.cache.clear()

    def lie(self):
        """From here on nothing reaches the platter, whatever is answered: for showing that whoever looks for losses finds them."""
        with self.lock:
            self._note("lie", 0, 0)
            self.lying = True

    def cut(self, in_flush=False):
        """The power goes: from here on nothing is answered, so the guest sees no error either, until restore(). In a flush, if one comes soon, most is uncertain."""
        if in_flush:
            with self.lock:
                self.doomed = True
            self.ended.wait(FLUSH_WITHIN_SECONDS)
        with self.lock:
            if self.on:
                self._end()

    def restore(self):
        with self.lock:
            self._note("restore", 0, 0)
            self.on, self.lying, self.doomed = True, False, False
            self.ended.clear()

    def print_requests(self, path):
        """What it was asked lately: time, request, offset, bytes (of a flush and a cut: how many were not on the platter)."""
        with self.lock, open(path, "w") as out:
            out.writelines(f"{when:.6f} {kind} {at} {count}\n" for when, kind, at, count in self.requests)

    def _end(self):
        self._note("cut", 0, len(self.cache) * SECTOR)
        self.on = False
        chance = 0.0 if self.lying else self.rng.choice((0.0, 0.5, 0.9))
        for sector, data in self.cache.items():
            if self.rng.random() < chance:
                os.pwrite(self.file, data, sector * SECTOR)
                self.kept += 1
            else:
                self.lost += 1
        self.cache.clear()
        self.ended.set()

    def _need_power(self):
        if not self.on:
            raise PowerOff

    def _note(self, kind, at, count):
        self.requests.append((time.monotonic(), kind, at, count))

    def _write_sector(self, sector, data, through):
        former = self.cache.pop(sector, None)
        if through:
            os.pwrite(self.file, data, sector * SECTOR)
            return
        # A cache empties itself when it likes: what is overwritten may have got to the platter before.
        if former is not None and not self.lying and self.rng.random() < 0.5:
            os.pwrite(self.file, former, sector * SECTOR)
        self.cache[sector] = data


def receive(sock, count):
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise ConnectionError("the other side has gone")
        data += piece
    return bytes(data)


class Server:
    """One connection at a time, on a Unix socket."""

    def __init__(self, path, disk):
        self.disk, self.connection, self.alone = disk, None, threading.Event()
        self.alone.set()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(4)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            self.connection, _ = self.listener.accept()
            self.alone.clear()
            try:
                self._negotiate(self.connection)
                self._serve(self.connection)
            except (ConnectionError, OSError):
                pass
            except PowerOff:
                self._await_end()
            finally:
                self.connection.close()
                self.alone.set()

    def restore(self):
        """Power for the next machine, once nothing that the last one sent can be taken for the next one's."""
        if not self.alone.wait(20):
            raise TimeoutError("the machine whose power was cut is still connected")
        self.disk.restore()

    def _await_end(self):
        """Until the machine has gone."""
        try:
            while self.connection.recv(65536):
                pass
        except OSError:
            pass

    def _negotiate(self, sock):
        sock.sendall(struct.pack(">QQH", MAGIC, OPTION_MAGIC, 3))  # fixed newstyle, no zeroes
        receive(sock, 4)
        while True:
            magic, option, length = struct.unpack(">QII", receive(sock, 16))
            data = receive(sock, length)
            if magic != OPTION_MAGIC:
                raise ConnectionError("no option")
            if option == OPT_EXPORT_NAME:
                sock.sendall(struct.pack(">QH", self.disk.size, FLAGS))
                return
            if option in (OPT_INFO, OPT_GO):
                sock.sendall(struct.pack(">QIIIHQH", REPLY_MAGIC, option, 3, 12, 0, self.disk.size, FLAGS))
                sock.sendall(struct.pack(">QIII", REPLY_MAGIC, option, 1, 0))
                if option == OPT_GO:
                    return
            elif option == OPT_ABORT:
                raise ConnectionError("given up")
            else:
                sock.sendall(struct.pack(">QIII", REPLY_MAGIC, option, 0x80000001, 0))  # not supported
            del data

    def _serve(self, sock):
        while True:
            magic, flags, kind, handle, at, count = struct.unpack(">IHHQQI", receive(sock, 28))
            if magic != REQUEST or kind == CLOSE:
                return
            data, error = b"", 0
            if kind == READ:
                data = self.disk.read(at, count)
            elif kind == WRITE:
                self.disk.write(at, receive(sock, count), flags & FUA)
            elif kind == FLUSH:
                self.disk.flush()
            else:
                error = EINVAL
            sock.sendall(struct.pack(">IIQ", SIMPLE_REPLY, error, handle) + data)
