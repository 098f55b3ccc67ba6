#!/usr/bin/env bash
# Holds a server in memory to its own OpenAPI document: checks/openapi.sh [BINARY] [ST-ARGUMENT…]
# schemathesis makes requests from the document, good and bad ones, and looks at every answer; any
# finding fails. What it does, and which checks it leaves out, is in checks/openapi.toml.
# It lives in target/venv-openapi and is installed once. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/serve.sh
. checks/venv.sh

binary=${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}
venv openapi "${OPENAPI_PINS[@]}"

serve "$binary"

# The token is the demo identities' owner. Of the forms of an error only JSON has a schema.
export PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=$work/hypothesis
if ! "$venv/bin/schemathesis" --config-file checks/openapi.toml run \
    --header "X-Auth-Token: owner-token-0123456789abcdef" --header "Accept: application/json" \
    --no-color "${@:2}" "$url/openapi.json"; then
    tail -n 20 "$work/log" >&2
    exit 1
fi
