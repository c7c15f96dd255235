# SPDX-License-Identifier: Apache-2.0
"""What a function can ask of faasd: `import faasd`."""
from _faasd import child

__all__ = ["after_fork"]


def after_fork(hook):
    """Has `hook()` called in each instance that is forked from the initialised function, before its first request. Usable as a decorator.

    `random`, `secrets`, `uuid`, `ssl` and `numpy.random`'s global generator are made fresh without it; generators and connections of the function's own
    are what it is for. A hook that raises ends the instance. Hooks are not called in an instance that ran the function's init code itself.
    """
    if not callable(hook):
        raise TypeError(f"after_fork() takes a function, not a {type(hook).__name__}")
    child.hooks.append(hook)
    return hook
