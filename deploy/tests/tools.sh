#!/usr/bin/env bash
# Installs the tools for the checks of image and chart, and for the test of the dashboard, in one directory: helm and
# compose-go as Go modules, kubernetes-validate from PyPI in a virtual environment, prometheus and promtool out of Debian's
# package, which need not be installed. Tools that cannot be installed are listed, and the checks skip what needs them.
set -uo pipefail
tools=${1:?the directory for the tools}
mkdir -p "$tools/bin"
tools=$(cd "$tools" && pwd)
missing=()

# Helm's own version of Kubernetes, for charts that ask for one, is set by its release build only.
kubernetes="helm.sh/helm/v3/pkg/chartutil"
if [ ! -x "$tools/bin/helm" ]; then
  GOBIN="$tools/bin" go install -ldflags "-X $kubernetes.k8sVersionMajor=1 -X $kubernetes.k8sVersionMinor=34" \
    helm.sh/helm/v3/cmd/helm@latest || missing+=(helm)
fi
if [ ! -x "$tools/bin/compose-go" ]; then
  # The module's program is named `cmd`.
  GOBIN="$tools/bin/compose" go install github.com/compose-spec/compose-go/v2/cmd@latest \
    && mv "$tools/bin/compose/cmd" "$tools/bin/compose-go" && rmdir "$tools/bin/compose" || missing+=(compose-go)
fi
if ! "$tools/venv/bin/python" -c 'import kubernetes_validate, yaml' 2>/dev/null; then
  python3 -m venv "$tools/venv" && "$tools/venv/bin/pip" install --quiet kubernetes-validate pyyaml \
    || missing+=(kubernetes-validate)
fi
if ! { command -v promtool && command -v prometheus; } >/dev/null && [ ! -x "$tools/bin/prometheus" ]; then
  work=$(mktemp -d)
  fetch() { apt-get download -qq prometheus; }
  # Where the package lists are missing, as in images, they are downloaded first.
  (cd "$work" && { fetch || { apt-get update -qq && fetch; }; } && dpkg -x prometheus_*.deb . \
    && cp usr/bin/promtool usr/bin/prometheus "$tools/bin/") \
    2>/dev/null || missing+=("prometheus and promtool (Debian's package prometheus)")
  rm -r "$work"
fi
command -v curl >/dev/null || missing+=("curl (Debian's package curl)")
[ ${#missing[@]} -eq 0 ] || printf 'not at hand: %s\n' "${missing[@]}"
exit 0
