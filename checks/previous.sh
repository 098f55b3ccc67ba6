#!/usr/bin/env bash
# Drives the previous release and this one over the same data, forth and back: checks/previous.sh [BINARY [PREVIOUS]]
# Each reads what the other has written and ends the jobs that it has left, while it is stopped, killed, and beside it.
# PREVIOUS is the previous release's binary. By default it is built from the commit that CHANGELOG.md names first, once,
# in target/previous. That takes minutes, so CI does not run this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/previous_release.sh

binary=${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}
previous=${2:-}
if [[ -z $previous ]]; then
    previous_commit
    previous_build --bin imshare
    previous=$built/imshare
fi
exec python3 -B tests/previous/drive.py "$previous" "$binary"
