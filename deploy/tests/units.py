"""Checks the systemd units: with systemd itself, and every command, flag, variable and time against the program."""

import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

UNITS = pathlib.Path(__file__).parent.parent / "systemd"
PROGRAM = "/usr/bin/entail"
# The time for closing beyond the grace period (docs/operations.md), in seconds.
CLOSING = 6


def settings(path):
    """The settings of a unit, with all values of each."""
    found = {}
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def verify(report, names):
    """Verifies with systemd, which needs the program to exist: another program takes its place."""
    if not shutil.which("systemd-analyze"):
        report.skip("systemd's units against systemd: there is no systemd-analyze")
        return
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            text = (UNITS / name).read_text().replace(PROGRAM, shutil.which("true"))
            # A template is verified as one of its instances.
            path = pathlib.Path(place, name.replace("@.", "@1."))
            path.write_text(text)
            done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
            said = done.stdout + done.stderr
            report.check(done.returncode == 0 and name.split(".")[0] not in said, f"{name}: {said}")


def check(report, entail):
    names = sorted(path.name for path in UNITS.glob("*.service"))
    report.check(len(names) == 3, f"there are other units: {names}")
    verify(report, names)
    for name in names:
        unit = settings(UNITS / name)
        report.check(unit["KillSignal"] == ["SIGTERM"], f"{name}: roles end in order at SIGTERM")
        stop = seconds(unit["TimeoutStopSec"][0])
        directory = "/".join(["%S", unit["StateDirectory"][0]])
        program, *arguments = shlex.split(unit["ExecStart"][0])
        report.check(program == PROGRAM and arguments[-1] == directory, f"{name}: {arguments} keeps its data elsewhere")
        if not entail:
            continue
        environment = dict(variable.split("=", 1) for variable in unit["Environment"])
        entail.judge(report, name, arguments, environment)
        text = entail.help(entail.command(arguments))
        grace = re.search(r"--grace <TIME>.*?\[default: (\w+)\]", text, re.DOTALL)
        report.check(grace and seconds(grace[1]) + CLOSING <= stop, f"{name}: {stop} s are too few for the grace")
        line = [entail.path, arguments[0], "--config", UNITS / "config.toml", "--help"]
        done = subprocess.run(line, capture_output=True, text=True)
        report.check(done.returncode == 0, f"config.toml: {arguments[0]}: {done.stderr}")
