# SPDX-License-Identifier: Apache-2.0
"""Every call that may be interrupted is, and every stream gives and takes one byte at a time: all that is done comes out as ever."""

import pytest

from faults import INTERRUPT, SHORT, Daemon, errors_since
from scenes import BEFORE, CONFIG, SCENES, native, set_up

MODES = {"interrupted": INTERRUPT, "short": SHORT}


@pytest.fixture(scope="module")
def daemon():
    with Daemon(CONFIG) as daemon:
        set_up(daemon)
        yield daemon


@pytest.mark.row("X3")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scene", SCENES)
def test_comes_out_as_ever(daemon, scene, mode):
    before = BEFORE.get(scene, lambda daemon: None)
    before(daemon)
    good = SCENES[scene](daemon)
    before(daemon)
    control, gateway, at = daemon.faults, daemon.gateway_pid(), len(daemon.log)
    control.arm(MODES[mode])
    try:
        assert SCENES[scene](daemon) == good
    finally:
        control.disarm()
        print(*daemon.log[at:], sep="\n")  # shown when it fails
    assert control.fired, "nothing was"
    assert not errors_since(daemon, at), "it came out well by luck"
    assert daemon.gateway_pid() == gateway and native(daemon)


@pytest.mark.row("X3")
@pytest.mark.parametrize("mode", MODES)
def test_so_does_a_start(mode):
    with Daemon(CONFIG) as daemon:
        set_up(daemon)
        daemon.stop()
        daemon.faults.arm(MODES[mode])
        daemon.start()
        assert native(daemon)
        assert daemon.faults.fired
        daemon.faults.disarm()
        assert not errors_since(daemon), "it came out well by luck"
