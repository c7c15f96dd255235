# SPDX-License-Identifier: Apache-2.0
"""What people read says what the program does: build/programs/interface prints the program's own tables of commands, options and keys, and help texts,
man pages and the schema are held against them, both ways."""

import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import tempfile

import pytest

from harness import BUILD, FAASD, PROGRAMS, REPO, within

PAGES = ("faasd.1", "faasd.json.5", "faasd.config.5")
CLIENT = {"url", "root"}
# options that are the same wherever they occur, and are told once in faasd(1)
TOLD_ONCE = {"json", "url", "root"}
# defaults that depend on the machine, or on more than can be said by a value
OTHER_DEFAULTS = {
    "faasd.json.5": {"handler": "by the runtime", "imports": "those that the function was seen to import", "tmp_exec": "false; with runtime provided true",
                     "cpuset": "all", "pids": "64; with runtimes node and provided 512", "max_concurrency": "twice the cores",
                     "async_concurrency": "0, max_concurrency"},
    "faasd.config.5": {"listen": "8080 of 127.0.0.1 and [::1]", "defaults.max_concurrency": "twice the cores", "memory_budget": "75% of memory",
                       "etc": "what programs commonly read", "egress.dns": "those of /etc/resolv.conf"},
}


@pytest.fixture(scope="module")
def program():
    return json.loads(subprocess.run([str(PROGRAMS / "interface")], capture_output=True, text=True, check=True).stdout)


def page(name):
    return (REPO / "man" / name).read_text()


def section(text, title, kind="Sh"):
    """The lines of one section, up to the next of the same kind or above."""
    ends = r"^\.Sh |\Z" if kind == "Sh" else r"^\.S[hs] |\Z"
    found = re.search(rf"^\.{kind} {re.escape(title)}\n(.*?)(?={ends})", text, re.M | re.S)
    assert found, f"no section {title}"
    return found.group(1)


def items(text):
    """(head, body) of each item of the outermost list, inner lists being part of a body."""
    found, depth = [], 0
    for line in text.splitlines():
        if line.startswith(".Bl"):
            depth += 1
        elif line.startswith(".El"):
            depth -= 1
        elif line.startswith(".It") and depth == 1:
            found.append((line[len(".It "):], []))
            continue
        if found and depth >= 1:
            found[-1][1].append(line)
    return [(head, "\n".join(body)) for head, body in found]


def runs(program):
    """(command, verb or None, tables) of everything that parses options."""
    for command, what in program["commands"].items():
        for verb, tables in what.get("verbs", {None: what}).items():
            yield command, verb, tables["tables"]


def settings_flags(program):
    return {o["name"] for o in program["commands"]["deploy"]["tables"][1]}


def own_options(program, tables):
    """The options of a command that are no settings."""
    flags = settings_flags(program)
    return {o["name"]: o for table in tables for o in table if not (flags <= {x["name"] for x in table})}


def takes_settings(program, tables):
    return any(settings_flags(program) <= {o["name"] for o in table} for table in tables)


def help_of(command):
    done = subprocess.run([str(FAASD), "help", command], capture_output=True, text=True, check=True)
    return done.stdout


# ---- help texts ----

def test_the_overview_names_every_command(program):
    overview = subprocess.run([str(FAASD), "help"], capture_output=True, text=True, check=True).stdout
    named = re.findall(r"^  (\w+) +\w", overview.split("function/hello\n")[1], re.M)
    assert sorted(named) == sorted(program["commands"])


def told_in_help(text):
    """What the list of options of a help text names: lines such as '  -o, --output FILE write the body there'."""
    told = set()
    for line in text.splitlines():
        if re.match(r"  -", line):
            head = re.split(r"   +", line[2:], 1)[0] if "," in line else line[2:].split()[0]
            told |= set(re.findall(r"--([a-z][a-z-]*)", head if "--" in head else line))
    return told


def test_help_lists_every_option_of_a_command_and_no_other(program):
    for command, what in program["commands"].items():
        options, settings = {}, False
        for name, _, tables in runs(program):
            if name == command:
                options |= own_options(program, tables)
                settings |= takes_settings(program, tables)
        text = help_of(command)
        expected = set(options) | (settings_flags(program) if settings else set())
        assert told_in_help(text) == expected, (command, told_in_help(text) ^ expected)
        for option in options.values():
            if "letter" in option:
                assert re.search(rf"^  -{option['letter']}, --{option['name']}\b", text, re.M), (command, option)


def test_no_help_text_speaks_of_an_option_that_there_is_not(program):
    known = {o["name"] for _, _, tables in runs(program) for table in tables for o in table} | {"help"}
    for command in program["commands"]:
        spoken = set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", help_of(command)))
        assert spoken <= known, (command, spoken - known)


# ---- faasd(1) ----

def synopsis(text):
    """{(command, verb): the options' names and letters}, from the SYNOPSIS."""
    found = {}
    for part in re.split(r"^\.Nm\n", section(text, "SYNOPSIS"), flags=re.M)[1:]:
        words = re.match(r"\.Cm (.*)", part).group(1).split()
        verbs = [w for w in words[1:] if w != "|"] or [None]  # "invocation cancel | redrive"
        named = set(re.findall(r"Fl -?([A-Za-z][\w-]*)", part))
        if "Ar settings" in part:
            named.add("(settings)")
        for verb in verbs:
            found.setdefault((words[0], verb), set()).update(named)
    return found


def test_the_synopsis_has_every_command_with_its_options_and_no_other(program):
    text = page("faasd.1")
    found = synopsis(text)
    # `config show` is an operand of `config`, with options of its own
    found[("config", None)] |= found.pop(("config", "show"))
    told = {}
    for command, verb, tables in runs(program):
        options = own_options(program, tables)
        wanted = set(options) - (CLIENT if set(options) >= CLIENT else set())
        wanted = {options[n].get("letter") if options[n].get("letter") in found.get((command, verb), ()) else n for n in wanted}
        told[(command, verb)] = wanted | ({"(settings)"} if takes_settings(program, tables) else set())
    assert set(found) == set(told)
    for which, wanted in told.items():
        assert found[which] == wanted, (which, found[which] ^ wanted)


def test_the_description_explains_every_command_and_its_options(program):
    text = section(page("faasd.1"), "DESCRIPTION")
    about = {}
    for head, body in items(text.split(".Ss ")[0]):
        for name in re.findall(r"(?:^|, )Cm ((?:[a-z]+ ?)+)", head.replace(" Ar ", " | ").replace(" Op ", " | ").replace(" Fl ", " | ")):
            about[name.strip()] = about.get(name.strip(), "") + head + "\n" + body + "\n"
    for command, verb, tables in runs(program):
        told = about[f"{command} {verb}" if verb else command]
        if command == "config":
            told += about["config show"]
        options = own_options(program, tables)
        missing = {n for n, o in options.items() if n not in TOLD_ONCE and f"Fl -{n}" not in told and f"Fl {o.get('letter')} " not in told}
        assert not missing, (command, verb, missing)
        known = set(options) | {o.get("letter") for o in options.values()} | settings_flags(program)
        spoken = set(re.findall(r"Fl -?([A-Za-z][\w-]*)", told))
        assert spoken <= known | {"-"}, (command, verb, spoken - known)


def test_every_setting_is_an_option_of_the_page(program):
    heads = [head for head, _ in items(section(page("faasd.1"), "Settings", "Ss"))]
    told = [name for head in heads for name in re.findall(r"Fl -([a-z][a-z-]*)", head)]
    assert sorted(told) == sorted(settings_flags(program) - {"no-secrets"})
    assert ".Fl -no-secrets" in page("faasd.1")


def test_exit_statuses_are_those_of_the_program():
    program = re.findall(r"CMD_\w+ = (\d+),", (REPO / "src/cmd/cmd.h").read_text())
    told = [head for head, _ in items(section(page("faasd.1"), "EXIT STATUS"))]
    overview = subprocess.run([str(FAASD), "help"], capture_output=True, text=True, check=True).stdout
    line = re.search(r"^Exit status: (.*)\.$", overview, re.M).group(1)
    assert told == program and [part.split()[0] for part in line.split(", ")] == program


# ---- faasd.json(5), faasd.config(5), the schema ----

def keys_of(name):
    """{key: (kind, default, text)} of every item of the page that describes a key."""
    found = {}
    text = section(page(name), "DESCRIPTION")
    for part in re.split(r"^\.Ss .*\n", text, flags=re.M)[1:]:
        for head, body in items(part):
            key = re.fullmatch(r"Cm ([\w.$]+) Ar (\w+)(?: Pq (.*))?", head)
            assert key, head
            assert key.group(1) not in found, head
            found[key.group(1)] = (key.group(2), key.group(3), body)
    return found


def as_told(value):
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value in ("", [], {}) else str(value)


@pytest.mark.parametrize("name,rows,defaults", [("faasd.json.5", "settings", "settings_defaults"), ("faasd.config.5", "config", "config_defaults")])
def test_a_page_has_every_key_with_its_kind_and_default(program, name, rows, defaults):
    told = keys_of(name)
    told.pop("$schema", None)
    assert set(told) == set(program[rows]), set(told) ^ set(program[rows])
    for key, row in program[rows].items():
        kind, default, text = told[key]
        value = program[defaults][key]
        value = value["value"] if rows == "config" else value
        assert kind == row["kind"], key
        assert default == OTHER_DEFAULTS[name].get(key, as_told(value)), key
        for choice in row.get("choices", ()):
            assert re.search(rf"\b{choice}\b", text), (key, choice)


def test_which_keys_need_a_restart_is_said(program):
    said = re.search(r"^A change of\n(.*?)needs a restart", page("faasd.config.5"), re.M | re.S).group(1)
    assert re.findall(r"Cm ([\w.]+)", said) == [key for key, row in program["config"].items() if row["restart"]]


def test_which_defaults_the_configuration_sets_is_said(program):
    said = re.search(r"^Of\n\.Cm (.*?)the configuration may set another", section(page("faasd.json.5"), "DESCRIPTION"), re.M | re.S).group(1)
    told = set(re.findall(r"[a-z_]{3,}", said)) - {"and"}
    assert told == {key.split(".")[1] for key in program["config"] if key.startswith("defaults.")}


def test_grants_that_the_manifest_speaks_of_are_keys_of_the_configuration(program):
    spoken = set(re.findall(r"grants\.\w+", page("faasd.json.5")))
    assert spoken == {key for key in program["config"] if key.startswith("grants.")}


def test_the_schema_has_every_key_with_its_choices_and_default(program):
    properties = json.loads((REPO / "docs/faasd.schema.json").read_text())["properties"]
    assert list(properties) == ["$schema", *program["settings"]]
    for key, row in program["settings"].items():
        if "choices" in row:
            assert properties[key]["enum"] == [*row["choices"], None], key
        default = as_told(program["settings_defaults"][key])
        spoken = re.search(r"default(?: is)? (\d\w*)", properties[key]["description"])
        if spoken:
            assert spoken.group(1) == default, key


def test_examples_of_the_pages_are_accepted(program, tmp_path):
    example = re.search(r"^\.Bd.*?\n(\{.*?\n\})\n\.Ed", page("faasd.config.5"), re.M | re.S).group(1)
    (tmp_path / "config.json").write_text(example)
    done = subprocess.run([str(FAASD), "serve", "--check-config", "--config", str(tmp_path / "config.json")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    manifest = re.search(r"^\.Bd.*?\n(\{.*?\n\})\n\.Ed", page("faasd.json.5"), re.M | re.S).group(1)
    keys = re.findall(r'^    "([\w$]+)":', manifest, re.M)
    assert keys and set(keys) <= set(program["settings"]) | {"$schema"}


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_are_good_mdoc(name):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(REPO / "man" / name)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_page_is_held_against_the_program():
    assert sorted(PAGES) == sorted(p.name for p in (REPO / "man").iterdir())


def test_how_many_system_calls_are_left_is_what_the_lists_say():
    left = {name: len((REPO / "tests/escape/golden" / name).read_text().splitlines()) for name in ("default.x86_64", "default.aarch64", "strict.x86_64", "strict.aarch64")}
    overview, table = (REPO / "README.md").read_text(), (REPO / "docs/ARCHITECTURE.md").read_text()
    assert f"{left['default.x86_64']} calls are left, {left['strict.x86_64']} with `--seccomp strict`" in overview
    for profile in ("default", "strict"):
        counts = re.search(rf"^\| {profile} \|.*\| (\d+), (\d+) \|$", table, re.M).groups()
        assert counts == (str(left[f"{profile}.x86_64"]), str(left[f"{profile}.aarch64"])), profile
    here = json.loads(subprocess.run([str(FAASD), "check", "--system-calls", "template", "--json"], capture_output=True, text=True, check=True).stdout)["calls"]
    template = re.search(r"^\| template \|.*\| (\d+), (\d+) \|$", table, re.M).groups()
    assert str(here) == template[platform.machine() == "aarch64"]


# -- make serve --

@pytest.fixture
def open_root():
    with tempfile.TemporaryDirectory(prefix="faasd-test-") as root:
        os.chmod(root, 0o755)
        yield pathlib.Path(root)


def test_examples_that_can_not_be_deployed_leave_no_daemon(open_root):
    (open_root / "config.json").write_text('{"archive_bytes": "1K"}')
    environment = dict(os.environ, FAASD_BUILD=str(BUILD), FAASD_ROOT=str(open_root), FAASD_LISTEN="127.0.0.1:0")
    done = subprocess.run([REPO / "scripts/serve-examples"], env=environment, capture_output=True, text=True, timeout=within(60))
    assert done.returncode == 1 and "archive_bytes" in done.stderr, done.stderr
    assert "Try, in another terminal" not in done.stdout
    daemon = int((open_root / "run/lock").read_text())
    assert not pathlib.Path(f"/proc/{daemon}").exists()


def test_examples_are_served_until_they_are_interrupted(open_root):
    environment = dict(os.environ, FAASD_BUILD=str(BUILD), FAASD_ROOT=str(open_root), FAASD_LISTEN="127.0.0.1:0")
    # As at a terminal: whatever started the tests may ignore SIGINT, and a shell that was started so can't be interrupted.
    with subprocess.Popen([REPO / "scripts/serve-examples"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as script:
        said = ""
        while "Ctrl-C stops the server" not in said:
            line = script.stdout.readline()
            assert line, script.stderr.read()
            said += line
        port = re.search(r"http://127\.0\.0\.1:(\d+)/function/hello", said)[1]
        reply = subprocess.run(["curl", "-sS", "-d", '{"name":"world"}', f"http://127.0.0.1:{port}/function/hello"], capture_output=True, text=True, timeout=within(30))
        assert json.loads(reply.stdout) == {"message": "hello world"}, reply.stderr
        daemon = int((open_root / "run/lock").read_text())
        script.send_signal(signal.SIGINT)
        assert script.wait(within(30)) == 0
    assert not pathlib.Path(f"/proc/{daemon}").exists()
