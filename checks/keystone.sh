#!/usr/bin/env bash
# Drives a server in memory with a real Keystone: checks/keystone.sh [BINARY] [PYTEST-ARGUMENT…]
# Keystone lives in target/venv-keystone and is installed and set up once. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/venv.sh

binary=${1:-${CARGO_TARGET_DIR:-target}/debug/imshare}
venv keystone "${KEYSTONE_PINS[@]}"
venv=$PWD/$venv
new=$venv/new
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export KEYSTONE_ADMIN_PASSWORD=the-admins-password

# A Keystone that has an admin and nothing else, with Fernet tokens and SQLite.
configure() {
    cat >"$1/keystone.conf" <<CONF
[DEFAULT]
log_file = $1/keystone.log
[database]
connection = sqlite:///$1/keystone.sqlite
[fernet_tokens]
key_repository = $1/fernet
[credential]
key_repository = $1/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memory
CONF
    export OS_KEYSTONE_CONFIG_FILES=$1/keystone.conf
}
# The stamp is written last here too; another Keystone is set up anew.
if ! cmp -s "$venv/pins" "$new/pins"; then
    rm -rf "$new"
    mkdir "$new"
    mkdir -m 700 "$new/fernet" "$new/credential"
    configure "$new"
    manage() {
        PYTHONWARNINGS=ignore "$venv/bin/keystone-manage" --config-file "$new/keystone.conf" "$@"
    }
    owner=(--keystone-user "$(id -un)" --keystone-group "$(id -gn)")
    manage db_sync
    manage fernet_setup "${owner[@]}"
    manage credential_setup "${owner[@]}"
    manage bootstrap --bootstrap-password "$KEYSTONE_ADMIN_PASSWORD"
    cp "$venv/pins" "$new/pins"
fi

# Each run has a copy of it to itself.
cp -r "$new/." "$work"
configure "$work"
IMSHARE=$binary PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/python" -m pytest -p no:cacheprovider -W ignore --basetemp "$work/tmp" tests/keystone "${@:2}"
