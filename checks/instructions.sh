#!/usr/bin/env bash
# Counts the instructions and the allocations of each operation, and of a function's start, and compares them with
# checks/instructions/baseline.json: 5 % more fails. `--update` writes that file instead.
# The test build is counted: CI has built it already. So the counts compare with each other, and not with a release's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-} in
'') action=check ;;
--update) action=update ;;
*) echo "usage: $0 [--update]" >&2 && exit 2 ;;
esac

if ! command -v valgrind >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends valgrind
fi

# The same command as in test.sh: with other features everything would be built again, and counted otherwise.
cargo build --locked --workspace --bins --tests
target/debug/instructions "$action" checks/instructions/baseline.json "$PWD/target/debug/read-members"
