# SPDX-License-Identifier: Apache-2.0
"""The control API attacked by raw bytes: C rows, and what state and starts go through: D10, S6, L5, L9.

Every case has the same request without its fault beside it, which is taken: a daemon that refuses everything would pass all of them.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

import paths  # noqa: F401  (makes the harness importable)
from harness import FAASD, HELLO, Faasd, brief, receive_all, wait_until, within
from outside import NOBODY, assert_whole

M = 1 << 20
EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def faasd():
    with Faasd() as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        daemon.token = json.loads(daemon.cli("token", "create", "--scope", "admin", "--json").stdout)["token"]
        yield daemon


def state_of(faasd):
    return sorted(f["name"] for f in faasd.system()["functions"]), len(faasd.control("GET", "/v1/tokens").json()["tokens"])


@pytest.fixture(autouse=True)
def the_outside_stays_whole(request):
    if "faasd" not in request.fixturenames:
        yield
        return
    faasd = request.getfixturevalue("faasd")
    before, state = (faasd.pid, faasd.gateway_pid()), state_of(faasd)
    yield
    assert_whole(faasd, before)
    assert state_of(faasd) == state, "something was changed"


def converse(faasd, request):
    """The status of the first answer, and all of the bytes."""
    with faasd.connect() as sock:
        sock.sendall(request)
        answer = receive_all(sock)
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    assert found, answer[:200]
    return int(found.group(1)), answer


def request_of(faasd, method="GET", target="/v1/functions", host="localhost", token=True, fields=(), body=b""):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    if token:
        lines.append(f"Authorization: Bearer {faasd.token if token is True else token(faasd.token)}")
    lines += [*fields, *([f"Content-Length: {len(body)}"] if body or method in ("POST", "PUT") else [])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


NEW_TOKEN = {"method": "POST", "target": "/v1/tokens", "body": b'{"scopes": ["read"], "expires_in_ms": 1000}'}
# row, attack, what is different from the good request beside it, the statuses that are right; what is good where it is not listing functions
REQUESTS = [
    ("C3", "no token", {"token": None}, {401}),
    ("C3", "another token", {"token": lambda t: t[:-8] + "00000000"}, {401}),
    ("C3", "the beginning of the token", {"token": lambda t: t[:-1]}, {401}),
    ("C3", "the token and more", {"token": lambda t: t + "0"}, {401}),
    ("C3", "a token of 1 MiB", {"token": lambda t: "x" * M}, {431}),
    ("C9", "the token in the target", {"token": None, "target": lambda t: f"/v1/functions?token={t}&access_token={t}"}, {400, 401}),
    ("C9", "the token in a cookie", {"token": None, "fields": lambda t: [f"Cookie: token={t}"]}, {401}),
    *[("C4", f"Host: {host}", {"host": host}, {400, 421}) for host in
      ("evil.example", "localhost.evil.example", "[::1].x", "127.0.0.1.evil.example", "evil.example:80", "localhost@evil.example", "127.0.0.1%00.evil")],
    *[("C5", f"a page's form with {field}", {**NEW_TOKEN, "fields": ["Content-Type: text/plain", field]}, {403}) for field in
      (f"Origin: {EVIL}", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site")],
    ("C6", "a page's preflight", {"method": "OPTIONS", "fields": [f"Origin: {EVIL}", "Access-Control-Request-Method: PUT"]}, {403, 405}),
    ("C6", "a preflight for the private network", {"method": "OPTIONS", "fields": [f"Origin: {EVIL}", "Access-Control-Request-Private-Network: true"]}, {403, 405}),
    *[("C7", f"the name {name[:20]}", {"method": "PUT", "target": f"/v1/functions/{name}", "body": b"#!/bin/sh\n"}, {400, 404}) for name in
      ("..%2Fx", "%2e%2e", ".", "..", "a%00b", "%2Dx%2F", "a%2Fb", "a%5Cb", "x" * 256, "caf%C3%A9", "a%20b", "%F0%9F%92%A9", "a%0d%0ab", "_%2F..%2F..%2Fetc", "%252e%252e")],
    *[("C10", f"{what} without a token", {"token": None, **how}, {400, 401, 404}) for what, how in {
        "X-Forwarded-For": {"fields": ["X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1;proto=https"]},
        "X-Original-URL": {"target": "/function/none", "fields": ["X-Original-URL: /v1/functions", "X-Rewrite-URL: /v1/functions"]},
        "a method in a field": {"fields": ["X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE"], "target": "/v1/functions/hello"},
        "two dots": {"target": "/function/../v1/functions"},
        "two encoded dots": {"target": "/function/%2e%2e/v1/functions"},
        "an encoded slash": {"target": "/function/..%2fv1%2ffunctions"},
        "two slashes": {"target": "//v1/functions"},
        "another case": {"target": "/V1/Functions"},
        "a parameter of the path": {"target": "/v1/functions;x=/function/hello"},
        "the fields of a proxy": {"fields": ["X-Forwarded-User: root", "Remote-User: root", "X-Faasd-Scope: admin"]},
    }.items()],
]


@pytest.mark.parametrize("row, attack, different, statuses", REQUESTS, ids=[f"{r[0]}-{r[1][:40]}" for r in REQUESTS])
def test_a_request_that_is_refused(faasd, record_property, row, attack, different, statuses):
    made = {key: value(faasd.token) if callable(value) and key != "token" else value for key, value in different.items()}
    status, answer = converse(faasd, request_of(faasd, **made))
    record_property("attack", [row, attack, "", " or ".join(map(str, sorted(statuses))), str(status)])
    assert status in statuses, answer[:300]
    assert b"access-control-allow" not in answer.lower()
    assert faasd.token.encode() not in answer and faasd.token not in faasd.log_text()


def test_the_same_without_a_fault_is_taken(faasd):
    assert converse(faasd, request_of(faasd))[0] == 200
    status, answer = converse(faasd, request_of(faasd, **NEW_TOKEN))
    made = json.loads(answer.split(b"\r\n\r\n", 1)[1])
    assert status in (200, 201), answer
    assert faasd.control("DELETE", f"/v1/tokens/{made['id']}").status < 300


# RFC 8259, with the names that JSONTestSuite gives to the like
BAD_JSON = {
    "n_array_comma": b'{"scopes": ["read",]}', "n_array_double_comma": b'{"scopes": ["read",,"read"]}', "n_array_unclosed": b'{"scopes": ["read"',
    "n_object_single_quotes": b"{'scopes': ['read']}", "n_object_no_colon": b'{"scopes" ["read"]}', "n_object_trailing": b'{"scopes": ["read"]}x',
    "n_object_two": b'{"scopes": ["read"]}{}', "n_object_unquoted": b'{scopes: ["read"]}', "n_number_leading_zero": b'{"scopes": ["read"], "expires_in_ms": 0123}',
    "n_number_hex": b'{"scopes": ["read"], "expires_in_ms": 0x10}', "n_number_plus": b'{"scopes": ["read"], "expires_in_ms": +1}',
    "n_number_infinity": b'{"scopes": ["read"], "expires_in_ms": Infinity}', "n_number_nan": b'{"scopes": ["read"], "expires_in_ms": NaN}',
    "n_number_dot": b'{"scopes": ["read"], "expires_in_ms": 1.}', "n_string_raw_newline": b'{"scopes": ["read"], "name": "a\nb"}',
    "n_string_bad_escape": b'{"scopes": ["read"], "name": "\\x41"}', "n_string_cut_escape": b'{"scopes": ["read"], "name": "\\u00"}',
    "n_string_invalid_utf8": b'{"scopes": ["read"], "name": "\xff"}', "n_string_overlong": b'{"scopes": ["read"], "name": "\xc0\xaf"}',
    "n_structure_depth_100000": b"[" * 100000, "n_structure_objects_100000": b'{"a":' * 100000, "n_structure_empty": b"", "n_structure_nul": b'{"scopes": ["read"]}\x00',
    "n_structure_utf16": '{"scopes": ["read"]}'.encode("utf-16"), "i_number_1e999": b'{"scopes": ["read"], "expires_in_ms": 1e999}',
    "i_number_huge": b'{"scopes": ["read"], "expires_in_ms": ' + b"9" * 400 + b"}", "i_string_lone_surrogate": b'{"scopes": ["read"], "name": "\\ud800"}',
    "i_object_twice": b'{"scopes": ["read"], "scopes": ["admin"]}', "y_another_type": b'["read"]', "n_single_word": b"nul",
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_json_that_is_none_is_refused(faasd, record_property, name):
    status, answer = converse(faasd, request_of(faasd, "POST", "/v1/tokens", body=BAD_JSON[name]))
    record_property("attack", ["C8", f"JSON: {name}", "", "400 or 413", str(status)])
    assert status in (400, 413), answer[:300]


@pytest.mark.parametrize("which", ["control", "invoke"])
def test_C1_another_user_and_the_sockets(faasd, record_property, which):
    """The mode keeps others off both, while the configuration names no group."""
    path = faasd.control_path if which == "control" else faasd.invoke_path
    text = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ntry:\n    s.connect(sys.argv[1])\nexcept OSError as e:\n    print('DENIED', e.strerror)\n    sys.exit()\n"
            "s.sendall(b'GET /v1/functions HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')\nprint('OPEN', s.recv(100)[:12].decode())")
    root, other = (subprocess.run(["/usr/bin/python3", "-c", text, path], capture_output=True, text=True, cwd="/", **who).stdout.strip()
                   for who in ({}, {"user": NOBODY, "group": NOBODY, "extra_groups": []}))
    record_property("attack", ["C1", f"{which}.sock as another user", "OPEN" if root.startswith("OPEN") else root, "DENIED", other])
    assert other.startswith("DENIED") and root.startswith("OPEN"), (root, other)


@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_AUDIT", "A=B", "", "A\x00B", "1A"])
def test_D10_a_variable_that_is_none_or_would_run_code(faasd, record_property, name):
    reply = faasd.control("PATCH", "/v1/functions/hello", json.dumps({"env": {name: "x"}}))
    record_property("attack", ["D10", f"the variable {name!r}", "", "400", f"{reply.status} {reply.json().get('errorMessage', '')[:60]}"])
    assert reply.status == 400, reply


def test_D11_whoever_unpacks_has_nothing_but_the_archive(faasd, record_property):
    """Were libarchive taken over by what it unpacks: the process has no power, no network and no process to see."""
    before = set(faasd.children())
    with faasd.connect() as sock:
        sock.sendall(request_of(faasd, "PUT", "/v1/functions/never", fields=["Content-Length: 1000000"]).replace(b"Content-Length: 0\r\n", b"") + b"PK\x03\x04")
        pid = wait_until(lambda: set(faasd.children()) - before, "the unpacker is at work").pop()
        proc = pathlib.Path(f"/proc/{pid}")

        def status():
            return dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)

        seen = wait_until(lambda: status() if status()["Seccomp"] == "2" else None, "it has given up what it can")
        spaces = [name for name in ("net", "mnt", "pid", "ipc", "user") if os.readlink(proc / "ns" / name) == os.readlink(f"/proc/{faasd.pid}/ns/{name}")]
        mounts = [line.split()[3] for line in (proc / "mountinfo").read_text().splitlines()]
        own = [root for root in mounts if root.startswith(str(faasd.root))]
    powers = {key: seen[key] for key in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs")}
    record_property("attack", ["D11", "the unpacker, taken over", "", "no power of any kind", f"capabilities {powers['CapEff']}, namespaces shared: {len(spaces)}, of the state: {[os.path.relpath(m, faasd.root).split('/')[:2] for m in own]}"])
    assert powers == {"CapEff": "0" * 16, "CapPrm": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"} and "0" not in seen["Uid"].split(), seen
    assert spaces == [] and own, (spaces, mounts)
    assert all(root.startswith((f"{faasd.root}/state/staging/", f"{faasd.root}/state/program")) for root in own), own


# ---- starts without what it needs ----


WITHOUT = {
    "capabilities": (["--bounding-set=-all", "--inh-caps=-all"], "without cap_sys_admin, cap_setuid"),
    "cap_sys_admin": (["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"], "without cap_sys_admin:"),
    "cap_mknod": (["--bounding-set=-mknod", "--inh-caps=-mknod"], "without cap_mknod:"),
    "ids of their own": ([f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"], "this host has no ids of their own (one for all)"),
}


@pytest.fixture
def open_directory():
    directory = tempfile.mkdtemp(prefix="faasd-test-")
    os.chmod(directory, 0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.parametrize("what", WITHOUT)
def test_L9_a_start_without_what_it_needs_is_refused_by_name(open_directory, record_property, what):
    options, said = WITHOUT[what]
    command = [str(FAASD), "serve", "--root", open_directory + "/root", "--listen", "127.0.0.1:0"]
    done = subprocess.run(["setpriv", *options, *command], capture_output=True, text=True, timeout=within(20), stdin=subprocess.DEVNULL)
    checked = subprocess.run(["setpriv", *options, str(FAASD), "check"], capture_output=True, text=True, timeout=within(20), stdin=subprocess.DEVNULL)
    record_property("attack", ["L9", f"a start without {what}", "", "refused by name", f"exit {done.returncode}: {done.stderr.split('error: ')[-1][:60].strip()}"])
    assert done.returncode > 0 and said in done.stderr, done
    missing = "ids of their own +expected" if what == "ids of their own" else "root +required"
    assert checked.returncode > 0 and re.search(rf"^{missing} +MISSING", checked.stdout, re.M), checked.stdout
    assert os.listdir(open_directory) == [], "it left something behind"


# ---- a process that stands still ----


@pytest.mark.parametrize("victim", ["supervisor", "gateway"])
def test_L5_what_stood_still_goes_on(victim, record_property):
    """Deadlines that passed meanwhile fire; what is healthy is not given up for the time that nobody looked."""
    with Faasd() as faasd:
        faasd.deploy("hello", HELLO, "--runtime", "native", "--min-warm", "1")
        faasd.deploy_script("late", "#!/bin/sh\nsleep 600\n", "--timeout", f"{brief(2):.0f}s")
        assert faasd.invoke("hello", b"{}").status == 200
        before = {i["id"] for i in faasd.instances("hello")}
        pid = faasd.pid if victim == "supervisor" else faasd.gateway_pid()
        replies = []
        asked = threading.Thread(target=lambda: replies.append(faasd.invoke("late", timeout=within(60))))
        asked.start()
        wait_until(lambda: [i for i in faasd.instances("late") if i["state"] == "busy"], "it runs")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(brief(4))  # the time that it stands is the attack
        os.kill(pid, signal.SIGCONT)
        asked.join()
        assert replies[0].error == "Timeout", replies
        assert faasd.invoke("hello", b"{}").status == 200
        assert {i["id"] for i in faasd.instances("hello")} == before, "a healthy instance was given up"
        record_property("attack", ["L5", f"the {victim} stands still", "", "the deadline fires", f"{replies[0].error}, the others as they were"])


# ---- bytes of the state that change ----


@pytest.fixture(scope="module")
def whole_state():
    root = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-"))
    with Faasd(root=root) as faasd:
        faasd.deploy_script("own", "#!/bin/sh\necho own\n")
        assert faasd.invoke("own").body == b"own\n"
    yield root
    shutil.rmtree(root, ignore_errors=True)


def damage(kind, size):
    """(what, how to change the bytes): each place of some thirty, from the first byte to the last."""
    places = sorted({*range(0, size, max(1, size // 24)), 16, 18, 28, 44, 56, 100, size - 1})
    if kind == "cut":
        return [(f"cut to {place} bytes", lambda data, place=place: data[:place]) for place in places]
    return [(f"bit {place % 8} of byte {place}", lambda data, place=place: data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1:]) for place in places]


@pytest.mark.parametrize("kind", ["cut", "flipped"])
def test_S6_a_database_with_changed_bytes_is_served_right_or_not_at_all(whole_state, record_property, kind):
    database = whole_state / "state/db/faasd.db"
    whole, owner, counts = database.read_bytes(), database.stat(), {"served": 0, "named": 0}
    for what, change in damage(kind, len(whole)):
        for file in database.parent.glob("faasd.db*"):
            file.unlink()
        database.write_bytes(change(whole))
        os.chown(database, owner.st_uid, owner.st_gid)
        faasd = Faasd(root=whole_state).start(expect_ready=False)
        try:
            assert faasd.ready.wait(within(20)), f"{what}: neither serving nor gone: {faasd.log_text()}"
            if faasd.ready_line:
                reply = faasd.invoke("own")
                assert (reply.status, reply.body) == (200, b"own\n") or reply.status == 404, (what, reply)
                counts["served" if reply.status == 200 else "named"] += 1
                assert reply.status == 200 or "faasd.db" in faasd.log_text() or "fn=own" in faasd.log_text(), (what, faasd.log_text())
                assert not re.search(r"signal \d+|SIG(SEGV|ABRT)", faasd.log_text()), (what, faasd.log_text())
                assert faasd.stop() == 0, what
            else:
                assert faasd.process.wait(within(10)) > 0 and "faasd.db" in faasd.log_text(), (what, faasd.log_text())
                counts["named"] += 1
        finally:
            if faasd.process.poll() is None:
                faasd.process.kill()
                faasd.process.wait()
    record_property("attack", ["S6", f"the database {kind}", "", "right or refused", f"{counts['served']} served right, {counts['named']} named"])
    assert all(counts.values()), counts
