#!/usr/bin/env bash
# Deploys template.yaml with the release binaries to an AWS emulator on this machine, tests it over HTTP, removes its
# permissions one by one, updates it and deletes it: checks/deploy.sh [PYTEST-ARGUMENT…]
# BINARIES names a directory with x86_64 binaries that are built already. With PREVIOUS, a directory with those of the release
# of PREVIOUS_COMMIT, it goes from that release to this one and back instead: see checks/rollback.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/venv.sh

if [[ -z ${BINARIES:-} ]]; then
    cargo build --locked --release --workspace --bins
    BINARIES=target/release
fi

# Three environments, because the tools need different versions of the same packages.
venv template "${TEMPLATE_PINS[@]}"
sam=$PWD/$venv/bin/sam
venv aws "${AWS_PINS[@]}"
aws=$PWD/$venv/bin
venv deploy "${DEPLOY_PINS[@]}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# code DIRECTORY BINARIES FUNCTION…: the code of each function, without what only a debugger reads: a deployment is limited in size.
code() {
    local function name
    for function in "${@:3}"; do
        name=$(basename "$function")
        mkdir -p "$work/$1/$name"
        strip -o "$work/$1/$name/bootstrap" "$2/$name"
    done
}
code code "$BINARIES" functions/*/
tests=tests/deploy
if [[ -n ${PREVIOUS:-} ]]; then
    # shellcheck disable=SC2046
    code previous "$PREVIOUS" $(git ls-tree --name-only "$PREVIOUS_COMMIT" functions/)
    git show "$PREVIOUS_COMMIT:template.yaml" >"$work/previous/template.yaml"
    tests=tests/deploy/rollback.py
fi

# A home of their own: the tools read settings and keep caches there.
HOME="$work" CODE="$work/code" PREVIOUS_CODE="$work/previous" SAM="$sam" AWS="$aws" PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/python" -m pytest -p no:cacheprovider "$tests" "$@"
