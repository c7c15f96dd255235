# SPDX-License-Identifier: Apache-2.0
"""Asynchronous calls while daemons are killed and disks fill up: no accepted call is lost, each runs under one id, none runs again that did not run when it was cut off."""

import collections
import datetime
import functools
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import uuid

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from harness import FAASD, Clients, Faasd, wait_until, within
from lambda_client import admin

ECHO = "#!/bin/sh\ncat\n"
BAD = "#!/bin/sh\nexit 3\n"
# What ran is written where no daemon's end can take it: one line, one write.
MARK = "#!/bin/sh\nset -e\necho $FAASD_REQUEST_ID >>/out/ran\nsleep 0.0$(cat)\necho ran >&2\n"
CONCURRENCY = 3
CLIENTS = 4


@pytest.fixture
def out():
    directory = tempfile.mkdtemp(prefix="faasd-out-")
    os.chmod(directory, 0o777)
    ran = pathlib.Path(directory) / "ran"
    ran.touch()
    os.chmod(ran, 0o666)  # each instance has an id of its own
    yield pathlib.Path(directory)
    shutil.rmtree(directory)


def config_for(out, **more):
    return {"grants": {"mounts": [f"{out}:rw"]}, "async": {"retry_min": "20ms", "retry_max": "50ms"}, **more}


def deploy_mark(faasd, out):
    faasd.deploy_script("mark", MARK, "--mount", f"{out}:/out:rw", "--max-concurrency", str(CONCURRENCY), "--async-retries", "0")


def executions(out):
    return collections.Counter((out / "ran").read_text().split())


def kill(faasd):
    """With its log read to the end: the next start waits for its own ready line."""
    faasd.process.kill()
    faasd.process.wait()
    faasd.reader.join()


def totals(faasd):
    return faasd.control("GET", "/v1/calls").json()


def is_idle(faasd):
    try:
        now = totals(faasd)
        return now["queued"] + now["running"] == 0
    except (OSError, http.client.HTTPException):
        return False


def post(faasd):
    """As POST /async-function/mark; None: it was not accepted."""
    def send(_, body):
        reply = faasd.request("POST", "/async-function/mark", body)
        assert reply.status in (202, 404, 503, 507), reply  # 404: the function is loaded before anything is served
        return reply.json()["id"] if reply.status == 202 else None
    return send


def lambda_event(faasd):
    """As an Event of Lambda's API, each thread with a client of its own, none of which tries again."""
    clients = [admin(faasd) for _ in range(CLIENTS)]

    def send(number, body):
        try:
            reply = clients[number].invoke(FunctionName="mark", InvocationType="Event", Payload=body)
        except BotoCoreError:
            return None
        except ClientError as e:
            assert e.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 503, 507), e
            return None
        assert reply["StatusCode"] == 202
        return reply["ResponseMetadata"]["RequestId"]
    return send


class Callers(Clients):
    """They queue calls until told to stop, and remember every id that a 202 told them."""

    def __init__(self, faasd, way=post):
        super().__init__(functools.partial(self._queue, n, random.Random(n)) for n in range(CLIENTS))
        self.send, self.accepted = way(faasd), []

    def _queue(self, number, rng):
        try:
            call = self.send(number, str(rng.randrange(1, 4)).encode())
            if call:
                self.accepted.append(call)
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.02)


def check_history(faasd, out, accepted, kills):
    """Every accepted id ended well and ran; a call that was not accepted by anybody's knowledge may have run, and nobody ran more often than daemons died under it."""
    wait_until(lambda: is_idle(faasd), "all calls have ended", 60)
    ran = executions(out)
    lost = [call for call in accepted if not ran[call]]
    assert not lost, f"{len(lost)} of {len(accepted)} never ran; the first: {faasd.control('GET', f'/v1/calls/{lost[0]}').body}"
    for call in random.Random(1).sample(accepted, min(len(accepted), 150)):
        shown = faasd.control("GET", f"/v1/calls/{call}").json()
        assert (shown["status"], shown["attempts"]) == ("succeeded", 1), shown
        assert faasd.control("GET", f"/v1/invocations/{call}").json()["status"] == "succeeded"
    repeated = sum(n - 1 for n in ran.values())
    print(f"\n{len(accepted)} accepted, {len(ran)} ran, {repeated} repeated after {kills} kills")
    assert repeated <= kills * CONCURRENCY
    assert len(accepted) > 50 and repeated > 0  # or the test has shown nothing


def check_log(faasd, accepted, deaths):
    """A line waits for company in the gateway before it is written: what ran without one had ended just before a death."""
    logged = {json.loads(line)["request"] for line in faasd.cli("logs", "mark", "--json").out.splitlines()}
    silent = set(accepted) - logged
    for call in silent:
        shown = faasd.control("GET", f"/v1/calls/{call}").json()
        ended = datetime.datetime.fromisoformat(shown["ended"].replace("Z", "+00:00")).timestamp()
        assert min(abs(at - ended) for at in deaths) < within(0.25), shown
    print(f"{len(silent)} ran without a line in the log")


@pytest.mark.parametrize("way", [post, lambda_event])
def test_a_gateway_killed_at_random_moments_loses_no_accepted_call(out, way):
    rng, kills, deaths = random.Random(5), 8, []
    with Faasd(config=config_for(out)) as faasd:
        deploy_mark(faasd, out)
        with Callers(faasd, way) as callers:
            for _ in range(kills):
                time.sleep(1.05 + rng.random() * 0.3)  # one that dies within its first second is started again later
                gateway = faasd.gateway_pid()
                if gateway:
                    deaths.append(time.time())
                    os.kill(gateway, signal.SIGKILL)
                wait_until(lambda: faasd.gateway_pid() not in (None, gateway), "there is a new gateway")
        wait_until(lambda: is_idle(faasd), "all calls have ended", 60)
        check_history(faasd, out, callers.accepted, kills)
        check_log(faasd, callers.accepted, deaths)


@pytest.mark.row("S1")
def test_a_killed_supervisor_loses_no_accepted_call(out):
    rng, kills, accepted = random.Random(6), 4, []
    faasd = Faasd(config=config_for(out))
    faasd.start()
    deploy_mark(faasd, out)
    for _ in range(kills):
        with Callers(faasd) as callers:
            time.sleep(0.4 + rng.random() * 0.3)
            kill(faasd)
        accepted += callers.accepted
        faasd.start()
    with _running(faasd):
        check_history(faasd, out, accepted, kills)


class _running:
    """A daemon that has been started already, to be left as one that a `with` started."""

    def __init__(self, faasd):
        self.faasd = faasd

    def __enter__(self):
        return self.faasd

    def __exit__(self, *what):
        return self.faasd.__exit__(*what)


def test_draining_finishes_what_runs_and_leaves_what_waits(out):
    faasd = Faasd(config=config_for(out, drain="10s"))
    faasd.start()
    with _running(faasd):
        faasd.deploy_script("slow", "#!/bin/sh\necho $FAASD_REQUEST_ID >>/out/ran\nsleep 0.4\n", "--mount", f"{out}:/out:rw", "--max-concurrency", "2")
        calls = [faasd.request("POST", "/async-function/slow", b"").json()["id"] for _ in range(12)]
        wait_until(lambda: totals(faasd)["running"] >= 2 and len(executions(out)) == 2, "two run")
        began = time.monotonic()
        assert faasd.stop() == 0
        assert time.monotonic() - began < 5
        at_stop = executions(out)
        rows = sqlite3.connect(f"file:{faasd.root}/state/db/calls.db?mode=ro", uri=True)
        ended = {str(uuid.UUID(bytes=row[0])) for row in rows.execute("SELECT id FROM ended")}
        rows.close()
        assert ended == set(at_stop), "what had begun was finished, nothing else was begun"
        faasd.start()
        wait_until(lambda: is_idle(faasd), "the others ran after the start")
        assert executions(out) == collections.Counter(calls), "each ran once"


def test_a_call_cut_off_by_the_end_is_no_attempt(out):
    faasd = Faasd(config=config_for(out))
    faasd.start()
    with _running(faasd):
        faasd.deploy_script("long", "#!/bin/sh\necho $FAASD_REQUEST_ID >>/out/ran\nsleep 1\nexit 1\n", "--mount", f"{out}:/out:rw", "--async-retries", "0")
        call = faasd.request("POST", "/async-function/long", b"").json()["id"]
        for round_number in (1, 2, 3):
            wait_until(lambda: executions(out)[call] == round_number, "it runs")
            kill(faasd)
            faasd.start()
        wait_until(lambda: is_idle(faasd), "it has ended")
        shown = faasd.control("GET", f"/v1/calls/{call}").json()
        assert (shown["status"], shown["attempts"]) == ("failed", 1)


# -- clocks --

def edit_state(faasd, statement, *values):
    db = sqlite3.connect(faasd.root / "state" / "db" / "calls.db")
    db.execute(statement, values)
    db.commit()
    db.close()


@pytest.mark.parametrize("real_ms", [77, lambda: int(time.time() * 1000) - 10 * 365 * 86400 * 1000, lambda: int(time.time() * 1000) + 10 * 365 * 86400 * 1000],
                         ids=["unset", "ten years ago", "in ten years"])
def test_after_a_boot_with_a_wrong_clock_nothing_expires_and_nothing_is_due_early(real_ms):
    faasd = Faasd()
    faasd.start()
    with _running(faasd):
        faasd.deploy_script("bad", BAD, "--async-backoff", "1h", "--async-max-age", "5h")
        call = faasd.request("POST", "/async-function/bad", b"").json()["id"]
        wait_until(lambda: faasd.control("GET", f"/v1/calls/{call}").json()["attempts"] == 1, "its first attempt is over")
        assert faasd.stop() == 0
        edit_state(faasd, "UPDATE state SET boot_id = 'another', real_ms = ?", real_ms() if callable(real_ms) else real_ms)
        faasd.start()
        shown = faasd.control("GET", f"/v1/calls/{call}").json()
        assert (shown["status"], shown["attempts"]) == ("queued", 1) and shown["nextAttemptSeconds"] > 3500, shown
        # an hour of being switched off, told by a clock that was set: it is due
        assert faasd.stop() == 0
        edit_state(faasd, "UPDATE state SET boot_id = 'a third', real_ms = ?", int(time.time() * 1000) - 3600 * 1000)
        faasd.start()
        wait_until(lambda: faasd.control("GET", f"/v1/calls/{call}").json()["attempts"] == 2, "its second attempt")


# -- disks --

@pytest.fixture
def small_disk():
    directory = tempfile.mkdtemp(prefix="faasd-small-")
    size = FAASD.stat().st_size + (6 << 20)  # its state holds a copy of the program
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "small", directory], check=True)
    yield pathlib.Path(directory)
    subprocess.run(["umount", "-l", directory], check=True)
    os.rmdir(directory)


@pytest.mark.row("S4")
def test_a_full_disk_answers_507_and_loses_nothing(small_disk, out):
    faasd = Faasd(root=small_disk, config=config_for(out))
    faasd.start()
    with _running(faasd):
        faasd.deploy_script("kept", "#!/bin/sh\necho $FAASD_REQUEST_ID >>/out/ran\n", "--mount", f"{out}:/out:rw", "--async-concurrency", "1", "--max-concurrency", "1")
        faasd.deploy_script("never", BAD, "--async-backoff", "1h", "--async-max-age", "1d")
        accepted = []
        while True:
            reply = faasd.request("POST", "/async-function/never", b"x" * 200000)
            if reply.status != 202:
                break
            accepted.append(reply.json()["id"])
        assert (reply.status, reply.error) == (507, "StorageFull"), reply
        assert len(accepted) > 5
        # requests go on, and whatever a tight disk still takes is kept
        assert faasd.invoke("kept").status == 200
        for call in accepted:
            assert faasd.control("GET", f"/v1/calls/{call}").status == 200
        # with a little room again what is refused is told, what is accepted is run
        assert faasd.process.poll() is None
    shutil.rmtree(small_disk / "state" / "logs", ignore_errors=True)
    subprocess.run(["mount", "-o", "remount,size=80m", str(small_disk)], check=True)
    faasd.start()
    with _running(faasd):
        for call in accepted:
            shown = faasd.control("GET", f"/v1/calls/{call}")
            assert shown.status == 200 and shown.json()["status"] in ("queued", "running"), shown
        more = faasd.request("POST", "/async-function/kept", b"{}").json()["id"]
        wait_until(lambda: executions(out)[more] == 1, "there is room again")


def test_what_came_of_a_call_waits_for_room(small_disk, out):
    faasd = Faasd(root=small_disk, config=config_for(out))
    faasd.start()
    with _running(faasd):
        faasd.deploy_script("kept", "#!/bin/sh\necho $FAASD_REQUEST_ID >>/out/ran\nwhile [ ! -e /out/go ]; do sleep 0.01; done\n", "--mount", f"{out}:/out:rw")
        call = faasd.request("POST", "/async-function/kept", b"{}").json()["id"]
        wait_until(lambda: executions(out)[call] == 1, "it runs")
        filler = small_disk / "filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        (out / "go").touch()
        wait_until(lambda: "cannot be stored, trying again" in faasd.log_text(), "the disk refused it")
        assert faasd.control("GET", f"/v1/calls/{call}").json()["status"] == "running"
        filler.unlink()
        wait_until(lambda: faasd.control("GET", f"/v1/calls/{call}").json()["status"] == "succeeded", "it was stored when there was room")
        assert executions(out)[call] == 1


def break_file(path):
    with open(path, "r+b") as f:
        f.write(b"\0" * 4096)


def newer(path):
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()


@pytest.mark.row("S6")
def test_a_database_of_which_nothing_can_be_read_is_set_aside_and_calls_go_on():
    faasd = Faasd()
    faasd.start()
    with _running(faasd):
        faasd.deploy_script("echo", ECHO)
        faasd.request("POST", "/async-function/echo", b"{}")
        wait_until(lambda: is_idle(faasd), "it has ended")
        assert faasd.stop() == 0
        path = faasd.root / "state" / "db" / "calls.db"
        break_file(path)
        faasd.start()
        wait_until(lambda: "calls.db.damaged" in faasd.log_text(), "it is named")
        call = faasd.request("POST", "/async-function/echo", b"{}").json()["id"]
        wait_until(lambda: faasd.control("GET", f"/v1/calls/{call}").json()["status"] == "succeeded", "calls go on")
        assert (faasd.root / "state" / "db" / "calls.db.damaged").exists()


@pytest.mark.parametrize("harm,words", [(newer, "newer faasd")])
def test_a_database_that_cannot_be_used_is_named_and_requests_are_served(harm, words):
    faasd = Faasd()
    faasd.start()
    with _running(faasd):
        faasd.deploy_script("echo", ECHO)
        call = faasd.request("POST", "/async-function/echo", b"{}").json()["id"]
        wait_until(lambda: is_idle(faasd), "it has ended")
        assert faasd.stop() == 0
        path = faasd.root / "state" / "db" / "calls.db"
        shutil.copy(path, path.with_suffix(".aside"))
        harm(path)
        faasd.start()
        wait_until(lambda: "asynchronous calls are not available" in faasd.log_text(), "it is named")
        assert words in faasd.log_text() and "calls.db" in faasd.log_text()
        assert faasd.invoke("echo", b"now").body == b"now"
        refused = faasd.request("POST", "/async-function/echo", b"{}")
        assert (refused.status, refused.error) == (503, "StorageFailed") and words in refused.body.decode()
        listed = faasd.control("GET", "/v1/invocations")
        assert listed.status == 200 and "the calls cannot be read" in listed.json()["missing"][0] and words in listed.json()["missing"][0]
        assert [r["function"] for r in listed.json()["invocations"]] == ["echo"], "what else there is is told"
        done = faasd.cli("invocation", "ls")
        assert "echo" in done.out and "not all is here" in done.err and words in done.err
        os.replace(path.with_suffix(".aside"), path)
        os.chmod(path, 0o600)
        shutil.chown(path, *(lambda s: (s.st_uid, s.st_gid))(os.stat(path.parent)))
        # the next call looks again
        assert faasd.request("POST", "/async-function/echo", b"{}").status == 202
        assert faasd.control("GET", f"/v1/calls/{call}").json()["status"] == "succeeded"


# -- many --

def put_rows(faasd, count, function):
    """As the gateway would have written them, but faster."""
    db = sqlite3.connect(faasd.root / "state" / "db" / "calls.db")
    db.execute("PRAGMA synchronous = OFF")
    head = f"POST /function/{function} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n".encode()
    now, bytes_each = db.execute("SELECT queue_ms FROM state").fetchone()[0], 512 + len(head) + 2
    rows = ((os.urandom(16), function, now, now, 1, 0, 0, 0, bytes_each, 0, "", "", head, b"{}") for _ in range(count))
    db.executemany("INSERT INTO calls (id, function, due, accepted, accepted_real, attempts, delays, hops, bytes, http_status, error, message, head, body)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    db.execute("UPDATE state SET queued = queued + ?, queued_bytes = queued_bytes + ?", (count, count * bytes_each))
    db.commit()
    db.close()


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def test_a_long_queue_costs_no_start_up_and_no_memory():
    count = 200000
    faasd = Faasd()
    faasd.start()
    with _running(faasd):
        faasd.deploy_script("hold", "#!/bin/sh\nsleep 5\n", "--max-concurrency", "1")
        faasd.deploy_script("echo", ECHO)
        call = faasd.request("POST", "/async-function/echo", b"{}").json()["id"]
        wait_until(lambda: is_idle(faasd), "it has ended")
        assert faasd.stop() == 0
        faasd.start()
        wait_until(lambda: is_idle(faasd), "it is open")
        empty = resident_kib(faasd.gateway_pid())
        assert faasd.stop() == 0
        put_rows(faasd, count, "hold")
        began = time.monotonic()
        faasd.start()
        assert totals(faasd)["queued"] >= count - 2
        took = time.monotonic() - began
        # the other function's calls do not wait behind those
        again = faasd.request("POST", "/async-function/echo", b"{}").json()["id"]
        wait_until(lambda: faasd.control("GET", f"/v1/calls/{again}").json()["status"] == "succeeded", "another function's call is run", 2)
        assert faasd.control("GET", f"/v1/calls/{call}").json()["status"] == "succeeded"
        grown = resident_kib(faasd.gateway_pid()) - empty
        print(f"\n{count} calls: ready and counted after {took:.2f} s, {grown} KiB more")
        assert took < 2 and grown < 4096
