#!/usr/bin/env bash
# Tests the console in a real browser against a server in memory: checks/console.sh [BINARY] [NODE-ARGUMENT…]
# For one flow: checks/console.sh target/debug/imshare --test-name-pattern='vault'
# Chromium and Node come from Debian, what else is needed from npm, pinned, into console/node_modules. Pictures of what
# was tested are in target/ci/console.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

install=()
{ command -v node && command -v npm; } >/dev/null || install+=(nodejs npm)
command -v chromium >/dev/null || install+=(chromium)
if ((${#install[@]})); then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${install[@]}"
fi

IMSHARE=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}")
export IMSHARE
export SHOTS=$PWD/target/ci/console
CHROMIUM=$(command -v chromium)
export CHROMIUM
rm -rf "$SHOTS"

cd console
cmp -s package-lock.json node_modules/.imshare-lock || {
    npm ci --silent --no-audit --no-fund
    cp package-lock.json node_modules/.imshare-lock
}
./vendor.sh --check
node_modules/.bin/tsc --project .
node --test --test-reporter=spec "${@:2}" tests/console.test.js
