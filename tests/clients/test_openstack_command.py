"""The openstack command, logged in with a password; it finds the service in the catalog."""

import json
from uuid import uuid4

import pytest
from conftest import run
from openstackclient import shell


@pytest.fixture
def openstack(keystone_url):
    def call(who, *words):
        login = f"--os-auth-type=password --os-auth-url={keystone_url} --os-username={who} --os-password=x "
        login += f"--os-user-domain-id=default --os-project-domain-id=default --os-project-name={who}"
        argv = ["openstack", *login.split(), *words]
        return run(lambda: shell.main(argv[1:]), argv)

    return call


@pytest.fixture
def ok(openstack):
    def call(who, *words):
        code, out, err = openstack(who, *words)
        assert code == 0, (words, out, err)
        return json.loads(out) if "json" in words else out

    return call


@pytest.fixture
def image(ok):
    made = ok("owner", "image", "create", "--shared", f"debian-{uuid4()}", "-f", "json")
    assert (made["status"], made["visibility"]) == ("queued", "shared")
    return made["id"]


def ids(images):
    return [each["ID"] for each in images]


def test_tour(ok, openstack, image, people):
    owner, member = people["owner"][1], people["member"][1]

    added = ok("owner", "image", "add", "project", image, member, "-f", "json")
    assert (added["image_id"], added["member_id"], added["status"]) == (image, member, "pending")

    # Pending: not yet in the member's list.
    assert image not in ids(ok("member", "image", "list", "--shared", "-f", "json"))
    assert image in ids(ok("member", "image", "list", "--shared", "--member-status", "pending", "-f", "json"))

    for flag, status in [("--accept", "accepted"), ("--reject", "rejected"), ("--pending", "pending"), ("--accept", "accepted")]:
        ok("member", "image", "set", flag, image)
        rows = ok("member", "image", "member", "list", image, "-f", "json")
        assert [(row["Member ID"], row["Status"]) for row in rows] == [(member, status)]
        listed = image in ids(ok("member", "image", "list", "--shared", "-f", "json"))
        assert listed == (status == "accepted")
        # Whatever the status, the member may look at it by its id.
        assert ok("member", "image", "show", image, "-f", "json")["owner"] == owner

    assert image in ids(ok("member", "image", "list", "-f", "json"))
    assert image in ids(ok("owner", "image", "list", "--shared", "-f", "json"))
    rows = ok("owner", "image", "member", "list", image, "-f", "json")
    assert [(row["Member ID"], row["Status"]) for row in rows] == [(member, "accepted")]

    # Private ends the access, shared brings it back as it was.
    ok("owner", "image", "set", "--private", image)
    assert openstack("member", "image", "show", image)[0] != 0
    ok("owner", "image", "set", "--shared", image)
    assert image in ids(ok("member", "image", "list", "-f", "json"))
    ok("owner", "image", "set", "--community", image)
    assert ok("stranger", "image", "show", image, "-f", "json")["visibility"] == "community"
    ok("owner", "image", "set", "--shared", image)

    ok("owner", "image", "remove", "project", image, member)
    assert openstack("member", "image", "show", image)[0] != 0
    ok("owner", "image", "delete", image)
    assert openstack("owner", "image", "show", image)[0] != 0


def test_refusals(ok, openstack, image, people):
    member = people["member"][1]
    ok("owner", "image", "add", "project", image, member)

    code, _, err = openstack("owner", "image", "add", "project", image, member)
    assert code != 0
    assert "409" in err and f"Member {member} is duplicated for image {image}" in err

    code, _, err = openstack("stranger", "image", "show", image)
    assert code != 0
    assert f"No Image found for {image}" in err

    code, _, err = openstack("owner", "image", "set", "--accept", "--project", member, image)
    assert code != 0
    assert "403" in err
    ok("owner", "image", "delete", image)
