"""Checks the chart: lint, every example rendered, validated and run, and values that must be refused.

    helm lint --strict and helm template           values.yaml, examples/*.yaml and cases/*.yaml
    kubernetes-validate, strict                    each, against every version of Kubernetes that the chart admits
    rules.py                                       Pod security, ports, selectors, memory
    the real program                               every command, flag and variable; some are run as processes, with their
                                                   probes, the commands of `helm test`, and what Prometheus would ask
    refused/*.yaml                                 each refused, with the message of its first line
    live.py                                        upgrades that would lose data of a cluster that runs are refused
    parent.py                                      the chart as a dependency
    readme.py                                      values.yaml, its schema and README.md agree
    promtool                                       the PrometheusRule of each rendering, and that it selects its own cluster

What has no tool here is skipped and said (deploy/tests/report.py).
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "deploy" / "tests"))

import cluster  # noqa: E402
import live  # noqa: E402
import parent  # noqa: E402
import readme  # noqa: E402
import health  # noqa: E402
import manifests  # noqa: E402
import program  # noqa: E402
import rules  # noqa: E402
from report import Report  # noqa: E402

CHART = HERE.parent / "entail"
DEPLOY = HERE.parent.parent / "deploy"
NAMESPACE = "space"
# The first version of Kubernetes that Chart.yaml admits.
KUBERNETES_MIN = (1, 30)
VERSION = ".".join(map(str, KUBERNETES_MIN)) + ".0"
# Values that are run as processes: small enough for any machine.
RUN = ("values.yaml", "laptop.yaml", "everything.yaml")
# The resources of the Prometheus operator and of the Gateway API have no schema there.
NOT_KUBERNETES = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "GRPCRoute"}


def helm(*arguments):
    return subprocess.run([shutil.which("helm"), *map(str, arguments)], capture_output=True, text=True)


def template(values, *more):
    return helm("template", "db", CHART, "--namespace", NAMESPACE, "--kube-version", VERSION, "--values", values, *more)


def living(report):
    """`lookup` against the objects of an installation with the default values."""
    installed = manifests.Manifests(template(CHART / "values.yaml").stdout).of("StatefulSet")

    def render(flags, settings):
        return template(CHART / "values.yaml", *flags, *(flag for setting in settings for flag in ("--set", setting)))

    live.check(report, render, installed, NAMESPACE)


def validate(report, where, rendered):
    """Strict validation: a field that Kubernetes does not know is an error."""
    try:
        import kubernetes_validate
    except ImportError:
        report.skip("validation against Kubernetes' schemas: there is no kubernetes-validate (make check-tools)")
        return
    versions = [tuple(map(int, text.split(".")[:2])) for text in kubernetes_validate.utils.all_versions()]
    for version in sorted(version for version in versions if version >= KUBERNETES_MIN):
        for item in rendered.objects:
            if item["kind"] in NOT_KUBERNETES:
                continue
            try:
                kubernetes_validate.validate(item, ".".join(map(str, version)), strict=True)
                report.check(True, "")
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                name = f"{item['kind']} {item['metadata']['name']}"
                report.check(False, f"{where}: {name} against {version}: {getattr(error, 'message', error)}")


def names(report, where, rendered, entail):
    """Every command, flag and variable against the real program."""
    for name, _, pod in rendered.pods():
        for container in manifests.containers(pod):
            if container["image"].startswith("registry.example/"):
                # A foreign sidecar.
                continue
            at = f"{where}: {name}/{container['name']}"
            report.check("command" not in container, f"{at}: replaces the image's entry point")
            entail.judge(report, at, container["args"], manifests.environment(container, f"{name}-0"))


def roles(rendered):
    """A process for each Pod of the StatefulSets, the coordinator first."""
    for item in sorted(rendered.of("StatefulSet"), key=lambda item: item["metadata"]["name"]):
        container = item["spec"]["template"]["spec"]["containers"][0]
        for replica in range(item["spec"]["replicas"]):
            name = f"{item['metadata']['name']}-{replica}"
            yield cluster.Process(name, container["args"], manifests.environment(container, name))


def steps(rendered):
    """The containers of `helm test`, in order."""
    pod = rendered.of("Pod")[0]
    texts = next(item["data"] for item in rendered.of("ConfigMap") if item["metadata"]["name"].endswith("-test"))
    files = {f"/test/{name}": text for name, text in texts.items()}
    for container in manifests.containers(pod["spec"]):
        values = manifests.environment(container, pod["metadata"]["name"])
        yield cluster.Process(container["name"], container["args"], values, files)


def run(report, where, rendered, entail):
    """The whole release as processes: probes, `helm test` (which must be able to fail), SIGTERM."""
    with cluster.Cluster(entail, list(roles(rendered)), lambda h, p: rendered.resolve(NAMESPACE, h, p)) as running:
        commands = list(steps(rendered))
        for step in commands:
            code, output = running.run(step)
            if not report.check(code == 0, f"{where}: helm test: {step.name} ended with {code}\n{output}"):
                print("\n".join(running.log(name) for name in running.running))
        last = commands[-1]
        wrong = [argument.replace("?ancestors != ", "?ancestors != 1") for argument in last.arguments]
        code, output = running.run(cluster.Process("must-fail", wrong, last.environment, last.files))
        report.check(code == 1 and "LIMIT_EXCEEDED" in output, f"{where}: helm test accepts wrong counts\n{output}")
        for item in rendered.of("StatefulSet"):
            probes(report, where, running, f"{item['metadata']['name']}-0", item["spec"]["template"]["spec"]["containers"][0])
        for role in running.roles:
            status = running.http(role.name, 7402, "/readyz")
            report.check(status == 200, f"{where}: {role.name}: /readyz gets {status}")
        for monitor in rendered.of("ServiceMonitor"):
            path = monitor["spec"]["endpoints"][0]["path"]
            for role in running.roles:
                status = running.http(role.name, 7402, path)
                report.check(status == 200, f"{where}: {role.name}: the ServiceMonitor's {path} gets {status}")
        running.stop(report)


def probes(report, where, running, name, container):
    ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container[kind]
        if "httpGet" in probe:
            port = probe["httpGet"]["port"]
            status = running.http(name, ports.get(port, port), probe["httpGet"]["path"])
            report.check(status == 200, f"{where}: {name}: its {kind} gets {status}")
        elif health.is_at_hand():
            port = running.ports[name, probe["grpc"]["port"]]
            status = health.ask_until(port, probe["grpc"].get("service", ""), probe["periodSeconds"] * probe["failureThreshold"])
            report.check(status == "SERVING", f"{where}: {name}: its {kind} gets: {status}")
        else:
            report.skip(f"{name}: {kind}: there is no curl that speaks HTTP/2")


def copies(report):
    """The chart cannot read files outside its directory, so it has copies."""
    texts = [path.read_text() for path in (CHART / "alerts" / "alerts.yaml", DEPLOY / "config" / "alerts.yaml")]
    report.check(texts[0] == texts[1], "alerts.yaml differs in deploy/config and helm/entail/alerts: copy it")
    dashboards(report)


def alerts(report, where, rendered):
    """Prometheus accepts the PrometheusRule, and each of its selectors is for this cluster only."""
    promtool = shutil.which("promtool")
    for item in rendered.of("PrometheusRule"):
        for rule in item["spec"]["groups"][0]["rules"]:
            selectors = re.findall(r"\b(?:(?:entail|process)_[a-z_]+|up)\{([^,}]*)", rule["expr"])
            report.check(bool(selectors) or "alert" not in rule, f"{where}: {rule.get('alert')} has no selector")
            is_own = all(selector.startswith(("namespace=", "cluster=")) for selector in selectors)
            report.check(is_own, f"{where}: {rule.get('alert')} is for every cluster: {rule['expr']}")
        if not promtool:
            report.skip("the PrometheusRule against Prometheus itself: there is no promtool (Debian's package prometheus)")
            continue
        with tempfile.TemporaryDirectory(prefix="entail-check-alerts-") as directory:
            path = pathlib.Path(directory, "rules.yaml")
            path.write_text(yaml.safe_dump({"groups": item["spec"]["groups"]}))
            done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)
            report.check(done.returncode == 0, f"{where}: the PrometheusRule: {done.stdout}{done.stderr}")


def alerts_by_name(report):
    """The alert for a missing role fires for any release name, and for this cluster only."""
    promtool = shutil.which("promtool")
    done = helm(
        "template", "db", CHART, "--namespace", NAMESPACE, "--set", "fullnameOverride=graph,prometheusRule.enabled=true",
        "--set", "serviceMonitor.enabled=true,prometheusRule.runbookUrl=https://wiki.example/a",
    )
    rendered = manifests.Manifests(done.stdout)
    job = rendered.of("ServiceMonitor")[0]["spec"]["endpoints"][0]["relabelings"][0]
    report.check(job == {"targetLabel": "job", "replacement": "graph"}, f"alerts: the job is {job}")
    if not promtool:
        return
    gone = [("graph", NAMESPACE), ("graph", "elsewhere"), ("other", NAMESPACE)]
    series = [
        {"series": f'up{{job="{job}", namespace="{space}", role="node", instance="a:7402"}}', "values": "0x20"}
        for job, space in gone
    ]
    told = {
        "exp_labels": {"severity": "critical", "job": "graph", "namespace": NAMESPACE, "role": "node", "instance": "a:7402"},
        "exp_annotations": {
            "summary": "a:7402 does not answer",
            "description": "The process is gone, or cannot be reached. Without the coordinator nothing is answered.",
            "runbook_url": "https://wiki.example/a#entailrolegone",
        },
    }
    tests = [{
        "interval": "30s", "input_series": series,
        "alert_rule_test": [{"eval_time": "5m", "alertname": "EntailRoleGone", "exp_alerts": [told]}],
    }]
    with tempfile.TemporaryDirectory(prefix="entail-check-alerts-") as directory:
        place = pathlib.Path(directory)
        (place / "rules.yaml").write_text(yaml.safe_dump({"groups": rendered.of("PrometheusRule")[0]["spec"]["groups"]}))
        (place / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": tests}))
        done = subprocess.run([promtool, "test", "rules", "tests.yaml"], cwd=place, capture_output=True, text=True)
        report.check(done.returncode == 0, f"alerts of a release called graph: {done.stdout}{done.stderr}")


def extras(report):
    """Users' additions are rendered in the right place; defaults that they override are not rendered."""
    rendered = manifests.Manifests(template(HERE / "cases" / "extras.yaml").stdout)
    for item in rendered.objects:
        at = f"extras.yaml: {item['kind']} {item['metadata']['name']}"
        if item["metadata"]["name"] not in ("db-entail-extra", "db-text"):
            report.check(item["metadata"]["labels"].get("team") == "data", f"{at}: has no common label")
            report.check(item["metadata"]["annotations"].get("owner") == "data@example.org", f"{at}: has no common annotation")
    names = {item["metadata"]["name"] for item in rendered.of("ConfigMap")}
    report.check({"db-entail-extra", "db-text"} <= names, f"extras.yaml: the extra objects are {names}")
    sets = {item["metadata"]["name"]: item["spec"] for item in rendered.of("StatefulSet")}
    template_, pod = sets["db-entail-node"]["template"], sets["db-entail-node"]["template"]["spec"]
    report.check(template_["metadata"]["labels"]["stage"] == "production", "extras.yaml: a Pod's label does not win")
    report.check(template_["metadata"]["annotations"]["owner"] == "other@example.org", "extras.yaml: a Pod's annotation does not win")
    selectors = [entry["labelSelector"]["matchLabels"] for entry in pod["topologySpreadConstraints"]]
    report.check(len(selectors) == 4 and selectors[3] == {"a": "b"}, f"extras.yaml: constraints for {selectors}")
    report.check(is_own(selectors[2]), f"extras.yaml: a constraint without a selector counts {selectors[2]}")
    report.check([entry["name"] for entry in pod["containers"]] == ["node", "sidecar"], "extras.yaml: there is no sidecar")
    report.check(pod["initContainers"][0]["name"] == "prepare", "extras.yaml: there is no init container")
    node, coordinator = pod["containers"][0], sets["db-entail-coordinator"]["template"]["spec"]["containers"][0]
    report.check(node["args"] == ["node", "--memory=1GiB"], f"extras.yaml: arguments {node['args']}")
    report.check(node["envFrom"] == [{"configMapRef": {"name": "settings"}}], "extras.yaml: no envFrom")
    report.check([mount["name"] for mount in node["volumeMounts"]] == ["data", "certificates"], "extras.yaml: no volumeMount")
    values = manifests.environment(coordinator, "db-entail-coordinator-0")
    report.check(values["TOKIO_WORKER_THREADS"] == "2" and values["RUST_BACKTRACE"] == "1", f"extras.yaml: {values}")
    modes = sets["db-entail-node"]["volumeClaimTemplates"][0]["spec"]["accessModes"]
    report.check(modes == ["ReadWriteOncePod"], f"extras.yaml: access modes {modes}")
    (ingress,), (route,) = rendered.of("Ingress"), rendered.of("GRPCRoute")
    service = {item["metadata"]["name"]: item["spec"]["ports"][0] for item in rendered.of("Service")}["db-entail"]
    for rule in ingress["spec"]["rules"]:
        backend = rule["http"]["paths"][0]["backend"]["service"]
        report.check(backend == {"name": "db-entail", "port": {"name": service["name"]}}, f"extras.yaml: Ingress to {backend}")
    backend = route["spec"]["rules"][0]["backendRefs"]
    report.check(backend == [{"name": "db-entail", "port": service["port"]}], f"extras.yaml: GRPCRoute to {backend}")
    report.check(egress(rendered, "UDP") == {5353}, f"extras.yaml: DNS at the ports {egress(rendered, 'UDP')}")
    collector = egress(manifests.Manifests(template(HERE / "cases" / "trace-over-tls.yaml").stdout), "TCP")
    report.check(443 in collector, f"trace-over-tls.yaml: the collector's port is not among {collector}")


def egress(rendered, protocol):
    """The ports that the network policies let Pods call."""
    return {port["port"] for policy in rendered.of("NetworkPolicy") for rule in policy["spec"].get("egress", [])
            for port in rule["ports"] if port["protocol"] == protocol}


def is_own(labels):
    return labels.get("app.kubernetes.io/component") == "node"


def dashboards(report):
    """The copies of the overview dashboard are equal."""
    names = {path.name for directory in (CHART, DEPLOY) for path in (directory / "dashboards").glob("*.json")}
    for name in names:
        texts = [path.read_text() if path.exists() else None for path in (CHART / "dashboards" / name, DEPLOY / "dashboards" / name)]
        report.check(texts[0] == texts[1], f"{name} differs in deploy/dashboards and helm/entail/dashboards: copy it")
    done = template(HERE / "cases" / "everything.yaml")
    shown = [item for item in manifests.Manifests(done.stdout).of("ConfigMap") if item["metadata"]["name"].endswith("-dashboard")]
    report.check(len(shown) == 1, "everything.yaml: there is no dashboard")
    for text in shown[0]["data"].values() if shown else []:
        report.check(json.loads(text)["uid"] == "entail-overview", "everything.yaml: the dashboard is not the overview")
    labels = shown[0]["metadata"]["labels"] if shown else {}
    report.check(labels.get("grafana_dashboard") == "1", "everything.yaml: the dashboard has no label for Grafana's sidecar")


def refused(report):
    for path in sorted((HERE / "refused").glob("*.yaml")):
        expected = path.read_text().splitlines()[0].removeprefix("# expect: ")
        done = template(path)
        report.check(done.returncode != 0, f"{path.name} is accepted")
        report.check(expected in done.stderr, f"{path.name} is refused without `{expected}`:\n{done.stderr}")


def main():
    report = Report()
    if not shutil.which("helm"):
        report.skip("everything: there is no helm (make check-tools)")
        report.end("check-helm")
    entail = program.find()
    if entail is None:
        report.skip("commands and variables against the program: it is not built (cargo build), and $ENTAIL names none")
    accepted = [CHART / "values.yaml", *sorted((CHART / "examples").glob("*.yaml")), *sorted((HERE / "cases").glob("*.yaml"))]
    for path in accepted:
        done = helm("lint", CHART, "--strict", "--values", path)
        report.check(done.returncode == 0, f"{path.name}: helm lint: {done.stdout}{done.stderr}")
        done = template(path)
        if not report.check(done.returncode == 0, f"{path.name}: helm template: {done.stderr}"):
            continue
        rendered = manifests.Manifests(done.stdout)
        validate(report, path.name, rendered)
        rules.check(report, path.name, rendered)
        alerts(report, path.name, rendered)
        if entail:
            names(report, path.name, rendered, entail)
            if path.name in RUN:
                try:
                    run(report, path.name, rendered, entail)
                except LookupError as error:
                    report.check(False, f"{path.name}: an address leads nowhere: {error}")
    copies(report)
    alerts_by_name(report)
    extras(report)
    refused(report)
    readme.check(report)
    parent.check(report, helm, CHART, VERSION)
    living(report)
    report.end("check-helm")


if __name__ == "__main__":
    os.environ.setdefault("HELM_NO_PLUGINS", "1")
    main()
