"""The glance command: logged in with a password, and with a token and the service's address."""

import pytest
from conftest import AUTH_URL, PASSWORD, run
from glanceclient import shell


@pytest.fixture(params=["catalog", "address"])
def glance(request, url, people):
    def call(who, *words):
        if request.param == "catalog":
            login = f"--os-auth-url={AUTH_URL} --os-username={who} --os-password={PASSWORD} --os-project-name={who}"
            login += " --os-user-domain-name=Default --os-project-domain-name=Default"
        else:
            login = f"--os-auth-token={people[who][0]} --os-image-url={url}"
        return run(shell.main, ["glance", *login.split(), *words])

    return call


@pytest.fixture
def ok(glance):
    """The rows of the table that the command prints."""

    def call(who, *words):
        code, out, err = glance(who, *words)
        assert code == 0, (words, out, err)
        lines = [line for line in out.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]

    return call


@pytest.fixture
def image(ok):
    made = dict(ok("owner", "image-create", "--name", "debian", "--visibility", "shared"))
    assert (made["status"], made["visibility"]) == ("queued", "shared")
    return made["id"]


def test_tour(ok, glance, image, people):
    member = people["member"][1]
    assert [image, member, "pending"] in ok("owner", "member-create", image, member)

    def listed(*words):
        return image in [row[0] for row in ok("member", "image-list", *words)]

    assert not listed()
    assert listed("--member-status", "pending")
    for status in ["accepted", "rejected", "pending", "accepted"]:
        assert [image, member, status] in ok("member", "member-update", image, member, status)
        assert ok("owner", "member-list", "--image-id", image)[1:] == [[image, member, status]]
        assert listed() == (status == "accepted")
        assert listed("--member-status", status)
    assert listed("--visibility", "shared")
    assert dict(ok("member", "image-show", image))["name"] == "debian"

    assert dict(ok("owner", "image-update", image, "--name", "trixie"))["name"] == "trixie"
    ok("owner", "member-delete", image, member)
    assert glance("member", "image-show", image)[0] == 1
    ok("owner", "image-delete", image)
    assert glance("owner", "image-show", image)[0] == 1


def test_a_share_that_is_accepted_at_once(ok, image, trusting):
    name, project = trusting
    assert [image, project, "accepted"] in ok("owner", "member-create", image, project)
    assert image in [row[0] for row in ok(name, "image-list")]
    assert [image, project, "accepted"] in ok(name, "member-update", image, project, "accepted")
    ok("owner", "image-delete", image)


def test_refusals(ok, glance, image, people):
    member = people["member"][1]
    ok("owner", "member-create", image, member)

    code, _, err = glance("owner", "member-create", image, member)
    assert code == 1
    assert f"Member {member} is duplicated for image {image}" in err and "409" in err

    code, _, err = glance("member2", "image-show", image)
    assert code == 1
    assert "404" in err

    code, _, err = glance("owner", "member-update", image, member, "accepted")
    assert code == 1
    assert "403" in err
    ok("owner", "image-delete", image)
