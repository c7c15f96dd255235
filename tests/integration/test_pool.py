# SPDX-License-Identifier: Apache-2.0
"""The pool seen from outside: warm instances, growth, shrinking, min_warm, queueing, budgets."""

import concurrent.futures
import time

import pytest

from harness import HELLO, Faasd, cgroup_directories, is_alive, wait_until


def idle(faasd, name):
    return [i for i in faasd.instances(name) if i["state"] == "idle"]


def test_one_client_uses_one_instance(faasd):
    faasd.deploy("one", HELLO, "--runtime", "native")
    for _ in range(50):
        assert faasd.invoke("one", b"{}").status == 200
    assert len(faasd.instances("one")) == 1


def test_the_pool_grows_to_max_concurrency_and_no_further(faasd):
    faasd.deploy_script("wide", "#!/bin/sh\nsleep 0.3\n", "--max-concurrency", "3", "--queue", "50")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        futures = [pool.submit(faasd.invoke, "wide") for _ in range(12)]
        most = 0
        while not all(f.done() for f in futures):
            most = max(most, len([i for i in faasd.instances("wide") if i["state"] != "stopping"]))
        assert all(f.result().status == 200 for f in futures)
    assert most == 3


def test_the_most_recently_used_instance_goes_first(faasd):
    faasd.deploy_script("mru", "#!/bin/sh\nsleep 0.1\n", "--max-concurrency", "3")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        [f.result() for f in [pool.submit(faasd.invoke, "mru") for _ in range(3)]]
    wait_until(lambda: len(idle(faasd, "mru")) == 3, "three idle instances")
    before = {i["id"]: i["requests"] for i in faasd.instances("mru")}
    for _ in range(6):
        faasd.invoke("mru")
        wait_until(lambda: len(idle(faasd, "mru")) == 3, "the one used is clean again")
    used = [i["id"] for i in faasd.instances("mru") if i["requests"] > before[i["id"]]]
    assert len(used) == 1


def test_min_warm_is_held_and_survives_a_kill(faasd):
    faasd.deploy("warm", HELLO, "--runtime", "native", "--min-warm", "2", "--keep-warm", "50ms")
    wait_until(lambda: len(idle(faasd, "warm")) == 2, "two warm instances")
    time.sleep(0.3)  # keep_warm has passed several times over: they must still be there
    assert len(idle(faasd, "warm")) == 2
    faasd.cli("rm", "warm")
    wait_until(lambda: faasd.control("GET", "/v1/functions/warm").status == 404, "removed")


@pytest.mark.row("R17")
def test_down_to_zero_leaves_no_process_and_no_cgroup(faasd):
    faasd.deploy("brief", HELLO, "--runtime", "native", "--keep-warm", "50ms")
    faasd.invoke("brief", b"{}")
    instances = faasd.instances("brief")
    wait_until(lambda: not faasd.instances("brief"), "scale to zero")
    for i in instances:
        wait_until(lambda: not is_alive(i["pid"]), "its process is dead")
    wait_until(lambda: not cgroup_directories("brief"), "its cgroups are gone")


def test_a_removed_function_finishes_what_runs(faasd):
    faasd.deploy_script("goodbye", "#!/bin/sh\nsleep 0.5; echo done\n")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        last = pool.submit(faasd.invoke, "goodbye")
        wait_until(lambda: [i for i in faasd.instances("goodbye") if i["state"] == "busy"], "it runs")
        faasd.cli("rm", "goodbye")
        assert faasd.invoke("goodbye").status == 404
        assert last.result().body == b"done\n"
    wait_until(lambda: not cgroup_directories("goodbye"), "its cgroups are gone")


def test_an_update_under_load_loses_nothing(faasd):
    faasd.deploy_script("changing", "#!/bin/sh\necho 0\n")
    stop = False

    def load():
        seen = []
        while not stop:
            reply = faasd.invoke("changing")
            seen.append((reply.status, reply.body))
        return seen

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(load) for _ in range(4)]
        try:
            for n in range(1, 6):
                faasd.deploy_script("changing", f"#!/bin/sh\necho {n}\n")
                assert faasd.invoke("changing").body == b"%d\n" % n, "a request after deploy returned gets the new version"
        finally:
            stop = True
        for client in clients:
            seen = client.result()
            assert {status for status, _ in seen} == {200}
            versions = [int(body) for _, body in seen]
            assert versions == sorted(versions), "no client goes back to an older version"


def test_the_host_budget_gives_idle_instances_of_others_up():
    with Faasd(config={"memory_budget": "200M"}) as faasd:
        faasd.deploy("a", HELLO, "--runtime", "native", "--memory", "128M")
        faasd.deploy("b", HELLO, "--runtime", "native", "--memory", "128M")
        for _ in range(5):
            assert faasd.invoke("a", b"{}").status == 200
            assert faasd.invoke("b", b"{}").status == 200


def test_without_budget_a_request_is_refused_by_name():
    with Faasd(config={"memory_budget": "200M", "queue_timeout": "300ms"}) as faasd:
        faasd.deploy_script("a", "#!/bin/sh\nsleep 3\n", "--memory", "128M", "--keep-warm", "10ms")
        faasd.deploy("b", HELLO, "--runtime", "native", "--memory", "128M", "--keep-warm", "10ms")
        wait_until(lambda: not faasd.instances("a") and not faasd.instances("b"), "both are at zero")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            long = pool.submit(faasd.invoke, "a")
            wait_until(lambda: [i for i in faasd.instances("a") if i["state"] == "busy"], "a runs")
            reply = faasd.invoke("b", b"{}")
            assert (reply.status, reply.error) == (503, "NoCapacity"), reply
            assert "memory_budget" in reply.json()["errorMessage"]
            assert long.result().status == 200
