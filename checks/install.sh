#!/usr/bin/env bash
# Installs everything that the checks need from PyPI, so that none of them waits for it later.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/venv.sh

venv aws "${AWS_PINS[@]}"
venv checkov "${CHECKOV_PINS[@]}"
venv clients "${CLIENTS_PINS[@]}"
venv deny "${DENY_PINS[@]}"
venv deploy "${DEPLOY_PINS[@]}"
venv glance "${GLANCE_PINS[@]}"
venv keystone "${KEYSTONE_PINS[@]}"
venv openapi "${OPENAPI_PINS[@]}"
venv template "${TEMPLATE_PINS[@]}"
