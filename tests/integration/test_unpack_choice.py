# SPDX-License-Identifier: Apache-2.0
"""What the unpacker, driven directly, takes for the thing to start, by the rules of each runtime, and how it says that there is none."""

import io
import json
import stat
import subprocess
import tarfile

import pytest

from harness import FAASD

SCRIPT = "#!/bin/sh\necho hello\n"


def unpack(tmp_path, files, *args):
    """files: {name: content}, with "x:" before the name of what is executable; or a bare program's text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items() if isinstance(files, dict) else ():
            info = tarfile.TarInfo(name.removeprefix("x:"))
            info.mode = 0o755 if name.startswith("x:") else 0o644
            if content.startswith("-> "):
                info.type, info.linkname, content = tarfile.SYMTYPE, content.removeprefix("-> "), ""
            info.size = len(content.encode())
            tar.addfile(info, io.BytesIO(content.encode()))
    tree = tmp_path / "tree"
    tree.mkdir()
    done = subprocess.run([FAASD, "unpack", "--into", tree, *args], input=out.getvalue() if isinstance(files, dict) else files.encode(), capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == b"", done
    return json.loads(done.stdout)


TAKEN = [
    # python: what was said, what the version before had, the only file, the usual names
    ("python said", {"main.py": "", "app.py": ""}, ["--runtime", "python", "--handler", "main.run"], "main.run"),
    ("python package", {"pkg/__init__.py": "", "x": ""}, ["--runtime", "python3.11", "--handler", "pkg.run"], "pkg.run"),
    ("python compiled", {"fast.cpython-311-x86_64-linux-gnu.so": "", "x": ""}, ["--runtime", "python", "--handler", "fast.run"], "fast.run"),
    ("python compiled in a package", {"pkg/fast.abi3.so": "", "x": ""}, ["--runtime", "python", "--handler", "pkg.fast.run"], "pkg.fast.run"),
    ("python earlier", {"main.py": "", "app.py": ""}, ["--runtime", "python", "--earlier", "main.go"], "main.go"),
    ("python earlier is gone", {"main.py": "", "app.py": "def lambda_handler(e, c): pass\n"}, ["--runtime", "python", "--earlier", "gone.run"], "app.lambda_handler"),
    ("python earlier runtime", {"app.py": "", "b.py": ""}, ["--earlier-runtime", "python"], "app.handler"),
    ("python only file", {"job.py": "async def main(e, c):\n  pass\n"}, ["--runtime", "python"], "job.main"),
    ("python only file, a name", {"job.py": "x = 1\nhandler = print\n"}, ["--runtime", "python"], "job.handler"),
    ("python only file, an annotation", {"job.py": "lambda_handler: object = print\n"}, ["--runtime", "python"], "job.lambda_handler"),
    ("python only file, nothing alike", {"job.py": "mainly = 1\nhandlers(1)\nmain"}, ["--runtime", "python"], "job.handler"),
    ("python lambda_function", {"lambda_function.py": "", "x": ""}, ["--runtime", "python"], "lambda_function.lambda_handler"),
    ("python in a layer", {"x": ""}, ["--runtime", "python", "--handler", "layer.run", "--layered", "yes"], "layer.run"),
    ("python, a bare file", "#!/usr/bin/env python3\ndef main(e, c): pass\n", ["--runtime", "python"], "app.main"),
    ("python, a bare file by name", "#!/usr/bin/env python3\n", ["--runtime", "python", "--handler", "job.run"], "job.run"),
    # node
    ("node usual", {"index.mjs": "", "x": ""}, ["--runtime", "node"], "index.handler"),
    ("node only file", {"lib/job.cjs": ""}, ["--runtime", "node"], "lib/job.handler"),
    ("node directory", {"lib/index.js": "", "x": ""}, ["--runtime", "nodejs20.x", "--handler", "lib.run"], "lib.run"),
    ("node, a bare file", "#!/usr/bin/env node\n", ["--runtime", "node"], "index.handler"),
    # a manifest before the version before, flags before both
    ("manifest", {"a.py": "", "b.py": "", "faasd.json": '{"runtime": "python", "handler": "b.run"}'}, ["--earlier", "a.run"], "b.run"),
    ("flag over manifest", {"a.py": "", "b.py": "", "faasd.json": '{"runtime": "python", "handler": "b.run"}'}, ["--handler", "a.run"], "a.run"),
    ("manifest of nobody's runtime", {"a": SCRIPT, "faasd.json": '{"runtime": "cobol"}'}, [], ""),
    # exec, contract files
    ("azure python", {"run.py": "print()\n", "data": ""}, ["--handler", "run.py", "--contract", "files"], "run.py"),
    ("provided", {"x:bootstrap": SCRIPT, "data": ""}, ["--runtime", "provided.al2023"], ""),
    ("provided in a layer", {"data": "", "more": ""}, ["--runtime", "provided"], ""),
]


@pytest.mark.parametrize("files, args, handler", [case[1:] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_what_is_started(tmp_path, files, args, handler):
    report = unpack(tmp_path, files, *args)
    assert report["ok"], report
    assert report["handler"] == handler, report


def test_one_program_becomes_the_bootstrap_of_a_custom_runtime(tmp_path):
    report = unpack(tmp_path, {"x:server": SCRIPT}, "--runtime", "provided")
    assert report["ok"] and report["bootstrap"] is True, report
    assert stat.S_IMODE((tmp_path / "tree/bootstrap").stat().st_mode) == 0o755
    assert not (tmp_path / "tree/server").exists()


def test_without_a_bootstrap_a_layer_has_to_have_one(tmp_path):
    assert "bootstrap" not in unpack(tmp_path, {"data": "", "more": ""}, "--runtime", "provided")


REFUSED = [
    ("python nothing", {"a.py": "", "b.py": ""}, ["--runtime", "python"], "There is no app.py: say --handler MODULE.FUNCTION", None),
    ("python no source", {"data": ""}, ["--runtime", "python"], "(there is data)", None),
    ("node nothing", {"a.js": "", "b.js": ""}, ["--runtime", "node"], "There is no index.mjs, .js or .cjs: say --handler FILE.EXPORT", None),
    ("python missing", {"a.py": "", "b.py": ""}, ["--runtime", "python", "--handler", "c.run"], "names the module c.py, which is not among the uploaded files: there is ", "Runtime.ImportModuleError"),
    ("node missing", {"a.js": "", "b.js": ""}, ["--runtime", "node", "--handler", "c.run"], "names the module c.mjs, .js or .cjs", "Runtime.ImportModuleError"),
    ("python in no directory", {"a.py": "", "b.py": ""}, ["--runtime", "python", "--handler", "no.where.run"], "names the module no/where.py", "Runtime.ImportModuleError"),
    ("python no function", {"a.py": "", "b.py": ""}, ["--runtime", "python", "--handler", "a"], "is not MODULE.FUNCTION, such as app.handler", None),
    ("node no export", {"a.js": "", "b.js": ""}, ["--runtime", "node", "--handler", "a"], "is not FILE.EXPORT, such as index.handler", None),
    ("a dot in the only file's name", {"my.job.py": ""}, ["--runtime", "python"], "has a dot in its name, which a handler can't say: rename it", None),
    ("a dot in the only file's name, below", {"lib.d/my.job.js": ""}, ["--runtime", "node"], "has a dot in its name", None),
    ("a link out of the tree's python", {"a.py": "-> nowhere.py", "b": ""}, ["--runtime", "python", "--handler", "a.run"], "names the module a.py", "Runtime.ImportModuleError"),
    ("nothing at all", {"d": "-> x"}, [], "there is no file to run among what was uploaded", None),
    ("only a manifest", {"faasd.json": "{}"}, [], "there is no file to run among what was uploaded", None),
    ("no candidates", {"a": "", "b": ""}, [], "None at the top looks like one: say --handler FILE", None),
    ("a manifest by a link", {"a": SCRIPT, "faasd.json": "-> a"}, [], "faasd.json is not a regular file", None),
    ("a manifest that is a directory", {"a": SCRIPT, "faasd.json/x": ""}, [], "faasd.json is not a regular file", None),
    ("a handler that is a directory", {"a/b": SCRIPT, "c": SCRIPT}, ["--handler", "a"], "the handler 'a' is not a regular file", None),
    ("a handler beneath a file", {"a": SCRIPT, "c": SCRIPT}, ["--handler", "a/b"], "is not among the uploaded files", None),
    ("a handler with a long name", {"a": SCRIPT, "c": SCRIPT}, ["--handler", "n" * 300], "is not among the uploaded files", None),
    ("a handler with a far too long name", {"a": SCRIPT, "c": SCRIPT}, ["--handler", "n" * 1100], "the handler's path is too long", None),
    ("a handler that leads out", {"a": SCRIPT, "c": SCRIPT}, ["--handler", "../a"], "leads out of the function's own files", None),
    ("a handler of the host", {"a": "-> /usr/bin/awk", "c": SCRIPT}, ["--handler", "a"], "leads out of the function's own files", None),
    ("python given as a program", {"a.py": "x", "c": SCRIPT}, ["--handler", "a.py"], "a Python module takes --runtime python", None),
    ("javascript given as a program", {"a.mjs": "x", "c": SCRIPT}, ["--handler", "a.mjs"], "a JavaScript module takes --runtime node", None),
    ("typescript given as a program", {"a.ts": "x", "c": SCRIPT}, ["--handler", "a.ts"], "compile TypeScript to JavaScript", None),
    ("a module given as a program", {"a": SCRIPT, "c": SCRIPT}, ["--handler", "app.run"], "MODULE.FUNCTION is for --runtime python", None),
    ("an endless first line", {"a": "#!/bin/" + "x" * 300, "c": SCRIPT}, ["--handler", "a"], "has a first line of more than 255 bytes", None),
    ("provided, not executable", {"bootstrap": SCRIPT, "data": ""}, ["--runtime", "provided"], "'bootstrap' is not executable: chmod +x it", "Runtime.InvalidEntrypoint"),
    ("provided, the host's", {"bootstrap": "-> /usr/bin/awk", "data": ""}, ["--runtime", "provided"], "leads out of the function's own files", "Runtime.InvalidEntrypoint"),
    ("provided, no program", {"x:bootstrap": "text", "data": ""}, ["--runtime", "provided"], "is no program", "Runtime.InvalidEntrypoint"),
    ("nothing uploaded", "", [], "the upload is empty", None),
]


@pytest.mark.parametrize("files, args, why, kind", [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_refused_and_why(tmp_path, files, args, why, kind):
    report = unpack(tmp_path, files, *args)
    assert not report["ok"] and why in report["error"], report
    assert report["type"] == (kind or "BadRequest"), report


def test_a_layer_is_taken_as_it_is(tmp_path):
    report = unpack(tmp_path, {"python/lib.py": "", "faasd.json": "no JSON"}, "--plain", "yes")
    assert report == {"ok": True, "handler": "", "bytes": 7, "entries": 3}


def test_a_bare_program_is_no_layer(tmp_path):
    assert "the upload is no tar, tar.gz or zip archive" in unpack(tmp_path, SCRIPT, "--plain", "yes")["error"]


@pytest.mark.parametrize("large", ["x:run", "data"])
def test_an_upload_over_its_bound_is_refused(tmp_path, large):
    report = unpack(tmp_path, {large: "#!/bin/sh\n" + "x" * 20000}, "--archive-bytes", "10000")
    assert report["type"] == "RequestTooLarge" and "(archive_bytes)" in report["error"], report


def test_a_bare_program_counts_as_a_file(tmp_path):
    report = unpack(tmp_path, "#!/bin/sh\n" + "x" * 20000, "--bytes", "10000")
    assert report["type"] == "RequestTooLarge" and "(code_bytes)" in report["error"], report


@pytest.mark.parametrize("words", [["--entries", "many"], ["--bytes", "1K"], ["--archive-bytes", ""]])
def test_limits_are_numbers(words):
    done = subprocess.run([FAASD, "unpack", *words], capture_output=True, text=True)
    assert done.returncode == 2 and "limits are whole numbers" in done.stderr


def test_a_tree_that_is_not_there_is_named():
    done = subprocess.run([FAASD, "unpack", "--into", "/nowhere/at/all"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "open '/nowhere/at/all': ENOENT\n"
