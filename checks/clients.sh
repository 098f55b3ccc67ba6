#!/usr/bin/env bash
# Runs the tests of the public clients against a server in memory: checks/clients.sh [BINARY] [PYTEST-ARGUMENT…]
# The clients are installed once, in target/venv-clients. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/serve.sh
. checks/venv.sh

binary=${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}
venv clients "${CLIENTS_PINS[@]}"

serve "$binary"

# A home of their own: the clients read settings and keep caches there.
# Their warnings are about their own libraries.
if ! HOME="$work" IMSHARE_URL="$url" PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/python" -m pytest -p no:cacheprovider -W ignore tests/clients "${@:2}"; then
    tail -n 20 "$work/log" >&2
    exit 1
fi
