"""Queries that a Pod sends throughout the test, and their outcomes.

The Pod runs `entail bench ask`, which sends each query once and writes a line about each. Commands of the test also run
in this Pod: it is a client inside the cluster.
"""

import collections
import json
import subprocess
import threading
import time

from kubernetes import Failed, until

NAME = "client"
# The limit for one query in any state of the cluster: callers must not hang.
SILENCE_SECONDS_MAX = 30
# The number of successive answers after which the next step begins.
IN_A_ROW = 10


def pod(image, server, query, coordinator):
    """Restricted, as the namespace requires; on the coordinator's machine, which is never switched off."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 5,
            "affinity": {
                "podAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": coordinator}}
                    ]
                }
            },
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": NAME,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "args": ["bench", "ask", query, "--clients", "2", "--every", "200ms"],
                    "env": [
                        {"name": "ENTAIL_SERVER", "value": server},
                        # Queries that take longer fail, without being retried.
                        {"name": "ENTAIL_TIMEOUT", "value": "60s"},
                    ],
                    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


class Tally:
    """The outcomes of the queries of one step."""

    def __init__(self, before, lines, expected):
        answers = [line for line in lines if "answer" in line]
        self.failures = [line for line in lines if "answer" not in line]
        self.questions = len(lines)
        self.codes = collections.Counter(line["reason"] for line in self.failures)
        self.longest = max((line["seconds"] for line in lines), default=0)
        times = ([before] if before else []) + sorted(line["at"] for line in answers)
        self.outage = max((later - earlier for earlier, later in zip(times, times[1:])), default=0)
        self.wrong = [line for line in answers if line["answer"] != expected]

    def cells(self):
        """The number of queries, of failures by reason, the slowest, and the longest time without an answer."""
        failed = ", ".join(f"{count} {code}" for code, count in sorted(self.codes.items())) or "none"
        return [str(self.questions), failed, f"{self.longest:.1f} s", f"{self.outage:.1f} s"]

    def judge(self):
        if self.wrong:
            raise Failed(f"{len(self.wrong)} wrong answers, such as {self.wrong[0]}")
        final = [line for line in self.failures if not line["retryable"]]
        if final:
            raise Failed(f"{len(final)} failures that may not be retried, such as {final[0]}")
        if self.longest > SILENCE_SECONDS_MAX:
            raise Failed(f"a question took {self.longest:.1f} s")


class Load:
    def __init__(self, kubernetes, expected):
        self.kubernetes, self.expected = kubernetes, expected
        self.lines, self.lock = [], threading.Lock()
        self.is_stopping, self.process = False, None
        self.thread = threading.Thread(target=self.follow, daemon=True)

    def start(self):
        self.thread.start()
        # Queries from before the facts were loaded have other answers.
        until("the right answer comes", lambda: self.lines and self.lines[-1].get("answer") == self.expected)
        self.settle()

    def follow(self):
        """Follows the Pod's log, and resumes where it broke off."""
        since = []
        while not self.is_stopping:
            command = ["kubectl", "-n", self.kubernetes.namespace, "logs", "-f", NAME, *since]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for text in self.process.stdout:
                line = json.loads(text) if text.startswith("{") else {}
                with self.lock:
                    last = self.lines[-1]["at"] if self.lines else 0
                    # After a break some lines are repeated.
                    if "at" in line and (not since or line["at"] > last):
                        self.lines.append(line)
            self.process.wait()
            since = ["--since=10s"]
            time.sleep(0.2)

    def stop(self):
        self.is_stopping = True
        if self.process:
            self.process.terminate()

    def mark(self):
        with self.lock:
            return len(self.lines)

    def settle(self, seconds=300):
        """Waits until successive queries are answered again."""

        def is_steady():
            phase = self.kubernetes.get("pod", NAME)["status"]["phase"]
            if phase != "Running":
                raise Failed(f"the client's Pod is {phase}")
            with self.lock:
                last = self.lines[max(start, len(self.lines) - IN_A_ROW):]
            return len(last) == IN_A_ROW and all("answer" in line for line in last)

        start = self.mark()
        until("questions are answered", is_steady, seconds)

    def since(self, mark):
        with self.lock:
            before = max((line["at"] for line in self.lines[:mark] if "answer" in line), default=None)
            return Tally(before, self.lines[mark:], self.expected)
