"""Rules for the manifests of any values: Pod security, ports, selectors, memory, probes."""

from manifests import containers, environment, is_match, mebibytes

# The memory of a process beside its budget: the program, messages, buffers (docs/cli.md).
BESIDE_MIB = 256


def check(report, where, manifests):
    for name, _, pod in manifests.pods():
        restricted(report, f"{where}: {name}", pod)
    for item in manifests.of("StatefulSet"):
        stateful_set(report, f"{where}: {item['metadata']['name']}", item["spec"])
    services(report, where, manifests)
    for item in manifests.of("PodDisruptionBudget"):
        found = manifests.selected(item["spec"]["selector"])
        report.check(len(found) == 1, f"{where}: the budget {item['metadata']['name']} is for {len(found)} kinds of Pods")
    policies(report, where, manifests)


def restricted(report, where, pod):
    """The level "restricted" of Pod Security, and further restrictions: a read-only root, no token."""
    security = pod["securityContext"]
    report.check(security.get("runAsNonRoot") is True, f"{where}: may run as root")
    # OpenShift assigns the user.
    user = None if where.startswith("openshift.yaml") else 65532
    report.check(security.get("runAsUser") == user, f"{where}: is not the image's user")
    report.check(security.get("fsGroup") == user, f"{where}: its volumes have the group {security.get('fsGroup')}")
    report.check(None not in security.values(), f"{where}: has fields without a value")
    report.check(security.get("seccompProfile") == {"type": "RuntimeDefault"}, f"{where}: has no seccomp profile")
    # One of the cases requires it.
    token = where.startswith("extras.yaml") and not where.endswith("-test")
    report.check(pod.get("automountServiceAccountToken") is token, f"{where}: mounts a token, or none")
    report.check(pod.get("enableServiceLinks") is False, f"{where}: gets variables of Services")
    hosts = {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    report.check(not hosts, f"{where}: shares the machine's {hosts}")
    kinds = {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"}
    report.check(kinds <= {"configMap", "secret", "emptyDir"}, f"{where}: has volumes of the kinds {kinds}")
    for container in containers(pod):
        own = container.get("securityContext", {})
        at = f"{where}/{container['name']}"
        report.check(own.get("allowPrivilegeEscalation") is False, f"{at}: may gain privileges")
        report.check(own.get("readOnlyRootFilesystem") is True, f"{at}: may write its root file system")
        report.check(own.get("capabilities") == {"drop": ["ALL"]}, f"{at}: keeps capabilities")
        report.check("memory" in container["resources"]["limits"], f"{at}: has no limit of memory")


def stateful_set(report, where, spec):
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    values = environment(container, "pod-0")
    is_selected = is_match(spec["selector"], spec["template"]["metadata"]["labels"])
    report.check(is_selected, f"{where}: does not select its own Pods")
    limit, budget = mebibytes(container["resources"]["limits"]["memory"]), mebibytes(values["ENTAIL_MEMORY"])
    report.check(64 <= budget <= limit - BESIDE_MIB, f"{where}: a budget of {budget} MiB in a limit of {limit} MiB")
    listens = {int(value.rsplit(":")[-1]) for name, value in values.items() if name.endswith("LISTEN")}
    ports = {entry["containerPort"] for entry in container["ports"]}
    report.check(listens == ports, f"{where}: listens on {listens} and declares {ports}")
    mounts = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "data"]
    claims = [claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]]
    report.check(mounts == [values["ENTAIL_DATA"]] and claims == ["data"], f"{where}: its data is not on its volume")
    names = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container.get(kind, {})
        port = probe.get("grpc", probe.get("httpGet", {})).get("port")
        report.check(names.get(port, port) in ports, f"{where}: its {kind} asks port {port}")
    wait = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    grace = int(values["ENTAIL_GRACE"].removesuffix("s"))
    whole = pod["terminationGracePeriodSeconds"]
    report.check(1 <= grace <= whole - wait - 5, f"{where}: a grace of {grace} s in {whole} s, of which preStop takes {wait} s")


def services(report, where, manifests):
    for item in manifests.of("Service"):
        at = f"{where}: the Service {item['metadata']['name']}"
        found = manifests.selected({"matchLabels": item["spec"]["selector"]})
        if not report.check(len(found) == 1, f"{at} is for {len(found)} kinds of Pods"):
            continue
        names = {entry["name"] for entry in found[0][2]["containers"][0]["ports"]}
        for port in item["spec"]["ports"]:
            report.check(port["targetPort"] in names, f"{at} leads to a port {port['targetPort']} that is not there")
    governed = {item["spec"]["serviceName"] for item in manifests.of("StatefulSet")}
    there = {item["metadata"]["name"] for item in manifests.of("Service")}
    report.check(governed <= there, f"{where}: a StatefulSet names a Service that is not there: {governed - there}")


def policies(report, where, manifests):
    """Every policy is for Pods that exist, and names ports that they, or those they call, have."""
    for item in manifests.of("NetworkPolicy"):
        at = f"{where}: the NetworkPolicy {item['metadata']['name']}"
        found = manifests.selected(item["spec"]["podSelector"])
        report.check(bool(found), f"{at} is for no Pods")
        for _, _, pod in found:
            names = {entry["name"] for entry in pod["containers"][0]["ports"]}
            for rule in item["spec"].get("ingress", []):
                for port in rule["ports"]:
                    report.check(port["port"] in names, f"{at} allows a port {port['port']} that is not there")
        for rule in item["spec"].get("egress", []):
            for target in rule.get("to", []):
                if "namespaceSelector" in target:
                    continue
                called = manifests.selected(target["podSelector"])
                open_ports = {entry["containerPort"] for _, _, pod in called for entry in pod["containers"][0]["ports"]}
                wanted = {port["port"] for port in rule["ports"]}
                report.check(wanted <= open_ports, f"{at} allows calls of {wanted}, but {open_ports} listen")
