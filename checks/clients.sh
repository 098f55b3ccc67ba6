#!/usr/bin/env bash
# Drives a server in memory with the public clients: checks/clients.sh [BINARY] [PYTEST-ARGUMENT…]
# The clients live in target/venv-clients and are installed once. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/serve.sh
. checks/venv.sh

binary=${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}
venv clients "${CLIENTS_PINS[@]}"

serve "$binary"

# The clients read settings and keep caches at home: they get a home of their own.
# What they warn of is about their own libraries.
if ! HOME="$work" IMSHARE_URL="$url" PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/python" -m pytest -p no:cacheprovider -W ignore tests/clients "${@:2}"; then
    tail -n 20 "$work/log" >&2
    exit 1
fi
