# SPDX-License-Identifier: Apache-2.0
"""Serves one Python function: the program that faasd starts in a sandbox for `runtime python`.

    bootstrap.py   this file: makes the other ones importable as a package that no function can shadow or be shadowed by
    worker.py      the life of a worker: start, invocations, end
    frames.py      bytes on the worker's socket (docs/PROTOCOL.md)
    paths.py       where modules come from, and which ones the function imports
    handler.py     from "module.function" to something that can be called
    context.py     the second argument of a handler
    values.py      events and replies: JSON
    role.py        the credentials of the function's role, where it has some
    logs.py        the format of logging's records
    errors.py      what a caller and the log are told when something failed; advice.py: what to do about an import that failed
    template.py    the process that others are forked from; child.py: what a fork does before its first line of user code; clean.py: its /tmp
    faasd.py       the module `faasd` that functions may import

Nothing beyond CPython's built-in modules and `os` is imported before the function's own code: `json`, `re`, `traceback` and `logging` would cost more
than the interpreter itself. What only some functions need is imported when they need it.
"""
import sys


def main():
    sys.dont_write_bytecode = True  # neither this tree nor /var/task can be written
    here = __file__.rpartition("/")[0]
    if here in sys.path:
        sys.path.remove(here)
    package = type(sys)("_faasd")
    package.__path__ = [here]
    sys.modules["_faasd"] = package
    from _faasd import worker

    worker.main(here)


main()
