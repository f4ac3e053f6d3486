#!/usr/bin/env bash
# Runs one of the checks with the tools of tools.sh, if they are installed, and with those on the PATH.
set -euo pipefail
tools=${1:?the directory of the tools} check=${2:?the check}
export PATH="$tools/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
python="$tools/venv/bin/python"
[ -x "$python" ] || python=$(command -v python3) || python=
if [ -z "$python" ] || ! "$python" -c 'import yaml' 2>/dev/null; then
  echo "$check: SKIPPED everything: there is no Python with PyYAML (make check-tools)"
  [ -z "${ENTAIL_TOOLS_REQUIRED:-}" ]
  exit
fi
exec "$python" "$check"
