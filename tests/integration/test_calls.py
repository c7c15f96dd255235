# SPDX-License-Identifier: Apache-2.0
"""Asynchronous calls as people look after them: lists, dead letters driven again, `invocation` and `why`, a database that a disk has damaged."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import tempfile
import uuid

import pytest

from harness import Faasd, wait_until

ECHO = "#!/bin/sh\ncat\n"
BAD = "#!/bin/sh\necho oops >&2\nexit 3\n"
# fails until /out/good is there
MENDED = "#!/bin/sh\n[ -e /out/good ] || exit 3\ncat\n"
CONFIG = {"async": {"retry_min": "20ms", "retry_max": "100ms"}}
LONG = ["--async-backoff", "1h", "--async-max-age", "1d"]


@pytest.fixture
def faasd():
    with Faasd(config=CONFIG) as daemon:
        yield daemon


@pytest.fixture
def root():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-"))
    os.chmod(directory, 0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def queue(faasd, name, body=b"{}", rest="", headers=None):
    reply = faasd.request("POST", f"/async-function/{name}{rest}", body, headers or {})
    assert reply.status == 202, reply.body
    return reply.json()["id"]


def state(faasd, call):
    return faasd.control("GET", f"/v1/calls/{call}").json()


def wait_status(faasd, call, *wanted):
    return wait_until(lambda: (lambda s: s if s["status"] in wanted else None)(state(faasd, call)), f"{call} is {wanted}")


def pages(faasd, query, limit):
    """All ids of a list, and how many pages it took."""
    found, before, count = [], "", 0
    while True:
        reply = faasd.control("GET", f"/v1/calls?{query}&limit={limit}{before}")
        assert reply.status == 200, reply.body
        page = reply.json()
        assert len(page["calls"]) <= limit
        found += [c["id"] for c in page["calls"]]
        count += 1
        if "next" not in page:
            return found, count
        before = f"&before={page['next']}"


# -- lists --

def test_calls_are_listed_by_status_and_function_page_by_page(faasd):
    faasd.deploy_script("good", ECHO)
    faasd.deploy_script("bad", BAD, "--async-retries", "0")
    faasd.deploy_script("waits", BAD, *LONG)
    good = [queue(faasd, "good") for _ in range(3)]
    bad = [queue(faasd, "bad") for _ in range(7)]
    waits = [queue(faasd, "waits") for _ in range(4)]
    for call in good:
        wait_status(faasd, call, "succeeded")
    for call in bad:
        wait_status(faasd, call, "failed")
    for call in waits:
        wait_until(lambda: state(faasd, call)["attempts"] == 1, "its first attempt is over")
    cancelled = waits.pop()
    assert faasd.control("POST", f"/v1/calls/{cancelled}/cancel").status == 200

    found, count = pages(faasd, "status=all", 4)
    assert sorted(found) == sorted(good + bad + waits + [cancelled]) and count == 4
    assert found[:3] == waits[::-1], "what waits comes first, the newest first"
    assert sorted(pages(faasd, "status=dead", 3)[0]) == sorted(bad + [cancelled])
    assert pages(faasd, "status=cancelled", 3)[0] == [cancelled]
    assert sorted(pages(faasd, "status=succeeded,failed&function=good", 2)[0]) == sorted(good)
    assert pages(faasd, "status=queued", 100)[0] == waits[::-1]
    assert pages(faasd, "status=running,expired", 100)[0] == []
    one = faasd.control("GET", "/v1/calls?status=failed&limit=1").json()["calls"][0]
    assert {k: one[k] for k in ("function", "status", "attempts", "statusCode", "errorType")} == {
        "function": "bad", "status": "failed", "attempts": 1, "statusCode": 500, "errorType": "FunctionError"}
    assert "exited with status 3" in one["errorMessage"] and one["accepted"] <= one["ended"]

    listed = faasd.cli("invocation", "ls", "--status", "dead", "-n", "500").out
    assert listed.splitlines()[0].split() == ["ACCEPTED", "ID", "FUNCTION", "STATUS", "ATTEMPTS", "HTTP", "REASON"]
    assert len(listed.splitlines()) == 9 and all(call in listed for call in [*bad, cancelled])
    assert len(faasd.cli("invocation", "ls", "--async", "-n", "5").out.splitlines()) == 6
    both = faasd.cli("invocation", "ls", "--async", "--function", "good", "--json").out
    assert sorted(c["id"] for c in json.loads(both)["calls"]) == sorted(good)


@pytest.mark.parametrize("query,words", [
    ("status=lost", "dead (failed"), ("status=failed,", "dead (failed"), ("status=all&limit=0", "1 to 1000"), ("status=all&limit=1001", "1 to 1000"),
    ("status=all&before=5", "before="), ("status=all&before=wx", "before="), ("status=all&function=a%2Fb", "function="),
])
def test_a_wrong_question_is_answered_with_what_is_right(query, words, shared):
    reply = shared.control("GET", f"/v1/calls?{query}")
    assert (reply.status, reply.error) == (400, "BadRequest") and words in reply.json()["errorMessage"]


@pytest.fixture(scope="module")
def shared():
    with Faasd() as daemon:
        daemon.deploy_script("echo", ECHO)
        assert daemon.request("POST", "/async-function/echo", b"{}").status == 202
        yield daemon


def test_a_daemon_without_calls_lists_none(root):
    with Faasd(root=root) as faasd:
        assert faasd.control("GET", "/v1/calls?status=dead").json() == {"calls": []}
        assert faasd.control("POST", "/v1/functions/any/redrive").json() == {"function": "any", "redriven": 0}
        assert faasd.cli("invocation", "ls", "--async").err == "no such calls\n"
        assert not (root / "state/db/calls.db").exists()


# -- dead letters --

def test_all_dead_letters_of_a_function_run_again_in_their_order(root):
    out = root / "out"
    out.mkdir()
    with Faasd(config={**CONFIG, "grants": {"mounts": [str(out)]}}) as faasd:
        faasd.deploy_script("mends", MENDED, "--mount", f"{out}:/out", "--async-retries", "0")
        faasd.deploy_script("other", BAD, "--async-retries", "0")
        calls = [queue(faasd, "mends", str(i).encode()) for i in range(300)]
        other = queue(faasd, "other")
        for call in [*calls, other]:
            wait_status(faasd, call, "failed")
        # still broken: each runs once more and is a dead letter again, none twice
        assert faasd.control("POST", "/v1/functions/mends/redrive").json() == {"function": "mends", "redriven": 300}
        for call in calls:
            assert wait_status(faasd, call, "failed")["attempts"] == 1
        (out / "good").touch()
        assert faasd.cli("invocation", "redrive", "--function", "mends").out == "300 queued\n"
        for number, call in enumerate(calls):
            assert wait_status(faasd, call, "succeeded")["attempts"] == 1
            assert faasd.request("GET", f"/async-function/mends/{call}").body == str(number).encode()
        assert state(faasd, other)["status"] == "failed"
        assert faasd.cli("invocation", "redrive", "--function", "mends").out == "0 queued\n"


def test_redriving_stops_where_the_queue_is_full_and_goes_on_later():
    with Faasd(config={"async": {"calls": 5}}) as faasd:
        faasd.deploy_script("bad", BAD, "--async-retries", "0")
        faasd.deploy_script("waits", BAD, *LONG)
        for _ in range(8):
            wait_status(faasd, queue(faasd, "bad"), "failed")
        waits = [queue(faasd, "waits") for _ in range(3)]
        for call in waits:
            wait_until(lambda: state(faasd, call)["attempts"] == 1, "its first attempt is over")
        faasd.deploy_script("bad", BAD, "--async-retries", "2", *LONG)  # what is driven again stays in the queue
        assert faasd.control("POST", "/v1/functions/bad/redrive").json() == {"function": "bad", "redriven": 2, "full": True}
        done = faasd.cli("invocation", "redrive", "--function", "bad", check=False)
        assert (done.returncode, done.out) == (75, "0 queued\n") and "async.calls" in done.err
        for call in waits:
            faasd.control("POST", f"/v1/calls/{call}/cancel")
        assert faasd.control("POST", "/v1/functions/bad/redrive").json() == {"function": "bad", "redriven": 3, "full": True}
        # a cancelled one is driven again when it is asked for by name only
        assert faasd.control("POST", "/v1/functions/waits/redrive").json()["redriven"] == 0
        assert faasd.control("POST", "/v1/functions/waits/redrive?status=cancelled").json() == {"function": "waits", "redriven": 0, "full": True}
        wrong = faasd.control("POST", "/v1/functions/waits/redrive?status=succeeded")
        assert (wrong.status, wrong.error) == (400, "BadRequest")


@pytest.mark.parametrize("args,words", [
    (["redrive"], "ID is missing"), (["redrive", "--status", "failed"], "--function"), (["cancel", "--function", "x"], "unknown option '--function'"),
    (["redrive", "--function", "x", "6e6178e2-c5d6-4f39-91a3-66d065d0a3c4"], "either"), (["ls", "--async", "--since", "1h"], "--since"),
])
def test_wrong_command_lines_say_so(shared, args, words):
    done = shared.cli("invocation", *args, check=False)
    assert done.returncode == 2 and words in done.err


# -- among the invocations --

def listed(faasd, query=""):
    reply = faasd.control("GET", f"/v1/invocations?limit=1000{query}")
    assert reply.status == 200, reply.body
    return reply.json()["invocations"]


def test_a_call_is_one_entry_with_its_own_status_whatever_attempts_it_took(faasd):
    faasd.deploy_script("good", ECHO)
    faasd.deploy_script("bad", BAD, "--async-backoff", "1ms", "--async-retries", "2")
    faasd.deploy_script("waits", BAD, *LONG)
    faasd.deploy_script("old", BAD, "--async-backoff", "1h", "--async-max-age", "1h")
    faasd.deploy_script("long", "#!/bin/sh\nsleep 30\n", "--timeout", "40s")
    good, bad, waits, stopped, old = (queue(faasd, n) for n in ("good", "bad", "waits", "waits", "old"))
    long = queue(faasd, "long")
    wait_status(faasd, good, "succeeded")
    wait_status(faasd, bad, "failed")
    wait_status(faasd, old, "expired")
    for call in (waits, stopped):
        wait_until(lambda: state(faasd, call)["attempts"] == 1, "its first attempt is over")
    assert faasd.cli("invocation", "cancel", stopped).out == f"{stopped} cancelled\n"
    wait_status(faasd, long, "running")
    direct = faasd.invoke("good", b"x").headers["X-Request-Id"]

    statuses = {good: "succeeded", bad: "failed", waits: "queued", stopped: "cancelled", old: "expired", long: "running", direct: "succeeded"}
    entries = listed(faasd)
    assert {e["id"]: e["status"] for e in entries} == statuses and len(entries) == len(statuses)
    by_id = {e["id"]: e for e in entries}
    assert by_id[bad]["call"]["attempts"] == 3 and by_id[bad]["async"] is True and "run_ms" in by_id[bad]
    assert "call" not in by_id[direct] and "async" not in by_id[direct]
    assert 3500 < by_id[waits]["call"]["nextAttemptSeconds"] <= 3600
    for call, status in statuses.items():
        assert call in [e["id"] for e in listed(faasd, f"&status={status}")]
        assert {e["status"] for e in listed(faasd, f"&status={status}")} == {status}
        shown = faasd.control("GET", f"/v1/invocations/{call}").json()
        assert (shown["id"], shown["status"]) == (call, status)
    assert [e["id"] for e in listed(faasd, "&function=bad")] == [bad]
    ended = [e["id"] for e in listed(faasd) if e["status"] not in ("queued", "running")]
    assert ended[0] == direct, "the newest end first"
    assert len(listed(faasd)) > len(faasd.control("GET", "/v1/invocations?limit=2").json()["invocations"]) == 2

    table = faasd.cli("invocation", "ls", "-n", "100").out
    assert re.search(rf"{waits}\s+waits\s+queued", table) and re.search(rf"{stopped}\s+waits\s+cancelled", table)
    shown = faasd.cli("invocation", "show", waits).out
    assert re.search(r"^status\s+queued$", shown, re.M) and re.search(r"^call\.attempts\s+1$", shown, re.M)
    why = faasd.cli("why", bad).out
    assert "exited with status 3" in why and re.search(r"^call +failed, attempts 3$", why, re.M)
    why = faasd.cli("why", waits).out
    assert re.search(r"^call +queued, attempts 1, the next in 3\d\d\d\.\d s$", why, re.M)
    faasd.control("POST", f"/v1/calls/{long}/cancel")


def test_after_a_restart_calls_are_known_and_their_events_can_be_sent_again(root):
    with Faasd(root=root, config=CONFIG) as faasd:
        faasd.deploy_script("good", ECHO)
        faasd.deploy_script("waits", "#!/bin/sh\ncat >/dev/null\nexit 3\n", *LONG)
        good, waits = queue(faasd, "good"), queue(faasd, "waits", b"the event", "/p?q=1", {"Content-Type": "text/x-own"})
        untried = None
        wait_status(faasd, good, "succeeded")
        wait_until(lambda: state(faasd, waits)["attempts"] == 1, "its first attempt is over")
        untried = queue(faasd, "waits", b"never run")
        faasd.control("POST", f"/v1/calls/{untried}/cancel")
        wait_status(faasd, untried, "cancelled", "queued")
    with Faasd(root=root, config={**CONFIG, "records": {"event_bytes": 0}}) as faasd:
        assert {e["id"]: e["status"] for e in listed(faasd)}.items() >= {good: "succeeded", waits: "queued"}.items()
        shown = faasd.control("GET", f"/v1/invocations/{good}").json()
        assert (shown["status"], shown["call"]["attempts"], shown["function"]) == ("succeeded", 1, "good")
        faasd.deploy_script("waits", "#!/bin/sh\ncat\nprintf ' %s?%s %s' $PATH_INFO $QUERY_STRING $CONTENT_TYPE\n", "--contract", "stdio")
        done = faasd.cli("invocation", "replay", waits)
        assert done.out == "the event /p?q=1 text/x-own"
        assert state(faasd, waits)["status"] == "queued", "a replay is a request of its own"
        done = faasd.cli("invocation", "replay", good, check=False)
        assert done.returncode == 3 and "asynchronous calls that wait or have failed" in done.err
        done = faasd.cli("why", good, check=False)
        assert done.returncode == 1 and "it has not failed" in done.err


def test_a_call_that_waits_for_its_turn_says_so(faasd):
    faasd.deploy_script("one", "#!/bin/sh\nsleep 30\n", "--max-concurrency", "1", "--async-concurrency", "1", "--timeout", "40s")
    first, second = queue(faasd, "one"), queue(faasd, "one")
    wait_status(faasd, first, "running")
    assert state(faasd, second)["status"] == "queued"
    why = faasd.cli("why", second).out
    assert "waits for its turn" in why and f"faasd invocation cancel {second}" in why
    assert faasd.cli("invocation", "cancel", second).out == f"{second} cancelled\n"
    why = faasd.cli("why", second).out
    assert "somebody cancelled" in why and f"faasd invocation redrive {second}" in why
    assert faasd.cli("invocation", "show", second).out.startswith("id ")
    faasd.control("POST", f"/v1/calls/{first}/cancel")


def test_a_call_of_a_function_that_was_removed_says_what_is_missing(faasd):
    faasd.deploy_script("gone", BAD, "--async-backoff", "300ms")
    call = queue(faasd, "gone")
    wait_until(lambda: state(faasd, call)["attempts"] == 1, "its first attempt is over")
    faasd.cli("rm", "gone")
    wait_status(faasd, call, "failed")
    why = faasd.cli("why", call).out
    assert "exited with status 3" in why and "failed, attempts 2; the last: there is no function 'gone'" in why
    faasd.deploy_script("tells", ECHO, "--on-success", "gone")
    wait_status(faasd, queue(faasd, "tells"), "succeeded")
    told = next(e["id"] for e in wait_until(lambda: [e for e in listed(faasd, "&function=gone") if e["id"] != call and e["status"] == "failed"], "its destination's call is over"))
    why = faasd.cli("why", told).out
    assert "is not tried again; attempts: 1: there is no function 'gone'" in why and f"faasd invocation redrive {told}" in why


def test_an_invocation_that_is_no_call_can_not_be_cancelled(faasd):
    faasd.deploy_script("plain", "#!/bin/sh\ncat\n")
    done = faasd.cli("invocation", "cancel", faasd.invoke("plain").headers["X-Request-Id"], check=False)
    assert done.returncode == 3 and "no such call among the asynchronous ones" in done.err


# -- a bad disk --

def test_a_damaged_calls_db_is_set_aside_and_its_calls_are_run(root):
    with Faasd(root=root, config=CONFIG) as faasd:
        faasd.deploy_script("echo", BAD, *LONG)
        calls = [queue(faasd, "echo", b"x" * 3000) for _ in range(60)]
        for call in calls:
            wait_until(lambda: state(faasd, call)["attempts"] == 1, "its first attempt is over")
    database = root / "state/db/calls.db"
    whole = database.read_bytes()
    database.write_bytes(whole[:-8192])
    with Faasd(root=root, config=CONFIG) as faasd:
        kept = faasd.control("GET", "/v1/calls?status=queued&limit=1000").json()["calls"]
        assert 30 < len(kept) < 61 and {c["id"] for c in kept} <= set(calls)
        assert {c["attempts"] for c in kept} == {1}
        assert faasd.control("GET", "/v1/calls").json()["queued"] == len(kept)
        wait_until(lambda: "calls.db.damaged" in faasd.log_text(), "it is named")
        assert all(3000 < c["nextAttemptSeconds"] <= 3600 for c in kept), "its clock goes on"
        wait_status(faasd, queue(faasd, "echo"), "queued")
    assert (root / "state/db/calls.db.damaged").read_bytes() == whole[:-8192]


def test_an_event_that_was_changed_on_the_disk_is_not_run(root):
    with Faasd(root=root, config=CONFIG) as faasd:
        faasd.deploy_script("echo", BAD, *LONG)
        changed, other = queue(faasd, "echo", b"what-was-asked-for"), queue(faasd, "echo", b"the other")
        for call in (changed, other):
            wait_until(lambda: state(faasd, call)["attempts"] == 1, "its first attempt is over")
            faasd.control("POST", f"/v1/calls/{call}/cancel")
    database = root / "state/db/calls.db"
    content = database.read_bytes()
    assert content.count(b"what-was-asked-for") >= 1
    database.write_bytes(content.replace(b"what-was-asked-for", b"what-was-asked-fox"))
    with Faasd(root=root, config=CONFIG) as faasd:
        faasd.deploy_script("echo", ECHO)
        assert faasd.cli("invocation", "redrive", "--function", "echo", "--status", "dead").out == "2 queued\n"
        assert wait_status(faasd, other, "succeeded")
        assert wait_status(faasd, changed, "failed")["errorType"] == "EventDamaged"
        gone = faasd.request("GET", f"/async-function/echo/{changed}")
        assert (gone.status, gone.error) == (410, "EventDamaged")
        assert "changed on the disk" in faasd.log_text()


def emptied(database):
    database.write_bytes(b"")


def emptied_beside_its_log(database):
    pathlib.Path(f"{database}-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(4000))
    database.write_bytes(b"")


def gone_beside_its_log(database):
    pathlib.Path(f"{database}-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(4000))
    database.unlink()


def without_a_format(database):
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall():
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA user_version = 0")


def without_its_state(database):
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("DELETE FROM state")


@pytest.mark.parametrize("lose", [emptied, emptied_beside_its_log, gone_beside_its_log, without_a_format, without_its_state])
def test_an_emptied_calls_db_is_named_and_a_new_one_begins(root, lose):
    with Faasd(root=root, config=CONFIG) as faasd:
        faasd.deploy_script("echo", BAD, *LONG)
        lost = queue(faasd, "echo")
        wait_until(lambda: state(faasd, lost)["attempts"] == 1, "its first attempt is over")
        assert faasd.system()["damaged"] == []
        assert faasd.stop() == 0
        lose(root / "state/db/calls.db")
        faasd.start()
        wait_status(faasd, queue(faasd, "echo"), "queued")
        wait_until(lambda: "calls.db' is damaged" in faasd.log_text(), "it is named")
        assert (root / "state/db/calls.db.damaged").exists()
        if "log" in lose.__name__:
            assert (root / "state/db/calls.db.damaged-wal").stat().st_size == 4004, "what may still be of use is kept"
        assert faasd.system()["damaged"] == ["calls.db"]
        assert "calls.db was damaged" in faasd.cli("stats").out
        assert faasd.stop() == 0
        (root / "state/db/calls.db.damaged").unlink()
        faasd.start()
        assert faasd.system()["damaged"] == []
        assert faasd.control("GET", "/v1/calls").json()["queued"] == (2 if lose is without_its_state else 1)


def test_a_first_call_makes_its_database_without_a_word(root):
    with Faasd(root=root, config=CONFIG) as faasd:
        faasd.deploy_script("echo", ECHO)
        wait_status(faasd, queue(faasd, "echo"), "succeeded")
        assert "damaged" not in faasd.log_text() and faasd.system()["damaged"] == []


# -- a head that is none --

def test_a_stored_call_that_is_no_request_is_a_dead_letter(root):
    with Faasd(root=root, config=CONFIG) as faasd:
        faasd.deploy_script("echo", BAD, *LONG)
        bad, other = queue(faasd, "echo", b"bad"), queue(faasd, "echo", b"other")
        for call in (bad, other):
            wait_until(lambda: state(faasd, call)["attempts"] == 1, "its first attempt is over")
        assert faasd.stop() == 0
        with contextlib.closing(sqlite3.connect(root / "state/db/calls.db")) as db, db:
            # sum 1: of a call that was accepted before there were any
            assert db.execute("UPDATE calls SET head = ?, sum = 1, due = 0 WHERE id = ?", (b"POST /function/echo HTTP/9.9\r\n\r\n", uuid.UUID(bad).bytes)).rowcount == 1
        faasd.start()
        dead = wait_status(faasd, bad, "failed")
        assert dead["errorType"] == "EventUnreadable" and dead["attempts"] == 1
        gone = faasd.request("GET", f"/async-function/echo/{bad}")
        assert (gone.status, gone.error) == (410, "EventUnreadable")
        assert bad in faasd.cli("invocation", "ls", "--status", "dead").out
        assert state(faasd, other)["status"] == "queued"
        faasd.control("POST", f"/v1/calls/{bad}/redrive")
        assert wait_status(faasd, bad, "failed")["errorType"] == "EventUnreadable", "driven again, it fails again"
