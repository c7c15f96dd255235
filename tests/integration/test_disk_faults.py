# SPDX-License-Identifier: Apache-2.0
"""A disk that fails under one write or one flush after the other: the client is told, what was acknowledged is there, and faasd goes on."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile

import pytest

from harness import FAASD, Faasd, wait_until

ANSWERS = {("ENOSPC", "pwrite64"): (507,), ("ENOSPC", "fdatasync"): (507,), ("EIO", "pwrite64"): (500, 503), ("EIO", "fdatasync"): (500, 503)}
WRITES = 5  # of an operation at most: the log's frames, its header, the index


@contextlib.contextmanager
def failing(faasd, call, error, number):
    """Each thread of the gateway finds its `number`th `call` failing with `error`."""
    tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}", "-p", str(faasd.gateway_pid())],
                              stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in tracer.stderr.readline()
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def enqueue(faasd, kept):
    reply = faasd.request("POST", "/async-function/echo", b"{}")
    if reply.status == 202:
        kept["calls"].append(reply.json()["id"])
    return reply


def create_token(faasd, kept):
    reply = faasd.control("POST", "/v1/tokens", json.dumps({"scopes": ["read"]}))
    if reply.status < 300:
        kept["tokens"].append(reply.json()["id"])
    return reply


class Refused:
    # What a command line that failed was told.

    def __init__(self, done):
        self.body = done.err
        self.status = 507 if "full" in done.err else 500
        self.error = "told" if done.err.startswith("faasd secret") else None

    def json(self):
        return {"errorMessage": self.body}


def set_secret(faasd, kept):
    name = f"s{len(kept['secrets'])}"
    done = faasd.cli("secret", "set", name, input=b"value", check=False)
    reply = Refused(done)
    if done.returncode == 0:
        reply.status = 200
        kept["secrets"].append(name)
    return reply


def change(faasd, kept):
    reply = faasd.control("PATCH", "/v1/functions/changed", json.dumps({"description": f"number {len(kept['changes'])}"}))
    if reply.status < 300:
        kept["changes"].append(f"number {len(kept['changes'])}")
    return reply


OPERATIONS = (enqueue, create_token, set_secret, change)


def check_kept(faasd, kept):
    for call in kept["calls"]:
        wait_until(lambda: faasd.control("GET", f"/v1/calls/{call}").json()["status"] == "succeeded", f"{call} ran")
    tokens = {t["id"] for t in faasd.control("GET", "/v1/tokens").json()["tokens"]}
    assert set(kept["tokens"]) <= tokens
    assert set(kept["secrets"]) <= {s["name"] for s in faasd.control("GET", "/v1/secrets").json()["secrets"]}
    assert faasd.describe("changed")["settings"]["description"] == kept["changes"][-1]


@pytest.mark.row("S4", "S5", "X2")
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_what_a_failing_disk_did_not_take_is_not_acknowledged(error):
    kept = {"calls": [], "tokens": [], "secrets": [], "changes": []}
    refused = []
    with Faasd(config={"async": {"retry_min": "20ms", "retry_max": "50ms"}}) as faasd:
        faasd.deploy_script("echo", "#!/bin/sh\ncat\n")
        faasd.deploy_script("changed", "#!/bin/sh\n")
        for operation in OPERATIONS:
            assert operation(faasd, kept).status < 300
        for call in ("pwrite64", "fdatasync"):
            for number in range(1, WRITES + 1):
                with failing(faasd, call, error, number):
                    replies = [operation(faasd, kept) for operation in OPERATIONS]
                for reply in replies:
                    if reply.status >= 300:
                        refused.append(reply.status)
                        assert reply.status in ANSWERS[error, call], (call, number, reply, reply.body)
                        assert reply.error and reply.json()["errorMessage"]
                for operation in OPERATIONS:
                    again = operation(faasd, kept)
                    assert again.status < 300, (call, number, operation, again.body)
        assert len(refused) > 4, "something was refused"
        check_kept(faasd, kept)
        assert faasd.stop() == 0
        faasd.start()
        check_kept(faasd, kept)


# -- files: logs and their turning over, staging, what an upload is unpacked to --

@contextlib.contextmanager
def failing_once(pid, call, error, *paths, when=1):
    """The `when`th `call` of the process, or of one that it makes, fails (of one of the paths, where some are given)."""
    only = [word for path in paths for word in ("-P", str(path))]
    said = tempfile.NamedTemporaryFile("r")
    tracer = subprocess.Popen(["strace", "-f", "-o", said.name, *only, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}", "-p", str(pid)],
                              stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in tracer.stderr.readline()
        yield
        wait_until(lambda: "INJECTED" in said.read(), f"a {call} failed")
    finally:
        tracer.terminate()
        tracer.communicate()
        said.close()


LOUD = "#!/bin/sh\nread n\nfor i in 1 2 3 4 5 6 7 8 9 10; do printf '%s %01000d\\n' \"$n\" 0 >&2; done\n"


@pytest.mark.row("S4", "S5", "X2")
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("call", ["write", "renameat"])
def test_a_log_goes_on_after_a_write_or_a_turning_over_that_failed(call, error):
    with Faasd(config={"logs": {"function_bytes": "64K"}}) as faasd:
        faasd.deploy_script("loud", LOUD)
        assert faasd.invoke("loud", b"first\n").status == 200
        wait_until(lambda: "first 0" in faasd.cli("logs", "loud").out, "its log begins")
        files = list((faasd.root / "state/logs/loud").iterdir()) if call == "write" else []
        with failing_once(faasd.gateway_pid(), call, error, *files):
            for number in range(12):
                assert faasd.invoke("loud", f"during-{number}\n".encode()).status == 200, "nobody who calls notices"
        for number in range(12):
            assert faasd.invoke("loud", f"after-{number}\n".encode()).status == 200
        wait_until(lambda: "after-11 0" in faasd.cli("logs", "loud", "-n", "3").out, "the newest lines are there")
        kept = sum(p.stat().st_size for p in (faasd.root / "state/logs/loud").iterdir())
        assert kept <= 80 << 10, kept


@pytest.mark.row("S4", "S5", "X2")
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_deploy_whose_tree_can_not_be_named_changes_nothing(error, tmp_path):
    script = tmp_path / "run"
    script.write_text("#!/bin/sh\necho lost\n")
    script.chmod(0o755)
    with Faasd() as faasd:
        faasd.deploy_script("kept", "#!/bin/sh\necho one\n")
        with failing_once(faasd.pid, "renameat", error):
            done = faasd.cli("deploy", "kept", script, "--runtime", "exec", check=False)
        assert done.returncode == 1 and error in done.err, done.err
        assert ("StorageFull" in done.err) == (error == "ENOSPC"), done.err
        assert faasd.invoke("kept").body == b"one\n"
        assert len(list((faasd.root / "state/versions").iterdir())) == 1
        # Throwing away what was staged is a rename too, by another process: it may have met the same fault, and is the next start's then.
        assert faasd.stop() == 0
        faasd.start()
        wait_until(lambda: not list((faasd.root / "state/staging").iterdir()), "nothing is left of it")
        assert faasd.invoke("kept").body == b"one\n"
        faasd.deploy_script("kept", "#!/bin/sh\necho two\n")
        assert faasd.invoke("kept").body == b"two\n"


@pytest.mark.row("S4")
def test_an_upload_that_fills_the_disk_is_refused_and_leaves_nothing(tmp_path):
    root = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-"))
    room = FAASD.stat().st_size + (20 << 20)  # the daemon keeps a copy of its program there, and a sanitized one is large
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room},mode=755", "small", root], check=True)
    try:
        with Faasd(root=root) as faasd:
            faasd.deploy_script("kept", "#!/bin/sh\necho one\n")
            (tmp_path / "run").write_text("#!/bin/sh\necho two\n")
            (tmp_path / "run").chmod(0o755)
            (tmp_path / "big").write_bytes(os.urandom(30 << 20))
            for _ in range(2):
                done = faasd.cli("deploy", "kept", tmp_path, "--runtime", "exec", "--handler", "run", check=False)
                assert done.returncode == 1 and "StorageFull" in done.err, done.err
                assert faasd.invoke("kept").body == b"one\n"
                wait_until(lambda: not list((root / "state/staging").iterdir()) and not list((root / "state/trash").iterdir()), "nothing is left of it")
            (tmp_path / "big").write_bytes(os.urandom(1 << 20))
            faasd.cli("deploy", "kept", tmp_path, "--runtime", "exec", "--handler", "run")
            assert faasd.invoke("kept").body == b"two\n"
    finally:
        subprocess.run(["umount", root], check=True)
        root.rmdir()


def upload(path):
    """A tree whose archive is stored with more writes than the supervisor makes for a deploy."""
    (path / "run").write_text("#!/bin/sh\necho two\n")
    (path / "run").chmod(0o755)
    (path / "data").write_bytes(os.urandom(3 << 20))
    (path / "sub").mkdir()
    (path / "sub/more").write_text("more")
    return path


# The archive as it comes, then of what it holds: bytes and names, and flushes of a file, of directories, of the program.
UNPACKING = [("write", 40), ("pwrite64", 2), ("pwrite64", 20), ("ftruncate", 1), ("symlinkat", 1), *(("fsync", n) for n in (1, 3, 5, 6))]


@pytest.mark.row("S4", "S5")
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_an_upload_whose_unpacking_meets_a_fault_of_the_disk_is_refused_and_leaves_nothing(error, tmp_path):
    upload(tmp_path)
    (tmp_path / "link").symlink_to("data")
    with Faasd() as faasd:
        faasd.deploy_script("kept", "#!/bin/sh\necho one\n")
        for call, number in UNPACKING:
            with failing_once(faasd.pid, call, error, when=number):
                done = faasd.cli("deploy", "kept", tmp_path, "--runtime", "exec", "--handler", "run", check=False)
            assert done.returncode == 1, (call, number, done.out)
            assert error in done.err and ("StorageFull" if error == "ENOSPC" else "InternalError") in done.err, (call, number, done.err)
            assert error == "ENOSPC" or "disk failed" in done.err, (call, number, done.err)
            assert faasd.invoke("kept").body == b"one\n"
            wait_until(lambda: not list((faasd.root / "state/staging").iterdir()) and not list((faasd.root / "state/trash").iterdir()), "nothing is left of it")
            assert len(list((faasd.root / "state/versions").iterdir())) == 1
        faasd.cli("deploy", "kept", tmp_path, "--runtime", "exec", "--handler", "run")
        assert faasd.invoke("kept").body == b"two\n"


def test_a_trial_that_the_host_fails_is_no_fault_of_the_upload(tmp_path):
    script = tmp_path / "run"
    script.write_text("#!/bin/sh\necho two\n")
    script.chmod(0o755)
    with Faasd() as faasd:
        faasd.deploy_script("kept", "#!/bin/sh\necho one\n")
        with failing_once(faasd.pid, "fchown", "EIO", when=3):  # the staging directory's, the unpacker's log, the instance's log
            done = faasd.cli("deploy", "kept", script, "--runtime", "exec", check=False)
        assert done.returncode == 1 and "start the function: hand the log pipe over: EIO (InternalError)" in done.err, done.err
        assert faasd.invoke("kept").body == b"one\n"
