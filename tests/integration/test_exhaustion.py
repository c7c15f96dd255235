# SPDX-License-Identifier: Apache-2.0
"""No descriptor, no memory, no disk left: who asks is told, nobody spins, what was acknowledged is there, and with room again all goes on. (The gateway without descriptors:
test_lifecycle.py and tests/front/test_pressure.py; each write that fails once: test_disk_faults.py.)"""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import pytest

from harness import FAASD, HELLO, Faasd, descriptor_limit, has_stock, is_sanitized, limit_descriptors, wait_until, within
from test_disk_faults import OPERATIONS, check_kept
from test_lifecycle import least_descriptors
from test_pressure import descriptors

MIB = 1 << 20
SPIN = 0.25  # of a processor while nobody asks for anything


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_nobody_spins(*pids, seconds=1):
    before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
    time.sleep(seconds)
    shares = [(cpu_seconds(pid) - then) / (time.monotonic() - began) for pid, then in zip(pids, before)]
    assert max(shares) < SPIN, shares


# -- descriptors --

@pytest.mark.row("X2", "X4")
def test_a_supervisor_out_of_descriptors_refuses_by_name_and_goes_on():
    with Faasd({"crash_backoff": "1ms"}) as faasd:
        faasd.deploy_script("f", "#!/bin/sh\necho fine\n", "--keep-warm", "1ms")
        faasd.deploy("native", HELLO, "--runtime", "native", "--keep-warm", "1ms")
        faasd.deploy_script("late", "#!/bin/sh\n", "--keep-warm", "1ms")
        wait_until(lambda: not faasd.sandbox_pids() and has_stock(faasd), "no sandbox lives, and what is made ahead is there")
        gateway, before = faasd.gateway_pid(), descriptor_limit(faasd.pid)
        held, kinds, refused = least_descriptors(faasd.pid), descriptors(faasd.pid), 0
        for room in range(0, 24, 2):
            limit_descriptors(faasd.pid, held + room)
            try:
                replies = [faasd.invoke(name, b"{}") for name in ("f", "native")]
                done = faasd.deploy_script("late", f"#!/bin/sh\necho {room}\n", check=False)
                if room == 0:
                    assert_nobody_spins(faasd.pid, gateway)
            finally:
                limit_descriptors(faasd.pid, before)
            for reply in replies:
                assert reply.status == 200 or reply.status in (502, 503) and "EMFILE" in reply.json()["errorMessage"], (room, reply)
                refused += reply.status != 200
            assert done.returncode == 0 or "EMFILE" in done.err, (room, done.err)
            refused += done.returncode != 0
            assert faasd.invoke("f").body == b"fine\n" and faasd.invoke("native", b"{}").status == 200
            faasd.deploy_script("late", f"#!/bin/sh\necho again {room}\n")
            assert faasd.invoke("late").body == b"again %d\n" % room
            assert faasd.gateway_pid() == gateway, faasd.log_text()
        assert refused >= 6, "something was refused"
        wait_until(lambda: not any(faasd.instances(name) for name in ("f", "native", "late")), "no instance is left")
        wait_until(lambda: not faasd.sandbox_pids() and has_stock(faasd), "no sandbox lives")
        wait_until(lambda: descriptors(faasd.pid) == kinds, f"all descriptors are given back: {kinds}, now {descriptors(faasd.pid)}")
        wait_until(lambda: not os.listdir(faasd.root / "state/staging") and not os.listdir(faasd.root / "state/trash"), "nothing is left of what was refused")


def test_a_gateway_that_dies_while_there_is_no_descriptor_is_back_when_there_is():
    with Faasd() as faasd:
        faasd.deploy_script("f", "#!/bin/sh\necho fine\n")
        gateway, before = faasd.gateway_pid(), descriptor_limit(faasd.pid)
        limit_descriptors(faasd.pid, 3)
        os.kill(gateway, signal.SIGKILL)
        wait_until(lambda: "EMFILE; trying again" in faasd.log_text(), "it is said why there is no gateway")
        assert_nobody_spins(faasd.pid)
        limit_descriptors(faasd.pid, before)
        wait_until(lambda: faasd.gateway_pid() not in (None, gateway), "there is a new one")
        assert faasd.invoke("f").body == b"fine\n"


# -- memory --

def limit_address_space(pid, bytes_more):
    """As its own user (see limit_descriptors); None: no limit."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    uid, gid, vm_kb = (int(re.search(rf"^{key}:\s+(\d+)", status, re.M).group(1)) for key in ("Uid", "Gid", "VmSize"))
    limit = "unlimited" if bytes_more is None else (vm_kb << 10) + bytes_more
    subprocess.run(["prlimit", "--pid", str(pid), f"--as={limit}:"], user=uid, group=gid, extra_groups=[], check=True)


def upload(faasd, size):
    """Its status and error, or "cut off"."""
    try:
        reply = faasd.invoke("cat", b"x" * size)
    except OSError:
        return "cut off"  # an upload that is refused before its end: this client doesn't read why
    assert reply.status != 200 or reply.body == b"x" * size
    assert reply.error != "BadReply" or "out of memory for its reply" in reply.json()["errorMessage"], reply
    return reply.status, reply.error


@pytest.mark.row("X1")
@pytest.mark.skipif(is_sanitized(), reason="a sanitizer maps terabytes")
def test_a_gateway_at_the_limit_of_its_memory_refuses_and_goes_on():
    with Faasd() as faasd:
        faasd.deploy_script("cat", "#!/bin/sh\ncat\n", "--max-concurrency", "4")
        assert upload(faasd, 5 * MIB) == (200, None)
        gateway, seen = faasd.gateway_pid(), set()
        for room in (0, MIB // 4, 2 * MIB, 16 * MIB):
            limit_address_space(gateway, room)
            with concurrent.futures.ThreadPoolExecutor(8) as clients:
                for outcome in clients.map(lambda size: upload(faasd, size), [5 * MIB, 100_000] * 8):
                    seen.add(outcome)
            if room == 0:
                assert_nobody_spins(faasd.pid, gateway)
            assert faasd.gateway_pid() == gateway, faasd.log_text()
            limit_address_space(gateway, None)
            assert upload(faasd, 5 * MIB) == (200, None)
        print(f"\n{seen}")
        assert seen - {(200, None)}, "something was refused"
        assert seen <= {(200, None), (503, "NoCapacity"), (502, "BadReply"), "cut off"}, seen


@contextlib.contextmanager
def small_group(limit):
    """A memory group of the host's with that limit: where to write a process's number, and its path."""
    for parent, name in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = pathlib.Path(parent) / f"small-{os.getpid()}"
        controllers = pathlib.Path(parent) / "cgroup.subtree_control"
        if name == "memory.limit_in_bytes" and not (pathlib.Path(parent) / name).exists() or name == "memory.max" and "memory" not in controllers.read_text().split():
            continue
        group.mkdir()
        try:
            (group / name).write_text(str(limit))
            yield group
        finally:
            for directory, _, _ in os.walk(group, topdown=False):
                os.rmdir(directory)
        return
    pytest.skip("no memory group can be made here")


@pytest.mark.row("X1")
@pytest.mark.skipif(is_sanitized(), reason="a sanitizer's own memory is beyond the limit")
def test_a_gateway_that_the_kernel_kills_for_memory_is_replaced_and_nothing_acknowledged_is_lost():
    with small_group(80 * MIB) as group:
        def enter():
            (group / "cgroup.procs").write_text("0")

        faasd = Faasd({"body_memory": "1G", "request_bytes": "32M", "body_deadline": "60s"}, popen={"preexec_fn": enter})
        with faasd:
            faasd.deploy_script("f", "#!/bin/sh\necho fine\n", "--memory", "16M")
            gateway = faasd.gateway_pid()
            clients, piece = [], b"x" * MIB
            with contextlib.suppress(OSError):
                for _ in range(8):
                    clients.append(faasd.connect())
                    clients[-1].sendall(b"POST /function/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 33000000\r\n\r\n")
                    for _ in range(31):
                        clients[-1].sendall(piece)
            wait_until(lambda: faasd.gateway_pid() not in (None, gateway), "the gateway was killed and there is a new one")
            assert "the gateway died (signal KILL)" in faasd.log_text()
            assert faasd.process.poll() is None
            for client in clients:
                client.close()
            wait_until(lambda: faasd.invoke("f").status == 200, "it serves")
            assert_nobody_spins(faasd.pid, faasd.gateway_pid())
            faasd.deploy_script("g", "#!/bin/sh\necho new\n", "--memory", "16M")
            assert faasd.invoke("g").body == b"new\n"


# -- the disk --

@contextlib.contextmanager
def small_disk(room):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-small-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={FAASD.stat().st_size + room},mode=755", "small", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)
        directory.rmdir()


def fill(root, leave):
    """All but so many bytes."""
    filler = root / "filler"
    with open(filler, "wb", buffering=0) as f:
        with contextlib.suppress(OSError):
            while True:
                f.write(b"x" * 4096)
        f.truncate(max(0, f.tell() - leave))
    return filler


def deploy_numbered(faasd, kept):
    number = len(kept["deploys"])
    done = faasd.deploy_script("numbered", f"#!/bin/sh\necho {number}\n", check=False)
    if done.returncode == 0:
        kept["deploys"].append(number)
    else:
        assert "StorageFull" in done.err, done.err
    return done.returncode == 0


def start_when_full(faasd, filler):
    """It starts, or says what is missing."""
    faasd.start(expect_ready=False)
    faasd.ready.wait(within(30))
    if faasd.ready_line:
        return True
    assert faasd.process.wait(within(10)) == 1 and re.search(r"ENOSPC|disk is full|full", faasd.log_text()), faasd.log_text()
    filler.unlink()
    faasd.start()
    return False


@pytest.mark.row("S4")
@pytest.mark.parametrize("leave", [0, 4096, 12288, 40960, 262144])
def test_on_a_full_disk_each_operation_is_done_or_refused_and_a_restart_loses_nothing(leave):
    kept = {"calls": [], "tokens": [], "secrets": [], "changes": [], "deploys": []}
    with small_disk(24 * MIB) as root:
        with Faasd(root=root, config={"async": {"retry_min": "20ms", "retry_max": "50ms"}}) as faasd:
            faasd.deploy_script("echo", "#!/bin/sh\ncat\ncat /proc/self/status >&2\n")
            faasd.deploy_script("changed", "#!/bin/sh\n")
            assert deploy_numbered(faasd, kept)
            for operation in OPERATIONS:
                assert operation(faasd, kept).status < 300
            check_kept(faasd, kept)
            filler = fill(root, leave)
            for _ in range(3):
                for operation in OPERATIONS:
                    reply = operation(faasd, kept)
                    assert reply.status < 300 or reply.status == 507 and reply.error, (operation, reply, reply.body)
                deploy_numbered(faasd, kept)
                assert faasd.invoke("echo", b"now").body == b"now"
                assert faasd.invoke("numbered").body == b"%d\n" % kept["deploys"][-1]
            assert_nobody_spins(faasd.pid, faasd.gateway_pid(), seconds=0.5)
            assert faasd.stop() == 0
            started = start_when_full(faasd, filler)
            print(f"\n{leave} bytes left: {dict((k, len(v)) for k, v in kept.items())}; it started: {started}")
            assert faasd.invoke("numbered").body == b"%d\n" % kept["deploys"][-1]
            filler.unlink(missing_ok=True)
            check_kept(faasd, kept)
            for operation in OPERATIONS:
                wait_until(lambda: operation(faasd, kept).status < 300, "there is room again")
            assert deploy_numbered(faasd, kept) and faasd.invoke("numbered").body == b"%d\n" % kept["deploys"][-1]
            wait_until(lambda: not os.listdir(root / "state/staging") and not os.listdir(root / "state/trash"), "nothing is left of what was refused")
