"""Tests that each rule can fail, on a template that breaks it: guard_can_fail.py CFN-GUARD RULES TEMPLATE"""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

guard, rules, plain = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
whole = json.loads(plain.read_text())


def first(template, kind):
    return next(each for each in template["Resources"].values() if each["Type"] == kind)


def properties(template, kind):
    return first(template, kind)["Properties"]


def statement(template):
    return template["Resources"]["GetJobRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]


# Changes of a template that break each rule.
BREAKS = {
    "tables_are_encrypted": lambda t: t["Resources"]["Table"]["Properties"]["SSESpecification"].update(SSEEnabled=False),
    "access_keys_have_a_key_of_our_own": lambda t: t["Resources"]["AccessKeys"]["Properties"]["SSESpecification"].pop("KMSMasterKeyId"),
    "keys_rotate": lambda t: properties(t, "AWS::KMS::Key").update(EnableKeyRotation=False),
    "queues_are_encrypted": lambda t: properties(t, "AWS::SQS::Queue").pop("SqsManagedSseEnabled"),
    "queue_has_dead_letters": lambda t: t["Resources"]["Queue"]["Properties"].pop("RedrivePolicy"),
    "dead_letters_are_taken": lambda t: t["Resources"].pop("SettleBatchMessages"),
    "logs_end": lambda t: properties(t, "AWS::Logs::LogGroup").pop("RetentionInDays"),
    "each_function_logs_to_a_group_that_ends": lambda t: properties(t, "AWS::Lambda::Function").pop("LoggingConfig"),
    "requests_are_logged_and_limited": lambda t: properties(t, "AWS::ApiGateway::Stage").pop("AccessLogSetting"),
    "alarms_can_notify": lambda t: properties(t, "AWS::CloudWatch::Alarm").pop("AlarmActions"),
    "no_wildcard_action": lambda t: statement(t).update(Action=["dynamodb:*"]),
    "no_wildcard_resource": lambda t: statement(t).update(Resource="*"),
    "each_function_has_its_role": lambda t: properties(t, "AWS::Lambda::Function").pop("Role"),
}

# Rules with parameters are only used by others.
names = {name for file in rules.glob("*.guard") for name in re.findall(r"^rule (\w+) \{", file.read_text(), re.M)}
if names != set(BREAKS):
    sys.exit(f"rules without a template that breaks them, or the other way round: {names ^ set(BREAKS)}")
for name, spoil in BREAKS.items():
    template = copy.deepcopy(whole)
    spoil(template)
    broken = plain.with_name("broken.json")
    broken.write_text(json.dumps(template, indent=1))
    command = [guard, "validate", "--rules", rules, "--data", broken, "--show-summary", "all"]
    said = subprocess.run(command, capture_output=True, text=True)
    failed = set(re.findall(r"\.guard/(\w+) +FAIL$", said.stdout, re.M))
    if failed != {name} or said.returncode == 0:
        sys.exit(f"{name}: broken on purpose, but these fail: {failed}\n{said.stderr}")
print(f"{len(BREAKS)} rules can fail")
