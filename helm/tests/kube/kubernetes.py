"""A Kubernetes cluster through kubectl and helm: one namespace of it, made for a test."""

import json
import os
import subprocess
import time

# Distinguishes a namespace of this test from other namespaces.
MINE = "entail.test/made-by"


class Failed(Exception):
    """An expectation was not met."""


def run(*command, text=None, seconds=120, is_checked=True):
    """Runs a command to its end; returns its output, or fails with its error output."""
    try:
        done = subprocess.run([str(word) for word in command], input=text, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(map(str, command))}: not done after {seconds} s") from None
    if is_checked and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout if is_checked else done


def until(what, holds, seconds=300, pause=0.5):
    """Waits until a condition holds, and returns its value. Failures meanwhile are retried."""
    end, why = time.monotonic() + seconds, "it does not hold"
    while time.monotonic() < end:
        try:
            found = holds()
            if found:
                return found
        except Failed as failure:
            why = failure
        time.sleep(pause)
    raise Failed(f"{what}: not within {seconds} s: {why}")


class Kubernetes:
    def __init__(self, namespace):
        self.namespace = namespace

    def kubectl(self, *arguments, **options):
        return run("kubectl", "-n", self.namespace, *arguments, **options)

    def helm(self, *arguments, seconds=600):
        return run("helm", "-n", self.namespace, *arguments, seconds=seconds)

    def get(self, kind, name):
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def find(self, kind, selector):
        items = json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"]
        return sorted(items, key=lambda item: item["metadata"]["name"])

    def apply(self, item):
        self.kubectl("apply", "-f", "-", text=json.dumps(item))

    def execute(self, pod, *command, **options):
        """Runs a command in a running Pod."""
        flags = ["-i"] if options.get("text") is not None else []
        return self.kubectl("exec", *flags, pod, "--", *command, **options)

    def create(self):
        """Creates the namespace, which admits only restricted Pods; one left by an earlier test is removed."""
        found = run("kubectl", "get", "namespace", self.namespace, "-o", "json", is_checked=False)
        if found.returncode == 0:
            if MINE not in json.loads(found.stdout)["metadata"].get("labels", {}):
                raise Failed(f"there is a namespace {self.namespace} that this test has not made")
            self.delete()
        labels = {MINE: "test-kube", **{f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}}
        item = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}
        run("kubectl", "apply", "-f", "-", text=json.dumps(item))
        self.refuses_what_is_not_restricted()

    def refuses_what_is_not_restricted(self):
        """Otherwise the admission of the chart's Pods would prove nothing."""
        done = self.kubectl("run", "forbidden", "--image=none", "--privileged", "--dry-run=server", is_checked=False)
        if done.returncode == 0:
            raise Failed("the namespace lets a privileged Pod in: Pod Security is not enforced")

    def delete(self):
        run("kubectl", "delete", "namespace", self.namespace, "--wait", "--timeout=300s", seconds=320)

    def evict(self, pod):
        """Requests an eviction, as a drain does; returns the reason of a refusal, or None."""
        item = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": self.namespace}}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        done = run("kubectl", "create", "--raw", path, "-f", "-", text=json.dumps(item), is_checked=False)
        return None if done.returncode == 0 else done.stderr.strip() or done.stdout.strip()

    def story(self):
        """The state to print after a failure."""
        parts = [("get", "pods,pvc,pdb", "-o", "wide"), ("get", "events", "--sort-by=.lastTimestamp")]
        texts = [self.kubectl(*part, is_checked=False).stdout for part in parts]
        for pod in self.kubectl("get", "pods", "-o", "name", is_checked=False).stdout.split():
            for flags in ([], ["--previous"]):
                done = self.kubectl("logs", pod, "--all-containers", "--tail=15", *flags, is_checked=False)
                if done.returncode == 0 and done.stdout:
                    texts.append(f"--- {pod} {' '.join(flags)}\n{done.stdout}")
        return "\n".join(texts)


def is_ready(pod):
    conditions = {entry["type"]: entry["status"] for entry in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def ready_since(pod):
    """When it became ready, as the API server's timestamp, which sorts as text."""
    return next(entry["lastTransitionTime"] for entry in pod["status"]["conditions"] if entry["type"] == "Ready")


def setting(name, default=""):
    return os.environ.get(f"ENTAIL_KUBE_{name}", default)
