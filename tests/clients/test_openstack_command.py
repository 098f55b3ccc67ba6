"""The openstack command, logged in with a password; it finds the service in the catalog."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from conftest import run
from openstackclient import shell


@pytest.fixture
def openstack():
    def call(who, *words):
        argv = ["openstack", f"--os-cloud={who}", *words]
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

    # Pending images are not in the member's list yet.
    assert image not in ids(ok("member", "image", "list", "--shared", "-f", "json"))
    assert image in ids(ok("member", "image", "list", "--shared", "--member-status", "pending", "-f", "json"))

    for flag, status in [("--accept", "accepted"), ("--reject", "rejected"), ("--pending", "pending"), ("--accept", "accepted")]:
        ok("member", "image", "set", flag, image)
        rows = ok("member", "image", "member", "list", image, "-f", "json")
        assert [(row["Member ID"], row["Status"]) for row in rows] == [(member, status)]
        listed = image in ids(ok("member", "image", "list", "--shared", "-f", "json"))
        assert listed == (status == "accepted")
        # Whatever its status, the member may show the image by its id.
        assert ok("member", "image", "show", image, "-f", "json")["owner"] == owner

    assert image in ids(ok("member", "image", "list", "-f", "json"))
    assert image in ids(ok("owner", "image", "list", "--shared", "-f", "json"))
    rows = ok("owner", "image", "member", "list", image, "-f", "json")
    assert [(row["Member ID"], row["Status"]) for row in rows] == [(member, "accepted")]

    # Making it private ends the access; sharing it again restores the membership.
    ok("owner", "image", "set", "--private", image)
    assert openstack("member", "image", "show", image)[0] != 0
    ok("owner", "image", "set", "--shared", image)
    assert image in ids(ok("member", "image", "list", "-f", "json"))
    ok("owner", "image", "set", "--community", image)
    assert ok("member2", "image", "show", image, "-f", "json")["visibility"] == "community"
    ok("owner", "image", "set", "--shared", image)

    ok("owner", "image", "remove", "project", image, member)
    assert openstack("member", "image", "show", image)[0] != 0
    ok("owner", "image", "delete", image)
    assert openstack("owner", "image", "show", image)[0] != 0


def test_a_share_that_is_accepted_at_once(ok, image, trusting):
    name, project = trusting
    added = ok("owner", "image", "add", "project", image, project, "-f", "json")
    assert (added["member_id"], added["status"]) == (project, "accepted")
    assert image in ids(ok(name, "image", "list", "--shared", "-f", "json"))
    # What clients do after a share: the answer that is there already.
    ok(name, "image", "set", "--accept", image)
    rows = ok("owner", "image", "member", "list", image, "-f", "json")
    assert [(row["Member ID"], row["Status"]) for row in rows] == [(project, "accepted")]
    ok("owner", "image", "delete", image)


def test_the_command_of_the_readme(url):
    readme = Path(__file__).parents[2] / "README.md"
    text = readme.read_text().replace("\\\n", " ")
    [command] = [line for line in text.splitlines() if line.startswith("openstack --os-auth-url")]
    command = shlex.split(command.replace("http://127.0.0.1:9292", url))
    assert command[-2:] == ["image", "list"]
    # A process of its own, as at a prompt. pip installs commands beside the interpreter.
    command[0] = str(Path(sys.executable).with_name("openstack"))
    done = subprocess.run([*command, "-f", "json"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), list)


def test_projects_have_names(ok, openstack, image, people):
    """Shares by name: everybody may look names up here."""
    owner, member = people["owner"][1], people["member"][1]
    issued = ok("owner", "token", "issue", "-f", "json")
    assert (issued["project_id"], issued["user_id"]) == (owner, "u-owner")
    listed = ok("owner", "project", "list", "-f", "json")
    assert {"ID": member, "Name": "member"} in listed
    services = {each["Type"] for each in ok("owner", "catalog", "list", "-f", "json")}
    assert services == {"image", "identity"}
    ok("owner", "image", "add", "project", image, "member")
    rows = ok("owner", "image", "member", "list", image, "-f", "json")
    assert [row["Member ID"] for row in rows] == [member]
    # The client refuses an unknown name with no more than this.
    assert openstack("owner", "image", "add", "project", image, "nobody")[0] != 0
    assert ok("owner", "image", "member", "list", image, "-f", "json") == rows
    ok("owner", "image", "delete", image)


def test_refusals(ok, openstack, image, people):
    member = people["member"][1]
    ok("owner", "image", "add", "project", image, member)

    code, _, err = openstack("owner", "image", "add", "project", image, member)
    assert code != 0
    assert "409" in err and f"Member {member} is duplicated for image {image}" in err

    code, _, err = openstack("member2", "image", "show", image)
    assert code != 0
    assert f"No Image found for {image}" in err

    code, _, err = openstack("owner", "image", "set", "--accept", "--project", member, image)
    assert code != 0
    assert "403" in err
    ok("owner", "image", "delete", image)


DATA_ELSEWHERE = "The data of images is not kept by this service, only who may see them."


def test_an_upload_ends_with_the_reason(openstack, tmp_path):
    """The error is not a bare "Not Found"."""
    data = tmp_path / "disk.raw"
    data.write_bytes(b"data")
    name = f"upload-{uuid4()}"
    code, _, err = openstack("owner", "image", "create", "--file", str(data), name)
    assert code != 0
    assert DATA_ELSEWHERE in err, err


def test_an_import_ends_with_the_reason(ok, openstack, image):
    assert ok("owner", "image", "import", "info", "-f", "json") == {"import-methods": []}
    # The command asks for the import methods first, and finds none.
    code, _, err = openstack("owner", "image", "import", "--method", "glance-direct", image)
    assert code != 0
    assert "glance-direct" in err, err
    ok("owner", "image", "delete", image)


def test_tags_and_stores(ok, image):
    ok("owner", "image", "set", "--tag", "lts", image)
    assert ok("owner", "image", "show", image, "-f", "json")["tags"] == ["lts"]
    ok("owner", "image", "unset", "--tag", "lts", image)
    assert ok("owner", "image", "show", image, "-f", "json")["tags"] == []
    assert ok("owner", "image", "stores", "list", "-f", "json") == []
    ok("owner", "image", "delete", image)
