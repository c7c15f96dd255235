# SPDX-License-Identifier: Apache-2.0
"""What a request may find of the one before it, in each isolation mode and runtime. Every function here looks first and then leaves everything it can behind."""

import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import threading

import pytest

from harness import PROGRAMS, Faasd, cgroup_directories, is_alive, wait_until


PYTHON = """
import os, subprocess, threading

seen = []


def is_mark(fd):
    try:
        return os.readlink("/proc/self/fd/" + fd) == "/etc/hosts"
    except OSError:
        return False


def look():
    return {"pid": os.getpid(), "global": len(seen), "fds": sum(map(is_mark, os.listdir("/proc/self/fd"))), "threads": len(os.listdir("/proc/self/task")),
            "env": os.environ.get("MARK", ""), "tmp": len(os.listdir("/tmp")), "processes": sum(n.isdigit() for n in os.listdir("/proc")), "sysv": 0}


def handler(event, context):
    found = look()
    seen.append(1)
    seen.append(open("/etc/hosts"))
    os.environ["MARK"] = "left"
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    open("/tmp/left", "w").close()
    seen.append(subprocess.Popen(["/bin/sleep", "1000"]))
    return found
"""

NODE = """
import { readdirSync, readlinkSync, openSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { Worker } from "node:worker_threads";

const isMark = (fd) => { try { return readlinkSync(`/proc/self/fd/${fd}`) === "/etc/hosts"; } catch { return false; } };
let seen = 0;
export const handler = async () => {
  const found = { pid: process.pid, global: seen, fds: readdirSync("/proc/self/fd").filter(isMark).length, threads: readdirSync("/proc/self/task").length,
    env: process.env.MARK ?? "", tmp: readdirSync("/tmp").length, processes: readdirSync("/proc").filter((n) => /^\\d+$/.test(n)).length, sysv: 0 };
  seen++;
  openSync("/etc/hosts");
  process.env.MARK = "left";
  const worker = new Worker("setInterval(() => {}, 1000)", { eval: true });
  await new Promise((started) => worker.once("online", started));
  worker.unref();
  writeFileSync("/tmp/left", "");
  spawn("/bin/sleep", ["1000"], { stdio: "ignore" }).unref();
  return found;
};
"""

PROVIDED = f"""#!/usr/bin/python3
import http.client, json, os
{PYTHON}
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    event = api.getresponse()
    body = event.read()
    result = json.dumps(handler(json.loads(body), None))
    api.request("POST", f"/2018-06-01/runtime/invocation/{{event.headers['Lambda-Runtime-Aws-Request-Id']}}/response", result)
    api.getresponse().read()
"""

needs_node = pytest.mark.skipif(not shutil.which("node", path="/usr/bin"), reason="no node in /usr/bin")
SOURCES = {"native": None, "python": ("app.py", PYTHON), "node": ("index.mjs", NODE), "provided": ("bootstrap", PROVIDED)}
RUNTIMES = [pytest.param(name, marks=needs_node if name == "node" else ()) for name in SOURCES]
# What a process leaves behind in itself, and what only its sandbox remembers.
IN_THE_PROCESS = ("global", "fds", "threads", "env")
IN_THE_SANDBOX = ("tmp", "processes", "sysv")


@pytest.fixture(scope="module")
def faasd():
    with Faasd() as daemon:
        yield daemon


@pytest.fixture(autouse=True)
def room(faasd):
    """Nothing is made ahead at the expense of other functions, so those of earlier tests go: on a small host they would fill memory_budget."""
    yield
    for function in faasd.control("GET", "/v1/functions").json()["functions"]:
        assert faasd.control("DELETE", f"/v1/functions/{function['name']}").status == 200


number = itertools.count(1)


def deploy(faasd, tmp_path, runtime, isolation, *options):
    name = f"{runtime}-{isolation}-{next(number)}"
    path = PROGRAMS / "marks"
    if SOURCES[runtime]:
        path = tmp_path / "code"
        path.mkdir()
        file, text = SOURCES[runtime]
        (path / file).write_text(text)
        (path / file).chmod(0o755)
    faasd.deploy(name, path, "--runtime", runtime, "--isolation", isolation, "--memory", "256M", *options)
    return name


def ask(faasd, name):
    reply = faasd.invoke(name, b"{}")
    assert reply.status == 200, reply
    return reply.json()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_reuse_keeps_what_a_request_left(faasd, tmp_path, runtime):
    """The yardstick: these marks are real, so that the modes below can fail."""
    name = deploy(faasd, tmp_path, runtime, "reuse")
    first, second = ask(faasd, name), ask(faasd, name)
    assert second["pid"] == first["pid"]
    assert second["env"] == "left" and second["tmp"] == first["tmp"] + 1
    for mark in ("global", "fds", "threads", "processes"):
        assert second[mark] > first[mark], (mark, first, second)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_fork_shows_nothing_of_the_process_before(faasd, tmp_path, runtime):
    # One at a time, so that all processes are numbered in one sandbox.
    name = deploy(faasd, tmp_path, runtime, "fork", "--max-concurrency", "1")
    found = [ask(faasd, name) for _ in range(6)]
    for later in found[1:]:
        for mark in IN_THE_PROCESS:
            assert later[mark] == found[0][mark], (mark, found)
    assert found[0]["global"] == 0 and found[0]["env"] == ""
    assert len({f["pid"] for f in found}) == len(found), "a process for each request"


@pytest.mark.row("F16")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_sandbox_shows_nothing_at_all(faasd, tmp_path, runtime):
    name = deploy(faasd, tmp_path, runtime, "sandbox")
    found = [ask(faasd, name) for _ in range(6)]
    for later in found[1:]:
        for mark in IN_THE_PROCESS + IN_THE_SANDBOX:
            assert later[mark] == found[0][mark], (mark, found)
    assert found[0]["global"] == 0 and found[0]["env"] == "" and found[0]["tmp"] == 0 and found[0]["sysv"] == 0


def test_sandbox_for_programs_too(faasd):
    faasd.deploy_script("program", "#!/bin/sh\nls /tmp | wc -l\ntouch /tmp/left\nreadlink /proc/self/ns/pid\n", "--isolation", "sandbox")
    found = [faasd.invoke("program").body.split() for _ in range(5)]
    assert all(f[0] == b"0" for f in found)
    wait_until(lambda: all(i["requests"] == 0 for i in faasd.instances("program")), "no instance that served waits for more")


@pytest.mark.row("R17")
@pytest.mark.parametrize("isolation", ["fork", "sandbox"])
def test_what_was_used_up_leaves_nothing_on_the_host(faasd, tmp_path, isolation):
    name = deploy(faasd, tmp_path, "native", isolation, "--keep-warm", "300ms")
    for _ in range(20):
        ask(faasd, name)
    pids = [i["pid"] for i in faasd.instances(name)]
    wait_until(lambda: not faasd.instances(name), "scale to zero")
    wait_until(lambda: not cgroup_directories(name), "its cgroups are gone")
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.parametrize("isolation", ["fork", "sandbox"])
def test_the_process_is_made_ahead_of_the_request(faasd, tmp_path, isolation):
    name = deploy(faasd, tmp_path, "native", isolation)
    starts = []
    for _ in range(10):
        wait_until(lambda: [i for i in faasd.instances(name) if i["state"] == "idle"], "one is ready")
        reply = faasd.invoke(name, b"{}")
        starts.append(reply.headers["X-Faasd-Start"])
    assert starts == ["warm"] * 10


@pytest.mark.parametrize("runtime,isolation", [("native", "fork"), ("native", "sandbox"), ("python", "fork")])
def test_under_load_every_request_gets_a_fresh_one(faasd, tmp_path, runtime, isolation):
    """More clients than instances: some wait for a start, none gets what another one used."""
    name = deploy(faasd, tmp_path, runtime, isolation, "--max-concurrency", "3")
    found = []
    lock = threading.Lock()

    def client():
        for _ in range(25):
            answer = ask(faasd, name)
            with lock:
                found.append(answer)

    with concurrent.futures.ThreadPoolExecutor(6) as clients:
        for done in [clients.submit(client) for _ in range(6)]:
            done.result()
    assert len(found) == 150
    assert all(f["global"] == 0 and f["env"] == "" for f in found)
    assert faasd.describe(name)["counters"]["crashed"] == 0


def test_a_crash_with_isolation_fork_costs_its_own_request(faasd, tmp_path):
    (tmp_path / "app.py").write_text("import os\ndef handler(event, context):\n    os.kill(os.getpid(), event['signal']) if event else None\n    return 'well'\n")
    faasd.deploy("mortal", tmp_path, "--runtime", "python", "--isolation", "fork")
    for _ in range(3):
        reply = faasd.invoke("mortal", json.dumps({"signal": 11}))
        assert (reply.status, reply.error) == (502, "FunctionCrashed"), reply
        assert faasd.invoke("mortal", b"").json() == "well"


def test_the_setting_is_shown(faasd, tmp_path):
    name = deploy(faasd, tmp_path, "native", "fork")
    shown = faasd.cli("describe", name).out
    assert any(line.split()[:2] == ["isolation", "fork"] for line in shown.splitlines()), shown


HOARDER = "def handler(event, context):\n    open('/tmp/fill', 'wb').write(bytes(24 << 20))\n    return len(bytearray(200 << 20))\n"
HOARDING_SCRIPT = "#!/bin/sh\nhead -c 24M /dev/zero > /tmp/fill\nexec /usr/bin/python3 -c 'bytearray(200 << 20)'\n"


@pytest.mark.parametrize("runtime,options", [("python", ("--template", "on")), ("python", ("--template", "off")), ("python", ("--isolation", "sandbox")),
                                             ("exec", ())])
def test_out_of_memory_says_how_much_of_it_was_tmp(faasd, tmp_path, runtime, options):
    """A template's child, a worker with a sandbox of its own, one that is used up, and a program that init started."""
    name = f"hoarder-{next(number)}"
    if runtime == "exec":
        faasd.deploy_script(name, HOARDING_SCRIPT, "--memory", "64M")
    else:
        (tmp_path / "app.py").write_text(HOARDER)
        faasd.deploy(name, tmp_path, "--runtime", runtime, "--memory", "64M", *options)
    reply = faasd.invoke(name, b"{}")
    assert (reply.status, reply.error) == (502, "OutOfMemory"), reply
    said = re.search(r"the limit 'memory' is 64M, the peak was ([0-9.]+)M, of which ([0-9.]+)M in /tmp and shared memory", reply.json()["errorMessage"])
    assert said and 23 <= float(said.group(2)) <= 30, reply
    assert faasd.invoke(name, b"{}").status == 502


@pytest.mark.parametrize("runtime", ["python", "exec"])
def test_out_of_memory_says_so_however_late_the_supervisor_looks(faasd, tmp_path, runtime):
    """The sandbox of the one has ended by then, with its /tmp; init of the other has emptied it for the next program."""
    name = f"hoarder-{next(number)}"
    memory = ("--memory", "64M")
    if runtime == "exec":
        faasd.deploy_script(name, "#!/bin/sh\n[ $(wc -c) -gt 2 ] || exit 0\n" + HOARDING_SCRIPT.replace("exec", "sleep 1; exec"), *memory)
    else:
        (tmp_path / "app.py").write_text("import time\n" + HOARDER.replace(":\n", ":\n    if not event: return 0\n", 1)
                                         .replace("    return", "    time.sleep(1)\n    return"))
        faasd.deploy(name, tmp_path, "--runtime", "python", "--template", "off", *memory)
    assert faasd.invoke(name, b"{}").status == 200  # one is warm: the supervisor is not needed to begin
    wait_until(lambda: any(i["state"] == "idle" for i in faasd.instances(name)), "the first request's instance is idle again")
    init = next(i["pid"] for i in faasd.instances(name) if i["state"] == "idle")
    fill = pathlib.Path(f"/proc/{init}/root/tmp/fill")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        os.kill(faasd.process.pid, signal.SIGSTOP)
        try:
            reply = pool.submit(faasd.invoke, name, b'{"hoard": true}')
            wait_until(fill.exists, "it fills its /tmp")
            wait_until(lambda: not fill.exists(), "out of memory, it is gone")
        finally:
            os.kill(faasd.process.pid, signal.SIGCONT)
        said = re.search(r"of which ([0-9.]+)M in /tmp and shared memory", reply.result().json()["errorMessage"])
    assert reply.result().error == "OutOfMemory" and said and 23 <= float(said.group(1)) <= 30, reply.result()


TALKER = """import time

def handler(event, context):
    print("begun " + event["word"])
    time.sleep(event["seconds"])
    print("ended " + event["word"])
"""


def lines_of(faasd, name, request):
    return [line["message"] for line in map(json.loads, faasd.cli("logs", name, "--id", request, "--json").out.splitlines())]


def test_what_a_process_for_one_request_says_is_its_requests_however_short_it_is(faasd, tmp_path):
    (tmp_path / "app.py").write_text(TALKER)
    faasd.deploy("talker", tmp_path, "--runtime", "python", "--isolation", "fork")
    for number in range(20):
        reply = faasd.invoke("talker", json.dumps({"word": str(number), "seconds": 0}).encode())
        assert reply.status == 200, reply
        request = reply.headers["X-Request-Id"]
        said = wait_until(lambda: (lambda lines: lines if len(lines) >= 2 else None)(lines_of(faasd, "talker", request)), "both lines")
        assert said == [f"begun {number}", f"ended {number}"]


def test_what_it_says_is_there_while_it_runs(faasd, tmp_path):
    (tmp_path / "app.py").write_text(TALKER)
    faasd.deploy("talker", tmp_path, "--runtime", "python", "--isolation", "fork", "--timeout", "30s")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reply = pool.submit(faasd.invoke, "talker", b'{"word": "slowly", "seconds": 3}')
        wait_until(lambda: "begun slowly" in faasd.cli("logs", "talker").out, "its first line")
        assert not reply.done()
        assert reply.result().status == 200


@pytest.mark.parametrize("template", ["on", "off"])
def test_out_of_memory_while_starting_says_so_too(faasd, tmp_path, template):
    (tmp_path / "app.py").write_text("open('/tmp/fill', 'wb').write(bytes(24 << 20))\nbytearray(200 << 20)\ndef handler(event, context):\n    return event\n")
    done = faasd.deploy("hoards-at-start", tmp_path, "--runtime", "python", "--memory", "64M", "--template", template, check=False)
    said = re.search(r"out of memory while starting: the limit 'memory' is 64M, the peak was [0-9.]+M, of which ([0-9.]+)M in /tmp and shared memory", done.err)
    assert done.returncode == 1 and said and 23 <= float(said.group(1)) <= 30, done.err


def test_events_of_json_runtimes_are_checked_before_anything_starts(faasd, tmp_path):
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return event\n")
    faasd.deploy("json", tmp_path, "--runtime", "python", "--keep-warm", "10ms")
    wait_until(lambda: not faasd.instances("json"), "scale to zero")
    for body, offset in ((b'{"a": }', 6), (b"[1,2", 4), (b"nul", 3), (b'"\xff"', 1), (b"{} x", 3)):
        reply = faasd.invoke("json", body)
        assert (reply.status, reply.error) == (400, "BadRequest") and f"byte {offset}" in reply.json()["errorMessage"], (body, reply)
    assert not faasd.instances("json")
    assert faasd.invoke("json", b"").json() == {}
    assert faasd.invoke("json", b' [1, "x"] ').json() == [1, "x"]
