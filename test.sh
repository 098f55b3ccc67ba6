#!/usr/bin/env bash
# All tests, by one command. Cargo brings what the Rust tests need; the real clients come from
# PyPI, pinned, into target/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# The same packages each time, so that nothing is built twice with other features. The binaries
# first: the tests start the real ones.
cargo build --locked --workspace --bins
cargo test --locked --workspace
checks/clients.sh target/debug/imshare
