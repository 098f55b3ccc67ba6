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


def access_log(template):
    return properties(template, "AWS::ApiGateway::Stage")["AccessLogSetting"]


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
    "requests_are_logged_and_limited": lambda t: properties(t, "AWS::ApiGateway::Stage")["MethodSettings"][0].pop("ThrottlingRateLimit"),
    "alarms_can_notify": lambda t: properties(t, "AWS::CloudWatch::Alarm").pop("AlarmActions"),
    "no_wildcard_action": lambda t: statement(t).update(Action=["dynamodb:*"]),
    "no_wildcard_resource": lambda t: statement(t).update(Resource="*"),
    "network_rights_are_not_the_functions": lambda t: t["Resources"]["JoinSubnets"]["Properties"]["PolicyDocument"]["Statement"].pop(),
    "queues_are_reached_by_tls": lambda t: properties(t, "AWS::SQS::QueuePolicy")["Queues"].pop(),
    "dead_letters_are_of_one_queue": lambda t: t["Resources"]["DeadLetters"]["Properties"]["RedriveAllowPolicy"]["Fn::If"][1].update(redrivePermission="allowAll"),
    "what_holds_data_has_no_name": lambda t: properties(t, "AWS::SQS::Queue").update(QueueName="batches"),
    "requests_are_logged_by_an_id_of_the_gateway": lambda t: access_log(t).update(Format=access_log(t)["Format"].replace("extendedRequestId", "requestId")),
    "dashboards_name_their_region": lambda t: properties(t, "AWS::CloudWatch::Dashboard").update(DashboardName={"Ref": "AWS::StackName"}),
    "no_response_without_effect": lambda t: properties(t, "AWS::ApiGateway::RestApi")["Body"]["x-amazon-apigateway-gateway-responses"].update(REQUEST_TOO_LARGE={}),
    "sums_of_metrics_have_no_gaps": lambda t: t["Resources"]["ThrottlesAlarm"]["Properties"]["Metrics"][0].update(Expression="SUM(METRICS())"),
    "the_burst_is_within_every_region": lambda t: t["Parameters"]["RequestBurst"].update(Default=2000),
    "versions_follow_every_change": lambda t: properties(t, "AWS::Lambda::EventSourceMapping").update(FunctionName={"Ref": "SettleBatch"}),
    "aliases_move_by_codedeploy": lambda t: first(t, "AWS::Lambda::Alias").pop("UpdatePolicy"),
    "alarms_roll_back": lambda t: properties(t, "AWS::CodeDeploy::DeploymentGroup")["AlarmConfiguration"]["Alarms"].pop(),
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
