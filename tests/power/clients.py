# SPDX-License-Identifier: Apache-2.0
"""Who stands outside of the machine: queues calls and writes down every 202, and asks what became of them."""

import http.client
import json
import random
import threading
import time

CLIENTS = 6
UNKNOWN = "unknown"
# Rows within a page, over several, and enough of them that the log is worked into the database and begun anew.
NAME_BYTES = (5, 3000, 12000)


def queue_call(port):
    """Its id, or None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/async-function/hello", body=json.dumps({"name": "p" * random.choice(NAME_BYTES)}))
        reply = connection.getresponse()
        body = reply.read()
        return json.loads(body)["id"] if reply.status == 202 else None
    finally:
        connection.close()


class Clients:
    """Queue calls until stopped; what a 202 told them is written down at once."""

    def __init__(self, port):
        self.port, self.accepted, self.stopped = port, {}, threading.Event()  # id -> when it was told
        self.threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        while not self.stopped.is_set():
            try:
                call = queue_call(self.port)
                if call:
                    self.accepted[call] = time.monotonic()
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.05)

    def wait_accepted(self, count, seconds):
        end = time.monotonic() + seconds
        while len(self.accepted) < count and time.monotonic() < end:
            time.sleep(0.05)
        return len(self.accepted) >= count

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def state_of(connection, call):
    """In one word; of what isn't told, what was told instead."""
    try:
        connection.request("GET", f"/async-function/hello/{call}?status=1")
        reply = connection.getresponse()
        body = reply.read()
        if reply.status == 404:
            return UNKNOWN
        if reply.status != 200:
            return f"{reply.status} {body[:200]!r}"
        told = json.loads(body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()  # the next question opens it again
        return f"not told: {error!r}"
    # hello does not fail: what power's end cut off is no attempt, so there is one that succeeds, or none yet
    if told["attempts"] != (told["status"] == "succeeded"):
        return f"{told['status']} after {told['attempts']} attempts"
    return told["status"]


def states(port, calls):
    """Of each id, in one word."""
    found, rest, lock = {}, list(calls), threading.Lock()

    def look():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while True:
            with lock:
                if not rest:
                    break
                call = rest.pop()
            found[call] = state_of(connection, call)
        connection.close()
    threads = [threading.Thread(target=look) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
