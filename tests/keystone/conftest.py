import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
import requests

ADMIN_PASSWORD = os.environ["KEYSTONE_ADMIN_PASSWORD"]
SERVICE_PASSWORD = "the-service-users-password"
# How many seconds imshare caches a token in these tests.
CACHE_TTL = 4


def pytest_report_header():
    return f"keystone {version('keystone')}"


def started(command, pattern, log, **more):
    """Starts a program and waits for its ready line: returns the process and the rest of the line."""
    with open(log, "ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, **more)
    for line in process.stdout:
        if found := re.match(pattern, line):
            return process, found[1]
    process.wait()
    pytest.exit(f"{command[0]} did not get ready:\n{Path(log).read_text()[-2000:]}", 1)


class Keystone:
    """A real Keystone, which can be stopped and started again on the same port."""

    def __init__(self, work):
        self.log, self.port, self.process = work / "serve.log", 0, None
        self.start()
        self.url = f"http://127.0.0.1:{self.port}/v3"
        self.admin = self.login("admin", ADMIN_PASSWORD, "admin")

    def start(self):
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("serve.py")), str(self.port)]
        self.process, self.port = started(command, r"(\d+)$", self.log)

    def warm_up(self):
        """Warms it up with what imshare will ask for: the first time may exceed imshare's timeout."""
        service = self.login("imshare", SERVICE_PASSWORD, "service")
        self.ask("GET", "/auth/tokens", headers={"X-Auth-Token": service, "X-Subject-Token": self.admin})

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def login(self, user, password, project):
        """A token of a user, for a project by its name, or unscoped."""
        who = {"name": user, "domain": {"name": "Default"}, "password": password}
        auth = {"identity": {"methods": ["password"], "password": {"user": who}}}
        if project:
            auth["scope"] = {"project": {"name": project, "domain": {"name": "Default"}}}
        answer = requests.post(f"{self.url}/auth/tokens?nocatalog", json={"auth": auth}, timeout=30)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def credential(self, user, token, **fields):
        """A token of a new application credential of a user that has logged in with another token."""
        credential = requests.post(
            f"{self.url}/users/{self.users[user]}/application_credentials",
            headers={"X-Auth-Token": token},
            json={"application_credential": fields},
            timeout=30,
        ).json()["application_credential"]
        method = {"id": credential["id"], "secret": credential["secret"]}
        auth = {"identity": {"methods": ["application_credential"], "application_credential": method}}
        answer = requests.post(f"{self.url}/auth/tokens?nocatalog", json={"auth": auth}, timeout=30)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"], method

    def ask(self, method, path, **more):
        headers = {"X-Auth-Token": self.admin, **more.pop("headers", {})}
        answer = requests.request(method, self.url + path, headers=headers, timeout=30, **more)
        assert answer.ok, answer.text
        return answer.json() if answer.text else None

    def revoke(self, token):
        self.ask("DELETE", "/auth/tokens", headers={"X-Subject-Token": token})

    def make(self, kind, **fields):
        return self.ask("POST", f"/{kind}s", json={kind: {"domain_id": "default", **fields}})[kind]["id"]


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("keystone")


@pytest.fixture(scope="session")
def keystone(work):
    keystone = Keystone(work)
    roles = {role["name"]: role["id"] for role in keystone.ask("GET", "/roles")["roles"]}
    keystone.roles = roles
    keystone.projects = {name: keystone.make("project", name=name) for name in ("owner", "member", "service")}
    keystone.users = {}
    for user, password, project, role in [
        ("imshare", SERVICE_PASSWORD, "service", "service"),
        ("olivia", "pw-olivia", "owner", "member"),
        ("rita", "pw-rita", "owner", "reader"),
        ("mia", "pw-mia", "member", "member"),
        ("stan", "pw-stan", "member", "manager"),
    ]:
        keystone.users[user] = keystone.make("user", name=user, password=password)
        keystone.ask("PUT", f"/projects/{keystone.projects[project]}/users/{keystone.users[user]}/roles/{roles[role]}")
    keystone.warm_up()
    yield keystone
    keystone.stop()


@contextmanager
def serving(keystone, log, user, options=("--in-memory",)):
    """An imshare that asks Keystone as this user: returns a function that sends it requests."""
    environment = {"AUTH_CACHE_TTL": str(CACHE_TTL), **user}
    command = [os.environ["IMSHARE"], "serve", *options, "--listen", "127.0.0.1:0", "--log", "debug"]
    command += ["--keystone-url", keystone.url]
    process, url = started(command, r"listening on (\S+)", log, env=environment)

    def send(token, method, path, **more):
        headers = {"X-Auth-Token": token} if token else {}
        return requests.request(method, url + path, headers=headers, timeout=30, **more)

    send.log, send.url = log, url
    yield send
    process.terminate()
    assert process.wait(30) == 0


@pytest.fixture(scope="session")
def imshare(keystone, work):
    user = {"KEYSTONE_USERNAME": "imshare", "KEYSTONE_PASSWORD": SERVICE_PASSWORD}
    with serving(keystone, work / "imshare.log", user) as send:
        yield send


@pytest.fixture
def forgotten():
    """Waits until imshare has no token in its caches."""
    return lambda: time.sleep(CACHE_TTL + 0.5)
