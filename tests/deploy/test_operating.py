"""The runbooks and the smoke test, as an operator runs them. After the tests that delete nothing."""

import os
import re
import subprocess

import pytest

from conftest import NAME, REGION, ROOT
from keystone import PROJECTS, token

MEMBER = PROJECTS["member"][0]


def block(first_line):
    """A block of commands in docs/operations.md, by its first line."""
    text = (ROOT / "docs/operations.md").read_text()
    (commands,) = re.findall(rf"```sh\n({re.escape(first_line)}\n.*?)```", text, re.S)
    return commands


def run(stack, commands, **variables):
    environment = {
        **stack.cloud.environment,
        "AWS_DEFAULT_REGION": REGION,
        "PATH": f"{os.environ['AWS']}:{os.environ['PATH']}",
        "STACK": NAME,
        "WHEN": "2026-11-26T08:00:00Z",
        "GRACE": "0",
        **variables,
    }
    done = subprocess.run(["bash", "-c", commands], env=environment, capture_output=True, text=True, timeout=600)
    print(done.stdout[-2000:], done.stderr[-2000:])
    return done


def test_smoke(stack):
    url = f"http://{stack.api}.execute-api.localhost:{stack.cloud.port}/{stack.stage}"
    done = run(stack, f"{ROOT}/checks/smoke.sh {url}", TOKEN=token("owner"))
    # The emulator decodes a path before it matches it, and names itself by https in redirects, which it does not speak.
    differs = ("two slashes", "a minor version", "%2F in an id is part of it", "%FF")
    assert sum(line.startswith("ok ") for line in done.stdout.splitlines()) >= 20
    failures = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert [line for line in failures if not any(each in line for each in differs)] == []


def test_the_table_is_restored(stack):
    """The emulator restores the table as it is and not as it was, so the damage comes after the copy."""
    image = stack.image(name="kept")
    stack.share(image)
    table = stack.outputs["TableName"]
    dynamodb = stack.cloud.client("dynamodb")
    key = {"pk": {"S": f"IMAGE#{image}"}, "sk": {"S": "IMAGE"}}
    assert run(stack, block("# restore aside")).returncode == 0
    dynamodb.delete_item(TableName=table, Key=key)
    late = stack.image(name="too late")
    assert stack.call("owner", "GET", f"/v2/images/{image}").status_code == 404

    done = run(stack, block("# restore in place"), TABLE=table)
    assert done.returncode == 0, done.stderr
    assert stack.call("owner", "GET", f"/v2/images/{image}").json()["name"] == "kept"
    assert stack.call("member", "GET", f"/v2/images/{image}").status_code == 200
    assert stack.call("owner", "GET", f"/v2/images/{late}").status_code == 404

    # What a restore leaves out is there again, and so are all indexes.
    described = dynamodb.describe_table(TableName=table)["Table"]
    assert described["DeletionProtectionEnabled"] is True
    assert len(described["GlobalSecondaryIndexes"]) == 6
    ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert (ttl["AttributeName"], ttl["TimeToLiveStatus"]) == ("expires_at", "ENABLED")
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"

    # The stack goes on with it: a list, a batch, and an update that changes nothing of the table.
    body = {"images": [image], "project_id": MEMBER, "status": "accepted"}
    job = stack.call("member", "PUT", "/v1/cloudimages/members", body).json()["job_id"]
    assert stack.job("member", job)["status"] == "SUCCESS"
    listed = stack.call("member", "GET", "/v2/images").json()["images"]
    assert image in [each["id"] for each in listed]
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    # The damaged table is kept.
    kept = dynamodb.list_backups(TableName=table)["BackupSummaries"]
    assert "before-restore" in [each["BackupName"] for each in kept]


@pytest.fixture(autouse=True, scope="module")
def _aws_is_there():
    assert os.path.exists(f"{os.environ['AWS']}/aws")
