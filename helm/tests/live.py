"""A Kubernetes API server that has a few objects and answers GET: enough for `lookup` in `helm template --dry-run=server`.

    with Api(objects) as api:
        helm("template", ..., "--dry-run=server", *api.flags())

check() renders the chart beside clusters that live already: what would lose data is refused, and says what would be lost.
"""

import http.server
import json
import pathlib
import tempfile
import threading

# Group and version -> kind -> plural.
KINDS = {
    "v1": {"PersistentVolumeClaim": "persistentvolumeclaims", "Service": "services", "ConfigMap": "configmaps"},
    "apps/v1": {"StatefulSet": "statefulsets"},
}


class Api:
    def __init__(self, objects, namespace):
        self.namespace = namespace
        self.paths = {
            "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self.group("apps")]},
        }
        for version, kinds in KINDS.items():
            resources = [
                {"name": plural, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
                for kind, plural in kinds.items()
            ]
            self.paths[self.root(version)] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        for item in objects:
            plural = KINDS[item["apiVersion"]][item["kind"]]
            self.paths[f"{self.root(item['apiVersion'])}/namespaces/{namespace}/{plural}/{item['metadata']['name']}"] = item

    @staticmethod
    def root(version):
        return f"/apis/{version}" if "/" in version else f"/api/{version}"

    @staticmethod
    def group(name):
        version = {"groupVersion": f"{name}/v1", "version": "v1"}
        return {"name": name, "versions": [version], "preferredVersion": version}

    def __enter__(self):
        paths = self.paths

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = paths.get(self.path.split("?")[0])
                missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
                body = json.dumps(found or missing).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.directory = tempfile.TemporaryDirectory(prefix="entail-check-live-")
        self.config = pathlib.Path(self.directory.name, "kubeconfig")
        address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": address}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "", "namespace": self.namespace}}],
        }))
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.directory.cleanup()

    def flags(self):
        return ["--dry-run=server", "--kubeconfig", self.config]


def claim(name):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}}


def check(report, render, statefulsets, namespace):
    """`render(flags, settings)` returns helm's result; the StatefulSets are those of a release with 3 nodes."""
    sets = {item["metadata"]["name"]: item for item in statefulsets}
    node = next(name for name in sets if name.endswith("-node"))
    volumes = [claim(f"data-{node}-{number}") for number in range(3)]
    lives, removed = list(sets.values()) + volumes, volumes
    stopped = [{**item, "spec": {**item["spec"], "replicas": 0}} for item in sets.values()] + volumes
    cases = [
        # (existing objects, settings, the refusal's message; None if it renders)
        (lives, [], None),
        (lives, ["node.replicas=5", "cluster.minNodes=3"], None),
        (lives, ["node.replicas=2"], f"node.replicas is 2, but 3 nodes run: this would remove {node}-2 to {node}-2; each shard has one copy"),
        (lives, ["node.replicas=2", "node.allowScaleIn=true"], None),
        (lives, ["node.replicas=2", "liveChecks.enabled=false"], None),
        (lives, ["cluster.shards=128"], "cluster.shards is 128, but this cluster was created with 64 shards"),
        (lives, ["cluster.shards=128", "node.allowScaleIn=true"], "cluster.shards is 128, but this cluster was created with 64"),
        (lives, ["cluster.shards=128", "liveChecks.enabled=false"], None),
        (stopped, [], None),
        (stopped, ["node.replicas=2"], f"node.replicas is 2, but there is the volume data-{node}-2"),
        (stopped, ["cluster.shards=128"], "but this cluster was created with 64 shards"),
        (removed, [], None),
        (removed, ["node.replicas=1"], f"node.replicas is 1, but there is the volume data-{node}-1 of a stopped or earlier installation"),
        (removed, ["node.replicas=1", "node.allowScaleIn=true"], None),
        (removed, ["cluster.shards=128"], None),
        ([], ["node.replicas=1", "cluster.shards=128"], None),
    ]
    for objects, settings, expected in cases:
        with Api(objects, namespace) as api:
            done = render(api.flags(), settings)
        at = f"{len(objects)} objects live, {', '.join(settings) or 'nothing set'}"
        if expected is None:
            report.check(done.returncode == 0, f"{at}: refused: {done.stderr}")
        else:
            report.check(done.returncode != 0, f"{at}: accepted")
            report.check(expected in done.stderr, f"{at}: refused without `{expected}`: {done.stderr}")
