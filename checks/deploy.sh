#!/usr/bin/env bash
# Deploys template.yaml with the release binaries to an AWS emulator on this machine, tests it over HTTP, removes its
# permissions one by one, updates it and deletes it: checks/deploy.sh [PYTEST-ARGUMENT…]
# BINARIES names a directory with x86_64 binaries that are built already.
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
for function in functions/*/; do
    name=$(basename "$function")
    mkdir -p "$work/code/$name"
    cp "$BINARIES/$name" "$work/code/$name/bootstrap"
done

# A home of their own: the tools read settings and keep caches there.
HOME="$work" CODE="$work/code" SAM="$sam" AWS="$aws" PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/python" -m pytest -p no:cacheprovider tests/deploy "$@"
