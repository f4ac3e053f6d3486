"""The expected facts of the cluster: LUBM-1 and all facts that its rules entail.

The program that is built here makes the input and measures it on a cluster of processes (`entail bench lubm`); the
cluster on Kubernetes must come to the same counts.
"""

import hashlib
import json
import pathlib
import subprocess
import tempfile

from kubernetes import Failed, until
from load import NAME

BENCH = pathlib.Path(__file__).resolve().parents[3] / "bench"
# Facts that `helm test` adds: its family's parents and ancestors.
FAMILY = (39, 780)
# Queries after every step: a join over two nodes, a triangle over three, many rows, few rows.
ASKED = ("q02", "q09", "q06", "q12")


def query(name):
    return (BENCH / "queries" / "lubm" / f"{name}.rq").read_text()


class Lubm:
    """Generated while the cluster is installed."""

    def __init__(self, entail):
        self.directory = tempfile.TemporaryDirectory(prefix="entail-test-kube-")
        command = [entail, "bench", "lubm", "--universities", "1", "--keep", self.directory.name, "--quiet"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self):
        output, errors = self.process.communicate(timeout=600)
        if self.process.returncode != 0:
            raise Failed(f"entail bench lubm: {errors}")
        lines = [json.loads(line) for line in output.splitlines()]
        steps = {line["step"]: line for line in lines if line["line"] == "measurement"}
        self.asserted, self.derived = steps["load"]["facts"], steps["rules"]["facts"]
        self.rows = {name: step["rows"] for name, step in steps.items() if "rows" in step}
        self.text = (pathlib.Path(self.directory.name) / "lubm-1.nt").read_text()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.communicate()
        self.directory.cleanup()


class Facts:
    def __init__(self, kubernetes, lubm):
        self.kubernetes, self.lubm = kubernetes, lubm
        self.fingerprint = None

    def entail(self, *arguments, **options):
        return self.kubernetes.execute(NAME, "entail", *arguments, **options)

    def status(self):
        return json.loads(self.entail("status", "--output", "json"))

    def load(self):
        """Loads facts and rules from a client inside the cluster."""
        self.entail("load", "-", "--format", "ntriples", "--timeout", "5m", text=self.lubm.text, seconds=320)
        rules = (BENCH / "rules" / "lubm.srl").read_text()
        self.entail("rules", "apply", "-", "--name", "lubm", "--timeout", "5m", text=rules, seconds=320)
        expected = (self.lubm.asserted + FAMILY[0], self.lubm.derived + FAMILY[1])
        until(f"the facts are {expected}", lambda: self.counts() == expected, 60)
        self.fingerprint = self.take()

    def counts(self):
        status = self.status()
        return status["facts_asserted"], status["facts_derived"]

    def rows(self, name):
        lines = self.entail("query", "--output", "tsv", "--timeout", "60s", query(name)).splitlines()[1:]
        return sorted(lines)

    def take(self):
        """Counts, and a checksum of some queries' rows."""
        checksum = hashlib.sha256()
        for name in ASKED:
            rows = self.rows(name)
            if len(rows) != self.lubm.rows[name]:
                raise Failed(f"{name} has {len(rows)} rows instead of {self.lubm.rows[name]}")
            checksum.update("\n".join(rows).encode())
        return (*self.counts(), checksum.hexdigest()[:12])

    def check(self):
        """Checks that the facts are unchanged. Nodes report their counts with heartbeats, so these may lag."""
        until("the counts are as they were", lambda: self.counts() == self.fingerprint[:2], 60)
        found = self.take()
        if found != self.fingerprint:
            raise Failed(f"the facts are {found} instead of {self.fingerprint}")

    def dump(self):
        """A checksum of every fact."""
        text = self.entail("dump", "--all-graphs", "--content", "all", "--timeout", "5m", seconds=320)
        lines = sorted(text.splitlines())
        return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
