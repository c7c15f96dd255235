# SPDX-License-Identifier: Apache-2.0
"""`faasd config show`: which value is in force, and where it came from."""

import json
import os
import signal
import subprocess

import pytest

from harness import FAASD, Faasd, wait_until


def show(root, *options, **variables):
    return subprocess.run([FAASD, "config", "show", "--root", root, *options], env={**os.environ, **variables}, capture_output=True, text=True)


def values(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def root(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "conf.d").mkdir(mode=0o755)
    (tmp_path / "config.json").write_text('{"memory_budget": "2G", "drain": "7s", "defaults": {"memory": "64M"}, "grants": {"mounts": ["/data"]}}')
    (tmp_path / "conf.d" / "10-site.json").write_text('{"drain": "8s", "queue_timeout": "3s"}')
    return tmp_path


def test_each_value_says_where_it_came_from(root):
    now = values(show(root, "--json", FAASD_QUEUE_TIMEOUT="4s", FAASD_DEFAULTS_PIDS="99"))
    assert now["memory_budget"] == {"value": "2G", "from": "config.json"}
    assert now["drain"] == {"value": "8s", "from": "conf.d/10-site.json"}
    assert now["defaults.memory"] == {"value": "64M", "from": "config.json"}
    assert now["grants.mounts"] == {"value": ["/data"], "from": "config.json"}
    assert now["queue_timeout"] == {"value": "4s", "from": "FAASD_QUEUE_TIMEOUT"}
    assert now["defaults.pids"] == {"value": 99, "from": "FAASD_DEFAULTS_PIDS"}
    assert now["head_bytes"]["from"] == "default"


def test_the_table_is_for_people(root):
    lines = show(root).stdout.splitlines()
    assert lines[0].split() == ["KEY", "FROM", "VALUE"]
    assert ["drain", "conf.d/10-site.json", "8s"] in [line.split() for line in lines]


@pytest.mark.parametrize("variable, value, said", [("FAASD_DRAIN", "soon", "FAASD_DRAIN"), ("FAASD_LISTEN", "127.0.0.1:99999", "FAASD_LISTEN"),
                                                   ("FAASD_MEMORY_BUDGET", "128", "did you mean 128M?")])
def test_a_bad_variable_is_named(root, variable, value, said):
    done = show(root, **{variable: value})
    assert done.returncode == 1
    assert said in done.stderr


def test_the_daemon_tells_what_it_uses():
    with Faasd(config={"drain": "6s"}, env={**os.environ, "FAASD_QUEUE_TIMEOUT": "9s"}) as faasd:
        now = json.loads(faasd.cli("config", "show", "--daemon", "--json").stdout)
        assert now["drain"] == {"value": "6s", "from": "config.json"}
        assert now["queue_timeout"] == {"value": "9s", "from": "FAASD_QUEUE_TIMEOUT"}
        assert now["listen"]["from"] == "flag"
        config = faasd.root / "config.json"
        config.write_text(json.dumps({"drain": "5s", "queue_timeout": "1s"}))
        faasd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: json.loads(faasd.cli("config", "show", "--daemon", "--json").stdout)["drain"]["value"] == "5s", "the new configuration")
        again = json.loads(faasd.cli("config", "show", "--daemon", "--json").stdout)
        assert again["queue_timeout"] == {"value": "9s", "from": "FAASD_QUEUE_TIMEOUT"}, "the environment stands over the file"


def test_a_key_that_waits_for_a_restart_says_so():
    with Faasd(config={"drain": "6s", "connections": 500}) as faasd:
        shown = lambda: json.loads(faasd.cli("config", "show", "--daemon", "--json").stdout)
        reload(faasd, {"drain": "5s", "connections": 600, "records": {"memory": 2000}})
        wait_until(lambda: shown()["drain"]["value"] == "5s", "the new configuration")
        assert shown()["connections"] == {"value": 500, "from": "config.json", "waiting_in": "config.json"}
        assert shown()["records.memory"] == {"value": 10000, "from": "default", "waiting_in": "config.json"}
        lines = faasd.cli("config", "show", "--daemon").stdout.decode().splitlines()
        assert next(line.split(None, 2)[1:] for line in lines if line.startswith("connections ")) == [
            "config.json", "500 (another value, from config.json, waits for a restart)"]
        reload(faasd, {"drain": "4s"})
        wait_until(lambda: shown()["drain"]["value"] == "4s", "the new configuration")
        assert shown()["connections"] == {"value": 500, "from": "config.json", "waiting_in": "default"}
        assert shown()["records.memory"] == {"value": 10000, "from": "default"}, "it is as it was"
        reload(faasd, {"drain": "3s", "connections": 500})
        wait_until(lambda: shown()["drain"]["value"] == "3s", "the new configuration")
        assert shown()["connections"] == {"value": 500, "from": "config.json"}, "nothing waits any more"


def reload(faasd, config):
    (faasd.root / "config.json").write_text(json.dumps(config))
    faasd.process.send_signal(signal.SIGHUP)


def test_without_a_daemon_it_says_so(root):
    done = show(root, "--daemon")
    assert done.returncode == 69


def test_files_that_do_not_read_are_named(root):
    (root / "conf.d" / "10-site.json").write_text('{"queue_timeot": "3s"}')
    done = show(root)
    assert done.returncode == 1
    assert "10-site.json:1" in done.stderr and "queue_timeout" in done.stderr
