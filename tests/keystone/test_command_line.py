"""The command line with a real Keystone: its logins, its catalog, and who may look projects up."""

import json
import os
import subprocess

import pytest

# Commands run in another directory.
BINARY = os.path.abspath(os.environ["IMSHARE"])
DOMAINS = {"OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default"}


@pytest.fixture(scope="module")
def catalog(keystone, imshare):
    """The catalog of this cloud: an image service in two regions, one of which has nothing there."""
    service = keystone.ask("POST", "/services", json={"service": {"type": "image", "name": "imshare"}})["service"]["id"]
    for region, interface, url in [
        ("RegionOne", "public", f"{imshare.url}/v2"),
        ("RegionOne", "internal", imshare.url),
        ("RegionTwo", "public", "http://127.0.0.1:1"),
    ]:
        if interface == "public":
            keystone.ask("PUT", f"/regions/{region}", json={"region": {}})
        endpoint = {"service_id": service, "region_id": region, "interface": interface, "url": url}
        keystone.ask("POST", "/endpoints", json={"endpoint": endpoint})


@pytest.fixture
def run(keystone, catalog, tmp_path):
    """Runs a command as a user: returns its exit code, output and errors."""

    def run(variables, *arguments):
        environment = {"HOME": str(tmp_path), "OS_AUTH_URL": keystone.url, "OS_REGION_NAME": "RegionOne", **variables}
        environment = {name: value for name, value in environment.items() if value is not None}
        command = [BINARY, *arguments]
        ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        return ended.returncode, ended.stdout, ended.stderr

    return run


def user(name, project, **more):
    return {"OS_USERNAME": name, "OS_PASSWORD": f"pw-{name}", "OS_PROJECT_NAME": project, **DOMAINS, **more}


def test_names_are_looked_up_where_keystone_allows_it(keystone, run):
    olivia, mia = user("olivia", "owner"), user("mia", "member")
    assert run(olivia, "image", "create", "alpine")[0] == 0
    # A user without a role for it may not look projects up, so the error says that an id is needed.
    code, out, errors = run(olivia, "share", "alpine", "--with", "member")
    assert (code, out) == (2, "")
    assert "does not let this user look projects up by name" in errors and "(403, req-" in errors
    assert 'give the id of "member" instead' in errors and "nothing was sent" in errors
    assert run(olivia, "share", "alpine", "--with", keystone.projects["member"])[:2] == (0, "1 shared\n")
    # Everybody knows the names of its own projects.
    code, _, errors = run(olivia, "unshare", "alpine", "--with", "owner")
    assert code == 0, errors
    assert run(mia, "accept", "alpine")[:2] == (0, "1 accepted\n")
    admin = {"OS_USERNAME": "admin", "OS_PASSWORD": os.environ["KEYSTONE_ADMIN_PASSWORD"],
             "OS_PROJECT_NAME": "admin", **DOMAINS}
    code, _, errors = run(admin, "share", "alpine", "--with", "service,membr")
    assert code == 2 and '"membr" (did you mean "member"?)' in errors
    assert run(admin, "share", "alpine", "--with", "service")[:2] == (0, "1 shared\n")
    members = json.loads(run(olivia, "members", "alpine", "-f", "json")[1])
    assert {each["Project"]: each["Status"] for each in members} == {
        keystone.projects["member"]: "accepted",
        keystone.projects["service"]: "pending",
    }


def test_every_login_works(keystone, run, tmp_path):
    olivia = user("olivia", "owner")
    listed = run(olivia, "image", "list", "-f", "value", "-c", "Name")
    assert listed[0] == 0 and "alpine" in listed[1]
    token = keystone.login("olivia", "pw-olivia", "owner")
    assert run({"OS_TOKEN": token}, "image", "list", "-f", "value", "-c", "Name") == listed
    unscoped = keystone.login("olivia", "pw-olivia", None)
    scoped = {"OS_TOKEN": unscoped, "OS_PROJECT_NAME": "owner", "OS_PROJECT_DOMAIN_ID": "default"}
    assert run(scoped, "image", "list", "-f", "value", "-c", "Name") == listed
    _, credential = keystone.credential("olivia", token, name="command-line")
    secret = {
        "OS_AUTH_TYPE": "v3applicationcredential",
        "OS_APPLICATION_CREDENTIAL_ID": credential["id"],
        "OS_APPLICATION_CREDENTIAL_SECRET": credential["secret"],
    }
    assert run(secret, "image", "list", "-f", "value", "-c", "Name") == listed
    # A credential with access rules: its token may list images and nothing else.
    rules = [{"service": "image", "method": "GET", "path": "/v2/images"}]
    _, credential = keystone.credential("olivia", token, name="command-line-restricted", access_rules=rules)
    restricted = {
        "OS_APPLICATION_CREDENTIAL_ID": credential["id"],
        "OS_APPLICATION_CREDENTIAL_SECRET": credential["secret"],
    }
    assert run(restricted, "image", "list", "-f", "value", "-c", "Name") == listed
    assert run(restricted, "image", "create", "another")[0] == 3
    (tmp_path / "clouds.yaml").write_text(
        f"clouds: {{here: {{auth: {{auth_url: '{keystone.url}', username: olivia, password: pw-olivia, "
        "project_name: owner, user_domain_id: default, project_domain_id: default}, region_name: RegionOne}}"
    )
    nothing = {"OS_AUTH_URL": None, "OS_REGION_NAME": None}
    assert run({**nothing, "OS_CLOUD": "here"}, "image", "list", "-f", "value", "-c", "Name") == listed


def test_the_catalog_is_asked_for_region_and_interface(run):
    olivia = user("olivia", "owner")
    assert run({**olivia, "OS_INTERFACE": "internal"}, "image", "list")[0] == 0
    code, _, errors = run({**olivia, "OS_REGION_NAME": "RegionTwo"}, "image", "list")
    assert code == 4 and "cannot reach the image service at http://127.0.0.1:1" in errors
    code, _, errors = run({**olivia, "OS_REGION_NAME": "RegionThree"}, "image", "list")
    assert code == 2 and 'in the region "RegionThree"' in errors and "public in RegionTwo" in errors


def test_what_is_wrong_with_a_login_is_told(keystone, run):
    olivia = user("olivia", "owner")
    for variables, words in [
        ({"OS_PASSWORD": "wrong"}, ["check the user, the password and the project", "(401, req-"]),
        ({"OS_PROJECT_NAME": "nowhere"}, ["(401, req-"]),
        ({"OS_PROJECT_NAME": None}, ["for no project", "OS_PROJECT_NAME"]),
        ({"OS_USERNAME": None, "OS_PASSWORD": None, "OS_TOKEN": "x" * 32}, ["get a new token", "(404, req-"]),
    ]:
        code, out, errors = run({**olivia, **variables}, "image", "list")
        assert (code, out) == (3, ""), (variables, errors)
        assert errors.count("\n") == 1 and all(word in errors for word in words), errors
    code, _, errors = run({**olivia, "OS_AUTH_URL": "http://127.0.0.1:1/v3"}, "image", "list")
    assert code == 4 and "cannot reach the identity service" in errors
    # A reader may look and not share; what it is told has the service's words.
    code, _, errors = run(user("rita", "owner"), "share", "alpine", "--with", keystone.projects["service"])
    assert code == 3 and "role of the token is not enough" in errors
