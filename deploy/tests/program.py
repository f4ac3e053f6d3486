"""The real program, asked which commands, flags and environment variables it knows.

The program ignores variables that it does not know, and a misspelt one would go unnoticed: so every name is looked up in
`--help` of the very command that gets it. That values parse is seen by running the commands (cluster.py).
"""

import functools
import os
import re
import subprocess

# Read by the program's telemetry, not by its command line; names of the OpenTelemetry specification.
OTEL = {
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
}


class Program:
    def __init__(self, path):
        self.path = os.path.abspath(path)

    @functools.cache
    def help(self, command):
        """The help of a command such as ("rules", "apply")."""
        environment = {"PATH": os.environ["PATH"], "COLUMNS": "200"}
        done = subprocess.run([self.path, *command, "--help"], capture_output=True, text=True, env=environment)
        return done.stdout if done.returncode == 0 else ""

    def variables(self, command):
        named = set(re.findall(r"\[env:\s+(ENTAIL_[A-Z_]+)=", self.help(command)))
        return named | set(re.findall(r"\b(ENTAIL_LOG)=FILTER", self.help(command))) | OTEL

    def flags(self, command):
        return set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)\b", self.help(command)))

    def command(self, arguments):
        """The words of the arguments that name the command: `rules apply` of `rules apply FILE`."""
        words = ()
        for word in arguments:
            if not re.fullmatch(r"[a-z]+", word) or not re.search(rf"^  {word}\s", self.help(words), re.MULTILINE):
                break
            words += (word,)
        return words

    def judge(self, report, where, arguments, environment):
        """Checks the names of a command line and its environment."""
        command = self.command(arguments)
        if not report.check(bool(command), f"{where}: no command of the program: {arguments}"):
            return
        known = self.flags(command)
        for word in arguments:
            flag = word.split("=")[0]
            if flag.startswith("-"):
                report.check(flag in known, f"{where}: `{' '.join(command)}` has no flag {flag}")
        for name in environment:
            if name.startswith(("ENTAIL_", "OTEL_")):
                known_here = name in self.variables(command)
                report.check(known_here, f"{where}: `{' '.join(command)}` reads no variable {name}")


def find():
    """The program to check against: $ENTAIL, or what cargo built; None if there is none."""
    root = os.path.join(os.path.dirname(__file__), "..", "..")
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target"))
    candidates = [os.environ.get("ENTAIL"), f"{target}/debug/entail", f"{target}/release/entail"]
    for path in candidates:
        if path and os.access(path, os.X_OK):
            return Program(path)
    return None
