"""What must be there after writes to one release and to another: shared by drive.py and tests/deploy/rollback.py

A server is anything with a name and with send(who, method, path, body, expect), which returns the answer.
"""
import time

OWNER, MEMBER = "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01", "edc89b490d7d4392898e19b2deb34797"
BATCH = "/v1/cloudimages/members"
IMAGES, PROJECTS = 12, 150


def complaints(lines):
    """Lines of a log about records and messages that a release cannot read.

    On a busy machine a write may give up, and its message comes again. What cannot be read never will be.
    """
    words = ("corrupt", "not ours", "newer release", "panicked", "left out of a list")
    return [line for line in lines if any(word in line for word in words)]


class Expected:
    """What must be there: the members of each image with their statuses, and jobs."""

    def __init__(self):
        self.images, self.names, self.jobs, self.deleted, self.rules = {}, {}, [], [], []
        # Images of jobs that are under way, and those whose jobs have ended, so that others may follow.
        self.busy, self.idle = [], []

    def write(self, server, round):
        """Direct writes of every kind."""
        image = server.send("owner", "POST", "/v2/images", {"name": f"direct-{round}"}, 201)["id"]
        path = f"/v2/images/{image}"
        for member in (MEMBER, "a", "b"):
            server.send("owner", "POST", f"{path}/members", {"member": member})
        server.send("member", "PUT", f"{path}/members/{MEMBER}", {"status": "accepted"})
        server.send("owner", "DELETE", f"{path}/members/b", expect=204)
        rename = [{"op": "replace", "path": "/name", "value": f"renamed-{round}"}]
        server.send("owner", "PATCH", path, rename)
        self.images[image] = {MEMBER: "accepted", "a": "pending"}
        self.names[image] = f"renamed-{round}"
        # One image of an earlier round: what the other release wrote is changed by this one.
        for earlier in list(self.names)[:-1][-1:]:
            status = "rejected" if self.images[earlier][MEMBER] == "accepted" else "accepted"
            path = f"/v2/images/{earlier}"
            server.send("member", "PUT", f"{path}/members/{MEMBER}", {"status": status})
            server.send("owner", "POST", f"{path}/members", {"member": f"again-{round}"})
            server.send("owner", "PUT", f"{path}/tags/{round}", expect=204)
            self.images[earlier].update({MEMBER: status, f"again-{round}": "pending"})
        self.rules = [{"owner": f"owner-{round}", "mode": "accept"}]
        server.send("member", "PUT", f"/v1/{MEMBER}/cloudimages/trusted-owners", {"rules": self.rules})

    def begin(self, server, round, declare=True):
        """Jobs of every kind, and a deletion, none of which is waited for."""
        start = lambda who, method, path, body, entries: self.jobs.append(
            (who, server.send(who, method, path, body)["job_id"], entries)
        )
        images = [server.send("owner", "POST", "/v2/images", {"name": f"batch-{round}"}, 201)["id"] for _ in range(IMAGES)]
        projects = [f"p{n:03}" for n in range(PROJECTS)]
        start("owner", "POST", BATCH, {"images": images, "projects": [*projects, MEMBER]}, IMAGES * (PROJECTS + 1))
        start("owner", "DELETE", BATCH, {"images": images, "projects": projects[:50]}, IMAGES * 50)
        if self.idle:
            gone, *accepted = self.idle
            server.send("owner", "DELETE", f"/v2/images/{gone}", expect=204)
            del self.images[gone]
            self.deleted.append(gone)
            start("member", "PUT", BATCH, {"images": accepted, "project_id": MEMBER, "status": "accepted"}, len(accepted))
            for image in accepted:
                self.images[image][MEMBER] = "accepted"
            self.idle = []
        for image in images:
            self.images[image] = {project: "pending" for project in [*projects[50:], MEMBER]}
        if declare:
            set_of = f"/v1/{OWNER}/cloudimages/{images[0]}/members"
            # As many entries as the image has and gets members, which the jobs before decide.
            start("owner", "PUT", set_of, {"projects": ["declared"]}, None)
            self.images[images[0]] = {"declared": "pending"}
        self.busy += images[1:]

    def ended(self, server, seconds=120):
        """Waits for all jobs: each must have succeeded, in as many entries as it was asked for."""
        for who, job, entries in self.jobs:
            for _ in range(seconds * 20):
                found = server.send(who, "GET", f"/v1/cloudimages/job/{job}")
                if found["status"] in ("SUCCESS", "FAIL"):
                    break
                time.sleep(0.05)
            failed = [row for row in found["entities"]["results"] if row["status"] != "success"]
            counts = {name: found["entities"][name] for name in ("total", "succeeded", "failed")}
            assert found["status"] == "SUCCESS", f"{server.name}: {job}: {counts} {failed[:3]}"
            assert counts["failed"] == 0 and counts["succeeded"] == counts["total"], f"{server.name}: {job}: {counts}"
            assert entries in (None, counts["total"]), f"{server.name}: {job}: {counts} of {entries}"
        self.idle, self.busy = self.idle + self.busy, []

    def check(self, server):
        for image, members in self.images.items():
            found = server.send("owner", "GET", f"/v2/images/{image}/members")["members"]
            found = {member["member_id"]: member["status"] for member in found}
            assert found == members, f"{server.name}: {image}: {sorted(found.items() ^ members.items())[:5]}"
        for image, name in self.names.items():
            assert server.send("owner", "GET", f"/v2/images/{image}")["name"] == name
            found = server.send("owner", "GET", f"/v2/images?name={name}")["images"]
            assert [each["id"] for each in found] == [image], f"{server.name}: {name}: {found}"
        for image in self.deleted:
            server.send("owner", "GET", f"/v2/images/{image}", expect=404)
        if self.rules:
            found = server.send("member", "GET", f"/v1/{MEMBER}/cloudimages/trusted-owners")
            assert found["rules"] == self.rules
        shares = sum(len(members) for members in self.images.values())
        print(f"  {server.name}: {len(self.images)} images, {shares} memberships, {len(self.jobs)} jobs as they must be")
