# SPDX-License-Identifier: Apache-2.0
"""What a deploy of a Python, Node or provided function finds in its files, and says about it."""

import io
import json
import platform
import struct
import tarfile
import zipfile

import pytest

from harness import Faasd

MACHINE = platform.machine()
ELF_HERE, ELF_ELSEWHERE = {"x86_64": (62, 183), "aarch64": (183, 62)}[MACHINE]
ELSEWHERE = {"x86_64": "aarch64", "aarch64": "x86_64"}[MACHINE]

ECHO = "def handler(event, context):\n    return [__name__, event]\n"
NODE_ECHO = "export const handler = async (event) => ['esm', event];\n"
BOOTSTRAP = """#!/bin/bash
while true; do
    id=$(curl -sS -D - -o /tmp/event "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next" | tr -d '\\r' | sed -n 's/^lambda-runtime-aws-request-id: //ip')
    printf '"%s %s"' "$0" "$_HANDLER" | curl -sS -d @- -o /dev/null "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response"
done
"""


@pytest.fixture(scope="module")
def faasd():
    with Faasd() as daemon:
        yield daemon


def write(directory, files):
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def deploy(faasd, name, directory, *options):
    """The deploy's answer as JSON."""
    return json.loads(faasd.deploy(name, directory, "--json", *options).out)


def refuse(faasd, name, path, *options):
    done = faasd.deploy(name, path, *options, check=False)
    assert done.returncode == 1, done.out
    assert faasd.control("GET", f"/v1/functions/{name}").status == 404
    return done.err


def module(machine):
    """The head of a shared object: what is looked at before anybody tries to load it."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 3, machine, 1) + bytes(40)


# ---- which handler ----

@pytest.mark.parametrize("file,text,handler", [
    ("hello.py", ECHO, "hello.handler"),
    ("ow.py", "def main(args):\n    return ['ow', args]\n", "ow.main"),
    ("aws.py", "def lambda_handler(event, context):\n    return ['aws', event]\n", "aws.lambda_handler"),
])
def test_one_python_file_is_a_function(faasd, tmp_path, file, text, handler):
    write(tmp_path, {file: text})
    name = file.split(".")[0]
    faasd.deploy(name, tmp_path / file)
    described = faasd.describe(name)
    assert described["settings"]["handler"] == handler and described["settings"]["runtime"] == "python"
    assert faasd.invoke(name, b'{"a": 1}').json() == [name, {"a": 1}]


@pytest.mark.parametrize("file,text", [
    ("one.mjs", NODE_ECHO),
    ("two.cjs", "exports.handler = async (event) => ['cjs', event];\n"),
    ("three.js", "exports.handler = async (event) => ['cjs', event];\n"),
])
def test_one_node_file_is_a_function(faasd, tmp_path, file, text):
    write(tmp_path, {file: text})
    name = file.split(".")[0]
    faasd.deploy(name, tmp_path / file)
    assert faasd.describe(name)["settings"]["handler"] == f"{name}.handler"
    assert faasd.invoke(name, b"[]").json()[1] == []


@pytest.mark.parametrize("files,options,handler", [
    ({"app.py": ECHO, "util.py": ""}, (), "app.handler"),
    ({"lambda_function.py": ECHO.replace("handler", "lambda_handler"), "util.py": ""}, (), "lambda_function.lambda_handler"),
    ({"app.py": ECHO, "lambda_function.py": ECHO}, (), "app.handler"),
    ({"src/api.py": ECHO, "src/__init__.py": "", "util.py": ""}, ("--runtime", "python", "--handler", "src.api.handler"), "src.api.handler"),
    ({"src/api.py": ECHO, "util.py": ""}, ("--runtime", "python", "--handler", "src/api.handler"), "src/api.handler"),
    ({"pkg/__init__.py": ECHO, "util.py": ""}, ("--runtime", "python", "--handler", "pkg.handler"), "pkg.handler"),
    ({"index.mjs": NODE_ECHO, "util.mjs": ""}, (), "index.handler"),
    ({"index.js": "exports.handler = async (e) => ['cjs', e];\n", "package.json": "{}"}, (), "index.handler"),
    ({"src/api.mjs": NODE_ECHO, "util.mjs": ""}, ("--runtime", "node", "--handler", "src/api.handler"), "src/api.handler"),
])
def test_the_usual_or_the_given_handler_of_a_directory(faasd, tmp_path, files, options, handler):
    write(tmp_path, files)
    faasd.deploy("usual", tmp_path, *options)
    assert faasd.describe("usual")["settings"]["handler"] == handler
    reply = faasd.invoke("usual", b'"x"')
    assert reply.status == 200 and reply.json()[1] == "x", reply
    faasd.cli("rm", "usual")


@pytest.mark.parametrize("files,options,words", [
    ({"main.py": ECHO, "util.py": ""}, ("--runtime", "python"), ["which function is the handler", "--handler MODULE.FUNCTION", "main.py"]),
    ({"main.mjs": NODE_ECHO, "util.mjs": ""}, ("--runtime", "node"), ["which function is the handler", "--handler FILE.EXPORT", "main.mjs"]),
    ({"main.py": ECHO, "b.py": ""}, ("--runtime", "python", "--handler", "app.handler"),
     ["'app.handler' names the module app.py", "not among the uploaded files", "main.py", "Runtime.ImportModuleError"]),
    ({"main.mjs": NODE_ECHO, "b.mjs": ""}, ("--runtime", "node", "--handler", "index.handler"),
     ["'index.handler' names the module index.mjs, .js or .cjs", "main.mjs", "Runtime.ImportModuleError"]),
    ({"app.py": ECHO, "b.py": ""}, ("--runtime", "python", "--handler", "app"), ["'app' is not MODULE.FUNCTION"]),
    ({"app.py": ECHO, "b.py": ""}, ("--runtime", "python", "--handler", "../app.handler"), ["is not MODULE.FUNCTION"]),
    ({"readme.txt": "x", "other.txt": ""}, ("--runtime", "python"), ["which function is the handler", "readme.txt"]),
])
def test_a_handler_that_is_not_there_is_refused_with_what_is(faasd, tmp_path, files, options, words):
    said = refuse(faasd, "absent", write(tmp_path, files), *options)
    for word in words:
        assert word in said, said


def test_a_handler_stays_when_new_code_still_has_it(faasd, tmp_path):
    faasd.deploy("stays", write(tmp_path / "a", {"other.py": ECHO, "app.py": ECHO}), "--runtime", "python", "--handler", "other.handler")
    faasd.deploy("stays", write(tmp_path / "b", {"other.py": ECHO + "# 2\n", "app.py": ECHO}))
    assert faasd.describe("stays")["settings"]["handler"] == "other.handler"


# ---- other settings over the same code ----

def test_another_handler_of_the_same_code_is_looked_for(faasd, tmp_path):
    write(tmp_path, {"app.py": ECHO, "other.py": ECHO})
    faasd.deploy("patched", tmp_path)
    faasd.cli("config", "patched", "--handler", "other.handler")
    assert faasd.invoke("patched", b"1").json() == ["other", 1]
    done = faasd.cli("config", "patched", "--handler", "gone.handler", check=False)
    assert done.returncode == 1 and "names the module gone.py" in done.err and "other.py" in done.err
    assert faasd.invoke("patched", b"2").json() == ["other", 2]


def test_another_runtime_over_the_same_code_needs_what_it_starts(faasd, tmp_path):
    write(tmp_path, {"app.py": ECHO, "index.mjs": NODE_ECHO})
    faasd.deploy("moved", tmp_path, "--runtime", "python")
    done = faasd.cli("config", "moved", "--runtime", "node", check=False)
    assert done.returncode == 1 and "say handler FILE.EXPORT too" in done.err
    done = faasd.cli("config", "moved", "--runtime", "provided", check=False)
    assert done.returncode == 1 and "Couldn't find valid bootstrap(s)" in done.err
    done = faasd.cli("config", "moved", "--runtime", "exec", check=False)
    assert done.returncode == 1 and "app.handler" in done.err
    faasd.cli("config", "moved", "--runtime", "node", "--handler", "index.handler")
    assert faasd.invoke("moved", b"1").json() == ["esm", 1]


def test_a_manifest_says_runtime_and_handler(faasd, tmp_path):
    write(tmp_path, {"api.py": ECHO, "util.py": "", "faasd.json": '{"runtime": "python3", "handler": "api.handler"} // both'})
    answer = deploy(faasd, "manifest", tmp_path)
    assert "/usr/bin/python3" in answer["runtimeUsed"]
    assert faasd.invoke("manifest", b"1").json() == ["api", 1]
    write(tmp_path, {"faasd.json": '{"runtime": "pyton", "handler": "api.handler"}'})
    done = faasd.deploy("manifest", tmp_path, check=False)
    assert done.returncode == 1 and "did you mean 'python'?" in done.err


# ---- warnings ----

def test_requirements_that_nobody_installed_are_a_warning(faasd, tmp_path):
    write(tmp_path, {"app.py": ECHO, "requirements.txt": "no-such-package-of-anybody>=1\nvendored\n", "vendored/__init__.py": ""})
    answer = deploy(faasd, "needs", tmp_path)
    (warning,) = answer["warnings"]
    assert "names no-such-package-of-anybody, but" in warning and "pip install -r requirements.txt -t DIR" in warning
    write(tmp_path, {"app.py": ECHO + "# changed\n"})
    done = faasd.deploy("needs", tmp_path)
    assert "warning: requirements.txt names no-such-package-of-anybody" in done.out + done.err
    write(tmp_path, {"requirements.txt": "vendored\n"})
    assert "warnings" not in deploy(faasd, "needs", tmp_path)


def test_a_compiled_module_for_another_python_or_cpu_is_named(faasd, tmp_path):
    write(tmp_path, {"app.py": ECHO,
                     f"a/_old.cpython-36-{MACHINE}-linux-gnu.so": module(ELF_HERE),
                     f"b/_other.abi3.so": module(ELF_ELSEWHERE)})
    answer = deploy(faasd, "compiled", tmp_path)
    old, other = answer["warnings"]
    assert "CPython 3.6" in old and f"a/_old.cpython-36-{MACHINE}-linux-gnu.so" in old and "this function runs on Python 3." in old
    assert f"built for {ELSEWHERE}" in other and "b/_other.abi3.so" in other


def test_a_wheel_for_another_python_is_named(faasd, tmp_path):
    write(tmp_path, {"app.py": ECHO, "fast-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nTag: cp36-cp36m-manylinux1_{MACHINE}\n",
                     "fast/_x.so": module(ELF_HERE)})
    (warning,) = deploy(faasd, "wheel", tmp_path)["warnings"]
    assert "fast-1.0.dist-info" in warning and "cp36" in warning


def test_a_failed_start_tells_what_was_found_too(faasd, tmp_path):
    write(tmp_path, {"app.py": "import no_such_package_of_anybody\n" + ECHO, "requirements.txt": "no-such-package-of-anybody\n"})
    said = refuse(faasd, "unlucky", tmp_path)
    assert "no_such_package_of_anybody" in said and "Runtime.ImportModuleError" in said
    assert "pip install -r requirements.txt -t DIR" in said


@pytest.mark.parametrize("text,kind", [("def handler(:\n", "Runtime.UserCodeSyntaxError"), ("import nowhere_to_be_found\n" + ECHO, "Runtime.ImportModuleError"),
                                       ("def other(): pass\n", "Runtime.HandlerNotFound")])
def test_code_that_can_not_be_loaded_is_refused_with_its_type(faasd, tmp_path, text, kind):
    write(tmp_path, {"app.py": text})
    assert kind in refuse(faasd, "broken", tmp_path, "--runtime", "python", "--handler", "app.handler")


def test_a_virtual_environment_must_be_of_the_functions_python(faasd, tmp_path):
    write(tmp_path, {"app.py": ECHO, "env/pyvenv.cfg": "", "env/lib/python3.6/site-packages/x.py": ""})
    assert "there is no directory 'gone'" in refuse(faasd, "venv", tmp_path, "--venv", "gone")
    assert "made for python3.6" in refuse(faasd, "venv", tmp_path, "--venv", "env")
    (warning,) = deploy(faasd, "unused", tmp_path)["warnings"]
    assert "say --venv env" in warning


# ---- provided ----

def test_one_program_is_the_bootstrap_whatever_its_name(faasd, tmp_path):
    write(tmp_path, {"server": BOOTSTRAP})
    (tmp_path / "server").chmod(0o755)
    faasd.deploy("single", tmp_path / "server", "--runtime", "provided")
    assert faasd.invoke("single", b"{}").json() == "/var/task/bootstrap bootstrap"
    assert faasd.describe("single")["settings"]["handler"] == "bootstrap"


def test_the_handler_of_provided_is_any_text(faasd, tmp_path):
    write(tmp_path, {"bootstrap": BOOTSTRAP, "other": ""})
    (tmp_path / "bootstrap").chmod(0o755)
    faasd.deploy("text", tmp_path, "--runtime", "provided.al2023", "--handler", "Some::Thing.here")
    assert faasd.invoke("text", b"{}").json() == "/var/task/bootstrap Some::Thing.here"
    faasd.cli("config", "text", "--handler", "another")
    assert faasd.invoke("text", b"{}").json() == "/var/task/bootstrap another"


def test_a_bootstrap_that_is_missing_or_not_executable_is_refused(faasd, tmp_path):
    write(tmp_path, {"main": "#!/bin/sh\n", "other": ""})
    said = refuse(faasd, "none", tmp_path, "--runtime", "provided")
    assert "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]" in said and "Runtime.InvalidEntrypoint" in said
    write(tmp_path, {"bootstrap": "#!/bin/sh\n"})
    (tmp_path / "bootstrap").chmod(0o644)
    said = refuse(faasd, "none", tmp_path, "--runtime", "provided")
    assert "'bootstrap' is not executable" in said and "chmod +x" in said and "Runtime.InvalidEntrypoint" in said
    write(tmp_path, {"bootstrap": b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, ELF_ELSEWHERE, 1) + bytes(44)})
    (tmp_path / "bootstrap").chmod(0o755)
    said = refuse(faasd, "none", tmp_path, "--runtime", "provided")
    assert f"is built for {ELSEWHERE.replace('_', '-')}" in said


# ---- archives from elsewhere ----

def upload(faasd, name, body, settings):
    return faasd.control("PUT", f"/v1/functions/{name}", body=body, headers={"Faasd-Settings": json.dumps(settings)})


def test_a_zip_without_modes_is_a_python_function(faasd):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as z:
        z.writestr("lambda_function.py", ECHO.replace("handler", "lambda_handler"))
    reply = upload(faasd, "zipped", data.getvalue(), {"runtime": "python"})
    assert reply.status == 201, reply
    assert reply.json()["interpreter"].startswith("/usr/bin/python3")
    assert faasd.invoke("zipped", b"1").json() == ["lambda_function", 1]


def test_a_bare_script_is_stored_under_the_name_its_runtime_imports(faasd):
    reply = upload(faasd, "bare", b"#!/usr/bin/python3\n" + ECHO.encode(), {"runtime": "python"})
    assert reply.status == 201, reply
    assert faasd.invoke("bare", b"1").json() == ["app", 1]


def test_links_inside_the_tree_are_followed_and_others_refused(faasd):
    def tar(link):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as t:
            entry = tarfile.TarInfo("real.py")
            entry.size = len(ECHO)
            t.addfile(entry, io.BytesIO(ECHO.encode()))
            entry = tarfile.TarInfo("app.py")
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            t.addfile(entry)
        return data.getvalue()
    assert upload(faasd, "linked", tar("real.py"), {"runtime": "python", "handler": "app.handler"}).status == 201
    assert faasd.invoke("linked", b"1").json() == ["app", 1]
    reply = upload(faasd, "leading-out", tar("../../etc/passwd"), {"runtime": "python", "handler": "app.handler"})
    assert reply.status == 400, reply
