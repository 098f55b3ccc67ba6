#!/usr/bin/env bash
# Runs all tests. Cargo brings everything that the Rust tests need; the real clients come from PyPI, pinned, and are
# installed in target/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# The tests start the real binaries. One command builds both: two would build the dependencies twice, with different
# features.
cargo build --locked --workspace --bins --tests
cargo test --locked --workspace
checks/clients.sh
