# SPDX-License-Identifier: Apache-2.0
"""A process of its own that holds many connections open: attacker.py HOST PORT COUNT HOW. Says "ready" when all stand, then does what HOW says once in PAUSE_S until its
stdin ends.

    idle        nothing is ever said
    headers     a head that goes on for ever, a byte at a time
    body        a body that comes a byte at a time
    reading     asks for a large reply and reads none of it
"""

import resource
import select
import socket
import sys

PAUSE_S = 0.25
HOST = b"Host: localhost\r\n"
FIRST = {"idle": b"", "headers": b"GET /function/echo HTTP/1.1\r\n" + HOST + b"X: ",
         "body": b"POST /function/echo HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n",
         "reading": b"GET /function/large HTTP/1.1\r\n" + HOST + b"\r\n"}


def main():
    host, port, count, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    socks = []
    for _ in range(count):
        sock = socket.socket()
        if how == "reading":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((host, port))
        sock.send(FIRST[how])
        sock.setblocking(False)
        socks.append(sock)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        for sock in socks if how in ("headers", "body") else ():
            try:
                sock.send(b"y")
            except OSError:
                pass  # it was told to go


main()
