# SPDX-License-Identifier: Apache-2.0
"""What holds for asynchronous calls through Lambda's API: event invoke configurations, destinations, dead letters; and tags, which hold for nothing."""

import json
import re

import pytest
from botocore.exceptions import ClientError

from access import create_token
from harness import Faasd, wait_until
from lambda_client import REGION, admin, arn, client
from test_lambda_concurrency import error
from test_lambda_functions import ROLE, RUNTIME, make_zip

# What it is called with stands in its log, for the test to read.
SINK = """import json
def handler(event, context):
    custom = context.client_context.custom if context.client_context else None
    print("TOLD " + json.dumps({"event": event, "custom": custom, "id": context.aws_request_id}))
"""
WORKER = """def handler(event, context):
    if event.get("fail"):
        raise ValueError("as asked for")
    return {"done": event["n"]}
"""


@pytest.fixture(scope="module")
def daemon():
    with Faasd({"failed_credentials": 100000, "lambda": {"region": REGION}}) as d:
        d.aws = admin(d)
        d.raw = client(d, create_token(d, "admin"), parameter_validation=False)
        make(d, "sink", SINK)
        yield d


def make(daemon, name, text, **more):
    daemon.aws.create_function(FunctionName=name, Runtime=RUNTIME, Role=ROLE, Handler="app.handler", Code={"ZipFile": make_zip({"app.py": text})}, Publish=True, **more)


@pytest.fixture
def name(daemon, request):
    made = request.node.name.split("[")[0].replace("test_", "")[:64]
    make(daemon, made, WORKER)
    daemon.aws.create_alias(FunctionName=made, Name="prod", FunctionVersion="1")
    yield made
    daemon.aws.delete_function(FunctionName=made)


def told(daemon, request_id):
    """What the sink was called with because of that call, all of it."""
    return [r for r in all_told(daemon) if r["event"].get("requestContext", {}).get("requestId") == request_id or (r["custom"] or {}).get("RequestID") == request_id]


def all_told(daemon):
    return [json.loads(line.partition("TOLD ")[2]) for line in daemon.cli("logs", "sink").stdout.decode().splitlines() if "TOLD " in line]


def wait_told(daemon, request_id, count=1):
    return wait_until(lambda: (lambda rows: rows if len(rows) >= count else None)(told(daemon, request_id)), "the sink was told")


def queue(daemon, name, event, **more):
    reply = daemon.aws.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event), **more)
    assert reply["StatusCode"] == 202
    return reply["ResponseMetadata"]["RequestId"]


def to(success=None, failure=None):
    return {"OnSuccess": {"Destination": success} if success else {}, "OnFailure": {"Destination": failure} if failure else {}}


# -- what is said --

def test_a_configuration_is_put_changed_told_and_deleted(daemon, name):
    put, update = daemon.aws.put_function_event_invoke_config, daemon.aws.update_function_event_invoke_config
    get, delete = daemon.aws.get_function_event_invoke_config, daemon.aws.delete_function_event_invoke_config
    shown = put(FunctionName=name, MaximumRetryAttempts=1, DestinationConfig=to(success=arn("sink")))
    assert shown["FunctionArn"] == f"{arn(name)}:$LATEST" and shown["MaximumRetryAttempts"] == 1 and "MaximumEventAgeInSeconds" not in shown
    assert shown["DestinationConfig"] == to(success=arn("sink"))
    shown = update(FunctionName=name, MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": arn("sink:1")}})
    assert (shown["MaximumRetryAttempts"], shown["MaximumEventAgeInSeconds"]) == (1, 60)
    assert shown["DestinationConfig"] == to(arn("sink"), arn("sink:1"))
    assert get(FunctionName=name)["DestinationConfig"] == get(FunctionName=name, Qualifier="$LATEST")["DestinationConfig"] == to(arn("sink"), arn("sink:1"))
    shown = update(FunctionName=name, DestinationConfig={"OnFailure": {"Destination": ""}})
    assert shown["DestinationConfig"] == to(success=arn("sink"))
    # to put is to begin anew
    shown = put(FunctionName=name, MaximumEventAgeInSeconds=99)
    assert "MaximumRetryAttempts" not in shown and shown["DestinationConfig"] == to()
    put(FunctionName=name, Qualifier="prod", MaximumRetryAttempts=0)
    put(FunctionName=name, Qualifier="1", MaximumRetryAttempts=0)
    pages = list(daemon.aws.get_paginator("list_function_event_invoke_configs").paginate(FunctionName=name, PaginationConfig={"PageSize": 2}))
    assert [[c["FunctionArn"].rpartition(":")[2] for c in p["FunctionEventInvokeConfigs"]] for p in pages] == [["$LATEST", "1"], ["prod"]]
    delete(FunctionName=name)
    for call in (get, delete, update):
        more = {"MaximumRetryAttempts": 1} if call == update else {}
        assert error(call, FunctionName=arn(name), **more) == ("ResourceNotFoundException", f"The function {arn(name)}:$LATEST doesn't have an EventInvokeConfig")
    assert get(FunctionName=f"{name}:prod")["FunctionArn"] == f"{arn(name)}:prod"
    daemon.aws.delete_alias(FunctionName=name, Name="prod")
    daemon.aws.create_alias(FunctionName=arn(name), Name="prod", FunctionVersion="1")
    assert error(get, FunctionName=name, Qualifier="prod")[0] == "ResourceNotFoundException"


def test_what_can_not_be_configured_is_refused(daemon, name):
    put = daemon.aws.put_function_event_invoke_config
    assert error(put, FunctionName=name) == ("InvalidParameterValueException", "You must specify at least one of error handling or destination setting.")
    for service in ("sqs:eu-central-1:000000000000:queue", "sns:eu-central-1:000000000000:topic", "events:eu-central-1:000000000000:event-bus/b", "s3:::bucket"):
        code, text = error(put, FunctionName=name, DestinationConfig=to(failure=f"arn:aws:{service}"))
        assert code == "InvalidParameterValueException" and f"arn:aws:{service}" in text and "arn:aws:lambda:REGION:ACCOUNT:function:NAME" in text
    for bad, word in ((arn("nobody"), "no such function"), (arn("sink:7"), "no such function"), (arn("sink", account="123456789012"), "no such function"),
                      (arn("sink", region="us-west-2"), "another region")):
        code, text = error(put, FunctionName=name, DestinationConfig=to(success=bad))
        assert code == "InvalidParameterValueException" and word in text
    for bad in ({"MaximumRetryAttempts": 3}, {"MaximumRetryAttempts": -1}, {"MaximumEventAgeInSeconds": 59}, {"MaximumEventAgeInSeconds": 21601},
                {"DestinationConfig": to(failure="queue")}, {"DestinationConfig": to(failure="arn:aws:lambda:" + "x" * 350)}):
        assert error(daemon.raw.put_function_event_invoke_config, FunctionName=name, **bad)[0] == "ValidationException"
    assert error(daemon.raw.put_function_event_invoke_config, FunctionName=name, MaximumRetryAttempts="1")[0] == "SerializationException"
    assert error(put, FunctionName=name, Qualifier="other", MaximumRetryAttempts=1)[0] == "ResourceNotFoundException"


# -- what it does --

def test_a_destination_gets_lambdas_record(daemon, name):
    daemon.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0, DestinationConfig=to(arn("sink"), arn("sink")))
    daemon.aws.put_function_event_invoke_config(FunctionName=name, Qualifier="prod", MaximumRetryAttempts=0, DestinationConfig=to(arn("sink:1"), arn("sink:1")))
    plain, aliased, failed = queue(daemon, name, {"n": 1}), queue(daemon, name, {"n": 2}, Qualifier="prod"), queue(daemon, name, {"fail": 1})
    record = wait_told(daemon, plain)[0]["event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("timestamp"))
    assert record == {"version": "1.0", "requestPayload": {"n": 1}, "responsePayload": {"done": 1},
                      "requestContext": {"requestId": plain, "functionArn": f"{arn(name)}:$LATEST", "condition": "Success", "approximateInvokeCount": 1},
                      "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"}}
    record = wait_told(daemon, aliased)[0]["event"]
    assert (record["requestContext"]["functionArn"], record["responseContext"]["executedVersion"]) == (f"{arn(name)}:prod", "1")
    record = wait_told(daemon, failed)[0]["event"]
    assert record["requestContext"] | {"requestId": 0} == {"requestId": 0, "functionArn": f"{arn(name)}:$LATEST", "condition": "RetriesExhausted",
                                                           "approximateInvokeCount": 1}
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    trace = record["responsePayload"].pop("stackTrace")
    assert record["responsePayload"] == {"errorMessage": "as asked for", "errorType": "ValueError", "requestId": failed} and "app.py" in trace[0]


def test_a_failure_is_told_as_invoke_tells_it(daemon, name):
    """A timeout, an exit, and what a runtime of one's own says: the platform's words, the runtime's bytes."""
    make(daemon, "ends", "import os, time\ndef handler(event, context):\n    os._exit(3) if event.get('exit') else time.sleep(60)\n", Timeout=1)
    daemon.aws.put_function_event_invoke_config(FunctionName="ends", MaximumRetryAttempts=0, DestinationConfig=to(failure=arn("sink")))
    for event, kind, words in (({"exit": 1}, "Runtime.ExitError", "Runtime exited with error: exit status 3"), ({}, "Sandbox.Timedout", "Task timed out after 1.00 seconds")):
        asked = queue(daemon, "ends", event)
        assert wait_told(daemon, asked)[0]["event"]["responsePayload"] == {"errorType": kind, "errorMessage": f"RequestId: {asked} Error: {words}"}
    daemon.aws.delete_function(FunctionName="ends")


def test_the_region_of_the_request_is_that_of_its_records(daemon, name):
    """It waits with the call on the disk, and goes from one destination to the next."""
    other = client(daemon, create_token(daemon, "admin"), region="ap-southeast-2")
    make(daemon, "relay", "def handler(event, context):\n    return {'arn': context.invoked_function_arn}\n")
    put = daemon.aws.put_function_event_invoke_config
    put(FunctionName=name, Qualifier="prod", DestinationConfig=to(success=arn("relay")))
    put(FunctionName="relay", DestinationConfig=to(success=arn("sink")))
    asked = other.invoke(FunctionName=f"{name}:prod", InvocationType="Event", Payload=b'{"n": 1}')["ResponseMetadata"]["RequestId"]
    last = wait_until(lambda: [r for r in all_told(daemon) if r["event"].get("requestPayload", {}).get("requestContext", {}).get("requestId") == asked], "the second destination was told")[0]["event"]
    assert last["requestPayload"]["requestContext"]["functionArn"] == arn(f"{name}:prod", region="ap-southeast-2")
    assert last["requestContext"]["functionArn"] == arn("relay:$LATEST", region="ap-southeast-2")
    assert last["responsePayload"] == {"arn": arn("relay", region="ap-southeast-2")}
    daemon.aws.delete_function(FunctionName="relay")


def test_nobody_else_says_the_region(daemon, name):
    make(daemon, "shows", "def handler(event, context):\n    print('TOLD ' + repr([context.invoked_function_arn, dict(context.http.headers)]))\n")
    for region in ("ap-southeast-2", "x" * 400):
        reply = daemon.control("POST", "/async-function/shows", b"{}", {"X-Faasd-Region": region, "X-Mine": "kept"})
        assert reply.status == 202
    lines = wait_until(lambda: (lambda rows: rows if len(rows) == 2 else None)([row for row in daemon.cli("logs", "shows").stdout.decode().splitlines() if "TOLD " in row]), "both ran")
    for line in lines:
        assert arn("shows") in line and "kept" in line and "x-faasd-region" not in line.lower() and "ap-southeast-2" not in line
    daemon.aws.delete_function(FunctionName="shows")


def test_attempts_are_those_of_the_qualifier_that_was_called(daemon, name):
    daemon.cli("config", name, "--async-backoff", "1ms")
    daemon.aws.publish_version(FunctionName=name)
    daemon.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1, DestinationConfig=to(failure=arn("sink")))
    daemon.aws.put_function_event_invoke_config(FunctionName=name, Qualifier="prod", MaximumRetryAttempts=0, DestinationConfig=to(failure=arn("sink")))
    once, twice = queue(daemon, f"{name}:prod", {"fail": 1}), queue(daemon, name, {"fail": 1})
    assert wait_told(daemon, once)[0]["event"]["requestContext"]["approximateInvokeCount"] == 1
    assert wait_told(daemon, twice)[0]["event"]["requestContext"]["approximateInvokeCount"] == 2


def test_a_stopped_functions_calls_fail_at_once(daemon, name):
    daemon.aws.put_function_event_invoke_config(FunctionName=name, DestinationConfig=to(failure=arn("sink")))
    daemon.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    record = wait_told(daemon, queue(daemon, name, {"n": 1}))[0]["event"]
    assert record["requestContext"]["condition"] == "RetriesExhausted" and record["requestContext"]["approximateInvokeCount"] == 0
    assert record["requestPayload"] == {"n": 1} and record["responseContext"] is None


def test_a_dead_letter_is_the_event_itself(daemon, name):
    code, text = error(daemon.aws.update_function_configuration, FunctionName=name, DeadLetterConfig={"TargetArn": "arn:aws:sqs:eu-central-1:000000000000:dead"})
    assert code == "InvalidParameterValueException" and "arn:aws:lambda:REGION:ACCOUNT:function:NAME" in text
    shown = daemon.aws.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": arn("sink")})
    assert shown["DeadLetterConfig"] == {"TargetArn": arn("sink")}
    daemon.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    failed = queue(daemon, name, {"fail": 1, "n": 7})
    letter = wait_told(daemon, failed)[0]
    assert letter["event"] == {"fail": 1, "n": 7}
    assert (letter["custom"]["RequestID"], letter["custom"]["ErrorCode"]) == (failed, "200") and "as asked for" in letter["custom"]["ErrorMessage"]
    assert letter["id"] != failed
    # beside a destination, both are told
    daemon.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0, DestinationConfig=to(failure=arn("sink")))
    both = wait_told(daemon, queue(daemon, name, {"fail": 2}), 2)
    assert sorted("requestContext" in r["event"] for r in both) == [False, True]
    shown = daemon.aws.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": ""})
    assert "DeadLetterConfig" not in shown and "DeadLetterConfig" not in daemon.aws.get_function_configuration(FunctionName=name)


# -- tags --

def test_tags_are_added_replaced_and_taken_away(daemon, name):
    tag, untag, tags = daemon.aws.tag_resource, daemon.aws.untag_resource, lambda: daemon.aws.list_tags(Resource=arn(name))["Tags"]
    assert tags() == {} and "Tags" not in daemon.aws.get_function(FunctionName=name)
    before = daemon.aws.get_function_configuration(FunctionName=name)["RevisionId"]
    tag(Resource=arn(name), Tags={"team": "blau & grün", "stage": "test", "empty": ""})
    tag(Resource=arn(name), Tags={"stage": "prod"})
    assert tags() == {"team": "blau & grün", "stage": "prod", "empty": ""}
    assert daemon.aws.get_function(FunctionName=name)["Tags"] == tags() == daemon.aws.get_function(FunctionName=name, Qualifier="1")["Tags"]
    untag(Resource=arn(name), TagKeys=["team", "never there", "empty"])
    assert tags() == {"stage": "prod"}
    daemon.aws.update_function_code(FunctionName=name, ZipFile=make_zip({"app.py": WORKER + "\n"}), Publish=True)
    daemon.cli("rollback", name)
    assert tags() == {"stage": "prod"}
    untag(Resource=arn(name), TagKeys=["stage"])
    assert tags() == {} and "Tags" not in daemon.aws.get_function(FunctionName=name)
    assert daemon.aws.get_function_configuration(FunctionName=name)["RevisionId"] == before


def test_tags_have_limits(daemon, name):
    tag = daemon.aws.tag_resource
    many = {f"k{i}": "v" for i in range(51)}
    assert "exceeds resource tag limit" in error(tag, Resource=arn(name), Tags=many)[1]
    del many["k50"]
    tag(Resource=arn(name), Tags=many)
    code, text = error(tag, Resource=arn(name), Tags={"one more": "v"})
    assert code == "InvalidParameterValueException" and "exceeds resource tag limit" in text
    assert daemon.aws.list_tags(Resource=arn(name))["Tags"] == many
    tag(Resource=arn(name), Tags={"k0": "x" * 256})
    for bad in ({"aws:mine": "v"}, {"AWS:mine": "v"}, {"x" * 129: "v"}, {"": "v"}, {"long": "x" * 257}, {}):
        assert error(daemon.raw.tag_resource, Resource=arn(name), Tags=bad)[0] == "InvalidParameterValueException", bad
    assert error(daemon.raw.tag_resource, Resource=arn(name), Tags={"n": 1})[0] == "SerializationException"
    assert error(daemon.raw.tag_resource, Resource=arn(name))[0] == "ValidationException"
    assert error(daemon.raw.untag_resource, Resource=arn(name))[0] == "ValidationException"
    for resource in (f"{arn(name)}:prod", f"{arn(name)}:1"):
        assert error(tag, Resource=resource, Tags={"a": "b"}) == (
            "InvalidParameterValueException", "Tags on function aliases and versions are not supported. Please specify a function ARN.")
    assert error(daemon.raw.list_tags, Resource=name)[0] == "ValidationException"
    assert error(daemon.aws.list_tags, Resource=arn(name, region="us-west-2")) == (
        "ResourceNotFoundException", "Functions from 'us-west-2' are not reachable in this region ('eu-central-1')")
    with pytest.raises(ClientError):
        make(daemon, "tagged", WORKER, Tags={"aws:mine": "v"})
    make(daemon, "tagged", WORKER, Tags={"a": "b"})
    daemon.aws.tag_resource(Resource=arn("tagged"), Tags={"c": "d"})
    assert daemon.aws.list_tags(Resource=arn("tagged"))["Tags"] == {"a": "b", "c": "d"}
    daemon.aws.untag_resource(Resource=arn("tagged"), TagKeys=["a"])
    assert daemon.aws.list_tags(Resource=arn("tagged"))["Tags"] == {"c": "d"}
    daemon.aws.delete_function(FunctionName="tagged")
