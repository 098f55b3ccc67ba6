#!/usr/bin/env bash
# Checks template.yaml with the SAM CLI and cfn-lint; any finding fails, warnings too.
# The tools live in target/venv-template and are installed once. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pins=(aws-sam-cli==1.170.0 cfn-lint==1.58.0)
venv=target/venv-template
plain=$venv/plain.json

# The stamp is written last, so an installation that was interrupted is taken up again.
if [[ ! -x $venv/bin/python ]]; then
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
fi
if [[ "$(cat "$venv/pins" 2>/dev/null || true)" != "${pins[*]}" ]]; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${pins[@]}"
    printf '%s\n' "${pins[*]}" >"$venv/pins"
fi

# Without a region the tools look for one in the caller's own settings.
export AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0
"$venv/bin/sam" validate --lint --template template.yaml
"$venv/bin/cfn-lint" template.yaml

# Of SAM's own resources both see little: not a misspelled property of an event, not a wrong action
# in a role. So the template is held to SAM's model too, and what SAM makes of it is linted.
"$venv/bin/python" - template.yaml "$plain" <<'PYTHON'
import json
import logging
import sys
from pathlib import Path

from samtranslator.internal.schema_source.schema import SamModel
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

logging.disable(logging.ERROR)


class NoManagedPolicies:
    def load(self):
        return {}


source, plain = map(Path, sys.argv[1:])
template = yaml_parse(source.read_text())
try:
    SamModel.parse_obj(template)
except ValueError as error:
    # The model tries every type of resource; the deepest complaints are those about the right one.
    deepest = max(len(each["loc"]) for each in error.errors())
    for each in error.errors():
        if len(each["loc"]) == deepest:
            print(f"{source}: {'/'.join(map(str, each['loc']))}: {each['msg']}")
    sys.exit(1)
# SAM wants code that is in a bucket already.
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
parameters = {name: each.get("Default") for name, each in template["Parameters"].items()}
plain.write_text(json.dumps(transform(template, parameters, NoManagedPolicies()), indent=1))
PYTHON
"$venv/bin/cfn-lint" "$plain"
echo "template.yaml: no findings"
