# SPDX-License-Identifier: Apache-2.0
"""Sentences for whoever deployed a function that can't be imported: what is missing, and what to do about it."""
import os
import platform
import re
import sys

from _faasd import errors, paths

TASK_ROOT = errors.TASK_ROOT
RUNS_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"

# Modules that AWS's own Python runtime brings along and Debian has as packages of these names.
AWS_MODULES = {"boto3": "python3-boto3", "botocore": "python3-botocore", "s3transfer": "python3-s3transfer", "jmespath": "python3-jmespath"}
AWS_ONLY = {"awslambdaric", "runtime_client", "bootstrap"}

# e_machine of an ELF file
MACHINES = {3: "i686", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64", 22: "s390x"}
TAG = re.compile(r"\.(?:cpython-(?P<cpython>\d+)[a-z]*|pypy(?P<pypy>\d+)-\w+|abi3)(?:-(?P<platform>[\w-]+))?\.so$")


def for_import(error, module_name="", handler=""):
    """": " and a sentence, or nothing that could be said."""
    try:
        said = advise(error, module_name, handler)
    except Exception:  # advice that fails must not hide the error
        said = ""
    return f": {said}" if said else ""


def advise(error, module_name, handler):
    missing = missing_name(error)
    if missing and (missing == module_name or module_name.startswith(missing + ".")):
        return no_such_module(module_name, handler)
    if missing:
        wrong = wrong_extension(missing)
        return wrong or not_installed(missing)
    return broken_library(error)


def missing_name(error):
    """The module that was not found, also behind an ImportError that a package made of it."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name
        error = error.__cause__ or error.__context__
    return ""


# -- the handler's own module --


def no_such_module(module_name, handler):
    file = module_name.replace(".", "/") + ".py"
    if module_name.endswith(".py") or handler.endswith(".py"):
        return f"the handler '{handler}' must name a module and a function, not a file: '{handler.rpartition('.')[0]}.handler'"
    there = sorted(name[:-3] for name in os.listdir(TASK_ROOT) if name.endswith(".py"))
    has = f"; there is {', '.join(name + '.py' for name in there[:8])}: --handler {there[0]}.FUNCTION" if there else ", nor any other .py file in its top directory"
    return f"the handler is '{handler}', but there is no {file} in what was deployed{has}"


# -- a dependency that nobody installed --


def not_installed(name):
    top = name.partition(".")[0]
    if top in AWS_MODULES and top not in requirements():
        install = f"install {AWS_MODULES[top]}, or " if paths.finds_host_packages else ""
        return f"{top} is part of AWS's managed runtime, not of this host: {install}put it in the archive (pip install {top} -t DIR)"
    if top in AWS_ONLY:
        return f"{top} is part of AWS's managed runtime and has no use here"
    if os.path.isdir(os.path.join(TASK_ROOT, top)) and "." in name:
        return f"the archive has {top}, but not all of it: install it again (pip install --upgrade --force-reinstall {top} -t DIR)"
    package = requirements().get(top.lower())
    if package:
        return f"requirements.txt asks for {package}, but nobody has installed it: pip install -r requirements.txt -t DIR, then deploy DIR (or --venv)"
    elsewhere = [v for v in other_environments() if os.path.isdir(f"{v}/{top}") or os.path.isfile(f"{v}/{top}.py")]
    if elsewhere:
        return f"it is in {elsewhere[0]}, which is not used: name the virtual environment with --venv"
    return f"put it in the archive (pip install {top} -t DIR), or deploy a virtual environment that has it (--venv)"


def requirements():
    """{module as it is probably imported: the line's package}"""
    found = {}
    try:
        with open(os.path.join(TASK_ROOT, "requirements.txt"), encoding="utf-8", errors="replace") as file:
            for line in file:
                match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line)
                if match:
                    package = match.group(1)
                    plain = package.lower().replace("-", "_").replace(".", "_")
                    found[IMPORTED_AS.get(plain, plain)] = package
    except OSError:
        pass
    return found


IMPORTED_AS = {"pillow": "pil", "pyyaml": "yaml", "beautifulsoup4": "bs4", "python_dateutil": "dateutil", "opencv_python": "cv2", "scikit_learn": "sklearn"}


def other_environments():
    try:
        names = sorted(os.listdir(TASK_ROOT))
    except OSError:
        return []
    found = [f"{TASK_ROOT}/{name}/lib/{paths.VERSION}/site-packages" for name in names]
    return [path for path in found if os.path.isdir(path) and path not in sys.path]


# -- compiled modules --


def wrong_extension(name):
    """'numpy.core._multiarray_umath' is missing, but there is a file of it for another Python or another processor."""
    parts = name.split(".")
    for base in sys.path:
        directory = os.path.join(base, *parts[:-1])
        try:
            files = sorted(f for f in os.listdir(directory) if f.startswith(parts[-1] + ".") and f.endswith(".so"))
        except OSError:
            continue
        for file in files:
            said = judge(os.path.join(directory, file))
            if said:
                return said
    return ""


def judge(path):
    """What is wrong with a compiled module for this interpreter; nothing when it fits."""
    tag = TAG.search(path)
    made_for, needs = [], []
    if tag and tag.group("cpython"):
        digits = tag.group("cpython")
        version = f"{digits[0]}.{digits[1:]}"
        if version != RUNS_VERSION:
            made_for.append(f"CPython {version}")
            needs.append(f"--runtime python{version}")
    elif tag and tag.group("pypy"):
        made_for.append("PyPy")
    if tag and "musl" in (tag.group("platform") or "") and "musl" not in library_suffix():
        made_for.append("musl")
    machine = machine_of(path)
    if machine and machine != platform.machine():
        made_for.append(machine)
        needs = []
    if not made_for:
        return ""
    top, slash, _ = path[len(TASK_ROOT) + 1 :].partition("/")
    package = (top if slash else top.partition(".")[0]) if errors.is_task_file(path) else "the package"
    again = f"pip install --only-binary=:all: --python-version {RUNS_VERSION} --platform manylinux2014_{platform.machine()} {package} -t DIR"
    either = f", or deploy with {needs[0]}" if needs else ""
    return f"'{path}' is compiled for {' on '.join(made_for)}, this function runs on CPython {RUNS_VERSION} on {platform.machine()}: {again}{either}"


def library_suffix():
    from importlib.machinery import EXTENSION_SUFFIXES

    return EXTENSION_SUFFIXES[0]


def machine_of(path):
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError:
        return ""
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return ""
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return MACHINES.get(number, f"processor {number}")


def broken_library(error):
    """A compiled module was found, but can't be loaded."""
    text = str(error)
    path = getattr(error, "path", None) or ""
    if path.endswith(".so"):
        said = judge(path)
        if said:
            return said
    missing = re.match(r"(\S+\.so[.\d]*): cannot open shared object file", text)
    if missing:
        return f"the shared library {missing.group(1)} is not on this host: install its package, or put the library in /var/task/lib of the archive"
    needs = re.search(r"version `(GLIBC\w*_[\d.]+)' not found", text)
    if needs:
        return f"it was built on a newer system ({needs.group(1)}): install a manylinux2014 wheel, or build it here"
    return ""
