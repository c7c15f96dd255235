# SPDX-License-Identifier: Apache-2.0
"""What goes over a raw connection, and what comes back."""

import re


class Replies:
    """The replies in what a connection said, by their own framing."""

    def __init__(self, data, methods=()):
        self.all = []
        methods = list(methods)
        while data:
            head, _, rest = data.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", lines[0]).group(1))
            headers = {}
            for line in lines[1:]:
                name, _, value = line.partition(": ")
                assert name.lower() not in headers, f"{name} twice in {head!r}"
                headers[name.lower()] = value
            method = methods.pop(0) if methods and status >= 200 else ""
            if status < 200 or status in (204, 304) or method == "HEAD":
                body = b""
            elif "content-length" in headers:
                length = int(headers["content-length"])
                body, rest = rest[:length], rest[length:]
                assert len(body) == length, f"cut short: {data!r}"
            else:
                assert headers.get("transfer-encoding") == "chunked", f"unframed: {head!r}"
                body = b""
                while True:
                    line, _, rest = rest.partition(b"\r\n")
                    size = int(line, 16)
                    body, rest = body + rest[:size], rest[size + 2:]
                    if size == 0:
                        break
            self.all.append((status, headers, body))
            data = rest

    @property
    def statuses(self):
        return [status for status, _, _ in self.all]


def send_all(sock, data):
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it refused before the end: what it said is read next
