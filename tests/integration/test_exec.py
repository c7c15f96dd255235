# SPDX-License-Identifier: Apache-2.0
"""POST /v1/exec: a command in a sandbox of its own: what it gives back, its limits, who may."""

import json
import threading

import pytest

from harness import Faasd, wait_until


@pytest.fixture(scope="module")
def faasd():
    with Faasd(config={"reply_bytes": "64K", "exec": 2}) as daemon:
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def run(faasd, *command, **more):
    return faasd.control("POST", "/v1/exec", json.dumps({"command": command, **more}))


def good(faasd, *command, **more):
    reply = run(faasd, *command, **more)
    assert reply.status == 200, reply.body
    return reply.json()


def test_output_status_and_use_of_a_command_are_told(faasd):
    done = good(faasd, "sh", "-c", "cat; echo wrong >&2; exit 3", stdin="given ü\n", name="mine")
    assert (done["outcome"], done["exitCode"], done["stdout"], done["stderr"]) == ("exited", 3, "given ü\n", "wrong\n")
    assert done["name"] == "mine" and not done["stdoutTruncated"] and not done["stderrTruncated"]
    assert done["durationMs"] > 0 and done["cpuMs"] > 0 and done["memoryPeakBytes"] > 0
    assert good(faasd, "true")["exitCode"] == 0
    killed = good(faasd, "sh", "-c", "kill -9 $$")
    assert (killed["outcome"], killed["signal"]) == ("signalled", 9) and "exitCode" not in killed
    assert good(faasd, "no-such-program")["exitCode"] == 127


def test_it_runs_as_a_function_would_and_leaves_nothing(faasd):
    seen = good(faasd, "sh", "-c", "id -u; pwd; ls -A /var/task; echo $OWN $FAASD_FUNCTION_NAME; echo x >/tmp/left; ls /proc | grep -c '^[0-9]'; cat /proc/net/dev | wc -l",
                settings={"env": {"OWN": "value"}}, name="looks")["stdout"].splitlines()
    assert seen[0] != "0" and seen[2] == "value looks" and int(seen[3]) < 10
    assert good(faasd, "ls", "/tmp")["stdout"] == ""
    assert good(faasd, "sh", "-c", "echo x > /var/task/y")["exitCode"] != 0


def test_limits_are_enforced_and_named(faasd):
    late = good(faasd, "sh", "-c", "echo before; sleep 30", settings={"timeout": "300ms"})
    assert (late["outcome"], late["stdout"]) == ("timed_out", "before\n") and "300ms" in late["message"]
    big = good(faasd, "sh", "-c", "echo before; exec dd if=/dev/zero of=/dev/null bs=100M count=1", settings={"memory": "32M"})
    assert big["outcome"] == "out_of_memory" and "32M" in big["message"]
    flood = good(faasd, "sh", "-c", "yes | head -c 1000000; yes | head -c 600000 >&2; exit 0")
    assert (flood["outcome"], flood["exitCode"]) == ("exited", 0)
    assert flood["stdoutTruncated"] and len(flood["stdout"]) == 65536
    assert flood["stderrTruncated"] and len(flood["stderr"]) == 262144
    many = good(faasd, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo done", settings={"pids": 4, "timeout": "5s"})
    assert many["exitCode"] != 0


def test_as_many_as_the_limit_run_at_once(faasd):
    done = []

    def hold():
        """Until it is let in: those who ask for the third place hold one, too, until they are done."""
        reply = wait_until(lambda: (lambda r: r if r.status != 429 else None)(run(faasd, "sleep", "30", settings={"timeout": "2s"})), "a place")
        done.append(reply.json())

    threads = [threading.Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    refused = wait_until(lambda: (lambda r: r if r.status == 429 else None)(run(faasd, "true")), "the third is refused")
    assert refused.error == "TooManyRequests" and "'exec'" in refused.json()["errorMessage"] and refused.headers["Retry-After"] == "1"
    for thread in threads:
        thread.join()
    assert [d["outcome"] for d in done] == ["timed_out"] * 2
    assert good(faasd, "true")["exitCode"] == 0


def test_it_leaves_a_record(faasd):
    done = good(faasd, "sh", "-c", "exit 4", name="recorded")
    record = faasd.control("GET", f"/v1/invocations/{done['id']}").json()
    assert (record["function"], record["status"], record["outcome"], record["type"]) == ("recorded", "failed", "function_error", "FunctionError")
    assert record["run_ms"] > 0 and record["peak_bytes"] > 0
    assert done["id"] in faasd.cli("invocation", "ls", "--function", "recorded").out


@pytest.mark.parametrize("body,status,words", [
    (b"", 400, ""), (b"[]", 400, "JSON object"), (b"{}", 400, "command"), (b'{"command":"ls"}', 400, "array of strings"), (b'{"command":[]}', 400, "array"),
    (b'{"command":["ls",1]}', 400, "array of strings"), (b'{"command":["A=B"]}', 400, "no program"), (b'{"command":["ls"],"stdout":1}', 400, "'stdout'"),
    (b'{"command":["ls"],"name":"a b"}', 400, "name"), (b'{"command":["ls"],"stdin":5}', 400, "stdin"),
    (b'{"command":["ls"],"settings":{"memroy":"1M"}}', 400, "memory"), (b'{"command":["ls"],"settings":{"runtime":"python"}}', 400, "not for a command"),
    (b'{"command":["ls"],"settings":{"memory":128}}', 400, "128M"), (b'{"command":["ls"],"settings":{"network":"host"}}', 403, "grants.network_host"),
    (b'{"command":["ls"],"settings":{"secret":["none"]}}', 400, "none"),
])
def test_what_is_wrong_is_named(faasd, body, status, words):
    reply = faasd.control("POST", "/v1/exec", body)
    assert reply.status == status and reply.error == {400: "BadRequest", 403: "Forbidden"}[status]
    assert words in reply.json()["errorMessage"]


def test_no_more_memory_than_the_hosts_budget():
    with Faasd(config={"memory_budget": "64M"}) as faasd:
        full = run(faasd, "true", settings={"memory": "65M"})
        assert full.status in (400, 503) and "memory" in full.json()["errorMessage"]
        assert good(faasd, "true", settings={"memory": "64M"})["exitCode"] == 0
        assert good(faasd, "true", settings={"memory": "64M"})["exitCode"] == 0


def test_the_limit_0_switches_it_off():
    with Faasd(config={"exec": 0}) as faasd:
        assert "no command is run here" in run(faasd, "true").json()["errorMessage"]


def test_over_tcp_it_takes_a_token_that_may_deploy():
    with Faasd() as faasd:
        def ask(scope):
            token = json.loads(faasd.cli("token", "create", "--scope", scope, "--json").out)["token"]
            return faasd.request("POST", "/v1/exec", json.dumps({"command": ["true"]}), {"Authorization": f"Bearer {token}"}).status
        assert (ask("read"), ask("invoke"), ask("deploy"), ask("admin")) == (403, 403, 200, 200)
        assert faasd.request("POST", "/v1/exec", json.dumps({"command": ["true"]})).status == 401
