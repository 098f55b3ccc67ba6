"""openstacksdk: logged in with a password, and with a bare token."""

from uuid import uuid4

import openstack
import pytest
from openstack import exceptions


@pytest.fixture(params=["catalog", "override"])
def connect(request, url, people):
    opened = []

    def call(who):
        if request.param == "catalog":
            found = openstack.connect(cloud=who)
        else:
            login = {"endpoint": f"{url}/v2", "token": people[who][0]}
            found = openstack.connect(
                auth_type="admin_token", auth=login, load_yaml_config=False, load_envvars=False
            )
        opened.append(found)
        return found.image

    yield call
    for each in opened:
        each.close()


def test_tour(connect, people):
    owner, member = connect("owner"), connect("member")
    project = people["member"][1]
    image = owner.create_image(f"debian-{uuid4()}", visibility="shared", disk_format="raw", container_format="bare")
    assert (image.status, image.visibility) == ("queued", "shared")
    added = owner.add_member(image, member_id=project)
    assert (added.member_id, added.status) == (project, "pending")

    def listed(**more):
        return image.id in [each.id for each in member.images(**more)]

    assert not listed()
    assert listed(member_status="pending")
    for status in ["accepted", "rejected", "pending", "accepted"]:
        assert member.update_member(project, image, status=status).status == status
        assert [(row.member_id, row.status) for row in owner.members(image)] == [(project, status)]
        assert listed() == (status == "accepted")
        assert listed(member_status=status)
        assert listed(member_status="all", visibility="shared")
        assert member.get_image(image.id).id == image.id
    assert owner.get_member(project, image).status == "accepted"
    assert owner.find_member(project, image).member_id == project

    changed = owner.update_image(image.id, name="trixie", min_disk=2, os_distro="debian")
    assert (changed.name, changed.min_disk, changed.os_distro) == ("trixie", 2, "debian")

    owner.remove_member(project, image, ignore_missing=False)
    assert owner.find_member(project, image, ignore_missing=True) is None
    with pytest.raises(exceptions.NotFoundException):
        member.get_image(image.id)
    owner.delete_image(image.id, ignore_missing=False)
    with pytest.raises(exceptions.NotFoundException):
        owner.get_image(image.id)


def test_a_share_that_is_accepted_at_once(connect, trusting):
    name, project = trusting
    owner, member = connect("owner"), connect(name)
    image = owner.create_image(f"debian-{uuid4()}", visibility="shared", disk_format="raw", container_format="bare")
    added = owner.add_member(image, member_id=project)
    assert (added.member_id, added.status) == (project, "accepted")
    assert [(row.member_id, row.status) for row in owner.members(image)] == [(project, "accepted")]
    assert image.id in [each.id for each in member.images()]
    owner.delete_image(image.id, ignore_missing=False)


def test_refusals(connect, people):
    owner, stranger = connect("owner"), connect("member2")
    project = people["member"][1]
    image = owner.create_image(f"debian-{uuid4()}", visibility="shared", disk_format="raw", container_format="bare")
    owner.add_member(image, member_id=project)

    with pytest.raises(exceptions.ConflictException) as conflict:
        owner.add_member(image, member_id=project)
    assert f"Member {project} is duplicated for image {image.id}" in str(conflict.value)
    with pytest.raises(exceptions.NotFoundException):
        stranger.get_image(image.id)
    with pytest.raises(exceptions.NotFoundException):
        list(stranger.members(image.id))
    with pytest.raises(exceptions.ForbiddenException):
        owner.update_member(project, image, status="accepted")
    owner.delete_image(image.id)


def test_tags_and_what_is_left_to_others(connect, tmp_path):
    owner = connect("owner")
    image = owner.create_image(f"debian-{uuid4()}", disk_format="raw", container_format="bare")
    owner.add_tag(image, "lts")
    assert owner.get_image(image).tags == ["lts"]
    owner.remove_tag(image, "lts")
    assert owner.get_image(image).tags == []
    # Activating is up to the pipeline. The SDK does not show the refusal.
    owner.deactivate_image(image)
    assert owner.get_image(image).status == "queued"
    data = tmp_path / "disk.raw"
    data.write_bytes(b"data")
    with pytest.raises(exceptions.SDKException, match="The data of images is not kept by this service"):
        owner.create_image(f"upload-{uuid4()}", filename=str(data), disk_format="raw", container_format="bare")
    with pytest.raises(exceptions.NotFoundException, match="The data of images is not kept by this service"):
        owner.stage_image(image, data=b"data")
    owner.delete_image(image)
