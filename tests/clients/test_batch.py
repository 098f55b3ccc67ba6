"""Batches and their jobs, over plain HTTP."""

import time
import uuid

BATCH = "/v1/cloudimages/members"


def finished(raw, who, project, job):
    """Waits for the job to end, checking that its status never goes back."""
    order = ["INIT", "RUNNING", "SUCCESS", "FAIL"]
    seen, end = 0, time.monotonic() + 30
    while time.monotonic() < end:
        answer = raw(who, "GET", f"/v1/{project}/jobs/{job}")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert order.index(found["status"]) >= seen
        seen = order.index(found["status"])
        if seen >= 2:
            return found
        time.sleep(0.05)
    raise AssertionError(f"job {job} is still {order[seen]}")


def test_one_unknown_image_fails_alone(raw, people):
    project = people["member"][1]
    images = []
    for name in ["one", "two"]:
        made = raw("owner", "POST", "/v2/images", json={"name": name})
        assert made.status_code == 201
        images.append(made.json()["id"])
        assert raw("owner", "POST", f"/v2/images/{images[-1]}/members", json={"member": project}).status_code == 200
    unknown = str(uuid.uuid4())

    body = {"images": [images[0], unknown, images[1]], "project_id": project, "status": "accepted"}
    answer = raw("member", "PUT", BATCH, json=body)
    assert answer.status_code == 200, answer.text
    job = finished(raw, "member", project, answer.json()["job_id"])

    assert (job["status"], job["job_type"], job["error_code"]) == ("FAIL", "imsUpdateImageMembersJob", "IMG.0027")
    assert job["fail_reason"] == "1 of 3 entries failed"
    rows = [(row["image_id"], row["status"], row.get("error_code")) for row in job["entities"]["results"]]
    assert rows == [(images[0], "success", None), (unknown, "failed", "IMG.0027"), (images[1], "success", None)]
    for image in images:
        row = raw("member", "GET", f"/v2/images/{image}/members/{project}").json()
        assert row["status"] == "accepted"
        assert raw("owner", "DELETE", f"/v2/images/{image}").status_code == 204


def test_share_and_unshare(raw, people):
    owner, projects = people["owner"][1], [people["member"][1], people["member2"][1]]
    image = raw("owner", "POST", "/v2/images", json={"name": "three"}).json()["id"]
    for method, kind, left in [("POST", "imsAddImageMembersJob", projects), ("DELETE", "imsDelImageMembersJob", [])]:
        answer = raw("owner", method, BATCH, json={"images": [image], "projects": projects})
        assert answer.status_code == 200, answer.text
        job = finished(raw, "owner", owner, answer.json()["job_id"])
        assert (job["status"], job["job_type"], job["error_code"]) == ("SUCCESS", kind, None)
        rows = raw("owner", "GET", f"/v2/images/{image}/members").json()["members"]
        assert sorted(row["member_id"] for row in rows) == sorted(left)
        assert raw("owner", "GET", f"/v1/cloudimages/job/{job['job_id']}").json() == job
        # A job is visible to its own project only.
        assert raw("member2", "GET", f"/v1/cloudimages/job/{job['job_id']}").status_code == 404
    assert raw("owner", "DELETE", f"/v2/images/{image}").status_code == 204
