"""A rendered chart as objects: Pods, their containers, and the Services that lead to them."""

import re

import yaml

QUANTITY = {"Mi": 1, "Gi": 1024, "MiB": 1, "GiB": 1024}


class Manifests:
    def __init__(self, text):
        self.objects = [item for item in yaml.safe_load_all(text) if item]

    def of(self, kind):
        return [item for item in self.objects if item["kind"] == kind]

    def pods(self):
        """(name, labels, Pod spec) of every kind of Pod, once for each StatefulSet."""
        for item in self.objects:
            if item["kind"] == "StatefulSet":
                template = item["spec"]["template"]
                yield item["metadata"]["name"], template["metadata"]["labels"], template["spec"]
            elif item["kind"] == "Pod":
                yield item["metadata"]["name"], item["metadata"]["labels"], item["spec"]

    def selected(self, selector):
        """The Pods that a selector finds; one without conditions finds all."""
        return [pod for pod in self.pods() if is_match(selector, pod[1])]

    def resolve(self, namespace, host, port):
        """Where a call of HOST:PORT arrives: (Pod's name, container's port), as DNS and Services would have it."""
        found = re.fullmatch(rf"(?:([a-z0-9-]+)\.)?([a-z0-9-]+)\.{namespace}\.svc", host)
        services = [item for item in self.of("Service") if found and item["metadata"]["name"] == found[2]]
        if not services:
            raise LookupError(f"{host} is no name of a Service here")
        spec = services[0]["spec"]
        ports = [entry for entry in spec["ports"] if entry["port"] == port]
        pods = self.selected({"matchLabels": spec["selector"]})
        if not ports or not pods:
            raise LookupError(f"{host}:{port} leads nowhere")
        name, _, pod = pods[0]
        target = ports[0].get("targetPort", port)
        if not spec.get("publishNotReadyAddresses"):
            raise LookupError(f"{host} does not lead to Pods that are not ready, which nodes and coordinator need")
        replica = "0"
        if found[1]:
            # The name of one Pod: only its StatefulSet's own headless Service gives it.
            sets = {item["metadata"]["name"]: item["spec"] for item in self.of("StatefulSet")}
            base, _, replica = found[1].rpartition("-")
            is_its_own = base == name and sets[name]["serviceName"] == found[2] and spec.get("clusterIP") == "None"
            if not is_its_own or int(replica) >= sets[name]["replicas"]:
                raise LookupError(f"{host} is the name of no Pod")
            if target == ports[0]["port"]:
                return found[1], port
        by_name = {entry["name"]: entry["containerPort"] for entry in pod["containers"][0]["ports"]}
        arrived = by_name.get(target, target)
        if found[1] and arrived != port:
            # Through a headless Service the port is not translated.
            raise LookupError(f"{host}:{port} is the Pod itself, which listens on {arrived}")
        return f"{name}-{replica}", arrived


def is_match(selector, labels):
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    return all(
        labels.get(entry["key"]) in entry["values"]
        for entry in selector.get("matchExpressions", [])
        if entry["operator"] == "In"
    )


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def environment(container, pod_name):
    """The variables of a container, with $(NAME) of earlier ones expanded, as the kubelet does."""
    values = {}
    for entry in container.get("env", []):
        if "fieldRef" in entry.get("valueFrom", {}):
            field = entry["valueFrom"]["fieldRef"]["fieldPath"]
            values[entry["name"]] = {"metadata.name": pod_name}[field]
        elif "valueFrom" in entry:
            # From a Secret, which is not available here.
            values[entry["name"]] = "secret"
        else:
            values[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], str(entry["value"]))
    return values


def mebibytes(quantity):
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]+)", quantity).groups()
    return int(number) * QUANTITY[unit]
