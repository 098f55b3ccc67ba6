"""The API as its clients see it: the README's tour, permissions, and refusals."""

import pytest

from conftest import ORIGIN
from keystone import PROJECTS

MEMBER = PROJECTS["member"][0]


def listed(stack, who, query=""):
    return [image["id"] for image in stack.call(who, "GET", f"/v2/images{query}").json()["images"]]


def test_tour_of_the_readme(stack):
    image = stack.image(name="debian")
    shared = stack.call("owner", "POST", f"/v2/images/{image}/members", {"member": MEMBER})
    assert (shared.status_code, shared.json()["status"]) == (200, "pending")
    assert image not in listed(stack, "member")
    assert image in listed(stack, "member", "?member_status=pending")

    membership = f"/v2/images/{image}/members/{MEMBER}"
    accepted = stack.call("member", "PUT", membership, {"status": "accepted"})
    assert (accepted.status_code, accepted.json()["status"]) == (200, "accepted")
    assert image in listed(stack, "member")
    assert stack.call("member", "GET", membership).json() == accepted.json()
    members = stack.call("owner", "GET", f"/v2/images/{image}/members").json()["members"]
    assert members == [accepted.json()]

    body = {"images": [image, "00000000-0000-4000-8000-000000000000"], "project_id": MEMBER, "status": "accepted"}
    job = stack.call("member", "PUT", "/v1/cloudimages/members", body).json()["job_id"]
    ended = stack.job("member", job)
    assert (ended["status"], ended["error_code"]) == ("FAIL", "IMG.0027")
    assert [row["status"] for row in ended["entities"]["results"]] == ["success", "failed"]

    assert stack.call("owner", "DELETE", membership).status_code == 204
    assert stack.call("member", "GET", f"/v2/images/{image}").status_code == 404


def test_discovery_needs_no_token(stack):
    root = stack.call(None, "GET", "/")
    base = f"//{stack.api}.execute-api.localhost:{stack.cloud.port}/{stack.stage}"
    assert root.status_code == 300
    assert root.json()["versions"][0]["links"][0]["href"].endswith(f"{base}/v2/")
    assert stack.call(None, "GET", "/versions").json() == root.json()
    assert stack.call(None, "GET", "/v9/images").status_code == 300
    assert stack.call(None, "GET", "/healthcheck").status_code == 200


@pytest.mark.parametrize("path", ["/v2.9/images", "/v2.9/info/stores", "/v2.9/nothing"])
def test_another_spelling_of_a_path_leads_to_it(stack, path):
    moved = stack.call("owner", "GET", path)
    plain = path.replace("/v2.9", "/v2")
    assert (moved.status_code, moved.headers["Location"].endswith(f"/{stack.stage}{plain}")) == (308, True), moved.text
    there = stack.call("owner", "GET", plain)
    assert there.status_code == (404 if "nothing" in path else 200)


@pytest.mark.parametrize("path", ["/v2/images", "/v2/images/x/members/y", "/v1/cloudimages/members", "/v2/nothing"])
def test_preflight_needs_no_token(stack, path):
    for origin, allowed in [(ORIGIN, ORIGIN), ("https://evil.example", None)]:
        answer = stack.call(None, "OPTIONS", path, headers={"Origin": origin})
        assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (200, allowed)


@pytest.mark.parametrize("who", ["owner", None, "a-token-that-nobody-gave"])
def test_a_page_of_the_configured_origin_reads_answers(stack, who):
    answer = stack.call(who, "GET", "/v2/images", headers={"Origin": ORIGIN})
    assert answer.status_code == (200 if who == "owner" else 401)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.parametrize("path", ["/v2", "/v2/schemas/image", "/v2/nothing", "/v2/images", "/v1/cloudimages/job/1"])
@pytest.mark.parametrize("who", [None, "a-token-that-nobody-gave"])
def test_401_has_the_body_of_either_family(stack, keystone, who, path):
    answer = stack.call(who, "GET", path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{keystone.url}"'
    body = answer.json()
    assert body["code"] == "401 Unauthorized"
    assert body["error"]["message"] == body["message"]


def test_permission(stack):
    image = stack.image()
    stack.share(image)
    members = f"/v2/images/{image}/members"
    own = f"{members}/{MEMBER}"
    accept = {"status": "accepted"}
    new = {"member": PROJECTS["stranger"][0]}
    expected = [
        ("owner", "PUT", own, accept, 403),
        ("reader", "GET", members, None, 200),
        ("reader", "POST", members, new, 403),
        ("reader", "DELETE", own, None, 403),
        ("member", "PUT", own, accept, 200),
        ("member", "POST", members, new, 403),
        ("member", "DELETE", own, None, 403),
        ("stranger", "GET", members, None, 404),
        ("stranger", "PUT", own, accept, 404),
        ("admin", "PUT", own, accept, 200),
        ("owner", "POST", members, {"member": MEMBER}, 409),
        ("owner", "PUT", members, None, 405),
        ("owner", "GET", "/v2/nothing", None, 404),
        ("owner", "GET", "/v2/schemas/members", None, 200),
        ("owner", "GET", f"/v2/images/{image}/file", None, 404),
    ]
    found = [(*row[:4], stack.call(*row[:4]).status_code) for row in expected]
    assert found == expected


def test_403_has_the_body_of_its_family(stack):
    image = stack.image()
    stack.share(image)
    accept = {"Accept": "application/json"}
    path = f"/v2/images/{image}/members/{MEMBER}"
    glance = stack.call("owner", "PUT", path, {"status": "accepted"}, accept)
    assert (glance.status_code, glance.json()["code"]) == (403, "403 Forbidden")
    body = {"images": [image], "projects": [MEMBER]}
    ims = stack.call("reader", "POST", "/v1/cloudimages/members", body)
    assert (ims.status_code, ims.json()["error"]["code"]) == (403, "IMG.0026")


def test_identity_headers_count_for_nothing(stack):
    forged = {"X-Project-Id": PROJECTS["owner"][0], "X-Roles": "admin", "X-User-Id": "u-owner"}
    image = stack.image()
    assert stack.call(None, "GET", f"/v2/images/{image}", headers=forged).status_code == 401
    assert stack.call("stranger", "GET", f"/v2/images/{image}", headers=forged).status_code == 404


def test_a_token_is_validated_once(stack, keystone):
    stack.call("admin", "GET", "/v2/images")
    before = keystone.validations
    for _ in range(20):
        assert stack.call("admin", "GET", "/v2/images").status_code == 200
    assert keystone.validations == before


def test_keystone_that_is_down_is_503_for_tokens_that_are_not_known(stack, keystone):
    assert stack.call("owner", "GET", "/v2/images").status_code == 200
    keystone.down = True
    try:
        answer = stack.call("another-token-that-nobody-gave", "GET", "/v2/images")
        assert stack.call("owner", "GET", "/v2/images").status_code == 200
    finally:
        keystone.down = False
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["code"] == "503 Service Unavailable"
    # The outage was not cached as a response.
    assert stack.call("another-token-that-nobody-gave", "GET", "/v2/images").status_code == 401


def test_a_body_over_a_mebibyte_is_413(stack):
    answer = stack.call("owner", "POST", "/v2/images", {"name": "x" * (1 << 20)})
    assert answer.status_code == 413
