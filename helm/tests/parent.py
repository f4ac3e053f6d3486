"""The chart as a dependency: what Helm itself puts into a subchart's values (`condition`, `tags`, `global`) is accepted."""

import pathlib
import shutil
import tempfile

import manifests

HERE = pathlib.Path(__file__).parent


def check(report, helm, chart, version):
    with tempfile.TemporaryDirectory(prefix="entail-check-parent-") as directory:
        parent = pathlib.Path(directory, "parent")
        shutil.copytree(HERE / "parent", parent)
        shutil.copytree(chart, parent / "charts" / "entail")

        def render(*settings):
            flags = [flag for setting in settings for flag in ("--set", setting)]
            done = helm("template", "app", parent, "--kube-version", version, *flags)
            if not report.check(done.returncode == 0, f"as a dependency, with {settings}: {done.stderr}"):
                return None
            return manifests.Manifests(done.stdout)

        done = helm("lint", parent)
        report.check(done.returncode == 0, f"as a dependency: helm lint: {done.stdout}{done.stderr}")
        sets = {
            (): {"app-entail-coordinator": 1, "app-entail-node": 2},
            ("entail.enabled=false",): {},
            ("archive.enabled=true",): {
                "app-entail-coordinator": 1, "app-entail-node": 2, "app-archive-coordinator": 1, "app-archive-node": 3,
            },
            ("entail.enabled=null", "archive.enabled=null", "tags.graphs=false"): {},
        }
        for settings, expected in sets.items():
            if rendered := render(*settings):
                found = {item["metadata"]["name"]: item["spec"]["replicas"] for item in rendered.of("StatefulSet")}
                report.check(found == expected, f"as a dependency, with {settings}: {found} instead of {expected}")
        if rendered := render("archive.enabled=true"):
            both(report, rendered)
        done = helm("template", "app", parent, "--kube-version", version, "--set", "entail.enabld=true")
        report.check("'enabld' not allowed" in done.stderr, f"as a dependency: a misspelt value is accepted: {done.stderr}")


def both(report, rendered):
    """Two clusters of one release: each Service, budget and policy is for the Pods of one; a parent's null is heeded."""
    for name, _, pod in rendered.pods():
        if name.startswith("app-entail"):
            user = pod["securityContext"].keys() & {"runAsUser", "fsGroup"}
            report.check(not user, f"as a dependency: {name}: the parent's null leaves {user}")
    for item in rendered.of("Service") + rendered.of("NetworkPolicy"):
        spec = item["spec"]
        selector = spec["podSelector"] if "podSelector" in spec else {"matchLabels": spec["selector"]}
        found = {name.rsplit("-", 1)[0] for name, _, _ in rendered.selected(selector)}
        own = item["metadata"]["name"]
        report.check(
            len(found) == 1 and own.startswith(next(iter(found))), f"as a dependency: {item['kind']} {own} is for {found}"
        )
