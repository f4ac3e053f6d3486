"""Checks the image and the compose file, as far as possible without a container engine.

    Dockerfiles        stages, sources of COPY, user, ports, labels, entry point
    compose.yaml       the schema and its references, by compose-go, which is what Docker uses; paths, ports, volumes, images
    config/            Prometheus', the collector's and Grafana's addresses lead to services that listen there; alerts
                       fire when they should
    dashboards/        ask for metrics that docs/metrics.md has
    alerts             each with a runbook in docs/runbooks.md, and with braces at each selector, which the chart fills
    systemd/           units, by systemd; their configuration
    the real program   every command, flag and variable; the cluster runs as processes, healthcheck included

What has no tool here is skipped and said (report.py).
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.parse

import cluster
import dockerfile
import program
import units
import yaml
from report import Report

DEPLOY = pathlib.Path(__file__).parent.parent
ROOT = DEPLOY.parent
USER = "65532:65532"
LABELS = {
    f"org.opencontainers.image.{name}"
    for name in (
        "title", "description", "licenses", "vendor", "url", "source", "documentation", "version", "revision", "created", "base.name",
    )
}
# Its user, and group 0, to which OpenShift's arbitrary users belong.
OWNER = "65532:0"
# The files must not depend on one kind of processor.
ARCHITECTURES = re.compile(r"\b(amd64|x86_64|x86-64|arm64|aarch64)\b")
# Ports that foreign images listen on, from their documentation.
PORTS_OF_OTHERS = {"collector": {4317, 8888}, "jaeger": {4317, 16686}, "prometheus": {9090}, "grafana": {3000}}
GIBIBYTE = 1 << 30
BESIDE_BYTES = 256 << 20


def images(report, entail):
    """Both Dockerfiles, which must produce the same image."""
    ends = {}
    for name in ("Dockerfile", "Dockerfile.prebuilt"):
        stages = dockerfile.parse((DEPLOY / name).read_text())
        known = set()
        for stage in stages:
            is_pinned = stage.base in known or not re.search(r":latest$|^[^:]+$", stage.base)
            report.check(is_pinned, f"{name}: the base {stage.base} is not pinned")
            for keyword, _, flags in stage.instructions:
                if keyword == "COPY" and "from" in flags:
                    report.check(flags["from"] in known, f"{name}: there is no stage {flags['from']} before")
            known.add(stage.name)
        stripped = any("objcopy --strip-debug" in value and " /entail" in value for stage in stages for value in stage.values("RUN"))
        report.check(stripped, f"{name}: its program is not stripped")
        instructions = " ".join(value for stage in stages for _, value, _ in stage.instructions)
        bound = set(ARCHITECTURES.findall(instructions)) | set(ARCHITECTURES.findall(" ".join(stage.base for stage in stages)))
        report.check(not bound, f"{name}: is only for {bound}")
        ends[name] = stages[-1]
        final(report, name, stages[-1], entail)
    without_origin = [
        [(keyword, value) for keyword, value, _ in stage.instructions] for stage in ends.values()
    ]
    report.check(without_origin[0] == without_origin[1], "the two Dockerfiles do not end in the same image")
    context(report)
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    for name, stage in ends.items():
        report.check(f"VERSION={version}" in stage.values("ARG"), f"{name}: its version is not {version}")
    chart = yaml.safe_load((ROOT / "helm" / "entail" / "Chart.yaml").read_text())
    report.check(chart["appVersion"] == version, f"Chart.yaml: its appVersion is not {version}")
    rust = re.search(r'^rust-version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    report.check(f"RUST_VERSION={rust}" in (DEPLOY / "Dockerfile").read_text(), f"Dockerfile: it does not use Rust {rust}")


def final(report, name, stage, entail):
    report.check(stage.values("USER") == [USER], f"{name}: it does not run as {USER}")
    report.check(LABELS <= set(stage.pairs("LABEL")), f"{name}: labels are missing: {LABELS - set(stage.pairs('LABEL'))}")
    report.check(stage.values("RUN") == [], f"{name}: the image has no shell for RUN")
    entry = dockerfile.words(stage.values("ENTRYPOINT")[0])
    copied = [value.split() for value in stage.values("COPY")]
    report.check([entry[0]] in [words[1:] for words in copied], f"{name}: nothing is copied to its entry point {entry[0]}")
    data = stage.pairs("ENV").get("ENTAIL_DATA")
    owners = [flags.get("chown") for keyword, value, flags in stage.instructions if keyword == "COPY" and value.endswith(f" {data}")]
    report.check(owners == [OWNER], f"{name}: {data} belongs to {owners}")
    report.check([json.loads(value) for value in stage.values("VOLUME")] == [[data]], f"{name}: {data} is no volume")
    report.check(stage.values("STOPSIGNAL") == ["SIGTERM"], f"{name}: does not end by SIGTERM")
    variables = stage.pairs("ENV")
    exposed = {int(port) for value in stage.values("EXPOSE") for port in value.split()}
    listens = {key: value.rsplit(":", 1) for key, value in variables.items() if key.endswith("_LISTEN")}
    report.check({"ENTAIL_LISTEN", "ENTAIL_HTTP_LISTEN"} <= listens.keys(), f"{name}: a published port leads nowhere: {variables}")
    for key, (address, port) in listens.items():
        report.check(address == "0.0.0.0" and int(port) in exposed, f"{name}: {key} is {address}:{port}, of {exposed}")
    checks = [dockerfile.words(value.removeprefix("CMD ")) for value in stage.values("HEALTHCHECK")]
    report.check(len(checks) == 1 and checks[0][0] == entry[0], f"{name}: its HEALTHCHECK is not by its program: {checks}")
    if entail:
        entail.judge(report, f"{name}: HEALTHCHECK", checks[0][1:], {})
        container(report, name, entail, variables, checks[0][1:])
        entail.judge(report, f"{name}: ENV", ["coordinator"], variables)
        default = dockerfile.words(stage.values("CMD")[0])
        done = subprocess.run([entail.path, *default], capture_output=True)
        report.check(done.returncode == 0, f"{name}: its default command {default} ends with {done.returncode}")


def container(report, name, entail, variables, check):
    """`docker run IMAGE serve`: with the image's defaults its HEALTHCHECK succeeds, and fails while nothing runs."""
    # The port for nodes stays on the loopback; here it must be a free one.
    environment = {**variables, "ENTAIL_PEER_LISTEN": "0.0.0.0:7401"}
    with cluster.Cluster(entail, [cluster.Process("image", ["serve"], environment)], lambda host, port: (host, port)) as running:
        asked = cluster.Process("healthcheck", check, {"ENTAIL_SERVER": "http://image:7400"})
        code, output = running.run(cluster.Process("wait", ["status", "--wait"], asked.environment))
        report.check(code == 0, f"{name}: `serve` does not get ready: {code}\n{output}")
        for _ in range(40):
            # The coordinator is ready a moment before the node has its registration.
            status = running.http("image", 7402, "/readyz")
            if status == 200:
                break
            time.sleep(0.5)
        report.check(status == 200, f"{name}: /readyz of `serve` gets {status}")
        code, output = running.run(asked)
        report.check(code == 0, f"{name}: the HEALTHCHECK of a server that works ends with {code}\n{output}")
        running.stop(report)
        code, output = running.run(asked)
        report.check(code not in (0, None), f"{name}: the HEALTHCHECK of a server that has ended ends with {code}\n{output}")


def context(report):
    """The build gets every member of the workspace, and every named path exists."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    members = json.loads(re.search(r"^members = (\[.+\])", (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1])
    needed = {"Cargo.toml", "Cargo.lock", *members}
    report.check(let_in >= needed, f"Dockerfile.dockerignore keeps out {needed - let_in}")
    for name in let_in:
        report.check((ROOT / name).exists(), f"Dockerfile.dockerignore lets in {name}, which is not there")


def schema(report):
    """The file as Compose parses it. Also reports paths, volumes and dependencies that do not exist."""
    compose = shutil.which("compose-go")
    if not compose:
        report.skip("the compose file's schema: there is no compose-go (make check-tools)")
        return
    done = subprocess.run([compose, "--format", "json", "compose.yaml"], cwd=DEPLOY, capture_output=True, text=True)
    report.check(done.returncode == 0, f"compose.yaml: {done.stderr or done.stdout}")
    # The check includes that the tool refuses an invalid file.
    wrong = (DEPLOY / "compose.yaml").read_text().replace("stop_grace_period", "stop_grace_perid")
    done = subprocess.run([compose, "/dev/stdin"], input=wrong, cwd=DEPLOY, capture_output=True, text=True)
    report.check(done.returncode != 0, "compose-go accepts a key that Compose does not know")


def listens(name, service):
    """The ports on which a service of the compose file listens."""
    if name in PORTS_OF_OTHERS:
        return PORTS_OF_OTHERS[name]
    values = service["environment"].items()
    return {int(value.rsplit(":")[-1]) for key, value in values if key.endswith("_LISTEN")}


def compose_file(report, compose):
    services = compose["services"]
    for name, service in services.items():
        at = f"compose.yaml: {name}"
        if service.get("command") == ["node"]:
            # A node does not serve clients, which the image's own check needs.
            report.check(service["healthcheck"] == {"disable": True}, f"{at}: the image's HEALTHCHECK fails at a node")
        tag = re.search(r":-?([^:}]+)}?$", service["image"])
        report.check(bool(tag) and tag[1] != "latest", f"{at}: the image {service['image']} is not pinned")
        for entry in service.get("ports", []):
            address, _, port = entry.split(":")
            report.check(address == "127.0.0.1", f"{at}: port {port} is open to the world")
            report.check(int(port) in listens(name, service), f"{at}: nothing listens on {port}")
        for entry in service.get("volumes", []):
            source = entry.split(":")[0]
            is_there = (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]
            report.check(is_there, f"{at}: {source} is not there")
        for value in map(str, service.get("environment", {}).values()):
            if found := re.match(r"(?:https?://)?([a-z][a-z0-9-]*):(\d+)$", value):
                reachable(report, at, services, found[1], int(found[2]))
        for other in service.get("depends_on", {}):
            report.check(other in services, f"{at}: depends on {other}, which is not there")
    used = {entry.split(":")[0] for service in services.values() for entry in service.get("volumes", [])}
    report.check(set(compose["volumes"]) <= used, f"compose.yaml: nobody uses the volumes {set(compose['volumes']) - used}")


def reachable(report, at, services, host, port):
    is_there = host in services and port in listens(host, services[host])
    report.check(is_there, f"{at}: names {host}:{port}, where nothing listens")


def configuration(report, services):
    """The addresses that Prometheus, the collector and Grafana call."""
    prometheus = yaml.safe_load((DEPLOY / "config" / "prometheus.yaml").read_text())
    targets = [entry["targets"] for job in prometheus["scrape_configs"] for entry in job["static_configs"]]
    called = {target for group in targets for target in group}
    for target in called:
        host, port = target.split(":")
        reachable(report, "prometheus.yaml", services, host, int(port))
    ours = {f"{name}:7402" for name in services if name not in PORTS_OF_OTHERS}
    report.check(ours <= called, f"prometheus.yaml: does not read {ours - called}")
    collector = yaml.safe_load((DEPLOY / "config" / "collector.yaml").read_text())
    for name, exporter in collector["exporters"].items():
        host, port = exporter["endpoint"].split(":")
        reachable(report, f"collector.yaml: {name}", services, host, int(port))
    for name, pipeline in collector["service"]["pipelines"].items():
        for part in ("receivers", "processors", "exporters"):
            report.check(set(pipeline[part]) <= set(collector[part]), f"collector.yaml: {name}: unknown {part}")
    told = collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    report.check(told == "0.0.0.0:4317", f"collector.yaml: listens on {told}")
    grafana = DEPLOY / "config" / "grafana" / "provisioning"
    for path in grafana.glob("datasources/*.yaml"):
        for source in yaml.safe_load(path.read_text())["datasources"]:
            url = urllib.parse.urlparse(source["url"])
            reachable(report, f"{path.name}: {source['name']}", services, url.hostname, url.port)
    mounted = {entry.split(":")[1] for entry in services["grafana"]["volumes"]}
    for path in grafana.glob("dashboards/*.yaml"):
        for provider in yaml.safe_load(path.read_text())["providers"]:
            report.check(provider["options"]["path"] in mounted, f"{path.name}: its directory is not mounted")
    if promtool := shutil.which("promtool"):
        done = subprocess.run([promtool, "check", "config", DEPLOY / "config" / "prometheus.yaml"], capture_output=True, text=True)
        report.check(done.returncode == 0, f"prometheus.yaml: {done.stdout}{done.stderr}")
        rules = DEPLOY / "tests" / "alerts.yaml"
        done = subprocess.run([promtool, "test", "rules", rules.name], cwd=rules.parent, capture_output=True, text=True)
        report.check(done.returncode == 0, f"alerts.yaml: {done.stdout}{done.stderr}")
        tested = {test["alertname"] for suite in yaml.safe_load(rules.read_text())["tests"] for test in suite["alert_rule_test"]}
        groups = yaml.safe_load((DEPLOY / "config" / "alerts.yaml").read_text())["groups"]
        alerts = {rule["alert"] for group in groups for rule in group["rules"]}
        report.check(alerts == tested, f"alerts.yaml: without a test, or without a rule: {alerts ^ tested}")
    else:
        report.skip("prometheus.yaml against Prometheus itself: there is no promtool (Debian's package prometheus)")


def alerts(report):
    """Each alert has a runbook, and each of its selectors has braces: the chart inserts the matchers of a cluster there."""
    runbooks = (ROOT / "docs" / "runbooks.md").read_text()
    headings = set(re.findall(r"^## (\w+)$", runbooks, re.MULTILINE))
    rules = [rule for group in yaml.safe_load((DEPLOY / "config" / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
    names = {rule["alert"] for rule in rules}
    report.check(headings == names, f"docs/runbooks.md: without a section, or without an alert: {headings ^ names}")
    for rule in rules:
        name = rule["alert"]
        link = rule["annotations"].get("runbook_url", "")
        report.check(link.endswith(f"/docs/runbooks.md#{name.lower()}"), f"alerts.yaml: {name}: its runbook is {link}")
        bare = re.findall(r"\b((?:entail|process)_\w+|up)\b(?!\{)", re.sub(r'"[^"]*"', "", rule["expr"]))
        report.check(not bare, f"alerts.yaml: {name}: {bare} without braces, which the chart would leave for every cluster")


def dashboards(report):
    """Every dashboard is complete, and queries only metrics of docs/metrics.md."""
    documented = set(re.findall(r"^\| `((?:entail|process)_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    asked = [(path.name, panel["title"], target["expr"]) for path in (DEPLOY / "dashboards").glob("*.json")
             for panel in json.loads(path.read_text())["panels"] for target in panel.get("targets", [])]
    groups = yaml.safe_load((DEPLOY / "config" / "alerts.yaml").read_text())["groups"]
    asked += [("alerts.yaml", rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]
    report.check(len(asked) > 50, f"only {len(asked)} queries in dashboards and alerts")
    for name, title, query in asked:
        families = {re.sub(r"_(bucket|sum|count)$", "", family) for family in re.findall(r"\b(?:entail|process)_\w+", query)}
        report.check(families <= documented, f"{name}: {title}: asks for {families - documented}, which docs/metrics.md has not")
    for path in (DEPLOY / "dashboards").glob("*.json"):
        variables(report, path)


def variables(report, path):
    """A data source and a cluster can be chosen, and every query uses the choice."""
    dashboard = json.loads(path.read_text())
    found = {entry["name"]: entry for entry in dashboard["templating"]["list"]}
    report.check({"datasource", "namespace", "job", "role", "node"} <= found.keys(), f"{path.name}: its variables are {set(found)}")
    for name, entry in found.items():
        # `.*` also finds series without the label, such as those of the compose file.
        report.check(entry["type"] == "datasource" or entry["allValue"] == ".*", f"{path.name}: {name}: all is not `.*`")
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            families = re.findall(r"\b(?:entail|process)_\w+", target["expr"])
            chosen = target["expr"].count('{namespace=~"$namespace",job=~"$job"')
            report.check(chosen == len(families), f"{path.name}: {panel['title']}: not only for what is chosen: {target['expr']}")
            used = set(re.findall(r"\$([a-z]+)", target["expr"]))
            report.check(used <= found.keys(), f"{path.name}: {panel['title']}: there is no variable {used - found.keys()}")


def ours(services):
    return {name: service for name, service in services.items() if name not in PORTS_OF_OTHERS}


def run(report, services, entail):
    """Runs the cluster as processes until its healthcheck succeeds; then sends SIGTERM."""
    roles = []
    for name, service in ours(services).items():
        entail.judge(report, f"compose.yaml: {name}", service["command"], service["environment"])
        grace, limit = (int(value.removesuffix("s")) for value in (service["environment"]["ENTAIL_GRACE"], service["stop_grace_period"]))
        report.check(grace + 5 <= limit, f"compose.yaml: {name}: a grace of {grace} s leaves too little of {limit} s")
        budget = int(service["environment"]["ENTAIL_MEMORY"].removesuffix("MiB")) << 20
        limit = int(service["mem_limit"].removesuffix("g")) * GIBIBYTE
        report.check(budget + BESIDE_BYTES <= limit, f"compose.yaml: {name}: its budget leaves less than 256 MiB")
        environment = {**service["environment"], "ENTAIL_DATA": "/var/lib/entail"}
        roles.append(cluster.Process(name, service["command"], environment))
    test = services["coordinator"]["healthcheck"]["test"]
    report.check(test[:2] == ["CMD", "/usr/local/bin/entail"], f"compose.yaml: the healthcheck needs more than the image has: {test}")
    entail.judge(report, "compose.yaml: healthcheck", test[2:], {})
    with cluster.Cluster(entail, roles, lambda host, port: (host, port)) as running:
        # In its container the healthcheck calls the default address, which is a different one here.
        asked = cluster.Process("healthcheck", test[2:], {"ENTAIL_SERVER": "http://coordinator:7400"})
        for _ in range(10):
            code, output = running.run(asked)
            if code == 0:
                break
        report.check(code == 0, f"compose.yaml: the healthcheck ends with {code}\n{output}")
        for name in ours(services):
            status = running.http(name, 7402, "/healthz")
            report.check(status == 200, f"compose.yaml: {name}: /healthz gets {status}")
            status = running.http(name, 7402, "/readyz")
            report.check(status == 200, f"compose.yaml: {name}: /readyz gets {status}")
            status = running.http(name, 7402, "/metrics")
            report.check(status == 200, f"prometheus.yaml: {name}: /metrics gets {status}")
        running.stop(report)


def main():
    report = Report()
    entail = program.find()
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    images(report, entail)
    schema(report)
    compose_file(report, compose)
    configuration(report, compose["services"])
    dashboards(report)
    alerts(report)
    units.check(report, entail)
    if entail:
        try:
            run(report, compose["services"], entail)
        except LookupError as error:
            report.check(False, f"compose.yaml: an address leads nowhere: {error}")
    else:
        report.skip("commands and variables against the program: it is not built (cargo build), and $ENTAIL names none")
    report.end("check-deploy")


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
