# SPDX-License-Identifier: Apache-2.0
"""Functions that fail in every way: the caller and the log are told the same type, and the next request is unharmed."""

import json

import pytest

from harness import Faasd, wait_until


@pytest.fixture(scope="module")
def faasd():
    with Faasd() as d:
        yield d


def deploy(faasd, tmp_path, name, text, *options, runtime="python", check=True):
    file = {"python": "app.py", "node": "app.js"}[runtime]
    (tmp_path / file).write_text(text)
    return faasd.deploy(name, tmp_path, "--runtime", runtime, "--handler", "app.handler", *options, check=check)


def wait_for_log(faasd, name, request, text):
    def said():
        lines = map(json.loads, faasd.cli("logs", name, "--json").out.splitlines())
        return any(line["request"] == request and text in line["message"] for line in lines)

    wait_until(said, f"'{text}' in the log of {name}")


ENDS = {
    "exits": ("import os\ndef handler(e, c):\n  if e: os._exit(3)", "FunctionCrashed", "the worker exited with status 3"),
    "leaves": ("import os\ndef handler(e, c):\n  if e: os._exit(0)", "FunctionCrashed", "the worker exited with status 0 before it answered"),
    "hangs": ("import time\ndef handler(e, c):\n  if e: time.sleep(60)", "Timeout", "the limit 'timeout' is 1s"),
    "too-long": ("def handler(e, c): return 'x' * (7 << 20) if e else None", "BadReply", "longer than the limit 'reply_bytes' (6M)"),
    "bit-too-long": ("def handler(e, c): return 'x' * (6 << 20) if e else None", "BadReply", "the reply has 6291458 bytes, longer than the limit 'reply_bytes' (6M)"),
    "forged": (
        "import os, struct\ndef handler(e, c):\n  if e: os.write(220, struct.pack('<IHHQIIII2s', 18, 3, 0, 99, 200, 0, 2, 0, b'hi'))",
        "BadReply",
        "the id of no request at hand",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_log_tells_why_a_worker_was_given_up(faasd, tmp_path, name):
    text, kind, why = ENDS[name]
    deploy(faasd, tmp_path, name, text, "--timeout", "1s", "--template", "off")
    reply = faasd.invoke(name, b'{"fail":true}')
    assert reply.json()["errorType"] == kind and why in reply.json()["errorMessage"], reply
    wait_for_log(faasd, name, reply.headers["X-Request-Id"], f"{kind}: ")
    assert faasd.invoke(name).json() is None


def test_the_log_tells_how_a_program_ended(faasd):
    faasd.deploy_script("program", "#!/bin/sh\nexit 7\n")
    reply = faasd.invoke("program")
    assert reply.error == "FunctionError", reply
    wait_for_log(faasd, "program", reply.headers["X-Request-Id"], "FunctionError: the program exited with status 7")
    faasd.deploy_script("link", '#!/bin/sh\nln -s /etc/passwd "$res"\n', "--contract", "files")
    reply = faasd.invoke("link")
    assert reply.error == "BadReply", reply
    wait_for_log(faasd, "link", reply.headers["X-Request-Id"], "BadReply: ")


@pytest.mark.parametrize("text, kind", [("import os; os._exit(5)", "FunctionCrashed"), ("x = bytearray(300 << 20)", "OutOfMemory")])
def test_a_start_that_fails_has_its_own_type_at_deploy(faasd, tmp_path, text, kind):
    done = deploy(faasd, tmp_path, "no-start", text, check=False)
    assert done.returncode == 1 and f"the function could not be started: {kind}: " in done.err, done.err


def test_an_init_that_hangs_is_a_timeout_at_deploy(tmp_path):
    with Faasd({"init_timeout": "1s"}) as faasd:
        done = deploy(faasd, tmp_path, "hanging", "import time; time.sleep(60)", check=False)
        assert "Timeout: not ready after the limit 'init_timeout' (1s)\n" in done.err, done.err


def test_an_exit_while_node_loads_the_module_is_told_as_such(faasd, tmp_path):
    for _ in range(5):
        done = deploy(faasd, tmp_path, "leaving", "process.exit(5)", runtime="node", check=False)
        assert "Runtime.ExitError: Runtime exited with error: exit status 5\n" in done.err, done.err


STRANGE = {
    "its text exits": ("class X(Exception):\n  def __str__(self): raise SystemExit(3)\ndef handler(e, c): raise X()", "X"),
    "its class hides its name": (
        "class M(type):\n  @property\n  def __name__(c): raise RuntimeError('n')\nclass X(Exception, metaclass=M): pass\ndef handler(e, c): raise X('x')",
        "X",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_an_exception_of_a_strange_class_is_answered_by_the_worker(faasd, tmp_path, name):
    text, kind = STRANGE[name]
    deploy(faasd, tmp_path, "strange", text)
    reply = faasd.invoke("strange")
    assert (reply.status, reply.error) == (500, kind), reply


def test_a_reply_that_could_not_be_written_once_can_be_written_later(faasd, tmp_path):
    text = "class D(dict):\n  def items(self):\n    if fail: raise OSError('no')\n    return dict.items(self)\nd = D(a=1)\ndef handler(e, c):\n  global fail\n  fail = bool(e)\n  return d"
    deploy(faasd, tmp_path, "second-try", text, "--max-concurrency", "1")
    assert faasd.invoke("second-try", b'{"fail":1}').error == "OSError"
    assert faasd.invoke("second-try").json() == {"a": 1}


def test_an_import_in_the_handler_says_what_to_do_as_well(faasd, tmp_path):
    deploy(faasd, tmp_path, "lazy", "def handler(e, c):\n  import awscrt_that_nobody_has")
    reply = faasd.invoke("lazy")
    assert reply.error == "ModuleNotFoundError" and "pip install awscrt_that_nobody_has -t DIR" in reply.json()["errorMessage"], reply


def test_an_event_that_is_too_deep_is_not_called_broken(faasd, tmp_path):
    deploy(faasd, tmp_path, "deep", "def handler(e, c): return 1")
    reply = faasd.invoke("deep", b"[" * 5000 + b"]" * 5000)
    assert reply.status == 400 and "nested too deeply: byte 4096" in reply.json()["errorMessage"], reply
