#!/usr/bin/env bash
# Runs tests against a server in memory that uses a real Keystone: checks/keystone.sh [BINARY] [PYTEST-ARGUMENT…]
# Keystone is installed and set up once, in target/venv-keystone. PYTHON names another interpreter.
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

# Configures a Keystone with an admin only, Fernet tokens and SQLite.
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
# As in venv.sh, the stamp is written last. Another version of Keystone is set up again.
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

# Each run works on its own copy.
cp -r "$new/." "$work"
configure "$work"
IMSHARE=$binary PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/python" -m pytest -p no:cacheprovider -W ignore --basetemp "$work/tmp" tests/keystone "${@:2}"
