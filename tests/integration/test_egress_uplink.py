# SPDX-License-Identifier: Apache-2.0
"""What a network process that was taken over leaves in the router's namespace."""

import json
import os
import signal
import subprocess

from harness import wait_until
from network import PUBLIC
from test_egress import attempt, daemon_in, deploy, net, network_pid, reached, replaced, veths  # noqa: F401

LEFT = "that no network process makes"


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
