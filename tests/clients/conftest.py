import contextlib
import io
import json
import logging
import os
import sys
from importlib.metadata import version

import pytest
import requests
from osc_lib.clientmanager import ClientCache, ClientManager

URL = os.environ.get("IMSHARE_URL", "http://127.0.0.1:9292").rstrip("/")
AUTH_URL = f"{URL}/identity/v3"
PASSWORD = "secret"
# The demo identities: name of user and project, fixed token, project id.
PEOPLE = {
    "owner": ("owner-token-0123456789abcdef", "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01"),
    "member": ("member-token-0123456789abcdef", "edc89b490d7d4392898e19b2deb34797"),
    "member2": ("member2-token-0123456789abcdef", "7d4a3b1f0c9e4f8d8a6b5c4d3e2f1a02"),
}


def pytest_report_header():
    names = ["openstacksdk", "python-glanceclient", "python-openstackclient", "requests", "tempest"]
    return "clients: " + ", ".join(f"{name} {version(name)}" for name in names)


class Terminal(io.StringIO):
    """A terminal, so that the glance command does not wait for image data on a pipe."""

    def isatty(self):
        return True


def run(main, argv):
    """Runs the function behind a command in this process: (exit code, output, errors).

    Each start of a command takes seconds; the tour has dozens.
    """
    out, err = io.StringIO(), io.StringIO()
    # The openstack command keeps its login in class attributes, for the life of its process.
    for kept in vars(ClientManager).values():
        if isinstance(kept, ClientCache):
            kept._handle = None
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.argv, sys.stdin
    root.handlers[:] = []
    sys.argv, sys.stdin = argv, Terminal()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main() or 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        root.handlers[:], level, sys.argv, sys.stdin = before
        root.setLevel(level)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="session")
def url():
    return URL


@pytest.fixture(scope="session")
def people():
    return PEOPLE


@pytest.fixture(scope="session", autouse=True)
def clouds(tmp_path_factory):
    """Writes a clouds.yaml with a cloud for each identity, which the openstack command and the SDK read."""

    def cloud(name):
        auth = {"auth_url": AUTH_URL, "username": name, "password": PASSWORD, "project_name": name}
        auth |= {"user_domain_name": "Default", "project_domain_name": "Default"}
        return {"auth": auth, "region_name": "RegionOne"}

    file = tmp_path_factory.mktemp("config") / "clouds.yaml"
    # JSON is valid YAML.
    file.write_text(json.dumps({"clouds": {name: cloud(name) for name in PEOPLE}}))
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(file)


@pytest.fixture
def raw():
    def send(who, method, path, **more):
        headers = {"X-Auth-Token": PEOPLE[who][0], "Accept": "application/json"}
        return requests.request(method, URL + path, headers=headers, timeout=20, **more)

    return send


@pytest.fixture
def trusting(raw, people):
    """A project that accepts what the owner shares in advance, for the time of a test."""
    name, project = "member2", people["member2"][1]
    path = f"/v1/{project}/cloudimages/trusted-owners"

    def rules(*owners):
        found = [{"owner": owner, "mode": "accept"} for owner in owners]
        assert raw(name, "PUT", path, json={"rules": found}).status_code == 200

    rules(people["owner"][1])
    yield name, project
    rules()
