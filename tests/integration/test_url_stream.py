# SPDX-License-Identifier: Apache-2.0
"""Function URLs whose InvokeMode is RESPONSE_STREAM: what arrives when, the prelude of HTTP integrations, failures, clients that leave, and that BUFFERED is as it was."""

import json
import pathlib
import re
import socket

import pytest

from access import create_token
from harness import PROGRAMS, Faasd, brief, wait_until
from lambda_client import client
from stream_client import Stream, begin

CLIENTS = pathlib.Path(__file__).parent / "runtime_clients"
NODE = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  const asked = JSON.parse(event.body);
  if (asked.raise) throw new TypeError('at once');
  if (asked.status) stream = awslambda.HttpResponseStream.from(stream, { statusCode: asked.status, headers: { 'X-A': 'b', 'Content-Type': 'text/x-own' }, cookies: ['a=b', 'c=d'] });
  if (asked.empty) return stream.end();
  stream.write('one ');
  if (asked.hang) await new Promise((r) => setTimeout(r, 1e6));
  if (asked.break) throw new RangeError('midway');
  stream.end('two');
});
"""
PYTHON = """
def handler(event, context):
    return {"statusCode": 201, "headers": {"x-a": "b"}, "body": event["rawPath"]}
"""
JSON = "Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    code = tmp_path_factory.mktemp("code")
    code.chmod(0o755)
    (code / "index.js").write_text(NODE)
    (code / "app.py").write_text(PYTHON)
    with Faasd() as daemon:
        limit = ("--timeout", f"{brief(3):.0f}s")
        daemon.deploy("native", PROGRAMS / "streamer", "--runtime", "native", *limit)
        daemon.deploy("node", code, "--runtime", "node", "--handler", "index.handler", *limit)
        daemon.deploy("runtime", CLIENTS / "streamer", "--runtime", "provided", *limit)
        daemon.deploy("py", code / "app.py", "--runtime", "python", "--handler", "app.handler")
        daemon.deploy_script("plain", "#!/bin/sh\necho one; sleep 0.2; echo two\n", "--content-type", "text/plain")
        daemon.deploy_script("late", "#!/bin/sh\nsleep 0.3; echo late\n")
        daemon.deploy_script("fails", "#!/bin/sh\nexit 3\n")
        daemon.aws = client(daemon, create_token(daemon, "admin"))
        daemon.urls = {name: make_url(daemon, name) for name in ("native", "node", "runtime", "py", "plain", "late", "fails")}
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def set_mode(daemon, name, mode, method="PUT", **more):
    """Debian's boto3 is older than InvokeMode."""
    reply = daemon.control(method, f"/2021-10-31/functions/{name}/url", json.dumps({"InvokeMode": mode, **more}).encode())
    assert reply.status in (200, 201) and reply.json()["InvokeMode"] == mode, reply.body
    return reply.json()["FunctionUrl"]


def make_url(daemon, name, mode="RESPONSE_STREAM", **more):
    """Its path."""
    url = set_mode(daemon, name, mode, "POST", AuthType="NONE", **more)
    daemon.aws.add_permission(FunctionName=name, StatementId="all", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
    return re.sub("^https?://[^/]*", "", url).rstrip("/")


def play(api, name, path="/", **event):
    return begin(api, api.urls[name] + path, body=json.dumps(event).encode(), fields=JSON)


def record_of(api, stream):
    def ended():
        reply = api.control("GET", f"/v1/invocations/{stream.fields['x-amzn-requestid']}")
        return reply.status == 200 and reply.json().get("status") in ("succeeded", "failed") and reply.json()

    return wait_until(ended, "its record")


# -- what arrives when --

@pytest.mark.parametrize("name, event, path", [("native", {}, "/hang"), ("node", {"hang": 1}, "/"), ("runtime", {"pieces": ["one "], "hang": 1}, "/")])
def test_the_first_piece_is_there_before_the_function_has_ended(api, name, event, path):
    stream = play(api, name, path, **event)
    assert stream.status == 200 and stream.fields["transfer-encoding"] == "chunked" and "content-length" not in stream.fields
    assert "x-faasd-start" not in stream.fields and "x-request-id" not in stream.fields
    assert stream.chunk() == b"one "
    assert any(i["state"] == "busy" for i in api.describe(name)["instances"])
    assert stream.rest() == (b"", False)  # its timeout cuts it
    record = record_of(api, stream)
    assert (record["status"], record["error"]["errorType"]) == ("failed", "Timeout")


def test_what_a_program_writes_goes_out_as_it_is(api):
    stream = play(api, "plain")
    assert stream.fields["content-type"] == "text/plain" and stream.chunk() == b"one\n" and stream.rest() == (b"two\n", True)
    assert record_of(api, stream)["status"] == "succeeded"


def test_a_reply_that_comes_whole_is_not_looked_into(api):
    got = api.request("GET", api.urls["py"] + "/here")
    assert got.status == 200 and got.headers["Content-Type"] == "application/json"
    assert got.json() == {"statusCode": 201, "headers": {"x-a": "b"}, "body": "/here"}


# -- status and headers --

def test_the_prelude_says_status_headers_and_cookies(api):
    for name, event in (("node", {"status": 418}), ("runtime", {"prelude": {"statusCode": 418, "headers": {"X-A": "b", "Content-Type": "text/x-own"}, "cookies": ["a=b", "c=d"]},
                                                                "with_head": "one ", "pieces": ["two"]})):
        stream = play(api, name, **event)
        assert (stream.status, stream.fields["x-a"], stream.fields["content-type"]) == (418, "b", "text/x-own"), name
        assert [value for key, value in stream.lines if key == "set-cookie"] == ["a=b", "c=d"]
        assert stream.rest() == (b"one two", True)


def test_a_prelude_alone_is_a_reply_without_a_body(api):
    for name, event in (("node", {"status": 404, "empty": 1}), ("runtime", {"prelude": {"statusCode": 404}})):
        got = api.request("POST", api.urls[name], json.dumps(event), {"Content-Type": "application/json"})
        assert (got.status, got.body) == (404, b""), name


def test_without_a_prelude_it_is_200_of_the_type_that_the_runtime_said(api):
    stream = play(api, "runtime", pieces=["data: x\n\n"], type="text/event-stream")
    assert (stream.status, stream.fields["content-type"], stream.rest()) == (200, "text/event-stream", (b"data: x\n\n", True))
    assert play(api, "node").fields["content-type"] == "application/octet-stream"


def test_cors_of_the_url_stands_in_the_head_of_a_stream(api):
    set_mode(api, "node", "RESPONSE_STREAM", Cors={"AllowOrigins": ["https://a.example"], "ExposeHeaders": ["x-a"]})
    try:
        fields = JSON + "Origin: https://a.example\r\n"
        stream = begin(api, api.urls["node"], body=b'{"status": 200}', fields=fields)
        assert stream.fields["access-control-allow-origin"] == "https://a.example" and stream.fields["access-control-expose-headers"] == "x-a"
        assert stream.rest() == (b"one two", True)
        failed = api.request("POST", api.urls["node"], b'{"raise": 1}', {"Content-Type": "application/json", "Origin": "https://a.example"})
        assert failed.status == 502 and failed.headers["Access-Control-Allow-Origin"] == "https://a.example"
        other = begin(api, api.urls["node"], body=b"{}", fields=JSON + "Origin: https://b.example\r\n")
        assert "access-control-allow-origin" not in other.fields
    finally:
        set_mode(api, "node", "RESPONSE_STREAM", Cors={})


# -- failures --

@pytest.mark.parametrize("name, path, event", [("native", "/fail", {}), ("node", "/", {"raise": 1}), ("fails", "/", {}), ("runtime", "/", {"error": {"errorType": "E", "errorMessage": "m"}}),
                                               ("runtime", "/", {"raw_prelude": "{}[\0\0\0\0\0\0\0\0"})])
def test_a_failure_before_the_first_byte_is_502(api, name, path, event):
    got = api.request("POST", api.urls[name] + path, json.dumps(event), {"Content-Type": "application/json"})
    assert (got.status, got.body, got.headers["Content-Type"]) == (502, b"Internal Server Error", "text/plain")
    assert api.control("GET", f"/v1/invocations/{got.headers['x-amzn-RequestId']}").json()["status"] == "failed"


@pytest.mark.parametrize("name, path, event, kind", [("native", "/break", {}, "MidStream"), ("native", "/crash", {}, "FunctionCrashed"), ("node", "/", {"break": 1}, "RangeError"),
                                                     ("runtime", "/", {"pieces": ["one "], "error": {"errorType": "E", "errorMessage": "m"}}, "E")])
def test_a_failure_behind_the_first_byte_cuts_the_reply(api, name, path, event, kind):
    stream = play(api, name, path, **event)
    assert stream.status == 200 and stream.rest() == (b"one ", False)
    assert record_of(api, stream)["error"]["errorType"] == kind
    assert stream.sock.recv(1) == b""


def test_a_client_that_leaves_ends_nothing(api):
    stream = play(api, "plain")
    assert stream.chunk() == b"one\n"
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    stream.close()
    assert record_of(api, stream)["status"] == "succeeded"
    assert play(api, "plain").rest() == (b"one\ntwo\n", True)


def test_a_client_that_leaves_before_the_first_byte_ends_nothing(api):
    stream = Stream(api, api.urls["late"])
    wait_until(lambda: any(i["state"] == "busy" for i in api.describe("late")["instances"]), "its delivery")
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    stream.close()
    records = wait_until(lambda: api.control("GET", "/v1/invocations?function=late&status=succeeded").json()["invocations"], "its record")
    assert len(records) == 1
    assert play(api, "late").rest() == (b"late\n", True)


def test_the_connection_serves_the_next_request(api):
    stream = play(api, "node")
    assert stream.rest() == (b"one two", True)
    stream = begin(api, api.urls["plain"], sock=stream.sock)
    assert stream.rest() == (b"one\ntwo\n", True)


def test_a_client_of_http_1_0_reads_to_the_end_of_the_connection(api):
    stream = begin(api, api.urls["plain"], version="1.0")
    assert "transfer-encoding" not in stream.fields and stream.input.read() == b"one\ntwo\n"


def test_head_has_no_body(api):
    stream = begin(api, api.urls["plain"], method="HEAD")
    assert stream.status == 200 and stream.fields["content-type"] == "text/plain"
    stream = begin(api, api.urls["plain"], sock=stream.sock)
    assert stream.rest() == (b"one\ntwo\n", True)


# -- BUFFERED --

def test_buffered_is_as_it_was(api):
    """The same functions: whole replies with their length, payload format 2.0 in both directions."""
    try:
        for name in ("py", "node", "runtime", "plain"):
            set_mode(api, name, "BUFFERED")
        got = api.request("GET", api.urls["py"] + "/here")
        assert (got.status, got.headers["x-a"], got.body) == (201, "b", b"/here")
        for name, event in (("node", {"status": 418}), ("runtime", {"prelude": {"statusCode": 418}, "pieces": ["one two"]})):
            got = api.request("POST", api.urls[name], json.dumps(event), {"Content-Type": "application/json"})
            assert (got.status, got.body, got.headers["Content-Length"]) == (418, b"one two", "7"), name
        got = api.request("POST", api.urls["node"], b'{"status": 404, "empty": 1}', {"Content-Type": "application/json"})
        assert (got.status, got.body) == (404, b"")
        assert api.request("POST", api.urls["plain"]).status == 502  # what it writes is no JSON
    finally:
        for name in ("py", "node", "runtime", "plain"):
            set_mode(api, name, "RESPONSE_STREAM")
