# SPDX-License-Identifier: Apache-2.0
"""nginx in front, configured as docs/PROXY.md prints it, with a certificate of its own."""

import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile

import pytest

from access import bearer, create_token, sign
from harness import DEADLINE, REPO, Faasd, brief, wait_until

NGINX = REPO / "build/tools/nginx/usr/sbin/nginx"
pytestmark = pytest.mark.skipif(not NGINX.exists(), reason="no nginx here: scripts/setup test unpacks it")

ECHO = """import os, sys
length = int(os.environ.get("CONTENT_LENGTH") or 0)
body = sys.stdin.buffer.read(length)
seen = {k: v for k, v in os.environ.items() if k.startswith("HTTP_")}
import hashlib, json
print("Content-Type: application/json\\r\\n\\r")
print(json.dumps({"seen": seen, "bytes": len(body), "sha": hashlib.sha256(body).hexdigest()}))
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def printed_configuration():
    """The documented block, word for word but for the three places that every reader has to fill in."""
    return re.search(r"```nginx\n(.*?)```", (REPO / "docs/PROXY.md").read_text(), re.DOTALL).group(1)


class Proxy:
    def __init__(self, directory, faasd):
        self.port = free_port()
        key, certificate = directory / "key.pem", directory / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=functions.example.org", "-addext", "subjectAltName=DNS:functions.example.org",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        block = printed_configuration()
        for before, after in ((r"unix:/run/faasd/invoke\.sock", f"unix:{faasd.invoke_path}"), (r"listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
                              (r"/etc/ssl/certs/functions\.pem", str(certificate)), (r"/etc/ssl/private/functions\.key", str(key))):
            block, count = re.subn(before, after, block)
            assert count == 1, before
        places = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (directory / "nginx.conf").write_text(f"daemon off; pid {directory}/pid; error_log {directory}/error.log; user root;\nevents {{}}\nhttp {{ access_log off; {places}\n{block} }}\n")
        self.context = ssl.create_default_context(cafile=certificate)
        self.process = subprocess.Popen([NGINX, "-p", directory, "-e", directory / "error.log", "-c", directory / "nginx.conf"])
        wait_until(self.answers, "nginx")

    def answers(self):
        assert self.process.poll() is None, "nginx ended"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def connect(self):
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)
        connection = http.client.HTTPConnection("functions.example.org", timeout=DEADLINE)
        connection.sock = self.context.wrap_socket(raw, server_hostname="functions.example.org")
        return connection

    def request(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)


@pytest.fixture(scope="module")
def faasd():
    with Faasd({"trusted_proxies": ["unix:"], "default_auth": "anonymous"}) as daemon:
        with tempfile.TemporaryDirectory() as directory:
            script = pathlib.Path(directory) / "echo"
            script.write_text("#!/usr/bin/python3\n" + ECHO)
            script.chmod(0o755)
            daemon.deploy("echo", script, "--contract", "cgi")
            daemon.deploy("guarded", script, "--contract", "cgi", "--auth", "token")
        daemon.token = create_token(daemon, "invoke:guarded")
        yield daemon


@pytest.fixture(scope="module")
def proxy(faasd):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-nginx-"))
    proxy = Proxy(directory, faasd)
    yield proxy
    proxy.stop()
    shutil.rmtree(directory)


def test_a_stream_comes_through_piece_by_piece_and_its_cut_too(proxy, faasd):
    faasd.deploy_script("slow", "#!/bin/sh\necho one; exec sleep 1000\n", "--stream", "--timeout", f"{brief(2):.0f}s")
    connection = proxy.connect()
    connection.request("POST", "/function/slow")
    reply = connection.getresponse()
    assert reply.status == 200 and reply.read1(100) == b"one\n"  # while the function still runs
    with pytest.raises(http.client.IncompleteRead):
        reply.read()
    connection.close()


def test_the_function_sees_the_host_and_who_asked(proxy):
    status, body = proxy.request("GET", "/function/echo", headers={"X-Forwarded-For": "198.51.100.9"})
    assert status == 200
    seen = json.loads(body)["seen"]
    assert seen["HTTP_HOST"] == "functions.example.org"
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1", "what the client claims is not passed on"
    assert seen["HTTP_X_FORWARDED_PROTO"] == "https"


def test_signatures_pass_because_host_is_kept(proxy, faasd):
    body = os.urandom(100_000)
    url = "https://functions.example.org/function/guarded"
    target, headers = sign(faasd.token, "POST", url, body)
    assert proxy.request("POST", target, body, headers)[0] == 200
    assert proxy.request("POST", target, body[:-1] + b"x", headers)[0] == 401
    target, headers = sign(faasd.token, "POST", url.replace("functions.", "other."), body)
    headers.pop("Host", None)
    assert proxy.request("POST", target, body, headers)[0] == 401
    target, _ = sign(faasd.token, "GET", url + "?a=1", query=True)
    assert proxy.request("GET", target)[0] == 200


def test_a_token_passes_because_the_proxy_says_that_it_came_over_tls(proxy, faasd):
    status, body = proxy.request("GET", "/function/guarded", headers=bearer(faasd.token))
    assert status == 200 and "HTTP_AUTHORIZATION" not in json.loads(body)["seen"]
    assert proxy.request("GET", "/function/guarded")[0] == 401


def test_a_body_of_six_mebibytes_arrives_whole(proxy):
    import hashlib
    body = os.urandom(6 << 20)
    status, reply = proxy.request("POST", "/function/echo", body=body)
    assert status == 200
    assert json.loads(reply)["sha"] == hashlib.sha256(body).hexdigest()


def test_one_byte_more_is_refused(proxy):
    connection = proxy.connect()
    connection.putrequest("POST", "/function/echo")
    connection.putheader("Content-Length", str((6 << 20) + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_many_requests_share_few_connections_to_faasd(proxy, faasd):
    connection = proxy.connect()
    for _ in range(50):
        connection.request("GET", "/function/echo")
        assert connection.getresponse().read()
    connection.close()
    assert faasd.system()["connections"] <= 5


@pytest.mark.parametrize("path", ["/v1/functions", "/healthz", "/", "/function/../v1/functions", "/function/%2e%2e/v1/system"])
def test_nothing_but_functions_is_reached(proxy, path):
    status, body = proxy.request("GET", path)
    assert status in (400, 403, 404) and b"uptime" not in body and b"functions\":" not in body


def test_a_gateway_that_restarts_costs_a_retry_at_most(proxy, faasd):
    import signal
    os.kill(faasd.gateway_pid(), signal.SIGKILL)
    wait_until(lambda: proxy.request("GET", "/function/echo")[0] == 200, "an answer again")
