"""imshare with a real Keystone. The tests run in order: the last ones stop Keystone."""

import time

import pytest
from conftest import serving


@pytest.fixture(scope="module")
def olivia(keystone):
    return keystone.login("olivia", "pw-olivia", "owner")


@pytest.fixture(scope="module")
def mia(keystone):
    return keystone.login("mia", "pw-mia", "member")


@pytest.fixture(scope="module")
def image(imshare, olivia):
    return imshare(olivia, "POST", "/v2/images", json={"name": "debian"}).json()["id"]


def test_a_password_login_shares_and_accepts(keystone, imshare, olivia, mia, image):
    members = f"/v2/images/{image}/members"
    assert imshare(olivia, "GET", f"/v2/images/{image}").json()["owner"] == keystone.projects["owner"]
    assert imshare(mia, "GET", f"/v2/images/{image}").status_code == 404
    shared = imshare(olivia, "POST", members, json={"member": keystone.projects["member"]})
    assert (shared.status_code, shared.json()["status"]) == (200, "pending")
    accepted = imshare(mia, "PUT", f"{members}/{keystone.projects['member']}", json={"status": "accepted"})
    assert (accepted.status_code, accepted.json()["status"]) == (200, "accepted")
    assert image in [each["id"] for each in imshare(mia, "GET", "/v2/images").json()["images"]]


def test_a_reader_sees_and_changes_nothing(keystone, imshare, image):
    rita = keystone.login("rita", "pw-rita", "owner")
    assert imshare(rita, "GET", f"/v2/images/{image}/members").status_code == 200
    assert imshare(rita, "POST", f"/v2/images/{image}/members", json={"member": "x"}).status_code == 403
    assert imshare(rita, "DELETE", f"/v2/images/{image}").status_code == 403


def test_an_admin_acts_for_everybody(keystone, imshare, image):
    assert imshare(keystone.admin, "GET", f"/v2/images/{image}").status_code == 200
    answer = imshare(keystone.admin, "POST", f"/v2/images/{image}/members", json={"member": "x"})
    assert answer.status_code == 200
    assert imshare(keystone.admin, "DELETE", f"/v2/images/{image}/members/x").status_code == 204


def test_a_role_brings_the_ones_that_it_implies(keystone, imshare):
    """A manager is a member: the token lists the implied roles."""
    stan = keystone.login("stan", "pw-stan", "member")
    assert imshare(stan, "POST", "/v2/images", json={}).status_code == 201


def test_another_project_sees_nothing(keystone, imshare, image):
    service = keystone.login("imshare", "the-service-users-password", "service")
    assert imshare(service, "GET", f"/v2/images/{image}").status_code == 404


def test_who_is_nobody_is_refused(keystone, imshare):
    unscoped = keystone.login("olivia", "pw-olivia", None)
    nobodys = "gAAAAABn" + "x" * 200
    for token in (None, "", "nonsense", nobodys, "x" * 8000, unscoped):
        answer = imshare(token, "GET", "/v2/images")
        assert answer.status_code == 401, token
        assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{keystone.url}"'


def test_a_revoked_token_is_refused_when_it_is_forgotten(keystone, imshare, forgotten):
    token = keystone.login("olivia", "pw-olivia", "owner")
    assert imshare(token, "GET", "/v2/images").status_code == 200
    keystone.revoke(token)
    forgotten()
    assert imshare(token, "GET", "/v2/images").status_code == 401


def test_a_token_of_a_disabled_user_is_refused_when_it_is_forgotten(keystone, imshare, forgotten):
    token = keystone.login("rita", "pw-rita", "owner")
    assert imshare(token, "GET", "/v2/images").status_code == 200
    keystone.ask("PATCH", f"/users/{keystone.users['rita']}", json={"user": {"enabled": False}})
    forgotten()
    assert imshare(token, "GET", "/v2/images").status_code == 401


def test_an_expired_token_is_refused_though_it_is_remembered(keystone, imshare):
    """An application credential that expires in three seconds gives a token that does too."""
    from datetime import datetime, timedelta, timezone

    ends = datetime.now(timezone.utc) + timedelta(seconds=3)
    own = keystone.login("olivia", "pw-olivia", "owner")
    token, _ = keystone.credential("olivia", own, name="short", expires_at=ends.strftime("%Y-%m-%dT%H:%M:%S.%f"))
    assert imshare(token, "GET", "/v2/images").status_code == 200
    time.sleep(max(0, (ends - datetime.now(timezone.utc)).total_seconds()) + 0.1)
    assert imshare(token, "GET", "/v2/images").status_code == 401


@pytest.fixture(scope="module")
def restricted(keystone, olivia):
    """A token that may read single images and their members, and start batches."""
    rules = [
        {"service": "image", "method": "GET", "path": "/v2/images/**"},
        {"service": "image", "method": "POST", "path": "/v1/cloudimages/members"},
        {"service": "image", "method": "GET", "path": "/v1/{project_id}/jobs/*"},
        {"service": "compute", "method": "DELETE", "path": "/v2/images/**"},
    ]
    return keystone.credential("olivia", olivia, name="restricted", access_rules=rules)[0]


def test_access_rules_are_enforced(keystone, imshare, olivia, restricted, image):
    path, owner = f"/v2/images/{image}", keystone.projects["owner"]
    for method, path, status in [
        ("GET", path, 200),
        ("GET", f"{path}/members", 200),
        ("GET", f"/v2.9/images/{image}/members", 200),
        ("GET", "/v2/images/none", 404),
        ("GET", f"/v1/{owner}/jobs/{'0' * 32}", 404),
        ("POST", "/v1/cloudimages/members", 400),
        ("GET", "/v2/images", 401),
        ("DELETE", path, 401),
        ("PATCH", path, 401),
        ("POST", f"{path}/members", 401),
        ("POST", "/v2/images", 401),
        ("GET", "/v2/schemas/image", 401),
        ("GET", "/v2/images/../schemas/image", 401),
        ("PUT", "/v1/cloudimages/members", 401),
        ("GET", f"/v1/{owner}/jobs", 401),
        ("GET", "/v2/nonsense", 401),
        ("GET", "/versions", 200),
    ]:
        answer = imshare(restricted, method, path)
        assert answer.status_code == status, (method, path, answer.text)
        if status == 401:
            assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{keystone.url}"'
    # The same user without the restriction.
    assert imshare(olivia, "GET", "/v2/schemas/image").status_code == 200


def test_an_application_credential_without_rules_is_the_user(keystone, imshare, olivia, image):
    token, _ = keystone.credential("olivia", olivia, name="free")
    assert imshare(token, "GET", "/v2/images").status_code == 200
    reader, _ = keystone.credential("olivia", olivia, name="reader", roles=[{"name": "reader"}])
    assert imshare(reader, "GET", f"/v2/images/{image}").status_code == 200
    assert imshare(reader, "DELETE", f"/v2/images/{image}").status_code == 403


def test_the_service_user_may_be_a_restricted_credential_itself(keystone, work, olivia, restricted, image):
    """Its rules allow one request to Keystone, which the service makes, and none about images."""
    service = keystone.login("imshare", "the-service-users-password", "service")
    rules = [{"service": "identity", "method": "GET", "path": "/v3/auth/tokens"}]
    _, method = keystone.credential("imshare", service, name="service", access_rules=rules)
    user = {
        "KEYSTONE_APPLICATION_CREDENTIAL_ID": method["id"],
        "KEYSTONE_APPLICATION_CREDENTIAL_SECRET": method["secret"],
    }
    with serving(keystone, work / "imshare-credential.log", user) as send:
        assert send(olivia, "GET", "/v2/images").status_code == 200
        assert send(restricted, "GET", f"/v2/images/{image}").status_code == 404
        assert send(restricted, "GET", "/v2/images").status_code == 401
        assert send("nonsense", "GET", "/v2/images").status_code == 401


def test_role_names_compare_without_regard_to_case(keystone, imshare):
    """Some clouds name the roles Member and Reader."""
    for user, role, created in [("cara", "Member", 201), ("rosa", "READER", 403)]:
        made = keystone.ask("POST", "/roles", json={"role": {"name": role}})["role"]["id"]
        member = keystone.projects["member"]
        keystone.users[user] = keystone.make("user", name=user, password="pw")
        keystone.ask("PUT", f"/projects/{member}/users/{keystone.users[user]}/roles/{made}")
        token = keystone.login(user, "pw", "member")
        assert imshare(token, "GET", "/v2/images").status_code == 200
        assert imshare(token, "POST", "/v2/images", json={}).status_code == created


def test_keystone_out_and_back(keystone, imshare, olivia, mia, forgotten):
    fresh = keystone.login("olivia", "pw-olivia", "owner")
    assert imshare(olivia, "GET", "/v2/images").status_code == 200
    keystone.stop()
    # Keystone is down: an outage, not a refusal, in the form of each API.
    unknown = imshare(fresh, "GET", "/v2/images")
    assert unknown.status_code == 503 and "Retry-After" in unknown.headers
    unknown = imshare(fresh, "GET", "/v1/cloudimages/job/x")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (503, "ServiceUnavailable")
    # Cached tokens stay valid for their time; requests without a token are refused as ever.
    assert imshare(olivia, "GET", "/v2/images").status_code == 200
    assert imshare(None, "GET", "/v2/images").status_code == 401
    forgotten()
    assert imshare(olivia, "GET", "/v2/images").status_code == 503
    keystone.start()
    keystone.warm_up()
    for token in (fresh, olivia, mia):
        assert imshare(token, "GET", "/v2/images").status_code == 200


def test_imshare_logs_in_again_when_its_own_token_is_refused(keystone, imshare, olivia, forgotten):
    """Revokes all tokens of the service user at once; its password stays the same."""
    keystone.ask("PATCH", f"/users/{keystone.users['imshare']}", json={"user": {"enabled": False}})
    keystone.ask("PATCH", f"/users/{keystone.users['imshare']}", json={"user": {"enabled": True}})
    forgotten()
    assert imshare(olivia, "GET", "/v2/images").status_code == 200


def test_the_log_has_no_token(keystone, imshare, olivia, mia):
    log = imshare.log.read_text()
    assert "answered" in log
    for secret in (olivia, mia, keystone.admin, "the-service-users-password"):
        assert secret not in log
