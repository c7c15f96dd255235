# SPDX-License-Identifier: Apache-2.0
"""Operations that only newer clients know, by requests signed here: runtime management, recursion, code signing; and those of newer parts of AWS, which faasd does not have."""

import json
import signal

import pytest

from access import ask_signed, create_token
from harness import Faasd
from lambda_client import admin, arn as arn_in
from test_lambda_functions import create

REGION = "eu-test-1"  # that access.sign() signs for
VERSION = f"arn:aws:lambda:{REGION}::runtime:{'0' * 64}"
SIGNING = f"arn:aws:lambda:{REGION}:000000000000:code-signing-config:csc-{'0' * 17}"


@pytest.fixture(scope="module")
def daemon():
    with Faasd({"failed_credentials": 100000}) as d:
        d.aws = admin(d)
        d.token = create_token(d, "admin")
        create(d, "f", Publish=True)
        d.aws.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
        yield d


def arn(name):
    return arn_in(name, REGION)


def ask(daemon, method, path, body=None, token=None):
    """Status, error type and JSON."""
    reply = ask_signed(daemon, "loopback", token or daemon.token, method, path, json.dumps(body).encode() if body is not None else b"", {"Content-Type": "application/json"} if body else None)
    return reply.status, reply.headers.get("x-amzn-ErrorType"), json.loads(reply.body) if reply.body else None


def runtime(name="f", qualifier=None):
    return f"/2021-07-20/functions/{name}/runtime-management-config" + (f"?Qualifier={qualifier}" if qualifier else "")


def recursion(name="f"):
    return f"/2024-08-31/functions/{name}/recursion-config"


def signing(name="f"):
    return f"/2020-06-30/functions/{name}/code-signing-config"


def test_runtime_management_is_kept_for_each_qualifier(daemon):
    assert ask(daemon, "GET", runtime()) == (200, None, {"UpdateRuntimeOn": "Auto", "FunctionArn": arn("f")})
    manual = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": VERSION}
    assert ask(daemon, "PUT", runtime(), manual) == (200, None, {**manual, "FunctionArn": arn("f")})
    assert ask(daemon, "PUT", runtime(qualifier="1"), {"UpdateRuntimeOn": "FunctionUpdate"}) == (200, None, {"UpdateRuntimeOn": "FunctionUpdate", "FunctionArn": arn("f:1")})
    assert ask(daemon, "GET", runtime())[2]["RuntimeVersionArn"] == VERSION
    assert ask(daemon, "GET", runtime("f:1"))[2]["UpdateRuntimeOn"] == "FunctionUpdate"
    assert ask(daemon, "GET", runtime("f:live"))[2]["UpdateRuntimeOn"] == "Auto"
    assert ask(daemon, "PUT", runtime(), {"UpdateRuntimeOn": "Auto"})[2] == {"UpdateRuntimeOn": "Auto", "FunctionArn": arn("f")}
    assert "RuntimeVersionArn" not in ask(daemon, "GET", runtime())[2]


@pytest.mark.parametrize("body,error", [
    ({}, "ValidationException"), ({"UpdateRuntimeOn": "Never"}, "ValidationException"), ({"UpdateRuntimeOn": 1}, "SerializationException"),
    ({"UpdateRuntimeOn": "Manual"}, "InvalidParameterValueException"), ({"UpdateRuntimeOn": "Auto", "RuntimeVersionArn": VERSION}, "InvalidParameterValueException"),
    ({"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": "arn:aws:lambda:nowhere::runtime:x"}, "ValidationException"),
])
def test_what_runtime_management_does_not_take(daemon, body, error):
    assert ask(daemon, "PUT", runtime(), body)[:2] == (400, error)


def test_recursion_is_of_the_whole_function(daemon):
    assert ask(daemon, "GET", recursion()) == (200, None, {"RecursiveLoop": "Terminate"})
    assert ask(daemon, "PUT", recursion(), {"RecursiveLoop": "Allow"}) == (200, None, {"RecursiveLoop": "Allow"})
    assert ask(daemon, "GET", recursion(arn("f").replace(":", "%3A"))) == (200, None, {"RecursiveLoop": "Allow"})
    for method, body in (("GET", None), ("PUT", {"RecursiveLoop": "Terminate"})):
        status, error, told = ask(daemon, method, recursion("f:1"), body)
        assert (status, error) == (400, "InvalidParameterValueException") and told["message"] == "Recursion is watched of a function as a whole: name it without ':1'"
    assert ask(daemon, "GET", recursion()) == (200, None, {"RecursiveLoop": "Allow"})
    for body, error in (({}, "ValidationException"), ({"RecursiveLoop": "Maybe"}, "ValidationException"), ({"RecursiveLoop": True}, "SerializationException")):
        assert ask(daemon, "PUT", recursion(), body)[:2] == (400, error)
    assert ask(daemon, "DELETE", recursion())[:2] == (404, "UnknownOperationException")  # AWS has none


def test_there_are_no_code_signing_configurations(daemon):
    assert ask(daemon, "GET", signing()) == (200, None, {"CodeSigningConfigArn": "", "FunctionName": "f"})
    assert ask(daemon, "PUT", signing(), {"CodeSigningConfigArn": SIGNING})[:2] == (404, "CodeSigningConfigNotFoundException")
    assert ask(daemon, "PUT", signing(), {"CodeSigningConfigArn": "csc"})[:2] == (400, "ValidationException")
    assert ask(daemon, "DELETE", signing()) == (204, None, None)


def test_what_is_not_there_and_who_may(daemon):
    reader, invoker = create_token(daemon, "read"), create_token(daemon, "invoke")
    for path, body in ((runtime, {"UpdateRuntimeOn": "Auto"}), (recursion, {"RecursiveLoop": "Allow"}), (signing, {"CodeSigningConfigArn": SIGNING})):
        assert ask(daemon, "GET", path("nobody"))[:2] == (404, "ResourceNotFoundException")
        assert ask(daemon, "PUT", path("nobody"), body)[:2] == (404, "ResourceNotFoundException")
        assert ask(daemon, "GET", path(), token=reader)[0] == 200
        assert ask(daemon, "PUT", path(), body, token=reader)[:2] == (403, "AccessDeniedException")
        assert ask(daemon, "GET", path(), token=invoker)[:2] == (403, "AccessDeniedException")
    assert ask(daemon, "GET", runtime(qualifier="nothing"))[:2] == (404, "ResourceNotFoundException")


def test_they_are_there_after_a_restart_and_go_with_the_function(daemon):
    create(daemon, "gone", Publish=True)
    ask(daemon, "PUT", runtime("gone"), {"UpdateRuntimeOn": "FunctionUpdate"})
    ask(daemon, "PUT", recursion("gone"), {"RecursiveLoop": "Allow"})
    daemon.stop(signal.SIGKILL)
    daemon.start()
    daemon.aws = admin(daemon)
    assert ask(daemon, "GET", runtime("gone"))[2]["UpdateRuntimeOn"] == "FunctionUpdate"
    assert ask(daemon, "GET", recursion("gone"))[2] == {"RecursiveLoop": "Allow"}
    daemon.aws.delete_function(FunctionName="gone")
    create(daemon, "gone")
    assert ask(daemon, "GET", runtime("gone"))[2]["UpdateRuntimeOn"] == "Auto"
    assert ask(daemon, "GET", recursion("gone"))[2] == {"RecursiveLoop": "Terminate"}


@pytest.mark.parametrize("method,path", [
    ("GET", "/2025-11-30/capacity-providers"), ("POST", "/2025-11-30/capacity-providers"), ("GET", "/2025-11-30/functions/f/function-scaling-config?Qualifier=1"),
    ("GET", "/2025-12-01/durable-executions/x"), ("GET", "/2020-04-22/code-signing-configs/"), ("POST", "/2020-04-22/code-signing-configs/"),
])
def test_newer_parts_of_aws_are_unknown_operations(daemon, method, path):
    status, error, told = ask(daemon, method, path, {} if method == "POST" else None)
    assert (status, error) == (404, "UnknownOperationException") and "docs/LAMBDA.md" in json.dumps(told)
