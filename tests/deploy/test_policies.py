"""Least privilege: without any statement of any policy, something that needs it fails."""

import json
import time
import uuid
from contextlib import contextmanager

import pytest

from keystone import PROJECTS

MEMBER = PROJECTS["member"][0]
OWNER = PROJECTS["owner"][0]


@contextmanager
def without(stack, role, position):
    """Removes one statement from the role's policy for a while, and yields that statement."""
    iam = stack.cloud.client("iam")
    name = stack.resources[role]
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    whole = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    part = json.loads(json.dumps(whole))
    statement = part["Statement"].pop(position)
    iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(part))
    try:
        yield statement
    finally:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(whole))


def statements(stack, role):
    iam = stack.cloud.client("iam")
    name = stack.resources[role]
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]["Statement"]


def shared_image(stack):
    image = stack.image()
    stack.share(image)
    return image


def membership(image):
    return f"/v2/images/{image}/members/{MEMBER}"


# A check for each statement, by role and by the statement's subject. It prepares what it needs and returns a request
# that must fail without the statement and succeed with it.
def add(stack):
    image = stack.image()
    return "owner", "POST", f"/v2/images/{image}/members", {"member": MEMBER}


def update(stack):
    return "member", "PUT", membership(shared_image(stack)), {"status": "accepted"}


def remove(stack):
    return "owner", "DELETE", membership(shared_image(stack)), None


def show_member(stack):
    return "owner", "GET", membership(shared_image(stack)), None


def batch(stack):
    body = {"images": [stack.image()], "projects": [MEMBER]}
    return "owner", "POST", "/v1/cloudimages/members", body


def show_job(stack):
    job = stack.call(*batch(stack)).json()["job_id"]
    return "owner", "GET", f"/v1/cloudimages/job/{job}", None


def list_jobs(stack):
    return "owner", "GET", f"/v1/{PROJECTS['owner'][0]}/jobs", None


def create_image(_stack):
    return "owner", "POST", "/v2/images", {"id": str(uuid.uuid4())}


def list_images(_stack):
    return "owner", "GET", "/v2/images", None


def list_invitations(stack):
    shared_image(stack)
    return "member", "GET", f"/v1/{MEMBER}/cloudimages/invitations", None


def show_trusted_owners(_stack):
    return "member", "GET", f"/v1/{MEMBER}/cloudimages/trusted-owners", None


REQUESTS = {
    ("AddMemberRole", "table"): add,
    ("UpdateMemberRole", "table"): update,
    ("RemoveMemberRole", "table"): remove,
    ("ReadMembersRole", "table"): show_member,
    ("ReadMembersRole", "index"): list_invitations,
    ("TrustedOwnersRole", "table"): show_trusted_owners,
    ("BatchUpdateRole", "table"): batch,
    ("GetJobRole", "table"): show_job,
    ("GetJobRole", "index"): list_jobs,
    ("ImagesRole", "table"): create_image,
    ("ImagesRole", "index"): list_images,
}
# Statements that no request uses have tests of their own.
ELSEWHERE = {
    # An answer waits until the index shows it; if it cannot query the index, it is still accepted.
    ("UpdateMemberRole", "index"),
    # Where statements are refused, queries find images by their names.
    ("ImagesRole", "names"),
    # The sweep sends a job that cannot be sent at once.
    ("BatchUpdateRole", "queue"),
    ("ImagesRole", "queue"),
    ("SweepRole", "index"),
    ("SweepRole", "table"),
    ("SweepRole", "queue"),
    ("RunBatchRole", "table"),
    ("RunBatchRole", "queue"),
    ("SettleBatchRole", "table"),
    ("SettleBatchRole", "queue"),
    ("AuthorizerRole", "secret"),
}


def subject(statement):
    """The subject of a statement, in a word."""
    if "dynamodb:PartiQLSelect" in statement["Action"]:
        return "names"
    resource = json.dumps(statement["Resource"])
    for word, sign in [("index", "/index/"), ("table", ":dynamodb:"), ("queue", ":sqs:"), ("secret", ":secret:")]:
        if sign in resource:
            return word
    return "logs"


def position(stack, role, about):
    return [subject(each) for each in statements(stack, role)].index(about)


def test_every_statement_is_tested(stack):
    roles = [name for name in stack.resources if name.endswith("Role") and name != "GatewayRole"]
    found = {(role, subject(each)) for role in roles for each in statements(stack, role)}
    assert found - {(role, "logs") for role in roles} == set(REQUESTS) | ELSEWHERE
    print(f"\n{len(found)} statements of {len(roles)} policies")


@pytest.mark.parametrize("role, about", REQUESTS)
def test_a_request_needs_its_statement(stack, role, about):
    request = REQUESTS[role, about](stack)
    with without(stack, role, position(stack, role, about)):
        refused = stack.call(*request)
    assert refused.status_code >= 500, refused.text
    # The response does not show what the function was denied.
    assert "AccessDenied" not in refused.text
    assert "not authorized" not in refused.text
    allowed = stack.call(*request)
    assert allowed.status_code in (200, 201, 204), allowed.text


def test_what_has_a_name_is_found(stack):
    """By each index that knows names: own images, those of all, and those that were accepted."""
    name = f"named-{uuid.uuid4().hex[:8]}"
    image = stack.image(name=name)
    stack.share(image)
    assert stack.call("member", "PUT", membership(image), {"status": "accepted"}).status_code == 200

    def found():
        for project in ("owner", "member"):
            found = stack.call(project, "GET", f"/v2/images?name={name}").json()
            assert [each["id"] for each in found["images"]] == [image], found

    found()
    refused = "no statements here"
    assert refused not in stack.log("images")
    with without(stack, "ImagesRole", position(stack, "ImagesRole", "names")):
        found()
    # The emulator writes a log after the answer.
    end = time.monotonic() + 30
    while refused not in stack.log("images"):
        assert time.monotonic() < end
        time.sleep(0.5)
    invitations = f"/v1/{MEMBER}/cloudimages/invitations?status=accepted&name={name}"
    found = stack.call("member", "GET", invitations).json()
    assert [each["image_id"] for each in found["invitations"]] == [image], found


def test_memberships_are_kept_in_line_by_worker_and_sweep(stack):
    """Deletes an image while its memberships cannot be removed, neither at once nor by the queue."""
    image = stack.image()
    stack.share(image)
    iam = stack.cloud.client("iam")
    assert iam.list_role_policies(RoleName=stack.resources["SweepRole"])["PolicyNames"]
    assert stack.call("owner", "DELETE", f"/v2/images/{image}").status_code == 204
    assert stack.call("owner", "GET", f"/v2/images/{image}").status_code == 404
    assert stack.call("member", "GET", f"/v2/images/{image}").status_code == 404


def sweep(stack):
    """Invokes the sweep by hand instead of waiting for the emulator's schedule."""
    functions = stack.cloud.client("lambda")
    event = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
    answer = functions.invoke(FunctionName=stack.resources["Sweep"], Payload=json.dumps(event).encode())
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def test_the_sweep_reads_the_index_of_what_is_owed(stack):
    assert sweep(stack) == (None, {"overdue": 0})
    with without(stack, "SweepRole", position(stack, "SweepRole", "index")):
        error, _ = sweep(stack)
        assert error
    assert sweep(stack) == (None, {"overdue": 0})


def test_a_job_that_could_not_be_sent_is_sent_by_the_sweep(stack):
    with without(stack, "BatchUpdateRole", position(stack, "BatchUpdateRole", "queue")):
        accepted = stack.call(*batch(stack))
    assert accepted.status_code == 200, accepted.text
    job = accepted.json()["job_id"]
    assert stack.call("owner", "GET", f"/v1/cloudimages/job/{job}").json()["status"] == "INIT"
    # The emulator writes a log after the answer.
    end = time.monotonic() + 30
    while "left to the sweep" not in stack.log("batch-update"):
        assert time.monotonic() < end, stack.log("batch-update")[-3000:]
        time.sleep(0.5)
    # Nothing is overdue before its sender has had its time.
    end = time.monotonic() + 90
    while sweep(stack) == (None, {"overdue": 0}):
        assert time.monotonic() < end
        time.sleep(1)
    assert stack.job("owner", job)["status"] == "SUCCESS"
    assert sweep(stack) == (None, {"overdue": 0})


@contextmanager
def impatient(stack):
    """Makes dead letters of messages that were received twice."""
    sqs, url = stack.cloud.client("sqs"), stack.outputs["QueueUrl"]
    whole = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
    policy = {**json.loads(whole), "maxReceiveCount": 2}
    attributes = {"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(policy)}
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": whole})


def test_a_job_ends_when_its_worker_may_not_write(stack):
    """The chunk fails until it is a dead letter, and is settled."""
    with impatient(stack), without(stack, "RunBatchRole", position(stack, "RunBatchRole", "table")):
        job = stack.job("owner", stack.call(*batch(stack)).json()["job_id"])
    assert (job["status"], job["error_code"]) == ("FAIL", "IMG.0112")
    assert "settled a dead letter" in stack.log("settle-batch")
    assert stack.job("owner", stack.call(*batch(stack)).json()["job_id"])["status"] == "SUCCESS"


def test_a_dead_letter_needs_the_table(stack):
    sqs = stack.cloud.client("sqs")
    sqs.set_queue_attributes(QueueUrl=stack.outputs["DeadLettersUrl"], Attributes={"VisibilityTimeout": "1"})
    worker = without(stack, "RunBatchRole", position(stack, "RunBatchRole", "table"))
    settler = without(stack, "SettleBatchRole", position(stack, "SettleBatchRole", "table"))
    with impatient(stack), worker:
        with settler:
            job = stack.call(*batch(stack)).json()["job_id"]
            end = time.monotonic() + 60
            while "message comes again" not in stack.log("settle-batch"):
                assert time.monotonic() < end
                time.sleep(1)
            assert stack.call("owner", "GET", f"/v1/cloudimages/job/{job}").json()["status"] == "INIT"
        assert stack.job("owner", job)["status"] == "FAIL"


@pytest.mark.parametrize("role", ["RunBatchRole", "SettleBatchRole"])
def test_the_policy_of_a_queues_function_is_its_queues(stack, role):
    queue = {"RunBatchRole": "QueueUrl", "SettleBatchRole": "DeadLettersUrl"}[role]
    sqs = stack.cloud.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=stack.outputs[queue], AttributeNames=["QueueArn"])
    statement = statements(stack, role)[position(stack, role, "queue")]
    assert statement["Resource"] == arn["Attributes"]["QueueArn"]
    taken = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
    gives_back = {"RunBatchRole": ["sqs:ChangeMessageVisibility"], "SettleBatchRole": []}
    assert sorted(statement["Action"]) == gives_back[role] + taken


def test_the_queues_take_nothing_without_tls(stack):
    sqs = stack.cloud.client("sqs")
    without_tls = stack.cloud.work / "without-tls"
    for url in (stack.outputs["QueueUrl"], stack.outputs["DeadLettersUrl"]):
        assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        without_tls.touch()
        try:
            with pytest.raises(sqs.exceptions.ClientError) as refused:
                sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        finally:
            without_tls.unlink()
        assert refused.value.response["Error"]["Code"].endswith("AccessDenied"), refused.value


def test_the_dead_letters_are_of_the_batches_alone(stack):
    stack.update(BatchesQueueArn=stack.outputs["QueueArn"])
    sqs = stack.cloud.client("sqs")
    names = ["QueueArn", "RedriveAllowPolicy"]
    dead = sqs.get_queue_attributes(QueueUrl=stack.outputs["DeadLettersUrl"], AttributeNames=names)["Attributes"]
    batches = sqs.get_queue_attributes(QueueUrl=stack.outputs["QueueUrl"], AttributeNames=["QueueArn"])["Attributes"]
    allowed = json.loads(dead["RedriveAllowPolicy"])
    assert allowed == {"redrivePermission": "byQueue", "sourceQueueArns": [batches["QueueArn"]]}


def test_what_fails_pauses_longer_each_time(stack):
    """A message that fails is given back with a pause, instead of coming again after the visibility timeout."""
    sqs, url = stack.cloud.client("sqs"), stack.outputs["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "600"})
    with without(stack, "RunBatchRole", position(stack, "RunBatchRole", "table")):
        job = stack.call(*batch(stack)).json()["job_id"]
        end = time.monotonic() + 60
        while stack.log("run-batch").count("message comes again") < 3:
            assert time.monotonic() < end
            time.sleep(1)
    assert stack.job("owner", job)["status"] == "SUCCESS"


def test_poison_needs_the_dead_letters(stack):
    sqs, url = stack.cloud.client("sqs"), stack.outputs["QueueUrl"]
    about = [each["Action"] == ["sqs:SendMessage"] for each in statements(stack, "RunBatchRole")].index(True)
    before = stack.log("run-batch").count("message comes again")
    with without(stack, "RunBatchRole", about):
        sqs.send_message(QueueUrl=url, MessageBody="poison")
        end = time.monotonic() + 60
        while stack.log("run-batch").count("message comes again") == before:
            assert time.monotonic() < end
            time.sleep(1)
    while "poison: a dead letter at once" not in stack.log("run-batch"):
        assert time.monotonic() < end
        time.sleep(1)


def test_a_replacement_needs_the_image(stack):
    keys = [json.dumps(each.get("Condition", {})) for each in statements(stack, "BatchUpdateRole")]
    about = ["ForAnyValue:StringLike" in each for each in keys].index(True)
    request = "owner", "PUT", f"/v1/{OWNER}/cloudimages/{stack.image()}/members", {"projects": [MEMBER]}
    with without(stack, "BatchUpdateRole", about):
        assert stack.call(*request).status_code >= 500
    job = stack.call(*request).json()["job_id"]
    assert stack.job("owner", job)["status"] == "SUCCESS"
