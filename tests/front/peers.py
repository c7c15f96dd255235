# SPDX-License-Identifier: Apache-2.0
"""Three servers that read the same bytes: faasd, Node's (llhttp) and nginx. Each answers a request that it takes with its body, so what a connection says tells how many
requests its parser saw in a stream of bytes, and which bytes were the body of each."""

import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

import paths
from harness import DEADLINE, REPO, receive_all, wait_until
from wire import send_all

NGINX = REPO / "build/tools/nginx/usr/sbin/nginx"
NODE = shutil.which("node") or shutil.which("nodejs")
# What faasd says of a request that its parser did not take. All else it says of one that it took.
REFUSALS = {"BadRequest", "RequestTooLarge", "UriTooLong", "HeadersTooLarge", "NotImplemented", "VersionNotSupported", "ExpectationFailed", "RequestTimeout"}


class Peers:
    """Node and nginx, each on a Unix socket in a directory of their own."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-peers-"))
        self.node_path, self.nginx_path = str(self.directory / "node.sock"), str(self.directory / "nginx.sock")
        configuration = self.directory / "nginx.conf"
        user = "user root;\n"  # the sockets' directory is ours
        configuration.write_text(user + (paths.HERE / "nginx.conf").read_text().replace("DIRECTORY", str(self.directory)))
        self.processes = [subprocess.Popen([NODE, "--no-warnings", paths.HERE / "peer.js", self.node_path], stdout=subprocess.PIPE),
                          subprocess.Popen([NGINX, "-p", self.directory, "-e", self.directory / "error.log", "-c", configuration])]
        assert self.processes[0].stdout.readline() == b"ready\n"
        wait_until(self._nginx_answers, "nginx")

    def _nginx_answers(self):
        assert self.processes[1].poll() is None, (self.directory / "error.log").read_text()
        try:
            connect(self.nginx_path).close()
            return True
        except OSError:
            return False

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(DEADLINE)
            if process.stdout:
                process.stdout.close()
        shutil.rmtree(self.directory)


def connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(DEADLINE)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def say(path, streams):
    """What the server says to each, all of them at one time."""
    socks = []
    try:
        for stream in streams:
            socks.append(connect(path))
            send_all(socks[-1], stream)
            try:
                socks[-1].shutdown(socket.SHUT_WR)
            except OSError:
                pass
        return [receive_all(sock) for sock in socks]
    finally:
        for sock in socks:
            sock.close()


HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


def read_replies(data):
    """(status, fields, body) of each reply. Our own requests alone ask for replies without a body that tell of one, and none of those is sent here."""
    while data:
        head = HEAD.match(data)
        if not head:
            yield 0, {}, data  # HTTP/0.9: nothing but a body
            return
        status = int(head[1])
        fields = {name.lower(): value for name, value in (line.split(b": ", 1) for line in head[2].split(b"\r\n") if line)}
        data = data[head.end():]
        length = int(fields.get(b"content-length", b"0"))
        if status >= 200:
            yield status, fields, data[:length]
        data = data[length:] if status >= 200 else data


def taken_by_peer(data):
    """The bodies of the requests that it took."""
    return [body for status, fields, body in read_replies(data) if status == 0 or b"x-peer" in fields]


def taken_by_faasd(data):
    """The same; None where it took the request and answered with something else than its body."""
    taken = []
    for status, fields, body in read_replies(data):
        error = fields.get(b"x-faasd-error", b"").decode()
        if error in REFUSALS and fields.get(b"connection") == b"close":
            continue
        taken.append(body if status == 200 else None)
    while taken and taken[-1] is None:
        taken.pop()  # answered before its body was looked at, and nothing behind it was taken: nobody knows
    return taken
