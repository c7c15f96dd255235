# SPDX-License-Identifier: Apache-2.0
"""Versions and aliases (CONTRACT 6): what a qualifier names, what an update, a rollback, a restart and a removal leave of it, and which versions are kept."""

import http.client
import io
import json
import os
import shutil
import signal
import sqlite3
import tarfile
import threading
import time

import pytest

from harness import PROGRAMS, Faasd, wait_until, within

DENIED, NO_SUCH, USAGE, FAILED = 4, 3, 2, 1


def tar(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def echo(text):
    return tar(run=f"#!/bin/sh\necho {text}\n".encode())


def put(faasd, name, archive, **settings):
    return faasd.control("PUT", f"/v1/functions/{name}", body=archive, headers={"Faasd-Settings": json.dumps(settings)})


def deploy(faasd, name, archive, **settings):
    reply = put(faasd, name, archive, **settings)
    assert reply.status in (200, 201), reply
    return reply.json()["number"]


def deploy_numbers(faasd, name, last, **settings):
    """Versions 1 to `last`, which print their number."""
    for n in range(1, last + 1):
        assert deploy(faasd, name, echo(n), **settings) == n


def versions(faasd, name):
    reply = faasd.control("GET", f"/v1/functions/{name}/versions")
    assert reply.status == 200, reply
    return reply.json()


def numbers(faasd, name):
    return [v["number"] for v in versions(faasd, name)["versions"]]


def set_alias(faasd, name, alias, version, **weights):
    body = {"version": version}
    if weights:
        body["weights"] = {k.lstrip("v"): w for k, w in weights.items()}
    return faasd.control("PUT", f"/v1/functions/{name}/aliases/{alias}", body=json.dumps(body))


def rollback(faasd, name, version=None):
    return faasd.control("POST", f"/v1/functions/{name}/rollback", body=json.dumps({"version": version}) if version else "")


def says(faasd, name):
    reply = faasd.invoke(name)
    assert reply.status == 200, reply
    return int(reply.body)


def message(reply):
    return reply.json()["errorMessage"]


# -- what a qualifier names --

@pytest.fixture(scope="module")
def three(faasd):
    """A function `three` with three versions and two aliases, which no test changes."""
    deploy_numbers(faasd, "three", 3)
    assert set_alias(faasd, "three", "prod", 1).status == 200
    assert set_alias(faasd, "three", "edge", "$LATEST").status == 200
    return faasd


@pytest.mark.parametrize("qualifier, version", [
    ("", 3), (":$LATEST", 3), (":%24LATEST", 3), (":3", 3), (":2", 2), (":1", 1), (":prod", 1), (":edge", 3), ("%3A2", 2), ("%3aprod", 1), (":pro%64", 1),
])
def test_a_qualifier_names_a_version(three, qualifier, version):
    reply = three.invoke("three" + qualifier, path="/any/path?q=1")
    assert (reply.status, reply.body) == (200, b"%d\n" % version)
    assert reply.headers["X-Faasd-Version"] == str(version)


@pytest.mark.parametrize("qualifier, status", [
    ("4", 404), ("0", 404), ("03", 404), ("18446744073709551617", 404), ("PROD", 404), ("beta", 404), ("x" * 128, 404),
    ("", 400), ("x" * 129, 400), ("a.b", 400), ("$latest", 400), ("1:2", 400), ("%2e", 400), ("a%20b", 400), ("-1%0d%0a", 400),
])
def test_what_names_nothing_is_told_what_there_is(three, qualifier, status):
    reply = three.invoke(f"three:{qualifier}")
    assert reply.status == status, reply
    assert reply.error == ("ResourceNotFound" if status == 404 else "BadRequest")
    assert "$LATEST, 1, 2 and 3; aliases: edge, prod" in message(reply)


@pytest.mark.parametrize("qualifier", ["%zz", "%00", "%", "%2", "a%2fb"])
def test_a_qualifier_that_is_no_text_is_a_bad_request(three, qualifier):
    assert three.invoke(f"three:{qualifier}").status == 400
    assert three.invoke("three").status == 200


def test_a_version_knows_its_number(faasd):
    script = b"#!/bin/sh\necho $AWS_LAMBDA_FUNCTION_VERSION $FAASD_FUNCTION_VERSION\n"
    deploy(faasd, "number", tar(run=script))
    deploy(faasd, "number", tar(run=script + b"#\n"))
    assert faasd.invoke("number:1").body == b"1 1\n"
    assert faasd.invoke("number:2").body == b"2 2\n"


def test_a_cgi_program_is_told_the_path_that_leads_to_it(faasd):
    script = b'#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n%s %s" "$SCRIPT_NAME" "$PATH_INFO"\n'
    deploy(faasd, "cgi", tar(run=script), contract="cgi")
    assert set_alias(faasd, "cgi", "prod", 1).status == 200
    assert faasd.invoke("cgi", path="/a%20b").body == b"/function/cgi /a b"
    assert faasd.invoke("cgi:prod", path="/a").body == b"/function/cgi:prod /a"
    assert faasd.invoke("cgi%3A1").body == b"/function/cgi:1 "


def test_settings_are_part_of_a_version(faasd):
    deploy(faasd, "set", tar(run=b"#!/bin/sh\necho $MODE\n"), env={"MODE": "old"}, description="first")
    assert faasd.cli("config", "set", "--env", "MODE=new", "--memory", "64M").out.startswith("set: version 2\n")
    assert (faasd.invoke("set:1").body, faasd.invoke("set:2").body) == (b"old\n", b"new\n")
    shown = {v["number"]: v for v in versions(faasd, "set")["versions"]}
    assert shown[1]["code"] == shown[2]["code"] and shown[1]["revision"] != shown[2]["revision"]
    done = faasd.cli("rollback", "set")
    assert done.out.startswith("set: version 2 -> 1\n") and "memory 64M -> 128M" in done.out and "MODE" in done.out
    assert faasd.invoke("set").body == b"old\n"
    assert faasd.describe("set")["settings"]["memory"] == "128M"


def test_who_may_call_an_old_version_is_decided_today(faasd):
    deploy(faasd, "closed", echo(1), auth="anonymous")
    deploy(faasd, "closed", echo(2), auth="admin")
    for qualifier in ("", ":1", ":2", ":$LATEST"):
        assert faasd.invoke("closed" + qualifier).status == 401


def test_numbers_are_not_used_twice(faasd):
    deploy_numbers(faasd, "twice", 3)
    assert rollback(faasd, "twice", 1).status == 200
    assert deploy(faasd, "twice", echo("new")) == 4
    assert [says(faasd, f"twice:{n}") for n in (1, 2, 3)] == [1, 2, 3]
    assert put(faasd, "twice", echo("new")).json()["number"] == 4  # unchanged
    assert numbers(faasd, "twice") == [1, 2, 3, 4]


# -- aliases --

def test_requests_are_divided_as_the_weights_say(faasd):
    deploy_numbers(faasd, "divided", 2)
    for weight, low, high in ((0, 0, 0), (1, 1000, 1000), (0.25, 180, 320)):  # 1,000 draws with p = 0.25: five deviations of 13.7
        assert set_alias(faasd, "divided", "canary", 1, v2=weight).json() == {"name": "canary", "version": 1, "weights": {"2": weight}}
        connection = http.client.HTTPConnection("127.0.0.1", faasd.port)
        second = 0
        for _ in range(1000 if weight == 0.25 else 100):
            connection.request("POST", "/function/divided:canary")
            reply = connection.getresponse()
            body = reply.read()
            assert reply.status == 200 and body.strip().decode() == reply.headers["X-Faasd-Version"]
            second += body == b"2\n"
        connection.close()
        assert min(low, 100) <= second <= high, (weight, second)


@pytest.mark.parametrize("alias, body, status, word", [
    ("5", '{"version":1}', 400, "digits alone"),
    ("a.b", '{"version":1}', 400, "name for an alias"),
    ("x" * 129, '{"version":1}', 400, "name for an alias"),
    ("good", "", 400, "line 1"),
    ("good", "[]", 400, "object"),
    ("good", "{}", 400, "no version"),
    ("good", '{"version":0}', 400, "version"),
    ("good", '{"version":-1}', 400, "version"),
    ("good", '{"version":1.5}', 400, "version"),
    ("good", '{"version":"prod"}', 400, "version"),
    ("good", '{"version":9}', 404, "$LATEST, 1, 2 and 3"),
    ("good", '{"version":1,"weight":{}}', 400, "'weight'"),
    ("good", '{"version":1,"weights":[]}', 400, "object"),
    ("good", '{"version":1,"weights":{"2":0.1,"3":0.1}}', 400, "one version at most"),
    ("good", '{"version":1,"weights":{"9":0.1}}', 404, "$LATEST, 1, 2 and 3"),
    ("good", '{"version":1,"weights":{"1":0.1}}', 400, "already"),
    ("good", '{"version":1,"weights":{"2":1.1}}', 400, "0 to 1"),
    ("good", '{"version":1,"weights":{"2":-0.1}}', 400, "0 to 1"),
    ("good", '{"version":1,"weights":{"2":"0.1"}}', 400, "0 to 1"),
    ("good", '{"version":1,"weights":{"two":0.1}}', 400, "'two'"),
    ("good", '{"version":1,"weights":{"$LATEST":0.1}}', 400, "$LATEST"),
    ("good", '{"version":"$LATEST","weights":{"2":0.1}}', 400, "$LATEST"),
])
def test_a_bad_alias_is_refused_and_changes_nothing(three, alias, body, status, word):
    before = three.control("GET", "/v1/functions/three/aliases").json()
    reply = three.control("PUT", f"/v1/functions/three/aliases/{alias}", body=body)
    assert reply.status == status and word in message(reply), reply
    assert three.control("GET", "/v1/functions/three/aliases").json() == before


def test_an_alias_is_moved_shown_and_removed(faasd):
    deploy_numbers(faasd, "moved", 2)
    path = "/v1/functions/moved/aliases/prod"
    assert faasd.control("GET", path).status == 404
    assert faasd.cli("alias", "set", "moved", "prod", "1").out == "moved:prod: version 1\n"
    assert says(faasd, "moved:prod") == 1
    assert faasd.cli("alias", "set", "moved", "prod", "1", "--also", "2=0.1").out == "moved:prod: 90% version 1, 10% version 2\n"
    assert faasd.control("GET", path).json() == {"name": "prod", "version": 1, "weights": {"2": 0.1}}
    assert set_alias(faasd, "moved", "prod", "2").json() == {"name": "prod", "version": 2, "weights": {}}
    assert says(faasd, "moved:prod") == 2
    assert faasd.describe("moved")["aliases"] == [{"name": "prod", "version": 2, "weights": {}}]
    shown = faasd.cli("versions", "moved").out.splitlines()
    assert shown[0].split() == ["VERSION", "CALLED", "AGE", "USED", "SIZE", "REVISION", "DESCRIPTION"]
    assert "prod" not in shown[1] and "$LATEST, prod" in shown[2]
    assert faasd.cli("alias", "rm", "moved", "prod").err == "moved:prod: removed\n"
    assert faasd.invoke("moved:prod").status == 404
    assert faasd.cli("alias", "rm", "moved", "prod", check=False).returncode == NO_SUCH
    assert faasd.cli("alias", "ls", "moved").err.startswith("no aliases yet")


def test_a_function_has_so_many_aliases_and_no_more():
    with Faasd({"aliases": 2}) as faasd:
        deploy_numbers(faasd, "few", 1)
        assert set_alias(faasd, "few", "a", 1).status == 200 and set_alias(faasd, "few", "b", 1).status == 200
        refused = set_alias(faasd, "few", "c", 1)
        assert refused.status == 400 and "limit 'aliases'" in message(refused)
        assert set_alias(faasd, "few", "a", "$LATEST").status == 200  # a change is not one more


def test_the_command_line_says_what_is_wrong(three):
    def fails(status, word, *args):
        done = three.cli(*args, check=False)
        assert done.returncode == status and word in done.err, done
    fails(USAGE, "set, ls or rm", "alias", "add", "three", "x", "1")
    fails(USAGE, "NAME, ALIAS and VERSION", "alias", "set", "three", "x")
    fails(USAGE, "no version", "alias", "set", "three", "x", "one")
    fails(USAGE, "no name for an alias", "alias", "set", "three", "7", "1")
    fails(USAGE, "4=0.1", "alias", "set", "three", "x", "1", "--also", "2")
    fails(USAGE, "4=0.1", "alias", "set", "three", "x", "1", "--also", "2=2")
    fails(USAGE, "unknown option '--also'", "alias", "ls", "three", "--also", "2=0.1")
    fails(NO_SUCH, "it has $LATEST, 1, 2 and 3", "alias", "set", "three", "x", "7")
    fails(NO_SUCH, "no function 'none'", "alias", "ls", "none")
    fails(NO_SUCH, "no function 'none'", "versions", "none")
    fails(NO_SUCH, "no function 'none'", "rollback", "none")
    fails(NO_SUCH, "no version 9", "rollback", "three", "9")
    fails(USAGE, "no version", "rollback", "three", "prod")
    fails(NO_SUCH, "no version or alias 'none'", "invoke", "three", "--qualifier", "none")
    assert three.cli("invoke", "three", "--qualifier", "prod").out == "1\n"
    assert three.cli("invoke", "three:2").out == "2\n"


# -- going back --

def test_rollback_goes_to_what_served_before(faasd):
    deploy_numbers(faasd, "back", 3)
    assert rollback(faasd, "back").json()["number"] == 2
    assert deploy(faasd, "back", echo(4)) == 4
    # 3 was found bad once already: 4 replaced 2.
    moved = rollback(faasd, "back").json()
    assert (moved["from"], moved["number"]) == (4, 2) and says(faasd, "back") == 2
    assert rollback(faasd, "back").json()["number"] == 1
    nothing = rollback(faasd, "back")
    assert nothing.status == 404 and "nothing to go back to before version 1; it has $LATEST, 1, 2, 3 and 4" in message(nothing)
    assert rollback(faasd, "back", 4).status == 200 and says(faasd, "back") == 4
    assert rollback(faasd, "back", 4).json()["changed"] == []
    assert faasd.cli("rollback", "back", "3", "--dry-run").out.startswith("back: would go from version 4 to 3\n")
    assert says(faasd, "back") == 4
    for body in ('{"version":"3"}', '{"version":0}', '{"to":3}', "[3]", "3", "{"):
        assert faasd.control("POST", "/v1/functions/back/rollback", body=body).status == 400


def test_a_rollback_that_can_not_start_leaves_what_serves(faasd):
    deploy_numbers(faasd, "stuck", 2)
    shutil.rmtree(faasd.root / "state" / "versions" / versions(faasd, "stuck")["versions"][0]["code"])
    refused = rollback(faasd, "stuck")
    assert refused.status in (400, 500), refused
    assert says(faasd, "stuck") == 2 and versions(faasd, "stuck")["current"] == 2
    # The same for a request that wants it: its own failure, and the current one serves on.
    assert faasd.invoke("stuck:1").status == 502
    assert says(faasd, "stuck") == 2


def test_a_grant_that_was_taken_back_is_not_rolled_back_to():
    with Faasd({"grants": {"mounts": ["/usr/share"]}}) as faasd:
        deploy(faasd, "granted", echo(1), mount=["/usr/share:/mnt:ro"])
        deploy(faasd, "granted", echo(2), mount=[])
        assert faasd.stop() == 0
        faasd.write_config({})
        faasd.start()
        refused = rollback(faasd, "granted")
        assert refused.status == 403 and "grants.mounts" in message(refused)
        assert says(faasd, "granted") == 2


def test_an_old_version_has_todays_secrets_too():
    with Faasd() as faasd:
        faasd.cli("secret", "set", "key", input=b"old")
        deploy(faasd, "keyed", tar(run=b"#!/bin/sh\ncat /run/secrets/key\n"), secret=["key"])
        deploy(faasd, "keyed", echo(2), secret=[])
        assert faasd.invoke("keyed:1").body == b"old"
        faasd.cli("secret", "set", "key", input=b"new")
        assert faasd.invoke("keyed:1").body == b"new"
        assert says(faasd, "keyed") == 2
        faasd.cli("secret", "rm", "key", "--force")
        refused = rollback(faasd, "keyed")
        assert refused.status == 400 and "key" in message(refused), refused
        assert says(faasd, "keyed") == 2


# -- what survives --

def kill_gateway(faasd):
    gateway = faasd.gateway_pid()
    os.kill(gateway, signal.SIGKILL)
    wait_until(lambda: faasd.gateway_pid() not in (None, gateway), "another gateway runs")


def kill_daemon(faasd):
    faasd.stop(signal.SIGKILL)
    faasd.start()


def restart(faasd):
    assert faasd.stop() == 0
    faasd.start()


def healthy(faasd):
    try:
        return faasd.request("GET", "/healthz").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("die", [kill_gateway, kill_daemon, restart])
def test_versions_aliases_and_a_rollback_survive(die):
    with Faasd() as faasd:
        deploy_numbers(faasd, "kept", 3)
        deploy_numbers(faasd, "other", 1)
        assert set_alias(faasd, "kept", "prod", 1, v3=0.5).status == 200
        assert set_alias(faasd, "kept", "gone", 1).status == 200
        assert faasd.control("DELETE", "/v1/functions/kept/aliases/gone").status == 204
        assert rollback(faasd, "kept").json()["number"] == 2
        before = versions(faasd, "kept")
        die(faasd)
        wait_until(lambda: healthy(faasd), "it serves again")
        after = versions(faasd, "kept")
        assert after["aliases"] == before["aliases"] == [{"name": "prod", "version": 1, "weights": {"3": 0.5}}]
        assert [v["number"] for v in after["versions"]] == [1, 2, 3] and after["current"] == 2
        assert says(faasd, "kept") == 2 and says(faasd, "kept:3") == 3
        assert says(faasd, "kept:prod") in (1, 3)
        assert faasd.invoke("kept:gone").status == 404
        assert rollback(faasd, "kept").json()["number"] == 1
        assert deploy(faasd, "kept", echo("new")) == 4


def test_a_removed_function_takes_its_versions_and_aliases_along():
    with Faasd() as faasd:
        deploy_numbers(faasd, "gone", 2)
        assert set_alias(faasd, "gone", "prod", 1).status == 200
        assert says(faasd, "gone:prod") == 1
        assert faasd.control("DELETE", "/v1/functions/gone").status == 200
        for path in ("versions", "aliases", "aliases/prod"):
            assert faasd.control("GET", f"/v1/functions/gone/{path}").status == 404
        for qualifier in ("", ":1", ":prod", ":$LATEST"):
            assert faasd.invoke("gone" + qualifier).status == 404
        wait_until(lambda: not faasd.sandbox_pids(), "the instances of both versions are gone")
        assert deploy(faasd, "gone", echo("again")) == 1
        assert numbers(faasd, "gone") == [1]
        assert faasd.invoke("gone:prod").status == 404


# -- which are kept --

def trees(faasd):
    return set(os.listdir(faasd.root / "state" / "versions"))


def test_the_newest_the_named_and_the_used_are_kept():
    with Faasd({"versions_kept": 2}) as faasd:
        deploy_numbers(faasd, "many", 3)
        assert numbers(faasd, "many") == [2, 3]
        assert set_alias(faasd, "many", "prod", 2).status == 200
        assert says(faasd, "many:3") == 3
        for n in range(4, 8):
            deploy(faasd, "many", echo(n))
        assert numbers(faasd, "many") == [2, 3, 6, 7]
        wait_until(lambda: trees(faasd) == {v["code"] for v in versions(faasd, "many")["versions"]}, "only the trees of what is kept are there")
        gone = faasd.invoke("many:4")
        assert gone.status == 404 and "it has $LATEST, 2, 3, 6 and 7; aliases: prod" in message(gone)
        assert says(faasd, "many:prod") == 2
        assert faasd.control("POST", "/v1/functions/many/rollback", body='{"version":5}').status == 404
        # What a rollback went away from stays among the newest; what it went to is current.
        assert rollback(faasd, "many", 3).status == 200
        assert numbers(faasd, "many") == [2, 3, 6, 7]
        # Once nothing names it and nobody has called it for a day it goes.
        assert faasd.stop() == 0
        age(faasd, "many", hours=25)
        faasd.start()
        assert numbers(faasd, "many") == [2, 3, 6, 7]
        assert rollback(faasd, "many", 7).status == 200
        assert numbers(faasd, "many") == [2, 6, 7]
        assert faasd.control("DELETE", "/v1/functions/many/aliases/prod").status == 204
        wait_until(lambda: numbers(faasd, "many") == [6, 7], "the alias kept it")
        wait_until(lambda: trees(faasd) == {v["code"] for v in versions(faasd, "many")["versions"]}, "and its tree")


def age(faasd, name, hours):
    """Makes all uses of it that the stopped daemon has noted older."""
    with sqlite3.connect(faasd.root / "state" / "db" / "faasd.db") as db:
        db.execute("UPDATE revisions SET used_ms = used_ms - ? WHERE function = ? AND used_ms > 0", (hours * 3600 * 1000, name))
    db.close()


def test_use_keeps_a_version_but_not_any_number_of_them():
    with Faasd({"versions_kept": 1, "versions_max": 3}) as faasd:
        for n in range(1, 7):
            deploy(faasd, "used", echo(n))
            assert says(faasd, "used") == n
        assert numbers(faasd, "used") == [4, 5, 6]
        # One that is called right now is not taken from under its callers.
        assert says(faasd, "used:4") == 4
        deploy(faasd, "used", echo(7))
        assert numbers(faasd, "used") == [4, 5, 6, 7]


def test_the_use_of_an_old_version_is_on_disk_before_anything_moves():
    with Faasd({"versions_kept": 1}) as faasd:
        deploy_numbers(faasd, "noted", 1)
        assert set_alias(faasd, "noted", "prod", 1).status == 200
        deploy(faasd, "noted", echo(2))
        assert says(faasd, "noted:1") == 1

        def noted():
            with sqlite3.connect(f"file:{faasd.root}/state/db/faasd.db?mode=ro", uri=True) as db:
                return db.execute("SELECT used_ms FROM revisions WHERE function = 'noted' AND number = 1").fetchone()[0]
        wait_until(noted, "its use is written down")
        kill_daemon(faasd)
        assert faasd.control("DELETE", "/v1/functions/noted/aliases/prod").status == 204
        deploy(faasd, "noted", echo(3))
        assert numbers(faasd, "noted") == [1, 3]


# -- under load --

class Callers:
    """Threads that call a function all the time; each reply is compared with what was current while its request was under way."""

    def __init__(self, faasd, name, threads=4):
        self.faasd, self.name = faasd, name
        self.moves = [1]  # what was made current, in order; the last one perhaps not yet
        self.settled = 0  # the index of the last that is known to be current
        self.counts = [0] * threads
        self.wrong = []
        self.stopping = False
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(threads)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *ignored):
        self.stopping = True
        for t in self.threads:
            t.join()

    def total(self):
        return sum(self.counts)

    def move(self, version, act):
        """`act` makes `version` current."""
        self.moves.append(version)
        act()
        self.settled = len(self.moves) - 1

    def run(self, number):
        connection = http.client.HTTPConnection("127.0.0.1", self.faasd.port, timeout=within(60))
        while not self.stopping:
            since = self.settled
            try:
                connection.request("POST", f"/function/{self.name}", body=b"{}")
                reply = connection.getresponse()
                body = reply.read().decode()
            except OSError as error:
                self.wrong.append(repr(error))
                return
            good = {f"{v} {v}" for v in self.moves[since:]}
            if reply.status != 200 or body not in good or body.split()[0] != reply.headers["X-Faasd-Version"]:
                self.wrong.append((reply.status, body, sorted(good)))
            self.counts[number] += 1
        connection.close()


def deploy_versioned(faasd, name, version):
    archive = tar(prog=(PROGRAMS / "versioned").read_bytes(), version=str(version).encode())
    reply = put(faasd, name, archive, runtime="native", handler="prog", env={"VERSION": str(version)})
    assert reply.status in (200, 201) and reply.json()["number"] == version, reply


def test_ten_thousand_requests_across_fifty_deploys():
    with Faasd() as faasd:
        deploy_versioned(faasd, "load", 1)
        with Callers(faasd, "load") as callers:
            for version in range(2, 52):
                callers.move(version, lambda v=version: deploy_versioned(faasd, "load", v))
                wait_until(lambda v=version: callers.total() >= (v - 1) * 200 or callers.wrong, "200 requests more", within(60))
        assert callers.wrong == []
        assert callers.total() >= 10000
        counters = faasd.describe("load")["counters"]
        assert counters["succeeded"] == callers.total()
        assert sum(counters[k] for k in ("function_errors", "crashed", "timed_out", "throttled", "refused")) == 0


def test_rollbacks_under_load_lose_nothing_either():
    with Faasd() as faasd:
        for version in range(1, 5):
            deploy_versioned(faasd, "load", version)
        assert rollback(faasd, "load", 1).status == 200
        with Callers(faasd, "load") as callers:
            for turn in range(20):
                version = (2, 4, 1, 3)[turn % 4]

                def go(v=version):
                    reply = rollback(faasd, "load", v)
                    assert reply.status == 200 and reply.json()["number"] == v, reply
                callers.move(version, go)
                begun = callers.total()
                wait_until(lambda b=begun: callers.total() >= b + 50 or callers.wrong, "50 requests more", within(60))
        assert callers.wrong == []


def test_callers_of_an_alias_see_nothing_of_deploys():
    with Faasd() as faasd:
        deploy_versioned(faasd, "load", 1)
        assert set_alias(faasd, "load", "prod", 1).status == 200
        with Callers(faasd, "load:prod") as callers:
            for version in range(2, 12):
                deploy_versioned(faasd, "load", version)
                begun = callers.total()
                wait_until(lambda b=begun: callers.total() >= b + 50 or callers.wrong, "50 requests more", within(60))
        assert callers.wrong == []
        assert faasd.invoke("load").body == b"11 11"


# -- many --

def test_ten_thousand_functions_start_and_are_listed(capsys):
    count = 10000
    with Faasd({"functions": count}) as faasd:
        deploy_numbers(faasd, "f0", 3)
        assert set_alias(faasd, "f0", "prod", 1).status == 200
        assert faasd.stop() == 0
        with sqlite3.connect(faasd.root / "state" / "db" / "faasd.db") as db:
            for table in ("revisions", "aliases"):
                columns = ", ".join(row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] != "function")
                db.executemany(f"INSERT INTO {table} (function, {columns}) SELECT ?, {columns} FROM {table} WHERE function = 'f0'",
                               ((f"f{i}",) for i in range(1, count)))
        db.close()
        begun = time.monotonic()
        faasd.start()
        ready = time.monotonic()
        reply = faasd.control("GET", "/v1/functions")
        listed = time.monotonic()
        done = faasd.cli("ls")
        printed = time.monotonic()
        with capsys.disabled():
            print(f"\n10,000 functions with 3 versions and an alias each: ready after {(ready - begun) * 1000:.0f} ms, GET /v1/functions {(listed - ready) * 1000:.0f} ms, "
                  f"`faasd ls` {(printed - listed) * 1000:.0f} ms")
        assert len(reply.json()["functions"]) == count and len(done.out.splitlines()) == count + 1
        assert says(faasd, f"f{count - 1}") == 3 and says(faasd, f"f{count - 1}:2") == 2 and says(faasd, "f5000:prod") == 1
