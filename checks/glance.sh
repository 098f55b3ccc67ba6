#!/usr/bin/env bash
# Compares a server in memory with a real Glance 33.0.0, in random sequences of requests by random
# callers: checks/glance.sh [BINARY [ARGUMENT…]]; the argument --help says which there are.
# Both must answer alike, but for what tests/glance/purpose*.py declares; a difference that nobody
# declared fails, and is shown as a short sequence. The same seed makes the same sequences.
# Glance lives in target/venv-glance and is installed once. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/venv.sh

venv glance "${GLANCE_PINS[@]}"
# What compares must find a difference itself.
"$venv/bin/python" -B -m unittest discover -q -s tests/glance
exec "$venv/bin/python" -B tests/glance "${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}" "${@:2}"
