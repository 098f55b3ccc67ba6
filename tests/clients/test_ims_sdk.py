"""The IMS SDK at a pinned version with its own models; it signs its requests with an access key."""

import time
import uuid

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkims.v2 import ImsClient, model

KEYS = {
    "owner": ("OWNERAKOWNERAKOWNERA", "owner-secret-key-0123456789abcdef0123456"),
    "member": ("MEMBERAKMEMBERAKMEMB", "member-secret-key-0123456789abcdef012345"),
}


def client(url, access, secret, project):
    credentials = BasicCredentials(access, secret, project)
    return ImsClient.new_builder().with_credentials(credentials).with_endpoints([url]).build()


@pytest.fixture(scope="module")
def owner(url, people):
    return client(url, *KEYS["owner"], people["owner"][1])


@pytest.fixture(scope="module")
def member(url, people):
    return client(url, *KEYS["member"], people["member"][1])


@pytest.fixture
def images(owner):
    made = []
    for name in ("one", "two words & more"):
        body = model.GlanceCreateImageMetadataRequestBody(name=name)
        made.append(owner.glance_create_image_metadata(model.GlanceCreateImageMetadataRequest(body=body)).id)
    return made


def ended(caller, job):
    """Waits for the job to end, asking at both of its addresses."""
    for _ in range(200):
        found = caller.show_job(model.ShowJobRequest(job_id=job))
        if found.status in ("SUCCESS", "FAIL"):
            progress = caller.show_job_progress(model.ShowJobProgressRequest(job_id=job))
            assert (progress.status, progress.job_id) == (found.status, job)
            return found
        time.sleep(0.05)
    raise AssertionError(f"job {job} is still {found.status}")


def shared(caller, image):
    listed = caller.glance_list_image_members(model.GlanceListImageMembersRequest(image_id=image))
    return {row.member_id: row.status for row in listed.members}


def test_share_one_and_accept_it(owner, member, images, people):
    project, image = people["member"][1], images[0]
    body = model.GlanceAddImageMemberRequestBody(member=project)
    added = owner.glance_add_image_member(model.GlanceAddImageMemberRequest(image_id=image, body=body))
    assert (added.status, added.member_id, added.image_id) == ("pending", project, image)
    body = model.GlanceUpdateImageMemberRequestBody(status="accepted")
    request = model.GlanceUpdateImageMemberRequest(image_id=image, member_id=project, body=body)
    assert member.glance_update_image_member(request).status == "accepted"
    request = model.GlanceShowImageMemberRequest(image_id=image, member_id=project)
    assert member.glance_show_image_member(request).status == "accepted"
    owner.glance_delete_image_member(model.GlanceDeleteImageMemberRequest(image_id=image, member_id=project))
    assert shared(owner, image) == {}


def test_batches_and_their_jobs(owner, member, images, people):
    project = people["member"][1]
    body = model.BatchAddMembersRequestBody(images=images, projects=[project])
    job = owner.batch_add_members(model.BatchAddMembersRequest(body=body)).job_id
    assert ended(owner, job).status == "SUCCESS"
    assert [shared(owner, image) for image in images] == [{project: "pending"}] * 2

    unknown = str(uuid.uuid4())
    body = model.BatchUpdateMembersRequestBody(images=[*images, unknown], project_id=project, status="accepted")
    job = ended(member, member.batch_update_members(model.BatchUpdateMembersRequest(body=body)).job_id)
    assert (job.status, job.job_type, job.error_code) == ("FAIL", "imsUpdateImageMembersJob", "IMG.0027")
    assert [shared(owner, image) for image in images] == [{project: "accepted"}] * 2

    body = model.BatchAddMembersRequestBody(images=images, projects=[project])
    job = owner.batch_delete_members(model.BatchDeleteMembersRequest(body=body)).job_id
    assert ended(owner, job).status == "SUCCESS"
    assert [shared(owner, image) for image in images] == [{}] * 2


def test_arguments_of_a_query_are_signed(owner, images):
    request = model.ListImagesRequest(name="two words & more", limit=1)
    assert [image.name for image in owner.list_images(request).images] == ["two words & more"]


def test_an_image_is_patched(owner, images):
    # The SDK does not sign a body of this media type.
    change = model.GlanceUpdateImageRequestBody(op="replace", path="/name", value="renamed")
    request = model.GlanceUpdateImageRequest(image_id=images[0], body=[change])
    assert owner.glance_update_image(request).name == "renamed"


def test_members_in_the_form_of_ims(owner, images, people):
    project, image = people["member"][1], images[0]
    body = model.GlanceAddImageMemberRequestBody(member=project)
    owner.glance_add_image_member(model.GlanceAddImageMemberRequest(image_id=image, body=body))
    listed = owner.list_image_members(model.ListImageMembersRequest(image_id=image))
    shown = owner.show_image_member(model.ShowImageMemberRequest(image_id=image, member_id=project))
    for member in (*listed.members, shown):
        assert (member.member_id, member.image_id) == (project, image)
        assert (member.status, member.member_type) == ("pending", "project")
    assert (listed.page_info.current_count, listed.page_info.next_marker) == (1, None)


def test_each_type_of_image_is_listed(owner, member, images, people):
    project, image = people["member"][1], images[0]
    body = model.GlanceAddImageMemberRequestBody(member=project)
    owner.glance_add_image_member(model.GlanceAddImageMemberRequest(image_id=image, body=body))
    pending = {"member_status": "pending", "visibility": "shared"}
    for caller, image_type, listed in ((owner, "private", True), (member, "private", False), (member, "shared", True)):
        found = caller.list_images(model.ListImagesRequest(imagetype=image_type, **pending)).images
        assert (image in [each.id for each in found]) == listed
        assert {each.imagetype for each in found} <= {image_type}


def test_a_wrong_key_is_refused(url, people):
    wrong = client(url, KEYS["owner"][0], "not-the-key", people["owner"][1])
    with pytest.raises(ClientRequestException) as refused:
        wrong.list_images(model.ListImagesRequest())
    assert refused.value.status_code == 401
    assert "not signed by a valid access key" in refused.value.error_msg
