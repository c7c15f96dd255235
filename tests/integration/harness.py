# SPDX-License-Identifier: Apache-2.0
"""Drives the real faasd from outside: a daemon in a root of its own, its command line, raw HTTP on TCP and Unix sockets.

Every wait is on something observable, with a deadline that is generous because it is never reached when faasd works.
"""

import ctypes
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import rootless

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("FAASD_BUILD", REPO / "build")).resolve()
FAASD = BUILD / "faasd"
PROBE = BUILD / "probe"
HELLO = BUILD / "examples" / "hello"
# What tests deploy and start: tests/integration/programs/NAME.c.
PROGRAMS = BUILD / "programs"
EXAMPLES = REPO / "examples"
# How many times slower than a machine of its own an emulated one is: bounds of time, and nothing else, are multiplied by it.
SLOW = float(os.environ.get("FAASD_TEST_SLOW", "1"))
OURS = ("FAASD_ROOTLESS", "FAASD_BUILD", "FAASD_TEST_SLOW", "FAASD_RIC", "FAASD_SDK")  # of tests: the daemon would warn that it knows none of them
DEADLINE = 30.0 * SLOW
# What depends on the kernel: Landlock's scopes keep children of one template apart, below ABI 6 each has one at a time (landlock_create_ruleset(2)).
SEPARABLE = ctypes.CDLL(None).syscall(444, None, 0, 1) >= 6


def within(seconds):
    """A bound of time, as this machine needs it."""
    return seconds * SLOW


def brief(seconds):
    """A limit that a test waits for to pass: what keeps it must keep it here as well, but a multiple would be waited out in full."""
    return min(within(seconds), seconds + 2)


def wait_until(condition, what, deadline=DEADLINE):
    """Returns the condition's first true value; fails with `what` after the deadline."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(0.005)


class Clients:
    """Threads that each do their task again and again while the `with` lasts; its end raises what one of them raised."""

    def __init__(self, tasks):
        self.stopped, self.failures = threading.Event(), []
        self.threads = [threading.Thread(target=self._run, args=(task,), daemon=True) for task in tasks]

    def _run(self, task):
        try:
            while not self.stopped.is_set():
                task()
        except Exception as e:
            self.failures.append(e)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, raised, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        if self.failures and not raised:
            raise self.failures[0]


class UnixHTTPConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=DEADLINE):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.headers.get("X-Faasd-Error")

    def __repr__(self):
        return f"<Reply {self.status} {self.error or ''} {self.body[:300]!r}>"


class Faasd:
    """One daemon. Use as a context manager; on leaving it must still be alive unless told otherwise, and nothing of it may remain."""

    program = FAASD  # what serves; the command line is always the program itself
    variables = {}   # that the daemon alone gets

    def __init__(self, config=None, args=(), root=None, env=None, popen=None, user=None, delegate=True):
        self.own_root = root is None
        self.root = pathlib.Path(root or tempfile.mkdtemp(prefix="faasd-test-"))
        os.chmod(self.root, 0o755)
        self.args = list(args)
        self.env = {name: value for name, value in {**os.environ, **(env or {})}.items() if name not in OURS}
        # An emulated interpreter alone may need most of the default; a test about this limit sets it itself.
        if SLOW > 1 and "init_timeout" not in json.dumps(config or {}):
            self.env.setdefault("FAASD_INIT_TIMEOUT", "30s")
        self.popen = popen or {}
        self.process = None
        self.user = user or (rootless.User() if rootless.ON else None)
        self.own_user = self.user and not user
        self.delegate = delegate
        self.group = None
        self.log = []
        if config is not None:
            self.write_config(config)

    # -- life --

    def write_config(self, config):
        path = self.root / "config.json"
        path.write_text(config if isinstance(config, str) else json.dumps(config))
        os.chmod(path, 0o644)

    def start(self, expect_ready=True):
        command = [str(self.program), "serve", "--root", str(self.root)]
        if not any(a == "--listen" for a in self.args):
            command += ["--listen", "127.0.0.1:0"]
        command += self.args
        options = dict(self.popen)
        if self.user:
            command = self._as_user(command, options)
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env={**self.env, **self.variables}, **options)
        self.log = []
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        if expect_ready:
            assert self.ready.wait(DEADLINE) and self.ready_line, f"no ready line; log: {self.log_text()}"
        return self

    def _as_user(self, command, options):
        """The root, and what a former start of root's left in it, are his; so is a cgroup, where one can be."""
        os.chown(self.root, rootless.UID, rootless.UID)
        if rootless.IS_V2 and self.delegate:
            self.group = rootless.anew(self.root)
            others = options.get("preexec_fn", lambda: None)
            options["preexec_fn"] = lambda: (self.group.join(), others())
        elif "--allow-degraded" not in command and self.delegate:
            command = command + ["--allow-degraded"]
        return self.user.command(command)

    def _read_log(self):
        self.ready_line = None
        for raw in self.process.stderr:
            line = raw.decode(errors="replace").rstrip("\n")
            self.log.append(line)
            found = re.search(r"ready listen=(\S*) control=(\S+) invoke=(\S+)", line)
            if found:
                self.ready_line = line
                self.listen = [a for a in found.group(1).split(",") if a]
                self.control_path, self.invoke_path = found.group(2), found.group(3)
                tcp = [a for a in self.listen if not a.startswith("unix:")]
                self.host, port = tcp[0].rsplit(":", 1) if tcp else ("", "0")
                self.port = int(port)
                self.ready.set()
        self.ready.set()

    def log_text(self):
        return "\n".join(self.log)

    def stop(self, signal_number=signal.SIGTERM, deadline=DEADLINE):
        """Tells it to stop and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        status = self.process.wait(deadline)
        self.reader.join(DEADLINE)
        return status

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        try:
            if self.process and self.process.poll() is None:
                status = self.stop()
                if kind is None:
                    assert status == 0, f"exit {status}; log: {self.log_text()}"
        finally:
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if kind is not None and self.log:
                print("--- faasd's log ---\n" + self.log_text())
            if self.group:
                self.group.close()
            if self.own_user:
                self.user.close()
            if self.own_root:
                shutil.rmtree(self.root, ignore_errors=True)

    # -- what the outside sees of it --

    @property
    def pid(self):
        return self.process.pid

    def children(self, pid=None):
        pid = pid or self.pid
        try:
            return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            return []

    def gateway_pid(self):
        for child in self.children():
            try:
                if pathlib.Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"faasd-gateway"):
                    return child
            except OSError:
                pass
        return None

    def sandbox_pids(self):
        """The init processes of living sandboxes, as the host numbers them."""
        gateway = self.gateway_pid()
        return [c for c in self.children() if c != gateway]

    def instances(self, name):
        return self.describe(name).get("instances", [])

    # -- the command line --

    def cli(self, *args, check=True, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            options.pop("stdin")
        done = subprocess.run([str(FAASD), *map(str, args), "--root", str(self.root)] if "--" not in args
                              else [str(FAASD), str(args[0]), "--root", str(self.root), *map(str, args[1:])],
                              capture_output=True, timeout=within(120), env=self.env, **options)
        done.out = done.stdout.decode(errors="replace")
        done.err = done.stderr.decode(errors="replace")
        if check:
            assert done.returncode == 0, f"faasd {' '.join(map(str, args))}: exit {done.returncode}\n{done.out}\n{done.err}\n{self.log_text()}"
        return done

    def deploy(self, name, path, *options, check=True):
        return self.cli("deploy", name, path, *options, check=check)

    def deploy_script(self, name, text, *options, check=True):
        """A script as an exec function."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-fn-"))
        try:
            script = directory / "run"
            script.write_text(text)
            script.chmod(0o755)
            return self.deploy(name, script, *options, check=check)
        finally:
            shutil.rmtree(directory)

    # -- HTTP --

    def request(self, method, path, body=None, headers=None, socket_path=None, timeout=DEADLINE):
        if socket_path:
            connection = UnixHTTPConnection(socket_path, timeout)
        else:
            connection = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def invoke(self, name, body=b"", method="POST", path="", headers=None, timeout=DEADLINE):
        return self.request(method, f"/function/{name}{path}", body=body, headers=headers, timeout=timeout)

    def control(self, method, path, body=None, headers=None, timeout=DEADLINE):
        return self.request(method, path, body=body, headers=headers, socket_path=self.control_path, timeout=timeout)

    def describe(self, name):
        reply = self.control("GET", f"/v1/functions/{name}")
        assert reply.status == 200, reply
        return reply.json()

    def system(self):
        reply = self.control("GET", "/v1/system")
        assert reply.status == 200, reply
        return reply.json()

    def connect(self, timeout=DEADLINE):
        """A raw TCP connection to the front door."""
        return socket.create_connection((self.host.strip("[]"), self.port), timeout=timeout)


def make_first_format(db):
    """Makes the database of a stopped daemon one of the first format: one table, without what came later."""
    columns = {"function", "number", "revision", "code", "handler", "created_ms", "code_bytes", "settings", "current"}
    for kind, name in db.execute("SELECT type, name FROM sqlite_schema WHERE name <> 'revisions' AND name NOT LIKE 'sqlite%' "
                                 "ORDER BY type DESC").fetchall():
        db.execute(f"DROP {kind} IF EXISTS {name}")  # a table takes its indexes along
    for row in db.execute("PRAGMA table_info(revisions)").fetchall():
        if row[1] not in columns:
            db.execute(f"ALTER TABLE revisions DROP COLUMN {row[1]}")
    db.execute("PRAGMA user_version = 1")


def receive_all(sock):
    """Everything until the peer closes (or resets)."""
    data = b""
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def cgroup_directories(match):
    """Directories of any mounted cgroup hierarchy whose path holds `match`."""
    found = []
    for root, directories, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(root, d) for d in directories if match in d]
    return found


def has_stock(faasd):
    """Whether all is there again that the supervisor makes ahead of starts: of networks, which it makes last, two beside the one it lives in."""
    if faasd.user:  # nothing is
        return True
    found = set()
    for fd in os.listdir(f"/proc/{faasd.pid}/fd"):
        try:
            found.add(os.readlink(f"/proc/{faasd.pid}/fd/{fd}"))
        except OSError:
            pass
    return len([name for name in found - {os.readlink(f"/proc/{faasd.pid}/ns/net")} if name.startswith("net:")]) == 2


def is_sanitized():
    """Then freed memory is kept back on purpose: what a process holds says nothing."""
    return b"__asan_init" in FAASD.read_bytes()


def is_alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state not in ("Z", "X")
    except OSError:
        return False


def descriptor_limit(pid):
    return int(re.search(r"^Max open files +(\d+)", pathlib.Path(f"/proc/{pid}/limits").read_text(), re.M).group(1))


def limit_descriptors(pid, soft):
    """As the process's own user: root without CAP_SYS_RESOURCE may not do it to another one's."""
    owner = pathlib.Path(f"/proc/{pid}/status").read_text()
    uid, gid = (int(re.search(rf"^{key}:\t(\d+)", owner, re.M).group(1)) for key in ("Uid", "Gid"))
    subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={soft}:"], user=uid, group=gid, extra_groups=[], check=True)
