# SPDX-License-Identifier: Apache-2.0
"""InvokeWithResponseStream, by hand with botocore's parser of the event stream: Debian's boto3 is older than the operation."""

import http.client
import json
import socket

import pytest
from botocore.eventstream import EventStreamBuffer

from access import ask_signed, create_token
from harness import PROGRAMS, DEADLINE, Faasd, brief, wait_until
from lambda_client import admin

BLOCK = 65536


@pytest.fixture(scope="module")
def api():
    with Faasd() as daemon:
        daemon.deploy("streamer", PROGRAMS / "streamer", "--runtime", "native", "--timeout", f"{brief(2):.0f}s")
        daemon.deploy_script("echo", "#!/bin/sh\ncat\n")
        daemon.deploy_script("fails", "#!/bin/sh\nprintf some; exit 3\n")
        daemon.deploy_script("at-once", "#!/bin/sh\nexit 4\n")
        daemon.deploy_script("silent", "#!/bin/sh\ntrue\n")
        daemon.deploy_script("slow", "#!/bin/sh\necho one; exec sleep 1000\n", "--timeout", f"{brief(2):.0f}s")
        daemon.deploy_script("flood", f"#!/bin/sh\nhead -c {10 << 20} /dev/zero\n")
        daemon.aws = admin(daemon)
        yield daemon


class Events:
    """The reply as it comes, by hand: control.sock needs no signature."""

    def __init__(self, daemon, name, body=b"", query="", fields=""):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(daemon.control_path)
        self.sock.sendall(f"POST /2021-11-15/functions/{name}/response-streaming-invocations{query} HTTP/1.1\r\nHost: localhost\r\n"
                          f"Content-Length: {len(body)}\r\n{fields}\r\n".encode() + body)
        self.response = http.client.HTTPResponse(self.sock)
        self.response.begin()
        self.status, self.headers = self.response.status, self.response.headers
        self.buffer = EventStreamBuffer()

    def next(self):
        """(type, payload), or None at the end of the reply."""
        while True:
            for event in self.buffer:  # its parser checks both sums
                assert event.headers[":message-type"] == "event"
                return event.headers[":event-type"], event.payload
            piece = self.response.read1(BLOCK)
            if not piece:
                return None
            self.buffer.add_data(piece)

    def all(self):
        found = []
        while event := self.next():
            found.append(event)
        data = b"".join(payload for kind, payload in found[:-1])
        assert all(kind == "PayloadChunk" for kind, _ in found[:-1]) and found[-1][0] == "InvokeComplete"
        return data, json.loads(found[-1][1])


def test_each_piece_is_a_message_and_arrives_while_the_function_goes_on(api):
    events = Events(api, "slow")
    assert events.status == 200 and events.headers["Content-Type"] == "application/vnd.amazon.eventstream"
    assert events.headers["X-Amz-Executed-Version"] == "$LATEST"
    assert events.next() == ("PayloadChunk", b"one\n")
    kind, payload = events.next()
    told = json.loads(payload)
    assert (kind, told["ErrorCode"]) == ("InvokeComplete", "Timeout")
    assert "the limit 'timeout'" in json.loads(told["ErrorDetails"])["errorMessage"]
    assert events.next() is None


def test_a_stream_ends_with_an_empty_invoke_complete(api):
    assert Events(api, "streamer").all() == (b"one two three", {})
    assert Events(api, "echo", b"x" * 200000).all() == (b"x" * 200000, {})
    assert Events(api, "silent").all() == (b"", {})
    assert Events(api, "flood").all() == (bytes(10 << 20), {})


def test_a_failure_stands_in_invoke_complete_before_and_behind_the_first_byte(api):
    data, told = Events(api, "fails").all()
    assert (data, told["ErrorCode"]) == (b"some", "FunctionError")
    assert "exited with status 3" in json.loads(told["ErrorDetails"])["errorMessage"]
    data, told = Events(api, "at-once").all()
    assert (data, told["ErrorCode"]) == (b"", "FunctionError")


def test_what_keeps_it_from_running_is_an_error_as_of_invoke(api):
    for name, query, status, kind in (("nobody", "", 404, "ResourceNotFoundException"), ("echo:77", "", 404, "ResourceNotFoundException"),
                                      ("echo", "?Qualifier=77", 404, "ResourceNotFoundException"), ("a%20b", "", 400, "ValidationException")):
        events = Events(api, name, query=query)
        assert (events.status, events.headers["x-amzn-ErrorType"]) == (status, kind)
        assert events.headers["Content-Type"] == "application/json"


def test_a_dry_run_starts_nothing(api):
    events = Events(api, "slow", fields="X-Amz-Invocation-Type: DryRun\r\n")
    assert (events.status, events.next()) == (204, None)
    refused = Events(api, "slow", fields="X-Amz-Invocation-Type: Event\r\n")
    assert (refused.status, refused.headers["x-amzn-ErrorType"]) == (400, "ValidationException")


def test_versions_are_told_as_of_invoke(api):
    assert Events(api, "echo:1").headers["X-Amz-Executed-Version"] == "1"
    assert Events(api, "echo", query="?Qualifier=1").headers["X-Amz-Executed-Version"] == "1"


def test_over_tcp_it_asks_for_a_credential(api):
    path = "/2021-11-15/functions/echo/response-streaming-invocations"
    assert api.request("POST", path, body=b"x").status == 403
    reply = ask_signed(api, "loopback", create_token(api, "invoke:echo"), "POST", path, body=b"x")
    assert reply.status == 200 and b"PayloadChunk" in reply.body


def test_invoke_gets_the_same_reply_whole(api):
    api.cli("config", "streamer", "--stream")
    reply = api.aws.invoke(FunctionName="streamer")
    assert reply["Payload"].read() == b"one two three" and reply["ResponseMetadata"]["HTTPHeaders"]["content-length"] == "13"


def test_the_record_and_the_connection_are_as_of_any_other_call(api):
    events = Events(api, "fails")
    events.all()
    request = events.headers["x-amzn-RequestId"]
    record = wait_until(lambda: (r := api.control("GET", f"/v1/invocations/{request}")).status == 200 and r.json(), "it is recorded")
    assert (record["status"], record["error"]["errorType"]) == ("failed", "FunctionError")
    assert not events.response.will_close
