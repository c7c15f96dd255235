# SPDX-License-Identifier: Apache-2.0
"""`logging` as Lambda sets it up: a handler on the root logger, "[INFO]\\t2026-01-02T03:04:05.678Z\\tREQUEST-ID\\tmessage".

Set up when somebody imports it, not before: the import costs as much as the interpreter's start.
"""
import sys
import time

FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"


class Loader:
    """The module's own loader, and then install()."""

    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        install(module)


def spec_of(name, path, target):
    """The specification of the module `logging` with a loader that sets it up."""
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        spec = find_spec(name, path, target) if find_spec else None
        if spec:
            if spec.loader:
                spec.loader = Loader(spec.loader)
            return spec
    return None


def install(logging):
    from _faasd import context

    class Output(logging.StreamHandler):
        """To what sys.stderr is now, one write per record, so that the lines of one stay together."""

        def __init__(self):
            logging.Handler.__init__(self)

        @property
        def stream(self):
            return sys.stderr

    class RequestId(logging.Filter):
        def filter(self, record):
            record.aws_request_id = context.current.aws_request_id if context.current else ""
            return True

    formatter = logging.Formatter(FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    output = Output()
    output.setFormatter(formatter)
    output.addFilter(RequestId())
    logging.root.addHandler(output)
