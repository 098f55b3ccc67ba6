#!/usr/bin/env bash
# Compares a server in memory with a real Glance 33.0.0, in random sequences of requests by random callers:
# checks/glance.sh [BINARY [ARGUMENT…]]; --help lists the arguments.
# Both must answer alike, except as tests/glance/purpose*.py declares. An undeclared difference fails the check and is
# shown as a short sequence. The same seed gives the same sequences.
# Glance is installed once, in target/venv-glance. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/venv.sh

venv glance "${GLANCE_PINS[@]}"
# First test that the comparison finds differences.
"$venv/bin/python" -B -m unittest discover -q -s tests/glance
exec "$venv/bin/python" -B tests/glance "${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}" "${@:2}"
