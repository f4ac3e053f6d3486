"""The steps of the test. Each ends when the cluster has recovered, and checks the actions of Kubernetes meanwhile."""

import pathlib
import shlex

from kubernetes import Failed, is_ready, ready_since, run, setting, until
from load import NAME

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE.parents[1] / "entail"
RELEASE = "db"
FULL = f"{RELEASE}-entail"
NODES, GROWN = 3, 5


class Skipped(Exception):
    """This step is not possible here."""


def selector(component):
    return f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"


def order(pods):
    """Pods of a StatefulSet by number."""
    return sorted(pods, key=lambda pod: int(pod["metadata"]["name"].rsplit("-", 1)[1]))


class Steps:
    def __init__(self, kubernetes, facts, image):
        self.kubernetes, self.facts, self.image = kubernetes, facts, image
        self.replicas = NODES

    def pods(self, component):
        return order(self.kubernetes.find("pods", selector(component)))

    def coordinator(self):
        return self.pods("coordinator")[0]

    def node(self, number):
        return f"{FULL}-node-{number}"

    def uids(self, component):
        return [pod["metadata"]["uid"] for pod in self.pods(component)]

    def address(self, pod):
        return self.kubernetes.get("pod", pod)["status"].get("podIP")

    def restarts(self, pod):
        return self.kubernetes.get("pod", pod)["status"]["containerStatuses"][0]["restartCount"]

    def all_ready(self):
        pods = self.pods("node") + self.pods("coordinator")
        return len(pods) == self.replicas + 1 and all(map(is_ready, pods))

    def whole(self, seconds=600):
        until("all Pods are ready", self.all_ready, seconds)

    def values(self):
        repository, _, tag = self.image.rpartition(":")
        return ["--values", HERE / "values.yaml", "--set", f"image.repository={repository},image.tag={tag}"]

    def install(self):
        self.kubernetes.helm("install", RELEASE, CHART, *self.values(), "--wait", "--timeout", "10m")
        return f"{NODES} nodes"

    def helm_test(self):
        self.kubernetes.helm("test", RELEASE, "--logs", "--timeout", "10m")
        return "parents and ancestors counted"

    def upgrade(self):
        """Changes a setting of every process. Nodes are replaced from the last to the first, each when the one before is ready."""
        before = set(self.uids("node") + self.uids("coordinator"))
        self.kubernetes.helm(
            "upgrade", RELEASE, CHART, "--reset-then-reuse-values", "--set", "log.format=text", "--wait", "--timeout", "10m"
        )
        self.whole()
        pods = self.pods("node")
        if before & set(self.uids("node") + self.uids("coordinator")):
            raise Failed("a Pod was not replaced")
        for earlier, later in zip(pods[:0:-1], pods[-2::-1]):
            if later["metadata"]["creationTimestamp"] < ready_since(earlier):
                raise Failed(f"{later['metadata']['name']} was replaced before {earlier['metadata']['name']} was ready")
        environment = {entry["name"]: entry.get("value") for entry in pods[0]["spec"]["containers"][0]["env"]}
        if environment["ENTAIL_LOG_FORMAT"] != "text":
            raise Failed("the setting has not arrived")
        return "in order " + ", ".join(pod["metadata"]["name"].removeprefix(f"{FULL}-") for pod in pods[::-1])

    def delete_node(self):
        pod = self.node(1)
        before = self.address(pod)
        uid = self.kubernetes.get("pod", pod)["metadata"]["uid"]
        self.kubernetes.kubectl("delete", "pod", pod, "--wait=false")
        until("the Pod is another", lambda: self.kubernetes.get("pod", pod)["metadata"]["uid"] != uid)
        self.whole()
        after = self.address(pod)
        return f"{before} became {after}"

    def delete_coordinator(self):
        pod = f"{FULL}-coordinator-0"
        uid = self.kubernetes.get("pod", pod)["metadata"]["uid"]
        self.kubernetes.kubectl("delete", "pod", pod, "--wait=false")
        until("the Pod is another", lambda: self.kubernetes.get("pod", pod)["metadata"]["uid"] != uid)
        self.whole()
        return ""

    def kill(self, pod):
        command = setting("KILL")
        if not command:
            raise Skipped("ENTAIL_KUBE_KILL is not set")
        before = self.restarts(pod)
        values = {"namespace": self.kubernetes.namespace, "pod": pod, "machine": self.machine(pod)}
        run(*shlex.split(command.format(**values)))
        until("the container has restarted", lambda: self.restarts(pod) == before + 1)
        self.whole()
        state = self.kubernetes.get("pod", pod)["status"]["containerStatuses"][0]["lastState"]["terminated"]
        if state["exitCode"] != 137:
            raise Failed(f"{pod} ended with {state['exitCode']} instead of 137")
        return "restarted in its Pod"

    def kill_node(self):
        return self.kill(self.node(2))

    def kill_coordinator(self):
        return self.kill(f"{FULL}-coordinator-0")

    def machine(self, pod):
        return self.kubernetes.get("pod", pod)["spec"]["nodeName"]

    def victim(self):
        """A machine with nodes of the cluster, but neither its coordinator nor the client."""
        spared = {self.machine(NAME), self.coordinator()["spec"]["nodeName"]}
        return next(
            (pod["spec"]["nodeName"] for pod in self.pods("node") if pod["spec"]["nodeName"] not in spared), None
        )

    def pull_the_plug(self):
        off, on = setting("NODE_OFF"), setting("NODE_ON")
        if not off or not on:
            raise Skipped("ENTAIL_KUBE_NODE_OFF and ENTAIL_KUBE_NODE_ON are not set")
        machine = self.victim()
        if machine is None:
            raise Skipped("every machine with a node has the coordinator or the client, too")
        lost = {pod["metadata"]["name"] for pod in self.pods("node") if pod["spec"]["nodeName"] == machine}
        run(*shlex.split(off.format(machine=machine)))
        try:
            until("Entail misses its nodes", lambda: self.missing() == lost, 60)
            until("Kubernetes misses the machine", lambda: not self.machine_ready(machine), 180)
        finally:
            run(*shlex.split(on.format(machine=machine)), seconds=300)
        until("the machine is back", lambda: self.machine_ready(machine), 300)
        until("Entail misses nobody", lambda: not self.missing(), 300)
        self.whole()
        return f"{machine} with {', '.join(sorted(lost))}"

    def missing(self):
        return {node["name"] for node in self.facts.status()["nodes"] if node["state"] != "up"}

    def machine_ready(self, machine):
        path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        return run("kubectl", "get", "node", machine, "-o", path).strip() == "True"

    def evict(self):
        """The budget allows one eviction, and no other until that node is back."""
        budget = f"{FULL}-node"
        until(
            "the budget allows a disruption",
            lambda: self.kubernetes.get("pdb", budget)["status"]["disruptionsAllowed"] == 1,
        )
        first, second = self.node(0), self.node(1)
        uid = self.kubernetes.get("pod", first)["metadata"]["uid"]
        refusal = self.kubernetes.evict(first)
        if refusal is not None:
            raise Failed(f"the first eviction is refused: {refusal}")
        refusal = self.kubernetes.evict(second)
        if refusal is None or "disruption budget" not in refusal:
            raise Failed(f"the second eviction is not refused by the budget: {refusal}")
        until("the Pod is another", lambda: self.kubernetes.get("pod", first)["metadata"]["uid"] != uid)
        self.whole()
        return "the second was refused"

    def grow(self):
        """New nodes register and stay empty; no other Pod restarts."""
        before = self.uids("coordinator") + self.uids("node")
        self.replicas = GROWN
        self.kubernetes.helm(
            "upgrade", RELEASE, CHART, "--reset-then-reuse-values", "--set", f"node.replicas={GROWN}", "--wait", "--timeout",
            "10m",
        )
        self.whole()
        if self.uids("coordinator") + self.uids("node")[:NODES] != before:
            raise Failed("a Pod was replaced because others were added")
        nodes = until("all nodes are up", lambda: self.up(GROWN), 60)
        empty = sorted(node["name"] for node in nodes if node["shard_count"] == 0)
        if empty != [self.node(number) for number in range(NODES, GROWN)]:
            raise Failed(f"these nodes hold no shards: {empty}")
        return f"{', '.join(name.removeprefix(f'{FULL}-') for name in empty)} up and empty"

    def refuse_to_lose(self):
        """Fewer nodes and another number of shards are refused by the chart's lookup, and nothing is changed."""
        before = self.uids("coordinator") + self.uids("node")
        for setting, expected in (
            (f"node.replicas={NODES - 1}", f"but {self.replicas} nodes run"), ("cluster.shards=32", "was created with 16 shards")
        ):
            try:
                self.kubernetes.helm("upgrade", RELEASE, CHART, "--reset-then-reuse-values", "--set", f"{setting},cluster.minNodes=1")
            except Failed as refusal:
                if expected not in str(refusal):
                    raise Failed(f"{setting} is refused for another reason: {refusal}") from None
            else:
                raise Failed(f"{setting} is accepted")
        if self.uids("coordinator") + self.uids("node") != before:
            raise Failed("a Pod was replaced by a refused upgrade")
        return "refused"

    def up(self, count):
        nodes = self.facts.status()["nodes"]
        return nodes if len(nodes) == count and all(node["state"] == "up" for node in nodes) else None

    def reinstall(self):
        """The volumes stay, and with them the cluster's data."""
        cluster = self.facts.status()["cluster_id"]
        claims = [claim["metadata"]["uid"] for claim in self.kubernetes.find("pvc", f"app.kubernetes.io/instance={RELEASE}")]
        self.kubernetes.helm("uninstall", RELEASE, "--wait", "--timeout", "5m")
        until("the Pods are gone", lambda: not self.pods("node") + self.pods("coordinator"))
        try:
            self.kubernetes.helm("install", RELEASE, CHART, *self.values())
        except Failed as refusal:
            if f"there is the volume data-{FULL}-node-{NODES}" not in str(refusal):
                raise
        else:
            raise Failed(f"the volumes of {GROWN} nodes are there, but {NODES} nodes are installed")
        grown = ["--set", f"node.replicas={GROWN}"]
        self.kubernetes.helm("install", RELEASE, CHART, *self.values(), *grown, "--wait", "--timeout", "10m")
        self.whole()
        after = [claim["metadata"]["uid"] for claim in self.kubernetes.find("pvc", f"app.kubernetes.io/instance={RELEASE}")]
        if after != claims or self.facts.status()["cluster_id"] != cluster:
            raise Failed("it is not the same cluster, or not on the same volumes")
        return f"the same cluster on {len(claims)} volumes"
