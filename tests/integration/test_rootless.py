# SPDX-License-Identifier: Apache-2.0
"""`faasd serve` and the other commands that make sandboxes, by an ordinary user: what he gets, what each missing piece costs, and what nobody else gets of his."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

import rootless
from harness import DEADLINE, FAASD, HELLO, Faasd, is_alive, wait_until, within
from rootless import IS_V2, SUB_COUNT, SUB_FIRST, UID, User

LIMITS = {"cgroup memory limit", "cgroup pids limit", "cgroup cpu limit"}


@pytest.fixture
def tmp_path():
    """Where he can go: pytest's own is root's alone."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def user():
    with User() as one:
        yield one


@pytest.fixture
def served(user):
    with Faasd(user=user) as daemon:
        yield daemon


def run_as(user, *command, **options):
    options.setdefault("env", user.env)
    return subprocess.run(user.command(command), capture_output=True, text=True, timeout=within(60), stdin=subprocess.DEVNULL, **options)


def check(user, *prefix, **options):
    """What `faasd check` finds as that user, by name."""
    done = run_as(user, *prefix, FAASD, "check", "--json", **options)
    assert done.stdout, done.stderr
    return {f["name"]: f for f in json.loads(done.stdout)["features"]}


def status(pid, key):
    return re.search(rf"^{key}:[ \t]*(.*?) *$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1)


def ids(pid):
    return {int(n) for key in ("Uid", "Gid") for n in status(pid, key).split()}


# ---- check ----


def test_check_finds_what_root_has_and_names_the_namespace(user):
    found = check(user)
    assert found["root"]["found"] and found["root"]["detail"] == f"of a user namespace of uid {UID}"
    assert found["ids of their own"]["found"] and int(found["ids of their own"]["detail"]) > 60000
    missing = {name for name, f in found.items() if f["need"] != "optional" and not f["found"]}
    swap = found["swap limit"]  # without a group there is none, but where there is no swap none is needed
    assert missing - {"swap limit"} == LIMITS, missing  # a test's session is nobody's but root's
    assert swap["found"] == (len(pathlib.Path("/proc/swaps").read_text().splitlines()) < 2) and (swap["detail"] == "no swap" or not swap["found"]), swap


MISSING = {
    "subordinate ids": (lambda user: [(user.etc / n).write_text("x:1:1\n") for n in ("subuid", "subgid")], [], "'/etc/subuid' gives uid 54321 none"),
    "enough of them": (lambda user: (user.etc / "subgid").write_text(f"{UID}:{SUB_FIRST}:31\n"), [], "31 ids, and 32 are the least"),
    "newuidmap": (lambda user: user.env.update(PATH="/nonexistent"), [], "there is no program newuidmap (Debian's package uidmap)"),
}


@pytest.mark.parametrize("what", MISSING)
def test_check_tells_what_is_lost_without(user, what):
    spoil, _, why = MISSING[what]
    spoil(user)
    if what == "newuidmap":
        setpriv = shutil.which("setpriv")
        user_command = user.command
        user.command = lambda command: [setpriv if w == "setpriv" else w for w in
                                        user_command(["/usr/bin/env", "PATH=/nonexistent", *command])]
        user.env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    found = check(user)
    one = found["ids of their own"]
    assert not one["found"] and one["need"] == "expected" and why in one["remedy"] and "usermod --add-subuids" in one["remedy"], one
    assert "run as you" in one["lost_without"]
    assert found["root"]["found"]


def test_check_tells_why_there_is_no_namespace(user, tmp_path):
    """The kernel makes none for who lives in a chroot."""
    top = tmp_path / "top"
    top.mkdir()
    outer = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"mount --rbind / {top} && exec chroot {top} \"$@\"", "sh"]
    done = subprocess.run([*outer, *user.command([FAASD, "check", "--json"])], capture_output=True, text=True, env=user.env, timeout=within(60))
    found = {f["name"]: f for f in json.loads(done.stdout)["features"]}
    assert not found["root"]["found"] and "make a user namespace" in found["root"]["remedy"], found["root"]
    done = subprocess.run([*outer, *user.command([FAASD, "serve"])], capture_output=True, text=True, env=user.env, timeout=within(60))
    assert done.returncode == 1 and f"uid {UID} gets none: make a user namespace" in done.stderr, done.stderr


def test_check_tells_how_to_get_limits(user):
    found = check(user)
    words = "systemd-run --user --scope -p Delegate=yes" if IS_V2 else "cgroup v1's, which are root's alone"
    for name in LIMITS:
        assert words in found[name]["remedy"], found[name]
    text = run_as(user, FAASD, "check").stdout
    assert text.count(words) == 1 and "refuses to serve here" in text, text


# ---- serve ----


def test_without_limits_it_refuses_by_name_and_serves_only_when_told_to(user):
    with pytest.raises(AssertionError):
        Faasd(user=user, delegate=False).start()
    done = run_as(user, FAASD, "serve", "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    for name in LIMITS:
        assert f"this host has no {name}" in done.stderr, done.stderr
    assert "`faasd check` says how to get them, --allow-degraded serves without" in done.stderr
    with Faasd(user=user, delegate=False, args=["--allow-degraded"]) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        assert daemon.invoke("hello", b'{"name":"x"}').status == 200
        assert "degraded: this host has no cgroup memory limit" in daemon.log_text()


FUNCTIONS = {
    "native": (None, ["--runtime", "native"]),
    "exec": ("#!/bin/sh\ncat\n", ["--runtime", "exec"]),
    "python": ("def handler(event, context):\n    return event\n", ["--runtime", "python"]),
}


@pytest.mark.parametrize("runtime, isolation", [(r, i) for r in FUNCTIONS for i in ("reuse", "fork", "sandbox") if (r, i) != ("exec", "fork")])
def test_functions_are_called(served, tmp_path, runtime, isolation):
    text, options = FUNCTIONS[runtime]
    path = HELLO
    if text:
        path = tmp_path / ("app.py" if runtime == "python" else "run")
        path.write_text(text)
        path.chmod(0o755)
    served.deploy("f", path, *options, "--isolation", isolation, "--memory", "64M")
    starts = set()
    for _ in range(3):
        reply = served.invoke("f", b'{"name":"x"}')
        assert reply.status == 200 and b"x" in reply.body, reply
        starts.add(reply.headers["X-Faasd-Start"])
    if isolation == "fork":  # without groups a template's children could not be told apart
        assert ("fork" in starts) == IS_V2, starts
        assert ("noTemplate" in served.describe("f")) != IS_V2


def test_every_process_has_an_id_of_its_own_and_no_power(served):
    served.deploy("a", HELLO, "--runtime", "native", "--min-warm", "1")
    served.deploy("b", HELLO, "--runtime", "native", "--min-warm", "1")
    for name in "ab":
        assert served.invoke(name, b"{}").status == 200
    inits = [served.instances(name)[0]["pid"] for name in "ab"]
    assert ids(served.pid) == {UID}
    seen = [ids(pid) for pid in (served.gateway_pid(), *inits)]
    for one in seen:
        assert len(one) == 1 and all(SUB_FIRST <= n < SUB_FIRST + SUB_COUNT for n in one), seen
    assert len({n for one in seen for n in one}) == 3
    for pid in inits + [served.gateway_pid()]:
        assert status(pid, "CapPrm") == "0" * 16 and status(pid, "CapBnd") == "0" * 16
        assert status(pid, "Groups") == "" and status(pid, "NoNewPrivs") == "1" and status(pid, "Seccomp") == "2"


def test_it_lives_in_a_closed_home_and_the_gateway_sees_nothing_else_of_it(user):
    """The default places, by XDG's variables, in a home that is the user's alone."""
    (user.home / "diary").write_text("dear diary")
    os.chown(user.home / "diary", UID, UID)
    group = rootless.Delegated() if IS_V2 else None
    command = user.command([FAASD, "serve", "--listen", "127.0.0.1:0", *([] if IS_V2 else ["--allow-degraded"])])
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=user.env, preexec_fn=group.join if group else None) as daemon:
        try:
            line = next((line for line in daemon.stderr if "ready" in line), "")
            assert f"control={user.runtime}/faasd/control.sock" in line, line
            done = run_as(user, FAASD, "deploy", "hello", HELLO, "--runtime", "native")
            assert done.returncode == 0, done.stderr
            assert run_as(user, FAASD, "invoke", "hello", "-d", "{}").returncode == 0
            assert (user.home / ".local/state/faasd/FORMAT").exists()
            children = pathlib.Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
            gateway = next(c for c in children if pathlib.Path(f"/proc/{c}/cmdline").read_bytes().startswith(b"faasd-gateway"))
            seen = pathlib.Path(f"/proc/{gateway}/root{user.home}")
            assert sorted(os.listdir(seen)) == [".local"]
            assert os.listdir(seen / ".local/state/faasd/db")
            assert (user.home / "diary").read_text() == "dear diary"
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(DEADLINE) == 0
    if group:
        assert group.left() == []
        group.close()


def test_nobody_else_reaches_its_control_socket(served):
    def connect(uid):
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with socket.socket(socket.AF_UNIX) as s:
                try:
                    s.connect(served.control_path)
                except PermissionError:
                    os._exit(13)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert connect(UID) == 0
    assert connect(SUB_FIRST + 5) == 13
    assert connect(65534) == 13


def test_the_log_names_him_as_the_host_does(served, user):
    """Not by the id that he has in the namespace, 0; whom that doesn't know is the host's root."""
    done = run_as(user, FAASD, "--url", f"unix://{served.control_path}", "deploy", "mine", HELLO, "--runtime", "native")
    assert done.returncode == 0, done.stderr
    served.deploy("roots", HELLO, "--runtime", "native")
    wait_until(lambda: "fn=roots" in served.log_text(), "the second is logged")
    by = dict(re.findall(r"deployed fn=(\w+) .* by=(\S+)", served.log_text()))
    assert by == {"mine": f"uid:{UID}", "roots": "uid:65534"}


def test_after_a_kill_nothing_is_left_and_the_next_start_serves(user, tmp_path):
    daemon = Faasd(user=user, root=tmp_path)
    try:
        daemon.start()
        daemon.deploy_script("stuck", "#!/bin/sh\ntrap '' TERM HUP\nsetsid sleep 600 &\nsleep 600\n", "--timeout", "60s")
        daemon.deploy("hello", HELLO, "--runtime", "native", "--min-warm", "1")
        connection = daemon.connect()
        connection.sendall(b"POST /function/stuck HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        wait_until(lambda: any(i["state"] == "busy" for i in daemon.instances("stuck")), "a call that runs")
        theirs = [daemon.gateway_pid(), *daemon.sandbox_pids()]
        theirs += [int(p) for one in theirs for p in daemon.children(one)]
        daemon.stop(signal.SIGKILL)
        connection.close()
        wait_until(lambda: not any(map(is_alive, theirs)), "every process is dead", deadline=within(2))
        daemon.start()
        assert daemon.invoke("hello", b"{}").status == 200
        if daemon.group:
            assert not [path for path in daemon.group.left() if "stuck" in path]
        assert daemon.stop() == 0
        if daemon.group:
            assert daemon.group.left() == []
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
        if daemon.group:
            daemon.group.close()


def test_a_dead_gateway_is_replaced(served):
    served.deploy("hello", HELLO, "--runtime", "native")
    before = served.gateway_pid()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: served.gateway_pid() not in (None, before), "another gateway")
    wait_until(lambda: "the gateway is back" in served.log_text(), "it greets")
    assert served.invoke("hello", b"{}").status == 200


def test_secrets_and_a_reload(user, tmp_path):
    with Faasd(user=user, config={"defaults": {"memory": "64M"}}) as daemon:
        daemon.cli("secret", "set", "key", input=b"s3cret")
        daemon.deploy_script("reader", "#!/bin/sh\ncat /run/secrets/key\nstat -c ' %a %u' /run/secrets/key\n", "--secret", "key")
        assert daemon.invoke("reader").body == b"s3cret 400 1000\n"
        daemon.write_config({"defaults": {"memory": "96M"}})  # root's file: read all the same
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the configuration was read again" in daemon.log_text(), "the reload")
        daemon.deploy("hello", HELLO, "--runtime", "native")
        assert "96M" in daemon.cli("describe", "hello").out


def test_a_shell_has_a_terminal_of_its_own(served):
    served.deploy_script("sh", "#!/bin/sh\n")
    done = served.cli("shell", "sh", input=b"echo it is $((40+2))\nexit\n", check=False)
    assert "it is 42" in done.out, done.out + done.err + served.log_text()


def test_what_a_stranger_could_change_is_refused_before_it_counts(user, tmp_path):
    """Inside the namespace the host's other users look alike: so the way is judged before."""
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    os.chown(strangers, 65534, 65534)
    (strangers / "config.json").write_text("{}")
    done = run_as(user, FAASD, "serve", "--config", strangers / "config.json")
    assert done.returncode == 1 and "belongs to uid 65534: refused" in done.stderr, done.stderr
    done = run_as(user, FAASD, "serve", "--root", strangers / "root")
    assert done.returncode == 1 and "belongs to uid 65534: refused" in done.stderr, done.stderr
    loose = tmp_path / "loose"
    loose.mkdir()
    os.chown(loose, UID, UID)
    loose.chmod(0o777)
    done = run_as(user, FAASD, "serve", "--config", loose / "config.json")
    assert done.returncode == 1 and "others may write directory" in done.stderr, done.stderr


def test_without_a_place_for_its_sockets_it_says_how_to_get_one(user):
    del user.env["XDG_RUNTIME_DIR"]
    done = run_as(user, FAASD, "serve", "--allow-degraded")
    assert done.returncode == 1 and f"there is no '/run/user/{UID}'" in done.stderr and "--root DIR" in done.stderr, done.stderr
    with Faasd(user=user) as daemon:
        assert daemon.cli("ls").returncode == 0


def test_what_is_roots_alone_is_refused_with_the_reason(user):
    done = run_as(user, FAASD, "serve", "--listen", "127.0.0.1:1", "--allow-degraded")
    assert done.returncode == 1 and "net.ipv4.ip_unprivileged_port_start" in done.stderr, done.stderr
    config = user.home / "config.json"
    config.write_text('{"invoke_group": "root"}')
    done = run_as(user, FAASD, "serve", "--config", config, "--allow-degraded")
    assert done.returncode == 1 and "can't give its socket to a group" in done.stderr, done.stderr


# ---- one id for all ----


def test_without_subordinate_ids_it_serves_with_one_id_only_when_told_to(tmp_path):
    with User(subids=False) as user:
        done = run_as(user, FAASD, "serve", "--listen", "127.0.0.1:0")
        assert done.returncode == 1 and "this host has no ids of their own" in done.stderr and "run as you" in done.stderr, done.stderr
        with Faasd(user=user, args=["--allow-degraded"]) as daemon:
            assert "degraded: this host has no ids of their own" in daemon.log_text()
            (tmp_path / "app.py").write_text("import os\ndef handler(event, context):\n    return [os.getuid(), os.path.exists('/etc/shadow')]\n")
            daemon.deploy("py", tmp_path / "app.py", "--runtime", "python", "--isolation", "fork")
            assert daemon.invoke("py", b"{}").json() == [0, False]
            daemon.cli("secret", "set", "key", input=b"s3cret")
            daemon.deploy_script("reader", "#!/bin/sh\ncat /run/secrets/key\n", "--secret", "key", "--min-warm", "1")
            assert daemon.invoke("reader").body == b"s3cret"
            for pid in (daemon.gateway_pid(), daemon.instances("reader")[0]["pid"]):
                assert ids(pid) == {UID} and status(pid, "CapPrm") == "0" * 16 and status(pid, "CapBnd") == "0" * 16


# ---- the other commands ----


def test_run_dev_and_restore_work_for_him(user, tmp_path):
    (tmp_path / "f").write_text("#!/bin/sh\necho ran as $(id -u)\n")
    (tmp_path / "f").chmod(0o755)
    done = run_as(user, FAASD, "run", "--allow-degraded", tmp_path / "f")
    assert done.returncode == 0 and done.stdout == "ran as 1000\n", done.stderr
    done = run_as(user, FAASD, "run", "--allow-degraded", "--", "sh", "-c", "echo $# $1", "x", "y z")
    assert done.returncode == 0 and done.stdout == "1 y z\n", done.stderr
    with Faasd(user=user) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        os.chown(tmp_path, UID, UID)
        done = run_as(user, FAASD, "backup", tmp_path / "saved", "--root", daemon.root)
        assert done.returncode == 0, done.stderr
    root = user.home / "second"
    done = run_as(user, FAASD, "restore", tmp_path / "saved", "--root", root)
    assert done.returncode == 0, done.stderr
    with Faasd(user=user, root=root) as daemon:
        assert daemon.invoke("hello", b"{}").status == 200


# ---- limits, where they can be had ----

v2 = pytest.mark.skipif(not IS_V2, reason="an ordinary user gets limits from cgroup v2 alone: tests/guest runs these")


@v2
def test_limits_hold(served):
    served.deploy_script("hungry", "#!/bin/sh\nhead -c 200000000 /dev/zero | tail | wc -c\n", "--memory", "32M")
    reply = served.invoke("hungry")
    assert (reply.status, reply.error) == (502, "OutOfMemory"), reply
    served.deploy_script("many", "#!/bin/sh\nfor i in $(seq 100); do sleep 5 & done; wait\n", "--pids", "20")
    reply = served.invoke("many")
    assert reply.status >= 500 and "pids" in reply.json()["errorMessage"], reply
    served.deploy_script("slow", "#!/bin/sh\nsetsid sleep 600 &\nsleep 600\n", "--timeout", "1s")
    reply = served.invoke("slow")
    assert (reply.status, reply.error) == (504, "Timeout"), reply
    served.deploy_script("half", "#!/bin/sh\ncat /dev/null\n", "--cpus", "0.5", "--min-warm", "1")
    wait_until(lambda: served.instances("half"), "an instance")
    pid = served.instances("half")[0]["pid"]
    group = rootless.V2 / pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::/")
    assert served.group.path in group.parents
    assert (group / "cpu.max").read_text().split() == ["50000", "100000"]
    assert (group / "memory.oom.group").read_text().strip() == "1"


@v2
def test_with_a_group_of_his_own_check_misses_nothing(user):
    group = rootless.Delegated()
    try:
        found = check(user, preexec_fn=group.join)
        assert not {name for name, f in found.items() if f["need"] != "optional" and not f["found"]}
    finally:
        group.close()
