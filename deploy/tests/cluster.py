"""Runs the roles of a deployment as processes of this machine, with the arguments and environment that it gives them.

Only what names the place is replaced: addresses that are listened on get free ports of the loopback, addresses that are
called are resolved as the deployment would (the caller says how) to the process they lead to, and data directories and
files are in a temporary directory. Everything else reaches the program as it was written.

    Process(name, arguments, environment, files)   listens on 0.0.0.0:PORT ...
    resolve(host, port) -> (process name, port)     ... and is found through Services or names
"""

import dataclasses
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

START_SECONDS_MAX = 60
END_SECONDS_MAX = 60
LISTEN = re.compile(r"^0\.0\.0\.0:(\d+)$")
CALL = re.compile(r"^(http://)?([a-z0-9][a-z0-9.-]*):(\d+)$")


@dataclasses.dataclass
class Process:
    name: str
    arguments: list
    environment: dict
    # Path in the container -> text
    files: dict = dataclasses.field(default_factory=dict)


class Cluster:
    """A context: roles are started on entering and killed on leaving, if they are still there."""

    def __init__(self, program, roles, resolve):
        self.program, self.roles, self.resolve = program, roles, resolve
        self.directory = tempfile.TemporaryDirectory(prefix="entail-check-")
        self.ports, self.running, self.reserved = {}, {}, []

    def __enter__(self):
        for role in self.roles:
            for value in role.environment.values():
                if found := LISTEN.match(value):
                    self.ports[role.name, int(found[1])] = self.free_port()
        for held in self.reserved:
            held.close()
        try:
            for role in self.roles:
                self.running[role.name] = self.start(role)
        except BaseException:
            # Processes that run already would not be ended otherwise.
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        self.directory.cleanup()

    def free_port(self):
        # Kept open until all ports are chosen, so that none is chosen twice.
        held = socket.socket()
        held.bind(("127.0.0.1", 0))
        self.reserved.append(held)
        return held.getsockname()[1]

    def here(self, process, value):
        """The value as it must be on this machine."""
        if found := LISTEN.match(value):
            return f"127.0.0.1:{self.ports[process.name, int(found[1])]}"
        if found := CALL.match(value):
            role, port = self.resolve(found[2], int(found[3]))
            return f"{found[1] or ''}127.0.0.1:{self.ports[role, port]}"
        return value

    def prepare(self, process):
        own = os.path.join(self.directory.name, process.name)
        os.makedirs(own, exist_ok=True)
        moved = {}
        for index, (path, text) in enumerate(sorted(process.files.items())):
            moved[path] = os.path.join(own, f"{index}-{os.path.basename(path)}")
            with open(moved[path], "w", encoding="utf-8") as file:
                file.write(text)
        environment = {"PATH": os.environ["PATH"]}
        for name, value in process.environment.items():
            # No collector runs here, so traces are not exported.
            if not name.startswith("OTEL_EXPORTER_"):
                environment[name] = self.here(process, value)
        if "ENTAIL_DATA" in environment:
            environment["ENTAIL_DATA"] = os.path.join(own, "data")
        arguments = [moved.get(argument, argument) for argument in process.arguments]
        return [self.program.path, *arguments], environment

    def start(self, role):
        command, environment = self.prepare(role)
        with open(os.path.join(self.directory.name, f"{role.name}.log"), "wb") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def log(self, name):
        with open(os.path.join(self.directory.name, f"{name}.log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    def run(self, process):
        """Runs a command to its end: its exit code and its output."""
        command, environment = self.prepare(process)
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=START_SECONDS_MAX + 30)
        except subprocess.TimeoutExpired:
            return None, "it did not end"
        return done.returncode, done.stdout + done.stderr

    def http(self, role, port, path):
        """The status that a role answers over HTTP; waits until it listens."""
        url = f"http://127.0.0.1:{self.ports[role, port]}{path}"
        end = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                return urllib.request.urlopen(url, timeout=5).status
            except urllib.error.HTTPError as error:
                return error.code
            except OSError as error:
                if time.monotonic() > end:
                    return str(error)
                time.sleep(0.1)

    def stop(self, report):
        """Sends SIGTERM to every role, in any order: each must end by itself with code 0."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self.running.items():
            try:
                code = process.wait(END_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                code = "no end"
            report.check(code == 0, f"{name}: SIGTERM gave {code} instead of 0\n{self.log(name)}")
