# SPDX-License-Identifier: Apache-2.0
"""Where modules come from: /var/task first, layers, the standard library, the virtual environment, what the host's packages install.

The interpreter may be started with -S, which saves a quarter of its start: what `site` does is then done here, as far as functions need it.
"""
import builtins
import os
import sys

from _faasd import errors

TASK_ROOT = errors.TASK_ROOT
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
IMPORTS_MAX = 1000  # characters of the list that READY takes along

# Debian's setuptools replaces distutils by it, at the cost of a millisecond in every process.
NOT_FOR_FUNCTIONS = "distutils-precedence.pth"


finds_host_packages = False  # what `apt install python3-NAME` brings: not by an interpreter outside of /usr, nor from every virtual environment


class Finder:
    """First in line: notes what the function's own files import, and sets logging up. Finds nothing else itself."""

    def __init__(self):
        self.seen = {}  # a set that keeps its order
        self.logging_found = False
        self.last = ("", None)  # what was looked for last, and where: while a module is compiled, that one

    def find_spec(self, name, path=None, target=None):
        self.last = (name, path)
        if path is None:
            self.note(name)
        if name == "logging" and not self.logging_found:
            self.logging_found = True
            from _faasd import logs

            return logs.spec_of(name, path, target)
        return None

    def note(self, name):
        frame = sys._getframe(2)
        while frame and frame.f_code.co_filename.startswith("<frozen importlib"):
            frame = frame.f_back
        if frame and errors.is_task_file(frame.f_code.co_filename):
            self.seen[name] = True


class OwnModule:
    """Last in line: a function's own faasd.py comes first."""

    def __init__(self, here):
        self.here = here

    def find_spec(self, name, path=None, target=None):
        if name != "faasd" or path is not None:
            return None
        from _frozen_importlib_external import spec_from_file_location  # importlib.util, without what it imports

        return spec_from_file_location(name, f"{self.here}/faasd.py")


def set_up(here):
    """Raises errors.InitError when the virtual environment is none."""
    global finds_host_packages
    venv = os.environ.get("FAASD_VENV")
    host = host_directories()
    sys.path[:] = [p for p in sys.path if p not in host]
    layers = [p for p in (f"/opt/python/lib/{VERSION}/site-packages", "/opt/python") if os.path.isdir(p)]
    sys.path[:0] = [TASK_ROOT, *layers]
    if venv:
        use_host = add_virtual_environment(os.path.join(TASK_ROOT, venv))
        host = host if use_host else []
    finds_host_packages = sys.prefix == "/usr" and bool(host)
    for directory in host:
        if os.path.isdir(directory):
            add_directory(directory)
    if not hasattr(builtins, "exit"):  # site's, too
        builtins.exit = builtins.quit = sys.exit
    finder = Finder()
    sys.meta_path.insert(0, finder)
    sys.meta_path.append(OwnModule(here))
    return finder


def last_file():
    """Of the module that was looked for last."""
    finder = next(f for f in sys.meta_path if isinstance(f, Finder))
    name, path = finder.last
    from _frozen_importlib_external import PathFinder

    spec = PathFinder.find_spec(name, path)
    return spec.origin if spec else ""


def host_directories():
    """Where the host's packages are, whether or not `site` has been there already (it is not with -S)."""
    found = [p for p in sys.path if p.endswith(("/site-packages", "/dist-packages"))]
    for prefix in ("/usr/local", "/usr") if sys.prefix == "/usr" else (sys.prefix,):
        for directory in (
            f"{prefix}/{sys.platlibdir}/{VERSION}/site-packages",
            f"{prefix}/lib/{VERSION}/site-packages",
            f"{prefix}/lib/{VERSION}/dist-packages",
            f"{prefix}/lib/python3/dist-packages",
        ):
            if directory not in found:
                found.append(directory)
    return found


def add_directory(directory):
    sys.path.append(directory)
    names = [n for n in os.listdir(directory) if n.endswith(".pth") and n != NOT_FOR_FUNCTIONS]
    if not names:
        return
    import site

    known = set(sys.path)
    for name in sorted(names):
        site.addpackage(directory, name, known)


def add_virtual_environment(venv):
    """True when it also wants the host's packages."""
    directory = f"{venv}/lib/{VERSION}/site-packages"
    if not os.path.isdir(directory):
        raise errors.InitError("Runtime.InvalidVirtualEnvironment", describe_wrong_environment(venv))
    sys.path[:] = [p for p in sys.path if p != directory]
    add_directory(directory)
    try:
        with open(f"{venv}/pyvenv.cfg", encoding="utf-8", errors="replace") as file:
            options = [line.replace(" ", "").strip().lower() for line in file]
    except OSError:
        return True
    return "include-system-site-packages=false" not in options


def describe_wrong_environment(venv):
    runs = f"CPython {sys.version_info[0]}.{sys.version_info[1]}"
    try:
        others = sorted(n for n in os.listdir(f"{venv}/lib") if n.startswith("python"))
    except OSError:
        others = []
    if others:
        return (
            f"the virtual environment '{venv}' was made for {', '.join(others)}, this function runs on {runs}: "
            f"deploy with --runtime {others[0]}, or make it again with {VERSION} -m venv"
        )
    return f"'{venv}' is no virtual environment (it has no lib/{VERSION}/site-packages): make one with {VERSION} -m venv, and name its directory in `venv`"


def import_ahead(names):
    """What is loaded before the function's own code. A name that is not there is no error: the list may be older than the code."""
    loaded = []
    for name in filter(None, (n.strip() for n in names.split(","))):
        try:
            __import__(name)
            loaded.append(name)
        except BaseException as error:
            errors.complain(f"faasd: `imports`: {name} is not imported ahead: {errors.name_of(type(error))}: {errors.text_of(error)}")
    return loaded


def list_imports(finder, ahead):
    """For READY: what this function's files import, in the order in which they do."""
    text = ""
    for name in dict.fromkeys([*ahead, *finder.seen]):
        if name not in sys.modules or is_own_code(sys.modules[name]):
            continue
        longer = f"{text},{name}" if text else name
        if len(longer) > IMPORTS_MAX:
            break
        text = longer
    return text


def is_own_code(module):
    """A file of the function itself: it is loaded in the order that the function wants."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None) or ""
    return errors.is_task_file(origin) and "/site-packages/" not in origin
