#!/usr/bin/env bash
# Puts a server on one machine under half an hour of mixed load, and then moves its clock forward:
# checks/soak.sh [--minutes 30] [--rate 100] [--binary FILE]
# Without --binary the server is built as it is installed. checks/soak.py says what fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# libfaketime moves the clock of the real server.
library() {
    find /usr/lib /usr/local/lib -name libfaketime.so.1 2>/dev/null | head -n 1
}
if [[ -z $(library) ]]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends faketime
fi

[[ " $* " == *" --binary"* ]] || cargo build --locked --profile server -p cli
exec "${PYTHON:-python3}" checks/soak.py --faketime "$(library)" "$@"
