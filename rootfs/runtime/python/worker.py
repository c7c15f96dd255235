# SPDX-License-Identifier: Apache-2.0
"""The life of a worker: it gets ready, answers one request after another, and ends when faasd closes the socket."""
import faulthandler
import os
import sys

from _faasd import context, frames, values

READY_REASON_MAX = 200
OLDEST = (3, 9)

REPLY_FIELDS = b"content-type\0application/json\0"


class Worker:
    def __init__(self, connection):
        self.connection = connection
        self.tmp = os.environ.get("TMPDIR", "/tmp")
        self.loop = None  # of async handlers: one for all requests
        self.is_copy = False  # a process that the function forked and that came back out of the handler
        self.forking = False  # the fork at hand is faasd's

    def load(self, here):
        check_version()
        from _faasd import handler, paths

        credentials = os.environ.pop("FAASD_ROLE_CREDENTIALS", None)
        if credentials:
            from _faasd import role

            role.take(credentials)
        self.finder = finder = paths.set_up(here)
        set_up_logging()
        self.ahead = paths.import_ahead(os.environ.get("FAASD_IMPORTS", ""))
        self.function = handler.load(os.environ.get("_HANDLER", ""))
        self.wants_context = handler.wants_context(self.function)
        self.is_async = handler.is_async(self.function)
        self.imports = paths.list_imports(finder, self.ahead)
        self.seen = len(finder.seen)

    def serve(self):
        """Until the end of the stream."""
        while True:
            frame = self.connection.read_frame()
            if frame is None:
                return
            kind, request, data = frame
            if kind != frames.INVOKE:
                raise frames.Broken("a frame that is not INVOKE")
            deadline_ms, fields_length, event_length = frames.INVOKE_HEAD.unpack_from(data, 16)
            event_at = 32 + fields_length
            if event_at + event_length != len(data):
                raise frames.Broken("an INVOKE whose lengths do not add up")
            context.take_trace(data, event_at)
            context.current = context.Context(data[32:event_at], deadline_ms)
            event = data[event_at:]
            frame = data = None  # a large event is not kept twice while it is worked on
            self.answer(request, event)
            context.current = None

    def answer(self, request, event):
        try:
            event = values.read(event)
            result = self.function(event, context.current) if self.wants_context else self.function(event)
            if hasattr(type(result), "__await__"):
                result = self.wait_for(result)
            body = values.write(result)
        except BaseException as error:
            self.answer_error(request, error)
            return
        self.stop_copies()
        flush()
        self.connection.send_reply(request, self.reply_fields(), body)

    def reply_fields(self):
        """What a handler imported while it ran is told once, so that later workers have it before their first request."""
        if len(self.finder.seen) == self.seen:
            return REPLY_FIELDS
        from _faasd import paths

        self.seen = len(self.finder.seen)
        imports = paths.list_imports(self.finder, self.ahead)
        if imports == self.imports:
            return REPLY_FIELDS
        self.imports = imports
        return REPLY_FIELDS + b"faasd-imports\0" + imports.encode() + b"\0"

    def answer_error(self, request, error):
        self.stop_copies()
        from _faasd import errors

        if isinstance(error, values.Unreadable):
            report = errors.Report("Runtime.UnmarshalError", str(error))
        elif isinstance(error, values.Unwritable):
            report = errors.Report("Runtime.MarshalError", str(error))
        else:
            report = errors.Report.of_handler(error)
        flush()
        report.log()
        report.send(self.connection, request)

    def wait_for(self, awaitable):
        import asyncio

        async def finish():
            return await awaitable

        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
        return self.loop.run_until_complete(finish())

    def watch_forks(self):
        """A child of the function's must neither answer in its parent's place nor keep the socket open."""

        def after_fork():
            if not self.forking:
                self.is_copy = True
                os.close(self.connection.fd)

        os.register_at_fork(after_in_child=after_fork)

    def stop_copies(self):
        if self.is_copy:
            flush()
            os.write(2, b"faasd: a child process of the handler returned from it: end it with os._exit()\n")
            os._exit(1)


def set_up_streams():
    """Line by line, whatever they are: a pipe would be written to in pieces of 8 KiB. Nothing that is printed is an error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
        except AttributeError:  # closed
            pass


def set_up_logging():
    """For the case that something imported it before the finder was there."""
    if "logging" in sys.modules:
        from _faasd import logs

        logs.install(sys.modules["logging"])


def flush():
    """A line without an end must not wait in this process for the next request."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:  # closed or replaced by the function
        pass


def describe_interpreter():
    name = {"cpython": "CPython"}.get(sys.implementation.name, sys.implementation.name)
    return f"{name} {'.'.join(map(str, sys.version_info[:3]))}"


def check_version():
    """A configuration's "python3.12" is a promise, and any program may stand behind it. Before the function's code is read: its syntax may be of that version."""
    entry = os.environ.get("FAASD_RUNTIME_ENTRY", "")
    version = entry[len("python") :]
    too_old = sys.version_info < OLDEST
    if not too_old and ("." not in version or version == f"{sys.version_info[0]}.{sys.version_info[1]}"):
        return
    from _faasd import errors

    wanted = f"3.{OLDEST[1]} or newer" if too_old else version
    old = ", which is too old for faasd" if too_old else ""
    raise errors.InitError(
        "Runtime.InvalidRuntime",
        f"the runtime {entry or 'python'} is {sys.executable} on this host, and that is {describe_interpreter()}{old}: "
        f"name a Python {wanted} in `runtimes` of the configuration, or deploy with another --runtime",
    )


def connect():
    try:
        is_socket = os.fstat(frames.INHERITED_FD).st_mode & 0o170000 == 0o140000
    except OSError:
        is_socket = False
    if not is_socket:
        os.write(2, b"faasd: this program answers requests that faasd hands it: faasd deploy NAME PATH --runtime python\n")
        os._exit(2)
    return frames.Connection.inherit()


def initialise(worker, here):
    try:
        worker.load(here)
    except BaseException as error:
        from _faasd import errors

        report = errors.Report.of_init(error) if isinstance(error, errors.InitError) else errors.Report.of_handler(error)
        flush()
        report.log()
        report.send(worker.connection, 0)
        os._exit(1)


def get_ready(worker):
    """Says READY. In a template this returns in the children only."""
    fields = [("runtime", describe_interpreter()), ("imports", worker.imports)]
    if os.environ.get("FAASD_TEMPLATE") != "yes":
        worker.connection.send_ready(fields)
        return
    from _faasd import template

    reason = template.why_not(worker)
    flush()
    if reason:
        worker.connection.send_ready([*fields, ("template", reason[:READY_REASON_MAX])])
        return
    template.prepare(worker)
    worker.connection.send_ready([*fields, ("template", "yes")])
    template.serve(worker)


def main(here):
    worker = Worker(connect())
    set_up_streams()
    faulthandler.enable()  # the log shows where a crash in native code came from
    context.learn_function()
    status = 0
    try:
        worker.watch_forks()
        initialise(worker, here)
        worker.stop_copies()
        get_ready(worker)
        worker.serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # faasd has no more use for this worker
    except BaseException as error:
        os.write(2, f"faasd: {type(error).__name__}: {error}\n".encode("utf-8", "backslashreplace"))
        status = 1
    flush()
    os._exit(status)  # as on Lambda, threads and atexit hooks of the function don't delay the end
