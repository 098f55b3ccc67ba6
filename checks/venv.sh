# To be sourced: venv NAME PIN… makes target/venv-NAME with these packages and names it in $venv.
# It is installed once. PYTHON names another interpreter than python3.
# What checks the template and deploys it.
TEMPLATE_PINS=(aws-sam-cli==1.170.0 cfn-lint==1.58.0)
# What imshare is measured beside and compared with.
GLANCE_PINS=(glance==33.0.0 uwsgi==2.0.31)

venv() {
    local name=$1
    shift
    venv=target/venv-$name
    if [[ ! -x $venv/bin/python ]]; then
        rm -rf "$venv"
        "${PYTHON:-python3}" -m venv "$venv"
    fi
    # The stamp is written last, so an installation that was interrupted is taken up again.
    if [[ "$(cat "$venv/pins" 2>/dev/null || true)" != "$*" ]]; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
        printf '%s\n' "$*" >"$venv/pins"
    fi
}
