#!/usr/bin/env bash
# Serves a real Glance to measure and to compare imshare with: bench/glance/serve.sh DIRECTORY PORT
# Glance is installed once, in target/venv-glance. Its data go to DIRECTORY. It prints the same ready line as imshare.
# WORKERS is the number of processes, MEMBER_QUOTA the quota of members; MIDDLEWARE names filters of Glance's own
# pipeline to run before the others; IDENTITY is the file of its callers, see tokens.py.
set -euo pipefail
data=$(realpath "$1") port=$2
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. checks/venv.sh
venv glance "${GLANCE_PINS[@]}" >&2

cat >"$data/glance-api.conf" <<CONF
[DEFAULT]
image_member_quota = ${MEMBER_QUOTA:--1}
worker_self_reference_url = http://127.0.0.1:$port
log_file = $data/glance.log
enabled_backends = files:file
image_cache_dir = $data/cache
[image_format]
require_image_format_match = False
[files]
filesystem_store_datadir = $data/images
[glance_store]
default_backend = files
[os_glance_staging_store]
filesystem_store_datadir = $data/staging
[os_glance_tasks_store]
filesystem_store_datadir = $data/tasks
[database]
connection = sqlite:///$data/glance.sqlite?timeout=60
[paste_deploy]
config_file = $data/paste.ini
CONF
# Glance's own pipeline for Keystone, with fixed tokens in place of Keystone.
sed "s/^keystone = .*/keystone = ${MIDDLEWARE:-} versionnegotiation tokens context rootapp/" \
    "$venv/etc/glance/glance-api-paste.ini" >"$data/paste.ini"
cat >>"$data/paste.ini" <<PASTE

[filter:tokens]
paste.filter_factory = tokens:factory
PASTE
sed -i "/^\[paste_deploy\]/a flavor = keystone" "$data/glance-api.conf"
mkdir -p "$data/images" "$data/staging" "$data/tasks"

export OS_GLANCE_CONFIG_DIR=$data PYTHONPATH=$PWD/bench/glance PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore
"$venv/bin/glance-manage" --config-file "$data/glance-api.conf" db_sync >&2
# As in imshare's own database: readers do not wait for a writer.
"$venv/bin/python" -c "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode=WAL')" \
    "$data/glance.sqlite"
exec "$venv/bin/uwsgi" --master --no-orphans --die-on-term --processes "${WORKERS:-2}" --lazy-apps --need-app \
    --enable-threads --virtualenv "$venv" --module glance.wsgi.api:application \
    --http "127.0.0.1:$port" --http-keepalive --socket 127.0.0.1:0 --buffer-size 65535 --disable-logging \
    --hook-accepting1-once "exec:echo listening on http://127.0.0.1:$port"
