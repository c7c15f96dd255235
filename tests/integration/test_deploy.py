# SPDX-License-Identifier: Apache-2.0
"""Deploying: what an archive may hold, what a failure leaves (nothing), what a restart finds (everything that was acknowledged)."""

import gzip
import http.client
import io
import json
import os
import signal
import socket
import stat
import subprocess
import tarfile
import threading
import time
import zipfile

import pytest

from harness import HELLO, Faasd, is_alive, receive_all, wait_until

OLD = b"#!/bin/sh\necho old\n"
NEW = b"#!/bin/sh\necho new\n"


# -- archives --

def entry(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o755
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def link(name, target, kind=tarfile.SYMTYPE):
    return entry(name, type=kind, linkname=target)


def tar(*entries, compress=False):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if compress else "w") as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def program(text=NEW):
    return entry("run", text)


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100755 << 16
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return out.getvalue()


# -- talking to it --

def put(faasd, name, archive, query="", **settings):
    headers = {"Content-Type": "application/octet-stream"}
    if settings:
        headers["Faasd-Settings"] = json.dumps(settings)
    return faasd.control("PUT", f"/v1/functions/{name}{query}", body=archive, headers=headers)


def deploy(faasd, name, archive, **settings):
    reply = put(faasd, name, archive, **settings)
    assert reply.status in (200, 201), reply
    return reply.json()


def trees(faasd, kind):
    return sorted(os.listdir(faasd.root / "state" / kind))


def assert_no_residue(faasd):
    wait_until(lambda: not trees(faasd, "staging"), "staging is empty")
    wait_until(lambda: not trees(faasd, "trash"), "the trash is empty")


def assert_serves(faasd, name, text):
    reply = faasd.invoke(name)
    assert (reply.status, reply.body) == (200, text), reply


@pytest.fixture(scope="module")
def daemon():
    config = {"archive_bytes": "2M", "code_bytes": "4M", "code_entries": 50, "unpack_timeout": "5s", "versions_kept": 2,
              "grants": {"mounts": ["/usr/share"], "timeout_zero": True}}
    with Faasd(config) as faasd:
        yield faasd
        assert faasd.process.poll() is None, faasd.log_text()


# -- what an archive may be --

@pytest.mark.parametrize("archive", [
    pytest.param(tar(program()), id="tar"),
    pytest.param(tar(program(), compress=True), id="tar.gz"),
    pytest.param(zipped(run=NEW), id="zip"),
    pytest.param(NEW, id="script"),
    pytest.param(tar(entry("bin", type=tarfile.DIRTYPE), entry("bin/prog", NEW), link("run", "bin/prog"),
                     link("awk", "/usr/bin/awk"), entry("faasd.json", b'{"handler": "run"} // yes')), id="links-inside-and-under-usr"),
])
def test_good_archives_run(daemon, archive):
    deploy(daemon, "good", archive)
    assert_serves(daemon, "good", b"new\n")
    assert daemon.control("DELETE", "/v1/functions/good").status == 200


BAD = {
    "empty": (b"", "empty"),
    "no-archive": (b"plain words, and many of them" * 50, "zip archive"),
    "no-file": (tar(entry("d", type=tarfile.DIRTYPE)), "no file"),
    "dot-dot": (tar(program(), entry("../evil", b"x")), "../evil"),
    "dot-dot-inside": (tar(program(), entry("a/../../evil", b"x")), "a/../../evil"),
    "absolute": (tar(program(), entry("/evil", b"x")), "/evil"),
    "link-out": (tar(program(), link("l", "../../../etc/passwd")), "../../../etc/passwd"),
    "link-absolute": (tar(program(), link("l", "/etc/shadow")), "/etc/shadow"),
    "link-then-through": (tar(program(), link("l", "/usr"), entry("l/evil", b"x")), "l"),
    "hard-link-out": (tar(program(), link("l", "/etc/passwd", tarfile.LNKTYPE)), "/etc/passwd"),
    "device": (tar(program(), entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)), "null"),
    "fifo": (tar(program(), entry("pipe", type=tarfile.FIFOTYPE)), "pipe"),
    "twice": (tar(program(), entry("a", b"1"), entry("a", b"2")), "a"),
    "two-without-handler": (tar(entry("a", NEW), entry("b", NEW)), "--handler"),
    "missing-handler": (tar(program(), entry("faasd.json", b'{"handler": "nowhere"}')), "nowhere"),
    "bad-manifest": (tar(program(), entry("faasd.json", b'{"memory": }')), "faasd.json"),
    "unknown-key": (tar(program(), entry("faasd.json", b'{"memroy": "64M"}')), "memory"),
    "setuid": (tar(entry("run", NEW, mode=0o4755)), "run"),
    "torn-gzip": (tar(entry("run", NEW + os.urandom(50000)), compress=True)[:30000], ""),
    "torn-tar": (tar(entry("run", NEW + b"x" * 50000))[:20000], ""),
    "torn-zip": (zipped(run=NEW + os.urandom(50000))[:30000], ""),
}


@pytest.mark.row("D1", "D3", "D7")
@pytest.mark.parametrize("case", BAD)
def test_bad_archives_are_refused_whole_with_the_reason(daemon, case):
    archive, said = BAD[case]
    deploy(daemon, "kept", tar(program(OLD)))
    before = trees(daemon, "versions")
    reply = put(daemon, "kept", archive)
    assert (reply.status, reply.error) == (400, "BadRequest"), reply
    assert said in reply.json()["errorMessage"], reply
    assert_serves(daemon, "kept", b"old\n")
    assert_no_residue(daemon)
    assert set(trees(daemon, "versions")) <= set(before)
    # Nor is a function left that never had a version.
    assert put(daemon, "never", archive).status == 400
    assert daemon.control("GET", "/v1/functions/never").status == 404
    assert daemon.invoke("never").status == 404


@pytest.mark.parametrize("archive, said", [
    pytest.param(tar(entry("run", NEW + os.urandom(3 << 20))), "archive_bytes", id="upload"),
    pytest.param(tar(entry("run", NEW + b"\0" * (8 << 20)), compress=True), "code_bytes", id="unpacked"),
    pytest.param(tar(program(), *[entry(f"f{i}", b"x") for i in range(60)]), "code_entries", id="entries"),
    pytest.param(gzip.compress(b"\0" * (64 << 20), 9), "", id="bomb"),
])
def test_limits_are_named(daemon, archive, said):
    reply = put(daemon, "large", archive)
    assert reply.status in (400, 413), reply
    assert said in reply.json()["errorMessage"], reply
    assert daemon.control("GET", "/v1/functions/large").status == 404
    assert_no_residue(daemon)


def test_code_is_owned_by_nobody_who_runs_and_modes_are_normal(daemon):
    code = deploy(daemon, "modes", tar(program(), entry("data", b"x", mode=0o666), entry("d", type=tarfile.DIRTYPE, mode=0o777)), handler="run")
    tree = daemon.root / "state" / "versions" / daemon.describe("modes")["code"]
    assert code["number"] == 1
    for path, mode in [("run", 0o755), ("data", 0o644), ("d", 0o755), (".", 0o755)]:
        assert stat.S_IMODE((tree / path).stat().st_mode) == mode, path


# -- one of the two, never neither --

def test_the_old_version_serves_until_the_new_one_is_complete(daemon):
    deploy(daemon, "swap", tar(program(OLD)))
    stop = threading.Event()
    seen, wrong = [], []

    def call():
        while not stop.is_set():
            reply = daemon.invoke("swap")
            seen.append(reply.body)
            if reply.status != 200 or reply.body not in (b"old\n", b"new\n"):
                wrong.append(reply)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for t in threads:
        t.start()
    wait_until(lambda: len(seen) > 20, "requests are served")
    for i in range(6):
        deploy(daemon, "swap", tar(program(NEW if i % 2 == 0 else OLD)))
    deploy(daemon, "swap", tar(program(NEW)))
    assert_serves(daemon, "swap", b"new\n")
    stop.set()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]
    assert b"old\n" in seen


def test_a_version_that_does_not_start_never_becomes_current(daemon):
    deploy(daemon, "native", tar(program(OLD)))
    number = daemon.describe("native")["number"]
    reply = put(daemon, "native", tar(entry("run", b"#!/bin/sh\necho no frames here >&2\nexit 7\n")), runtime="native")
    assert (reply.status, reply.error) == (400, "FunctionCrashed"), reply
    assert "could not be started" in reply.json()["errorMessage"]
    assert_serves(daemon, "native", b"old\n")
    assert daemon.describe("native")["number"] == number
    # As a first deploy it leaves no function behind.
    assert put(daemon, "stillborn", tar(entry("run", b"#!/bin/sh\nexit 7\n")), runtime="native").status == 400
    assert daemon.control("GET", "/v1/functions/stillborn").status == 404
    assert_no_residue(daemon)
    wait_until(lambda: not any("stillborn" in p for p in trees(daemon, "logs")), "no log of it stays")


def test_a_dry_run_says_what_would_change_and_changes_nothing(daemon):
    deploy(daemon, "dry", tar(program(OLD)), memory="64M")
    before = daemon.describe("dry")
    reply = put(daemon, "dry", tar(program(NEW)), "?dry_run=1", memory="96M")
    assert reply.status == 200, reply
    assert reply.json()["dry_run"] is True
    assert any("memory 64M -> 96M" in line for line in reply.json()["changed"])
    assert daemon.describe("dry")["revision"] == before["revision"]
    assert put(daemon, "dry-new", tar(program(NEW)), "?dry_run=1").status == 200
    assert daemon.control("GET", "/v1/functions/dry-new").status == 404
    assert_no_residue(daemon)


def test_the_same_again_is_no_new_version(daemon):
    first = deploy(daemon, "same", tar(program(), entry("x", b"1")), handler="run")
    again = put(daemon, "same", tar(entry("x", b"1"), program(), compress=True))
    assert again.status == 200
    assert again.json()["number"] == first["number"] == 1
    assert again.json()["revision"] == first["revision"]
    assert again.json()["changed"] == [] and again.json()["created"] is False
    assert_no_residue(daemon)


def slow_put(faasd, name, archive):
    """The head and all of the archive but its last byte; the connection and that byte."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(30)
    sock.connect(faasd.control_path)
    sock.sendall(f"PUT /v1/functions/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(archive)}\r\n\r\n".encode() + archive[:-1])
    return sock, archive[-1:]


@pytest.mark.parametrize("framing", ["Content-Length: 1000000000", "Transfer-Encoding: chunked"])
def test_a_refused_upload_leaves_the_name_free(daemon, framing):
    """The unpacker takes a moment to be killed: nobody who tries again at once meets it."""
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(daemon.control_path)
            sock.sendall(f"PUT /v1/functions/again HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode())
            if "chunked" in framing:
                sock.sendall(b"400\r\n" + bytes(1024) + b"\r\n")
                wait_until(lambda: trees(daemon, "staging"), "its unpacker is at work")
                sock.sendall(b"80000000\r\n")  # is refused by what it says, not when it has come
            assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")
            assert put(daemon, "again", tar(program(OLD))).status in (200, 201)
    wait_until(lambda: not trees(daemon, "staging"), "nothing is left of them")


def test_two_deploys_of_one_name_do_not_mix(daemon):
    sock, rest = slow_put(daemon, "twice", tar(program()))
    wait_until(lambda: trees(daemon, "staging"), "the first one's unpacker is at work")
    reply = put(daemon, "twice", tar(program(OLD)))
    assert (reply.status, reply.error) == (409, "Conflict"), reply
    assert put(daemon, "another", tar(program(OLD))).status == 201
    sock.sendall(rest)
    assert b" 201 " in receive_all(sock).split(b"\r\n")[0]
    assert_serves(daemon, "twice", b"new\n")
    assert put(daemon, "twice", tar(program(OLD))).status == 200


@pytest.mark.row("D12")
def test_a_client_that_leaves_leaves_nothing(daemon):
    deploy(daemon, "left", tar(program(OLD)))
    before = trees(daemon, "versions")
    sock, _ = slow_put(daemon, "left", tar(program()))
    wait_until(lambda: trees(daemon, "staging"), "the unpacker is at work")
    sock.close()
    assert_no_residue(daemon)
    assert set(trees(daemon, "versions")) <= set(before)
    assert_serves(daemon, "left", b"old\n")
    assert put(daemon, "left", tar(program())).status == 200


@pytest.mark.row("D12")
def test_a_client_that_stalls_is_told_and_leaves_nothing(daemon):
    sock, _ = slow_put(daemon, "stall", tar(program()))
    answer = receive_all(sock)
    assert answer.split(b" ")[1] in (b"400", b"408"), answer
    sock.close()
    assert_no_residue(daemon)
    assert daemon.control("GET", "/v1/functions/stall").status == 404


# -- settings --

def settings(faasd, name):
    return faasd.describe(name)["settings"]


def test_without_a_manifest_earlier_settings_stay(daemon):
    deploy(daemon, "stay", tar(program()), memory="64M", timeout="7s")
    changed = deploy(daemon, "stay", tar(program(OLD)), timeout="8s")["changed"]
    assert any("timeout 7s -> 8s" in c for c in changed) and not any("memory" in c for c in changed)
    assert (settings(daemon, "stay")["memory"], settings(daemon, "stay")["timeout"]) == ("64M", "8s")


def test_a_manifest_is_the_whole_truth_and_flags_go_over_it(daemon):
    deploy(daemon, "truth", tar(program()), memory="64M", env={"A": "1"})
    manifest = entry("faasd.json", b'{"timeout": "7s", "memory": "80M", "env": {"B": "2"}}')
    deploy(daemon, "truth", tar(program(), manifest), timeout="9s")
    s = settings(daemon, "truth")
    assert (s["memory"], s["timeout"], list(s["env"])) == ("80M", "9s", ["B"])


def test_patch_changes_settings_and_null_takes_one_back(daemon):
    deploy(daemon, "patched", tar(entry("run", b"#!/bin/sh\necho $A$B\n")), memory="64M", env={"A": "1", "B": "2"})
    reply = daemon.control("PATCH", "/v1/functions/patched", body='{"memory": null, "env": {"A": null, "B": "3"}}')
    assert reply.status == 200, reply
    assert reply.json()["number"] == 2 and reply.json()["created"] is False
    assert settings(daemon, "patched")["memory"] == "128M"
    assert_serves(daemon, "patched", b"3\n")
    # Nothing new, no new number.
    assert daemon.control("PATCH", "/v1/functions/patched", body='{"env": {"B": "3"}}').json()["number"] == 2
    for body, status in [("", 400), ("{", 400), ('{"memroy": "1G"}', 400), ('{"memory": "9999G"}', 400)]:
        assert daemon.control("PATCH", "/v1/functions/patched", body=body).status == status, body
    assert daemon.control("PATCH", "/v1/functions/nobody", body='{"memory": "64M"}').status == 404


@pytest.mark.parametrize("given, key", [
    ({"mount": ["/etc:/mnt"]}, "grants.mounts has no '/etc'"),
    ({"mount": ["/usr/share:/mnt:rw"]}, "/usr/share:rw"),
    ({"mount": ["/usr/shared:/mnt"]}, "grants.mounts has no '/usr/shared'"),
    ({"network": "host"}, "grants.network_host"),
    ({"device": ["/dev/kmsg"]}, "grants.devices has no '/dev/kmsg'"),
    ({"cpuset": "0"}, "grants.cpuset"),
])
def test_what_is_not_granted_is_refused_by_key(daemon, given, key):
    reply = put(daemon, "greedy", tar(program()), **given)
    assert (reply.status, reply.error) == (403, "Forbidden"), reply
    assert key in reply.json()["errorMessage"]
    manifest = entry("faasd.json", json.dumps(given).encode())
    reply = put(daemon, "greedy", tar(program(), manifest))
    assert reply.status == 403 and key in reply.json()["errorMessage"], reply
    assert daemon.control("GET", "/v1/functions/greedy").status == 404


def test_what_is_granted_works(daemon):
    deploy(daemon, "granted", tar(entry("run", b"#!/bin/sh\nls /mnt | head -n 1 | wc -l\n")), mount=["/usr/share/doc:/mnt"], timeout="0")
    assert_serves(daemon, "granted", b"1\n")


# -- removing --

def test_removing_takes_the_code_and_the_log(daemon):
    deploy(daemon, "removed", tar(entry("run", b"#!/bin/sh\necho only here >&2\necho x\n")))
    code = daemon.describe("removed")["code"]
    assert_serves(daemon, "removed", b"x\n")
    wait_until(lambda: daemon.control("GET", "/v1/functions/removed/logs").body, "its line is in the log")
    assert daemon.control("DELETE", "/v1/functions/removed").status == 200
    assert daemon.invoke("removed").status == 404
    assert daemon.control("DELETE", "/v1/functions/removed").status == 404
    wait_until(lambda: code not in trees(daemon, "versions"), "its tree is gone")
    assert_no_residue(daemon)
    assert "removed" not in trees(daemon, "logs")
    assert deploy(daemon, "removed", tar(program()))["number"] == 1


def test_only_versions_kept_trees_stay(daemon):
    for i in range(5):
        deploy(daemon, "many", tar(entry("run", f"#!/bin/sh\necho {i}\n".encode())))
    current = daemon.describe("many")["code"]
    others = {daemon.describe(f["name"])["code"] for f in daemon.control("GET", "/v1/functions").json()["functions"]}
    assert current in others
    assert_serves(daemon, "many", b"4\n")
    assert_no_residue(daemon)


def test_code_that_another_function_uses_stays(daemon):
    shared = tar(entry("run", b"#!/bin/sh\necho shared\n"))
    deploy(daemon, "share-a", shared)
    deploy(daemon, "share-b", shared)
    assert daemon.describe("share-a")["code"] == daemon.describe("share-b")["code"]
    assert daemon.control("DELETE", "/v1/functions/share-a").status == 200
    assert_no_residue(daemon)
    # A new instance, so that the tree is really needed.
    assert daemon.control("PATCH", "/v1/functions/share-b", body='{"memory": "64M"}').status == 200
    assert_serves(daemon, "share-b", b"shared\n")


# -- restarts --

def test_everything_acknowledged_is_there_after_a_restart_and_unneeded_trees_go():
    with Faasd() as faasd:
        deploy(faasd, "kept", tar(program(OLD)), memory="64M", env={"A": "1"})
        deploy(faasd, "kept", tar(program()), env={"B": "2"})
        deploy(faasd, "gone", tar(program()))
        assert faasd.control("DELETE", "/v1/functions/gone").status == 200
        before = faasd.describe("kept")
        assert faasd.stop() == 0
        (faasd.root / "state" / "versions" / ("0" * 64)).mkdir()
        stray = faasd.root / "state" / "staging" / "4711"
        stray.mkdir()
        faasd.start()
        after = faasd.describe("kept")
        for key in ("number", "revision", "code", "settings", "created"):
            assert before.get(key) == after.get(key), key
        assert_serves(faasd, "kept", b"new\n")
        assert faasd.control("GET", "/v1/functions/gone").status == 404
        wait_until(lambda: "0" * 64 not in trees(faasd, "versions"), "the stray tree is collected")
        assert_no_residue(faasd)
        assert before["code"] in trees(faasd, "versions")


@pytest.mark.row("S1")
@pytest.mark.parametrize("victim", ["gateway", "supervisor"])
def test_a_kill_at_any_instant_of_a_deploy_leaves_one_of_the_two(victim):
    """Deploys go round and round while the process is killed at growing delays; whatever was acknowledged last, or the one after it, serves."""
    with Faasd() as faasd:
        deploy(faasd, "f", tar(entry("run", b"#!/bin/sh\necho 0\n")))
        for round_number, delay_ms in enumerate([0, 3, 6, 10, 15, 22]):
            acknowledged, started = [], []
            done = threading.Event()

            def go():
                i = 0
                while not done.is_set():
                    i += 1
                    text = f"{round_number}.{i}"
                    started.append(text)
                    try:
                        reply = put(faasd, "f", tar(entry("run", f"#!/bin/sh\necho {text}\n".encode())))
                    except (OSError, http.client.HTTPException):
                        return
                    if reply.status == 200:
                        acknowledged.append(text)

            thread = threading.Thread(target=go)
            thread.start()
            wait_until(lambda: acknowledged, "a deploy was acknowledged")
            time.sleep(delay_ms / 1000)
            pid = faasd.gateway_pid() if victim == "gateway" else faasd.pid
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not is_alive(pid), "it is dead")
            done.set()
            thread.join()
            if victim == "supervisor":
                faasd.stop()  # it is dead: this reads its log to the end
                faasd.start()

            def answer():
                try:
                    reply = faasd.invoke("f")
                    return reply.body.decode().strip() if reply.status == 200 else None
                except OSError:
                    return None

            text = wait_until(answer, "the function serves again")
            assert text in (acknowledged[-1], started[-1]), (text, acknowledged[-3:], started[-3:])
            wait_until(lambda: not trees(faasd, "staging"), "staging is swept")
        assert_no_residue(faasd)


@pytest.mark.row("S6")
def test_a_function_whose_row_is_damaged_does_not_take_the_others_along():
    with Faasd() as faasd:
        deploy(faasd, "fine", tar(program()))
        deploy(faasd, "damaged", tar(program(OLD)))
        assert faasd.stop() == 0
        import sqlite3
        db = sqlite3.connect(faasd.root / "state" / "db" / "faasd.db")
        db.execute("UPDATE revisions SET settings = '{nonsense' WHERE function = 'damaged'")
        db.commit()
        db.close()
        owner = (faasd.root / "state" / "db").stat()
        for file in (faasd.root / "state" / "db").iterdir():
            os.chown(file, owner.st_uid, owner.st_gid)
        faasd.start()
        assert_serves(faasd, "fine", b"new\n")
        assert faasd.control("GET", "/v1/functions/damaged").status == 404
        assert "fn=damaged" in faasd.log_text()
        deploy(faasd, "damaged", tar(program()))
        assert_serves(faasd, "damaged", b"new\n")


@pytest.mark.row("S8")
def test_a_database_of_a_newer_faasd_is_refused_with_the_reason():
    with Faasd() as faasd:
        assert faasd.stop() == 0
        database = faasd.root / "state" / "db" / "faasd.db"
        subprocess.run(["/usr/bin/python3", "-c", "import sqlite3,sys; db=sqlite3.connect(sys.argv[1]); db.execute('PRAGMA user_version=99'); db.commit()",
                        str(database)], check=True)
        faasd.start(expect_ready=False)
        wait_until(lambda: "newer faasd" in faasd.log_text(), "the reason is said")
        faasd.process.kill()
        faasd.process.wait()


# -- how many --

def test_a_hundred_functions_deployed_at_once(daemon):
    failed = []

    def many(start):
        for i in range(start, 100, 8):
            reply = put(daemon, f"crowd-{i}", tar(entry("run", f"#!/bin/sh\necho {i}\n".encode())))
            if reply.status != 201:
                failed.append(reply)

    threads = [threading.Thread(target=many, args=(s,)) for s in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed[:3]
    for i in (0, 50, 99):
        assert_serves(daemon, f"crowd-{i}", f"{i}\n".encode())
    for i in range(100):
        assert daemon.control("DELETE", f"/v1/functions/crowd-{i}").status == 200
    assert_no_residue(daemon)


def test_a_native_example_deploys(daemon):
    deploy(daemon, "native-hello", HELLO.read_bytes(), runtime="native")
    assert daemon.invoke("native-hello", b'{"name":"world"}').status == 200
