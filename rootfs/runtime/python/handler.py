# SPDX-License-Identifier: Apache-2.0
"""From "module.function" to something that can be called."""
import sys

from _faasd import errors

VARARGS, COROUTINE = 0x04, 0x80  # as inspect's CO_*


def load(name):
    """The function that _HANDLER names: "app.handler", "pkg/app.handler" or "pkg.app.handler"."""
    module_name, _, function_name = name.rpartition(".")
    module_name = module_name.replace("/", ".")
    if not function_name or not all(module_name.split(".")):
        raise errors.InitError(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{name}': it names a module and a function in it, as in 'app.handler' for handler(event, context) in app.py",
        )
    if module_name in sys.builtin_module_names:
        raise errors.InitError("Runtime.BuiltInModuleConflict", f"Cannot use built-in module {module_name} as a handler module: rename the file")
    return find(import_module(module_name, name), module_name, function_name)


def import_module(module_name, handler):
    try:
        __import__(module_name)
        return sys.modules[module_name]
    except ImportError as error:
        from _faasd import advice

        message = f"Unable to import module '{module_name}': {error}"
        raise errors.InitError("Runtime.ImportModuleError", message + advice.for_import(error, module_name, handler), error) from None
    except SyntaxError as error:
        raise errors.InitError("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}{place_of_nul(error)}", error) from None
    except SystemExit as error:
        raise errors.InitError("Runtime.ExitError", f"sys.exit({errors.exit_status(error)}) was called while '{module_name}' was imported", error) from None
    except BaseException as error:
        place = place_of_nul(error)
        if place:  # before Python 3.12 a ValueError
            raise errors.InitError("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}{place}", error) from None
        raise errors.InitError(errors.name_of(type(error)), errors.text_of(error), error) from None


def place_of_nul(error):
    """Python doesn't say in which file a NUL byte stands. Nothing for any other error."""
    if str(error) != "source code string cannot contain null bytes":
        return ""
    from _faasd import paths

    try:
        path = paths.last_file()
        with open(path, "rb") as file:
            before, nul, _ = file.read().partition(b"\0")
    except (OSError, ValueError):
        return ""
    line = before.count(b"\n") + 1
    return f" ({path}, line {line}: is it UTF-16? Python reads UTF-8)" if nul else ""


def find(module, module_name, function_name):
    function = getattr(module, function_name, None)
    if function is None:
        own = sorted(n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", None) == module_name and not n.startswith("_"))
        has = f"it defines {', '.join(own[:10])}" if own else "it defines no function"
        raise errors.InitError("Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}': {has}")
    if not callable(function):
        raise errors.InitError("Runtime.HandlerNotFound", f"Handler '{function_name}' of module '{module_name}' is no function, but of the type {errors.name_of(type(function))}")
    return function


def code_of(function):
    """(what was compiled, how many of its parameters are bound already), or (None, 0) for what was written in C and for functools.partial."""
    if isinstance(function, type):
        function = function.__init__
        bound = 1
    elif hasattr(function, "__code__"):
        bound = 1 if hasattr(function, "__self__") else 0
    else:
        function = type(function).__call__
        bound = 1
    code = getattr(function, "__code__", None)
    return (code, bound) if code else (None, 0)


def wants_context(function):
    """False for functions with one positional parameter, which are called with the event alone."""
    code, bound = code_of(function)
    return code is None or bool(code.co_flags & VARARGS) or code.co_argcount - bound != 1


def is_async(function):
    """Known before the first call, so that a template can import asyncio for its children."""
    code, _ = code_of(function)
    return code is not None and bool(code.co_flags & COROUTINE)
