# SPDX-License-Identifier: Apache-2.0
"""Interpreters: those found in /usr/bin and those of the configuration, by which names functions get them, and the environment they start in."""

import base64
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from harness import FAASD, Faasd, wait_until

LOOK = """import os, sys
def handler(event, context):
    return {"executable": sys.executable, "version": list(sys.version_info[:2]), "env": dict(os.environ), "cwd": os.getcwd(),
            "path": [p for p in event if os.path.exists(p)], "writable": [p for p in event if os.access(p, os.W_OK)]}
"""
NODE_LOOK = "export const handler = async () => ({executable: process.execPath, version: process.version, env: process.env});\n"
HOST_PYTHON = os.path.realpath("/usr/bin/python3")
HOST_MINOR = re.search(r"3\.(\d+)$", HOST_PYTHON).group(1)
BOOTSTRAP = """#!/usr/bin/python3
import json, os, http.client
c = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    c.request("GET", "/2018-06-01/runtime/invocation/next")
    r = c.getresponse(); r.read()
    body = json.dumps({"entry": "%s", "env": dict(os.environ), "cwd": os.getcwd(), "arn": r.headers["Lambda-Runtime-Invoked-Function-Arn"]})
    c.request("POST", "/2018-06-01/runtime/invocation/" + r.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", body)
    c.getresponse().read()
"""


# A Python of a version that no host has.
PRETENDER = """#!/usr/bin/python3 -S
import sys
sys.version_info, sys.executable, bootstrap = (3, 98, 0, "final", 0), __file__, sys.argv[-1]
exec(compile(open(bootstrap).read(), bootstrap, "exec"), {"__name__": "__main__", "__file__": bootstrap})
"""


@pytest.fixture(scope="module")
def prefix():
    """An interpreter outside /usr, and not under /tmp, which sandboxes have of their own."""
    top = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-", dir="/var/lib"))
    top.chmod(0o755)
    (top / "bin").mkdir()
    shutil.copy(HOST_PYTHON, top / "bin/python3.99")
    (top / "bin/python3").symlink_to("python3.99")
    (top / "marker").write_text("seen\n")
    (top / "bin/python3.98").write_text(PRETENDER)
    (top / "bin/python3.98").chmod(0o755)
    yield top
    shutil.rmtree(top)


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    directory = tmp_path_factory.mktemp("code")
    (directory / "app.py").write_text(LOOK)
    (directory / "index.mjs").write_text(NODE_LOOK)
    return directory


@pytest.fixture(scope="module")
def faasd(prefix, tmp_path_factory):
    # Programs of these names stand first in the PATH of whoever starts it: nobody must run them.
    traps = tmp_path_factory.mktemp("traps")
    for name in ("python", "python3", f"python3.{HOST_MINOR}", "node", "nodejs"):
        (traps / name).write_text("#!/bin/sh\necho trapped >&2\nexit 77\n")
        (traps / name).chmod(0o755)
    runtimes = {f"python3.{HOST_MINOR}": f"{prefix}/bin/python3", "python3.99": f"{prefix}/bin/python3.99", "node99": "/usr/bin/node"}
    daemon = Faasd({"runtimes": runtimes, "grants": {"mounts": ["/var/lib"]}},
                   env={"PATH": f"{traps}:{os.environ['PATH']}"})
    with daemon:
        yield daemon


def deploy(faasd, name, path, *options):
    return json.loads(faasd.deploy(name, path, "--json", *options).out)


# ---- names ----

@pytest.mark.parametrize("runtime", ["python", "python3"])
def test_the_hosts_python_has_these_names(faasd, code, runtime):
    answer = deploy(faasd, "names", code, "--runtime", runtime)
    assert answer["interpreter"] == HOST_PYTHON
    described = faasd.describe("names")
    assert described["settings"]["runtime"] == runtime
    assert f"CPython 3.{HOST_MINOR}" in described["runtimeUsed"] and HOST_PYTHON in described["runtimeUsed"]
    reply = faasd.invoke("names", b"[]").json()
    assert reply["executable"] == HOST_PYTHON and reply["version"] == [3, int(HOST_MINOR)]
    assert HOST_PYTHON in faasd.cli("describe", "names").out


@pytest.mark.parametrize("runtime", ["node", "nodejs"])
def test_the_hosts_node_has_these_names(faasd, code, runtime):
    deploy(faasd, "nodes", code, "--runtime", runtime)
    reply = faasd.invoke("nodes", b"[]").json()
    assert reply["executable"] == os.path.realpath("/usr/bin/node")
    assert f"Node {reply['version']}" in faasd.describe("nodes")["runtimeUsed"]


def test_a_major_version_of_node_is_held_to(faasd, code):
    version = subprocess.run(["/usr/bin/node", "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True).stdout.strip()
    deploy(faasd, "major", code, "--runtime", f"nodejs{version}.x")
    assert faasd.invoke("major", b"[]").json()["env"]["AWS_EXECUTION_ENV"] == f"AWS_Lambda_nodejs{version}.x"
    done = faasd.deploy("other-major", code, "--runtime", "nodejs99.x", check=False)
    assert done.returncode == 1 and "Runtime.InvalidRuntime" in done.err and version in done.err


@pytest.mark.parametrize("runtime,words", [
    ("python3.7", ["runtime 'python3.7' is not on this host", f"python3.{HOST_MINOR}", "python3.99", "`runtimes`"]),
    ("python4", ["not one of"]),
    ("ruby3.2", ["not one of", "provided"]),
])
def test_a_runtime_that_is_not_there_is_refused_with_what_is(faasd, code, runtime, words):
    done = faasd.deploy("absent", code, "--runtime", runtime, check=False)
    assert done.returncode == 1 or done.returncode == 2
    for word in words:
        assert word in done.err, done.err
    assert "node" not in done.err or runtime != "python3.7"


# ---- the configuration ----

def test_an_interpreter_of_the_configuration_is_shown_read_only_with_its_prefix(faasd, code, prefix):
    answer = deploy(faasd, "prefixed", code, "--runtime", f"python3.{HOST_MINOR}")
    assert answer["interpreter"] == f"{prefix}/bin/python3"
    reply = faasd.invoke("prefixed", json.dumps([f"{prefix}/marker", "/var/lib/dpkg", str(prefix)])).json()
    assert reply["executable"] == f"{prefix}/bin/python3"
    assert reply["path"] == [f"{prefix}/marker", str(prefix)], "the prefix and nothing beside it"
    assert reply["writable"] == []
    deploy(faasd, "plain", code, "--runtime", "python")
    assert faasd.invoke("plain", json.dumps([str(prefix)])).json()["path"] == [], "only for functions that need it"


@pytest.mark.parametrize("runtime,is_really,words", [
    ("python3.99", f"CPython 3.{HOST_MINOR}.", "name a Python 3.99 in `runtimes` of the configuration"),
    ("nodejs99.x", "node v", "name the right one in 'runtimes' of the configuration"),
])
def test_an_entry_that_is_another_version_is_refused_before_the_code_is_read(faasd, tmp_path, prefix, runtime, is_really, words):
    """Of which nobody knows whether it is for this version."""
    (tmp_path / "app.py").write_text("def handler(event) match syntax of tomorrow\n")
    (tmp_path / "app.mjs").write_text("syntax of tomorrow\n")
    done = faasd.deploy("other", tmp_path, "--runtime", runtime, "--handler", "app.handler", check=False)
    assert done.returncode == 1 and "Runtime.InvalidRuntime" in done.err and words in done.err, done.err
    program = f"{prefix}/bin/python3.99" if "python" in runtime else os.path.realpath("/usr/bin/node")
    entry = runtime.replace("js", "").replace(".x", "")
    assert f"the runtime {entry} is {program} on this host, and that is {is_really}" in done.err, done.err


def check_config(tmp_path, config):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    path.chmod(0o644)
    return subprocess.run([str(FAASD), "serve", "--root", str(tmp_path / "root"), "--config", str(path), "--check-config"], capture_output=True, text=True)


def test_what_is_wrong_with_an_entry_is_said_with_its_key(tmp_path, prefix):
    tmp_path.chmod(0o755)
    assert check_config(tmp_path, {"runtimes": {"python3.12": f"{prefix}/bin/python3", "node": "/usr/bin/node"}}).returncode == 0
    for name, path, words in [
        ("python3.12", f"{prefix}/bin/python4", "runtimes.python3.12: there is no"),
        ("python3.12", "python3", "absolute path"),
        ("python3.12", f"{prefix}/marker", "a directory bin/"),
        ("python3.12", "/tmp/x/bin/python3", "hide /tmp"),
        ("python3.12", 7, "a path was expected"),
        ("ruby", "/usr/bin/ruby", "not a name such as python"),
    ]:
        done = check_config(tmp_path, {"runtimes": {name: path}})
        assert done.returncode != 0 and words in done.stderr and "runtimes" in done.stderr, done.stderr
    done = check_config(tmp_path, {"runtimes": ["/usr/bin/python3"]})
    assert done.returncode != 0 and "an object of paths" in done.stderr


def test_a_prefix_that_others_may_write_is_refused(tmp_path, prefix):
    tmp_path.chmod(0o755)
    for path in (prefix, prefix / "bin", prefix / "bin/python3.99"):
        mode = path.stat().st_mode
        path.chmod(mode | 0o022)
        try:
            done = check_config(tmp_path, {"runtimes": {"python3.12": f"{prefix}/bin/python3"}})
            assert done.returncode != 0 and f"'{path}' may be written by others" in done.stderr, done.stderr
        finally:
            path.chmod(mode)


def test_a_reload_brings_a_new_one_and_a_bad_one_changes_nothing(prefix, code):
    with Faasd({}) as faasd:
        assert faasd.deploy("late", code, "--runtime", "python3.98", check=False).returncode == 1
        assert deploy(faasd, "early", code, "--runtime", f"python3.{HOST_MINOR}")["interpreter"] == HOST_PYTHON
        faasd.write_config({"runtimes": {"python3.98": f"{prefix}/bin/python3.98"}})
        faasd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: faasd.deploy("late", code, "--runtime", "python3.98", check=False).returncode == 0, "the new interpreter")
        faasd.write_config({"runtimes": {"python3.98": f"{prefix}/bin/gone"}})
        faasd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "runtimes.python3.98: there is no" in faasd.log_text(), "the reason in the log")
        faasd.deploy("late", code, "--runtime", "python3.98", "--description", "again")
        assert faasd.invoke("late", b"[]").json()["executable"] == f"{prefix}/bin/python3.98"


def test_a_function_whose_interpreter_has_gone_says_so(prefix, code):
    config = {"runtimes": {"python3.98": f"{prefix}/bin/python3.98"}}
    with Faasd(config) as faasd:
        faasd.deploy("orphan", code, "--runtime", "python3.98")
        faasd.deploy("other", code, "--runtime", "python3")
        faasd.stop()
        faasd.write_config({})
        faasd.start()
        reply = faasd.invoke("orphan", b"[]")
        assert reply.status in (502, 503) and "'python3.98' is not on this host" in reply.json()["errorMessage"], reply
        assert faasd.invoke("other", b"[]").status == 200
        faasd.stop()
        faasd.write_config(config)
        faasd.start()
        assert faasd.invoke("orphan", b"[]").status == 200


@pytest.mark.parametrize("key,good,bad", [("idle_freeze", "0s", "-1s"), ("prewarm", False, "no"), ("template_forks", 1, 0), ("template_age", "1s", "1ms")])
def test_the_pools_new_keys_have_bounds(tmp_path, key, good, bad):
    tmp_path.chmod(0o755)
    assert check_config(tmp_path, {key: good}).returncode == 0
    done = check_config(tmp_path, {key: bad})
    assert done.returncode != 0 and key in done.stderr


# ---- the environment ----

PLATFORM = {"_HANDLER": "evil.handler", "AWS_LAMBDA_FUNCTION_NAME": "evil", "LAMBDA_TASK_ROOT": "/tmp", "AWS_LAMBDA_RUNTIME_API": "10.0.0.1:1", "FAASD_TEMPLATE": "no"}
OWN = {"AWS_REGION": "eu-west-1", "TZ": "Europe/Berlin", "COLOUR": "blue"}


def with_env(*tables):
    return [word for table in tables for name, value in table.items() for word in ("--env", f"{name}={value}")]


def check_environment(env, name, handler):
    assert env["_HANDLER"] == handler
    assert env["LAMBDA_TASK_ROOT"] == "/var/task" and env["LAMBDA_RUNTIME_DIR"] == "/var/runtime"
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == name and env["AWS_LAMBDA_FUNCTION_VERSION"] == "1"
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert env["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{name}"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[1\][0-9a-f]{32}", env["AWS_LAMBDA_LOG_STREAM_NAME"])
    assert env["AWS_XRAY_CONTEXT_MISSING"] == "LOG_ERROR"
    assert env["AWS_REGION"] == "eu-west-1" and "AWS_DEFAULT_REGION" not in env
    assert env["TZ"] == "Europe/Berlin" and env["COLOUR"] == "blue"
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & set(env)


@pytest.mark.parametrize("runtime,handler", [("python", "app.handler"), ("node", "index.handler")])
def test_the_environment_of_the_managed_runtimes(faasd, code, runtime, handler):
    name = f"env-{runtime}"
    faasd.deploy(name, code, "--runtime", runtime, "--memory", "256M", *with_env(PLATFORM, OWN))
    env = faasd.invoke(name, b"[]").json()["env"]
    check_environment(env, name, handler)
    assert env["AWS_EXECUTION_ENV"].startswith("AWS_Lambda_")
    assert "AWS_LAMBDA_RUNTIME_API" not in env


@pytest.mark.parametrize("runtime", ["python", "node"])
def test_contexts_tell_the_functions_arn_and_the_callers_context(faasd, tmp_path, runtime):
    (tmp_path / "app.py").write_text("def handler(event, context):\n    c = context.client_context\n    return [context.invoked_function_arn, c and c.custom]\n")
    (tmp_path / "app.mjs").write_text("export const handler = async (e, c) => [c.invokedFunctionArn, c.clientContext?.custom ?? null];\n")
    faasd.deploy("named", tmp_path, "--runtime", runtime, "--handler", "app.handler", "--env", "AWS_REGION=eu-west-1")
    context = {"custom": {"key": "größer"}}
    sent = base64.b64encode(json.dumps(context, ensure_ascii=False).encode()).decode()
    arn = "arn:aws:lambda:eu-west-1:000000000000:function:named"
    assert faasd.invoke("named", b"{}", headers={"X-Amz-Client-Context": sent}).json() == [arn, context["custom"]]
    assert faasd.invoke("named", b"{}", headers={"X-Amz-Client-Context": "no base64 of JSON"}).json() == [arn, None]
    faasd.cli("config", "named", "--unset-env", "AWS_REGION")
    assert faasd.invoke("named", b"{}").json() == [arn.replace("eu-west-1", "us-east-1"), None]


# What callers write, and what the ARN ends with.
QUALIFIERS = {"": "", ":1": ":1", ":$LATEST": ":$LATEST", ":%24LATEST": ":$LATEST", ":prod": ":prod", "%3aprod": ":prod", ":p%72od": ":prod"}


@pytest.mark.parametrize("runtime", ["python", "node", "provided"])
def test_the_arn_has_the_qualifier_that_the_caller_gave(faasd, tmp_path, runtime):
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return {'arn': context.invoked_function_arn}\n")
    (tmp_path / "app.mjs").write_text("export const handler = async (e, c) => ({arn: c.invokedFunctionArn});\n")
    name = f"called-{runtime}"
    faasd.deploy(name, provided(tmp_path), "--runtime", runtime, "--handler", "app.handler", "--memory", "256M")
    faasd.cli("config", name, "--description", "the second version")
    faasd.cli("alias", "set", name, "prod", "1", "--also", "2=0.5")
    longest = "x" * 128
    faasd.cli("alias", "set", name, longest, "2")
    plain = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    for written, told in {**QUALIFIERS, f":{longest}": f":{longest}"}.items():
        reply = faasd.invoke(f"{name}{written}", b"{}")
        assert reply.status == 200 and reply.json()["arn"] == plain + told, (written, reply)
    call = faasd.cli("invoke", f"{name}:prod", "--async").out.strip()
    done = faasd.cli("result", call, "--wait")
    assert json.loads(done.out)["arn"] == plain + ":prod"


def provided(directory, entry="task"):
    directory.mkdir(exist_ok=True)
    (directory / "bootstrap").write_text(BOOTSTRAP % entry)
    (directory / "bootstrap").chmod(0o755)
    directory.chmod(0o755)
    return directory


@pytest.mark.parametrize("runtime", ["provided", "provided.al2", "provided.al2023"])
def test_the_environment_of_provided_is_lambdas(faasd, tmp_path, runtime):
    name = runtime.replace(".", "-")
    faasd.deploy(name, provided(tmp_path), "--runtime", runtime, "--memory", "256M", "--handler", "my.handler", *with_env(PLATFORM, OWN))
    reply = faasd.invoke(name, b"{}").json()
    env = reply["env"]
    check_environment(env, name, "my.handler")
    assert env["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9001"
    assert "AWS_EXECUTION_ENV" not in env
    assert env["LANG"] == "en_US.UTF-8" and env["PATH"] == "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"
    assert env["LD_LIBRARY_PATH"] == "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
    assert reply["cwd"] == "/var/task"


def test_the_functions_own_bootstrap_comes_before_that_of_opt(faasd, tmp_path, prefix):
    provided(prefix / "layer", "opt")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme").write_text("no program\n")
    mount = ["--runtime", "provided", "--mount", f"{prefix}/layer:/opt"]
    faasd.deploy("layered", tmp_path / "empty", *mount)
    assert faasd.invoke("layered", b"{}").json()["entry"] == "opt"
    faasd.deploy("both", provided(tmp_path / "both"), *mount)
    assert faasd.invoke("both", b"{}").json()["entry"] == "task"
    done = faasd.deploy("neither", tmp_path / "empty", "--runtime", "provided", check=False)
    assert done.returncode == 1 and "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]" in done.err


def test_what_a_mount_of_opt_lacks_is_found_out_at_the_first_start(faasd, tmp_path, prefix):
    (prefix / "bare").mkdir()
    (tmp_path / "readme").write_text("no program\n")
    done = faasd.deploy("bare", tmp_path, "--runtime", "provided", "--mount", f"{prefix}/bare:/opt", check=False)
    assert done.returncode == 1 and "Runtime.InvalidEntrypoint" in done.err and "bootstrap" in done.err, done.err


def test_the_entry_point_and_the_handler_survive_a_restart(tmp_path, prefix):
    provided(prefix / "kept", "opt")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "readme").write_text("no program\n")
    with Faasd({"grants": {"mounts": ["/var/lib"]}}) as faasd:
        faasd.deploy("kept", empty, "--runtime", "provided", "--mount", f"{prefix}/kept:/opt", "--handler", "Any::thing")
        faasd.deploy("plain", provided(tmp_path / "own"), "--runtime", "provided")
        faasd.stop()
        faasd.start()
        reply = faasd.invoke("kept", b"{}").json()
        assert reply["entry"] == "opt" and reply["env"]["_HANDLER"] == "Any::thing"
        reply = faasd.invoke("plain", b"{}").json()
        assert reply["entry"] == "task" and reply["env"]["_HANDLER"] == "bootstrap"
        assert faasd.deploy("kept", empty).out.count("unchanged") == 1
        done = faasd.cli("config", "plain", "--mount", f"{prefix}/kept:/opt")
        assert faasd.invoke("plain", b"{}").json()["entry"] == "task", done.out


def test_a_wrapper_is_given_the_runtimes_command_line(faasd, tmp_path):
    (tmp_path / "app.py").write_text(LOOK)
    (tmp_path / "wrap").write_text('#!/bin/sh\nexport WRAPPED="$*"\nexec "$@"\n')
    (tmp_path / "wrap").chmod(0o755)
    faasd.deploy("wrapped", tmp_path, "--runtime", "python", "--env", "AWS_LAMBDA_EXEC_WRAPPER=/var/task/wrap")
    env = faasd.invoke("wrapped", b"[]").json()["env"]
    assert env["WRAPPED"] == f"{HOST_PYTHON} -S /var/runtime/python/bootstrap.py"
