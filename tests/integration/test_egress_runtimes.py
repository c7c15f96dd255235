# SPDX-License-Identifier: Apache-2.0
"""Who gets network: egress, and how: every runtime, forked children, `faasd run`, functions of Lambda's API by their role; and who is refused, with which words."""

import base64
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from harness import FAASD, PROGRAMS, wait_until, within
from network import NAME_SERVER, PUBLIC, enter
from test_egress import PROGRAM, UNREACHABLE, attempt, daemon_in, deploy, net, reached, veths  # noqa: F401
from test_lambda_functions import RUNTIME, make_zip

ROLES = "arn:aws:iam::000000000000:role/"
TRY = [["tcp", PUBLIC, 80], ["name", "one.example", 4], ["tcp", "10.1.2.3", 80]]
CAME = [reached(PUBLIC, 80), [PUBLIC], UNREACHABLE]
BOOTSTRAP = """#!/usr/bin/python3
import http.client, json, os, sys
sys.path.insert(0, "/var/task")
import egress
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
path = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", path + "next")
    event = api.getresponse()
    given = event.getheader("Lambda-Runtime-Aws-Request-Id")
    reply = json.dumps(egress.handler(json.loads(event.read()), None))
    api.request("POST", path + given + "/response", reply)
    api.getresponse().read()
"""


@pytest.fixture(scope="module")
def faasd(net):  # noqa: F811
    with daemon_in(net, **{"lambda": {"network": "none", "roles": {ROLES + "out": {"network": "egress"}}}}) as daemon:
        yield daemon


# ---- runtimes ----

def test_provided(faasd, tmp_path):
    (tmp_path / "bootstrap").write_text(BOOTSTRAP)
    (tmp_path / "bootstrap").chmod(0o755)
    shutil.copy(PROGRAM, tmp_path / "egress.py")
    faasd.deploy("provided", tmp_path, "--runtime", "provided", "--network", "egress", "--timeout", "30s")
    assert attempt(faasd, "provided", *TRY) == CAME


def test_exec(faasd, tmp_path):
    script = tmp_path / "run"
    script.write_text(f"#!/bin/bash\nexec 3<>/dev/tcp/{PUBLIC}/80; head -n1 <&3\nexec 3<>/dev/tcp/one.example/80; head -n1 <&3\n")
    script.chmod(0o755)
    faasd.deploy("exec", script, "--network", "egress")
    reply = faasd.request("POST", "/function/exec", body=b"", socket_path=faasd.invoke_path)
    assert reply.body.decode() == 2 * (reached(PUBLIC, 80) + "\n")


def test_node(faasd, tmp_path):
    if not shutil.which("node"):
        pytest.skip("no node on this host")
    (tmp_path / "index.js").write_text(
        "const net = require('net');\nexports.handler = (event) => new Promise((good) => {\n"
        "  const s = net.connect(event.port, event.host); s.on('data', (d) => { good(String(d).trim()); s.destroy(); }); s.on('error', (e) => good(e.code)); });\n")
    faasd.deploy("node", tmp_path, "--runtime", "node", "--handler", "index.handler", "--network", "egress", "--timeout", "30s")
    for host, expected in (("one.example", reached(PUBLIC, 80)), ("10.1.2.3", UNREACHABLE)):
        reply = faasd.request("POST", "/function/node", body=json.dumps({"host": host, "port": 80}), socket_path=faasd.invoke_path, timeout=within(30))
        assert reply.json() == expected


@pytest.mark.parametrize("isolation", ["reuse", "fork", "sandbox"])
def test_each_isolation(faasd, isolation):
    """Children of a template share its way out; a sandbox of its own has one of its own."""
    name = f"isolated-{isolation}"
    faasd.deploy(name, PROGRAM, "--handler", "egress.handler", "--network", "egress", "--allow-host", "one.example:80", "--isolation", isolation, "--timeout", "60s")
    for _ in range(3):
        assert attempt(faasd, name, ["tcp", "one.example", 80], ["tcp", PUBLIC, 443], ["tcp", "10.1.2.3", 80]) == [reached(PUBLIC, 80), UNREACHABLE, UNREACHABLE]
    own = {attempt(faasd, name, ["addresses"]) for _ in range(3)}
    assert len(own) == (3 if isolation == "sandbox" else 1), own


def test_learnt_system_calls_go_with_it(faasd):
    faasd.deploy("learnt", PROGRAM, "--handler", "egress.handler", "--network", "egress", "--timeout", "60s", "--seccomp", "learning")
    assert attempt(faasd, "learnt", *TRY) == CAME


# ---- faasd run ----

def run_in(net, root, *args):  # noqa: F811
    return subprocess.run([FAASD, "run", "--root", root, *args], preexec_fn=enter(net.host), capture_output=True, text=True, timeout=within(60),
                          stdin=subprocess.DEVNULL)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"grants": {"network_egress": True}, "egress": {"dns": [NAME_SERVER]}}))
    (tmp_path / "config.json").chmod(0o644)
    return tmp_path


def test_faasd_run_of_a_command(net, root):  # noqa: F811
    before = sorted(net.interfaces())
    done = run_in(net, root, "--network", "egress", "--allow-host", "one.example:80", "--", "/bin/bash", "-c",
                  f"exec 3<>/dev/tcp/one.example/80; head -n1 <&3; (exec 3<>/dev/tcp/{PUBLIC}/443) 2>/dev/null || echo closed")
    assert done.stdout == reached(PUBLIC, 80) + "\nclosed\n", done
    wait_until(lambda: sorted(net.interfaces()) == before, "nothing left of it")


def test_faasd_run_of_a_function_and_its_plan(net, root):  # noqa: F811
    done = run_in(net, root, "--network", "egress", "--handler", "egress.handler", "-d", json.dumps(TRY), PROGRAM)
    assert json.loads(done.stdout) == CAME, done
    plan = run_in(net, root, "--plan", "--network", "egress", "--handler", "egress.handler", PROGRAM)
    assert plan.returncode == 0 and "the network that was made for it, with its way out" in plan.stdout, plan
    (root / "config.json").write_text("{}")
    for options in ((), ("--plan",)):
        done = run_in(net, root, *options, "--network", "egress", "--handler", "egress.handler", "-d", "[]", PROGRAM)
        assert done.returncode != 0 and "grants.network_egress" in done.stderr, done


# ---- Lambda's API ----

def create(faasd, name, role, **more):
    code = make_zip({"egress.py": PROGRAM.read_text()})
    body = {"FunctionName": name, "Runtime": RUNTIME, "Role": ROLES + role, "Handler": "egress.handler", "Timeout": 30,
            "Code": {"ZipFile": base64.b64encode(code).decode()}, **more}
    return faasd.control("POST", "/2015-03-31/functions", json.dumps(body), {"Content-Type": "application/json"})


def invoke(faasd, name):
    return faasd.control("POST", f"/2015-03-31/functions/{name}/invocations", json.dumps(TRY), timeout=within(60)).json()


def test_a_function_has_what_its_role_gives(faasd):
    assert create(faasd, "with-role", "out").status == 201
    assert invoke(faasd, "with-role") == CAME
    assert create(faasd, "without-role", "other").status == 201
    assert invoke(faasd, "without-role")[0] == "ENETUNREACH"


def test_lambda_network_is_that_of_roles_without_their_own(net):  # noqa: F811
    with daemon_in(net, **{"lambda": {"network": "egress", "roles": {ROLES + "closed": {"network": "none"}}}}) as daemon:
        assert create(daemon, "any", "other").status == 201
        assert invoke(daemon, "any") == CAME
        assert create(daemon, "closed", "closed").status == 201
        assert invoke(daemon, "closed")[0] == "ENETUNREACH"
        deploy(daemon, "own")  # no role, a setting


# ---- refusals ----

def test_strict_and_egress_exclude_each_other_when_it_is_said(faasd, tmp_path):
    done = faasd.deploy("strict", PROGRAMS / "interface", "--runtime", "native", "--seccomp", "strict", "--network", "egress", check=False)
    assert done.returncode in (1, 2) and "strict" in done.err and "egress" in done.err, done.err


def test_strict_and_a_network_by_the_role_exclude_each_other_when_it_is_said(faasd):
    assert create(faasd, "turned", "out").status == 201
    native = ("--runtime", "native", "--handler", "interface", "--seccomp", "strict", "--isolation", "reuse", "--template", "off")
    done = faasd.deploy("turned", PROGRAMS / "interface", *native, check=False)
    assert done.returncode in (1, 2) and "role" in done.err and "network none" in done.err, done.err
    assert invoke(faasd, "turned") == CAME, "it is as it was"
    done = faasd.deploy("turned", PROGRAMS / "interface", *native, "--network", "none", check=False)
    assert "role" not in done.err, done.err  # its tmp_exec, which Lambda's functions have, is the next that strict does not let it have


@pytest.mark.parametrize("given", [{"network": "egress"}, {"roles": {ROLES + "x": {"network": "egress"}}}])
def test_a_role_without_the_grant_is_refused_at_the_start(net, given):  # noqa: F811
    daemon = daemon_in(net, grants={"network_egress": False}, **{"lambda": given})
    daemon.start(expect_ready=False)
    assert daemon.process.wait(within(30)) == 1
    daemon.reader.join()
    assert "grants.network_egress" in daemon.log_text(), daemon.log_text()


def test_a_host_that_does_not_forward_refuses_with_what_to_do(net):  # noqa: F811
    with daemon_in(net) as daemon, net.forwarding(0):
        before = sorted(net.interfaces())
        done = deploy(daemon, "wants", check=False)
        assert done.returncode == 1 and "sysctl -w net.ipv4.ip_forward=1" in done.err, done.err
        assert sorted(net.interfaces()) == before
        shown = checked(net)["packet forwarding"]
        assert not shown["found"] and "net.ipv4.ip_forward=1" in json.dumps(shown)


def checked(net):  # noqa: F811
    done = subprocess.run([FAASD, "check", "--json"], preexec_fn=enter(net.host), capture_output=True, text=True)
    return {f["name"]: f for f in json.loads(done.stdout)["features"]}


def test_check_tells_what_the_host_has(net):  # noqa: F811
    found = checked(net)
    assert found["packet forwarding"]["found"] and found["nf_tables and veth pairs"]["found"], found


def test_a_kernel_without_nf_tables_refuses_with_the_reason(net, tmp_path):  # noqa: F811
    """As one whose modules are missing answers a netlink socket: by a filter that the whole daemon inherits."""
    before = sorted(net.interfaces())
    blocked = daemon_in(net)
    blocked.popen["preexec_fn"] = without_netfilter(net)
    with blocked as daemon:
        done = deploy(daemon, "wants", check=False)
        assert done.returncode == 1 and "network 'egress'" in done.err and "netlink" in done.err, done.err
        assert sorted(net.interfaces()) == before
        daemon.deploy_script("plain", "#!/bin/sh\necho served\n")
        assert daemon.request("POST", "/function/plain", body=b"", socket_path=daemon.invoke_path).body == b"served\n"


def without_netfilter(net):  # noqa: F811
    """socket(AF_NETLINK, *, NETLINK_NETFILTER) -> EPROTONOSUPPORT."""
    import ctypes
    import errno
    import struct

    def preexec():
        enter(net.host)()
        number = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
        program = b"".join(struct.pack("HBBI", *row) for row in [
            (0x20, 0, 0, 0), (0x15, 0, 5, number),  # another call: allow
            (0x20, 0, 0, 16), (0x15, 0, 3, 16),  # another family
            (0x20, 0, 0, 32), (0x15, 0, 1, 12),  # another protocol
            (0x06, 0, 0, 0x00050000 | errno.EPROTONOSUPPORT), (0x06, 0, 0, 0x7fff0000)])
        buffer = ctypes.create_string_buffer(program, len(program))
        shape = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(22, 2, ctypes.c_char_p(shape), 0, 0):
            raise OSError(ctypes.get_errno(), "seccomp")
    return preexec


# ---- the end ----

def test_after_a_killed_supervisor_the_next_start_finds_nothing_left(net):  # noqa: F811
    """Interfaces, tables, routes and namespaces: as before the first daemon, and the second one serves."""
    def state():
        routes = subprocess.run(["ip", "-n", net.host, "route", "show", "table", "all"], capture_output=True, text=True, check=True).stdout
        tables = subprocess.run(["nft", "list", "tables"], preexec_fn=enter(net.host), capture_output=True, text=True, check=True).stdout
        return sorted(net.interfaces()), routes, tables
    before = state()
    first = daemon_in(net)
    first.start()
    deploy(first, "left", "one.example:80")
    assert attempt(first, "left", ["tcp", "one.example", 80]) == reached(PUBLIC, 80)
    inside = {os.stat(f"/proc/{pid}/ns/net").st_ino for pid in first.sandbox_pids()} - {os.stat(f"/proc/{first.pid}/ns/net").st_ino}
    assert inside and state() != before
    first.process.kill()
    first.process.wait()
    wait_until(lambda: state() == before, "the host as it was before, without anybody's help")
    second = daemon_in(net)
    second.root, second.own_root = first.root, True
    with second:
        living = set()
        for entry in pathlib.Path("/proc").glob("[0-9]*/ns/net"):
            try:
                living.add(entry.stat().st_ino)
            except OSError:
                pass
        assert not inside & living, "a process in the old networks"
        assert attempt(second, "left", ["tcp", "one.example", 80]) == reached(PUBLIC, 80)
        assert veths(second)[0]
    wait_until(lambda: state() == before, "the host as it was before")
