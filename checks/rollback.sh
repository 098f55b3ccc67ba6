#!/usr/bin/env bash
# Deploys the previous release to an AWS emulator, this one over it, the previous one again, and this one again, each while
# batches wait and requests go on; nothing may be lost: checks/rollback.sh [BINARIES [PREVIOUS]]
# Both are directories with the binaries of all functions. By default they are built; the previous release's from the commit
# that CHANGELOG.md names first, once, in target/previous. That and the test take many minutes, so CI does not run this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/previous_release.sh

binaries=${1:-}
if [[ -z $binaries ]]; then
    cargo build --locked --workspace --bins
    binaries=${CARGO_TARGET_DIR:-target}/debug
fi
previous_commit
built=${2:-}
[[ -n $built ]] || previous_build --workspace --bins
# -s: what it prints is its record.
BINARIES=$binaries PREVIOUS=$built PREVIOUS_COMMIT=$commit exec checks/deploy.sh -s
