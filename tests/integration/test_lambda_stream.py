# SPDX-License-Identifier: Apache-2.0
"""InvokeWithResponseStream, by hand with botocore's parser of the event stream: Debian's boto3 is older than the operation."""

import base64
import http.client
import json
import pathlib
import re
import socket
import threading

import pytest
from botocore.eventstream import EventStreamBuffer

from access import ask_signed, create_token
from harness import PROGRAMS, DEADLINE, Faasd, brief, wait_until
from lambda_client import admin

BLOCK = 65536
CLIENTS = pathlib.Path(__file__).parent / "runtime_clients"
NODE = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  console.log('asked');
  if (event.raise) throw new TypeError(event.raise);
  if (event.status) stream = awslambda.HttpResponseStream.from(stream, { statusCode: event.status, headers: { 'X-A': 'b "c"' }, cookies: ['a=b', 'c=d'] });
  if (event.empty) return stream.end();
  stream.write('one ');
  if (event.break) throw new RangeError('midway');
  stream.end('two');
});
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    code = tmp_path_factory.mktemp("code")
    code.chmod(0o755)
    (code / "index.js").write_text(NODE)
    with Faasd() as daemon:
        daemon.deploy("node", code, "--runtime", "node", "--handler", "index.handler", "--timeout", f"{brief(3):.0f}s")
        daemon.deploy("runtime", CLIENTS / "streamer", "--runtime", "provided", "--timeout", f"{brief(3):.0f}s")
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
    assert (kind, told["ErrorCode"]) == ("InvokeComplete", "Sandbox.Timedout")
    id = events.headers["x-amzn-RequestId"]
    assert json.loads(told["ErrorDetails"]) == {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {id} Error: Task timed out after {brief(2):.2f} seconds"}
    assert events.next() is None


def test_a_stream_ends_with_an_empty_invoke_complete(api):
    assert Events(api, "streamer").all() == (b"one two three", {})
    assert Events(api, "echo", b"x" * 200000).all() == (b"x" * 200000, {})
    assert Events(api, "silent").all() == (b"", {})
    assert Events(api, "flood").all() == (bytes(10 << 20), {})


def test_a_failure_stands_in_invoke_complete_before_and_behind_the_first_byte(api):
    for name, sent, status in (("fails", b"some", 3), ("at-once", b"", 4)):
        events = Events(api, name)
        id = events.headers["x-amzn-RequestId"]
        data, told = events.all()
        assert (data, told["ErrorCode"]) == (sent, "Runtime.ExitError") and "LogResult" not in told
        assert json.loads(told["ErrorDetails"]) == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {id} Error: Runtime exited with error: exit status {status}"}


def summary(error):
    return {**error, "trace": error["trace"][:2]}  # further down stands how node's loop came there


@pytest.mark.parametrize("event, data, kind", [({"raise": "at once"}, b"", "TypeError"), ({"break": 1}, b"one ", "RangeError")])
def test_an_error_of_the_functions_own_is_told_as_invoke_tells_it(api, event, data, kind):
    sent, told = Events(api, "node", json.dumps(event).encode()).all()
    assert (sent, told["ErrorCode"]) == (data, kind)
    details = json.loads(told["ErrorDetails"])
    assert list(details) == ["errorType", "errorMessage", "trace"] and details["errorType"] == kind
    whole = api.aws.invoke(FunctionName="node", Payload=json.dumps(event).encode())
    assert summary(json.loads(whole["Payload"].read())) == summary(details)


def test_a_runtimes_error_goes_out_as_it_came(api):
    error = {"errorType": "Own.Type", "errorMessage": "own words", "extra": [1, 2]}
    sent, told = Events(api, "runtime", json.dumps({"pieces": ["one"], "error": error}).encode()).all()
    assert (sent, told["ErrorCode"], json.loads(told["ErrorDetails"])) == (b"one", "Own.Type", error)


def test_an_error_that_is_too_long_for_a_message_is_told_shorter(api):
    sent, told = Events(api, "runtime", json.dumps({"pieces": ["one"], "error": {"errorType": "E", "errorMessage": '"' * 20000}}).encode()).all()
    details = json.loads(told["ErrorDetails"])
    assert (sent, told["ErrorCode"], details["errorType"]) == (b"one", "E", "E") and re.fullmatch('"{1000,2000}', details["errorMessage"])


PRELUDE = {"statusCode": 418, "headers": {"x-a": 'b "c"'}, "cookies": ["a=b", "c=d"]}


def read_prelude(data):
    head, _, body = data.partition(b"\0" * 8)
    told = json.loads(head)
    return {**told, "headers": {name.lower(): value for name, value in told["headers"].items() if name.lower() != "content-type"}}, body


def test_the_prelude_of_http_integrations_stands_among_the_bytes(api):
    """As on AWS: who invokes by this operation reads it himself."""
    for name, event in (("node", {"status": 418}), ("runtime", {"prelude": PRELUDE, "pieces": ["one ", "two"]})):
        data, told = Events(api, name, json.dumps(event).encode()).all()
        assert read_prelude(data) == (PRELUDE, b"one two") and told == {}, name
    data, _ = Events(api, "node", b'{"status": 418, "empty": 1}').all()
    assert read_prelude(data) == (PRELUDE, b"")
    assert Events(api, "node", b"{}").all()[0] == b"one two"


def test_the_prelude_stands_in_a_whole_answer_too(api):
    """Only HTTP integrations take it out: Invoke gives the function's bytes."""
    for name, event in (("node", {"status": 418}), ("runtime", {"prelude": PRELUDE, "pieces": ["one ", "two"]})):
        for mode in ({}, {"LogType": "Tail"}):
            reply = api.aws.invoke(FunctionName=name, Payload=json.dumps(event), **mode)
            assert read_prelude(reply["Payload"].read()) == (PRELUDE, b"one two") and reply["StatusCode"] == 200, name
    assert api.aws.invoke(FunctionName="node", Payload=b"{}")["Payload"].read() == b"one two"


# -- the log's tail --

REPORT = re.compile(r"END RequestId: (\S+)\nREPORT RequestId: \1\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: (\d+) MB\t"
                    r"(?:Init Duration: \d+\.\d\d ms\t)?(Status: .*)?\n$")
TAIL = "X-Amz-Log-Type: Tail\r\n"


@pytest.mark.parametrize("name, event, data, code, status", [
    ("node", {}, b"one two", None, None), ("node", {"break": 1}, b"one ", "RangeError", None), ("node", {"raise": "at once"}, b"", "TypeError", None), ("echo", {}, b"{}", None, None),
    ("fails", {}, b"some", "Runtime.ExitError", "Status: error\tError Type: Runtime.ExitError"), ("slow", {}, b"one\n", "Sandbox.Timedout", "Status: timeout")])
def test_the_tail_of_the_log_stands_in_invoke_complete(api, name, event, data, code, status):
    events = Events(api, name, json.dumps(event).encode(), fields=TAIL)
    sent, told = events.all()
    assert (sent, told.get("ErrorCode")) == (data, code) and ("ErrorDetails" in told) == bool(code)
    text = base64.b64decode(told["LogResult"], validate=True).decode()
    id = events.headers["x-amzn-RequestId"]
    assert text.startswith(f"START RequestId: {id} Version: $LATEST\n") and ("\tINFO\tasked\n" in text) == (name == "node"), text
    report = REPORT.search(text)
    assert report and (report[1], report[3]) == (id, status) and 0 < int(report[2]) <= 128, text
    assert not events.response.will_close


def test_a_client_that_leaves_before_its_report(api):
    events = Events(api, "slow", fields=TAIL)
    assert events.next() == ("PayloadChunk", b"one\n")
    events.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    events.response.close()
    events.sock.close()
    wait_until(lambda: not any(i["state"] == "busy" for i in api.describe("slow")["instances"]), "its end")
    assert Events(api, "echo", b"x", fields=TAIL).all()[0] == b"x"


def test_a_client_that_reads_slowly_gets_the_tail_too(api):
    events = Events(api, "flood", fields=TAIL)
    wait_until(lambda: any(i["state"] == "busy" for i in api.describe("flood")["instances"]), "its start")
    data, told = events.all()
    assert data == bytes(10 << 20) and base64.b64decode(told["LogResult"]).startswith(b"START RequestId: ")


# -- what is refused --

def test_throttling(api):
    api.deploy_script("one", "#!/bin/sh\nsleep 2\n", "--max-concurrency", "1", "--queue", "0")
    caller = threading.Thread(target=lambda: Events(api, "one").all())
    caller.start()
    wait_until(lambda: any(i["state"] == "busy" for i in api.describe("one")["instances"]), "a busy instance")
    events = Events(api, "one")
    assert (events.status, events.headers["x-amzn-ErrorType"], events.headers["Retry-After"]) == (429, "TooManyRequestsException", "1")
    assert json.loads(events.response.read()) == {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."}
    caller.join()


def test_what_is_no_json_and_no_context_is_refused(api):
    events = Events(api, "node", b'{"a":')
    assert (events.status, events.headers["x-amzn-ErrorType"]) == (400, "InvalidRequestContentException")
    assert json.loads(events.response.read())["message"].startswith("Could not parse request body into json: ")
    events = Events(api, "node", b"{}", fields="X-Amz-Client-Context: ?\r\n")
    assert (events.status, events.headers["x-amzn-ErrorType"]) == (400, "InvalidRequestContentException")


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
