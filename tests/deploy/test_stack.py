"""The stack: parameters out of range are refused, updates work, and deleting it keeps the data."""

import pytest

from conftest import NAME, PARAMETERS
from keystone import PROJECTS


@pytest.mark.parametrize(
    "parameter",
    [
        {"KeystoneUrl": "keystone:5000"},
        {"KeystoneUrl": "https://keystone/'quoted'"},
        {"KeystoneSecretArn": "the-secret"},
        {"AuthCacheSeconds": "3601"},
        {"SignedRequests": "yes"},
        {"MemberQuota": "-2"},
        {"JobQuota": "-2"},
        {"EntryQuota": "x"},
        {"ImageQuota": "10001"},
        {"WorkerConcurrency": "1"},
        {"WorkerConcurrency": "1001"},
        {"LogRetentionDays": "2"},
        {"StageName": "a/b"},
        {"RequestsPerSecond": "0"},
        {"CorsOrigins": "*"},
        {"CorsOrigins": "https://console.example/"},
        {"DomainName": "Images_Example"},
        {"DomainName": "images.example.com"},
        {"Architecture": "riscv64"},
        {"TableDeletionProtection": "maybe"},
        {"Deployment": "Canary10Percent5Minutes"},
        {"KeystoneCaLayerArn": "keystone-ca"},
        {"BatchesQueueArn": "batches"},
        {"SubnetIds": "10.0.0.0/24"},
        {"SubnetIds": "subnet-0a1b2c"},
        {"RequestsPerAddress": "-1"},
        {"RequestsPerAddress": "9"},
    ],
    ids=lambda parameter: "=".join(*parameter.items()),
)
def test_a_parameter_out_of_range_is_refused(stack, parameter):
    formation = stack.cloud.client("cloudformation")
    values = {**PARAMETERS, **stack.parameters, **parameter}
    with pytest.raises(formation.exceptions.ClientError) as refused:
        formation.create_change_set(
            StackName=NAME,
            ChangeSetName="refused",
            UsePreviousTemplate=True,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
        )
    (name,) = parameter
    assert "ValidationError" in str(refused.value)
    assert name in str(refused.value)


def test_an_update_keeps_the_data(stack):
    image = stack.image()
    stack.share(image)
    api, table = stack.api, stack.outputs["TableName"]
    stack.update(MemberQuota="1", SignedRequests="true")
    assert (stack.api, stack.outputs["TableName"]) == (api, table)
    keys, key = stack.outputs["AccessKeyTableName"], {"pk": {"S": "AK"}}
    stack.cloud.client("dynamodb").put_item(TableName=keys, Item=key)
    assert stack.call("member", "GET", f"/v2/images/{image}").status_code == 200
    full = stack.call("owner", "POST", f"/v2/images/{image}/members", {"member": PROJECTS["stranger"][0]})
    assert full.status_code == 413, full.text
    # What callers get is a version of each function, which each change of a parameter has to make anew.
    functions = stack.cloud.client("lambda")
    for name in ("Images", "RunBatch", "Authorizer"):
        live = functions.get_function_configuration(FunctionName=stack.resources[name], Qualifier="live")
        variables = live["Environment"]["Variables"]
        assert variables["ACCESS_KEY_TABLE"] == stack.outputs["AccessKeyTableName"], name
        assert variables["SETTINGS_VERSION"] == stack.resources["Settings"], name
    stack.update(MemberQuota="128", SignedRequests="false")
    # Switched off, the table of access keys is still there, with what was in it.
    assert stack.outputs["AccessKeyTableName"] == keys
    assert stack.cloud.client("dynamodb").get_item(TableName=keys, Key=key)["Item"] == key


def test_limits_of_projects_are_parameters(stack):
    image = stack.image()
    batch = {"images": [image], "projects": [PROJECTS["stranger"][0]]}
    stack.update(JobQuota="0", ImageQuota="1")
    answer = stack.call("owner", "POST", "/v1/cloudimages/members", batch)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "IMG.0060")
    assert answer.headers["Retry-After"] == "10"
    # It has one already.
    assert stack.call("owner", "POST", "/v2/images", {}).status_code == 413
    stack.update(JobQuota="1000", ImageQuota="-1")
    assert stack.call("owner", "POST", "/v1/cloudimages/members", batch).status_code == 200
    assert stack.call("owner", "POST", "/v2/images", {}).status_code == 201


def test_deleting_the_stack_keeps_the_table(stack):
    image = stack.image()
    table = stack.outputs["TableName"]
    formation = stack.cloud.client("cloudformation")
    formation.delete_stack(StackName=NAME)
    formation.get_waiter("stack_delete_complete").wait(StackName=NAME, WaiterConfig={"Delay": 2})
    items = stack.cloud.client("dynamodb").get_item(
        TableName=table, Key={"pk": {"S": f"IMAGE#{image}"}, "sk": {"S": "IMAGE"}}
    )
    assert "Item" in items
    left = stack.cloud.client("lambda").list_functions()["Functions"]
    assert [each["FunctionName"] for each in left if each["FunctionName"].startswith(NAME)] == []
