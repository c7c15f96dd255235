# SPDX-License-Identifier: Apache-2.0
"""Lambda's API as a whole: who is let in, how functions are named, what errors look like. Operations have files of their own."""

import json
import re

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from access import ask_signed, bearer, create_token
from harness import Faasd
from lambda_client import REGION, admin, arn, client, endpoint

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def api():
    with Faasd({"failed_credentials": 100000, "lambda": {"account": "123456789012"}}) as daemon:
        daemon.deploy_script("echo", "#!/bin/sh\ncat\n")
        daemon.aws = admin(daemon)
        yield daemon


def refused(call, code, status, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    e = caught.value.response
    assert (e["Error"]["Code"], e["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), e
    return e["Error"]["Message"]


def mine(name):
    return arn(name, account="123456789012")


@pytest.mark.parametrize("name", ["echo", "echo:$LATEST", "echo:1", "123456789012:function:echo", f"{REGION}:123456789012:function:echo",
                                  "function:echo", "123456789012:echo", mine("echo"), mine("echo") + ":$LATEST", mine("echo") + ":1",
                                  "arn:aws-cn:lambda:" + mine("echo").split(":", 3)[3]])
def test_each_form_of_a_functions_name(api, name):
    reply = api.aws.invoke(FunctionName=name, Payload=b"{}")
    assert reply["StatusCode"] == 200 and reply["Payload"].read() == b"{}"
    assert UUID.fullmatch(reply["ResponseMetadata"]["RequestId"]), reply


@pytest.mark.parametrize("name,message", [
    ("nobody", f"Function not found: {mine('nobody')}"),
    ("echo:77", f"Function not found: {mine('echo')}:77"),
    ("echo:blue", f"Function not found: {mine('echo')}:blue"),
    (arn("echo", "us-west-2", "123456789012"), f"Functions from 'us-west-2' are not reachable in this region ('{REGION}')"),
])
def test_what_is_not_there(api, name, message):
    assert refused(api.aws.invoke, "ResourceNotFoundException", 404, FunctionName=name) == message


def test_another_account_has_given_nobody_the_right(api):
    """AWS's sentence, with the ARN that was meant; whoever asks is told as its token is called."""
    for call, action, arguments in ((api.aws.invoke, "InvokeFunction", {}), (api.aws.invoke_async, "InvokeAsync", {"InvokeArgs": b"{}"}), (api.aws.get_function, "GetFunction", {}),
                                    (api.aws.delete_function, "DeleteFunction", {}), (api.aws.list_aliases, "ListAliases", {})):
        for name, resource in (("999999999999:function:echo", arn("echo", account="999999999999")), (arn("echo:7", account="999999999999"), arn("echo:7", account="999999999999"))):
            message = refused(call, "AccessDeniedException", 403, FunctionName=name, **arguments)
            assert re.sub(r"user/\S+", "user/ID", message) == f"User: arn:aws:iam::123456789012:user/ID is not authorized to perform: lambda:{action} on resource: {resource} " \
                f"because no resource-based policy allows the lambda:{action} action"
    reply = api.control("GET", "/2015-03-31/functions/999999999999:function:echo")
    assert reply.status == 403 and reply.json()["Message"].startswith("User: arn:aws:iam::123456789012:root is not authorized to perform: lambda:GetFunction on")
    assert api.aws.invoke(FunctionName="echo")["StatusCode"] == 200


def test_a_malformed_name_is_told_with_the_models_pattern(api):
    aws = client(api, create_token(api, "admin"), parameter_validation=False)
    message = refused(aws.invoke, "ValidationException", 400, FunctionName="a b")
    assert message.startswith("1 validation error detected: Value 'a b' at 'functionName' failed to satisfy constraint: "
                              "Member must satisfy regular expression pattern: (arn:"), message
    message = refused(aws.invoke, "ValidationException", 400, FunctionName="ü" * 300, LogType="Head")
    assert message.startswith("3 validation errors detected: ") and "at 'functionName'" in message, message
    assert "Member must have length less than or equal to 256" in message and "Member must satisfy enum value set: [None, Tail]" in message


def test_name_and_query_have_to_agree_on_the_qualifier(api):
    assert api.aws.invoke(FunctionName="echo:1", Qualifier="1")["StatusCode"] == 200
    assert refused(api.aws.invoke, "InvalidParameterValueException", 400, FunctionName="echo:1", Qualifier="$LATEST") == \
        "The derived qualifier from the function name does not match the specified qualifier."


PATH = "/2015-03-31/functions/echo/invocations"


def test_who_is_let_in_over_tcp(api):
    nobody = boto3.client("lambda", endpoint_url=endpoint(api), region_name=REGION, config=Config(signature_version=UNSIGNED, retries={"max_attempts": 0}))
    assert refused(nobody.invoke, "MissingAuthenticationTokenException", 403, FunctionName="echo") == "Missing Authentication Token"
    assert refused(nobody.get_account_settings, "MissingAuthenticationTokenException", 403)
    token = create_token(api, "invoke:echo")
    assert client(api, token).invoke(FunctionName="echo")["StatusCode"] == 200
    assert "scope read" in refused(client(api, token).get_account_settings, "AccessDeniedException", 403)
    reader = create_token(api, "read")
    assert client(api, reader).get_account_settings()["AccountUsage"]["FunctionCount"] == 1
    assert "scope invoke" in refused(client(api, reader).invoke, "AccessDeniedException", 403, FunctionName="echo")
    stranger = dict(reader, accessKeyId="AKIDSTRANGER")
    assert "invalid" in refused(client(api, stranger).invoke, "UnrecognizedClientException", 403, FunctionName="echo")
    forger = dict(reader, secretAccessKey="no")
    assert "signature we calculated" in refused(client(api, forger).invoke, "InvalidSignatureException", 403, FunctionName="echo")
    assert "signature we calculated" in refused(client(api, forger).get_account_settings, "InvalidSignatureException", 403)
    assert api.request("POST", PATH, b"{}", bearer(token)).status == 200
    # Who may not invoke is not told what there is.
    assert refused(client(api, reader).invoke, "AccessDeniedException", 403, FunctionName="nobody")


def test_sockets(api):
    assert api.control("POST", PATH, b"{}").status == 200
    assert api.control("GET", "/2016-08-19/account-settings").status == 200
    assert api.request("POST", PATH, b"{}", socket_path=api.invoke_path).status == 200
    refusal = api.request("GET", "/2016-08-19/account-settings", socket_path=api.invoke_path)
    assert refusal.status == 403 and refusal.headers["x-amzn-ErrorType"] == "AccessDeniedException"


@pytest.mark.parametrize("path", ["/2016-08-19/account-settings", "/2016-08-19/account-settings/"])
def test_old_clients_end_paths_with_a_slash(api, path):
    assert api.control("GET", path).status == 200


def test_the_form_of_errors(api):
    reply = api.control("POST", "/2015-03-31/functions/nobody/invocations", b"{}")
    assert reply.status == 404 and reply.headers["x-amzn-ErrorType"] == "ResourceNotFoundException"
    assert reply.json() == {"Type": "User", "Message": f"Function not found: {arn('nobody', 'us-east-1', '123456789012')}"}
    assert UUID.fullmatch(reply.headers["x-amzn-RequestId"]) and "X-Request-Id" not in reply.headers
    reply = api.control("POST", "/2015-03-31/functions/a%20b/invocations", b"{}")
    assert reply.status == 400 and list(reply.json()) == ["message"] and reply.headers["x-amzn-ErrorType"] == "ValidationException"
    for path in "/2015-03-31/functions/echo/nothing", "/2015-03-31/nothing", "/2031-01-01/":
        reply = api.control("PATCH", path)
        assert reply.status == 404 and reply.headers["x-amzn-ErrorType"] == "UnknownOperationException", reply


def test_other_services_are_named(api):
    token = create_token(api, "admin")
    for service, call in ("dynamodb", "list_tables"), ("sqs", "list_queues"), ("sts", "get_caller_identity"), ("s3", "list_buckets"):
        with pytest.raises(ClientError) as caught:
            getattr(client(api, token, service), call)()
        e = caught.value.response
        assert e["ResponseMetadata"]["HTTPStatusCode"] == 501 and f"'{service}'" in e["Error"]["Message"], e
    reply = ask_signed(api, "loopback", token, "POST", "/", b"{}", {"X-Amz-Target": "DynamoDB_20120810.ListTables"}, service="dynamodb")
    assert reply.status == 501 and "'dynamodb'" in reply.json()["message"], reply


def test_regions_come_from_the_signature(api):
    token = create_token(api, "admin")
    message = refused(client(api, token, region="ap-south-1").invoke, "ResourceNotFoundException", 404, FunctionName="nobody")
    assert message == f"Function not found: {arn('nobody', 'ap-south-1', '123456789012')}"


def test_account_settings(api):
    settings = api.aws.get_account_settings()
    assert settings["AccountLimit"]["ConcurrentExecutions"] == api.system()["limits"]["instances"]
    assert settings["AccountLimit"]["CodeSizeZipped"] == 52428800 and settings["AccountUsage"]["TotalCodeSize"] > 0


@pytest.mark.parametrize("key,value,complaint", [("region", "Frankfurt", "is not a region's name"), ("account", "12", "twelve digits")])
def test_keys_of_the_configuration(key, value, complaint):
    daemon = Faasd({"lambda": {key: value}})
    daemon.start(expect_ready=False)
    assert daemon.process.wait(30) == 1
    daemon.reader.join()
    assert complaint in daemon.log_text() and f"lambda.{key}" in daemon.log_text()


def test_ordinary_errors_are_as_they_were(api):
    reply = api.request("GET", "/2015/functions")
    assert reply.status == 404 and reply.headers["X-Faasd-Error"] == "ResourceNotFound" and json.loads(reply.body)["requestId"]
