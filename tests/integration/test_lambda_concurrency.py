# SPDX-License-Identifier: Apache-2.0
"""Reserved and provisioned concurrency through Lambda's API: what is said, what it does to a function, and what is left of it after a restart."""

import concurrent.futures
import json
import subprocess
import threading

import pytest
from botocore.exceptions import ClientError

from access import create_token
from harness import Faasd, wait_until
from lambda_client import admin, arn, aws, client
from test_lambda_functions import ROLE, RUNTIME, make_zip

ECHO = """import os, time
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    return {"type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "pid": os.getpid(), "version": context.function_version}
"""
BROKEN = "raise RuntimeError('never comes up')\n"


@pytest.fixture(scope="module")
def daemon():
    with Faasd({"failed_credentials": 100000}) as d:
        d.aws = admin(d, max_pool_connections=20)
        d.raw = client(d, create_token(d, "admin"), parameter_validation=False)
        yield d


@pytest.fixture
def name(daemon, request):
    made = request.node.name.split("[")[0].replace("test_", "")[:64]
    daemon.aws.create_function(FunctionName=made, Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Timeout=30, Code={"ZipFile": make_zip({"app.py": ECHO})},
                               Publish=True)
    yield made
    try:
        daemon.aws.delete_function(FunctionName=made)
    except ClientError as e:
        assert e.response["Error"]["Code"] == "ResourceNotFoundException"


def call(daemon, name, event=None, **more):
    reply = daemon.aws.invoke(FunctionName=name, Payload=json.dumps(event or {}), **more)
    payload = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, payload
    return payload


def states(daemon, name):
    return [i["state"] for i in daemon.describe(name)["instances"]]


def busy(daemon, name):
    return states(daemon, name).count("busy")


def error(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


# -- reserved --

def test_reserved_concurrency_is_told_and_kept(daemon, name):
    assert "ReservedConcurrentExecutions" not in daemon.aws.get_function_concurrency(FunctionName=name)
    assert "Concurrency" not in daemon.aws.get_function(FunctionName=name)
    before = daemon.aws.get_account_settings()["AccountLimit"]
    assert daemon.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=3)["ReservedConcurrentExecutions"] == 3
    assert daemon.aws.get_function_concurrency(FunctionName=arn(name))["ReservedConcurrentExecutions"] == 3
    assert daemon.aws.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 3}
    after = daemon.aws.get_account_settings()["AccountLimit"]
    assert before["UnreservedConcurrentExecutions"] - after["UnreservedConcurrentExecutions"] == 3
    assert daemon.describe(name)["reservedConcurrency"] == 3
    assert b"reserved by Lambda's API" in daemon.cli("describe", name).stdout
    daemon.aws.delete_function_concurrency(FunctionName=name)
    assert "Concurrency" not in daemon.aws.get_function(FunctionName=name)


def test_no_more_instances_run_than_are_reserved(daemon, name):
    daemon.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(call, daemon, name, {"sleep": 0.1}) for _ in range(6)]
        most = 0
        while not all(c.done() for c in calls):
            most = max(most, busy(daemon, name))
        assert most == 1 and len({c.result()["pid"] for c in calls}) == 1
        # ... and more than max_concurrency where that is what is reserved
        limit = daemon.describe(name)["settings"]["max_concurrency"]
        daemon.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=limit + 1)
        calls = [pool.submit(call, daemon, name, {"sleep": 2}) for _ in range(limit + 1)]
        wait_until(lambda: busy(daemon, name) == limit + 1, "one more than max_concurrency runs")
        # what is beyond a lower limit goes when it is free
        daemon.aws.put_function_concurrency(FunctionName=arn(name), ReservedConcurrentExecutions=1)
        [c.result() for c in calls]
        wait_until(lambda: len([s for s in states(daemon, name) if s in ("idle", "busy", "starting")]) <= 1, "one is left")


def test_a_function_with_nothing_reserved_is_stopped(daemon, name):
    assert call(daemon, name)["version"] == "1"
    waiting = threading.Thread(target=lambda: results.append(call(daemon, name, {"sleep": 1})))
    results = []
    waiting.start()
    wait_until(lambda: busy(daemon, name) == 1, "one runs")
    daemon.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    for qualifier in ({}, {"Qualifier": "1"}):
        with pytest.raises(daemon.aws.exceptions.TooManyRequestsException) as caught:
            daemon.aws.invoke(FunctionName=name, **qualifier)
        assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert caught.value.response["message"] == "Rate Exceeded."
        assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]
    reply = daemon.invoke(name, b"{}")
    assert reply.status == 429 and "reserved concurrency is 0" in reply.json()["errorMessage"]
    assert b"reserved concurrency is 0" in daemon.cli("why", reply.headers["X-Request-Id"]).stdout
    waiting.join()
    assert results, "what ran was not cut off"
    daemon.aws.delete_function_concurrency(FunctionName=name)
    assert call(daemon, name)["version"] == "1"


def test_requests_that_wait_are_throttled_when_the_function_is_stopped(daemon, name):
    daemon.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(call, daemon, name, {"sleep": 2})
        wait_until(lambda: busy(daemon, name) == 1, "one runs")
        others = [pool.submit(call, daemon, name) for _ in range(2)]
        wait_until(lambda: daemon.describe(name)["counts"]["queued"] == 2, "two wait")
        daemon.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        for c in others:
            with pytest.raises(daemon.aws.exceptions.TooManyRequestsException):
                c.result()
        assert not first.done() or first.result()
        first.result()


def test_what_can_not_be_reserved_is_refused(daemon, name):
    put = daemon.aws.put_function_concurrency
    limit = daemon.aws.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    code, text = error(put, FunctionName=name, ReservedConcurrentExecutions=limit)
    assert code == "InvalidParameterValueException"
    assert text == "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."
    code, text = error(put, FunctionName=name, ReservedConcurrentExecutions=limit - 101)
    assert code == "InvalidParameterValueException" and "memory_budget" in text
    daemon.aws.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=2)
    code, text = error(put, FunctionName=name, ReservedConcurrentExecutions=1)
    assert code == "InvalidParameterValueException" and "total provisioned concurrency [2]" in text
    put(FunctionName=name, ReservedConcurrentExecutions=2)
    code, text = error(daemon.aws.put_provisioned_concurrency_config, FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=3)
    assert (code, text) == ("InvalidParameterValueException",
                            "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")
    for bad in (-1, "many", 1.5):
        code, _ = error(daemon.raw.put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=bad)
        assert code in ("ValidationException", "SerializationException")
    code, text = error(daemon.raw.put_function_concurrency, FunctionName=name)
    assert code == "ValidationException" and "at 'reservedConcurrentExecutions' failed to satisfy constraint: Member must not be null" in text


# -- provisioned --

def ready(daemon, name, qualifier):
    return wait_until(lambda: (lambda c: c if c["Status"] == "READY" else None)(
        daemon.aws.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)), "READY")


def test_provisioned_instances_are_there_before_the_first_request(daemon, name):
    shown = daemon.aws.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=2)
    assert shown["RequestedProvisionedConcurrentExecutions"] == 2 and shown["Status"] == "IN_PROGRESS"
    shown = ready(daemon, name, "1")
    assert shown["AvailableProvisionedConcurrentExecutions"] == shown["AllocatedProvisionedConcurrentExecutions"] == 2
    assert call(daemon, name, Qualifier="1")["type"] == "provisioned-concurrency"
    rows = daemon.aws.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    assert [(r["FunctionArn"], r["Status"]) for r in rows] == [(f"{arn(name)}:1", "READY")]
    daemon.aws.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    with pytest.raises(daemon.aws.exceptions.ProvisionedConcurrencyConfigNotFoundException) as caught:
        daemon.aws.get_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    assert caught.value.response["Error"]["Message"] == "No Provisioned Concurrency Config found for this function"
    wait_until(lambda: call(daemon, name, Qualifier="1")["type"] == "on-demand", "it is on demand again")


def test_an_alias_takes_its_provisioned_concurrency_along(daemon, name):
    daemon.aws.create_alias(FunctionName=name, Name="prod", FunctionVersion="1")
    daemon.aws.put_provisioned_concurrency_config(FunctionName=name, Qualifier="prod", ProvisionedConcurrentExecutions=1)
    ready(daemon, name, "prod")
    daemon.aws.update_function_code(FunctionName=name, ZipFile=make_zip({"app.py": ECHO + "\n"}), Publish=True)
    assert call(daemon, name, Qualifier="prod") | {"pid": 0} == {"type": "provisioned-concurrency", "pid": 0, "version": "1"}
    daemon.aws.update_alias(FunctionName=name, Name="prod", FunctionVersion="2")
    ready(daemon, name, "prod")
    assert call(daemon, name, Qualifier="prod") | {"pid": 0} == {"type": "provisioned-concurrency", "pid": 0, "version": "2"}
    assert call(daemon, name, Qualifier="1")["type"] == "on-demand"
    # it goes with its alias, and does not come back with another one of that name
    daemon.aws.delete_alias(FunctionName=name, Name="prod")
    daemon.aws.create_alias(FunctionName=arn(name), Name="prod", FunctionVersion="1")
    assert daemon.aws.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"] == []


def test_lists_come_page_by_page(daemon, name):
    for alias in ("blue", "green"):
        daemon.aws.create_alias(FunctionName=name, Name=alias, FunctionVersion="1")
    for qualifier in ("1", "blue", "green"):
        daemon.aws.put_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=1)
    pages = list(daemon.aws.get_paginator("list_provisioned_concurrency_configs").paginate(FunctionName=name, PaginationConfig={"PageSize": 2}))
    assert [[r["FunctionArn"].rpartition(":")[2] for r in p["ProvisionedConcurrencyConfigs"]] for p in pages] == [["1", "blue"], ["green"]]


def test_only_published_versions_are_provisioned(daemon, name):
    daemon.aws.create_alias(FunctionName=name, Name="newest", FunctionVersion="$LATEST")
    for qualifier in ("$LATEST", "newest"):
        code, text = error(daemon.aws.put_provisioned_concurrency_config, FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=1)
        assert (code, text) == ("InvalidParameterValueException", "Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
    limit = daemon.describe(name)["settings"]["max_concurrency"]
    code, text = error(daemon.aws.put_provisioned_concurrency_config, FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=limit + 1)
    assert code == "InvalidParameterValueException" and f"[{limit}]" in text and "PutFunctionConcurrency" in text
    code, text = error(daemon.raw.put_provisioned_concurrency_config, FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=0)
    assert code == "ValidationException" and "greater than or equal to 1" in text


def test_a_version_that_never_starts_has_failed(daemon):
    daemon.aws.create_function(FunctionName="broken", Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": make_zip({"app.py": BROKEN})}, Publish=True)
    daemon.aws.put_provisioned_concurrency_config(FunctionName="broken", Qualifier="1", ProvisionedConcurrentExecutions=1)
    shown = wait_until(lambda: (lambda c: c if c["Status"] == "FAILED" else None)(
        daemon.aws.get_provisioned_concurrency_config(FunctionName="broken", Qualifier="1")), "FAILED")
    assert shown["StatusReason"].startswith("FUNCTION_ERROR_INIT_FAILURE") and shown["AvailableProvisionedConcurrentExecutions"] == 0
    daemon.aws.delete_function(FunctionName="broken")


# -- afterwards --

def test_all_of_it_is_there_after_a_restart_and_gone_with_the_function():
    with Faasd() as d:
        d.aws = admin(d)
        for name in ("kept", "other"):
            d.aws.create_function(FunctionName=name, Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": make_zip({"app.py": ECHO})}, Publish=True,
                                  Tags={"team": "blue"})
        d.aws.create_alias(FunctionName="kept", Name="prod", FunctionVersion="1")
        d.aws.put_function_concurrency(FunctionName="kept", ReservedConcurrentExecutions=3)
        d.aws.put_function_concurrency(FunctionName="other", ReservedConcurrentExecutions=0)
        d.aws.put_provisioned_concurrency_config(FunctionName="kept", Qualifier="prod", ProvisionedConcurrentExecutions=1)
        d.aws.put_function_event_invoke_config(FunctionName="kept", Qualifier="prod", MaximumRetryAttempts=0,
                                               DestinationConfig={"OnFailure": {"Destination": arn("other")}})
        d.aws.tag_resource(Resource=arn("kept"), Tags={"stage": "prod"})
        said = d.aws.get_provisioned_concurrency_config(FunctionName="kept", Qualifier="prod")["LastModified"]
        asynchronous = d.aws.get_function_event_invoke_config(FunctionName="kept", Qualifier="prod")
        d.stop()
        d.start()
        d.aws = admin(d)
        assert d.aws.get_function_concurrency(FunctionName="kept")["ReservedConcurrentExecutions"] == 3
        shown = ready(d, "kept", "prod")
        assert (shown["RequestedProvisionedConcurrentExecutions"], shown["LastModified"]) == (1, said)
        assert call(d, "kept", Qualifier="prod")["type"] == "provisioned-concurrency"
        again = d.aws.get_function_event_invoke_config(FunctionName="kept", Qualifier="prod")
        assert {k: v for k, v in again.items() if k != "ResponseMetadata"} == {k: v for k, v in asynchronous.items() if k != "ResponseMetadata"}
        assert d.aws.list_tags(Resource=arn("kept"))["Tags"] == {"team": "blue", "stage": "prod"}
        with pytest.raises(d.aws.exceptions.TooManyRequestsException):
            d.aws.invoke(FunctionName="other")
        for name in ("kept", "other"):
            d.aws.delete_function(FunctionName=name)
            d.aws.create_function(FunctionName=name, Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": make_zip({"app.py": ECHO})}, Publish=True)
        d.aws.create_alias(FunctionName="kept", Name="prod", FunctionVersion="1")
        assert "ReservedConcurrentExecutions" not in d.aws.get_function_concurrency(FunctionName="kept")
        assert d.aws.list_provisioned_concurrency_configs(FunctionName="kept")["ProvisionedConcurrencyConfigs"] == []
        assert d.aws.list_function_event_invoke_configs(FunctionName="kept")["FunctionEventInvokeConfigs"] == []
        assert d.aws.list_tags(Resource=arn("kept"))["Tags"] == {}
        assert call(d, "other")["version"] == "1"


def test_the_cli(daemon, name):
    token = create_token(daemon, "admin")
    assert aws(daemon, token, "lambda", "put-function-concurrency", "--function-name", name, "--reserved-concurrent-executions", "2") == {
        "ReservedConcurrentExecutions": 2}
    shown = aws(daemon, token, "lambda", "put-provisioned-concurrency-config", "--function-name", name, "--qualifier", "1",
                "--provisioned-concurrent-executions", "1")
    assert shown["RequestedProvisionedConcurrentExecutions"] == 1
    assert len(aws(daemon, token, "lambda", "list-provisioned-concurrency-configs", "--function-name", name)["ProvisionedConcurrencyConfigs"]) == 1
    aws(daemon, token, "lambda", "tag-resource", "--resource", arn(name), "--tags", "a=b,c=d e")
    assert aws(daemon, token, "lambda", "list-tags", "--resource", arn(name)) == {"Tags": {"a": "b", "c": "d e"}}
    aws(daemon, token, "lambda", "untag-resource", "--resource", arn(name), "--tag-keys", "a")
    assert aws(daemon, token, "lambda", "get-function", "--function-name", name)["Tags"] == {"c": "d e"}
    done = aws(daemon, token, "lambda", "put-function-event-invoke-config", "--function-name", name, check=False)
    assert isinstance(done, subprocess.CompletedProcess) and b"at least one of error handling or destination" in done.stderr
    shown = aws(daemon, token, "lambda", "put-function-event-invoke-config", "--function-name", name, "--maximum-retry-attempts", "1", "--destination-config",
                json.dumps({"OnSuccess": {"Destination": arn(name)}}))
    assert shown["FunctionArn"] == f"{arn(name)}:$LATEST" and shown["DestinationConfig"] == {"OnSuccess": {"Destination": arn(name)}, "OnFailure": {}}
    aws(daemon, token, "lambda", "delete-function-event-invoke-config", "--function-name", name)
