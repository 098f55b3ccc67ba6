#!/usr/bin/env bash
# Checks template.yaml with the SAM CLI, cfn-lint, checkov and cfn-guard; any finding fails, warnings
# too. The tools live in target/ and are installed once. PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. checks/venv.sh

# Two environments, because the tools ask for different versions of the same packages.
venv checkov "${CHECKOV_PINS[@]}"
checkov=$venv/bin/checkov
venv template "${TEMPLATE_PINS[@]}"
plain=$venv/plain.json

# cfn-guard comes with a package for node: its binary alone is taken, without node.
guard=target/cfn-guard-3.1.1
[[ -x $guard ]] || "$venv/bin/python" checks/cfn_guard.py "$guard"

# Without a region the tools look for one in the caller's own settings.
export AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0
"$venv/bin/sam" validate --lint --template template.yaml
"$venv/bin/cfn-lint" template.yaml

# Of SAM's own resources both see little: not a misspelled property of an event, not a wrong action
# in a role. So the template is held to SAM's model too, and what SAM makes of it is checked.
"$venv/bin/python" checks/plain.py template.yaml "$plain"
"$venv/bin/cfn-lint" "$plain"
"$checkov" --config-file checks/checkov.yaml --file "$plain"
"$guard" validate --rules checks/guard --data "$plain" --show-summary fail

# A rule that cannot fail says nothing: each is shown a template that breaks it.
"$venv/bin/python" checks/guard_can_fail.py "$guard" checks/guard "$plain"
echo "template.yaml: no findings"
