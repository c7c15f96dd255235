# SPDX-License-Identifier: Apache-2.0
"""`faasd run` and `faasd deploy` of what is no program: which runtime a file or a directory is taken for, and that it is said."""

import json
import shutil

import pytest

from harness import HELLO

FAILED, USAGE = 1, 2
needs_node = pytest.mark.skipif(not shutil.which("node", path="/usr/bin"), reason="no node in /usr/bin")
needs_curl = pytest.mark.skipif(not shutil.which("curl", path="/usr/bin"), reason="no curl in /usr/bin")

PYTHON = "def {name}(event, context):\n    return {{'said': event.get('say'), 'by': 'python'}}\n"
MODULE = "export const handler = async (event) => ({ said: event.say, by: 'node' });\n"
COMMON = "exports.handler = async (event) => ({ said: event.say, by: 'node' });\n"
BOOTSTRAP = """#!/bin/bash
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
head=$(mktemp)
while true; do
    curl -sS -D "$head" -o /dev/null "$api/next"
    id=$(sed -n 's/^Lambda-Runtime-Aws-Request-Id: *\\([0-9a-f-]*\\).*/\\1/Ip' "$head")
    curl -sS -o /dev/null -d '{"said":"hi","by":"provided"}' "$api/$id/response"
done
"""


def make(directory, name, text, mode=0o644):
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def expect(faasd, path, runtime, because, *options):
    done = faasd.cli("run", path, "-d", '{"say":"hi"}', *options)
    assert json.loads(done.out) == {"said": "hi", "by": runtime}
    assert f"faasd run: runtime {runtime}, because of {because}" in done.err


# -- files --


def test_a_python_file(faasd, tmp_path):
    expect(faasd, make(tmp_path, "app.py", PYTHON.format(name="handler")), "python", "app.py")


@needs_node
@pytest.mark.parametrize("name, text", [("index.mjs", MODULE), ("index.js", COMMON), ("index.cjs", COMMON)])
def test_a_file_for_node(faasd, tmp_path, name, text):
    expect(faasd, make(tmp_path, name, text), "node", name)


@needs_curl
def test_a_bootstrap(faasd, tmp_path):
    expect(faasd, make(tmp_path, "bootstrap", BOOTSTRAP, 0o755), "provided", "bootstrap")


def test_an_executable_script_stays_a_program(faasd, tmp_path):
    path = make(tmp_path, "app.py", "#!/usr/bin/python3\nimport sys\nprint('script', sys.stdin.read())\n", 0o755)
    done = faasd.cli("run", path, "-d", "x")
    assert done.out == "script x\n" and "runtime" not in done.err


def test_a_runtime_that_is_given_is_not_guessed(faasd, tmp_path):
    path = make(tmp_path, "app.py", "#!/usr/bin/python3\n" + PYTHON.format(name="handler"), 0o755)
    done = faasd.cli("run", path, "-d", '{"say":"hi"}', "--runtime", "python")
    assert json.loads(done.out)["by"] == "python" and "because of" not in done.err


def test_a_native_program_is_known_by_itself(faasd):
    assert json.loads(faasd.cli("run", HELLO, "-d", '{"name":"you"}').out) == {"message": "hello you"}


def test_the_files_contract(faasd, tmp_path):
    path = make(tmp_path, "classic", "#!/usr/bin/python3\nimport os, json; d = json.loads(open(os.environ['req']).read()); r = open(os.environ['res'], 'w'); "
                                     "r.write(\"hello world to \" + d['name']); r.close()\n", 0o755)
    done = faasd.cli("run", path, "--contract", "files", "-d", '{"name":"azure"}')
    assert done.out == "hello world to azure"


# -- directories --


@pytest.mark.parametrize("name, function", [("app.py", "handler"), ("lambda_function.py", "lambda_handler")])
def test_a_directory_of_python(faasd, tmp_path, name, function):
    make(tmp_path, name, "import words\n" + PYTHON.format(name=function))
    make(tmp_path, "words.py", "")
    expect(faasd, tmp_path, "python", name)


@needs_node
@pytest.mark.parametrize("name, text", [("index.mjs", MODULE), ("index.js", COMMON)])
def test_a_directory_for_node(faasd, tmp_path, name, text):
    make(tmp_path, name, text)
    make(tmp_path, "package.json", "{}")
    expect(faasd, tmp_path, "node", name)


@needs_curl
def test_a_directory_with_a_bootstrap(faasd, tmp_path):
    make(tmp_path, "bootstrap", BOOTSTRAP, 0o755)
    make(tmp_path, "app.py", "unused")
    expect(faasd, tmp_path, "provided", "bootstrap")


def test_a_handler_names_its_file(faasd, tmp_path):
    make(tmp_path, "api/users.py", PYTHON.format(name="list_all"))
    make(tmp_path, "index.js", "throw new Error('not this one')")
    expect(faasd, tmp_path, "python", "api/users.py", "--handler", "api/users.list_all")


def test_a_manifest_is_believed(faasd, tmp_path):
    make(tmp_path, "app.py", "not this one")
    make(tmp_path, "run", "#!/bin/sh\necho from run\n", 0o755)
    make(tmp_path, "faasd.json", '{"runtime": "exec", "handler": "run"}')
    done = faasd.cli("run", tmp_path)
    assert done.out == "from run\n" and "because of" not in done.err


# -- deploy --


def test_deploy_guesses_for_a_new_function_and_says_so(faasd, tmp_path):
    done = faasd.deploy("guessed", make(tmp_path, "app.py", PYTHON.format(name="handler")))
    assert "faasd deploy: runtime python, because of app.py" in done.err
    assert faasd.describe("guessed")["settings"]["runtime"] == "python"
    assert "runs on" in done.out and "runs on" in faasd.cli("describe", "guessed").out


def test_deploy_leaves_the_runtime_of_a_function_that_is_there(faasd, tmp_path):
    path = make(tmp_path, "app.py", PYTHON.format(name="handler"))
    faasd.deploy("stays", path, "--runtime", "python3")
    make(tmp_path, "app.py", PYTHON.format(name="handler") + "# more\n")
    done = faasd.deploy("stays", path)
    assert "because of" not in done.err
    assert faasd.describe("stays")["settings"]["runtime"] == "python3"


def test_deploy_says_when_the_runtime_that_is_there_does_not_suit(faasd, tmp_path):
    faasd.deploy_script("was-exec", "#!/bin/sh\ncat\n")
    done = faasd.deploy("was-exec", make(tmp_path, "app.py", PYTHON.format(name="handler")), check=False)
    assert done.returncode == FAILED
    assert "'was-exec' is of runtime exec and stays so, app.py looks like python: --runtime python changes it" in done.err
    assert faasd.invoke("was-exec", b"as before").body == b"as before"
    faasd.deploy("was-exec", tmp_path / "app.py", "--runtime", "python")
    assert json.loads(faasd.invoke("was-exec", b'{"say":"hi"}').body)["by"] == "python"


# -- bad input --


def test_what_is_neither_program_nor_archive_says_how_to_name_a_runtime(faasd, tmp_path):
    done = faasd.cli("run", make(tmp_path, "notes.txt", "hello"), check=False)
    assert done.returncode == FAILED and "--runtime python or node" in done.err


@pytest.mark.parametrize("text", ["def main_(event, context): pass\n", "def handler(event, context:\n", "import no_such_module\ndef handler(event, context): pass\n", "raise SystemExit(3)\n"])
def test_a_python_file_that_cannot_start_fails_with_the_reason(faasd, tmp_path, text):
    done = faasd.cli("run", make(tmp_path, "app.py", text), check=False)
    assert done.returncode == FAILED and "faasd run: " in done.err and done.out == ""


@needs_node
def test_a_node_file_without_its_export_fails_with_the_reason(faasd, tmp_path):
    done = faasd.cli("run", make(tmp_path, "index.mjs", "export const other = 1;\n"), check=False)
    assert done.returncode == FAILED and "handler" in done.err


def test_an_exception_is_the_functions_and_run_says_so(faasd, tmp_path):
    done = faasd.cli("run", make(tmp_path, "app.py", "def handler(event, context):\n    raise ValueError('no good')\n"), check=False)
    assert done.returncode == FAILED and "no good" in done.err
