# SPDX-License-Identifier: Apache-2.0
"""What whoever deploys is told when the function's own start fails: all of it, not the first line."""

import pytest

from harness import Faasd, within


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
    assert "TypeError: finding 0\n" in said and "finding 99 (TypeError)\n" in said
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
connection.recv(16)
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
