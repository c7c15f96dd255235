# SPDX-License-Identifier: Apache-2.0
"""A function that reads a large file again and again: the page cache that it fills is its own memory, and no more of it than its limit stays."""

import os
import pathlib
import subprocess
import tempfile

import pytest

import paths  # noqa: F401  (makes the harness importable)
from harness import HELLO, Faasd, cgroup_directories, within

MIB = 1 << 20
FILE_BYTES, LIMIT = 192 * MIB, 32 * MIB
# What one read ahead brings in beyond a limit before it is taken back, and what a second hierarchy counts late.
SLACK = 8 * MIB
READ = "for i in 1 2 3; do cat {file} >/dev/null || exit 1; done\n"


@pytest.fixture
def large_file():
    """On a disk, and not in the page cache."""
    with tempfile.TemporaryDirectory(prefix="faasd-large-") as directory:
        os.chmod(directory, 0o755)
        path = pathlib.Path(directory) / "file"
        block = os.urandom(MIB)
        with open(path, "wb") as f:
            for _ in range(FILE_BYTES // MIB):
                f.write(block)
            os.fsync(f.fileno())
        os.chmod(path, 0o644)
        if forget(path) > SLACK:
            pytest.skip("the temporary directory is no disk: what is written there is never out of memory")
        yield path


def cached(path):
    done = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", path], capture_output=True, text=True, check=True)
    return int(done.stdout)


def forget(path):
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    return cached(path)


def figure(group, *names):
    for name in names:
        path = pathlib.Path(group) / name
        if path.exists():
            return int(path.read_text())
    return 0


def memory_groups(name):
    return [d for d in cgroup_directories(name) if figure(d, "memory.limit_in_bytes", "memory.max") == LIMIT]


def test_R7_the_page_cache_that_a_function_fills_stays_within_its_memory(large_file, record_property):
    subprocess.run(["sh", "-c", READ.format(file=large_file)], check=True)
    outside = cached(large_file)
    # Not all of it: a host may give pages back that nobody has read for a while.
    assert outside > 4 * (LIMIT + SLACK), "outside, nothing bounds it: else this proves nothing"
    assert forget(large_file) <= SLACK
    with Faasd({"grants": {"mounts": [str(large_file.parent)]}}) as faasd:
        faasd.deploy("hello", HELLO, "--runtime", "native", "--min-warm", "1")
        faasd.deploy_script("thrash", "#!/bin/sh\n" + READ.format(file="/large/file") + "echo read\n", "--memory", "32M", "--timeout", f"{within(60):.0f}s",
                            "--mount", f"{large_file.parent}:/large")
        reply = faasd.invoke("thrash", timeout=within(90))
        assert (reply.status, reply.body) == (200, b"read\n"), reply
        inside = cached(large_file)
        groups = memory_groups("thrash-")
        used = [figure(g, "memory.usage_in_bytes", "memory.current") for g in groups]
        peaks = [figure(g, "memory.max_usage_in_bytes", "memory.peak") for g in groups]
        record_property("attack", ["R7", "192 MiB read again and again", "OPEN", "within memory", f"{inside >> 20} MiB of it stay in the page cache, the limit is {LIMIT >> 20}"])
        assert groups and max(used) <= LIMIT and max(peaks) <= LIMIT, (groups, used, peaks)
        assert inside <= LIMIT + SLACK, f"{inside} bytes of the page cache"
        assert faasd.invoke("hello", b'{"name":"x"}').status == 200
