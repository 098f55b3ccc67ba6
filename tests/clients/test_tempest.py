"""Tempest's own tests of image members, with the demo identities as accounts."""

import json
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from conftest import AUTH_URL, PASSWORD

# Both of its modules: test_images_member and test_images_member_negative.
TESTS = r"^tempest\.api\.image\.v2\.test_images_member"
COUNT = 8
# Tempest takes the first account that fits: the owner as primary, the member as alternative.
ACCOUNTS = [
    {"username": "owner", "project_name": "owner", "password": PASSWORD, "roles": ["member"]},
    {"username": "member", "project_name": "member", "password": PASSWORD, "roles": ["member"]},
    {"username": "owner-reader", "project_name": "owner", "password": PASSWORD, "roles": ["reader"]},
]


@pytest.fixture
def workspace(tmp_path):
    accounts = tmp_path / "accounts.yaml"
    # JSON is valid YAML.
    accounts.write_text(json.dumps(ACCOUNTS))
    settings = ConfigParser()
    settings.read_dict(
        {
            "auth": {"use_dynamic_credentials": False, "test_accounts_file": accounts},
            # Reads are sent as a reader.
            "enforce_scope": {"glance": True},
            "identity": {"auth_version": "v3", "uri_v3": AUTH_URL, "region": "RegionOne"},
            "oslo_concurrency": {"lock_path": tmp_path / "locks"},
            "service_available": {"cinder": False, "neutron": False, "nova": False, "swift": False},
        }
    )
    with open(tmp_path / "tempest.conf", "w") as file:
        settings.write(file)
    return tmp_path


def test_image_members(workspace, capsys):
    # pip installs commands beside the interpreter.
    tempest = Path(sys.executable).with_name("tempest")
    command = [tempest, "run", "--serial", "--config-file", "tempest.conf", "--regex", TESTS]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {name: int(count) for name, count in re.findall(r"^ - (\w+): (\d+)$", done.stdout, re.MULTILINE)}
    with capsys.disabled():
        print(f" tempest: {counts}")
    assert counts["Passed"] == COUNT, done.stdout
    assert counts["Skipped"] == counts["Failed"] == 0, done.stdout
