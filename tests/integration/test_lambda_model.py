# SPDX-License-Identifier: Apache-2.0
"""Every operation that src/lambda/ has a row for, against the service model: its answers have the model's members and types, its errors all occur. The tables are in lambda_model.py."""

import contextlib
import pathlib
import re
import socket
import threading

import botocore.session
import pytest
from botocore.exceptions import ClientError

from access import create_token
from harness import DEADLINE, Faasd, wait_until
from lambda_client import client
from lambda_model import ANSWERS, ERRORS, NEVER, NEVER_OF, WIRE_NAMES, missing, watch

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src" / "lambda"
MODEL = botocore.session.get_session().get_service_model("lambda")
# InvokeAsync and what came after Debian's model are held against tests of their own.
OPERATIONS = sorted({name for path in SOURCE.glob("*.c") for name in re.findall(r'\.name = "(\w+)",\s+\.path', path.read_text())} & set(MODEL.operation_names))


class World:
    def __init__(self, daemon):
        self.daemon = daemon
        self.token = create_token(daemon, "admin")
        self.aws = watch(client(daemon, self.token, parameter_validation=False))

    @contextlib.contextmanager
    def deploying(self, name):
        """A deploy of that function is under way: its head was taken, its archive does not come."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            s.connect(str(self.daemon.root / "run" / "control.sock"))
            s.sendall(f"PUT /v1/functions/{name} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n".encode())
            assert s.recv(64).startswith(b"HTTP/1.1 100")
            yield

    def throttled(self):
        """A call of a function whose only instance is taken and that queues nothing."""
        caller = threading.Thread(target=self.aws.invoke, kwargs={"FunctionName": "busy"})
        caller.start()
        try:
            wait_until(lambda: any(i["state"] == "busy" for i in self.daemon.describe("busy")["instances"]), "a busy instance")
            return self.aws.invoke(FunctionName="busy")
        finally:
            caller.join()


@pytest.fixture(scope="module")
def world():
    with Faasd() as daemon:
        daemon.deploy_script("echo", "#!/bin/sh\ncat\n")
        daemon.deploy_script("fails", "#!/bin/sh\necho broken >&2\nexit 3\n")
        daemon.deploy_script("busy", "#!/bin/sh\nsleep 2\n", "--max-concurrency", "1", "--queue", "0")
        (daemon.root / "json").mkdir()
        (daemon.root / "json" / "app.py").write_text("def handler(event, context):\n    return event\n")
        daemon.deploy("json", daemon.root / "json", "--runtime", "python")
        yield World(daemon)


def test_the_tables_are_complete():
    assert OPERATIONS, SOURCE
    assert not [name for name in OPERATIONS if name not in ANSWERS], "no answer is looked at"
    for name in OPERATIONS:
        listed = {shape.name for shape in MODEL.operation_model(name).error_shapes}
        shown, excused = set(ERRORS.get(name, {})), (set(NEVER) | set(NEVER_OF.get(name, {})))
        assert not shown - listed, f"{name}: no errors of it"
        assert not listed - shown - excused, f"{name}: errors that nothing provokes"


@pytest.mark.parametrize("operation,at", [(name, i) for name in OPERATIONS for i in range(len(ANSWERS.get(name, ([],))[0]))])
def test_an_answer_has_what_the_model_says(world, operation, at):
    calls, always = ANSWERS[operation]
    bodies = []
    world.aws.meta.events.register_first("after-call", lambda model, parsed, **_: bodies.append((model.name, parsed)), unique_id="bodies")
    try:
        calls[at](world)
    finally:
        world.aws.meta.events.unregister("after-call", unique_id="bodies")
    mine = [body for name, body in bodies if name == operation]
    assert mine, f"the call is none of {operation}"
    assert not missing(mine[-1], always)


@pytest.mark.parametrize("operation,error", [(name, error) for name in OPERATIONS for error in ERRORS.get(name, {})])
def test_an_error_occurs(world, operation, error):
    with pytest.raises(ClientError) as caught:
        ERRORS[operation][error](world)
    code = WIRE_NAMES.get(error, error)
    assert (caught.value.response["Error"]["Code"], caught.value.operation_name) == (code, operation)
    if code == error:
        assert isinstance(caught.value, getattr(world.aws.exceptions, error))
