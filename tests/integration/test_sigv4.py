# SPDX-License-Identifier: Apache-2.0
"""AWS Signature Version 4 over the wire, by botocore's signer and by curl: forms, bodies, clocks, replays, proxies, and what somebody on the way could change."""

import datetime
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import threading

import pytest

from access import address_of, ask, ask_signed, create_token, sign
from harness import HELLO, Faasd, receive_all, wait_until

UTC = datetime.timezone.utc


@pytest.fixture(scope="module")
def signed():
    with Faasd({"failed_credentials": 100000}, args=("--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0")) as daemon:
        daemon.deploy_script("count", "#!/bin/sh\nwc -c\n", "--auth", "token")
        daemon.token = create_token(daemon, "admin")
        daemon.invoker = create_token(daemon, "invoke:count")
        yield daemon


def archive(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def settle(daemon):
    """A refused upload holds its function's name until its unpacker is gone."""
    wait_until(lambda: daemon.system()["deploys_in_flight"] == 0, "the end of all deploys")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def ago(**by):
    return datetime.datetime.now(UTC).replace(tzinfo=None) - datetime.timedelta(**by)


# -- forms and bodies --

@pytest.mark.parametrize("size", [0, 1, 100, 20000, 6 << 20])
@pytest.mark.parametrize("form", ["hashed here", "declared", "unsigned"])
def test_bodies_of_any_size_in_each_form(signed, size, form):
    body = os.urandom(size)
    headers = {"declared": {"X-Amz-Content-SHA256": sha256(body)}, "unsigned": {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}}.get(form, {})
    service = "s3" if form == "unsigned" else "lambda"
    if form == "unsigned":
        target, sent = sign_unsigned(signed, body)
    else:
        target, sent = sign(signed.invoker, "POST", f"http://{address_of(signed, 'loopback')}/function/count", body, headers, service=service)
    reply = ask(signed, "loopback", "POST", target, body, sent)
    assert reply.status == 200 and int(reply.body) == size, reply
    if size and form != "unsigned":
        other = bytes([body[0] ^ 1]) + body[1:]
        assert ask(signed, "loopback", "POST", target, other, sent).status == 401
        assert ask(signed, "loopback", "POST", target, body[:-1], sent).status == 401


def sign_unsigned(daemon, body, kind="loopback"):
    """As S3's signer does where the body is not hashed."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    request = AWSRequest(method="POST", url=f"https://{address_of(daemon, kind)}/function/count", data=body)
    request.context["client_config"] = type("Config", (), {"s3": {"payload_signing_enabled": False}})()
    request.context["has_streaming_input"] = True
    request.headers["Content-MD5"] = "x"
    S3SigV4Auth(Credentials(daemon.invoker["accessKeyId"], daemon.invoker["secretAccessKey"]), "s3", "r").add_auth(request)
    assert request.headers["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"
    return "/function/count", dict(request.headers.items())


def test_an_unsigned_body_is_not_taken_where_it_can_be_changed(signed):
    target, headers = sign_unsigned(signed, b"body", "remote")
    reply = ask(signed, "remote", "POST", target, b"body", headers)
    assert reply.status == 403 and "an unsigned body" in reply.json()["errorMessage"]
    assert ask_signed(signed, "remote", signed.invoker, "POST", "/function/count", b"body").status == 200


def test_a_chunked_body_is_judged_when_it_is_complete(signed):
    body = os.urandom(50000)
    target, headers = sign(signed.invoker, "POST", f"http://{address_of(signed, 'loopback')}/function/count", body)
    for sent, status in ((body, b"200"), (body[:-1], b"401"), (b"", b"401")):
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if k.lower() not in ("host", "content-length"))
        with signed.connect() as sock:
            sock.sendall(f"POST {target} HTTP/1.1\r\nHost: {address_of(signed, 'loopback')}\r\n{lines}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode())
            for at in range(0, len(sent), 7000):
                piece = sent[at:at + 7000]
                sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            sock.sendall(b"0\r\n\r\n")
            assert receive_all(sock).split()[1] == status


@pytest.mark.parametrize("method, body", [("GET", b""), ("POST", b""), ("DELETE", b"")])
def test_presigned_urls(signed, method, body):
    url = f"http://{address_of(signed, 'loopback')}/function/count?b=2&a=1&empty="
    target, headers = sign(signed.invoker, method, url, body, query=True)
    assert "X-Amz-Signature=" in target
    reply = ask(signed, "loopback", method, target, body)
    assert reply.status == 200, reply
    assert ask(signed, "loopback", method, target.replace("a=1", "a=2"), body).status == 401
    assert ask(signed, "loopback", method, target.replace("b=2&", ""), body).status == 401
    assert ask(signed, "loopback", "PUT", target, body).status == 401
    assert ask(signed, "loopback", method, target, b"x").status == 401


def test_a_presigned_url_ends(signed):
    url = f"http://{address_of(signed, 'loopback')}/function/count"
    target, _ = sign(signed.invoker, "GET", url, query=True, expires=60, at=ago(seconds=61))
    reply = ask(signed, "loopback", "GET", target)
    assert reply.status == 401 and "Signature expired" in reply.json()["errorMessage"]
    target, _ = sign(signed.invoker, "GET", url, query=True, expires=7200, at=ago(hours=1))
    assert ask(signed, "loopback", "GET", target).status == 200
    target, _ = sign(signed.invoker, "GET", url, query=True, expires=604801)
    assert ask(signed, "loopback", "GET", target).status == 401


def test_what_was_presigned_is_told_to_nobody_else():
    """A signature in the query is good until it expires: not for the function, a record, a stored call or a log."""
    with Faasd({"access_log": "access.log"}) as daemon:
        daemon.deploy_script("tell", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s' \"$QUERY_STRING\"\n[ \"$REQUEST_METHOD\" != PUT ]\n", "--contract", "cgi", "--auth", "token")
        token = create_token(daemon, "admin")
        signatures = []

        def ask_presigned(method, path, **keys):
            target, headers = sign(keys.pop("by", token), method, f"http://{address_of(daemon, 'loopback')}{path}", query=True, **keys)
            signatures.append(target.rsplit("X-Amz-Signature=", 1)[1])
            return ask(daemon, "loopback", method, target)

        told = ask_presigned("GET", "/function/tell?a=1")
        assert told.status == 200 and b"a=1&" in told.body and b"X-Amz-Signature=****" in told.body, told
        failed = ask_presigned("PUT", "/function/tell?a=1")
        assert failed.status == 500, failed
        event = daemon.control("GET", f"/v1/invocations/{failed.headers['X-Request-Id']}/event")
        assert event.status == 200 and "a=1&" in event.headers["X-Faasd-Event-Target"], event
        assert ask_presigned("POST", "/async-function/tell?a=1").status == 202
        assert ask_presigned("GET", "/v1/functions").status == 200
        kept = str(event.headers) + told.body.decode()
        # One that is not by a key of faasd's is the function's own affair; the log is not told it either.
        foreign = "1234567890abcdef" * 4
        daemon.cli("config", "tell", "--auth", "anonymous")
        own = daemon.request("GET", f"/function/tell?X-Amz-Credential=AKIA%2Fx&X-Amz-Signature={foreign}")
        assert foreign in own.body.decode(), own
        log = daemon.root / "state/logs/access.log"
        wait_until(lambda: "AKIA" in log.read_text(), "the access log has its last line")
        wait_until(lambda: log.read_text().count("/function/tell?a=1") == 3, "the asynchronous call ran")
        # a line for each, one for the asynchronous call when it ran
        assert log.read_text().count("X-Amz-Signature=****") == len(signatures) + 2 and foreign not in log.read_text()
        assert daemon.stop() == 0
        files = b"".join(p.read_bytes() for p in daemon.root.rglob("*") if p.is_file())
        assert all(len(s) == 64 and s not in kept and s.encode() not in files for s in signatures)


@pytest.mark.parametrize("path", ["/function/count/a%20b", "/function/count/a:b", "/function/count:$LATEST/x", "/function/count/%C3%A9/~._-", "/function/count/"])
def test_paths_with_characters_that_are_encoded(signed, path):
    assert ask_signed(signed, "loopback", signed.invoker, "POST", path, b"x").status == 200


# -- who may do what by a signature --

def test_the_control_api_by_signature(signed):
    assert ask_signed(signed, "loopback", signed.token, "GET", "/v1/functions").json()["functions"]
    assert ask_signed(signed, "remote", signed.token, "GET", "/v1/functions").status == 200
    assert ask_signed(signed, "loopback", signed.invoker, "GET", "/v1/functions").status == 403
    assert ask_signed(signed, "loopback", signed.token, "GET", "/v1/functions", secret="0" * 40).status == 401
    reply = ask_signed(signed, "loopback", signed.token, "GET", "/v1/functions", access_key="FAAS" + "0" * 16)
    assert reply.status == 401 and "not known here" in reply.json()["errorMessage"]
    for key in ("AKIDEXAMPLE", signed.token["accessKeyId"].lower(), signed.token["id"]):
        assert ask_signed(signed, "loopback", signed.token, "GET", "/v1/functions", access_key=key).status == 401


def test_a_signature_of_one_token_is_none_of_another(signed):
    reply = ask_signed(signed, "loopback", signed.invoker, "GET", "/v1/functions", access_key=signed.token["accessKeyId"])
    assert reply.status == 401 and "does not match the signature you provided" in reply.json()["errorMessage"]


# -- clocks --

def test_clocks_may_differ_by_fifteen_minutes(signed):
    for minutes, status in ((0, 200), (14, 200), (-14, 200), (16, 401), (-16, 401), (60 * 24 * 400, 401)):
        reply = ask_signed(signed, "loopback", signed.token, "GET", "/v1/functions", at=ago(minutes=minutes))
        assert reply.status == status, (minutes, reply)
        if status == 401:
            assert ("Signature expired" if minutes > 0 else "Signature not yet current") in reply.json()["errorMessage"]


# -- what is taken once --

def later_refused(signed, target, body, headers):
    # Whoever recorded it comes after those two seconds, in which the client's own repetitions are.
    wait_until(lambda: ask(signed, "loopback", "POST", target, body, headers).status == 401, "it is taken no more")
    again = ask(signed, "loopback", "POST", target, body, headers)
    assert again.status == 401 and "sign the request again" in again.json()["errorMessage"]


@pytest.mark.parametrize("declared", [False, True])
def test_a_signature_that_changes_something_is_taken_at_once_and_never_later(signed, declared):
    url = f"http://{address_of(signed, 'loopback')}/v1/tokens"
    body = b'{"scopes":["read"]}'
    target, headers = sign(signed.token, "POST", url, body, {"X-Amz-Content-SHA256": sha256(body)} if declared else {})
    first = ask(signed, "loopback", "POST", target, body, headers)
    again = ask(signed, "loopback", "POST", target, body, headers)
    assert (first.status, again.status) == (201, 201) and first.json()["id"] != again.json()["id"]
    later_refused(signed, target, body, headers)
    # what only looks, and what runs a function, may be repeated for as long as it is valid
    for target in ("/v1/tokens", "/function/count"):
        target, headers = sign(signed.token, "GET", f"http://{address_of(signed, 'loopback')}{target}", at=ago(seconds=60))
        assert [ask(signed, "loopback", "GET", target, b"", headers).status for _ in range(2)] == [200, 200]


def test_of_many_at_once_all_are_taken_and_none_later(signed):
    body = b'{"scopes":["read"],"name":"race"}'
    target, headers = sign(signed.token, "POST", f"http://{address_of(signed, 'loopback')}/v1/tokens", body)
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(ask(signed, "loopback", "POST", target, body, headers).status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [201] * 8
    later_refused(signed, target, body, headers)


def test_a_new_gateway_takes_no_change_signed_before_it():
    with Faasd() as daemon:
        daemon.listen = [f"{daemon.host}:{daemon.port}"]
        token = create_token(daemon, "admin")
        body = b'{"scopes":["read"]}'
        target, headers = sign(token, "POST", f"http://{daemon.host}:{daemon.port}/v1/tokens", body, at=ago(seconds=2))
        gateway = daemon.gateway_pid()
        os.kill(gateway, signal.SIGKILL)
        wait_until(lambda: daemon.gateway_pid() not in (None, gateway), "another gateway")
        reply = ask(daemon, "loopback", "POST", target, body, headers)
        assert reply.status == 401 and "older than the daemon's gateway" in reply.json()["errorMessage"]
        assert ask_signed(daemon, "loopback", token, "POST", "/v1/tokens", body).status == 201
        assert ask_signed(daemon, "loopback", token, "GET", "/v1/tokens", at=ago(seconds=60)).status == 200


# -- what somebody on the way could change --

def test_fields_that_change_the_meaning_have_to_be_signed(signed):
    url = f"http://{address_of(signed, 'loopback')}/v1/functions/fresh"
    body = archive(run="#!/bin/sh\necho fresh\n")
    target, headers = sign(signed.token, "PUT", url, body)
    headers["Faasd-Settings"] = '{"auth":"anonymous"}'
    reply = ask(signed, "loopback", "PUT", target, body, headers)
    assert reply.status == 401 and "Faasd-Settings" in reply.json()["errorMessage"]
    target, headers = sign(signed.token, "PUT", url, body, {"Faasd-Settings": '{"auth":"token"}'})
    changed = {**headers, "Faasd-Settings": '{"auth":"anonymous"}'}
    assert ask(signed, "loopback", "PUT", target, body, changed).status == 401
    settle(signed)
    assert ask(signed, "loopback", "PUT", target + "?dry_run=1", body, headers).status == 401
    assert signed.control("GET", "/v1/functions/fresh").status == 404
    settle(signed)
    target, headers = sign(signed.token, "PUT", url, body, {"Faasd-Settings": '{"auth":"token"}'})
    assert ask(signed, "loopback", "PUT", target, body, headers).status == 201


def test_a_path_with_dots_is_not_the_path_that_was_signed(signed):
    host = address_of(signed, "loopback")
    _, headers = sign(signed.invoker, "POST", f"http://{host}/function/count", b"x")
    for path in ("/function/other/../count", "/function//count", "/function/count/.", "/function/./count", "/function/count/"):
        assert ask(signed, "loopback", "POST", path, b"x", headers).status in (400, 401, 404), path


def test_spaces_and_repetitions_in_fields(signed):
    host = address_of(signed, "loopback")
    target, headers = sign(signed.invoker, "POST", f"http://{host}/function/count", b"x",
                           {"X-Note": "  a   b  ", "X-Amz-Meta-One": "1"})
    lines = "".join(f"{k.upper() if i % 2 else k.lower()}:   {v}   \r\n" for i, (k, v) in enumerate(headers.items()))
    with signed.connect() as sock:
        sock.sendall(f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nConnection: close\r\n{lines}\r\nx".encode())
        assert receive_all(sock).startswith(b"HTTP/1.1 200 ")
    with signed.connect() as sock:
        sock.sendall(f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nConnection: close\r\nX-Note: c\r\n{lines}\r\nx".encode())
        assert receive_all(sock).startswith(b"HTTP/1.1 401 ")


def test_temporary_credentials_are_refused_with_what_to_do(signed):
    reply = ask_signed(signed, "loopback", signed.token, "GET", "/v1/functions", session="token")
    assert reply.status == 401 and "unset AWS_SESSION_TOKEN" in reply.json()["errorMessage"]


def test_a_function_that_asks_for_a_signature_only_when_the_body_is_there(signed):
    """What was not judged on its way can't be judged any more: neither a wrong signature nor a right one gets through."""
    host, body = address_of(signed, "loopback"), b"x" * 1000
    for secret in ("0" * 40, None):
        signed.deploy_script("turns", "#!/bin/sh\nwc -c\n", "--auth", "anonymous")
        target, headers = sign(signed.token, "POST", f"http://{host}/function/turns", body, secret=secret)
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if k.lower() not in ("host", "content-length"))
        with signed.connect() as sock:
            sock.sendall(f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n{lines}\r\n".encode())
            assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
            signed.cli("config", "turns", "--auth", "token")
            sock.sendall(body)
            answer = receive_all(sock)
            assert answer.startswith(b"HTTP/1.1 401 ") and b"send it again" in answer


# -- a deploy: its body streams, and is judged before anything is committed --

def deploy_by_signature(daemon, name, body, sent=None, headers=None, **options):
    url = f"http://{address_of(daemon, 'loopback')}/v1/functions/{name}"
    target, headers = sign(daemon.token, "PUT", url, body, headers, **options)
    return ask(daemon, "loopback", "PUT", target, body if sent is None else sent, headers)


@pytest.mark.parametrize("declared", [False, True])
def test_a_deploy_by_signature(signed, declared):
    name = f"streamed-{declared}"
    body = archive(run="#!/bin/sh\necho one\n", big="x" * 3_000_000)
    settings = {"Faasd-Settings": '{"handler":"run"}'}
    headers = {**settings, **({"X-Amz-Content-SHA256": sha256(body)} if declared else {})}
    assert deploy_by_signature(signed, name, body, headers=headers).status == 201
    assert signed.invoke(name).body == b"one\n"
    other = archive(run="#!/bin/sh\necho two\n", big="x" * 3_000_000)
    assert len(other) == len(body)
    reply = deploy_by_signature(signed, name, body + b"\0" * 512, other + b"\0" * 512, 
                                headers={**settings, **({"X-Amz-Content-SHA256": sha256(body + b"\0" * 512)} if declared else {})})
    assert reply.status == 401
    assert signed.invoke(name).body == b"one\n" and signed.describe(name)["number"] == 1
    wait_until(lambda: not list((signed.root / "state" / "staging").iterdir()), "nothing is left of it")


def test_nothing_is_deployed_before_the_signature_is_judged(signed):
    """The archive ends before its body does: all of it is there, and the last byte decides."""
    name = "early"
    body = archive(run="#!/bin/sh\necho early\n") + b"\0" * 100_000
    host = address_of(signed, "loopback")
    for good in (False, True):
        target, headers = sign(signed.token, "PUT", f"http://{host}/v1/functions/{name}", body)
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if k.lower() not in ("host", "content-length"))
        with signed.connect() as sock:
            sock.sendall(f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{lines}\r\n".encode() + body[:-1])
            wait_until(lambda: list((signed.root / "state" / "staging").iterdir()), "the archive to be received")
            assert signed.control("GET", f"/v1/functions/{name}").status == 404
            sock.sendall(b"\0" if good else b"\1")
            assert receive_all(sock).split()[1] == (b"201" if good else b"401")
        settle(signed)
    assert signed.invoke(name).body == b"early\n"
    wait_until(lambda: not list((signed.root / "state" / "staging").iterdir()), "nothing is left of the first")


def test_an_upload_that_breaks_off_while_its_signature_is_awaited_leaves_nothing(signed):
    name = "broken"
    body = archive(run="#!/bin/sh\necho no\n") + b"\0" * 100_000
    host = address_of(signed, "loopback")
    target, headers = sign(signed.token, "PUT", f"http://{host}/v1/functions/{name}", body)
    lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if k.lower() not in ("host", "content-length"))
    with signed.connect() as sock:
        sock.sendall(f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body[:-1])
        wait_until(lambda: list((signed.root / "state" / "staging").iterdir()), "something is unpacked")
    settle(signed)
    wait_until(lambda: not list((signed.root / "state" / "staging").iterdir()), "nothing is left of it")
    assert signed.control("GET", f"/v1/functions/{name}").status == 404


def test_uploads_that_may_be_anybodys_are_limited(signed):
    """Who knows an access key id can begin uploads that only their end unmasks: 16 of them, half of what there is."""
    body = archive(run="#!/bin/sh\necho x\n")
    host = address_of(signed, "loopback")

    def begin(name):
        target, headers = sign(signed.token, "PUT", f"http://{host}/v1/functions/{name}", body, secret="0" * 40)
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if k.lower() not in ("host", "content-length"))
        sock = signed.connect()
        sock.sendall(f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body[:-1])
        return sock

    held = [begin(f"held-{i}") for i in range(16)]
    try:
        wait_until(lambda: signed.system()["deploys_in_flight"] == 16, "16 uploads")
        reply = deploy_by_signature(signed, "one-more", body)
        assert reply.status == 429 and "X-Amz-Content-SHA256" in reply.json()["errorMessage"] and reply.headers["Retry-After"]
        assert deploy_by_signature(signed, "one-more", body, headers={"X-Amz-Content-SHA256": sha256(body)}).status == 201
        for sock in held:
            sock.sendall(body[-1:])
            assert sock.recv(65536).startswith(b"HTTP/1.1 401 ")
    finally:
        for sock in held:
            sock.close()
    settle(signed)
    assert deploy_by_signature(signed, "two-more", body).status == 201
    wait_until(lambda: not list((signed.root / "state" / "staging").iterdir()), "nothing is left of them")


# -- proxies --

def test_a_proxy_that_keeps_host_or_says_what_it_was():
    config = {"trusted_proxies": ["127.0.0.1", "unix:"], "hosts": ["faas.example.org"]}
    with Faasd(config) as daemon:
        daemon.listen = [f"{daemon.host}:{daemon.port}"]
        daemon.deploy_script("count", "#!/bin/sh\nwc -c\n")
        token = create_token(daemon, "admin")
        from_outside = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        for host in ({"Host": "faas.example.org"}, {"X-Forwarded-Host": "faas.example.org"}):
            for target in ("/v1/functions", "/function/count"):
                _, headers = sign(token, "GET", f"https://faas.example.org{target}")
                headers = {**{k: v for k, v in headers.items() if k.lower() != "host"}, **from_outside, **host}
                assert ask(daemon, "loopback", "GET", target, b"", headers).status == 200, (host, target)
        # a proxy that does neither
        _, headers = sign(token, "GET", "https://faas.example.org/v1/functions")
        headers = {k: v for k, v in headers.items() if k.lower() != "host"}
        reply = ask(daemon, "loopback", "GET", "/v1/functions", b"", {**headers, **from_outside})
        assert reply.status == 401 and "keep Host" in reply.json()["errorMessage"]
        # whom the proxy names is not on this host: functions that say nothing ask him for a token, and TLS has to lie between
        assert ask(daemon, "loopback", "POST", "/function/count").status == 200
        assert ask(daemon, "loopback", "POST", "/function/count", b"", from_outside).status == 401
        assert ask(daemon, "invoke", "POST", "/function/count", b"", from_outside).status == 401
        # and is told as little as anybody from elsewhere
        assert "errorMessage" not in ask(daemon, "loopback", "GET", "/function/none", b"", from_outside).json()
        assert "errorMessage" in ask(daemon, "loopback", "GET", "/function/none").json()
        bearer = {"Authorization": "Bearer " + token["token"]}
        assert ask(daemon, "loopback", "POST", "/function/count", b"", {**from_outside, **bearer}).status == 200
        assert ask(daemon, "invoke", "POST", "/function/count", b"", {**from_outside, **bearer}).status == 200
        plain = {**from_outside, "X-Forwarded-Proto": "http", **bearer}
        assert ask(daemon, "loopback", "POST", "/function/count", b"", plain).status == 403


@pytest.mark.row("C10")
def test_nobody_else_is_believed():
    with Faasd({"failed_credentials": 3}) as daemon:
        daemon.listen = [f"{daemon.host}:{daemon.port}"]
        daemon.deploy_script("count", "#!/bin/sh\nwc -c\n")
        assert ask(daemon, "loopback", "POST", "/function/count", b"", {"X-Forwarded-For": "203.0.113.9"}).status == 200
        seen = [ask(daemon, "loopback", "GET", "/v1/functions", b"", {"X-Forwarded-For": f"203.0.113.{i}", "Authorization": "Bearer x"}).status
                for i in range(6)]
        assert seen[-1] == 429


# -- curl --

@pytest.mark.parametrize("method, target, body", [("GET", "/v1/functions", None), ("POST", "/function/count", "four"), ("GET", "/function/count?a=1", None)])
def test_curls_own_signatures(signed, method, target, body):
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--aws-sigv4", "aws:amz:eu-test-1:lambda", "--user",
               f"{signed.token['accessKeyId']}:{signed.token['secretAccessKey']}", "-X", method]
    if body:
        command += ["-d", body]
    url = f"http://{address_of(signed, 'loopback')}{target}"
    assert subprocess.run([*command, url], capture_output=True, text=True, timeout=30).stdout == "200"
    command[command.index("--user") + 1] += "0"
    assert subprocess.run([*command, url], capture_output=True, text=True, timeout=30).stdout == "401"
