# SPDX-License-Identifier: Apache-2.0
"""Where an accepted call is in the image of a disk: which table has it, and which frames of the write-ahead log hold its id, whether the log's reader gets that far or not
(https://www.sqlite.org/fileformat2.html#the_write_ahead_log)."""

import pathlib
import shutil
import sqlite3
import struct
import subprocess
import uuid

DATABASE = "/state/db/calls.db"
HEADER, FRAME_HEADER = 32, 24


def take_out(image, work):
    """calls.db and its log, as they are after the file system's recovery, which is done in a copy."""
    copy = work / "evidence"
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    subprocess.run(["/usr/sbin/e2fsck", "-fy", copy], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for suffix in ("", "-wal"):
        subprocess.run(["/usr/sbin/debugfs", "-R", f"dump {DATABASE}{suffix} {work}/calls.db{suffix}", copy], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    copy.unlink()
    return work / "calls.db", work / "calls.db-wal"


def checksum(order, data, s0, s1):
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for i in range(0, len(words), 2):
        s0 = (s0 + words[i] + s1) & 0xFFFFFFFF
        s1 = (s1 + words[i + 1] + s0) & 0xFFFFFFFF
    return s0, s1


class Log:
    """Its frames: page, and the database's pages when it ends a commit; `valid` of them follow on each other, `committed` of those are in a whole commit."""

    def __init__(self, data):
        self.data, self.frames, self.valid, self.committed = data, [], 0, 0
        if len(data) < HEADER:
            self.page = 0
            return
        magic, _, self.page, _, *salts, s0, s1 = struct.unpack(">8I", data[:HEADER])
        order = ">" if magic & 1 else "<"
        whole = checksum(order, data[:24], 0, 0) == (s0, s1)
        for at in range(HEADER, len(data) - FRAME_HEADER - self.page + 1, FRAME_HEADER + self.page):
            page, pages, *marks, c0, c1 = struct.unpack(">6I", data[at:at + FRAME_HEADER])
            self.frames.append((page, pages))
            if whole:
                s0, s1 = checksum(order, data[at:at + 8] + data[at + FRAME_HEADER:at + FRAME_HEADER + self.page], s0, s1)
                whole = marks == salts and (s0, s1) == (c0, c1)
            if whole:
                self.valid = len(self.frames)
                self.committed = self.valid if pages else self.committed

    def find(self, text):
        """Numbers of the frames, from 1."""
        found, at = [], self.data.find(text)
        while at >= 0:
            found.append((at - HEADER) // (FRAME_HEADER + self.page) + 1)
            at = self.data.find(text, at + 1)
        return found


def explain(image, work, calls):
    """Lines for people, about a few of the calls."""
    work = pathlib.Path(work)
    database, log_file = take_out(image, work)
    log = Log(log_file.read_bytes() if log_file.exists() else b"")
    raw = database.read_bytes()
    lines = [f"log: {len(log.frames)} frames, {log.valid} valid, {log.committed} committed; database: {len(raw)} bytes"]
    looked = work / "looked.db"  # opening it works the log in
    shutil.copyfile(database, looked)
    if log_file.exists():
        shutil.copyfile(log_file, f"{looked}-wal")
    db = sqlite3.connect(looked)
    for call in calls:
        text = uuid.UUID(call).bytes
        rows = [table for table in ("calls", "ended") if db.execute(f"SELECT 1 FROM {table} WHERE id = ?", (text,)).fetchone()]
        lines.append(f"{call}: tables {rows or 'none'}, in the file {'yes' if text in raw else 'no'}, in frames {log.find(text)[:8] or 'none'}")
    db.close()
    return lines
