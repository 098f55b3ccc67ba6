"""Batches through the real queue: every entry counts once, and failing ones end too."""

import time
import uuid

import pytest

from keystone import PROJECTS

MEMBER = PROJECTS["member"][0]


@pytest.fixture(scope="module")
def fast(stack):
    """Makes failed messages visible again after a second instead of minutes."""
    sqs = stack.cloud.client("sqs")
    for url in (stack.outputs["QueueUrl"], stack.outputs["DeadLettersUrl"]):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    return sqs


def test_500_entries_beside_a_poisoned_message(stack, fast):
    images = [stack.image() for _ in range(5)]
    projects = [uuid.uuid4().hex for _ in range(100)]
    fast.send_message(QueueUrl=stack.outputs["QueueUrl"], MessageBody="poison")
    body = {"images": images, "projects": projects}
    answer = stack.call("owner", "POST", "/v1/cloudimages/members", body)
    assert answer.status_code == 200, answer.text
    job = stack.job("owner", answer.json()["job_id"])
    assert (job["status"], job["entities"]["process_percent"]) == ("SUCCESS", 1.0)
    rows = job["entities"]["results"]
    assert [(row["image_id"], row["project_id"], row["status"]) for row in rows] == [
        (image, project, "success") for image in images for project in projects
    ]
    for image in images:
        members = stack.call("owner", "GET", f"/v2/images/{image}/members").json()["members"]
        assert {each["member_id"] for each in members} == set(projects)

    # The poisoned message became a dead letter and is gone from both queues.
    end = time.monotonic() + 60
    while "a dead letter that is no message of this service" not in stack.log("settle-batch"):
        assert time.monotonic() < end, stack.log("run-batch")[-2000:]
        time.sleep(1)
    for url in (stack.outputs["QueueUrl"], stack.outputs["DeadLettersUrl"]):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        left = fast.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        assert set(left.values()) == {"0"}, left


def test_accept_and_unshare(stack):
    image = stack.image()
    stack.share(image)
    body = {"images": [image], "project_id": MEMBER, "status": "accepted"}
    job = stack.call("member", "PUT", "/v1/cloudimages/members", body).json()["job_id"]
    assert stack.job("member", job)["status"] == "SUCCESS"
    body = {"images": [image], "projects": [MEMBER]}
    job = stack.call("owner", "DELETE", "/v1/cloudimages/members", body).json()["job_id"]
    assert stack.job("owner", job)["status"] == "SUCCESS"
    assert stack.call("member", "GET", f"/v2/images/{image}").status_code == 404


def test_a_job_is_its_projects_own(stack):
    body = {"images": [stack.image()], "projects": [MEMBER]}
    job = stack.call("owner", "POST", "/v1/cloudimages/members", body).json()["job_id"]
    for path in (f"/v1/cloudimages/job/{job}", f"/v1/{MEMBER}/jobs/{job}"):
        answer = stack.call("member", "GET", path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "IMG.0023")
    owner = PROJECTS["owner"][0]
    assert stack.call("owner", "GET", f"/v1/{owner}/jobs/{job}").status_code == 200
    jobs = stack.call("owner", "GET", f"/v1/{owner}/jobs").json()
    assert job in str(jobs)


def test_an_idempotency_key_stands_for_one_job(stack):
    body = {"images": [stack.image()], "projects": [MEMBER]}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    jobs = {stack.call("owner", "POST", "/v1/cloudimages/members", body, key).json()["job_id"] for _ in range(3)}
    assert len(jobs) == 1
    body["projects"] = [PROJECTS["stranger"][0]]
    assert stack.call("owner", "POST", "/v1/cloudimages/members", body, key).status_code == 422
    # Another project's key with the same text is another key.
    body = {"images": body["images"], "project_id": MEMBER, "status": "accepted"}
    assert stack.call("member", "PUT", "/v1/cloudimages/members", body, key).status_code == 200
