#!/usr/bin/env bash
# Drives a server in memory with the public clients: checks/clients.sh [BINARY] [PYTEST-ARGUMENT…]
# The clients live in target/venv-clients and are installed once. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

binary=${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}
pins=checks/clients.txt
venv=target/venv-clients
work=$(mktemp -d)
server=

finish() {
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

# The stamp is written last, so an installation that was interrupted is taken up again.
if [[ ! -x $venv/bin/python ]]; then
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
fi
if ! cmp -s "$pins" "$venv/pins"; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$pins"
    cp "$pins" "$venv/pins"
fi

# Port 0: the system picks a free one, and the ready line says which.
: >"$work/ready"
"$binary" serve --in-memory --listen 127.0.0.1:0 >"$work/ready" 2>"$work/log" &
server=$!
for ((tries = 0; tries < 300; tries++)); do
    url=$(sed -n 's/^listening on //p' "$work/ready")
    [[ -n $url ]] && break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
done
if [[ -z $url ]]; then
    echo "the server did not get ready" >&2
    cat "$work/log" >&2
    exit 1
fi

# The clients read settings and keep caches at home: they get a home of their own.
# What they warn of is about their own libraries.
if ! HOME="$work" IMSHARE_URL="$url" PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/python" -m pytest -p no:cacheprovider -W ignore tests/clients "${@:2}"; then
    tail -n 20 "$work/log" >&2
    exit 1
fi
