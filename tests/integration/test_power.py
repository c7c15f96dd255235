# SPDX-License-Identifier: Apache-2.0
"""The parts of tests/power: its disk, held against a model of what a power cut may leave of what was written, and what it must; and what it says of a call that is missing."""

import concurrent.futures
import importlib.util
import random
import shutil
import socket
import sqlite3
import struct
import subprocess
import time
import uuid

import pytest
from harness import REPO

SECTORS = 64


def load(name):
    spec = importlib.util.spec_from_file_location(f"power_{name}", REPO / "tests" / "power" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


disk = load("disk")
BLOCK = disk.SECTOR
evidence = load("evidence")


class Guest:
    """Speaks the protocol as qemu does."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        magic, option_magic, _ = struct.unpack(">QQH", disk.receive(self.socket, 18))
        assert (magic, option_magic) == (disk.MAGIC, disk.OPTION_MAGIC)
        self.socket.sendall(struct.pack(">IQII", 3, disk.OPTION_MAGIC, disk.OPT_EXPORT_NAME, 0))
        self.size, self.flags = struct.unpack(">QH", disk.receive(self.socket, 10))

    def send(self, kind, at=0, data=b"", flags=0, count=None):
        self.socket.sendall(struct.pack(">IHHQQI", disk.REQUEST, flags, kind, 7, at, len(data) if count is None else count) + data)

    def ask(self, kind, at=0, data=b"", flags=0, count=None):
        self.send(kind, at, data, flags, count)
        magic, error, handle = struct.unpack(">IIQ", disk.receive(self.socket, 16))
        assert (magic, error, handle) == (disk.SIMPLE_REPLY, 0, 7)
        return disk.receive(self.socket, count) if kind == disk.READ else b""

    def read(self, sector, count=1):
        return self.ask(disk.READ, sector * BLOCK, count=count * BLOCK)

    def write(self, sector, data, force=False):
        self.ask(disk.WRITE, sector * BLOCK, data, disk.FUA if force else 0)

    def flush(self):
        self.ask(disk.FLUSH)

    def close(self):
        self.socket.close()


class Model:
    """Of each sector: what it holds, what must be left of it at least, and what else may be."""

    def __init__(self):
        self.newest = [bytes(BLOCK)] * SECTORS
        self.possible = [{bytes(BLOCK)} for _ in range(SECTORS)]

    def write(self, sector, data, force):
        self.newest[sector] = data
        self.possible[sector] = {data} if force else self.possible[sector] | {data}

    def flush(self):
        self.possible = [{data} for data in self.newest]

    def find_wrong(self, guest):
        """After a cut. What is found is what there is from then on."""
        found = [guest.read(sector) for sector in range(SECTORS)]
        wrong = [sector for sector in range(SECTORS) if found[sector] not in self.possible[sector]]
        self.newest, self.possible = found, [{data} for data in found]
        return wrong


@pytest.fixture
def machine(tmp_path):
    made = disk.Disk(tmp_path / "disk", SECTORS * BLOCK, 5)
    return made, disk.Server(tmp_path / "socket", made), tmp_path / "socket"


def block(rng):
    return rng.randbytes(BLOCK)


def restart(machine, guest):
    made, server, path = machine
    made.cut()
    guest.close()
    server.restore()
    return Guest(path)


def test_what_was_flushed_or_forced_is_there_after_a_cut_and_of_the_rest_any_part(machine):
    made, _, path = machine
    rng, model, guest, stale = random.Random(3), Model(), Guest(path), 0
    for _ in range(120):
        for _ in range(rng.randrange(60)):
            sector, count = rng.randrange(SECTORS - 3), rng.randrange(1, 4)
            force = rng.random() < 0.2
            data = [block(rng) for _ in range(count)]
            guest.write(sector, b"".join(data), force)
            for offset in range(count):
                model.write(sector + offset, data[offset], force)
            if rng.random() < 0.1:
                guest.flush()
                model.flush()
            assert guest.read(0, SECTORS) == b"".join(model.newest)
        guest = restart(machine, guest)
        newest = model.newest
        assert model.find_wrong(guest) == []
        stale += newest != model.newest
    # it is a disk that forgets: of so many cuts most have lost something, and some have not lost all
    assert stale > 20 and made.lost > 100 and made.kept > 100
    guest.close()


def test_power_may_end_in_a_flush_which_is_not_answered_then(machine):
    made, _, path = machine
    rng, model, guest = random.Random(6), Model(), Guest(path)
    for _ in range(20):
        for sector in range(0, SECTORS, 2):
            data = block(rng)
            guest.write(sector, data)
            model.write(sector, data, False)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            cut = pool.submit(made.cut, True)
            flushes = made.flushes
            while not made.doomed:
                time.sleep(0.001)
            guest.send(disk.FLUSH)
            cut.result()
        assert made.flushes == flushes
        guest = restart(machine, guest)
        assert model.find_wrong(guest) == []
    assert made.lost > 100 and made.kept > 100
    guest.close()


def test_the_model_sees_a_disk_that_lies(machine):
    made, _, path = machine
    rng, model, guest = random.Random(4), Model(), Guest(path)
    made.lie()
    for sector, force in ((3, False), (9, True)):
        data = block(rng)
        guest.write(sector, data, force)
        model.write(sector, data, force)
    guest.flush()
    model.flush()
    guest = restart(machine, guest)
    assert model.find_wrong(guest) == [3, 9]
    guest.close()


def test_a_dead_machines_last_words_do_not_reach_the_disk(machine):
    made, server, path = machine
    guest = Guest(path)
    made.cut()
    guest.send(disk.WRITE, 0, b"x" * BLOCK)
    guest.send(disk.FLUSH)
    guest.close()
    server.restore()
    guest = Guest(path)
    assert guest.read(0) == bytes(BLOCK)
    assert [kind for _, kind, _, _ in made.requests] == ["cut", "restore"]
    guest.close()


def test_what_was_asked_is_kept_for_whoever_looks_for_a_fault(machine, tmp_path):
    made, _, path = machine
    guest = Guest(path)
    guest.write(2, b"a" * BLOCK)
    guest.write(4, b"b" * BLOCK, force=True)
    guest.flush()
    guest.flush()
    made.print_requests(tmp_path / "requests")
    assert [line.split()[1:] for line in (tmp_path / "requests").read_text().splitlines()] == [
        ["write", "8192", "4096"], ["force", "16384", "4096"], ["flush", "0", "4096"], ["flush", "0", "0"]]
    guest.close()


def test_of_a_missing_call_it_is_told_where_its_id_still_is(tmp_path):
    there, torn, never = (uuid.UUID(int=n * 0x0123456789ABCDEF) for n in (3, 5, 7))
    db = sqlite3.connect(tmp_path / "calls.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    for table in ("calls", "ended"):
        db.execute(f"CREATE TABLE {table} (id BLOB)")
    db.execute("INSERT INTO ended VALUES (?)", (there.bytes,))
    whole = (tmp_path / "calls.db-wal").stat().st_size
    db.execute("INSERT INTO calls VALUES (?)", (torn.bytes,))
    top = tmp_path / "top" / "state" / "db"
    top.mkdir(parents=True)
    for name in ("calls.db", "calls.db-wal"):
        shutil.copyfile(tmp_path / name, top / name)
    db.close()
    # the last commit's page has not all got to the disk
    log = bytearray((top / "calls.db-wal").read_bytes())
    log[whole + 24 + 100] ^= 1
    (top / "calls.db-wal").write_bytes(log)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-d", tmp_path / "top", tmp_path / "image", "8M"], check=True)
    work = tmp_path / "work"
    work.mkdir()
    told = evidence.explain(tmp_path / "image", work, [str(there), str(torn), str(never)])
    frames = (len(log) - 32) // (24 + 4096)
    assert told[0].startswith(f"log: {frames} frames, {frames - 1} valid, {frames - 1} committed;")
    assert told[1:] == [f"{there}: tables ['ended'], in the file no, in frames [{frames - 1}]",
                        f"{torn}: tables none, in the file no, in frames [{frames}]",
                        f"{never}: tables none, in the file no, in frames none"]
