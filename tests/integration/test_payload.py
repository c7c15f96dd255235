# SPDX-License-Identifier: Apache-2.0
"""`payload: http`: event and reply in Lambda's payload format 2.0, whatever the runtime. What exactly stands in either is in tests/unit/gateway/payload_*.c."""

import base64
import json
import pathlib
import tempfile

import pytest

from harness import Faasd

ECHO = """
import json
def handler(event, context):
    reply = json.loads(event["body"]) if event.get("body") and event["headers"].get("content-type") == "application/json" else event
    if reply == "raise":
        raise ValueError("as asked")
    return reply
"""


def deploy_python(daemon, name, source, *options, check=True):
    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory).chmod(0o755)
        path = pathlib.Path(directory, "app.py")
        path.write_text(source)
        return daemon.deploy(name, path, "--runtime", "python", "--handler", "app.handler", *options, check=check)


@pytest.fixture(scope="module")
def http():
    with Faasd({"request_bytes": "256K"}) as daemon:
        deploy_python(daemon, "echo", ECHO, "--payload", "http")
        yield daemon


def answer(daemon, reply):
    """What a caller gets of this reply of the function's."""
    return daemon.invoke("echo", json.dumps(reply), headers={"Content-Type": "application/json"})


def test_the_event_tells_of_the_whole_request(http):
    got = http.invoke("echo", b"\x00\xff", "PUT", "/a%20b?x=1&x=2", {"Cookie": "k=v; l=w", "X-Many": "1", "Content-Type": "image/png", "User-Agent": "me"})
    assert got.status == 200 and got.headers["Content-Type"] == "application/json"
    event = got.json()
    assert (event["version"], event["routeKey"], event["rawPath"], event["rawQueryString"]) == ("2.0", "$default", "/a%20b", "x=1&x=2")
    assert event["queryStringParameters"] == {"x": "1,2"} and event["cookies"] == ["k=v", "l=w"]
    assert event["headers"]["x-many"] == "1" and "cookie" not in event["headers"]
    assert event["isBase64Encoded"] is True and base64.b64decode(event["body"]) == b"\x00\xff"
    context = event["requestContext"]
    assert context["http"] == {"method": "PUT", "path": "/a%20b", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "me"}
    assert context["requestId"] == got.headers["X-Request-Id"] and context["accountId"] == "anonymous"
    assert "authorizer" not in context


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_any_method_without_a_body(http, method):
    got = http.invoke("echo", None, method)
    assert got.status == 200
    if method != "HEAD":
        assert got.json()["requestContext"]["http"]["method"] == method and "body" not in got.json()


def test_a_reply_says_status_headers_cookies_and_bytes(http):
    got = answer(http, {"statusCode": 201, "headers": {"Content-Type": "image/png", "X-A": "b"}, "cookies": ["a=b; Path=/", "c=d"], "body": base64.b64encode(b"\x00\x01\xff").decode(),
                        "isBase64Encoded": True})
    assert got.status == 201 and got.body == b"\x00\x01\xff" and got.headers["Content-Type"] == "image/png"
    assert got.headers.get_all("Set-Cookie") == ["a=b; Path=/", "c=d"] and got.headers["X-A"] == "b" and got.headers["X-Faasd-Start"]


@pytest.mark.parametrize("reply, body", [("hello", b"hello"), ({"hello": "world"}, b'{"hello":"world"}'), (["hello", 3, True], b'["hello",3,true]'), (None, b"null"), (7, b"7")])
def test_what_says_no_status_is_inferred(http, reply, body):
    got = answer(http, reply)
    assert got.status == 200 and got.headers["Content-Type"] == "application/json" and got.body == body


def test_a_reply_of_no_such_form_is_refused_and_logged(http):
    got = answer(http, {"statusCode": "soon"})
    assert got.status == 502 and got.error == "BadReply" and "statusCode is not a number from 200 to 599" in got.json()["errorMessage"]
    record = http.control("GET", f"/v1/invocations/{got.headers['X-Request-Id']}").json()
    assert record["status"] == "failed" and "BadReply" in json.dumps(record)
    assert "statusCode is not a number" in http.cli("logs", "echo", "--id", got.headers["X-Request-Id"]).out


def test_a_function_that_raises_fails_as_ever(http):
    got = answer(http, "raise")
    assert got.status == 500 and got.error == "FunctionError" or got.error == "ValueError"


def test_an_event_that_grew_beyond_the_limit_is_refused(http):
    assert http.invoke("echo", bytes(150 << 10)).status == 200
    got = http.invoke("echo", bytes(250 << 10))
    assert got.status == 413 and "'request_bytes'" in got.json()["errorMessage"]
    got = http.invoke("echo", None, "GET", "?" + "&".join(f"p{i}" for i in range(1025)))
    assert got.status == 400 and "1024 parameters" in got.json()["errorMessage"]


def test_a_program_reads_the_event_and_says_the_reply(http):
    http.deploy_script("program", "#!/bin/sh\nread -r event; case $event in *'\"rawPath\":\"/there\"'*) printf '{\"statusCode\":404,\"body\":\"%s\"}' $CONTENT_LENGTH;; esac\n", "--payload", "http")
    got = http.invoke("program", b"x", path="/there")
    assert got.status == 404 and int(got.body) > 300


def test_an_asynchronous_call_gets_the_same_event(http):
    accepted = http.request("POST", "/async-function/echo/there", b"x", {"Content-Type": "text/plain"})
    assert accepted.status == 202
    done = http.cli("result", accepted.json()["id"], "--wait")
    assert json.loads(done.out)["rawPath"] == "/there"


def test_cgi_and_payload_http_exclude_each_other(http):
    done = http.deploy_script("both", "#!/bin/sh\n", "--contract", "cgi", "--payload", "http", check=False)
    assert done.returncode == 2 or done.returncode == 1
    assert "payload: http and contract cgi exclude each other" in done.err


def test_the_setting_belongs_to_the_version(http):
    deploy_python(http, "turns", "def handler(event, context): return {'statusCode': 204}\n", "--payload", "http")
    http.cli("config", "turns", "--payload", "raw")
    assert http.invoke("turns").json() == {"statusCode": 204}
    assert http.invoke("turns:1").status == 204
