"""imshare and a real Keystone. The tests run in their order: the last ones stop Keystone."""

import time

import pytest
import requests


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
    assert [each["id"] for each in imshare(mia, "GET", "/v2/images").json()["images"]] == [image]


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
    """A manager is a member: Keystone says so in the token."""
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
    """An application credential that ends in three seconds gives a token that does."""
    from datetime import datetime, timedelta, timezone

    ends = datetime.now(timezone.utc) + timedelta(seconds=3)
    own = keystone.login("olivia", "pw-olivia", "owner")
    fields = {"name": "short", "expires_at": ends.strftime("%Y-%m-%dT%H:%M:%S.%f")}
    credential = requests.post(
        f"{keystone.url}/users/{keystone.users['olivia']}/application_credentials",
        headers={"X-Auth-Token": own},
        json={"application_credential": fields},
        timeout=30,
    ).json()["application_credential"]
    method = {"id": credential["id"], "secret": credential["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": method}
    answer = requests.post(f"{keystone.url}/auth/tokens", json={"auth": {"identity": identity}}, timeout=30)
    token = answer.headers["X-Subject-Token"]
    assert imshare(token, "GET", "/v2/images").status_code == 200
    time.sleep(max(0, (ends - datetime.now(timezone.utc)).total_seconds()) + 0.1)
    assert imshare(token, "GET", "/v2/images").status_code == 401


def test_keystone_out_and_back(keystone, imshare, olivia, mia, forgotten):
    fresh = keystone.login("olivia", "pw-olivia", "owner")
    assert imshare(olivia, "GET", "/v2/images").status_code == 200
    keystone.stop()
    # Nobody can tell whose this is: an outage, not a refusal, in the words of each family.
    unknown = imshare(fresh, "GET", "/v2/images")
    assert unknown.status_code == 503 and "Retry-After" in unknown.headers
    unknown = imshare(fresh, "GET", "/v1/cloudimages/job/x")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (503, "ServiceUnavailable")
    # Who is remembered goes on until the time is over; who has no token is refused as ever.
    assert imshare(olivia, "GET", "/v2/images").status_code == 200
    assert imshare(None, "GET", "/v2/images").status_code == 401
    forgotten()
    assert imshare(olivia, "GET", "/v2/images").status_code == 503
    keystone.start()
    keystone.warm_up()
    for token in (fresh, olivia, mia):
        assert imshare(token, "GET", "/v2/images").status_code == 200


def test_imshare_logs_in_again_when_its_own_token_is_refused(keystone, imshare, olivia, forgotten):
    """All of the service user's tokens are revoked at once, with its password as before."""
    keystone.ask("PATCH", f"/users/{keystone.users['imshare']}", json={"user": {"enabled": False}})
    keystone.ask("PATCH", f"/users/{keystone.users['imshare']}", json={"user": {"enabled": True}})
    forgotten()
    assert imshare(olivia, "GET", "/v2/images").status_code == 200


def test_the_log_has_no_token(keystone, imshare, olivia, mia):
    log = imshare.log.read_text()
    assert "answered" in log
    for secret in (olivia, mia, keystone.admin, "the-service-users-password"):
        assert secret not in log
