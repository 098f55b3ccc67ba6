"""Drives two releases over the same data, forth and back: drive.py PREVIOUS PRESENT

In each round one release serves a data directory: it reads all that was written before, ends the jobs that the other has
left under way, writes, starts jobs, and is stopped or killed in the middle of them. Then both run at once beside one table
and one queue, as during a deployment. Nothing that was answered may be lost.
"""
import contextlib
import json
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

OWNER, MEMBER = "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01", "edc89b490d7d4392898e19b2deb34797"
BATCH = "/v1/cloudimages/members"
IMAGES, PROJECTS = 12, 150


class Server:
    def __init__(self, name, binary, *arguments):
        self.name = name
        self.log = tempfile.TemporaryFile("w+")
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--member-quota=-1", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready = self.process.stdout.readline()
        if not ready.startswith("listening on "):
            self.process.wait()
            self.log.seek(0)
            raise SystemExit(f"{name} does not start: {self.log.read()}")
        self.url = ready.removeprefix("listening on ").strip()

    def address(self, what):
        while found := self.process.stdout.readline():
            if match := re.match(rf"{what} for this machine on (http\S+)", found):
                return match[1]
        raise SystemExit(f"{self.name}: no address of {what}")

    def send(self, who, method, path, body=None, expect=200):
        data = None if body is None else json.dumps(body).encode()
        kind = "application/openstack-images-v2.1-json-patch" if method == "PATCH" else "application/json"
        headers = {"X-Auth-Token": f"{who}-token-0123456789abcdef", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            status, text = refused.code, refused.read()
        assert status == expect, f"{self.name}: {method} {path}: {status} {text[:300]}"
        return json.loads(text) if text and status < 300 else None

    def end(self, how):
        self.process.send_signal(how)
        code = self.process.wait()
        assert code == (0 if how == signal.SIGTERM else -how), f"{self.name} ended with {code}"
        self.log.seek(0)
        # On a busy machine a write may give up, and its message comes again. What cannot be read never will be.
        words = ("corrupt", "not ours", "newer release", "panicked", "left out of a list")
        errors = [line for line in self.log if any(word in line for word in words)]
        assert not errors, f"{self.name}: {errors[:3]}"


class Expected:
    """What must be there: the members of each image with their statuses, and jobs."""

    def __init__(self):
        self.images, self.names, self.jobs, self.deleted, self.rules = {}, {}, [], [], []

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

    def begin(self, server, round):
        """Jobs of every kind, and a deletion, none of which is waited for."""
        start = lambda who, method, path, body: self.jobs.append((who, server.send(who, method, path, body)["job_id"]))
        images = [server.send("owner", "POST", "/v2/images", {"name": f"batch-{round}"}, 201)["id"] for _ in range(IMAGES)]
        projects = [f"p{n:03}" for n in range(PROJECTS)]
        start("owner", "POST", BATCH, {"images": images, "projects": [*projects, MEMBER]})
        start("owner", "DELETE", BATCH, {"images": images, "projects": projects[:50]})
        set_of = f"/v1/{OWNER}/cloudimages/{images[0]}/members"
        start("owner", "PUT", set_of, {"projects": ["declared"]})
        for image in images:
            self.images[image] = {project: "pending" for project in [*projects[50:], MEMBER]}
        self.images[images[0]] = {"declared": "pending"}
        for image in self.deleted[-1:]:
            server.send("owner", "DELETE", f"/v2/images/{image}", expect=204)
            del self.images[image]
        self.deleted.append(images[1])

    def ended(self, server):
        for who, job in self.jobs:
            for _ in range(2400):
                found = server.send(who, "GET", f"/v1/cloudimages/job/{job}")
                if found["status"] in ("SUCCESS", "FAIL"):
                    break
                time.sleep(0.05)
            failed = [row for row in found["entities"]["results"] if row["status"] != "success"]
            assert found["status"] == "SUCCESS", f"{server.name}: {job}: {failed[:3]}"

    def check(self, server):
        for image, members in self.images.items():
            found = server.send("owner", "GET", f"/v2/images/{image}/members")["members"]
            found = {member["member_id"]: member["status"] for member in found}
            assert found == members, f"{server.name}: {image}: {sorted(found.items() ^ members.items())[:5]}"
        for image, name in self.names.items():
            assert server.send("owner", "GET", f"/v2/images/{image}")["name"] == name
        for image in self.deleted[:-1]:
            server.send("owner", "GET", f"/v2/images/{image}", expect=404)
        if self.rules:
            found = server.send("member", "GET", f"/v1/{MEMBER}/cloudimages/trusted-owners")
            assert found["rules"] == self.rules
        shares = sum(len(members) for members in self.images.values())
        print(f"  {server.name}: {len(self.images)} images, {shares} memberships, {len(self.jobs)} jobs as they must be")


def rounds(expected, binaries, data):
    """One release after the other over one data directory, each stopped with jobs under way."""
    for round, (name, how) in enumerate([
        ("present", signal.SIGTERM), ("previous", signal.SIGTERM), ("present", signal.SIGKILL),
        ("previous", signal.SIGKILL), ("present", signal.SIGTERM), ("previous", signal.SIGKILL),
    ]):
        server = Server(name, binaries[name], "--data-dir", data)
        expected.ended(server)
        expected.check(server)
        expected.write(server, round)
        expected.begin(server, round)
        server.end(how)
        with contextlib.closing(sqlite3.connect(f"{data}/queue.sqlite")) as queue:
            left = queue.execute("SELECT count(*) FROM message").fetchone()[0]
        print(f"round {round}: {name} ended by {how.name} with {left} messages left")


def beside(expected, binaries, data, holds, other):
    """Both at once: one holds the table and the queue, both serve requests and both receive messages."""
    holder = Server(holds, binaries[holds], "--data-dir", data, "--dynamodb-listen", "127.0.0.1:0", "--sqs-listen", "127.0.0.1:0")
    table, queue = holder.address("DynamoDB"), holder.address("SQS")
    guest = Server(other, binaries[other], "--in-memory", "--dynamodb-endpoint", table, "--queue-url", f"{queue}/000000000000/batches")
    expected.ended(holder)
    for round in range(4):
        for server in (holder, guest):
            expected.write(server, f"{holds}-{round}-{server.name}")
            expected.begin(server, f"{holds}-{round}-{server.name}")
    for server in (holder, guest):
        expected.ended(server)
        expected.check(server)
    guest.end(signal.SIGTERM)
    holder.end(signal.SIGTERM)
    print(f"both at once, beside the table of the {holds} release: nothing lost")


def main(previous, present):
    binaries = {"previous": previous, "present": present}
    expected = Expected()
    with tempfile.TemporaryDirectory() as work:
        data = str(pathlib.Path(work, "data"))
        rounds(expected, binaries, data)
        beside(expected, binaries, data, "present", "previous")
        beside(expected, binaries, data, "previous", "present")
        last = Server("present", present, "--data-dir", data)
        expected.ended(last)
        expected.check(last)
        last.end(signal.SIGTERM)
    print(f"nothing lost: {len(expected.jobs)} jobs of both releases")


if __name__ == "__main__":
    main(*sys.argv[1:])
