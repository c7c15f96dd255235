# SPDX-License-Identifier: Apache-2.0
"""What whoever deploys is told when the function's own start fails: all of it, not the first line."""

import concurrent.futures
import os
import signal

import pytest

from harness import Faasd, wait_until, within


@pytest.fixture(scope="module")
def faasd():
    with Faasd({"init_timeout": f"{within(2):.0f}s"}) as daemon:
        yield daemon


def refuse(faasd, name, path, *options):
    done = faasd.deploy(name, path, *options, check=False)
    assert done.returncode == 1, done.out
    assert faasd.control("GET", f"/v1/functions/{name}").status == 404
    return done.err


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


# ---- what the function says about itself ----

def test_a_long_message_and_its_trace_are_shown_whole(faasd, tmp_path):
    findings = "\\n".join(f"finding {n}: ü {'x' * 60}" for n in range(100))
    file = write(tmp_path / "app.py", f'def check():\n    raise ValueError("""{findings}""")\ncheck()\ndef handler(event): pass\n')
    said = refuse(faasd, "long", file)
    assert "the function could not be started: ValueError: finding 0: ü x" in said
    assert all(f"finding {n}: ü {'x' * 60}" in said for n in range(100))
    assert 'File "/var/task/app.py", line 3, in <module>' in said and 'File "/var/task/app.py", line 2, in check' in said


def test_what_is_longer_than_the_limit_is_cut_at_a_character_and_says_so(faasd, tmp_path):
    file = write(tmp_path / "app.py", "raise ValueError('ü' * 10000)\ndef handler(event): pass\n")
    said = refuse(faasd, "longer", file)
    assert "ValueError: " + "ü" * 8192 + " ... (16384 of 20000 bytes)" in said


@pytest.mark.parametrize("file,text", [
    ("index.mjs", "const check = () => { throw new TypeError(Array.from({length: 100}, (_, n) => `finding ${n}`).join('\\n')); };\ncheck();\nexport const handler = 1;\n"),
    ("index.cjs", "const check = () => { throw new TypeError(Array.from({length: 100}, (_, n) => `finding ${n}`).join('\\n')); };\ncheck();\n"),
])
def test_so_are_those_of_node(faasd, tmp_path, file, text):
    said = refuse(faasd, "node", write(tmp_path / file, text))
    assert "TypeError: finding 0\n" in said and "finding 99\n    TypeError: finding 0\n" in said
    assert f"/var/task/{file}:1:" in said and f"/var/task/{file}:2:1" in said.splitlines()[-1]


@pytest.mark.parametrize("files,place", [
    ({"app.py": b"x = 1\ny = '\0'\n"}, "/var/task/app.py, line 2"),
    ({"app.py": b"import pkg.part\ndef handler(e): pass\n", "pkg/__init__.py": b"", "pkg/part.py": "x = 1\n".encode("utf-16-le")}, "/var/task/pkg/part.py, line 1"),
])
def test_a_python_file_with_a_nul_byte_is_named(faasd, tmp_path, files, place):
    for name, data in files.items():
        write(tmp_path / name, data)
    said = refuse(faasd, "nul", tmp_path, "--runtime", "python", "--handler", "app.handler")
    assert f"Runtime.UserCodeSyntaxError: Syntax error in module 'app': source code string cannot contain null bytes ({place}: is it UTF-16?" in said, said


# ---- where it is wrong ----

@pytest.mark.parametrize("files,words", [
    ({"app.py": "def handler(e, c)\n    return 1\n"}, ["expected ':' (app.py, line 1)", '\n      File "/var/task/app.py", line 1\n        def handler(e, c)\n                         ^\n']),
    ({"app.py": "import pkg.part\n", "pkg/__init__.py": "", "pkg/part.py": "x = 1\ny = (\n"}, ['\n      File "/var/task/pkg/part.py", line 2\n        y = (\n            ^\n']),
    ({"app.mjs": "export const handler = (;\n"}, ["SyntaxError: Unexpected token ';' (/var/task/app.mjs:1)", "\n    export const handler = (;\n                            ^\n"]),
    ({"app.mjs": "import './lib/a.mjs';\nexport const handler = 1;\n", "lib/a.mjs": "import { b } from './b.mjs';\n", "lib/b.mjs": "export const b = 1;\nexport const = 2;\n"},
     ["(/var/task/lib/b.mjs:2)", "export const = 2;"]),
    ({"app.cjs": "exports.handler = async () => {\n  return nope(;\n};\n"}, ["SyntaxError: Unexpected token ';' (/var/task/app.cjs:2)", "return nope(;"]),
])
def test_a_syntax_error_is_shown_in_its_place(faasd, tmp_path, files, words):
    for name, text in files.items():
        write(tmp_path / name, text)
    said = refuse(faasd, "syntax", tmp_path, "--runtime", "python" if "app.py" in files else "node", "--handler", "app.handler", "--memory", "64M")
    assert "Runtime.UserCodeSyntaxError" in said
    for word in words:
        assert word in said, said


@pytest.mark.parametrize("files,words", [
    ({"app.mjs": "import './util';\n", "util.mjs": ""}, "An import names the file with its extension: util.mjs"),
    ({"app.mjs": "import data from './data.json';\n", "data.json": "{}"}, "import data from './FILE.json' with { type: 'json' }"),
    ({"app.cjs": "module.exports = async () => 1;\n"}, "the module is a function itself. Write exports.handler = ..."),
    ({"app.ts": "export const handler = 1;\n"}, "there is app.ts"),
])
def test_what_node_leaves_unsaid_is_said(faasd, tmp_path, files, words):
    for name, text in files.items():
        write(tmp_path / name, text)
    assert words in refuse(faasd, "advice", tmp_path, "--runtime", "node", "--handler", "app.handler")


@pytest.mark.parametrize("name,options,words", [
    ("run.py", ["--handler", "run.py"], "; a Python module takes --runtime python --handler MODULE.FUNCTION"),
    ("run.cjs", ["--handler", "run.cjs"], "; a JavaScript module takes --runtime node --handler FILE.EXPORT"),
    ("run.ts", ["--handler", "run.ts"], "; compile TypeScript to JavaScript"),
    ("run.py", ["--handler", "nope.handler"], "not among the uploaded files; MODULE.FUNCTION is for --runtime python"),
])
def test_a_source_file_that_was_meant_for_another_runtime_says_so(faasd, tmp_path, name, options, words):
    write(tmp_path / "d" / name, "1\n")
    assert words in refuse(faasd, "source", tmp_path / "d", *options)


def test_the_type_of_an_error_is_named_once(faasd, tmp_path):
    said = refuse(faasd, "once", write(tmp_path / "app.py", "raise ValueError('no')\n"))
    assert said.count("ValueError: no") == 1 and "(ValueError)" not in said
    assert "(BadRequest)" in refuse(faasd, "once", tmp_path, "--handler", "nope")


# ---- what only its log says ----

WORKER = """#!/usr/bin/python3
def first():
    second()
def second():
    raise ValueError("the last line")
print("line before the first" * 200, flush=True)
first()
"""


def test_the_end_of_the_log_of_a_worker_that_crashes_is_shown_in_whole_lines(faasd, tmp_path):
    said = refuse(faasd, "crash", write(tmp_path / "worker", WORKER, 0o755), "--runtime", "native")
    assert "FunctionCrashed: the worker exited with status 1:\nTraceback (most recent call last):\n" in said
    assert "line before" not in said and "in second\n" in said and "ValueError: the last line" in said


def test_so_is_that_of_a_runtime_of_ones_own(faasd, tmp_path):
    write(tmp_path / "bootstrap", "#!/bin/bash\nfor n in {1..40}; do echo \"reason $n\" >&2; done\nexit 3\n", 0o755)
    said = refuse(faasd, "own", tmp_path, "--runtime", "provided")
    assert "Runtime.ExitError: Runtime exited with error: exit status 3" in said
    assert all(f"reason {n}\n" in said or said.rstrip().splitlines()[-1].startswith(f"reason {n}") for n in range(1, 41))


def test_so_is_that_of_a_start_that_takes_too_long(faasd, tmp_path):
    file = write(tmp_path / "app.py", "import time\nprint('connecting to the database')\ntime.sleep(60)\ndef handler(event): pass\n")
    said = refuse(faasd, "slow", file)
    assert "Timeout: not ready after the limit 'init_timeout'" in said and "connecting to the database" in said


# Gets ready unless something is in the way, and leaves its first caller in the lurch.
LATER = """#!/usr/bin/python3
import os, socket, struct
if os.path.exists("/mnt/broken"):
    for n in range(60):
        print(f"reason {n}: {'x' * 20}")
    raise ValueError("the last line")
connection = socket.socket(fileno=3)
connection.sendall(struct.pack("<IHHQ", 0, 1, 0, 0))
connection.recv(1 << 20)
"""


def test_a_caller_that_waited_for_a_start_that_crashes_gets_the_end_of_the_log_too(tmp_path):
    tmp_path.chmod(0o755)
    shared = tmp_path / "shared"
    shared.mkdir()
    with Faasd({"grants": {"mounts": [str(shared)]}}) as faasd:
        faasd.deploy("later", write(tmp_path / "worker", LATER, 0o755), "--runtime", "native", "--mount", f"{shared}:/mnt")
        write(shared / "broken", "")
        assert faasd.invoke("later").json()["errorMessage"] == "the worker exited with status 0 before it answered"
        reply = faasd.invoke("later")
    said = reply.json()["errorMessage"]
    assert reply.status == 502 and reply.error == "FunctionCrashed", reply
    assert said.startswith("the function could not be started: the worker exited with status 1:\nreason ")
    assert "\nreason 59: " in said and "Traceback (most recent call last):" in said and said.endswith("ValueError: the last line")


# The starts are counted; each waits to be told what becomes of it: it fails, gets ready and crashes under its first request, or serves.
TOLD = """#!/usr/bin/python3
import itertools, os, socket, struct, sys, time

def claim(n):
    try:
        return not os.close(os.open(f"/mnt/start-{n}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False

def told(n):
    try:
        return os.readlink(f"/mnt/told-{n}")
    except FileNotFoundError:
        return None

n = next(filter(claim, itertools.count()))
while told(n) is None:
    time.sleep(0.01)
if told(n) == "fail":
    sys.exit("told to fail")
connection = socket.socket(fileno=3)
connection.sendall(struct.pack("<IHHQ", 0, 1, 0, 0))
while event := connection.recv(1 << 20):
    if told(n) == "crash":
        sys.exit("told to crash")
    _, _, _, id = struct.unpack_from("<IHHQ", event)
    connection.sendall(struct.pack("<IHHQIIII", 16, 3, 0, id, 200, 0, 0, 0))
"""


def test_a_caller_whom_another_start_under_way_will_serve_is_not_told_of_one_that_failed(tmp_path):
    """Crashes of before counted as failed starts, so the first that failed ended the wait of all callers."""
    tmp_path.chmod(0o755)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with Faasd({"grants": {"mounts": [f"{shared}:rw"]}, "init_timeout": "60s"}) as faasd, concurrent.futures.ThreadPoolExecutor(3) as pool:
        def tell(number, what):
            (shared / f"told-{number}").symlink_to(what)  # whole at once

        def has_begun(number):
            wait_until((shared / f"start-{number}").exists, f"start {number} is under way")

        for number in range(3):
            tell(number, "crash")
        faasd.deploy("told", write(tmp_path / "worker", TOLD, 0o755), "--runtime", "native", "--mount", f"{shared}:/mnt:rw", "--max-concurrency", "3")
        for _ in range(3):
            assert faasd.invoke("told").error == "FunctionCrashed"
        waiting = [pool.submit(faasd.invoke, "told") for _ in range(3)]
        has_begun(5)
        tell(3, "fail")
        has_begun(6)  # its successor: what follows for the callers has been decided
        assert not any(w.done() for w in waiting)
        for number in (4, 5, 6):
            tell(number, "serve")
        assert [w.result().status for w in waiting] == [200, 200, 200]


# ---- what it says while it runs ----

def test_starts_that_overlap_are_not_each_others_hope_for_ever(tmp_path):
    """One of two starts is ended half way, so that from then on one is always under way when the other fails: whoever waited was never told."""
    write(tmp_path / "app.py", "import os, time\ntime.sleep(600 if os.path.exists('/var/task/hang') else 0)\ndef handler(event, context): return 1\n")
    with Faasd({"init_timeout": f"{within(1):.0f}s", "crash_backoff": "100ms"}) as daemon:
        daemon.deploy("late", tmp_path, "--handler", "app.handler", "--runtime", "python", "--isolation", "sandbox", "--max-concurrency", "2", "--keep-warm", "10ms")
        (daemon.root / "state/versions" / daemon.describe("late")["code"] / "hang").write_text("")
        wait_until(lambda: not daemon.instances("late"), "the deploy's instance is gone")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(daemon.invoke, "late", timeout=within(20))

            def half_way():
                return [i["pid"] for i in daemon.instances("late") if i["state"] == "starting" and i["age_ms"] > within(0.4) * 1000]
            os.kill(wait_until(lambda: len(half_way()) == 2 and half_way(), "half of two starts' time is over")[0], signal.SIGKILL)
            reply = waiting.result()
    assert (reply.status, reply.error) == (504, "Timeout") and "init_timeout" in reply.json()["errorMessage"], reply


def test_of_a_long_log_the_newest_4_mib_are_read_back(faasd):
    # In pieces: at once they come faster than any disk takes them, and some would be dropped, the last one perhaps among them.
    faasd.deploy_script("talker", "#!/bin/sh\nfor i in $(seq 1 500 39501); do\nseq -f '%05.0f xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' $i $((i + 499)) >&2\nsleep 0.02\ndone\n")
    request = faasd.invoke("talker").headers["X-Request-Id"]

    def read():
        lines = faasd.control("GET", "/v1/functions/talker/logs").body.splitlines()
        return lines if lines and b"40000 xxx" in lines[-1] else None

    lines = wait_until(read, "the last line in the log")
    assert 4 << 20 >= sum(map(len, lines)) + len(lines) > (4 << 20) - 1000
    # On a busy machine lines come faster than they can be written: what stands in their place is of no request.
    own = [line for line in lines if request.encode() in line]
    shown = faasd.cli("logs", "talker", "--id", request, "-n", "40000").out.splitlines()
    assert len(own) <= len(shown) < 40000 and len(shown) - len(own) <= len(lines) - len(own) and shown[-1].endswith("x" * 50)
