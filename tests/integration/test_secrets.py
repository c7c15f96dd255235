# SPDX-License-Identifier: Apache-2.0
"""Secrets: from the command line's stdin, sealed, to a file in the functions that name them, and nowhere else."""

import concurrent.futures
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import sqlite3
import time

import pytest

from harness import DEADLINE, FAASD, PROGRAMS, Faasd, cgroup_directories, make_first_format, wait_until

FAILED, USAGE, NO_SUCH, DENIED = 1, 2, 3, 4
VALUE_MAX, TOTAL_MAX, NAMED_MAX, OVERHEAD = 65536, 1 << 20, 16, 128
LOOK = "#!/bin/sh\nfor f in /run/secrets/*; do [ ! -e $f ] || cat $f || exit 1; done\n"
# Long enough to be found in memory without a doubt, and never written whole in this file.
NEEDLE = b"-".join([b"needle", b"4b1d", b"in the", b"haystack"])

PYTHON = """
import os

def look():
    return {n: open("/run/secrets/" + n).read() for n in sorted(os.listdir("/run/secrets"))}

AT_INIT = look()

def handler(event, context):
    return {"init": AT_INIT, "now": look()}
"""

NODE = """
import { readFileSync } from "node:fs";
export const handler = async () => readFileSync("/run/secrets/db", "utf8");
"""

PROVIDED = """#!/usr/bin/python3
import http.client, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    event = api.getresponse()
    event.read()
    api.request("POST", f"/2018-06-01/runtime/invocation/{event.headers['Lambda-Runtime-Aws-Request-Id']}/response", open("/run/secrets/db").read())
    api.getresponse().read()
"""


def put(faasd, name, value, *options, check=True):
    return faasd.cli("secret", "set", name, *options, input=value, check=check)


def listed(faasd):
    return {s["name"]: s for s in json.loads(faasd.cli("secret", "ls", "--json").out)["secrets"]}


def write(directory, name, text, mode=0o644):
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(text)
    path.chmod(mode)
    return directory


def invoked(faasd, name, body=b""):
    reply = faasd.invoke(name, body)
    assert reply.status == 200, (reply, faasd.log_text())
    return reply.body


@pytest.fixture
def fresh(tmp_path):
    with Faasd() as daemon:
        yield daemon


# ---- the command line ----


def test_a_value_comes_from_stdin_byte_for_byte_and_ls_shows_its_name(fresh):
    value = bytes(range(256)) + b"\n\n"
    done = put(fresh, "db", value)
    assert done.out.startswith("db: made, sealed for key ")
    assert put(fresh, "db", value).out.startswith("db: set again")
    fresh.deploy_script("look", LOOK, "--secret", "db")
    assert invoked(fresh, "look") == value
    table = fresh.cli("secret", "ls")
    assert re.search(r"^db +258 +\d+s +look$", table.out, re.M), table.out
    assert re.search(r"^key [0-9a-f]{16}$", table.err, re.M)


def test_a_value_from_a_file_and_without_its_newline(fresh, tmp_path):
    (tmp_path / "value").write_bytes(b"from a file\n")
    fresh.cli("secret", "set", "a", "--file", tmp_path / "value")
    fresh.cli("secret", "set", "b", "--trim", "--file", tmp_path / "value")
    put(fresh, "c", b"two\r\n\n", "--trim")
    put(fresh, "d", b"dos\r\n", "--trim")
    fresh.deploy_script("look", "#!/bin/sh\ncd /run/secrets; for f in *; do printf '<'; cat $f; printf '>'; done", *[o for n in "abcd" for o in ("--secret", n)])
    assert invoked(fresh, "look") == b"<from a file\n><from a file><two\r\n><dos>"
    done = fresh.cli("secret", "set", "a", "--file", tmp_path / "none", check=False)
    assert done.returncode == FAILED and "ENOENT" in done.err


def test_a_value_on_the_command_line_is_refused_and_not_repeated(fresh):
    for words in (["db", "hunter2!"], ["db=hunter2!"], ["hunter2!"]):
        done = fresh.cli("secret", "set", *words, check=False, input=b"x")
        assert done.returncode == USAGE and "stdin" in done.err and "hunter2" not in done.err
    for words in (["deploy", "x", "/bin/true"], ["config", "x"]):
        done = fresh.cli(*words, "--secret", "hunter2!", check=False)
        assert done.returncode == USAGE and "faasd secret set" in done.err and "hunter2" not in done.err
    assert listed(fresh) == {} and "hunter2" not in fresh.log_text()


def test_what_is_wrong_is_said_with_what_to_do(fresh):
    empty = put(fresh, "db", b"", check=False)
    assert empty.returncode == FAILED and "empty" in empty.err
    assert put(fresh, "db", b"\n", "--trim", check=False).returncode == FAILED
    long = put(fresh, "db", b"x" * (VALUE_MAX + 1), check=False)
    assert long.returncode == FAILED and "65536 bytes" in long.err
    assert fresh.cli("secret", "rm", "db", check=False).returncode == NO_SUCH
    assert fresh.cli("secret", check=False).returncode == USAGE
    assert fresh.cli("secret", "get", "db", check=False).returncode == USAGE
    assert listed(fresh) == {}


def test_a_terminal_is_asked_without_an_echo(fresh):
    pid, master = pty.fork()
    if pid == 0:
        os.execv(str(FAASD), [str(FAASD), "secret", "set", "typed", "--root", str(fresh.root)])
    output, fed, end = b"", False, time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if not select.select([master], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        output += piece
        if not fed and b"not shown" in output:
            fed = True
            os.write(master, b"typed by hand\n")
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, output
    assert fed and b"typed by hand" not in output
    fresh.deploy_script("look", LOOK, "--secret", "typed")
    assert invoked(fresh, "look") == b"typed by hand"


def test_a_key_that_is_not_the_expected_one_gets_nothing(fresh):
    fingerprint = json.loads(fresh.cli("secret", "ls", "--json").out)["fingerprint"]
    other = put(fresh, "db", b"x", "--key", "0" * 16, check=False)
    assert other.returncode == DENIED and fingerprint in other.err and "nothing was sent" in other.err
    assert listed(fresh) == {}
    put(fresh, "db", b"x", "--key", fingerprint)


# ---- in a function ----


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Functions of every runtime and isolation with the secret `db`."""
    base = tmp_path_factory.mktemp("functions")
    with Faasd() as daemon:
        put(daemon, "db", b"first")
        daemon.deploy_script("exec", LOOK, "--secret", "db")
        daemon.deploy_script("exec-sandbox", LOOK, "--secret", "db", "--isolation", "sandbox")
        daemon.deploy("native", PROGRAMS / "reader", "--runtime", "native", "--secret", "db")
        daemon.deploy("native-fork", PROGRAMS / "reader", "--runtime", "native", "--isolation", "fork", "--secret", "db")
        write(base / "python", "app.py", PYTHON)
        for isolation in ("reuse", "fork", "sandbox"):
            daemon.deploy(f"python-{isolation}", base / "python", "--runtime", "python", "--handler", "app.handler", "--isolation", isolation, "--secret", "db")
        daemon.deploy("provided", write(base / "provided", "bootstrap", PROVIDED, 0o755), "--runtime", "provided", "--secret", "db")
        if shutil.which("node", path="/usr/bin"):
            daemon.deploy("node", write(base / "node", "index.mjs", NODE), "--runtime", "node", "--handler", "index.handler", "--secret", "db")
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def values_of_all(faasd):
    """What each function reads, by its name."""
    found = {}
    for function in json.loads(faasd.cli("ls", "--json").out)["functions"]:
        name = function["name"]
        if name.startswith("native"):
            found[name] = invoked(faasd, name, b"/run/secrets/db").removeprefix(b"1000 400 ").decode()
        elif name.startswith("python"):
            reply = json.loads(invoked(faasd, name, b"{}"))
            assert reply["init"] == reply["now"]
            found[name] = reply["now"]["db"]
        elif name == "node":
            found[name] = json.loads(invoked(faasd, name, b"{}"))
        else:
            found[name] = invoked(faasd, name, b"{}").decode()
    return found


def test_every_runtime_and_isolation_reads_it_before_its_first_line_of_code(served):
    found = values_of_all(served)
    assert len(found) >= 8 and set(found.values()) == {"first"}, found


def test_a_new_value_is_what_all_read_as_soon_as_set_returns(served):
    for value in ("second", "third"):
        done = put(served, "db", value.encode())
        found = values_of_all(served)
        assert set(found.values()) == {value}, found
        assert all(name in done.out for name in found)
    put(served, "db", b"first")


def test_the_file_is_the_functions_own_and_nobody_can_change_it(fresh):
    put(fresh, "db", b"value")
    fresh.deploy("read", PROGRAMS / "reader", "--runtime", "native", "--secret", "db", "--secret", "db=second.name")
    assert invoked(fresh, "read", b"/run/secrets/db") == b"1000 400 value"
    assert invoked(fresh, "read", b"/run/secrets/second.name") == b"1000 400 value"
    mounts = invoked(fresh, "read", b"/proc/self/mountinfo").decode()
    line = next(x for x in mounts.splitlines() if " /run/secrets " in x)
    assert re.search(r" ro,nosuid,nodev,noexec\S* .*- tmpfs ", line), line
    fresh.deploy_script("poke", "#!/bin/sh\necho x >/run/secrets/db; echo x >/run/secrets/new; rm -f /run/secrets/db; chmod 644 /run/secrets/db; mv /run/secrets/db /run/secrets/x\n"
                        "ls /run/secrets; cat /run/secrets/db", "--secret", "db")
    assert invoked(fresh, "poke") == b"db\nvalue"


def test_a_function_with_a_root_of_its_own_has_it_too(tmp_path):
    (tmp_path / "granted").mkdir()
    (tmp_path / "granted" / "file").write_text("granted ")
    with Faasd({"grants": {"mounts": [str(tmp_path / "granted")]}}) as faasd:
        put(faasd, "db", b"value")
        faasd.deploy_script("both", "#!/bin/sh\ncat /mnt/data/file /run/secrets/db", "--secret", "db", "--mount", f"{tmp_path}/granted:/mnt/data")
        assert invoked(faasd, "both") == b"granted value"


def test_who_does_not_name_it_does_not_have_it(fresh):
    put(fresh, "db", NEEDLE)
    fresh.deploy("has", PROGRAMS / "reader", "--runtime", "native", "--secret", "db", "--min-warm", "1")
    fresh.deploy_script("hasnot", "#!/bin/sh\nls -A /run/secrets /run/slots/*/run/secrets 2>/dev/null; cat /run/secrets/db /proc/*/root/run/secrets/db 2>/dev/null; grep -c secrets /proc/self/mountinfo; true")
    assert invoked(fresh, "has", b"/run/secrets/db").endswith(NEEDLE)
    assert NEEDLE not in invoked(fresh, "hasnot") and b"0\n" in invoked(fresh, "hasnot")


def test_a_shell_of_the_function_has_its_secrets(fresh):
    put(fresh, "db", b"shown in a shell")
    fresh.deploy_script("look", LOOK, "--secret", "db")
    pid, master = pty.fork()
    if pid == 0:
        os.execve(str(FAASD), [str(FAASD), "shell", "look", "--root", str(fresh.root)], {**os.environ, "TERM": "dumb"})
    output, fed, end = b"", False, time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if not fed and b"$ " in output:
            fed = True
            os.write(master, b"cat /run/secrets/*; exit\r")
        if not select.select([master], [], [], 0.2)[0]:
            continue
        try:
            output += os.read(master, 65536)
        except OSError:
            break
    os.close(master)
    os.waitpid(pid, 0)
    assert b"shown in a shell" in output


# ---- limits ----


def test_64_kib_each_and_16_of_them_in_one_function(fresh):
    for i in range(NAMED_MAX):
        put(fresh, f"s{i}", os.urandom(VALUE_MAX - 1) + bytes([i]))
    options = [o for i in range(NAMED_MAX) for o in ("--secret", f"s{i}")]
    fresh.deploy_script("all", "#!/bin/sh\ncd /run/secrets; ls | wc -l; cat * | wc -c; for f in s*; do tail -c1 $f | od -An -tu1; done", *options, "--memory", "16M")
    words = invoked(fresh, "all").decode().split()
    assert words[:2] == ["16", str(TOTAL_MAX)] and sorted(map(int, words[2:])) == list(range(16))
    more = fresh.deploy_script("more", LOOK, *options, "--secret", "s1=again", check=False)
    assert more.returncode == USAGE and "more than 16 secrets" in more.err
    # the limit of all is reached: one byte more is refused, one byte less elsewhere makes room for it
    full = put(fresh, "another", b"x", check=False)
    assert full.returncode == FAILED and "1048576 are the most (SECRET_TOTAL_MAX)" in full.err
    assert put(fresh, "s3", b"y" * VALUE_MAX, check=False).returncode == 0
    put(fresh, "s3", b"y" * (VALUE_MAX - 1))
    put(fresh, "another", b"x")
    assert put(fresh, "yet-another", b"x", check=False).returncode == FAILED
    # and after a restart all are there
    assert fresh.stop() == 0
    fresh.start()
    assert len(listed(fresh)) == NAMED_MAX + 1
    assert invoked(fresh, "all").decode().split()[:2] == ["16", str(TOTAL_MAX - 1)]


def test_the_memory_of_secrets_is_the_functions_own(fresh):
    """1 MiB of them in each of several sandboxes: charged to the sandboxes' groups, and the daemon does not grow by it."""
    for i in range(NAMED_MAX):
        put(fresh, f"s{i}", os.urandom(VALUE_MAX))
    options = [o for i in range(NAMED_MAX) for o in ("--secret", f"s{i}")]
    fresh.deploy_script("hold", "#!/bin/sh\nsleep 0.5", *options, "--max-concurrency", "8", "--memory", "16M")

    def shmem():
        text = pathlib.Path(f"/proc/{fresh.pid}/status").read_text()
        return sum(int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1)) for key in ("RssShmem", "RssAnon"))

    invoked(fresh, "hold")
    before = shmem()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(r.status == 200 for r in pool.map(lambda _: fresh.invoke("hold"), range(8)))
    assert len(fresh.instances("hold")) >= 4
    stats = [s for d in cgroup_directories("hold-") for s in [pathlib.Path(d) / "memory.stat"] if s.exists()]
    held = [int(re.search(r"^shmem (\d+)", s.read_text(), re.M).group(1)) for s in stats]
    assert len(held) >= 4 and all(TOTAL_MAX <= h < 2 * TOTAL_MAX for h in held), held
    assert shmem() < before + 1024  # KiB: less than one sandbox's secrets, of several sandboxes
    fresh.deploy_script("small", "#!/bin/sh\ntrue", *options, "--memory", "4M")
    assert fresh.invoke("small").status == 200


# ---- names and settings ----


def test_a_deploy_that_names_a_missing_one_is_refused_with_the_command(fresh, tmp_path):
    done = fresh.deploy_script("look", LOOK, "--secret", "nope", check=False)
    assert done.returncode == FAILED and "there is no secret 'nope'" in done.err and "faasd secret set nope" in done.err
    directory = write(tmp_path / "m", "run", LOOK, 0o755)
    write(directory, "faasd.json", '{"handler": "run", "secret": ["nope=x"]}')
    assert "faasd secret set nope" in fresh.deploy("look", directory, check=False).err
    assert fresh.control("GET", "/v1/functions/look").status == 404
    put(fresh, "nope", b"now there is one")
    fresh.deploy("look", directory)
    assert invoked(fresh, "look") == b"now there is one"
    patched = fresh.control("PATCH", "/v1/functions/look", '{"secret": ["gone"]}')
    assert patched.status == 400 and "faasd secret set gone" in patched.json()["errorMessage"]
    assert invoked(fresh, "look") == b"now there is one"


def test_settings_show_names_and_changes(fresh):
    put(fresh, "db", b"value")
    fresh.deploy_script("look", LOOK, "--secret", "db", "--secret", "db=other")
    assert fresh.describe("look")["settings"]["secret"] == ["db", "db=other"]
    assert "value" not in fresh.cli("describe", "look", "--show-env").out
    changed = fresh.cli("config", "look", "--secret", "db=third")
    assert "secret db, db=other -> db=third" in changed.out
    assert "secret db=third -> none" in fresh.cli("config", "look", "--no-secrets").out
    assert invoked(fresh, "look") == b""


def test_one_in_use_is_not_removed_without_force(fresh):
    put(fresh, "db", b"value")
    fresh.deploy_script("b", LOOK, "--secret", "db")
    fresh.deploy_script("a", LOOK, "--secret", "db=x")
    fresh.deploy_script("c", LOOK)
    done = fresh.cli("secret", "rm", "db", check=False)
    assert done.returncode == FAILED and "in use by a, b:" in done.err and "force" in done.err
    assert listed(fresh)["db"]["functions"] == ["a", "b"]
    fresh.cli("rm", "a")
    fresh.cli("config", "b", "--no-secrets")
    fresh.cli("secret", "rm", "db")
    assert listed(fresh) == {}


def test_with_force_its_functions_say_what_is_missing_until_it_is_back(fresh):
    put(fresh, "db", b"value")
    fresh.deploy_script("needs", LOOK, "--secret", "db", "--isolation", "sandbox", "--max-concurrency", "1")
    fresh.deploy_script("other", "#!/bin/sh\necho fine")
    fresh.cli("secret", "rm", "db", "--force")

    def refused():
        reply = fresh.invoke("needs")
        return reply.status == 502 and reply

    reply = wait_until(refused, "what was made ahead is used up")
    assert "there is no secret 'db'" in reply.json()["errorMessage"] and "faasd secret set db" in reply.json()["errorMessage"]
    assert invoked(fresh, "other") == b"fine\n"
    put(fresh, "db", b"back")
    assert invoked(fresh, "needs") == b"back"


# ---- rotation ----


@pytest.mark.parametrize("kind", ["exec", "python", "native-fork", "exec-sandbox"])
def test_a_rotation_under_load_fails_no_request_and_no_later_one_has_the_former_value(fresh, tmp_path, kind):
    put(fresh, "db", b"0")
    if kind == "python":
        fresh.deploy("f", write(tmp_path / "p", "app.py", PYTHON), "--runtime", "python", "--handler", "app.handler", "--secret", "db")
    elif kind == "native-fork":
        fresh.deploy("f", PROGRAMS / "reader", "--runtime", "native", "--isolation", "fork", "--secret", "db")
    else:
        fresh.deploy_script("f", LOOK, "--secret", "db", "--isolation", "sandbox" if kind == "exec-sandbox" else "reuse")
    settled, stop, bad, count = [0], [False], [], [0]

    def read(reply):
        if kind == "python":
            return int(reply.json()["now"]["db"])
        return int(reply.body.rsplit(b" ", 1)[-1])

    def load():
        body = b"/run/secrets/db" if kind == "native-fork" else b"{}"
        while not stop[0]:
            at_least = settled[0]
            reply = fresh.invoke("f", body)
            count[0] += 1
            if reply.status != 200 or read(reply) < at_least:
                bad.append((reply, at_least))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        users = [pool.submit(load) for _ in range(4)]
        try:
            for value in range(1, 16):
                put(fresh, "db", str(value).encode())
                settled[0] = value
        finally:
            stop[0] = True
        for user in users:
            user.result()
    assert not bad, (bad[:3], len(bad), count[0])
    assert count[0] > 15


def test_a_value_that_the_function_can_not_start_with_leaves_it_as_it_is(fresh, tmp_path):
    code = 'value = open("/run/secrets/db").read()\nassert value.startswith("good"), "a bad password"\ndef handler(event, context):\n    return value\n'
    put(fresh, "db", b"good 1")
    fresh.deploy("f", write(tmp_path / "p", "app.py", code), "--runtime", "python", "--handler", "app.handler", "--secret", "db")
    fresh.deploy_script("g", LOOK, "--secret", "db")
    assert json.loads(invoked(fresh, "f", b"{}")) == "good 1"
    assert invoked(fresh, "g") == b"good 1"
    done = put(fresh, "db", b"bad", check=False)
    assert done.returncode == FAILED and "f keeps instances with the former value" in done.err and "a bad password" in done.err
    assert "used from now on by: g" in done.out
    assert json.loads(invoked(fresh, "f", b"{}")) == "good 1"
    assert invoked(fresh, "g") == b"bad"
    put(fresh, "db", b"good 2")
    assert json.loads(invoked(fresh, "f", b"{}")) == "good 2"


def test_a_deploy_and_a_rotation_at_once_end_with_the_new_value(fresh, tmp_path):
    slow = 'import time\nvalue = open("/run/secrets/db").read()\nopen("/tmp/started", "w")\ntime.sleep(1)\ndef handler(event, context):\n    return value\n'
    put(fresh, "db", b"old")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        deploying = pool.submit(fresh.deploy, "f", write(tmp_path / "p", "app.py", slow), "--runtime", "python", "--handler", "app.handler", "--secret", "db")
        wait_until(fresh.sandbox_pids, "the trial runs")
        refused = fresh.cli("secret", "rm", "db", check=False)
        put(fresh, "db", b"new")
        deploying.result()
    assert refused.returncode == FAILED and "deploy that is under way" in refused.err
    assert json.loads(invoked(fresh, "f", b"{}")) == "new"


# ---- what stays over an end ----


@pytest.mark.parametrize("how", ["stop", "kill", "gateway"])
def test_they_outlive_a_restart(fresh, how):
    put(fresh, "db", b"value")
    fresh.deploy_script("look", LOOK, "--secret", "db", "--min-warm", "1")
    before = json.loads(fresh.cli("secret", "ls", "--json").out)
    if how == "gateway":
        gateway = fresh.gateway_pid()
        os.kill(gateway, signal.SIGKILL)
        wait_until(lambda: fresh.gateway_pid() not in (None, gateway), "a new gateway")
    else:
        fresh.stop(signal.SIGTERM if how == "stop" else signal.SIGKILL)
        fresh.start()

    def serves():
        try:
            return invoked(fresh, "look") == b"value"
        except OSError:
            return False

    wait_until(serves, "it serves again")
    after = json.loads(fresh.cli("secret", "ls", "--json").out)
    assert after == before


def test_a_credential_of_systemds_is_the_key(tmp_path):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "faasd-secrets-key").write_bytes(os.urandom(32))
    with Faasd(env={"CREDENTIALS_DIRECTORY": str(credentials)}) as faasd:
        put(faasd, "db", b"value")
        faasd.deploy_script("look", LOOK, "--secret", "db")
        assert invoked(faasd, "look") == b"value"
        assert not (faasd.root / "state" / "keys" / "secrets.key").exists()


def test_with_another_key_everything_is_named_and_can_be_set_again(fresh):
    put(fresh, "db", b"value")
    fresh.deploy_script("look", LOOK, "--secret", "db")
    fresh.deploy_script("other", "#!/bin/sh\necho fine")
    fresh.stop()
    (fresh.root / "state" / "keys" / "secrets.key").unlink()
    fresh.start()
    assert "sealed for another key, set it again name=db" in fresh.log_text()
    assert "set it again" in fresh.cli("secret", "ls").out and not listed(fresh)["db"]["usable"]
    reply = fresh.invoke("look")
    assert reply.status == 502 and "sealed for another key" in reply.json()["errorMessage"] and "faasd secret set db" in reply.json()["errorMessage"]
    refused = fresh.deploy_script("third", LOOK, "--secret", "db", check=False)
    assert refused.returncode == FAILED and "another key" in refused.err
    assert invoked(fresh, "other") == b"fine\n"
    put(fresh, "db", b"again")
    assert invoked(fresh, "look") == b"again" and listed(fresh)["db"]["usable"]


@pytest.mark.parametrize("contents, mode", [(b"short", 0o600), (b"x" * 33, 0o600), (b"x" * 32, 0o644)])
def test_a_key_that_is_none_stops_the_start_and_stays(contents, mode):
    faasd = Faasd()
    try:
        keys = faasd.root / "state" / "keys"
        faasd.start()
        faasd.stop()
        (keys / "secrets.key").write_bytes(contents)
        (keys / "secrets.key").chmod(mode)
        faasd.start(expect_ready=False)
        assert faasd.process.wait(DEADLINE) == 1
        faasd.reader.join()
        assert "secrets.key" in faasd.log_text() and (keys / "secrets.key").read_bytes() == contents
    finally:
        faasd.stop() if faasd.process.poll() is None else None
        shutil.rmtree(faasd.root)


# ---- a database that somebody changed ----


def database(faasd):
    return sqlite3.connect(faasd.root / "state" / "db" / "faasd.db")


def sealed_of(faasd):
    with database(faasd) as db:
        return dict(db.execute("SELECT name, sealed FROM secrets"))


def tamper(faasd, statement, *values):
    faasd.stop()
    with database(faasd) as db:
        db.execute(statement, values)
    db.close()
    gateway = os.stat(faasd.root / "state" / "db").st_uid
    for path in (faasd.root / "state" / "db").iterdir():
        os.chown(path, gateway, gateway)
    faasd.start()


@pytest.mark.parametrize("at", [0, 31, 32, 47, 48, 70, 127, 128, -1])
def test_a_changed_bit_is_found_and_costs_its_own_functions_only(fresh, at):
    put(fresh, "db", b"value")
    put(fresh, "ok", b"untouched")
    fresh.deploy_script("look", LOOK, "--secret", "db")
    fresh.deploy_script("fine", LOOK, "--secret", "ok")
    sealed = bytearray(sealed_of(fresh)["db"])
    sealed[at] ^= 1
    tamper(fresh, "UPDATE secrets SET sealed = ? WHERE name = 'db'", bytes(sealed))
    reply = fresh.invoke("look")
    assert reply.status == 502 and "secret 'db' can't be opened: it was damaged" in reply.json()["errorMessage"]
    assert invoked(fresh, "fine") == b"untouched"
    put(fresh, "db", b"again")
    assert invoked(fresh, "look") == b"again"


def test_two_rows_that_were_swapped_are_found(fresh):
    put(fresh, "db", b"of the database")
    put(fresh, "tls", b"of the web")
    fresh.deploy_script("look", LOOK, "--secret", "db")
    tamper(fresh, "UPDATE secrets SET sealed = ? WHERE name = 'db'", sealed_of(fresh)["tls"])
    reply = fresh.invoke("look")
    assert reply.status == 502 and "sealed under another name" in reply.json()["errorMessage"]


@pytest.mark.parametrize("name, sealed", [("db", b""), ("db", b"x" * OVERHEAD), ("db", b"x" * (OVERHEAD + VALUE_MAX + 1)), ("../db", b"x" * 200)])
def test_a_row_that_can_be_none_is_left_out_and_named(fresh, name, sealed):
    put(fresh, "ok", b"value")
    fresh.deploy_script("fine", LOOK, "--secret", "ok")
    tamper(fresh, "INSERT INTO secrets VALUES (?, '', ?, 1, 1)", name, sealed)
    assert "a stored secret cannot be used" in fresh.log_text() and "../" not in fresh.log_text()
    assert list(listed(fresh)) == ["ok"] and invoked(fresh, "fine") == b"value"


def test_a_database_of_before_gets_its_table(fresh):
    fresh.deploy_script("fine", "#!/bin/sh\necho fine")
    fresh.stop()
    with database(fresh) as db:
        make_first_format(db)
    db.close()
    gateway = os.stat(fresh.root / "state" / "db").st_uid
    for path in (fresh.root / "state" / "db").iterdir():
        os.chown(path, gateway, gateway)
    fresh.start()
    assert invoked(fresh, "fine") == b"fine\n"
    put(fresh, "db", b"value")
    fresh.cli("config", "fine", "--secret", "db")


# ---- the API ----


def test_the_api_takes_sealed_bytes_for_its_own_key_only(fresh):
    fingerprint = fresh.control("GET", "/v1/secrets").json()["fingerprint"]
    for path, body, status, word in [
        ("/v1/secrets/db", b"x" * 200, 400, "?key="),
        ("/v1/secrets/db?key=0000000000000000", b"x" * 200, 409, fingerprint),
        (f"/v1/secrets/db?key={fingerprint}", b"", 400, "sealed secret"),
        (f"/v1/secrets/db?key={fingerprint}", b"x" * OVERHEAD, 400, "sealed secret"),
        (f"/v1/secrets/db?key={fingerprint}", b"x" * (OVERHEAD + VALUE_MAX + 1), 413, "SECRET_VALUE_MAX"),
        (f"/v1/secrets/a.b?key={fingerprint}", b"x" * 200, 400, "is no name"),
        (f"/v1/secrets/{'x' * 65}?key={fingerprint}", b"x" * 200, 400, "is no name"),
    ]:
        reply = fresh.control("PUT", path, body)
        assert reply.status == status and word in reply.json()["errorMessage"], reply
    assert fresh.control("POST", "/v1/secrets/db", b"").status == 405
    assert fresh.control("GET", "/v1/secrets/db").status == 405
    assert fresh.control("DELETE", "/v1/secrets/db").status == 404
    assert listed(fresh) == {}


def test_nonsense_that_was_put_costs_the_function_that_names_it(fresh):
    fingerprint = fresh.control("GET", "/v1/secrets").json()["fingerprint"]
    assert fresh.control("PUT", f"/v1/secrets/db?key={fingerprint}", os.urandom(300)).status == 200
    done = fresh.deploy_script("look", LOOK, "--secret", "db", check=False)
    assert done.returncode == FAILED and "secret 'db' can't be opened" in done.err
    put(fresh, "a", b"value of a")
    assert fresh.control("PUT", f"/v1/secrets/b?key={fingerprint}", sealed_of(fresh)["a"]).status == 200
    done = fresh.deploy_script("look", LOOK, "--secret", "b", check=False)
    assert done.returncode == FAILED and "sealed under another name" in done.err


def test_nobody_without_a_credential_reaches_them(fresh):
    put(fresh, "db", b"value")
    for method, path in [("GET", "/v1/secrets"), ("PUT", "/v1/secrets/db?key=x"), ("DELETE", "/v1/secrets/db?force=1")]:
        assert fresh.request(method, path, b"x" * 200 if method == "PUT" else None).status == 401
        assert fresh.request(method, path, b"x" * 200 if method == "PUT" else None, socket_path=fresh.invoke_path).status == 403
    assert "db" in listed(fresh)


# ---- in clear nowhere ----


def memory_of(pid):
    """Every readable byte of a process's memory."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if "r" not in rights or "[v" in line:
                continue
            first, last = (int(x, 16) for x in span.split("-"))
            if last - first > 1 << 30:
                continue  # address space that a sanitizer reserves: there is none so large without one
            try:
                memory.seek(first)
                yield memory.read(last - first)
            except OSError:
                pass


def holds(pid, needle):
    return any(needle in piece for piece in memory_of(pid))


@pytest.mark.row("C9")
def test_a_value_is_in_clear_in_the_function_and_nowhere_else(fresh, tmp_path):
    put(fresh, "db", NEEDLE)
    fresh.deploy("has", PROGRAMS / "reader", "--runtime", "native", "--secret", "db", "--min-warm", "1")
    fresh.deploy("python", write(tmp_path / "p", "app.py", PYTHON), "--runtime", "python", "--handler", "app.handler", "--secret", "db")
    for _ in range(3):
        assert invoked(fresh, "has", b"/run/secrets/db").endswith(NEEDLE)
        assert NEEDLE.decode() in invoked(fresh, "python", b"{}").decode()
    put(fresh, "db", NEEDLE + b"2")
    assert fresh.invoke("has", b"/run/secrets/none").body == b"ENOENT"
    for directory in ("state", "run"):
        for path in (fresh.root / directory).rglob("*"):
            if path.is_file():
                assert NEEDLE not in path.read_bytes(), path
    for text in (fresh.log_text(), fresh.cli("describe", "has", "--show-env").out, fresh.cli("ls", "--json").out, fresh.cli("secret", "ls", "--json").out, fresh.cli("logs", "has").out):
        assert NEEDLE.decode() not in text
    seen = 0
    for pid in [p for first in [fresh.pid, *fresh.children()] for p in (first, *fresh.children(first))]:
        try:
            text = b"".join(pathlib.Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # an instance with the former value that ends just now
        seen += 1
        assert NEEDLE not in text
    assert seen >= 4
    # What a debugger or a core file would find. The check itself can see it where it is: in this very process.
    assert holds(os.getpid(), NEEDLE)
    key = (fresh.root / "state" / "keys" / "secrets.key").read_bytes()
    gateway = fresh.gateway_pid()
    assert not holds(gateway, key)
    assert holds(fresh.pid, key)
    # The gateway carried each reply of `has`; freed or not, a buffer may still hold one. A gateway that has not seen a reply has nothing of it.
    os.kill(gateway, signal.SIGKILL)
    wait_until(lambda: fresh.gateway_pid() not in (None, gateway), "a new gateway")
    wait_until(lambda: fresh.instances("has"), "an instance with the secret")
    assert not holds(fresh.gateway_pid(), NEEDLE)
    assert not holds(fresh.pid, NEEDLE)


@pytest.mark.row("K15")
def test_the_daemons_processes_leave_no_core(fresh):
    for pid in (fresh.pid, fresh.gateway_pid()):
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +[01] +[01] ", limits, re.M)
        assert pathlib.Path(f"/proc/{pid}/environ").stat().st_uid == 0, "its files in /proc are root's: it is not dumpable, so that no helper gets a core either"


def test_the_keys_page_is_in_no_core_and_in_no_child(fresh):
    """The page with the key is marked dd (do not dump) and wf (wiped in a forked process); state/keys is root's alone."""
    keys = fresh.root / "state" / "keys"
    assert os.stat(keys).st_mode & 0o7777 == 0o700 and os.stat(keys / "secrets.key").st_mode & 0o7777 == 0o600 and os.stat(keys).st_uid == 0
    blocks = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", pathlib.Path(f"/proc/{fresh.pid}/smaps").read_text(), flags=re.M)
    flags = [re.search(r"^VmFlags: (.*)$", b, re.M).group(1).split() for b in blocks if "VmFlags" in b]
    assert any("dd" in f and "wf" in f for f in flags)


def test_the_plan_shows_where_but_not_what(fresh):
    plan = fresh.cli("run", "--plan", "--secret", "db=server.key", PROGRAMS / "reader").out
    assert re.search(r"secret +/run/secrets/server.key ", plan) and re.search(r"tmpfs +/run/secrets nosuid,nodev,noexec", plan)


# ---- a backup ----


@pytest.mark.parametrize("with_key", [True, False])
def test_a_backup_has_them_sealed_and_the_key_only_when_asked(fresh, tmp_path, with_key):
    put(fresh, "db", NEEDLE)
    fresh.deploy_script("look", LOOK, "--secret", "db")
    fresh.cli("backup", tmp_path / "all.tar", *(["--with-key"] if with_key else []))
    key = (fresh.root / "state" / "keys" / "secrets.key").read_bytes()
    archive = (tmp_path / "all.tar").read_bytes()
    assert NEEDLE not in archive and (key in archive) == with_key
    with Faasd() as other:
        other.stop()
        shutil.rmtree(other.root / "state")
        other.cli("restore", tmp_path / "all.tar")
        other.start()
        reply = other.invoke("look")
        if with_key:
            assert reply.status == 200 and reply.body == NEEDLE
        else:
            assert reply.status == 502 and "sealed for another key" in reply.json()["errorMessage"]
            put(other, "db", b"set again")
            assert invoked(other, "look") == b"set again"
