# SPDX-License-Identifier: Apache-2.0
"""lambda.roles and lambda.network: what functions get by the role that Lambda's API was told."""

import json
import shutil
import signal
import subprocess

import pytest

from harness import FAASD, HELLO, Faasd, wait_until
from lambda_client import admin
from test_lambda_functions import RUNTIME, make_zip

ROLES = "arn:aws:iam::000000000000:role/"
PYTHON = """import os, socket
def handler(event, context):
    if "connect" in event:
        socket.create_connection(("192.0.2.1", 9), timeout=1)
    if "look" in event:
        socket.getaddrinfo("example.org", 80)
    inside = {k: v for k, v in os.environ.items() if k.startswith("AWS_") and ("KEY" in k or "TOKEN" in k)}
    try:
        proc = open("/proc/self/environ").read()
    except PermissionError:  # of a fork
        proc = ""
    return {"keys": inside, "in_proc": [v for v in inside.values() if v in proc], "host": sees_host(event["port"])}

def sees_host(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False
"""
NODE = """exports.handler = async () => {
  const keys = Object.fromEntries(Object.entries(process.env).filter(([k]) => /^AWS_.*(KEY|TOKEN)/.test(k)));
  const proc = require('fs').readFileSync('/proc/self/environ', 'utf8');
  return { keys, in_proc: Object.values(keys).filter((v) => proc.includes(v)) };
};
"""
BOOTSTRAP = ("#!/bin/sh\nwhile :; do\n  H=$(mktemp)\n  E=$(curl -sS -D $H http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next)\n"
             "  ID=$(sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *//p' $H | tr -d '\\r')\n"
             "  C=$(sed -n 's/^credential_process = //p' $AWS_CONFIG_FILE)\n"
             "  curl -sS -X POST http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$ID/response -d \"$($C)\" >/dev/null\ndone\n")
KEYS = {"Version": 1, "AccessKeyId": "AKIDROLE", "SecretAccessKey": "secret-of-the-role", "SessionToken": "token-of-the-role"}
SHOWN = {"AWS_ACCESS_KEY_ID": "AKIDROLE", "AWS_SECRET_ACCESS_KEY": "secret-of-the-role", "AWS_SESSION_TOKEN": "token-of-the-role"}


@pytest.fixture(scope="module")
def daemon():
    with Faasd({"grants": {"network_host": True},
                "lambda": {"roles": {ROLES + "keyed": {"secret": "keys"}, ROLES + "open": {"network": "host"}, ROLES + "broken": {"secret": "broken"},
                                     ROLES + "absent": {"secret": "absent"}}}}) as d:
        d.aws = admin(d)
        for name, value in (("keys", json.dumps(KEYS)), ("broken", "no json")):
            d.cli("secret", "set", name, input=value.encode())
        yield d


def create(daemon, name, role, code=None, **more):
    arguments = dict(FunctionName=name, Runtime=RUNTIME, Role=ROLES + role, Handler="app.handler", Code={"ZipFile": make_zip(code or {"app.py": PYTHON})})
    arguments.update(more)
    return daemon.aws.create_function(**arguments)


def ask(daemon, name, **event):
    reply = daemon.aws.invoke(FunctionName=name, Payload=json.dumps({**event, "port": daemon.port}))
    value = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, value
    return value


def failed(daemon, name, **event):
    reply = daemon.aws.invoke(FunctionName=name, Payload=json.dumps(event))
    assert reply["FunctionError"] == "Unhandled"
    return json.loads(reply["Payload"].read())


def test_without_an_entry_there_are_no_keys(daemon):
    create(daemon, "plain", "other")
    assert ask(daemon, "plain") == {"keys": {}, "in_proc": [], "host": False}


def test_python_has_them_in_its_process_alone(daemon):
    create(daemon, "python", "keyed")
    assert ask(daemon, "python") == {"keys": SHOWN, "in_proc": [], "host": False}
    assert ask(daemon, "python")["keys"] == SHOWN, "so has a second instance, forked or not"


def test_node_has_them_in_its_process_alone(daemon):
    if not shutil.which("node"):
        pytest.skip("no node on this host")
    major = subprocess.run(["node", "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True, check=True).stdout.strip()
    create(daemon, "node", "keyed", {"index.js": NODE}, Runtime=f"nodejs{major}.x", Handler="index.handler")
    assert ask(daemon, "node") == {"keys": SHOWN, "in_proc": []}


def test_provided_reads_them_as_sdks_do(daemon):
    create(daemon, "provided", "keyed", {"bootstrap": BOOTSTRAP}, Runtime="provided.al2", Handler="any")
    assert ask(daemon, "provided") == KEYS


def test_a_new_secret_reaches_the_next_instance(daemon):
    create(daemon, "renewed", "keyed")
    assert ask(daemon, "renewed")["keys"] == SHOWN
    try:
        daemon.cli("secret", "set", "keys", input=json.dumps({**KEYS, "AccessKeyId": "AKIDNEXT"}).encode())
        wait_until(lambda: ask(daemon, "renewed")["keys"]["AWS_ACCESS_KEY_ID"] == "AKIDNEXT", "the next key")
    finally:
        daemon.cli("secret", "set", "keys", input=json.dumps(KEYS).encode())


def test_another_role_is_another_instance(daemon):
    create(daemon, "changes", "keyed")
    assert ask(daemon, "changes")["keys"] == SHOWN
    daemon.aws.update_function_configuration(FunctionName="changes", Role=ROLES + "other")
    assert ask(daemon, "changes")["keys"] == {}
    daemon.aws.update_function_configuration(FunctionName="changes", Role=ROLES + "open")
    assert ask(daemon, "changes")["host"] is True
    daemon.cli("config", "changes", "--network", "none")
    assert ask(daemon, "changes")["host"] is False, "its own setting counts"


def test_what_is_no_secret_of_a_role(daemon):
    create(daemon, "unread", "broken")
    assert ask(daemon, "unread")["keys"] == {}
    wait_until(lambda: b"no credentials are set" in daemon.cli("logs", "unread").stdout, "the line that says so")
    create(daemon, "unset", "absent")
    assert "absent" in failed(daemon, "unset")["errorMessage"]


@pytest.mark.parametrize("event", ["connect", "look"])
def test_a_refused_connection_names_what_opens_it(daemon, event):
    name = f"closed-{event}"
    create(daemon, name, "other")
    failed(daemon, name, **{event: 1})
    failed(daemon, name, **{event: 1})
    lines = [line for line in daemon.cli("logs", name).stdout.decode().splitlines() if "lambda.network" in line]
    assert len(lines) == 1 and "has no network" in lines[0], lines


def test_a_reload_opens_the_network_of_the_next_instances():
    config = {"grants": {"network_host": True}}
    with Faasd(config) as d:
        d.aws = admin(d)
        create(d, "waits", "other")
        assert ask(d, "waits")["host"] is False
        d.write_config({**config, "lambda": {"network": "host"}})
        d.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the new configuration is in use" in d.log_text(), "the reload")
        create(d, "next", "other")
        assert ask(d, "next")["host"] is True


def test_a_reload_names_the_strict_functions_whose_role_gets_a_network(tmp_path):
    """strict has no sockets: what is refused where a function is deployed is told when the configuration does it."""
    shutil.copy(HELLO, tmp_path / "hello")
    (tmp_path / "faasd.json").write_text(json.dumps({"runtime": "native", "handler": "hello", "seccomp": "strict", "isolation": "reuse", "template": "off",
                                                     "tmp_exec": False}))
    config = {"grants": {"network_host": True}}
    with Faasd(config) as d:
        d.aws = admin(d)
        create(d, "sealed", "other")
        create(d, "open", "other")
        d.deploy("sealed", tmp_path)
        assert d.request("POST", "/function/sealed", body=b"{}", socket_path=d.invoke_path).status == 200
        d.write_config({**config, "lambda": {"network": "host"}})
        d.process.send_signal(signal.SIGHUP)
        line, = wait_until(lambda: [x for x in d.log if "seccomp: strict" in x], "the warning")
        assert "fn=sealed" in line and "network none" in line and "warn" in line, line
        d.write_config({**config, "lambda": {"network": "none"}})
        before = len(d.log)
        d.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any("the new configuration is in use" in x for x in d.log[before:]), "the reload")
        assert not [x for x in d.log[before:] if "seccomp: strict" in x]


BAD = [({"lambda": {"roles": {"role/x": {"secret": "a"}}}}, "is not a role's ARN"), ({"lambda": {"roles": {ROLES + "x": {"secrets": "a"}}}}, "unknown key 'secrets'"),
       ({"lambda": {"roles": {ROLES + "x": []}}}, "an object with"), ({"lambda": {"roles": {ROLES + "x": {"network": "all"}}}}, "not one of none, egress, host"),
       ({"lambda": {"roles": {ROLES + "x": {"secret": "a b"}}}}, "not a secret's name"), ({"lambda": {"network": "all"}}, "none, egress, host"),
       ({"code_buckets": {"a": "/srv"}}, "is not a bucket's name"), ({"code_buckets": {"zips": "srv"}}, "is not an absolute path"), ({"code_buckets": ["zips"]}, "an object was expected")]


@pytest.mark.parametrize("config,words", BAD)
def test_what_is_wrong_with_the_configuration(tmp_path, config, words):
    (tmp_path / "config.json").write_text(json.dumps(config))
    tmp_path.chmod(0o755)
    (tmp_path / "config.json").chmod(0o644)
    done = subprocess.run([FAASD, "serve", "--root", tmp_path, "--check-config"], capture_output=True, text=True)
    assert done.returncode != 0 and words in done.stderr, done.stderr
