# SPDX-License-Identifier: Apache-2.0
"""What happened: records, their usage by runtime and isolation, why, replay, the bill, what a restart keeps."""

import json
import os
import re
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
import pathlib

import pytest

from harness import DEADLINE, HELLO, PROGRAMS, Faasd, wait_until, within

# The clock of the machine that runs the tests is not trusted for less than this.
SLEEPER_CPU_MS = 5


def record(faasd, reply_or_id, query=""):
    request_id = reply_or_id if isinstance(reply_or_id, str) else reply_or_id.headers["X-Request-Id"]
    reply = faasd.control("GET", f"/v1/invocations/{request_id}{query}")
    assert reply.status == 200, reply
    return reply.json()


def records(faasd, query=""):
    reply = faasd.control("GET", "/v1/invocations" + query)
    assert reply.status == 200, reply
    return reply.json()["invocations"]


def bill(faasd, query=""):
    reply = faasd.control("GET", "/v1/bill" + query)
    assert reply.status == 200, reply
    return reply.json()


def deploy_files(faasd, name, files, *options):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-fn-"))
    try:
        for path, text in files.items():
            (directory / path).write_text(text)
            (directory / path).chmod(0o755)
        return faasd.deploy(name, directory, *options)
    finally:
        shutil.rmtree(directory)


# -- what a function is asked to do, in each runtime --

PYTHON = """
import subprocess, time

kept = []


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def handler(event, context):
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("burn"):
        burn(event["burn"])
    if event.get("child"):
        subprocess.run(["/usr/bin/python3", "-c", "import time\\nend = time.process_time() + %f\\nwhile time.process_time() < end: pass" % event["child"]], check=True)
    if event.get("memory"):
        block = bytearray(event["memory"] << 20)
        for at in range(0, len(block), 4096):
            block[at] = 1
    return "done"
"""

NODE = """
const { execFileSync } = require('node:child_process');
exports.handler = async (event) => {
  if (event.sleep) await new Promise((done) => setTimeout(done, event.sleep * 1000));
  if (event.burn) { const end = process.cpuUsage(); for (let used; used = process.cpuUsage(end), used.user + used.system < event.burn * 1e6;); }
  if (event.child) execFileSync('/usr/bin/python3', ['-c', `import time\\nend = time.process_time() + ${event.child}\\nwhile time.process_time() < end: pass`]);
  return 'done';
};
"""

EXEC = """#!/usr/bin/python3
import json, os, subprocess, sys, time
event = json.load(sys.stdin)
if event.get("sleep"):
    os.execv("/bin/sleep", ["sleep", str(event["sleep"])])
if event.get("burn"):
    end = time.process_time() + event["burn"]
    while time.process_time() < end:
        pass
if event.get("child"):
    subprocess.run([sys.executable, "-c", "import time\\nend = time.process_time() + %f\\nwhile time.process_time() < end: pass" % event["child"]], check=True)
if event.get("memory"):
    block = bytearray(event["memory"] << 20)
    for at in range(0, len(block), 4096):
        block[at] = 1
"""

PROVIDED = """#!/usr/bin/python3
import http.client, json, subprocess, sys, time
api = http.client.HTTPConnection("127.0.0.1", 9001)
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    reply = api.getresponse()
    event = json.loads(reply.read())
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("burn"):
        end = time.process_time() + event["burn"]
        while time.process_time() < end:
            pass
    if event.get("child"):
        subprocess.run([sys.executable, "-c", "import time\\nend = time.process_time() + %f\\nwhile time.process_time() < end: pass" % event["child"]], check=True)
    api.request("POST", "/2018-06-01/runtime/invocation/" + reply.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", b'"done"')
    api.getresponse().read()
"""

KINDS = [("python", "reuse"), ("python", "fork"), ("python", "sandbox"), ("node", "reuse"), ("node", "fork"), ("exec", "reuse"), ("provided", "reuse")]


@pytest.fixture(scope="module")
def workers():
    """One function for each runtime and isolation, all of the same behaviour."""
    with Faasd() as faasd:
        for runtime, isolation in KINDS:
            options = ["--isolation", isolation, "--memory", "512M", "--timeout", "60s", "--cpus", "2"]
            name = f"{runtime}-{isolation}"
            if runtime == "python":
                deploy_files(faasd, name, {"app.py": PYTHON}, "--runtime", "python", *options)
            elif runtime == "node":
                deploy_files(faasd, name, {"index.js": NODE}, "--runtime", "node", *options)
            elif runtime == "exec":
                faasd.deploy_script(name, EXEC, *options)
            else:
                deploy_files(faasd, name, {"bootstrap": PROVIDED}, "--runtime", "provided", *options)
        yield faasd


def ask(faasd, name, **event):
    reply = faasd.invoke(name, json.dumps(event).encode())
    assert reply.status == 200, reply
    return record(faasd, reply)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_sleeper_uses_next_to_nothing(workers, kind):
    name = "-".join(kind)
    ask(workers, name)
    nothing = ask(workers, name)["cpu_ms"]  # a fresh process of node's compiles what it runs for the first time
    if kind == ("exec", "reuse"):
        # The interpreter's start is the request's own; what sleeps is a program that does nothing else.
        workers.deploy_script("sleeper", "#!/bin/sh\nexec sleep 0.2\n")
        name, nothing = "sleeper", 0
    r = ask(workers, name, sleep=0.2)
    assert r["usage_final"] is True
    assert r["run_ms"] >= 200
    assert r["cpu_ms"] - nothing < SLEEPER_CPU_MS, (r, nothing)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_burner_is_counted_within_five_percent(workers, kind):
    r = ask(workers, "-".join(kind), burn=1.0)
    # exec: the interpreter's own start and imports are part of the request, measured by the same program when it burns nothing.
    start = ask(workers, "-".join(kind))["cpu_ms"] if kind[0] == "exec" else 0
    assert r["usage_final"] is True
    assert 1000 * 0.95 <= r["cpu_ms"] - start <= 1000 * 1.05, (r, start)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_what_a_started_program_uses_is_the_requests(workers, kind):
    name = "-".join(kind)
    ask(workers, name)
    start = ask(workers, name, child=0.001)["cpu_ms"]  # an interpreter's start
    r = ask(workers, name, child=1.0)
    assert r["usage_final"] is True
    assert 1000 * 0.95 <= r["cpu_ms"] - start <= 1000 * 1.05 + start, (r, start)


def test_the_peak_of_a_warm_worker_is_named_as_its_instances(workers):
    big = ask(workers, "python-reuse", memory=200)
    small = ask(workers, "python-reuse", memory=50)
    assert small["instance"] == big["instance"]
    assert big["instance_peak_bytes"] >= 200 << 20
    assert small["instance_peak_bytes"] >= 200 << 20  # the high-water mark since the instance started, and called so
    assert "peak_bytes" not in small and "process_peak_bytes" not in small


@pytest.mark.parametrize("name,key", [("python-fork", "peak_bytes"), ("python-sandbox", "peak_bytes"), ("exec-reuse", "process_peak_bytes")])
def test_the_peak_of_a_request_of_its_own_is_its_own(workers, name, key):
    assert 200 << 20 <= ask(workers, name, memory=200)[key] <= 240 << 20
    r = ask(workers, name, memory=50)
    assert 50 << 20 <= r[key] <= 90 << 20, r
    assert "instance_peak_bytes" not in r


def test_requests_of_one_worker_in_a_row_are_told_apart(workers):
    """Looks at the group come later than the requests: what the clock tells of each must not be smeared over the others."""
    for _ in range(3):
        burner = workers.invoke("python-reuse", b'{"burn": 0.3}')
        sleeper = workers.invoke("python-reuse", b'{"sleep": 0.01}')
        assert 300 * 0.95 <= record(workers, burner)["cpu_ms"] <= 300 * 1.1
        assert record(workers, sleeper)["cpu_ms"] < SLEEPER_CPU_MS


def test_all_that_a_function_used_is_counted_once(workers):
    """The sum over its requests and its start is what the kernel counted for its groups, to within the looks' rounding."""
    before = cpu_seconds(workers, "node-reuse")
    for _ in range(5):
        ask(workers, "node-reuse", burn=0.1)
    ask(workers, "node-reuse", child=0.5)
    assert 1.0 <= cpu_seconds(workers, "node-reuse") - before <= 1.3


def cpu_seconds(faasd, name):
    text = faasd.request("GET", "/metrics").body.decode()
    return float(re.search(rf'^faasd_function_cpu_seconds_total{{function="{name}"}} (\S+)$', text, re.M).group(1))


# -- records --

def test_a_record_says_what_happened(faasd):
    faasd.deploy("hello", HELLO, "--memory", "64M")
    reply = faasd.invoke("hello", b'{"name":"x"}')
    r = record(faasd, reply)
    assert r["function"] == "hello" and r["version"] == 1 and r["status"] == "succeeded" and r["http_status"] == 200
    assert r["start"] == "warm" and r["init_ms"] == 0
    assert r["memory_bytes"] == 64 << 20
    assert abs(r["run_ms"] - float(reply.headers["X-Duration-Seconds"]) * 1000) < 0.01
    assert abs(r["billed_gb_seconds"] - r["run_ms"] / 1000 * 64 / 1024) < 1e-6
    assert time.strptime(r["started"][:19], "%Y-%m-%dT%H:%M:%S")


def test_a_cold_start_has_its_parts(faasd):
    faasd.deploy("cold", HELLO, "--keep-warm", "0s")
    wait_until(lambda: not faasd.instances("cold"), "the deploy's own instance goes")
    reply = faasd.invoke("cold", b"{}")
    r = record(faasd, reply)
    assert r["start"] == "cold"
    assert 0 < r["spawn_ms"] < r["init_ms"] <= r["queue_ms"] + 0.001
    wait_until(lambda: not faasd.instances("cold"), "its instance goes")
    shown = faasd.cli("invoke", "cold", "--trace").err
    assert re.search(r"^queue .*\|#", shown, re.M) and re.search(r"^run .*#\|$", shown, re.M)
    for step in ("    plan", "    clone", "    > unshare", "    > tmpfs /tmp", "    > mount /var/task", "    > seccomp", "    > exec"):
        assert re.search(rf"^{step} .* ms +\|", shown, re.M), step


def steps_of(faasd, reply):
    return record(faasd, reply, "?steps=1").get("steps")


def test_a_cold_start_tells_each_step_of_its_sandbox(faasd, tmp_path):
    script = tmp_path / "steps"
    script.write_text("#!/bin/sh\ncat\n")
    script.chmod(0o755)
    faasd.deploy("steps", script, "--runtime", "exec", "--keep-warm", "0s")
    wait_until(lambda: not faasd.instances("steps"), "the deploy's own instance goes")
    reply = faasd.invoke("steps", b"{}")
    wait_until(lambda: not faasd.instances("steps"), "its instance goes")
    r = record(faasd, reply, "?steps=1")
    steps = r["steps"]
    plan = [line.split()[1:] for line in faasd.cli("run", "--plan", script, "--runtime", "exec").out.split("between clone and exec")[1].splitlines() if re.match(r" *\d+  ", line)]
    inside = [s for s in steps if s["where"] == "sandbox"]
    # The network is one made ahead, or made by a step of its own: as many were at hand when it started.
    made_ahead = ("network", "unshare")
    wanted, done = [words[0] for words in plan if words[0] not in made_ahead], [s["step"].split()[0] for s in inside if s["step"].split()[0] not in made_ahead]
    assert done == wanted
    assert [s["step"] for s in inside][-1] == "exec"
    assert {"plan", "clone", "groups and id maps"} <= {s["step"] for s in steps if s["where"] == "supervisor"}
    for lane in ("supervisor", "sandbox"):
        at = [s for s in steps if s["where"] == lane]
        assert all(abs(a["at_ms"] + a["ms"] - b["at_ms"]) < 0.0021 for a, b in zip(at, at[1:])), "one begins where the last ended"
    assert 0 < inside[-2]["at_ms"] < r["init_ms"], "the last is over when the supervisor sees it"
    assert "steps" not in record(faasd, reply), "nobody asked"


def test_steps_are_forgotten_when_newer_starts_take_their_place(faasd):
    faasd.deploy("steps", HELLO, "--keep-warm", "0s")
    wait_until(lambda: not faasd.instances("steps"), "the deploy's own instance goes")
    first = faasd.invoke("steps", b"{}")
    assert steps_of(faasd, first)
    for _ in range(16):
        wait_until(lambda: not faasd.instances("steps"), "an instance goes")
        last = faasd.invoke("steps", b"{}")
    assert record(faasd, last)["start"] == "cold"
    assert steps_of(faasd, last) and not steps_of(faasd, first)
    faasd.deploy("steps", HELLO, "--keep-warm", "10m")
    assert not steps_of(faasd, faasd.invoke("steps", b"{}")), "a warm one waited for no start"


def test_a_failed_cold_start_tells_its_steps_too(faasd):
    faasd.deploy_script("bad", "#!/bin/sh\nexit 7\n", "--keep-warm", "0s")
    wait_until(lambda: not faasd.instances("bad"), "the deploy's own instance goes")
    reply = faasd.invoke("bad", b"{}")
    assert reply.status == 500
    r = record(faasd, reply, "?steps=1")
    assert r["status"] == "failed" and r["why"] and any(s["step"].startswith("exec") for s in r["steps"])


def test_what_waits_and_runs_is_listed_until_it_ends(faasd):
    faasd.deploy_script("slow", "#!/bin/sh\nread line\ncase $line in wait) sleep 3 ;; esac\n", "--max-concurrency", "1")
    callers = [threading.Thread(target=faasd.invoke, args=("slow", b"wait\n")) for _ in range(2)]
    for c in callers:
        c.start()

    def both():
        found = {r["status"]: r for r in records(faasd, "?function=slow")}
        return found if {"running", "queued"} <= found.keys() else None

    found = wait_until(both, "one runs and one waits")
    shown = record(faasd, found["running"]["id"])
    assert shown["status"] == "running" and shown["run_ms"] > 0 and "cpu_ms" not in shown
    assert [r["id"] for r in records(faasd, "?function=slow&status=queued")] == [found["queued"]["id"]]
    for c in callers:
        c.join(DEADLINE)
    assert record(faasd, found["queued"]["id"])["status"] == "succeeded"
    assert not records(faasd, "?function=slow&status=running")


def test_lists_are_filtered_and_newest_first(faasd):
    faasd.deploy_script("mixed", "#!/bin/sh\nread line\n[ \"$line\" = good ]\n")
    ids = [faasd.invoke("mixed", word).headers["X-Request-Id"] for word in (b"good\n", b"bad\n", b"good\n")]
    assert [r["id"] for r in records(faasd, "?function=mixed")] == ids[::-1]
    assert [r["id"] for r in records(faasd, "?function=mixed&status=failed")] == [ids[1]]
    assert [r["id"] for r in records(faasd, "?function=mixed&limit=1")] == [ids[2]]
    assert records(faasd, f"?function=mixed&since={int(time.time() * 1000) + 3600000}") == []
    rows = faasd.cli("invocation", "ls", "--function", "mixed", "--status", "failed", "--since", "10m", "-n", "5").out.splitlines()
    assert len(rows) == 2 and ids[1] in rows[1] and rows[1].endswith("FunctionError")
    assert json.loads(faasd.cli("invocation", "ls", "--function", "mixed", "--json").out)["invocations"][0]["id"] == ids[2]


@pytest.mark.parametrize("query,word", [("?status=gone", "queued, running"), ("?limit=0", "1 to 1000"), ("?limit=1001", "1 to 1000"), ("?since=yesterday", "milliseconds"),
                                        ("?function=a/b", "function's name")])
def test_a_bad_filter_is_refused_by_name(faasd, query, word):
    reply = faasd.control("GET", "/v1/invocations" + query)
    assert reply.status == 400 and word in reply.json()["errorMessage"]


def test_a_trace_is_shown_line_by_line(faasd, tmp_path):
    (tmp_path / "app.py").write_text("def handler(event, context):\n    raise ValueError('boom')\n")
    faasd.deploy("raises", tmp_path, "--runtime", "python")
    shown = faasd.cli("invocation", "show", faasd.invoke("raises").headers["X-Request-Id"]).out
    lines = [line[20:] for line in shown.splitlines()]
    at = lines.index("ValueError: boom")
    assert lines[at + 1].startswith('  File "/var/task/app.py", line 2') and lines[at + 2] == "    raise ValueError('boom')", shown


def test_an_unknown_id_is_told_apart_from_a_bad_one(faasd):
    reply = faasd.control("GET", "/v1/invocations/00000000-0000-4000-8000-000000000000")
    assert reply.status == 404 and "never reached a function" in reply.json()["errorMessage"]
    assert faasd.control("GET", "/v1/invocations/hello").status == 400
    assert faasd.cli("why", "00000000-0000-4000-8000-000000000000", check=False).returncode == 3
    assert faasd.cli("why", "hello", check=False).returncode == 2
    assert faasd.cli("invocation", "show", "nonsense", check=False).returncode == 2
    assert faasd.cli("invocation", "burn", check=False).returncode == 2
    assert faasd.cli("invocation", check=False).returncode == 2


def test_a_record_outlives_its_function(faasd):
    faasd.deploy("gone", HELLO)
    reply = faasd.invoke("gone", b"{}")
    faasd.cli("rm", "gone")
    assert record(faasd, reply)["function"] == "gone"
    assert [r["function"] for r in records(faasd, "?function=gone")] == ["gone"]


def test_the_memory_is_bounded():
    with Faasd(config={"records": {"memory": 50}}) as faasd:
        faasd.deploy("hello", HELLO)
        ids = [faasd.invoke("hello", b"{}").headers["X-Request-Id"] for _ in range(80)]
        found = [r["id"] for r in records(faasd, "?limit=1000")]
        assert found == ids[::-1][:50]
        reply = faasd.control("GET", f"/v1/invocations/{ids[0]}")
        assert reply.status == 404 and "the newest 50" in reply.json()["errorMessage"]


# -- why --

def why(faasd, reply):
    return faasd.cli("why", reply.headers["X-Request-Id"]).out


def test_why_names_the_limit_and_the_option(faasd):
    faasd.deploy_script("oom", "#!/usr/bin/python3\nx = bytearray(300 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\n", "--memory", "48M")
    reply = faasd.invoke("oom")
    assert reply.error == "OutOfMemory"
    text = why(faasd, reply)
    assert "'memory' (48M)" in text and "faasd config oom --memory 96M" in text

    faasd.deploy_script("late", "#!/bin/sh\nsleep 10\n", "--timeout", "300ms")
    reply = faasd.invoke("late")
    assert reply.error == "Timeout"
    text = why(faasd, reply)
    assert "'timeout' (300ms)" in text and "faasd config late --timeout 600ms" in text and "waited for something" in text

    faasd.deploy_script("busy", "#!/bin/sh\nwhile :; do :; done\n", "--timeout", "500ms")
    text = why(faasd, faasd.invoke("busy"))
    used, ran = map(int, re.search(r"it used (\d+) of (\d+) ms processor time", text).groups())
    assert ("it was computing" in text) == (used > ran * 0.7)  # a loaded machine may not have let it
    assert ("waited for something" in text) == (used < ran * 0.3)

    faasd.deploy_script("forks", "#!/bin/sh\nfor i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait; exit 1\n", "--pids", "4")
    text = why(faasd, faasd.invoke("forks"))
    assert "'pids' (4)" in text and "faasd config forks --pids 8" in text

    faasd.deploy_script("fills", "#!/bin/sh\nhead -c 10M /dev/zero > /tmp/x\nexit 1\n", "--tmp", "1M")
    text = why(faasd, faasd.invoke("fills"))
    assert "the limit 'tmp' is 1M" in text and "faasd config fills --tmp 2M" in text


def kernel_tells_kills():
    """Its log can be read, and takes what filters kill for: not on every host (containers)."""
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
        return "kill_process" in pathlib.Path("/proc/sys/kernel/seccomp/actions_logged").read_text().split()
    except OSError:
        return False


def test_why_names_signals_and_forbidden_calls(faasd):
    faasd.deploy_script("segv", "#!/bin/sh\nkill -SEGV $$\n")
    text = why(faasd, faasd.invoke("segv"))
    assert "signal 11 (SIGSEGV)" in text and "faasd logs segv --id" in text
    faasd.deploy_script("mounts", "#!/usr/bin/python3\nimport ctypes\nctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, None)\n")

    def call_line():
        text = why(faasd, faasd.invoke("mounts"))
        assert "signal 31 (SIGSYS)" in text and "mount" in text and "strace -f" in text
        line = next((line for line in text.splitlines() if line.startswith("call    ")), "no line")
        return None if line.startswith("call    not in the kernel's log, which leaves some out") else line

    line = call_line()
    if kernel_tells_kills():
        # It takes ten lines in five seconds, of whatever comes on this host.
        line = line or wait_until(call_line, "the kernel's log to take it", 30)
        assert re.fullmatch(r"call    mount \(\d+\), as the kernel's log has it", line), line


def test_why_of_what_a_handler_raised(workers):
    deploy_files(workers, "raises", {"app.py": "def handler(event, context):\n    raise KeyError('colour')\n"}, "--runtime", "python")
    reply = workers.invoke("raises", b"{}")
    text = why(workers, reply)
    assert "the function raised KeyError" in text and "colour" in text
    r = record(workers, reply)
    assert r["error"]["errorType"] == "KeyError" and any("app.py" in line for line in r["error"]["trace"])


def test_why_of_a_throttled_call_names_what_to_raise(faasd):
    faasd.deploy_script("narrow", "#!/bin/sh\nread line\ncase $line in wait) sleep 3 ;; esac\n", "--max-concurrency", "1", "--queue", "0")
    holder = threading.Thread(target=faasd.invoke, args=("narrow", b"wait\n"))
    holder.start()
    wait_until(lambda: records(faasd, "?function=narrow&status=running"), "the one instance is busy")
    reply = faasd.invoke("narrow", b"go\n")
    assert reply.status == 429
    text = why(faasd, reply)
    assert "max_concurrency (1)" in text and "faasd config narrow --max-concurrency 2" in text
    holder.join(DEADLINE)


def test_why_of_a_success_says_so(faasd):
    faasd.deploy("hello", HELLO)
    reply = faasd.invoke("hello", b"{}")
    done = faasd.cli("why", reply.headers["X-Request-Id"], check=False)
    assert done.returncode == 1 and "has not failed: it is succeeded" in done.err


# -- replay --

def test_a_failed_event_is_sent_again(faasd):
    faasd.deploy_script("picky", "#!/bin/sh\ncat\necho \"$REQUEST_METHOD $PATH_INFO $QUERY_STRING $CONTENT_TYPE\" >&2\nexit 1\n")
    reply = faasd.request("PUT", "/function/picky/a/b?x=1", body=b"the event", headers={"Content-Type": "text/plain", "Authorization": "secret"})
    assert reply.status == 500
    faasd.deploy_script("picky", "#!/bin/sh\ncat; echo \" $REQUEST_METHOD $PATH_INFO $QUERY_STRING $CONTENT_TYPE $HTTP_AUTHORIZATION.\"\n")
    done = faasd.cli("invocation", "replay", reply.headers["X-Request-Id"])
    assert done.out == "the event PUT /a/b x=1 text/plain .\n"
    assert re.search(r"replayed as [0-9a-f-]{36}", done.err)


def test_what_cannot_be_replayed_says_why():
    with Faasd(config={"records": {"event_bytes": "1K"}}) as faasd:
        faasd.deploy_script("bad", "#!/bin/sh\nexit 1\n")
        faasd.deploy("hello", HELLO)
        long = faasd.invoke("bad", b"x" * 1025)
        done = faasd.cli("invocation", "replay", long.headers["X-Request-Id"], check=False)
        assert done.returncode == 3 and "it has 1025 bytes, and the limit 'records.event_bytes'" in done.err
        fits = faasd.invoke("bad", b"x" * 1024)
        done = faasd.cli("invocation", "replay", fits.headers["X-Request-Id"], check=False)
        assert "replayed as" in done.err
        good = faasd.invoke("hello", b"{}")
        done = faasd.cli("invocation", "replay", good.headers["X-Request-Id"], check=False)
        assert done.returncode == 3 and "only those of failed invocations are kept" in done.err


# -- the disk --

def test_a_restart_keeps_failed_ones_and_the_bill():
    with Faasd() as faasd:
        faasd.deploy_script("bad", "#!/bin/sh\necho because >&2\nexit 3\n")
        faasd.deploy("hello", HELLO)
        failed = faasd.invoke("bad", b"the event")
        good = faasd.invoke("hello", b"{}")
        before = bill(faasd)["total"]
        assert before["requests"] == 2
        assert faasd.stop() == 0
        faasd.start()
        r = record(faasd, failed)
        assert r["error"]["errorMessage"] == "the program exited with status 3: because" and r["usage_final"] is True
        assert [x["id"] for x in records(faasd)] == [r["id"]]
        assert faasd.control("GET", f"/v1/invocations/{good.headers['X-Request-Id']}").status == 404
        assert bill(faasd)["total"] == before
        assert "because" in why(faasd, failed)
        done = faasd.cli("invocation", "replay", failed.headers["X-Request-Id"], check=False)
        assert "replayed as" in done.err


def test_a_killed_daemon_loses_no_more_than_a_flush():
    with Faasd(config={"records": {"flush": "100ms"}}) as faasd:
        faasd.deploy_script("bad", "#!/bin/sh\nexit 3\n")
        failed = faasd.invoke("bad")
        database = faasd.root / "state" / "db" / "records.db"

        def written():
            try:
                with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
                    return db.execute("SELECT count(*) FROM failures").fetchone()[0]
            except sqlite3.OperationalError:
                return 0  # not made yet, or being made

        wait_until(written, "the flush has come")
        faasd.stop(signal.SIGKILL)
        faasd.start()
        assert record(faasd, failed)["type"] == "FunctionError"


def test_a_damaged_database_harms_nobody_and_is_said():
    with Faasd() as faasd:
        faasd.deploy_script("bad", "#!/bin/sh\nexit 3\n")
        for _ in range(200):
            faasd.invoke("bad", b"x" * 4000)
        assert faasd.stop() == 0
        path = faasd.root / "state" / "db" / "records.db"
        with open(path, "r+b") as f:
            f.seek(4096 * 3)
            f.write(b"\xff" * 4096 * 40)
        faasd.start()
        failed = faasd.invoke("bad")
        assert failed.status == 500
        assert record(faasd, failed)["type"] == "FunctionError"
        assert records(faasd)  # whatever of the others could be read
        assert bill(faasd)["functions"]
        assert "records.db' is damaged" in faasd.log_text()
        assert list(path.parent.glob("records.db.damaged*"))


def set_format(faasd, number):
    with sqlite3.connect(faasd.root / "state" / "db" / "records.db") as db:
        before = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {number}")
    db.close()
    return before


@pytest.fixture
def newer_records():
    """A daemon whose records.db a newer faasd has left, and that one's format."""
    with Faasd() as faasd:
        faasd.deploy_script("bad", "#!/bin/sh\nexit 3\n")
        faasd.invoke("bad")
        assert faasd.stop() == 0
        own = set_format(faasd, 99)
        faasd.start()
        yield faasd, own


def test_what_an_orderly_stop_could_not_write_is_said_to_be_lost(newer_records):
    faasd, own = newer_records
    first = faasd.invoke("bad")
    assert [r["id"] for r in records(faasd)] == [first.headers["X-Request-Id"]], "what is in memory is told"
    listed = faasd.control("GET", "/v1/invocations").json()
    assert "records on disk cannot be read" in listed["missing"][0] and "newer faasd" in listed["missing"][0]
    assert faasd.control("GET", "/v1/bill").status == 500
    faasd.invoke("bad")
    assert faasd.stop() == 0
    assert re.search(r"error: the last records and bills could not be written and are lost: .*newer faasd", faasd.log_text()), faasd.log_text()
    set_format(faasd, own)
    faasd.start()
    assert len(records(faasd)) == 1 and "missing" not in faasd.control("GET", "/v1/invocations").json()


def test_an_orderly_stop_writes_what_failed_before_and_what_came_since(newer_records):
    faasd, own = newer_records
    before = faasd.invoke("bad").headers["X-Request-Id"]
    assert faasd.control("GET", "/v1/bill").status == 500
    wait_until(lambda: "records and bills cannot be written" in faasd.log_text(), "a batch has failed")
    since = faasd.invoke("bad").headers["X-Request-Id"]
    set_format(faasd, own)
    assert faasd.stop() == 0
    assert "are lost" not in faasd.log_text()
    faasd.start()
    assert {before, since} <= {r["id"] for r in records(faasd)} and bill(faasd)["total"]["requests"] == 3


def test_nothing_is_made_on_the_disk_before_it_is_needed():
    with Faasd() as faasd:
        faasd.deploy("hello", HELLO)
        assert not (faasd.root / "state" / "db" / "records.db").exists()
        faasd.invoke("hello", b"{}")
        assert bill(faasd)["total"]["requests"] == 1
        assert (faasd.root / "state" / "db" / "records.db").exists()


def test_failed_ones_are_bounded_in_number():
    with Faasd(config={"records": {"failed": 10, "memory": 16}}) as faasd:
        faasd.deploy_script("bad", "#!/bin/sh\nexit 3\n")
        ids = [faasd.invoke("bad").headers["X-Request-Id"] for _ in range(30)]
        assert faasd.stop() == 0
        faasd.start()
        assert sorted(r["id"] for r in records(faasd, "?limit=1000")) == sorted(ids[-10:])


def test_failed_ones_expire():
    with Faasd(config={"records": {"keep": "1h"}}) as faasd:
        faasd.deploy_script("bad", "#!/bin/sh\nexit 3\n")
        old = faasd.invoke("bad")
        assert faasd.stop() == 0
        with sqlite3.connect(faasd.root / "state" / "db" / "records.db") as db:
            db.execute("UPDATE failures SET ended_ms = ended_ms - 2 * 3600 * 1000")
        faasd.start()
        assert record(faasd, old)  # nothing looks for old ones but a write
        new = faasd.invoke("bad")
        assert record(faasd, new)
        faasd.control("GET", "/v1/invocations?status=failed")  # what waits is written before the disk is read
        assert [r["id"] for r in records(faasd)] == [new.headers["X-Request-Id"]]


def test_a_flood_of_failures_is_bounded_and_said(faasd):
    """More than can wait for the disk in one flush: the rest stays in memory, the log and a metric tell, and nothing else suffers."""
    with Faasd(config={"records": {"flush": "1h", "failed": 100}}) as daemon:
        deploy_files(daemon, "raises", {"app.py": "def handler(event, context):\n    raise KeyError('x')\n"}, "--runtime", "python")
        for _ in range(700):
            assert daemon.invoke("raises", b"{}").status == 500
        assert len(records(daemon, "?limit=1000&function=raises")) == 700
        assert daemon.stop() == 0
        daemon.start()
        assert len(records(daemon, "?limit=1000")) == 100


# -- the bill --

def test_a_thousand_calls_of_a_tenth_of_a_second_are_twelve_and_a_half_gb_seconds():
    with Faasd(config={"defaults": {"max_concurrency": 100, "queue": 1000}}) as faasd:
        faasd.deploy(  # what sleeps in the worker takes no processor, so that a slow machine bills no more
            "tenth", PROGRAMS / "sleeper", "--memory", "128M", "--max-concurrency", "25", "--queue", "1000", "--min-warm", "25")
        wait_until(lambda: len(faasd.instances("tenth")) >= 25, "25 instances are warm")

        def call():
            for _ in range(40):
                assert faasd.invoke("tenth", b"100").status == 200

        callers = [threading.Thread(target=call) for _ in range(25)]
        for c in callers:
            c.start()
        for c in callers:
            c.join(within(120))
        one = next(f for f in bill(faasd)["functions"] if f["function"] == "tenth")
        assert one["requests"] == 1000
        told = sum(r["billed_gb_seconds"] for r in records(faasd, "?function=tenth&limit=1000"))
        assert abs(one["gb_seconds"] - told) < 0.001  # the bill is the sum of what the records say
        slept = sum(max(100.0, r["run_ms"]) for r in records(faasd, "?function=tenth&limit=1000")) / 1000 * 0.125
        assert abs(one["gb_seconds"] / slept - 1) < 0.01
        fastest = sorted(r["run_ms"] for r in records(faasd, "?function=tenth&limit=1000"))
        assert 100 <= fastest[0] and fastest[100] * 0.125 <= 12.5 * 1.01, fastest[:5]
        assert one["idle_gb_seconds"] > 0


def test_min_warm_has_a_line_of_its_own():
    with Faasd() as faasd:
        faasd.deploy("kept", HELLO, "--min-warm", "2", "--memory", "512M")
        wait_until(lambda: len(faasd.instances("kept")) == 2, "two are kept")
        first = bill(faasd)["total"]["idle_gb_seconds"]
        begin = time.monotonic()
        wait_until(lambda: time.monotonic() > begin + 1, "a second passes")
        again = bill(faasd)["total"]["idle_gb_seconds"]
        passed = time.monotonic() - begin
        assert again - first == pytest.approx(passed, rel=0.2)  # two of 0.5 GB
        assert bill(faasd)["total"]["gb_seconds"] == 0
        text = faasd.cli("bill", "--price", "0.00001667").out
        assert re.search(r"^kept, idle \(min_warm\) +- +\d", text, re.M)
        faasd.cli("config", "kept", "--min-warm", "0", "--keep-warm", "0s")
        wait_until(lambda: not faasd.instances("kept"), "nothing is kept any more")
        stopped = bill(faasd)["total"]["idle_gb_seconds"]
        assert bill(faasd)["total"]["idle_gb_seconds"] == stopped


def test_the_bill_multiplies_and_leaves_out_what_is_free():
    with Faasd() as faasd:
        faasd.deploy("hello", HELLO)
        faasd.invoke("hello", b"{}")
        month = bill(faasd)["month"]
        assert bill(faasd, "?month=2020-01")["functions"] == []
        with sqlite3.connect(faasd.root / "state" / "db" / "records.db") as db:
            db.execute("INSERT INTO bills VALUES (202001, 'old', 3000000, 1024000000 * 1000, 0)")
        rows = faasd.cli("bill", "--month", "2020-01", "--price", "0.00001667", "--request-price", "0.20", "--free", "400", "--free-requests", "1000000").out.splitlines()
        assert rows[0] == "2020-01"
        assert rows[2].split() == ["old", "3000000", "1000.000", "0.616670"]
        assert rows[-1].split()[-3:] == ["2000000", "600.000", "0.410002"]
        assert month == time.strftime("%Y-%m", time.gmtime())
        assert faasd.control("GET", "/v1/bill?month=yesterday").status == 400
        assert faasd.cli("bill", "--price", "cheap", check=False).returncode == 2


# -- reload, degraded disk --

def test_keys_are_reloaded_and_bad_ones_refused():
    with Faasd(config={"records": {"event_bytes": 0}}) as faasd:
        faasd.deploy_script("bad", "#!/bin/sh\nexit 1\n")
        first = faasd.invoke("bad", b"x")
        assert faasd.control("GET", f"/v1/invocations/{first.headers['X-Request-Id']}/event").status == 404
        faasd.write_config({"records": {"event_bytes": "1K"}})
        faasd.process.send_signal(1)
        wait_until(lambda: "the new configuration is in use" in faasd.log_text(), "it is read again")
        second = faasd.invoke("bad", b"x")
        assert faasd.control("GET", f"/v1/invocations/{second.headers['X-Request-Id']}/event").body == b"x"
    for bad in ({"records": {"memory": 1}}, {"records": {"keeep": "1d"}}, {"metrics_listen": "9100"}, {"access_log": "../x"}, {"tracing": "sometimes"}):
        faasd = Faasd(config=bad)
        done = faasd.cli("serve", "--check-config", check=False)
        assert done.returncode != 0, bad
        shutil.rmtree(faasd.root)


@pytest.mark.parametrize("lose", [lambda db: db.write_bytes(b""), lambda db: (db.write_bytes(b""), db.with_name("records.db-wal").write_bytes(bytes(4000)))], ids=["empty", "empty beside its log"])
def test_an_emptied_records_db_is_named_and_a_new_one_begins(lose):
    with Faasd() as faasd:
        faasd.deploy_script("bad", "#!/bin/sh\nexit 7\n")
        lost = faasd.invoke("bad").headers["X-Request-Id"]
        assert faasd.stop() == 0
        lose(faasd.root / "state" / "db" / "records.db")
        faasd.start()
        kept = faasd.invoke("bad").headers["X-Request-Id"]
        assert faasd.control("GET", f"/v1/invocations/{lost}").status == 404
        assert record(faasd, kept)["status"] == "failed"
        wait_until(lambda: "records.db' is damaged" in faasd.log_text(), "it is named")
        assert faasd.system()["damaged"] == ["records.db"]
        assert (faasd.root / "state" / "db" / "records.db.damaged").exists()
        assert faasd.stop() == 0
        faasd.start()
        assert record(faasd, kept)["status"] == "failed"
