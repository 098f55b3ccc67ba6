"""Terraform's cycle with plain HTTP: read, compare, put, poll, read again."""

import time
from uuid import uuid4


def test_a_set_converges_and_drift_is_noticed(raw, people):
    owner = people["owner"][1]
    image = raw("owner", "POST", "/v2/images", json={"name": f"debian-{uuid4()}"}).json()["id"]
    path = f"/v1/{owner}/cloudimages/{image}/members"
    wanted = {people["member"][1], people["member2"][1]}

    def read():
        answer = raw("owner", "GET", path)
        return {row["member_id"] for row in answer.json()["members"]}, answer.headers["ETag"]

    def apply():
        found, _ = read()
        if found == wanted:
            return False
        job = raw("owner", "PUT", path, json={"projects": sorted(wanted)}).json()["job_id"]
        for _ in range(200):
            ended = raw("owner", "GET", f"/v1/cloudimages/job/{job}").json()
            if ended["status"] in ("SUCCESS", "FAIL"):
                break
            time.sleep(0.05)
        assert ended["status"] == "SUCCESS", ended
        return True

    assert apply() and not apply()
    _, tag = read()
    # Somebody else's hand.
    added = raw("owner", "POST", f"/v2/images/{image}/members", json={"member": "drift"})
    assert added.status_code == 200
    assert read()[1] != tag
    assert apply() and not apply()
    raw("owner", "DELETE", f"/v2/images/{image}")
