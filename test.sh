#!/usr/bin/env bash
# All tests, by one command. Cargo brings what the Rust tests need; the real clients come from
# PyPI, pinned, into target/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# The tests start the real binaries. Both are built by one command: apart, each would build the
# dependencies with features of its own.
cargo build --locked --workspace --bins --tests
cargo test --locked --workspace
checks/clients.sh
