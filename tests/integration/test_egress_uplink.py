# SPDX-License-Identifier: Apache-2.0
"""network: egress without its uplink, which the host's administrator or a network process that was taken over may delete; and what else such a process leaves in the router's namespace."""

import json
import os
import re
import signal
import subprocess
import threading

from harness import wait_until
from network import PUBLIC, enter
from test_egress import UNREACHABLE, attempt, daemon_in, deploy, net, network_pid, reached, replaced, veths  # noqa: F401

GONE = "reload or restart faasd"
ENDS = "ends as soon as it is started"
LEFT = "that no network process makes"


def uplink_of(daemon):
    return re.findall(r"leave by the interface (faasd\d+)", daemon.log_text())[-1]


def pauses(daemon):
    return [int(ms) for ms in re.findall(r"the network process .*; it is started again in (\d+) ms", daemon.log_text())]


def shown(namespace, *command):
    return subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=enter(namespace)).stdout


def host_as_it_is(net):  # noqa: F811
    """Interfaces, addresses, routes, rules and tables of the host."""
    return [net.interfaces(), *(shown(net.host, "ip", "-o", *words) for words in (
        ("-4", "addr"), ("-4", "route", "show", "table", "all"), ("rule",), ("neigh", "show", "nud", "permanent"))),
        shown(net.host, "nft", "list", "tables")]


def plain(daemon):
    daemon.deploy_script("plain", "#!/bin/sh\necho served\n")


def is_served(daemon):
    return daemon.request("POST", "/function/plain", body=b"", socket_path=daemon.invoke_path).body == b"served\n"


def test_without_its_uplink_egress_is_refused_with_the_reason_and_a_reload_brings_it_back(net):  # noqa: F811
    before = host_as_it_is(net)
    with daemon_in(net) as daemon:
        plain(daemon)
        deploy(daemon, "living")
        assert attempt(daemon, "living", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        own = attempt(daemon, "living", ["addresses"])
        net.at(net.host, "link", "del", uplink_of(daemon))
        done = deploy(daemon, "born", check=False)
        assert done.returncode == 1 and "network 'egress'" in done.err and GONE in done.err, done
        assert attempt(daemon, "living", ["tcp", PUBLIC, 80]) != reached(PUBLIC, 80), "the uplink is gone"
        os.kill(network_pid(daemon), signal.SIGKILL)
        wait_until(lambda: len(pauses(daemon)) >= 4, "four deaths")
        row = pauses(daemon)
        assert all(later == 2 * earlier for earlier, later in zip(row, row[1:])), row
        told = [line for line in daemon.log if "could not start" in line]
        assert len(told) <= len(row) and all(GONE in line for line in told), told
        done = deploy(daemon, "born", check=False)
        assert done.returncode == 1 and GONE in done.err, done
        assert is_served(daemon)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: attempt(daemon, "living", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80), "the way out again")
        assert attempt(daemon, "living", ["addresses"]) == own, "the same instance"
        deploy(daemon, "born", f"{PUBLIC}:443")
        assert attempt(daemon, "born", ["tcp", PUBLIC, 443], ["tcp", PUBLIC, 80]) == [reached(PUBLIC, 443), UNREACHABLE]
        assert is_served(daemon)
    wait_until(lambda: host_as_it_is(net) == before, "the host as it was before")


def test_a_request_that_needs_a_new_instance_is_told_of_the_uplink_and_a_restart_brings_it_back(net):  # noqa: F811
    before = host_as_it_is(net)
    daemon = daemon_in(net)
    with daemon:
        plain(daemon)
        deploy(daemon, "wide")
        assert attempt(daemon, "wide", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        net.at(net.host, "link", "del", uplink_of(daemon))
        end_instances(daemon, "wide")
        replies = [daemon.request("POST", "/function/wide", body=b"[]", socket_path=daemon.invoke_path) for _ in range(2)]
        for reply in replies:
            assert reply.status == 502 and "network 'egress'" in reply.json()["errorMessage"] and GONE in reply.json()["errorMessage"], reply
            why = daemon.cli("why", reply.json()["requestId"]).out
            assert GONE in why, why
        assert is_served(daemon)
        os.kill(network_pid(daemon), signal.SIGKILL)
        assert daemon.stop() == 0
        wait_until(lambda: host_as_it_is(net) == before, "the host as it was before")
        daemon.start()
        assert attempt(daemon, "wide", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        assert is_served(daemon)
    wait_until(lambda: host_as_it_is(net) == before, "the host as it was before")


def end_instances(daemon, name):
    """The next request needs a new one."""
    for instance in daemon.instances(name):
        assert instance["pid"] > 1
        os.kill(instance["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.instances(name) == [], "the end of its instance and its template")


def test_who_waits_when_the_uplink_goes_is_told_at_once(net):  # noqa: F811
    """Not after the 10 s that a network is waited for: then the reason would be another one."""
    with daemon_in(net) as daemon:
        deploy(daemon, "waiting")
        stopped = network_pid(daemon)
        os.kill(stopped, signal.SIGSTOP)
        end_instances(daemon, "waiting")
        replies = []
        waits = threading.Thread(target=lambda: replies.append(daemon.request("POST", "/function/waiting", body=b"[]", socket_path=daemon.invoke_path)))
        waits.start()
        wait_until(lambda: daemon.instances("waiting"), "a start")
        assert replies == []
        net.at(net.host, "link", "del", uplink_of(daemon))
        os.kill(stopped, signal.SIGKILL)
        waits.join()
        assert replies[0].status == 502 and GONE in replies[0].json()["errorMessage"], replies


def test_a_network_process_that_always_dies_is_waited_for_ever_longer_and_by_nobody(net):  # noqa: F811
    """Killed as soon as it is there. The fourth pause is long enough to see who asks in it refused; the next process, which may live, brings all back."""
    with daemon_in(net) as daemon:
        plain(daemon)
        deploy(daemon, "living")
        assert attempt(daemon, "living", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        killed = None

        def is_hopeless():
            nonlocal killed
            pid = network_pid(daemon)
            if pid not in (None, killed) and 4000 not in pauses(daemon):
                os.kill(pid, signal.SIGKILL)
                killed = pid
            return 4000 in pauses(daemon)
        wait_until(is_hopeless, "a pause of 4 s")
        assert len(pauses(daemon)) <= 5, pauses(daemon)
        done = deploy(daemon, "born", check=False)
        assert done.returncode == 1 and "network 'egress'" in done.err and ENDS in done.err, done
        assert is_served(daemon)
        replaced(daemon, killed)
        deploy(daemon, "born")
        for name in ("born", "living"):
            assert attempt(daemon, name, ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)


def test_an_uplink_that_was_down_is_as_it_was_when_it_is_up_again(net):  # noqa: F811
    with daemon_in(net) as daemon:
        deploy(daemon, "living")
        for change in ("down", "up"):
            net.at(net.host, "link", "set", uplink_of(daemon), change)
        wait_until(lambda: attempt(daemon, "living", ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80), "the way out again")


# ---- what is left in the router's namespace ----

def in_router(daemon):
    return ["nsenter", f"--net=/proc/{daemon.pid}/fd/{veths(daemon)[1]}"]


def router_as_it_is(daemon):
    def told(*command):
        return subprocess.run([*in_router(daemon), *command], check=True, capture_output=True, text=True).stdout.split("\n")
    links = json.loads("".join(told("ip", "-j", "link")))
    return {"links": sorted(link["ifname"] for link in links), "queues": sorted(link.get("qdisc", "") for link in links),
            **{" ".join(words): sorted(line.strip() for line in told("ip", *words))
               for words in (("-o", "addr"), ("-4", "route", "show", "table", "all"), ("-6", "route", "show", "table", "all"), ("rule",))}}


FOREIGN = """
ip link add foreign type veth peer name peer
ip link set foreign up
ip link set peer up
ip link add f999 index 999 type veth peer name f998
ip addr add 10.9.9.1/24 dev foreign
ip addr add 100.64.0.77/32 dev lo
ip addr add 100.64.0.78/24 dev up
ip route add 93.184.216.34/32 dev lo
ip route add blackhole 45.60.70.80/32
ip route add 93.184.216.35/32 dev foreign table 77
ip route add default via 10.9.9.2 dev foreign metric 5
ip route add local 93.184.216.34/32 dev lo table local
ip rule add pref 5 from all lookup 77
ip rule add to 93.184.216.34/32 blackhole
tc qdisc add dev up clsact
tc qdisc add dev up root pfifo limit 1
sysctl -qw net.ipv6.conf.all.disable_ipv6=0
ip addr add 2001:db8::1/64 dev up
ip route add 2001:db8:1::/64 dev up
"""


def test_nothing_that_a_network_process_left_in_the_routers_namespace_outlives_it(net):  # noqa: F811
    """As one that was taken over would leave it. Instances stay connected; what was done to their own routes is undone too."""
    with daemon_in(net) as daemon:
        deploy(daemon, "living")
        deploy(daemon, "other")
        for name in ("living", "other"):
            assert attempt(daemon, name, ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        own = attempt(daemon, "living", ["addresses"])
        before = router_as_it_is(daemon)
        assert len(before["rule"]) == 4 and LEFT not in daemon.log_text(), before  # three and the output's end
        subprocess.run([*in_router(daemon), "sh", "-ec", FOREIGN + f"ip route replace {own}/32 dev foreign\n"
                        + "ip rule del pref 32767\n"], check=True)
        assert attempt(daemon, "living", ["tcp", PUBLIC, 80]) != reached(PUBLIC, 80), "it is led astray"
        old = network_pid(daemon)
        os.kill(old, signal.SIGKILL)
        replaced(daemon, old)
        wait_until(lambda: router_as_it_is(daemon) == before, "the router's namespace as it was")
        for name in ("living", "other"):
            assert attempt(daemon, name, ["tcp", PUBLIC, 80]) == reached(PUBLIC, 80)
        assert attempt(daemon, "living", ["addresses"]) == own
        told = daemon.log_text().count(LEFT)
        assert told == 5, "interfaces, queues, addresses, rules, routes"
        old = network_pid(daemon)
        os.kill(old, signal.SIGKILL)
        replaced(daemon, old)
        deploy(daemon, "born")
        assert daemon.log_text().count(LEFT) == told, "nothing is found where nothing is left"
