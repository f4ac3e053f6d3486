"""Checks the image and the compose file as far as that goes without an engine.

    Dockerfiles        stages, sources of COPY, user, ports, labels, entry point
    compose.yaml       the schema and its references, by compose-go, which is what Docker uses; paths, ports, volumes, images
    config/            Prometheus', the collector's and Grafana's addresses lead to services that listen there; alerts
                       fire when they should
    dashboards/        ask for metrics that docs/metrics.md has
    the real program   every command, flag and variable; the cluster runs as processes, healthcheck included

What has no tool here is skipped and said (report.py).
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import urllib.parse

import cluster
import dockerfile
import program
import yaml
from report import Report

DEPLOY = pathlib.Path(__file__).parent.parent
ROOT = DEPLOY.parent
USER = "65532:65532"
LABELS = {f"org.opencontainers.image.{name}" for name in ("title", "description", "licenses", "version", "revision")}
# Ports that the images of others listen on, as their documentation has it.
PORTS_OF_OTHERS = {"collector": {4317, 8888}, "jaeger": {4317, 16686}, "prometheus": {9090}, "grafana": {3000}}
GIBIBYTE = 1 << 30
BESIDE_BYTES = 256 << 20


def images(report, entail):
    """Both Dockerfiles, which must end in the same image."""
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
    report.check(owners == [USER], f"{name}: {data} does not belong to its user")
    if entail:
        variables = stage.pairs("ENV")
        entail.judge(report, f"{name}: ENV", ["coordinator"], variables)
        default = dockerfile.words(stage.values("CMD")[0])
        done = subprocess.run([entail.path, *default], capture_output=True)
        report.check(done.returncode == 0, f"{name}: its default command {default} ends with {done.returncode}")


def context(report):
    """The build gets every member of the workspace, and everything that is named does exist."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    members = json.loads(re.search(r"^members = (\[.+\])", (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1])
    needed = {"Cargo.toml", "Cargo.lock", *members}
    report.check(let_in >= needed, f"Dockerfile.dockerignore keeps out {needed - let_in}")
    for name in let_in:
        report.check((ROOT / name).exists(), f"Dockerfile.dockerignore lets in {name}, which is not there")


def schema(report):
    """Compose's own reading of the file. It also says where a path, a volume or a dependency leads nowhere."""
    compose = shutil.which("compose-go")
    if not compose:
        report.skip("the compose file's schema: there is no compose-go (make check-tools)")
        return
    done = subprocess.run([compose, "--format", "json", "compose.yaml"], cwd=DEPLOY, capture_output=True, text=True)
    report.check(done.returncode == 0, f"compose.yaml: {done.stderr or done.stdout}")
    # That the tool does refuse what is wrong is part of the check.
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
    """What Prometheus, the collector and Grafana are told to call."""
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


def dashboards(report):
    """Every dashboard is whole, and asks for nothing that docs/metrics.md does not have."""
    documented = set(re.findall(r"^\| `(entail_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    asked = [(path.name, panel["title"], target["expr"]) for path in (DEPLOY / "dashboards").glob("*.json")
             for panel in json.loads(path.read_text())["panels"] for target in panel.get("targets", [])]
    groups = yaml.safe_load((DEPLOY / "config" / "alerts.yaml").read_text())["groups"]
    asked += [("alerts.yaml", rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]
    report.check(len(asked) > 50, f"only {len(asked)} queries in dashboards and alerts")
    for name, title, query in asked:
        families = {re.sub(r"_(bucket|sum|count)$", "", family) for family in re.findall(r"entail_\w+", query)}
        report.check(families <= documented, f"{name}: {title}: asks for {families - documented}, which docs/metrics.md has not")


def ours(services):
    return {name: service for name, service in services.items() if name not in PORTS_OF_OTHERS}


def run(report, services, entail):
    """The cluster as processes, until its healthcheck is content; then SIGTERM."""
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
        # In its container the healthcheck asks the default address, which is here another one.
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
