#!/usr/bin/env bash
# Drives the previous release and this one over the same data, forth and back: checks/previous.sh [BINARY [PREVIOUS]]
# Each reads what the other has written and ends the jobs that it has left, while it is stopped, killed, and beside it.
# PREVIOUS is the previous release's binary. By default it is built from the commit that CHANGELOG.md names first, once,
# in target/previous. That takes minutes, so CI does not run this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

binary=${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}
previous=${2:-}
if [[ -z $previous ]]; then
    commit=$(sed -n 's/^## .*commit \([0-9a-f]*\)$/\1/p' CHANGELOG.md | head -n 1)
    [[ -n $commit ]] || { echo "CHANGELOG.md names no commit of a release" >&2; exit 1; }
    source=target/previous/$commit
    if [[ ! -d $source ]]; then
        mkdir -p "$source.new"
        git archive "$commit" | tar -x -C "$source.new"
        mv "$source.new" "$source"
    fi
    # One target directory for all previous releases: they have most dependencies in common.
    CARGO_TARGET_DIR=$PWD/target/previous/build cargo build --locked --manifest-path "$source/Cargo.toml" --bin imshare
    previous=target/previous/build/debug/imshare
    echo "the previous release is commit $commit"
fi
exec python3 -B tests/previous/drive.py "$previous" "$binary"
