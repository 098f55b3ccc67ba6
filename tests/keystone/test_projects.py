"""Projects that exist, that do not, and that are deleted, with a real Keystone."""

import html
import os
import subprocess

import pytest
from conftest import SERVICE_PASSWORD, serving

BINARY = os.path.abspath(os.environ["IMSHARE"])
UNKNOWN = "0" * 32


@pytest.fixture(scope="module")
def checker(keystone):
    """A service user that may read projects."""
    made = keystone.make("user", name="checker", password="pw-checker")
    service = keystone.projects["service"]
    keystone.ask("PUT", f"/projects/{service}/users/{made}/roles/{keystone.roles['admin']}")
    return {"KEYSTONE_USERNAME": "checker", "KEYSTONE_PASSWORD": "pw-checker"}


@pytest.fixture(scope="module")
def checking(keystone, work, checker):
    data = str(work / "checking-data")
    options = ("--check-projects", "--data-dir", data)
    with serving(keystone, work / "imshare-checking.log", checker, options) as send:
        send.data = data
        yield send


@pytest.fixture
def shared(checking, keystone):
    """A new image of the owner: shares it with a project and returns the answer."""
    owner = keystone.login("olivia", "pw-olivia", "owner")
    image = checking(owner, "POST", "/v2/images", json={}).json()["id"]

    def share(project):
        return checking(owner, "POST", f"/v2/images/{image}/members", json={"member": project})

    share.image, share.owner = image, owner
    return share


def test_an_image_is_shared_with_a_project_that_exists(keystone, shared):
    assert shared(keystone.projects["member"]).status_code == 200


@pytest.mark.parametrize("project", [UNKNOWN, "member", "..", "a/b", "é☃"])
def test_a_project_that_does_not_exist_is_refused(shared, project):
    """By its id: a name is no id."""
    refused = shared(project)
    assert refused.status_code == 400
    # The page has what is not ASCII as references.
    assert f"Project {project} does not exist." in html.unescape(refused.text)


def test_a_disabled_project_exists(keystone, shared):
    made = keystone.make("project", name="disabled", enabled=False)
    assert shared(made).status_code == 200


def test_a_batch_fails_the_unknown_project_alone(keystone, checking, shared):
    body = {"images": [shared.image], "projects": [keystone.projects["member"], UNKNOWN]}
    job = checking(shared.owner, "POST", "/v1/cloudimages/members", json=body).json()["job_id"]
    for _ in range(600):
        found = checking(shared.owner, "GET", f"/v1/cloudimages/job/{job}").json()
        if found["status"] in ("SUCCESS", "FAIL"):
            break
    rows = [(row["status"], row.get("error_code")) for row in found["entities"]["results"]]
    assert rows == [("success", None), ("failed", "IMG.0108")]


def test_a_service_user_that_may_not_read_projects_is_an_outage(keystone, work, imshare):
    """The role that is enough to validate tokens is not enough for this: nothing is shared, and the log says why."""
    user = {"KEYSTONE_USERNAME": "imshare", "KEYSTONE_PASSWORD": SERVICE_PASSWORD}
    log = work / "imshare-unable.log"
    with serving(keystone, log, user, ("--check-projects", "--in-memory")) as send:
        owner = keystone.login("olivia", "pw-olivia", "owner")
        image = send(owner, "POST", "/v2/images", json={}).json()["id"]
        path = f"/v2/images/{image}/members"
        refused = send(owner, "POST", path, json={"member": keystone.projects["member"]})
        assert refused.status_code == 503 and refused.headers["Retry-After"] == "1"
        assert "the service user may not read projects" in log.read_text()


def test_a_deleted_projects_memberships_are_found(keystone, checking, checker, shared):
    made = keystone.make("project", name="doomed")
    assert shared(made).status_code == 200
    assert shared(keystone.projects["member"]).status_code == 200
    keystone.ask("DELETE", f"/projects/{made}")

    def check(*more):
        command = [BINARY, "projects", "check", "--keystone-url", keystone.url, "--data-dir", checking.data]
        command += ["-f", "value", *more]
        ended = subprocess.run(command, env=checker, capture_output=True, text=True, timeout=60)
        return ended.returncode, ended.stdout, ended.stderr

    code, out, err = check()
    assert (code, out) == (1, f"{made} {shared.image} gone\n"), err
    # The server has the directory: nothing is written.
    code, out, err = check("--remove")
    assert (code, out) == (3, "") and "in use by another imshare" in err
