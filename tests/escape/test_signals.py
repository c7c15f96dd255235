# SPDX-License-Identifier: Apache-2.0
"""Signals, sudden deaths and odd starts: L1-L4, L6, L8, P9 and F17 of the attack catalogue."""

import concurrent.futures
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import paths  # noqa: F401  (makes the harness importable)
from harness import FAASD, HELLO, PROBE, Faasd, cgroup_directories, is_alive, wait_until, within

SLOW = "#!/bin/sh\nsleep 1\necho done\n"
STUCK = "#!/bin/sh\ntrap '' TERM HUP INT\nsleep 600 &\nsetsid sleep 600 &\nsleep 600\n"
LIST_FDS = "#!/bin/sh\nls /proc/self/fd\n"


def start_time(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def descendants(pid):
    """(pid, start time) of everything below: the pair names a process for good."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            found.append((child, start_time(child)))
            found += descendants(child)
    return found


def living(processes):
    return [pid for pid, started in processes if started and is_alive(pid) and start_time(pid) == started]


def tree_name(daemon):
    """The name of the daemon's own directory in the cgroup hierarchies."""
    text = pathlib.Path(f"/proc/{daemon.sandbox_pids()[0]}/cgroup").read_text()
    return re.search(r"/(faasd-[^/\n]+)", text).group(1)


def wait_busy(daemon, name, count=1):
    wait_until(lambda: sum(i["state"] == "busy" for i in daemon.instances(name)) >= count, f"{count} busy instances of {name}")


def mounts():
    return pathlib.Path("/proc/self/mountinfo").read_text()


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(32) as executor:
        yield executor


@pytest.mark.row("L1")
def test_L1_sigterm_under_load_finishes_what_runs(pool):
    before = mounts()
    with Faasd() as daemon:
        daemon.deploy_script("slow", SLOW, "--max-concurrency", "4")
        running = [pool.submit(daemon.invoke, "slow") for _ in range(4)]
        wait_busy(daemon, "slow", 4)
        tree, below = tree_name(daemon), descendants(daemon.pid)
        assert cgroup_directories(tree)
        daemon.process.send_signal(signal.SIGTERM)
        for reply in [f.result() for f in running]:
            assert (reply.status, reply.body) == (200, b"done\n"), reply
        assert daemon.process.wait(within(10)) == 0, daemon.log_text()
        assert not living(below)
        assert not cgroup_directories(tree)
        assert mounts() == before
        assert not os.path.exists(daemon.control_path) and not os.path.exists(daemon.invoke_path)


@pytest.mark.row("L1")
def test_L1_new_requests_are_refused_while_draining(pool):
    with Faasd() as daemon:
        daemon.deploy_script("slow", "#!/bin/sh\nsleep 3\necho done\n")
        kept = daemon.connect()
        running = pool.submit(daemon.invoke, "slow")
        wait_busy(daemon, "slow")
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in daemon.log_text(), "it drains")

        def refused():
            try:
                return daemon.invoke("slow", timeout=within(5)).status == 503
            except OSError:
                return True

        wait_until(refused, "new requests are refused")
        assert running.result().status == 200
        assert daemon.process.wait(within(10)) == 0
        kept.close()


@pytest.mark.row("L2")
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_L2_a_second_signal_stops_at_once(pool, second):
    with Faasd() as daemon:
        daemon.deploy_script("stuck", STUCK)
        running = pool.submit(lambda: pytest.raises(Exception, daemon.invoke, "stuck"))
        wait_busy(daemon, "stuck")
        tree, below = tree_name(daemon), descendants(daemon.pid)
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in daemon.log_text(), "it drains")
        assert daemon.process.poll() is None
        began = time.monotonic()
        daemon.process.send_signal(second)
        daemon.process.wait(within(10))
        assert time.monotonic() - began < within(2)
        assert not living(below) and not cgroup_directories(tree)
        del running


@pytest.mark.row("L3", "P9")
def test_L3_a_killed_supervisor_leaves_nothing(pool):
    """P9 with it: the probe clears its death signal, ignores signals and runs in a session of its own."""
    root = tempfile.mkdtemp(prefix="faasd-life-")
    try:
        before = mounts()
        with Faasd(root=root) as daemon:
            daemon.deploy("hello", HELLO, "--runtime", "native", "--min-warm", "1")
            daemon.deploy_script("stuck", STUCK, "--max-concurrency", "3")
            daemon.deploy("probe", PROBE)
        for round_number in range(5):
            daemon = Faasd(root=root)
            began = time.monotonic()
            daemon.start()
            print(f"round {round_number}: ready after {time.monotonic() - began:.3f} s")
            assert daemon.invoke("hello", b"{}").status == 200, daemon.log_text()
            for _ in range(3):
                pool.submit(lambda d=daemon: pytest.raises(Exception, d.invoke, "stuck"))
            wait_busy(daemon, "stuck", min(3, round_number + 1))
            tree, below = tree_name(daemon), descendants(daemon.pid)
            assert len(living(below)) > 4
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait()
            wait_until(lambda p=below: not living(p), "every process is gone", deadline=within(1))
        with Faasd(root=root) as daemon:
            assert daemon.invoke("hello", b"{}").status == 200
            assert all(tree in d for d in cgroup_directories(tree))
            leftover = {pathlib.Path(d).name for d in cgroup_directories(tree)} - {tree}
            alive = {pathlib.Path(line.split(":", 2)[2]).name for pid in [daemon.pid, *daemon.sandbox_pids()]
                     for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().split()}
            assert leftover <= alive, f"cgroups of dead instances: {leftover - alive}"
        assert not cgroup_directories(tree)
        assert mounts() == before
        assert not list((pathlib.Path(root) / "state" / "staging").iterdir())
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.row("L4")
def test_L4_a_killed_gateway_is_back_with_everything():
    with Faasd() as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        times = []
        for _ in range(5):
            assert daemon.invoke("hello", b"{}").status == 200
            time.sleep(1.1)  # a gateway that lived for a second did not die at its start: no pause before the next
            gateway, below = daemon.gateway_pid(), [(p, start_time(p)) for p in daemon.sandbox_pids()]
            began = time.monotonic()
            os.kill(gateway, signal.SIGKILL)
            # The listening sockets are the supervisor's: a connection waits in the backlog, none is refused.
            assert daemon.request("GET", "/healthz").status == 200
            times.append(time.monotonic() - began)
            assert daemon.gateway_pid() not in (None, gateway)
            wait_until(lambda p=below: not living(p), "the old sandboxes are gone")
            assert daemon.invoke("hello", b"{}").json() == {"message": "hello world"}
        print("back after " + ", ".join(f"{t * 1000:.0f}" for t in times) + " ms")
        assert sorted(times)[2] < within(0.2) * (10 if "asan" in str(FAASD) else 1)


@pytest.mark.row("L4")
def test_L4_a_killed_init_costs_only_its_own_request(pool):
    with Faasd() as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        daemon.deploy_script("slow", SLOW)
        running = pool.submit(daemon.invoke, "slow")
        wait_busy(daemon, "slow")
        for pid in daemon.sandbox_pids():
            os.kill(pid, signal.SIGKILL)
        reply = running.result()
        assert reply.status == 502 and reply.error == "FunctionCrashed", reply
        assert daemon.invoke("hello", b"{}").status == 200
        assert daemon.invoke("slow").status == 200


@pytest.mark.row("L6")
def test_L6_a_second_faasd_on_the_same_root_refuses():
    with Faasd() as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        second = subprocess.run([str(FAASD), "serve", "--root", str(daemon.root), "--listen", "127.0.0.1:0"],
                                capture_output=True, timeout=within(20), stdin=subprocess.DEVNULL)
        assert second.returncode not in (0, -signal.SIGKILL) and second.stderr, second
        assert str(daemon.root) in second.stderr.decode()
        assert daemon.invoke("hello", b"{}").status == 200


def prepare(closed=(), inherited=0, ignored=(), umask=None, files=None):
    """What happens between fork and exec of `faasd serve`."""
    def before_exec():
        for signal_number in ignored:
            signal.signal(signal_number, signal.SIG_IGN)
        if umask is not None:
            os.umask(umask)
        for _ in range(inherited):
            os.set_inheritable(os.open("/etc/hostname", os.O_RDONLY), True)
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        for fd in closed:
            os.close(fd)
    return before_exec


ODD_STARTS = {
    "fd 0 closed": {"closed": [0]},
    "fd 1 closed": {"closed": [1]},
    "fds 0 and 1 closed": {"closed": [0, 1]},
    "900 inherited descriptors": {"inherited": 900},
    "SIGCHLD ignored": {"ignored": [signal.SIGCHLD]},
    "SIGPIPE, SIGHUP and SIGCHLD ignored": {"ignored": [signal.SIGCHLD, signal.SIGPIPE, signal.SIGHUP]},
    "umask 0777": {"umask": 0o777},
    "umask 0": {"umask": 0},
    "few descriptors": {"files": 256},
}


def held_by(pid):
    """What its descriptors lead to; it opens and closes some of them meanwhile."""
    held = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(os.readlink(fd))
        except FileNotFoundError:
            continue
    return held


@pytest.mark.row("L8")
@pytest.mark.parametrize("name", ODD_STARTS)
def test_L8_an_odd_start_works(name):
    with Faasd(popen={"preexec_fn": prepare(**ODD_STARTS[name]), "close_fds": False}) as daemon:
        daemon.deploy_script("fds", LIST_FDS)
        for _ in range(3):
            reply = daemon.invoke("fds")
            assert reply.status == 200 and reply.body.split() == [b"0", b"1", b"2", b"3"], reply  # 3 is ls's own
        daemon.deploy("hello", HELLO, "--runtime", "native")
        assert daemon.invoke("hello", b"{}").status == 200
        assert "/etc/hostname" not in held_by(daemon.pid)
        for directory, others in (("state", 0), ("state/db", 0), ("state/logs", 0), ("run", 0o5)):
            mode = (daemon.root / directory).stat().st_mode
            assert mode & 0o022 == 0 and mode & 0o007 <= others, f"{directory} has mode {mode:o}"


@pytest.mark.row("L8")
def test_L8_all_standard_descriptors_closed():
    daemon = Faasd(popen={"preexec_fn": prepare(closed=[0, 1, 2])})
    daemon.start(expect_ready=False)
    try:
        daemon.control_path, daemon.invoke_path = (str(daemon.root / "run" / n) for n in ("control.sock", "invoke.sock"))
        wait_until(lambda: daemon.process.poll() is not None or daemon.cli("ls", check=False).returncode == 0, "it serves")
        if daemon.process.poll() is None:
            daemon.deploy_script("fds", LIST_FDS)
            reply = daemon.request("POST", "/function/fds", socket_path=daemon.invoke_path)
            assert reply.status == 200 and reply.body.split() == [b"0", b"1", b"2", b"3"], reply
            assert daemon.stop() == 0
        else:
            assert daemon.process.returncode != 0
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
        shutil.rmtree(daemon.root, ignore_errors=True)


@pytest.mark.row("F17", "C2")
@pytest.mark.parametrize("what", ["state", "run", "run/control.sock", "state/db", "state/versions"])
def test_F17_a_prepared_link_is_refused_and_its_target_untouched(what):
    """A local user made the path first, as a link to something of the host."""
    root, target = pathlib.Path(tempfile.mkdtemp(prefix="faasd-race-")), pathlib.Path(tempfile.mkdtemp(prefix="faasd-victim-"))
    try:
        root.chmod(0o755)
        (target / "marker").write_text("untouched")
        before = target.stat()
        (root / what).parent.mkdir(parents=True, exist_ok=True)
        (root / what).symlink_to(target / "marker" if what.endswith(".sock") else target)
        os.chown(root / what, 65534, 65534, follow_symlinks=False)
        done = subprocess.run([str(FAASD), "serve", "--root", str(root), "--listen", "127.0.0.1:0"],
                              capture_output=True, timeout=5, stdin=subprocess.DEVNULL)
        assert done.returncode != 0 and what.split("/")[0] in done.stderr.decode(), done
    except subprocess.TimeoutExpired as expired:
        # Serving is fine too, where the link itself was replaced by our own socket.
        assert what == "run/control.sock" and not (root / what).is_symlink(), expired.stderr
    finally:
        after = target.stat()
        assert (target / "marker").read_text() == "untouched" and sorted(p.name for p in target.iterdir()) == ["marker"]
        assert (before.st_mode, before.st_uid) == (after.st_mode, after.st_uid)
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
