# SPDX-License-Identifier: Apache-2.0
"""What a caller and the log are told: errorType, errorMessage and a stack trace that begins in the function's own code."""
import os
import sys

TYPE_MAX = 128
MESSAGE_MAX = 32 << 10
PARTS_MAX = 10  # of an ExceptionGroup
FRAMES_MAX = 100  # of a deep recursion the two ends are shown
LINE_MAX = 500

DIRECT_CAUSE = "The above exception was the direct cause of the following exception:"
OTHER_CAUSE = "During handling of the above exception, another exception occurred:"

TASK_ROOT = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
HERE = __file__.rpartition("/")[0] + "/"


class InitError(Exception):
    """The worker can't start. `cause` is the exception whose trace tells where."""

    def __init__(self, kind, message, cause=None):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.cause = cause


class Report:
    """One failure, ready to be sent and logged."""

    def __init__(self, kind, message, trace=(), chain=()):
        self.kind = kind
        self.message = message
        self.trace = list(trace)
        self.chain = list(chain)  # lines of the exceptions behind it, for the log

    @classmethod
    def of_init(cls, error):
        return cls(error.kind, error.message, [*trace_of(error.cause), *place_of(error.cause)] if error.cause else ())

    @classmethod
    def of_handler(cls, error):
        kind = type(error)
        if kind is SystemExit:
            return cls("Runtime.ExitError", f"the handler called sys.exit({exit_status(error)}) instead of returning", trace_of(error))
        message = text_of(error)
        trace = trace_of(error)
        if kind is TypeError and not trace and " argument" in message:
            message += ": a handler is called with (event, context), or with the event alone when it has one parameter"
        if isinstance(error, ImportError):
            from _faasd import advice

            message += advice.for_import(error)
        return cls(name_of(kind), message, trace, chain_of(error))

    def send(self, connection, request):
        connection.send_error(request, word(self.kind), encode(self.message[:MESSAGE_MAX]), self._packed_trace())

    def _packed_trace(self):
        from _faasd import values

        return values.dump([line.encode("utf-8", "backslashreplace").decode() for line in self.trace])

    def log(self):
        """As Lambda's runtime writes it; one write, so that threads don't come between."""
        lines = [*self.chain, f"[ERROR] {self.kind}: {self.message[:MESSAGE_MAX]}\n"]
        if self.trace:
            lines += ["Traceback (most recent call last):\n", *self.trace]
        complain("".join(lines))


def complain(text):
    """To the log, whatever the function has done to sys.stderr."""
    try:
        sys.stderr.flush()
    except Exception:
        pass
    try:
        os.write(2, encode(text if text.endswith("\n") else text + "\n"))
    except OSError:
        pass


def encode(text):
    return text.encode("utf-8", "backslashreplace")


def word(kind):
    """One printable word, as the protocol wants it."""
    return "".join(c if "!" <= c <= "~" else "_" for c in kind)[:TYPE_MAX].encode() or b"Error"


def name_of(kind):
    """Its own, whatever its metaclass says."""
    return type.__dict__["__name__"].__get__(kind)


def text_of(error):
    try:
        parts = getattr(error, "exceptions", None)  # of an ExceptionGroup
        if isinstance(parts, tuple) and all(isinstance(part, BaseException) for part in parts[:PARTS_MAX]):
            return "; ".join([str(error), *(f"{name_of(type(part))}: {part}" for part in parts[:PARTS_MAX])])
        return str(error)
    except BaseException:  # even a sys.exit() there must not take the answer away
        return f"<{name_of(type(error))} without a text: its __str__ failed>"


def exit_status(error):
    return "" if error.code is None else repr(error.code)[:200]


def trace_of(error):
    """Lines as traceback.format_list() makes them, from the first frame under /var/task on; without one, from the first that is not faasd's."""
    frames = []
    at = error.__traceback__
    while at:
        frames.append((at.tb_frame.f_code.co_filename, at.tb_lineno, at.tb_frame.f_code.co_name))
        at = at.tb_next
    return format_frames(frames[first_of_the_user(frames) :])


def place_of(error):
    """Where the text is that could not be understood, which no frame shows."""
    path = getattr(error, "filename", None)
    if not isinstance(error, SyntaxError) or not isinstance(path, str):
        return []
    text = (error.text or "").rstrip()[:LINE_MAX] if isinstance(error.text, str) else ""
    column = (error.offset or 0) - 1 - (len(text) - len(text.lstrip()))
    mark = f"    {' ' * column}^\n" if text and 0 <= column < LINE_MAX else ""
    return [f'  File "{path}", line {error.lineno}\n' + (f"    {text.strip()}\n{mark}" if text else "")]


def first_of_the_user(frames):
    first = len(frames)
    for i, (path, _, _) in enumerate(frames):
        if is_task_file(path):
            return i
        if first == len(frames) and not path.startswith((HERE, "<frozen importlib")):
            first = i
    return first


def is_task_file(path):
    return path.startswith(TASK_ROOT + "/")


def format_frames(frames):
    left_out = len(frames) - FRAMES_MAX
    if left_out > 0:
        half = FRAMES_MAX // 2
        return [*map(format_frame, frames[:half]), f"  ... {left_out} frames left out ...\n", *map(format_frame, frames[-half:])]
    return list(map(format_frame, frames))


def format_frame(frame):
    path, line, name = frame
    text = source_line(path, line)
    return f'  File "{path}", line {line}, in {name}\n' + (f"    {text[:LINE_MAX]}\n" if text else "")


def source_line(path, line):
    """Without linecache, which imports a tokenizer."""
    if path.startswith("<") or not line:
        return ""
    try:
        with open(path, "rb") as file:
            for number, text in enumerate(file, 1):
                if number == line:
                    return text.decode("utf-8", "replace").strip()
    except OSError:
        pass
    return ""


def chain_of(error):
    """The exceptions that led to this one, first one first, as Python prints them."""
    lines = []
    seen = {id(error)}
    while len(seen) < 10:
        cause = error.__cause__
        behind = cause or (None if error.__suppress_context__ else error.__context__)
        if behind is None or id(behind) in seen:
            break
        link = DIRECT_CAUSE if cause else OTHER_CAUSE
        trace = trace_of(behind)
        begin = ["Traceback (most recent call last):\n", *trace] if trace else []
        lines = [*begin, f"{name_of(type(behind))}: {text_of(behind)[:MESSAGE_MAX]}\n", f"\n{link}\n\n", *lines]
        seen.add(id(behind))
        error = behind
    return lines
