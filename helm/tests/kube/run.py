"""Tests the chart on a real Kubernetes, whichever KUBECONFIG names: `make test-kube`.

    namespace (restricted) ──► helm install, helm test ──► LUBM-1 and its rules ──► questions, asked all the while
    steps.py: upgrade, Pods deleted and killed, a machine without power, evictions, growth, uninstall and install again
    after each: the same facts; every question that failed has a reason that says that it may be asked again

Settings, all of them environment variables:

    ENTAIL_KUBE_IMAGE      the image, REPOSITORY:TAG, where the cluster finds it            entail:0.1.0
    ENTAIL_KUBE_NAMESPACE  made for the test, and removed                                   entail-test-kube
    ENTAIL_KUBE_KEEP       not empty: the namespace stays when the test ends
    ENTAIL_KUBE_KILL       a command that kills a Pod's process with SIGKILL from outside: {namespace}, {pod}, {machine}
    ENTAIL_KUBE_NODE_OFF   a command that takes the power from a machine: {machine}
    ENTAIL_KUBE_NODE_ON    a command that boots it again: {machine}

What has no command is skipped, and said. The program that is built here ($ENTAIL, or the target directory's) makes the
input. It needs kubectl and helm, and of Python only the standard library.
"""

import pathlib
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "deploy" / "tests"))

import program  # noqa: E402
from facts import Facts, Lubm, query  # noqa: E402
from kubernetes import Failed, Kubernetes, setting, until  # noqa: E402
from load import NAME, Load, pod  # noqa: E402
from steps import FULL, RELEASE, Skipped, Steps  # noqa: E402


def question():
    prologue, body = query("q09").split("SELECT", 1)
    return prologue[prologue.index("PREFIX"):] + "SELECT (COUNT(*) AS ?n) " + body[body.index("{"):]


class Test:
    def __init__(self, entail):
        image = setting("IMAGE", "entail:0.1.0")
        self.kubernetes = Kubernetes(setting("NAMESPACE", "entail-test-kube"))
        self.lubm = Lubm(entail)
        self.facts = Facts(self.kubernetes, self.lubm)
        self.steps = Steps(self.kubernetes, self.facts, image)
        self.image, self.load, self.rows, self.skipped = image, None, [], []
        self.started = time.monotonic()

    def tell(self, text):
        print(f"{time.monotonic() - self.started:6.0f} s  {text}", flush=True)

    def prepare(self):
        self.kubernetes.create()
        for name, action in (("install", self.steps.install), ("helm test", self.steps.helm_test)):
            started = time.monotonic()
            note = action()
            self.row(name, time.monotonic() - started, None, note)
        self.lubm.finish()
        labels = {"app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/component": "coordinator"}
        self.load = Load(self.kubernetes, str(self.lubm.rows["q09"]))
        server = f"http://{FULL}.{self.kubernetes.namespace}.svc:7400"
        self.kubernetes.apply(pod(self.image, server, question(), labels))
        until("the client's Pod runs", lambda: self.kubernetes.get("pod", NAME)["status"]["phase"] == "Running")
        started = time.monotonic()
        self.facts.load()
        asserted, derived, checksum = self.facts.fingerprint
        self.row("load LUBM-1 and its rules", time.monotonic() - started, None, f"{asserted} asserted, {derived} derived")
        self.load.start()

    def row(self, name, seconds, tally, note):
        self.rows.append((name, seconds, tally, note))
        asked = "; questions, failures, slowest, outage: " + ", ".join(tally.cells()) if tally else ""
        self.tell(f"{name}: {seconds:.0f} s{'; ' if note else ''}{note}{asked}")

    def step(self, name, action):
        mark, started = self.load.mark(), time.monotonic()
        try:
            note = action()
        except Skipped as why:
            self.skipped.append(f"{name}: {why}")
            self.tell(f"{name}: SKIPPED: {why}")
            return
        self.load.settle()
        seconds = time.monotonic() - started
        tally = self.load.since(mark)
        self.row(name, seconds, tally, note)
        tally.judge()
        self.facts.check()

    def all_steps(self):
        steps = self.steps
        self.step("nothing", lambda: time.sleep(10) or "")
        everything = self.facts.dump()
        self.step("upgrade a setting", steps.upgrade)
        self.step("delete a node's Pod", steps.delete_node)
        self.step("delete the coordinator's Pod", steps.delete_coordinator)
        self.step("kill -9 a node", steps.kill_node)
        self.step("kill -9 the coordinator", steps.kill_coordinator)
        self.step("a machine without power", steps.pull_the_plug)
        self.step("evict two nodes", steps.evict)
        self.step("grow from 3 nodes to 5", steps.grow)
        self.step("scale in, reshard: refused", steps.refuse_to_lose)
        self.step("uninstall, install again", steps.reinstall)
        after = self.facts.dump()
        if after != everything:
            raise Failed(f"the cluster holds {after} instead of {everything}")
        self.tell(f"all {after[0]} facts are the same, checksum {after[1]}")

    def table(self):
        head = ("step", "time", "questions", "failed, by reason", "slowest", "longest outage", "what there was to see")
        print("\n| " + " | ".join(head) + " |\n|---|---:|---:|---|---:|---:|---|")
        for name, seconds, tally, note in self.rows:
            asked = tally.cells() if tally else [""] * 4
            print("| " + " | ".join([name, f"{seconds:.0f} s", *asked, note]) + " |")
        for what in self.skipped:
            print(f"SKIPPED {what}")

    def end(self):
        if self.load:
            self.load.stop()
        self.lubm.stop()
        if not setting("KEEP"):
            self.kubernetes.delete()


def main():
    for tool in ("kubectl", "helm"):
        if not shutil.which(tool):
            sys.exit(f"test-kube: there is no {tool}")
    entail = program.find()
    if entail is None:
        sys.exit("test-kube: the program is not built (cargo build), and $ENTAIL names none")
    test = Test(entail.path)
    try:
        test.prepare()
        test.all_steps()
        test.table()
        print("\ntest-kube: passed" + (f", {len(test.skipped)} steps skipped" if test.skipped else ""))
    except (Failed, KeyboardInterrupt) as failure:
        test.table()
        print(test.kubernetes.story(), file=sys.stderr)
        sys.exit(f"test-kube: FAILED: {failure}")
    finally:
        test.end()


if __name__ == "__main__":
    main()
