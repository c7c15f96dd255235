# SPDX-License-Identifier: Apache-2.0
"""CloudWatch Logs, read only: boto3's client("logs") and `aws logs tail` over functions' own logs."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

from access import create_token
from harness import DEADLINE, Faasd, wait_until
from lambda_client import AWS, REGION, client, endpoint

GROUP = "/aws/lambda/talks"


def environment(token):
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ACCESS_KEY_ID": token["accessKeyId"], "AWS_SECRET_ACCESS_KEY": token["secretAccessKey"],
            "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": "", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def logs():
    with Faasd({"failed_credentials": 100000}) as daemon:
        daemon.deploy_script("talks", "#!/bin/sh\nwhile read -r line; do echo \"$line\" >&2; done\n")
        daemon.deploy_script("silent", "#!/bin/sh\ncat\n")
        daemon.token = create_token(daemon, "read")
        daemon.aws = client(daemon, daemon.token, "logs")
        daemon.began = int(time.time() * 1000)
        daemon.ids = []
        for i in range(3):
            daemon.ids.append(say(daemon, f"first {i}\nERROR second {i}\n"))
        yield daemon


def say(daemon, text):
    """What a request's log holds, when it is there; its id."""
    reply = daemon.invoke("talks", text.encode())
    assert reply.status == 200
    request = reply.headers["X-Request-Id"]
    wait_until(lambda: len(messages(daemon.aws.filter_log_events(logGroupName=GROUP, filterPattern=f'"{request}"'))) == 3, "START, END and REPORT")
    lines = text.strip().split("\n")
    wait_until(lambda: daemon.cli("logs", "talks", "--id", request).out.count("\n") == len(lines), "the lines")
    return request


def messages(reply):
    return [e["message"] for e in reply["events"]]


def refused(call, code, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code, caught.value.response
    return caught.value.response["Error"]["Message"]


def test_groups_are_functions(logs):
    found = logs.aws.describe_log_groups()["logGroups"]
    assert [g["logGroupName"] for g in found] == ["/aws/lambda/silent", GROUP]
    assert found[1]["arn"] == f"arn:aws:logs:{REGION}:000000000000:log-group:{GROUP}:*" and found[1]["creationTime"] <= logs.began
    assert [g["logGroupName"] for g in logs.aws.describe_log_groups(logGroupNamePrefix="/aws/lambda/t")["logGroups"]] == [GROUP]
    assert logs.aws.describe_log_groups(logGroupNamePrefix="/aws/other")["logGroups"] == []
    page = logs.aws.describe_log_groups(limit=1)
    assert [g["logGroupName"] for g in logs.aws.describe_log_groups(limit=1, nextToken=page["nextToken"])["logGroups"]] == [GROUP]
    assert [g["logGroupName"] for p in logs.aws.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 1}) for g in p["logGroups"]] == \
        ["/aws/lambda/silent", GROUP]


def test_each_request_is_told_between_start_end_and_report(logs):
    events = logs.aws.filter_log_events(logGroupName=GROUP)["events"]
    for i, request in enumerate(logs.ids):
        at = next(k for k, e in enumerate(events) if e["message"] == f"START RequestId: {request} Version: 1\n")
        told = [e["message"] for e in events[at:at + 5]]
        assert told[1:4] == [f"first {i}\n", f"ERROR second {i}\n", f"END RequestId: {request}\n"]
        assert re.fullmatch(rf"REPORT RequestId: {request}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\t(Init Duration: \d+\.\d\d ms\t)?\n", told[4])
        assert len({e["logStreamName"] for e in events[at:at + 5]}) == 1
    assert len({e["eventId"] for e in events}) == len(events)
    assert [e["timestamp"] for e in events] == sorted(e["timestamp"] for e in events) and events[0]["timestamp"] >= logs.began - 1000


def test_streams_are_instances(logs):
    streams = logs.aws.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True)["logStreams"]
    assert streams and all(re.fullmatch(r"\d{4}/\d\d/\d\d/\[1\][0-9a-f]{32}", s["logStreamName"]) for s in streams)
    told = []
    for s in streams:
        got = logs.aws.get_log_events(logGroupName=GROUP, logStreamName=s["logStreamName"], startFromHead=True)["events"]
        assert (got[0]["timestamp"], got[-1]["timestamp"]) == (s["firstEventTimestamp"], s["lastEventTimestamp"])
        told += got
    assert len(told) == len(logs.aws.filter_log_events(logGroupName=GROUP)["events"])
    prefix = streams[0]["logStreamName"][:11]
    assert logs.aws.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=prefix)["logStreams"]
    assert logs.aws.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="1999")["logStreams"] == []
    assert logs.aws.describe_log_streams(logGroupName="/aws/lambda/silent")["logStreams"] == []


def test_pages_forward_and_back_miss_nothing(logs):
    stream = logs.aws.describe_log_streams(logGroupName=GROUP)["logStreams"][0]["logStreamName"]
    ask = {"logGroupName": GROUP, "logStreamName": stream}
    whole = messages(logs.aws.get_log_events(**ask, startFromHead=True))
    assert messages(logs.aws.get_log_events(**ask, limit=2)) == whole[-2:]
    told, page = [], logs.aws.get_log_events(**ask, limit=2, startFromHead=True)
    while page["events"]:
        told += messages(page)
        page = logs.aws.get_log_events(**ask, limit=2, nextToken=page["nextForwardToken"])
    assert told == whole
    assert logs.aws.get_log_events(**ask, nextToken=page["nextForwardToken"])["nextForwardToken"] == page["nextForwardToken"]
    told, page = [], logs.aws.get_log_events(**ask, limit=2)
    while page["events"]:
        told = messages(page) + told
        page = logs.aws.get_log_events(**ask, limit=2, nextToken=page["nextBackwardToken"])
    assert told == whole
    everything = messages(logs.aws.filter_log_events(logGroupName=GROUP))
    assert [e["message"] for p in logs.aws.get_paginator("filter_log_events").paginate(logGroupName=GROUP, PaginationConfig={"PageSize": 2}) for e in p["events"]] == everything


@pytest.mark.parametrize("pattern, wanted", [("ERROR", lambda m: "ERROR" in m), ("ERROR -0", lambda m: "ERROR" in m and "0" not in m), ('"second 1"', lambda m: "second 1" in m),
                                             ("?first ?ERROR", lambda m: "first" in m or "ERROR" in m), ("nowhere", lambda m: False)])
def test_filter_patterns(logs, pattern, wanted):
    everything = messages(logs.aws.filter_log_events(logGroupName=GROUP))
    assert messages(logs.aws.filter_log_events(logGroupName=GROUP, filterPattern=pattern)) == [m for m in everything if wanted(m)]


def test_times_bound_what_is_told(logs):
    events = logs.aws.filter_log_events(logGroupName=GROUP)["events"]
    middle = events[len(events) // 2]["timestamp"]
    assert messages(logs.aws.filter_log_events(logGroupName=GROUP, startTime=middle)) == [e["message"] for e in events if e["timestamp"] >= middle]
    assert messages(logs.aws.filter_log_events(logGroupName=GROUP, endTime=middle)) == [e["message"] for e in events if e["timestamp"] < middle]
    assert messages(logs.aws.filter_log_events(logGroupName=GROUP, startTime=int(time.time() * 1000) + 60000)) == []


def test_each_error(logs):
    a = logs.aws
    stream = a.describe_log_streams(logGroupName=GROUP)["logStreams"][0]["logStreamName"]
    for call in (a.filter_log_events, a.describe_log_streams):
        for group in ("/aws/lambda/nobody", "/other"):
            assert refused(call, "ResourceNotFoundException", logGroupName=group) == "The specified log group does not exist."
    for name in ("nonsense", "1999" + stream[4:], stream[:-1] + ("0" if stream[-1] != "0" else "1")):
        assert refused(a.get_log_events, "ResourceNotFoundException", logGroupName=GROUP, logStreamName=name) == "The specified log stream does not exist."
    assert "not supported here" in refused(a.filter_log_events, "InvalidParameterException", logGroupName=GROUP, filterPattern="{ $.level = 1 }")
    assert refused(a.filter_log_events, "InvalidParameterException", logGroupName=GROUP, nextToken="x") == "The specified nextToken is invalid."
    assert refused(a.get_log_events, "InvalidParameterException", logGroupName=GROUP, logStreamName=stream, nextToken="f/1").endswith("is invalid.")
    assert "at 'limit'" in refused(a.filter_log_events, "InvalidParameterException", logGroupName=GROUP, limit=10001)
    assert "faasd has DescribeLogGroups" in refused(a.create_log_group, "NotImplementedException", logGroupName="x")
    stranger = client(logs, {"accessKeyId": "FAAS0000000000000000", "secretAccessKey": "x"}, "logs")
    refused(stranger.describe_log_groups, "UnrecognizedClientException")
    refused(client(logs, create_token(logs, "invoke:talks"), "logs").describe_log_groups, "AccessDeniedException")


def test_other_services_are_named(logs):
    with pytest.raises(ClientError) as caught:
        client(logs, logs.token, "dynamodb").list_tables()
    e = caught.value.response
    assert e["ResponseMetadata"]["HTTPStatusCode"] == 501 and "dynamodb" in e["Error"]["Message"]


def test_the_cli_tails_and_follows(logs):
    done = subprocess.run([AWS, "--endpoint-url", endpoint(logs), "logs", "tail", GROUP, "--since", "1h", "--format", "short"], env=environment(logs.token), capture_output=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    for i in range(3):
        assert f"first {i}".encode() in done.stdout
    follower = subprocess.Popen([AWS, "--endpoint-url", endpoint(logs), "logs", "tail", GROUP, "--since", "1h", "--format", "short", "--follow"], env=environment(logs.token),
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        seen = ""
        while "first 2" not in seen:
            seen = follower.stdout.readline()
            assert seen, "the follower ended"
        say(logs, "while following\n")
        while "while following" not in seen:
            seen = follower.stdout.readline()
            assert seen, "the follower ended"
    finally:
        follower.kill()
        follower.wait()
