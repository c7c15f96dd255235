# SPDX-License-Identifier: Apache-2.0
"""Node functions in the real daemon. What the bootstrap alone decides is in test_node_bootstrap.py."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from harness import EXAMPLES, wait_until

NODE = "/usr/bin/node"

pytestmark = pytest.mark.skipif(not os.path.exists(NODE), reason="node is not installed: scripts/setup test")


def version():
    return subprocess.run([NODE, "--version"], capture_output=True, text=True).stdout.strip()


def deploy(faasd, name, files, *options, check=True, handler="index.handler"):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-fn-"))
    try:
        directory.chmod(0o755)
        for path, text in (files if isinstance(files, dict) else {"index.js": files}).items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text)
        return faasd.deploy(name, directory, "--runtime", "node", "--handler", handler, *options, check=check)
    finally:
        shutil.rmtree(directory)


def test_a_function_answers_and_describe_names_its_node(faasd):
    done = deploy(faasd, "hello", "exports.handler = async (event, context) => ({ event, http: context.http });")
    assert version() in done.out
    reply = faasd.invoke("hello", b'{"a":1}', path="/x%20y?q=1", headers={"X-A": "b"})
    assert reply.status == 200 and reply.headers["Content-Type"] == "application/json"
    got = reply.json()
    assert got["event"] == {"a": 1}
    assert (got["http"]["method"], got["http"]["path"], got["http"]["query"]) == ("POST", "/x%20y", "q=1")
    assert got["http"]["headers"]["x-a"] == "b"
    assert faasd.invoke("hello").json()["event"] == {}
    assert version() in faasd.cli("describe", "hello").out


def test_an_es_module_with_a_package_and_a_callback_function_run(faasd):
    deploy(faasd, "esm", {"index.mjs": "import { two } from 'dep'; export const handler = async () => two;",
                          "node_modules/dep/package.json": '{"type":"module","exports":"./main.js"}',
                          "node_modules/dep/main.js": "export const two = 2;"})
    assert faasd.invoke("esm").body == b"2"
    deploy(faasd, "back", "exports.handler = (event, context, callback) => setTimeout(callback, 5, null, 'done');")
    assert faasd.invoke("back").body == b'"done"'


def test_the_example_tells_a_patch(faasd):
    faasd.deploy("patch", EXAMPLES / "node-json-patch")
    reply = faasd.invoke("patch", (EXAMPLES / "node-json-patch" / "event.json").read_bytes())
    assert reply.json() == [
        {"op": "replace", "path": "/price", "value": 10}, {"op": "replace", "path": "/tags/1", "value": "garden"},
        {"op": "remove", "path": "/tags/2"}, {"op": "add", "path": "/stock/a~1b", "value": 1}]
    assert faasd.invoke("patch", b"[]").error == "TypeError"


@pytest.mark.parametrize("code, kind", [
    ("throw new TypeError('x');", "TypeError"),
    ("await new Promise(() => {});", "Runtime.NodeJsExit"),
    ("Promise.reject(new Error('x'));", "Runtime.UnhandledPromiseRejection"),
    ("setTimeout(() => { throw new Error('x'); }, 1); await new Promise((r) => setTimeout(r, 10000));", "Runtime.UncaughtException"),
    ("process.exit(3);", "Runtime.ExitError"),
    ("return 1n;", "Runtime.MarshalError"),
])
def test_a_failure_is_answered_under_its_own_type_and_the_next_request_is_served(faasd, code, kind):
    deploy(faasd, "bad", f"exports.handler = async (event) => {{ if (event.bad) {{ {code} }} return 'good'; }};")
    for _ in range(3):
        reply = faasd.invoke("bad", b'{"bad":1}')
        assert (reply.status, reply.error) == (500, kind), reply
        assert reply.json()["errorType"] == kind
        assert faasd.invoke("bad", b"{}").body == b'"good"'


def test_requests_beside_one_that_exits_are_all_answered(faasd):
    """A worker that has said its last word is never given another request: not one of these may be lost."""
    deploy(faasd, "exits", "exports.handler = async (event) => { if (event.exit) process.exit(1); return event.n; };", "--max-concurrency", "2")

    def ask(n):
        reply = faasd.invoke("exits", json.dumps({"n": n, "exit": n % 5 == 0}).encode())
        return reply.error if n % 5 == 0 else reply.json()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(60)))
    assert answers == ["Runtime.ExitError" if n % 5 == 0 else n for n in range(60)]


def test_an_exception_behind_the_answer_harms_nobody(faasd):
    deploy(faasd, "late", "exports.handler = async (event) => { if (event.late) setTimeout(() => { throw new Error('behind'); }, 20); return process.pid; };")
    assert faasd.invoke("late", b'{"late":1}').status == 200
    wait_until(lambda: not faasd.instances("late"), "the worker ends while it is idle")
    assert faasd.invoke("late").status == 200
    assert "Error: behind" in faasd.cli("logs", "late").out


def test_a_crash_a_timeout_and_too_much_memory_are_answered(faasd):
    deploy(faasd, "worse", """
        exports.handler = async (event) => {
          if (event === 'abort') process.abort();
          if (event === 'spin') for (;;);
          if (event === 'grow') { const all = []; for (;;) all.push(new Array(131072).fill(all.length)); }
          return 'good';
        };""")
    for event, status, error in (("abort", 502, "FunctionCrashed"), ("grow", 502, "OutOfMemory"), ("spin", 504, "Timeout")):
        if event == "spin":
            faasd.cli("config", "worse", "--timeout", "1s")
        reply = faasd.invoke("worse", json.dumps(event).encode())
        assert (reply.status, reply.error) == (status, error), reply
        assert faasd.invoke("worse").body == b'"good"'


def test_garbage_does_not_count_against_the_memory_limit(faasd):
    deploy(faasd, "churn", """
        const kept = Array.from({ length: 40 }, (_, i) => new Array(131072).fill(i)); // 1 MB each
        exports.handler = async () => {
          const ring = [];
          for (let i = 0; i < 300; i++) ring[i % 5] = Array.from({ length: 20000 }, (_, k) => ({ k, i }));
          return kept.length;
        };""", "--memory", "128M")
    reply = faasd.invoke("churn")
    assert reply.body == b"40", reply


@pytest.mark.parametrize("memory", ["32M", "64M"])
def test_node_starts_within_little_memory(faasd, memory):
    deploy(faasd, "small", "exports.handler = async () => 1;", "--memory", memory, "--tmp", "8M")
    assert faasd.invoke("small").body == b"1"


@pytest.mark.parametrize("files, handler, kind, advice", [
    ({"index.js": "exports.handler = (;"}, "index.handler", "Runtime.UserCodeSyntaxError", "Unexpected token"),
    ({"index.js": "require('left-pad');"}, "index.handler", "Runtime.ImportModuleError", "npm install left-pad"),
    ({"index.js": "require('@aws-sdk/client-s3');"}, "index.handler", "Runtime.ImportModuleError", "not of this host"),
    ({"index.js": "exports.main = 1;"}, "index.handler", "Runtime.HandlerNotFound", "Exported: main"),
    ({"app.js": "exports.handler = 1;"}, "index.handler", "Runtime.ImportModuleError", "there is app.js"),
])
def test_a_function_that_cannot_start_says_why_at_the_deploy(faasd, files, handler, kind, advice):
    done = deploy(faasd, "never", files, check=False, handler=handler)
    assert done.returncode == 1
    assert kind in done.err and advice in done.err, done.err


def test_another_major_version_is_refused_by_name(faasd):
    done = deploy(faasd, "old", "exports.handler = async () => 1;", "--runtime", "nodejs12.x", check=False)
    assert done.returncode == 1
    assert version() in done.err and "runtimes" in done.err
    major = version()[1:].split(".")[0]
    deploy(faasd, "new", "exports.handler = async () => 1;", "--runtime", f"nodejs{major}.x")
    assert faasd.invoke("new").body == b"1"


def test_the_log_has_lambdas_records(faasd):
    deploy(faasd, "logs", "exports.handler = async () => { console.log('one\\ntwo'); console.error('bad'); };")
    request = faasd.invoke("logs").headers["X-Request-Id"]

    def text():
        out = faasd.cli("logs", "logs").out
        return out if "bad" in out else None

    out = wait_until(text, "the log is written")
    stamp = r"\d{4}-\d\d-\d\dT[\d:.]+Z"
    assert re.search(rf"{stamp}\t{request}\tINFO\tone\n", out)
    assert re.search(r"\ttwo\n", out)
    assert re.search(rf"{stamp}\t{request}\tERROR\tbad\n", out)


COUNTING = """
const fs = require('fs');
global.seen = (global.seen || 0);
const target = (fd) => { try { return fs.readlinkSync(`/proc/self/fd/${fd}`); } catch { return ''; } };
const openFiles = () => fs.readdirSync('/proc/self/fd').map(target).filter((name) => name.startsWith('/tmp/'));
exports.handler = async (event) => {
  const before = { seen: global.seen, env: process.env.LEFT || null, file: fs.existsSync('/tmp/left'), open: openFiles() };
  global.seen++;
  process.env.LEFT = 'yes';
  fs.writeFileSync('/tmp/left', 'x');
  fs.openSync('/tmp/left');
  setInterval(() => {}, 1000);
  return { ...before, started: process.hrtime.bigint().toString(), pid: process.pid };
};
"""


def test_reuse_keeps_its_state(faasd):
    deploy(faasd, "reuse", COUNTING)
    answers = [faasd.invoke("reuse").json() for _ in range(3)]
    assert [(a["seen"], a["env"], len(a["open"])) for a in answers] == [(0, None, 0), (1, "yes", 1), (2, "yes", 2)]


def test_fork_shows_a_request_nothing_of_another_in_memory(faasd):
    deploy(faasd, "forked", COUNTING, "--isolation", "fork")
    answers = [faasd.invoke("forked").json() for _ in range(6)]
    assert [(a["seen"], a["env"], a["open"]) for a in answers] == [(0, None, [])] * 6


def test_sandbox_shows_a_request_no_file_either(faasd):
    deploy(faasd, "alone", COUNTING, "--isolation", "sandbox")
    answers = [faasd.invoke("alone").json() for _ in range(4)]
    assert [(a["seen"], a["env"], a["file"]) for a in answers] == [(0, None, False)] * 4


def test_a_function_that_left_timers_running_serves_on_and_leaves_with_the_daemon(faasd):
    deploy(faasd, "timers", "setInterval(() => {}, 1); exports.handler = async (event) => { setInterval(() => {}, 1); return event; };")
    for n in range(20):
        assert faasd.invoke("timers", str(n).encode()).body == str(n).encode()
    pids = faasd.sandbox_pids()
    faasd.cli("rm", "timers")
    wait_until(lambda: not faasd.sandbox_pids() or set(faasd.sandbox_pids()) != set(pids), "its sandbox is gone")
