# SPDX-License-Identifier: Apache-2.0
"""The two daemons' ends and beginnings: killed, told to stop, started in strange circumstances, reloaded."""

import collections
import concurrent.futures
import functools
import http.client
import itertools
import os
import pathlib
import random
import re
import resource
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time

import pytest

from harness import (FAASD, HELLO, Clients, Faasd, cgroup_directories, descriptor_limit, has_stock, is_alive, limit_descriptors, receive_all,
                     wait_until, within)

SLOW = "#!/bin/sh\nsleep 0.4\necho done\n"
QUICK = "#!/bin/sh\necho fine\n"


class Load(Clients):
    """Requests from several threads until told to stop; who is not answered (a daemon was killed) tries again."""

    def __init__(self, faasd, names, clients=6):
        super().__init__(functools.partial(self._ask, random.Random(n)) for n in range(clients))
        self.faasd, self.names = faasd, names
        self.seen = collections.Counter()

    def _ask(self, rng):
        try:
            reply = self.faasd.invoke(rng.choice(self.names), b"{}")
            self.seen[reply.status, reply.error] += 1
        except (OSError, http.client.HTTPException):
            self.seen["cut off"] += 1
            time.sleep(0.001)


def group_of(faasd):
    """The name of this daemon's own cgroup."""
    found = set()
    for pid in faasd.sandbox_pids():
        try:
            found.update(re.findall(r"faasd-[0-9a-f]{6,}", pathlib.Path(f"/proc/{pid}/cgroup").read_text()))
        except OSError:
            pass
    assert len(found) == 1, found
    return found.pop()


def groups_beneath(group):
    return [d for d in cgroup_directories("") if f"/{group}/" in d]


def identify(directories):
    """Directories with their inodes: a name may come again after a restart."""
    found = set()
    for directory in directories:
        try:
            found.add((directory, os.stat(directory).st_ino))
        except OSError:
            pass
    return found


def processes_in(group):
    """Every process of the host that is in that group or one beneath it."""
    found = []
    for directory in [d for d in cgroup_directories("") if f"/{group}/" in d + "/"]:
        try:
            found += [int(p) for p in (pathlib.Path(directory) / "cgroup.procs").read_text().split()]
        except OSError:
            pass
    return [p for p in found if is_alive(p)]


def trees(faasd, kind):
    return os.listdir(faasd.root / "state" / kind)


# -- the gateway dies --

def milliseconds_until_served(faasd):
    """From now until a new connection gets an answer."""
    began = time.monotonic()
    while True:
        try:
            reply = faasd.request("GET", "/healthz", timeout=5)
            if reply.status == 200:
                return (time.monotonic() - began) * 1000
        except (OSError, http.client.HTTPException):
            assert time.monotonic() - began < 30, faasd.log_text()


@pytest.mark.row("L4")
def test_a_killed_gateway_is_back_within_200_ms_with_all_functions():
    with Faasd() as faasd:
        faasd.deploy("hello", HELLO, "--runtime", "native")
        faasd.deploy_script("slow", SLOW)
        took = []
        with Load(faasd, ["hello", "slow"]):
            for round_number in range(20):
                if round_number % 2 == 0:
                    time.sleep(1.1)  # one that dies within its first second twice in a row is started again later and later
                gateway = faasd.gateway_pid()
                wait_until(lambda: faasd.sandbox_pids(), "it has sandboxes")
                boxes = faasd.sandbox_pids()
                os.kill(gateway, signal.SIGKILL)
                took.append(milliseconds_until_served(faasd))
                wait_until(lambda: not [b for b in boxes if is_alive(b)], "the sandboxes of the old one are gone")
                assert faasd.gateway_pid() not in (gateway, None)
                assert faasd.invoke("hello", b"{}").status == 200
        print(f"\nback after {sorted(round(t) for t in took)} ms")
        assert {f["name"] for f in faasd.control("GET", "/v1/functions").json()["functions"]} == {"hello", "slow"}
        assert max(took) < 200, took
        assert "not to be trusted" not in faasd.log_text(), faasd.log_text()


def test_a_connection_in_the_backlog_survives_the_gateway():
    with Faasd() as faasd:
        faasd.deploy("hello", HELLO, "--runtime", "native")
        gateway = faasd.gateway_pid()
        os.kill(gateway, signal.SIGSTOP)  # it accepts nothing more
        waiting = faasd.connect()
        waiting.sendall(b"POST /function/hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        os.kill(gateway, signal.SIGKILL)
        assert receive_all(waiting).startswith(b"HTTP/1.1 200 ")


# -- the supervisor dies --

@pytest.mark.row("L3")
def test_after_a_killed_supervisor_all_is_gone_within_a_second_and_the_next_start_serves():
    rng = random.Random(7)
    slowest = 0
    with Faasd() as faasd:
        faasd.deploy("hello", HELLO, "--runtime", "native")
        faasd.deploy_script("slow", SLOW)
        for round_number in range(10):
            faasd.invoke("hello", b"{}")
            group = group_of(faasd)
            over = threading.Event()

            def deploy_again_and_again():
                n = 0
                while not over.is_set():
                    n += 1
                    faasd.deploy_script("changing", f"#!/bin/sh\necho {round_number}.{n}\n", check=False)

            deployer = threading.Thread(target=deploy_again_and_again)
            with Load(faasd, ["hello", "slow", "changing"]):
                deployer.start()
                time.sleep(rng.uniform(0.05, 0.4))
                gateway, boxes = faasd.gateway_pid(), faasd.sandbox_pids()
                faasd.process.kill()
                killed = time.monotonic()
                over.set()
                wait_until(lambda: not [p for p in [gateway, *boxes] if p and is_alive(p)], "gateway and sandboxes are dead")
                wait_until(lambda: not processes_in(group), "no process is left in its cgroups")
                slowest = max(slowest, time.monotonic() - killed)
            deployer.join()
            left = identify(groups_beneath(group))
            assert left, "a kill leaves cgroups for the next start to sweep"
            faasd.stop()  # reads the log to its end
            faasd.start()
            assert not left & identify(groups_beneath(group)), "swept before the daemon is ready"
            assert faasd.invoke("hello", b"{}").status == 200
            assert faasd.invoke("slow").body == b"done\n"
            wait_until(lambda: not trees(faasd, "staging") and not trees(faasd, "trash"), "staging and trash are empty")
            assert sorted(os.listdir(faasd.root / "run")) == ["base", "control.sock", "invoke.sock", "lock"]
            assert not os.listdir(faasd.root / "run" / "base")
            assert not [n for n in os.listdir(faasd.root / "state") if n.endswith(".new")]
            assert str(faasd.root) not in pathlib.Path("/proc/self/mountinfo").read_text()
        print(f"\nall gone {slowest * 1000:.0f} ms after the kill at the latest")
        assert slowest < 1
    assert not processes_in(group)
    assert not groups_beneath(group)


# -- told to stop --

@pytest.mark.row("L1")
def test_while_draining_what_runs_finishes_and_what_is_new_is_refused():
    with Faasd({"drain": "10s"}) as faasd:
        faasd.deploy_script("slow", "#!/bin/sh\nsleep 1\necho done\n", "--max-concurrency", "4")
        faasd.deploy("hello", HELLO, "--runtime", "native")
        faasd.invoke("hello", b"{}")
        group = group_of(faasd)
        replies = []
        runs = [threading.Thread(target=lambda: replies.append(faasd.invoke("slow"))) for _ in range(4)]
        for run in runs:
            run.start()
        wait_until(lambda: faasd.describe("slow")["counts"]["busy"] == 4, "four requests run")
        with Load(faasd, ["hello"]) as load:
            faasd.process.terminate()
            status = faasd.process.wait(30)
        for run in runs:
            run.join()
        assert status == 0, faasd.log_text()
        assert [(r.status, r.body) for r in replies] == [(200, b"done\n")] * 4
        assert set(load.seen) <= {(200, None), (503, "NoCapacity"), "cut off"}, load.seen
        assert (503, "NoCapacity") in load.seen, load.seen
        assert not processes_in(group) and not groups_beneath(group)
        assert "not to be trusted" not in faasd.log_text() and "[gateway] error" not in faasd.log_text(), faasd.log_text()


@pytest.mark.row("L2")
def test_a_second_signal_stops_at_once_and_leaves_no_orphan():
    with Faasd({"drain": "60s"}) as faasd:
        faasd.deploy_script("long", "#!/bin/sh\nsetsid sleep 50 &\nsleep 50\n", "--timeout", "60s")
        client = faasd.connect()
        client.sendall(b"POST /function/long HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        wait_until(lambda: faasd.describe("long")["counts"]["busy"] == 1, "it runs")
        group, gateway = group_of(faasd), faasd.gateway_pid()
        wait_until(lambda: len(processes_in(group)) >= 4, "init, the script and both its children live")
        mine = processes_in(group)
        faasd.process.terminate()
        wait_until(lambda: "draining" in faasd.log_text(), "it drains")
        began = time.monotonic()
        faasd.process.terminate()
        assert faasd.process.wait(30) == 0
        took = time.monotonic() - began
        assert took < 1, took
        assert not [p for p in [gateway, *mine] if is_alive(p)]
        assert not groups_beneath(group)
        assert not os.path.exists(faasd.control_path)


@pytest.mark.row("L1")
def test_the_drains_deadline_cuts_off_what_still_runs_and_says_so():
    with tempfile.TemporaryDirectory(prefix="faasd-test-") as root:
        os.chmod(root, 0o755)
        with Faasd({"drain": "300ms"}, root=root) as faasd:
            faasd.deploy_script("long", "#!/bin/sh\nsleep 50\n", "--timeout", "60s")
            client = faasd.connect()
            client.sendall(b"POST /function/long HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            wait_until(lambda: faasd.describe("long")["counts"]["busy"] == 1, "it runs")
            group = group_of(faasd)
            began = time.monotonic()
            faasd.process.terminate()
            assert faasd.process.wait(30) == 0
            assert 0.3 <= time.monotonic() - began < 1.3
            assert not processes_in(group) and not groups_beneath(group)
            assert "not to be trusted" not in faasd.log_text(), faasd.log_text()
            reply = receive_all(client).decode()
            assert reply.startswith("HTTP/1.1 503 ") and "X-Faasd-Error: NoCapacity\r\n" in reply, reply
            assert "cut off: faasd is shutting down, and the limit 'drain' is 300ms" in reply, reply
        with Faasd(root=root) as faasd:
            assert "faasd was told to stop" in faasd.cli("why", re.search(r"X-Request-Id: (\S+)", reply)[1]).out


def control(faasd, head, body=b""):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(30)
    sock.connect(faasd.control_path)
    sock.sendall(head.encode() + b"\r\nHost: localhost\r\n\r\n" + body)
    return sock


@pytest.mark.row("L1")
def test_commands_deploys_and_requests_of_removed_functions_are_told_at_the_drains_deadline(tmp_path):
    with Faasd({"drain": "500ms", "init_timeout": "60s"}) as faasd:
        faasd.deploy_script("gone", "#!/bin/sh\nsleep 50\n", "--timeout", "60s")
        removed = control(faasd, "POST /function/gone HTTP/1.1\r\nContent-Length: 0")
        wait_until(lambda: faasd.describe("gone")["counts"]["busy"] == 1, "it runs")
        assert faasd.control("DELETE", "/v1/functions/gone").status == 200
        body = b'{"command":["sleep","50"],"settings":{"timeout":"60s"}}'
        command = control(faasd, f"POST /v1/exec HTTP/1.1\r\nContent-Length: {len(body)}", body)
        wait_until(lambda: "a command is run" in faasd.log_text(), "the command is taken")
        upload = control(faasd, "PUT /v1/functions/half HTTP/1.1\r\nContent-Length: 100000", b"x" * 600)
        (tmp_path / "main.py").write_text("import time\ntime.sleep(50)\ndef handler(event, context): pass\n")
        trial = subprocess.Popen([FAASD, "deploy", "--root", faasd.root, "slow", tmp_path / "main.py", "--runtime", "python"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: any("/python/bootstrap.py" in c for c in commands_in(group_of(faasd))), "its first instance starts")
        faasd.process.terminate()
        replies = [receive_all(sock).decode() for sock in (removed, command, upload)]
        said = trial.communicate(timeout=30)[1]
        assert faasd.process.wait(30) == 0
        for reply in replies:
            assert reply.startswith("HTTP/1.1 503 ") and "X-Faasd-Error: NoCapacity\r\n" in reply, replies
            assert "cut off: faasd is shutting down, and the limit 'drain' is 500ms" in reply, replies
        assert trial.returncode == 75 and "the limit 'drain' is 500ms; nothing was changed" in said, said


def commands_in(group):
    found = []
    for pid in processes_in(group):
        try:
            found.append(pathlib.Path(f"/proc/{pid}/cmdline").read_text())
        except OSError:
            pass  # it has ended meanwhile
    return found


@pytest.mark.row("L1")
def test_whoever_is_behind_in_the_queue_at_the_drains_deadline_is_told_too():
    with Faasd({"drain": "300ms"}) as faasd:
        faasd.deploy_script("long", "#!/bin/sh\nsleep 50\n", "--timeout", "60s", "--max-concurrency", "1")
        clients = [faasd.connect() for _ in range(3)]
        for client in clients:
            client.sendall(b"POST /function/long HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        wait_until(lambda: (faasd.describe("long")["counts"]["busy"], faasd.describe("long")["counts"]["queued"]) == (1, 2), "one runs, two wait")
        faasd.process.terminate()
        replies = [receive_all(client) for client in clients]
        assert faasd.process.wait(30) == 0
        assert all(r.startswith(b"HTTP/1.1 503 ") and b"faasd is shutting down" in r for r in replies), replies
        assert sum(b"cut off" in r for r in replies) == 1, replies


def test_idle_keep_alive_connections_do_not_hold_the_drain_up():
    with Faasd({"drain": "20s"}) as faasd:
        faasd.deploy("hello", HELLO, "--runtime", "native")
        connections = []
        for _ in range(50):
            connection = http.client.HTTPConnection(faasd.host, faasd.port, timeout=30)
            connection.request("POST", "/function/hello", body=b"{}")
            assert connection.getresponse().read()
            connections.append(connection)
        began = time.monotonic()
        faasd.process.terminate()
        assert faasd.process.wait(30) == 0
        assert time.monotonic() - began < 2
        for connection in connections:
            assert receive_all(connection.sock) == b""


@pytest.mark.row("D12")
def test_a_deploy_client_that_is_killed_in_its_upload_leaves_the_old_version(tmp_path):
    with Faasd() as faasd:
        faasd.deploy_script("f", "#!/bin/sh\necho old\n")
        before = trees(faasd, "versions")
        source = tmp_path / "big"
        source.mkdir()
        (source / "run").write_text("#!/bin/sh\necho new\n")
        (source / "run").chmod(0o755)
        (source / "ballast").write_bytes(os.urandom(20 << 20))
        for delay in (0.005, 0.02, 0.04, 0.06):
            client = subprocess.Popen([str(FAASD), "deploy", "f", str(source), "--handler", "run", "--root", str(faasd.root)],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(delay)
            client.kill()
            client.wait()
            assert faasd.invoke("f").body in (b"old\n", b"new\n")
            wait_until(lambda: not trees(faasd, "staging") and not trees(faasd, "trash"), "nothing is left of the upload")
        # an upload that was whole when its client died goes on to its trial start: the tree stands before the answer changes
        wait_until(lambda: trees(faasd, "versions") == before or faasd.invoke("f").body == b"new\n", "no tree is left of a version that is not served")


# -- strange circumstances --

@pytest.mark.row("L6")
def test_a_second_daemon_on_one_root_is_refused_with_the_pid():
    with Faasd() as faasd:
        faasd.deploy("hello", HELLO, "--runtime", "native")
        second = subprocess.run([str(FAASD), "serve", "--root", str(faasd.root), "--listen", "127.0.0.1:0"], capture_output=True, timeout=30)
        assert second.returncode == 1
        assert f"pid {faasd.pid}".encode() in second.stderr, second.stderr
        assert os.path.exists(faasd.control_path)
        assert faasd.invoke("hello", b"{}").status == 200


@pytest.mark.row("L8")
def test_without_standard_descriptors_nothing_else_is_mistaken_for_one():
    with Faasd() as faasd:
        assert faasd.stop() == 0
        root = str(faasd.root)
        # The shell closes all three; without the log, the sockets tell when it is ready.
        bare = subprocess.Popen(["/bin/sh", "-c", 'exec "$0" "$@" 0<&- 1>&- 2>&-', str(FAASD), "serve", "--root", root, "--listen", "127.0.0.1:0"])
        try:
            wait_until(lambda: bare.poll() is not None or faasd.cli("ls", check=False).returncode == 0, "it serves")
            assert bare.poll() is None
            faasd.deploy_script("f", "#!/bin/sh\necho out\necho err >&2\n")
            assert faasd.cli("invoke", "f").out == "out\n"
            for fd in (0, 1, 2):
                assert os.readlink(f"/proc/{bare.pid}/fd/{fd}") == "/dev/null"
        finally:
            bare.terminate()
            assert bare.wait(30) == 0


def inherit_bad_manners():
    """What a careless parent leaves: SIGCHLD and SIGPIPE ignored, signals blocked, no umask, few descriptors, one it forgot."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1})
    os.umask(0)
    os.dup2(os.open("/etc/shadow", os.O_RDONLY), 77)
    os.set_inheritable(77, True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))


@pytest.mark.row("L8")
def test_a_careless_parents_inheritance_changes_nothing():
    with Faasd(popen={"preexec_fn": inherit_bad_manners, "close_fds": False}) as faasd:
        faasd.deploy_script("f", "#!/bin/sh\necho $(ls /proc/self/fd | wc -l) $(umask) $(grep -c . /proc/self/status)\ngrep -E 'Sig(Ign|Blk)' /proc/self/status\n")
        reply = faasd.invoke("f")
        assert reply.status == 200, reply
        ignored = re.search(r"SigIgn:\s*(\w+)", reply.body.decode()).group(1)
        blocked = re.search(r"SigBlk:\s*(\w+)", reply.body.decode()).group(1)
        assert (int(ignored, 16), int(blocked, 16)) == (0, 0), reply.body
        assert reply.body.split()[1] in (b"0022", b"0077"), reply.body
        for pid in (faasd.pid, faasd.gateway_pid(), *faasd.sandbox_pids()):
            assert "/etc/shadow" not in [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        loose = []
        for directory, names, files in os.walk(faasd.root):
            if "/versions/" in directory:
                continue  # published as everybody may read it, and never writable
            for name in names + files:
                mode = os.lstat(os.path.join(directory, name)).st_mode
                if mode & 0o022 and not stat.S_ISSOCK(mode):
                    loose.append((os.path.join(directory, name), oct(mode)))
        assert not loose, loose
        assert stat.S_IMODE(os.stat(faasd.control_path).st_mode) & 0o007 == 0


def log_files(pid):
    """Descriptors of functions' logs: one is opened at a function's first line, which a failure writes, and stays."""
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += "/state/logs/" in os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            pass  # closed meanwhile
    return count


def least_descriptors(pid):
    """What it holds at rest: the connection that asked last may not be closed yet."""
    counts = []
    for _ in range(40):
        counts.append(len(os.listdir(f"/proc/{pid}/fd")))
        time.sleep(0.005)
    return min(counts)


@pytest.mark.row("X2", "X4")
def test_out_of_descriptors_a_start_fails_by_name_and_the_next_one_works():
    with Faasd({"crash_backoff": "1ms"}) as faasd:
        faasd.deploy_script("f", QUICK, "--keep-warm", "1ms")
        faasd.deploy("hello", HELLO, "--runtime", "native", "--keep-warm", "1ms")

        def at_rest():
            return not faasd.instances("f") and not faasd.instances("hello") and not faasd.sandbox_pids()

        wait_until(at_rest, "no instance is warm")
        gateway = faasd.gateway_pid()
        held, before = least_descriptors(gateway) - log_files(gateway), descriptor_limit(gateway)
        seen = collections.Counter()

        def invoke_with(room, name):
            """None where the door itself had no room: what goes on beside requests, as the trash that is emptied a second after a deploy, holds some for a moment."""
            # or the connection that asked last, not closed yet, has the client's place
            wait_until(lambda: len(os.listdir(f"/proc/{gateway}/fd")) - log_files(gateway) <= held, "nothing but what it always holds")
            limit_descriptors(gateway, held + log_files(gateway) + room)
            try:
                reply = faasd.invoke(name, b"{}")
            except (BrokenPipeError, ConnectionResetError):
                return None  # its body came after the door's 503, and the reset overtook that
            finally:
                limit_descriptors(gateway, before)
            return None if b"the limit of connections" in reply.body else reply

        def seen_all():
            return all(seen[name, 200] for name in ("f", "hello")) and seen["f", 502] and seen["f", 503] and seen["hello", 502]

        def sweep():
            """The client's connection takes one; then come what a sandbox brings, what its init brings, the event. Each may find no room."""
            for room, name in itertools.product(range(2, 9), ("f", "hello")):
                reply = wait_until(lambda: invoke_with(room, name), "it is let in")
                seen[name, reply.status] += 1
                if reply.status != 200:
                    assert reply.error in ("FunctionCrashed", "NoCapacity"), (room, reply)
                    assert "too many open files" in reply.json()["errorMessage"], (room, reply)
                assert faasd.invoke(name, b"{}").status == 200
                wait_until(at_rest, "also the sandbox whose descriptors were lost is gone")
                assert faasd.gateway_pid() == gateway, faasd.log_text()

        sweep()
        for _ in range(2):  # the trash may have taken what was left for just one of them
            if not seen_all():
                sweep()
        assert seen_all(), seen
        wait_until(lambda: least_descriptors(gateway) - log_files(gateway) == held, "it holds what it always holds")


# -- reload --

def test_a_valid_reload_is_used_and_an_invalid_one_changes_nothing():
    with Faasd({"request_bytes": "1K"}) as faasd:
        faasd.deploy("hello", HELLO, "--runtime", "native")
        body = b'{"name":"%s"}' % (b"x" * 2000)
        assert faasd.invoke("hello", body).status == 413
        gateway = faasd.gateway_pid()

        def reload(config, said):
            faasd.write_config(config)
            lines = len(faasd.log)
            faasd.process.send_signal(signal.SIGHUP)
            return wait_until(lambda: [line for line in faasd.log[lines:] if said in line], said)[0]

        reload({"request_bytes": "8K"}, "the new configuration is in use")
        assert faasd.invoke("hello", body).status == 200
        said = reload('{\n  "request_bytes": "8K",\n  "requst_bytes": "1K"\n}', "the former configuration stays")
        assert "request_bytes" in said and "3" in said, said
        assert faasd.invoke("hello", body).status == 200
        reload({"request_bytes": "no size"}, "the former configuration stays")
        assert faasd.invoke("hello", body).status == 200
        said = reload({"request_bytes": "1K", "uid_count": 20000, "connections": 10}, "a restart is needed")
        assert "uid_count" in said and "connections" in said, said
        wait_until(lambda: faasd.invoke("hello", body).status == 413, "what needs no restart is in use")
        assert faasd.gateway_pid() == gateway


def test_a_gateway_that_does_not_answer_a_reload_is_replaced():
    """By silence one that was taken over would keep for ever what root takes back."""
    with Faasd({"request_bytes": "8K"}) as faasd:
        faasd.deploy("hello", HELLO, "--runtime", "native")
        body = b'{"name":"%s"}' % (b"x" * 2000)
        assert faasd.invoke("hello", body).status == 200
        gateway = faasd.gateway_pid()
        faasd.write_config({"request_bytes": "1K"})
        os.kill(gateway, signal.SIGSTOP)
        faasd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the configuration was read again" in faasd.log_text(), "the end of the reload", within(40))
        assert "it does not answer a reload" in faasd.log_text()
        wait_until(lambda: "the gateway is back" in faasd.log_text(), "another gateway", within(20))
        assert faasd.gateway_pid() != gateway
        assert faasd.invoke("hello", body).status == 413


def test_the_gateway_goes_ahead_of_functions_in_its_session_as_in_its_priority():
    with Faasd() as faasd:
        gateway = faasd.gateway_pid()
        mine = os.getpriority(os.PRIO_PROCESS, faasd.pid)
        assert os.getpriority(os.PRIO_PROCESS, gateway) == mine - 5
        group = pathlib.Path(f"/proc/{gateway}/autogroup")
        if group.exists():  # sched(7): with it a nice value counts within its session alone
            assert re.fullmatch(rf"/autogroup-\d+ nice {mine - 5}", group.read_text().strip())
            assert group.read_text() != pathlib.Path(f"/proc/{faasd.pid}/autogroup").read_text()


# -- what is made ahead --

class Networks:
    """The network namespaces that the supervisor holds beside the one that it lives in. Those once seen are kept, as the kernel gives a dead one's number to the next."""

    def __init__(self, faasd):
        self.directory = f"/proc/{faasd.pid}/fd"
        self.own = os.readlink("/proc/self/ns/net")  # as the daemon's, which may be making one at this moment
        self.kept = {}

    def held(self):
        found = set()
        for fd in os.listdir(self.directory):
            try:
                name = os.readlink(f"{self.directory}/{fd}")
                if name.startswith("net:") and name != self.own:
                    self.kept.setdefault(name, os.open(f"{self.directory}/{fd}", os.O_RDONLY))
                    found.add(name)
            except OSError:
                pass
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in self.kept.values():
            os.close(fd)


def test_each_network_made_ahead_is_for_one_start_and_the_supervisor_comes_home():
    home, seen = os.readlink("/proc/self/ns/net"), set()
    with Faasd() as faasd, Networks(faasd) as networks:
        faasd.deploy_script("net", "#!/bin/sh\nreadlink /proc/self/ns/net\n", "--keep-warm", "10ms")
        for _ in range(5):
            wait_until(lambda: not faasd.sandbox_pids() and len(networks.held()) == 2, "nothing runs, two networks are ready")
            ready = networks.held()
            assert not ready & seen, "one that was used is held still"
            found = faasd.invoke("net").body.decode().strip()
            assert found in ready
            wait_until(lambda: os.readlink(f"/proc/{faasd.pid}/ns/net") == home, "the supervisor is at home")  # or it is making the next, for 0.4 ms
            seen.add(found)
        assert len(seen) == 5
        assert "made ahead" not in faasd.log_text()


def test_a_volley_that_empties_the_stock_is_served_all_the_same():
    with Faasd() as faasd, Networks(faasd) as networks:
        names = [f"net{i}" for i in range(6)]
        for name in names:
            faasd.deploy_script(name, "#!/bin/sh\nreadlink /proc/self/ns/net; sleep 0.1\n", "--keep-warm", "10ms")
        wait_until(lambda: not faasd.sandbox_pids() and len(networks.held()) == 2, "nothing runs, two networks are ready")
        ready = networks.held()
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            found = {reply.body.decode().strip() for reply in pool.map(faasd.invoke, names)}
        assert len(found) == len(names) and os.readlink("/proc/self/ns/net") not in found
        assert ready <= found, "what was ready was not used"
        wait_until(lambda: len(networks.held()) == 2, "the stock is full again")
        assert not networks.held() & ready


def test_no_network_made_ahead_outlives_a_killed_daemon():
    with Faasd() as faasd:
        with Networks(faasd) as networks:
            wait_until(lambda: len(networks.held()) == 2, "two networks are ready")
        inodes = [int(re.search(r"\d+", name).group()) for name in networks.kept]
        mounts = pathlib.Path(f"/proc/{faasd.pid}/mountinfo").read_text() + pathlib.Path("/proc/self/mountinfo").read_text()
        assert not [inode for inode in inodes if f"net:[{inode}]" in mounts], "one has a name, and would stay"
        holders = set()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                names = [os.readlink(fd) for fd in (process / "fd").iterdir()] + [os.readlink(process / "ns/net")]
            except OSError:
                continue
            if set(names) & set(networks.kept):
                holders.add(int(process.name))
        assert holders == {faasd.pid}, "somebody else holds one"


def test_a_group_made_ahead_gets_the_functions_name_and_none_outlives_the_next_start():
    with Faasd() as faasd:
        faasd.deploy("named", HELLO, "--runtime", "native", "--min-warm", "1", "--keep-warm", "10m")
        wait_until(lambda: len(faasd.instances("named")) == 1 and has_stock(faasd), "one instance, and all is made that is made ahead")
        group = group_of(faasd)
        ahead = [d for d in groups_beneath(group) if os.path.basename(d).startswith("ahead.")]
        lines = pathlib.Path(f"/proc/{faasd.instances('named')[0]['pid']}/cgroup").read_text().splitlines()
        own = {line.split(":")[1]: line.rsplit("/", 1)[1] for line in lines if f"/{group}/" in line}
        if "memory" in own:
            assert all(re.fullmatch(r"named-\d+", name) for kind, name in own.items() if kind), own
            empty = [d for d in ahead if "/memory/" in d and not (pathlib.Path(d) / "cgroup.procs").read_text()]
            assert len(empty) == 2, ahead
        else:  # of v2 nobody could rename one
            assert re.fullmatch(r"named-\d+", own[""]) and not ahead, (own, ahead)
        faasd.invoke("named")
        faasd.process.kill()
        faasd.stop()
        left = identify(groups_beneath(group))
        assert left, "a kill leaves what was made ahead, too"
        faasd.start()
        assert not left & identify(groups_beneath(group)), "swept before the daemon is ready"
        assert not ahead or any("1 sandboxes of a killed daemon were swept" in line for line in faasd.log), faasd.log_text()
        assert faasd.invoke("named").status == 200
