"""Parses a Dockerfile into stages: enough for the checks that need no container engine.

    parse(text) -> [Stage]      Stage: name, base, instructions [(KEYWORD, value, flags)]
"""

import dataclasses
import json
import re
import shlex

KEYWORDS = {
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "ONBUILD", "RUN", "SHELL",
    "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}


@dataclasses.dataclass
class Stage:
    name: str
    base: str
    instructions: list

    def values(self, keyword):
        return [value for found, value, _ in self.instructions if found == keyword]

    def pairs(self, keyword):
        """NAME=VALUE of LABEL and ENV."""
        words = [word for value in self.values(keyword) for word in shlex.split(value)]
        return dict(word.split("=", 1) for word in words)


def parse(text):
    """The stages; ValueError for a line that is not an instruction."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages, arguments = [], {}
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword not in KEYWORDS:
            raise ValueError(f"no instruction: {line}")
        flags = {}
        while found := re.match(r"--([a-z-]+)=(\S+)\s+", value):
            flags[found[1]] = found[2]
            value = value[found.end():]
        if keyword == "ARG":
            name, _, default = value.partition("=")
            arguments[name] = default
        elif keyword == "FROM":
            base, _, name = value.partition(" AS ")
            base = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], base)
            stages.append(Stage(name, base, []))
            continue
        if stages:
            stages[-1].instructions.append((keyword, value.strip(), flags))
    return stages


def words(value):
    """The JSON form of CMD and ENTRYPOINT; ValueError for the other, which needs a shell."""
    return json.loads(value)
