#!/usr/bin/env bash
# Checks a server in memory against its own OpenAPI document: checks/openapi.sh [BINARY] [ST-ARGUMENT…]
# schemathesis generates valid and invalid requests from the document and checks every response; any finding fails.
# checks/openapi.toml configures it and says which checks are left out.
# schemathesis is installed once, in target/venv-openapi. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/serve.sh
. checks/venv.sh

binary=${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}
venv openapi "${OPENAPI_PINS[@]}"

serve "$binary"

# The token is that of the demo identities' owner. Only the JSON form of an error has a schema.
export PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=$work/hypothesis
if ! "$venv/bin/schemathesis" --config-file checks/openapi.toml run \
    --header "X-Auth-Token: owner-token-0123456789abcdef" --header "Accept: application/json" \
    --no-color "${@:2}" "$url/openapi.json"; then
    tail -n 20 "$work/log" >&2
    exit 1
fi
