# SPDX-License-Identifier: Apache-2.0
"""What Lambda's clients are told of signatures that are not taken: status, type and text. How signatures are judged stands in test_sigv4.py."""

import datetime
import re

import pytest

from access import address_of, ask, ask_signed, create_token, sign
from harness import Faasd, wait_until

FUNCTION = "/2015-03-31/functions/echo"
INVOKE = FUNCTION + "/invocations"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
STAMP = r"\d{8}T\d{6}Z"


@pytest.fixture(scope="module")
def api():
    with Faasd({"failed_credentials": 100000}) as daemon:
        daemon.deploy_script("echo", "#!/bin/sh\ncat\n")
        daemon.token = create_token(daemon, "admin")
        yield daemon


def minutes(count):
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(minutes=count)


def told(reply, kind, words):
    assert (reply.status, reply.headers["x-amzn-ErrorType"], reply.headers["Content-Type"]) == (403, kind, "application/json"), reply.body
    assert UUID.fullmatch(reply.headers["x-amzn-RequestId"]) and not reply.headers["X-Faasd-Error"]
    assert list(reply.json()) == ["message"] and re.search(words, reply.json()["message"]), reply.json()


MISMATCH = "^The request signature we calculated does not match the signature you provided. Check your secret access key and signing method"


@pytest.mark.parametrize("method, path", [("GET", FUNCTION), ("POST", INVOKE)])
@pytest.mark.parametrize("options, kind, words", [
    ({"at": -16}, "InvalidSignatureException", rf"^Signature expired: {STAMP} is now earlier than {STAMP} \({STAMP} - 15 min\.\)$"),
    ({"at": 16}, "InvalidSignatureException", rf"^Signature not yet current: {STAMP} is still later than {STAMP} \({STAMP} \+ 15 min\.\)$"),
    ({"secret": "x" * 40}, "InvalidSignatureException", MISMATCH),
    ({"access_key": "AKIAIOSFODNN7EXAMPLE"}, "UnrecognizedClientException", r"^The security token included in the request is invalid\.$"),
    ({"session": "token"}, "InvalidSignatureException", "unset AWS_SESSION_TOKEN"),
    ({"query": True, "expires": 60, "at": -5}, "InvalidSignatureException", f"^Signature expired: the URL signed at {STAMP} was good for 60 seconds"),
    ({"query": True, "expires": 60, "at": 16}, "InvalidSignatureException", f"^Signature not yet current: {STAMP}"),
    ({"query": True, "expires": 604801}, "IncompleteSignatureException", "X-Amz-Expires has to be 1 to 604800 seconds"),
])
def test_signatures_that_are_not_taken(api, method, path, options, kind, words):
    if "at" in options:
        options = {**options, "at": minutes(options["at"])}
    told(ask_signed(api, "loopback", api.token, method, path, **options), kind, words)


def altered(api, change, method="GET", path=FUNCTION, body=b""):
    target, headers = sign(api.token, method, f"http://{address_of(api, 'loopback')}{path}", body)
    assert ask(api, "loopback", method, target, body, headers).status == 200
    return ask(api, "loopback", method, target, body, change(headers))


def with_authorization(change):
    return lambda headers: {**headers, "Authorization": change(headers["Authorization"])}


@pytest.mark.parametrize("change, kind, words", [
    (with_authorization(lambda a: a.replace("eu-test-1", "us-east-1")), "InvalidSignatureException", MISMATCH),
    (with_authorization(lambda a: re.sub("Signature=.", lambda m: "Signature=" + ("1" if m[0][-1] == "0" else "0"), a)), "InvalidSignatureException", MISMATCH),
    (with_authorization(lambda a: a.replace("aws4_request", "aws5_request")), "IncompleteSignatureException", "Credential has to be ID/DATE/REGION/SERVICE/aws4_request"),
    (with_authorization(lambda a: re.sub(r"/\d{8}/", "/20200101/", a)), "IncompleteSignatureException", "Credential and X-Amz-Date are of different days"),
    (with_authorization(lambda a: a.split(", Signature")[0]), "IncompleteSignatureException", "Signature has to be 64 digits of hex"),
    (with_authorization(lambda a: re.sub("SignedHeaders=[^,]*, ", "", a)), "InvalidSignatureException", "SignedHeaders"),
    (with_authorization(lambda a: a.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512")), "InvalidSignatureException", "AWS4-HMAC-SHA256"),
    (lambda headers: {k: v for k, v in headers.items() if k != "X-Amz-Date"}, "IncompleteSignatureException", "there is no X-Amz-Date"),
    (lambda headers: {**headers, "X-Amz-Date": "yesterday"}, "IncompleteSignatureException", "X-Amz-Date has to be like"),
    (lambda headers: {k: v for k, v in headers.items() if k != "Authorization"}, "MissingAuthenticationTokenException", "^Missing Authentication Token$"),
])
def test_signatures_that_were_altered(api, change, kind, words):
    told(altered(api, change), kind, words)


def test_another_body_than_the_signed_one(api):
    target, headers = sign(api.token, "POST", f"http://{address_of(api, 'loopback')}{INVOKE}", b"{}")
    told(ask(api, "loopback", "POST", target, b"{1", headers), "InvalidSignatureException", MISMATCH)


def test_what_changes_something_is_repeated_at_once_or_never(api):
    target, headers = sign(api.token, "POST", f"http://{address_of(api, 'loopback')}{FUNCTION}/versions", b"{}")
    assert [ask(api, "loopback", "POST", target, b"{}", headers).json()["Version"] for _ in range(2)] == ["1", "1"]
    wait_until(lambda: ask(api, "loopback", "POST", target, b"{}", headers).status == 403, "it is taken no more")
    told(ask(api, "loopback", "POST", target, b"{}", headers), "InvalidSignatureException", "^this signature has been used")


def test_presigned_requests(api):
    reply = ask_signed(api, "loopback", api.token, "GET", FUNCTION, query=True, expires=60)
    assert reply.status == 200 and reply.json()["Configuration"]["FunctionArn"] == "arn:aws:lambda:eu-test-1:000000000000:function:echo"
    target, headers = sign(api.token, "GET", f"http://{address_of(api, 'loopback')}{FUNCTION}", query=True)
    told(ask(api, "loopback", "GET", target.replace("/echo", "/other"), headers=headers), "InvalidSignatureException", MISMATCH)


@pytest.mark.parametrize("service", ["s3", "sqs", "execute-api"])
def test_a_scope_of_another_service_is_named(api, service):
    """Whoever signs for it reads XML, or nothing."""
    reply = ask_signed(api, "loopback", api.token, "GET", FUNCTION, service=service)
    assert reply.status == 501 and f"'{service}'".encode() in reply.body and UUID.fullmatch(reply.headers["x-amzn-RequestId"])
