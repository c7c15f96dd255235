# SPDX-License-Identifier: Apache-2.0
"""Unpacker, merger of layers and deleter, driven directly: each system call by which they read or write fails once in turn. Whoever says that it went well has
made the whole tree; whoever fails says so in the form that the gateway reads, and names what failed."""

import errno
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from harness import FAASD

CALLS = {"openat": "EMFILE", "read": "EIO", "lseek": "EIO", "newfstatat": "EIO", "mkdirat": "ENOSPC", "write": "ENOSPC", "pwrite64": "ENOSPC", "ftruncate": "EIO", "fchmod": "EROFS",
         "fcntl": "EMFILE", "linkat": "ENOSPC", "symlinkat": "ENOSPC", "fsync": "EIO", "getdents64": "EIO", "readlinkat": "EIO", "unlinkat": "EIO", "renameat": "EIO",
         "copy_file_range": "ENOSPC", "pread64": "EIO", "faccessat": "EIO", "faccessat2": "EIO"}
HOSTS = ("StorageFull", "InternalError")
# Of the host's own files beneath /usr and of a program's bytes it is not told apart why they can't be looked at.
UPLOADS = ("which is not in the sandbox", "is a damaged ELF file")


# What looks for leaks at a sanitized program's end can't do so while it is traced.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))}


def traced(command, call, error, when, upload=None):
    """Returns (what came of it, whether a call failed)."""
    read, write = os.pipe()
    with os.fdopen(read) as said:
        done = subprocess.run(["strace", "-f", "-o", f"/dev/fd/{write}", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}", *map(str, command)],
                              stdin=upload or subprocess.DEVNULL, capture_output=True, pass_fds=[write], timeout=60, env=ENVIRONMENT)
        os.close(write)
        return done, said.read().count("INJECTED")


def calls_of(command, upload=None):
    """{call: how many are made}"""
    read, write = os.pipe()
    with os.fdopen(read) as said:
        done = subprocess.run(["strace", "-f", "-o", f"/dev/fd/{write}", "-e", "trace=" + ",".join(CALLS), *map(str, command)],
                              stdin=upload or subprocess.DEVNULL, capture_output=True, pass_fds=[write], timeout=60, env=ENVIRONMENT)
        os.close(write)
        lines = [line.split(None, 1)[1] for line in said.read().splitlines()]
    return {call: sum(line.startswith(call + "(") for line in lines) for call in CALLS}, done


def tree_of(top):
    found = {}
    for path in sorted(top.rglob("*")):
        kind = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else "directory"
        found[str(path.relative_to(top))] = (kind, path.lstat().st_mode)
    return found


def archive(mode):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        def add(name, kind=tarfile.REGTYPE, content=b"", target="", mode=0o644):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size, info.mode = kind, target, len(content), mode
            tar.addfile(info, io.BytesIO(content))

        add("bin/run", content=b"#!/bin/sh\necho hello\n", mode=0o755)
        add("bin/same", tarfile.LNKTYPE, target="bin/run")
        add("again", tarfile.SYMTYPE, target="bin/run")
        add("faasd.json", content=b'{"handler": "bin/run"}')
        add("data", content=os.urandom(70000))
    return out.getvalue()


class Scene:
    # One command that makes a tree in `into`, which is made anew each time.

    def __init__(self, tmp_path):
        self.tmp_path = tmp_path
        self.into = tmp_path / "tree"
        self.upload = None

    def begin(self):
        shutil.rmtree(self.into, ignore_errors=True)
        self.into.mkdir()
        return open(self.upload, "rb") if self.upload else None


class Unpack(Scene):
    def __init__(self, tmp_path, mode="w"):
        super().__init__(tmp_path)
        self.upload = tmp_path / "upload"
        self.upload.write_bytes(archive(mode))
        self.command = [FAASD, "unpack", "--into", self.into]


class UnpackProgram(Scene):
    def __init__(self, tmp_path):
        super().__init__(tmp_path)
        self.upload = tmp_path / "upload"
        self.upload.write_bytes(b"#!/bin/sh\necho hello\n")
        self.command = [FAASD, "unpack", "--into", self.into, "--name", "hello"]


class Merge(Scene):
    def __init__(self, tmp_path):
        super().__init__(tmp_path)
        for number, content in enumerate((b"first", b"second")):
            layer = tmp_path / "layers" / str(number)
            (layer / "lib").mkdir(parents=True)
            (layer / "lib/data").write_bytes(content)
            (layer / "link").symlink_to(content.decode())
            kind = layer / "changes"
            kind.mkdir() if number == 0 else kind.write_bytes(b"a file now")
        (tmp_path / "layers/0/changes/inside").write_bytes(b"x")
        self.command = [FAASD, "merge-trees", "--from", tmp_path / "layers", "--into", self.into, "--count", "2", "--bytes", "1000"]


@pytest.mark.row("X1", "X2")
@pytest.mark.parametrize("scene", [Unpack, UnpackProgram, Merge])
def test_each_call_that_fails_is_told_of(scene, tmp_path):
    s = scene(tmp_path)
    before, _ = calls_of([FAASD, s.command[1], "--no-such-option"])  # what the loader and the start of the program make
    upload = s.begin()
    counts, done = calls_of(s.command, upload)
    assert json.loads(done.stdout)["ok"], done
    whole = tree_of(s.into)
    failed, told = 0, 0
    for call, error in CALLS.items():
        for number in range(before[call] + 1, counts[call] + 1):
            upload = s.begin()
            done, met = traced(s.command, call, error, number, upload)
            assert met == 1, (call, number, done)
            failed += 1
            assert done.returncode in (0, 1), (call, number, done)
            if done.returncode == 1:
                # errors without a name of faasd's: said on stderr, unless the report itself could not be written
                assert (error in done.stderr.decode() or "libarchive" in done.stderr.decode()) != (call == "write"), (call, number, done)
                told += 1
                continue
            report = json.loads(done.stdout)
            if report["ok"]:
                assert tree_of(s.into) == whole, (call, number, done)
                continue
            told += 1
            assert report["type"] in HOSTS or any(said in report["error"] for said in UPLOADS), (call, number, report)
            assert error in report["error"] or report["type"] not in HOSTS, (call, number, report)
    assert told > failed / 2 > 10, "the rest are calls that another way replaces, or that nobody depends on"


@pytest.mark.row("X1", "X2")
def test_each_call_of_the_deleter_that_fails_is_told_of_or_made_up_for(tmp_path):
    trash = tmp_path / "trash"
    command = [FAASD, "delete-trees", "--from", trash]

    def fill():
        for path in ("1/a/b/file", "1/a/other", "2/file", "lone"):
            (trash / path).parent.mkdir(parents=True, exist_ok=True)
            (trash / path).write_text("x")
        (trash / "1/link").symlink_to("/")

    before, _ = calls_of([*command, "--no-such-option"])
    fill()
    counts, done = calls_of(command)
    assert done.returncode == 0 and not list(trash.iterdir()), done
    told = 0
    for call, error in CALLS.items():
        for number in range(before[call] + 1, counts[call] + 1):
            fill()
            done, met = traced(command, call, error, number)
            assert met == 1, (call, number, done)
            if done.returncode == 0:
                assert not list(trash.iterdir()), (call, number, done)
                continue
            told += 1
            assert done.returncode == 1 and (error in done.stderr.decode() or os.strerror(getattr(errno, error)) in done.stderr.decode()), (call, number, done)
            subprocess.run(command, check=True, timeout=60)
            assert not list(trash.iterdir()), "the next one goes on"
    assert told > 3


def test_where_the_kernel_can_not_copy_between_two_places_bytes_are_read_and_written(tmp_path):
    s = Merge(tmp_path)
    s.begin()
    done, met = traced(s.command, "copy_file_range", "EXDEV", "1+")
    assert met == 4 and json.loads(done.stdout) == {"ok": True, "bytes": len("first" "x" "second" "a file now")}, done
    assert (s.into / "lib/data").read_bytes() == b"second"
    command = [*s.command[:-1], "10"]
    s.begin()
    done, met = traced(command, "copy_file_range", "EXDEV", "1+")
    assert json.loads(done.stdout) == {"ok": False, "type": "RequestTooLarge", "error": "the layers have more than 10 bytes together"}
