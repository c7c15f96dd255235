# SPDX-License-Identifier: Apache-2.0
"""What tests of access share: tokens, signatures by botocore's own signer, requests to any listener of a daemon."""

import datetime
import http.client
import json

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness import DEADLINE, Reply, UnixHTTPConnection


def create_token(daemon, *scopes, extra=()):
    options = [word for scope in scopes for word in ("--scope", scope)]
    return json.loads(daemon.cli("token", "create", *options, "--json", *extra).stdout)


def bearer(token):
    return {"Authorization": "Bearer " + (token["token"] if isinstance(token, dict) else token)}


def sign(token, method, url, body=b"", headers=None, service="lambda", query=False, expires=300, at=None, secret=None,
         access_key=None, session=None):
    """(target, headers) of a request that botocore has signed. `at`: a datetime instead of now."""
    import botocore.auth
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers or {}))
    credentials = Credentials(access_key or token["accessKeyId"], secret or token["secretAccessKey"], session)
    signer = SigV4QueryAuth(credentials, service, "eu-test-1", expires) if query else SigV4Auth(credentials, service, "eu-test-1")

    class Clock(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return at or datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)

    real = botocore.auth.datetime
    botocore.auth.datetime = type("datetime", (), {"datetime": Clock})
    try:
        signer.add_auth(request)
    finally:
        botocore.auth.datetime = real
    target = request.url.split("/", 3)[3]
    return "/" + target, dict(request.headers.items())


def address_of(daemon, kind):
    """HOST:PORT of the daemon's listener of that kind: "loopback" or "remote"."""
    wanted = "0.0.0.0" if kind == "remote" else "127.0.0.1"
    port = next(a for a in daemon.listen if a.startswith(wanted)).rsplit(":", 1)[1]
    return f"127.0.0.1:{port}"


def ask(daemon, kind, method, target, body=b"", headers=None):
    """A request through the listener of that kind; nothing but the given headers, Host and Content-Length."""
    if kind in ("loopback", "remote"):
        connection = http.client.HTTPConnection(address_of(daemon, kind), timeout=DEADLINE)
    else:
        connection = UnixHTTPConnection(daemon.control_path if kind == "control" else daemon.invoke_path)
    try:
        connection.request(method, target, body=body or None, headers=headers or {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


def ask_signed(daemon, kind, token, method, target, body=b"", headers=None, **options):
    host = address_of(daemon, kind) if kind in ("loopback", "remote") else "localhost"
    target, headers = sign(token, method, f"http://{host}{target}", body, headers, **options)
    return ask(daemon, kind, method, target, body, headers)
