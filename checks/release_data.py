#!/usr/bin/env python3
"""Writes the data that the tests keep of a release: checks/release_data.py BINARY DIRECTORY

BINARY is the release's `imshare`. DIRECTORY, such as tests/data/0.1.0, gets `table.sqlite` and `queue.sqlite` with
every kind of record, killed with work under way, and `messages.jsonl` with every kind of message. The tests that open
them are in tests/all/upgrade.
"""
import contextlib
import http.client
import json
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

OWNER, MEMBER = "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01", "edc89b490d7d4392898e19b2deb34797"
MEMBER2, ADMIN = "7d4a3b1f0c9e4f8d8a6b5c4d3e2f1a02", "a0b1c2d3e4f5460718293a4b5c6d7e8f"
BATCH = "/v1/cloudimages/members"


def image(number):
    return f"{number:08}-0000-4000-8000-000000000000"


class Server:
    """A running `imshare serve` of the release."""

    def __init__(self, binary, *arguments):
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--member-quota=-1", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().removeprefix("listening on ").strip()
        self.said = ""

    def address(self, what):
        while found := self.process.stdout.readline():
            if match := re.match(rf"{what} for this machine on (http\S+)", found):
                return match[1]
        raise SystemExit(f"no address of {what}")

    def send(self, who, method, path, body=None, headers=()):
        data = None if body is None else json.dumps(body).encode()
        kind = "application/openstack-images-v2.1-json-patch" if method == "PATCH" else "application/json"
        headers = {"X-Auth-Token": f"{who}-token-0123456789abcdef", "Content-Type": kind, **dict(headers)}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def ended(self, who, accepted):
        while True:
            job = self.send(who, "GET", f"/v1/cloudimages/job/{accepted['job_id']}")
            if job["status"] in ("SUCCESS", "FAIL"):
                return job
            time.sleep(0.05)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait()


def share(server, number, *members):
    for member in members:
        server.send("owner", "POST", f"/v2/images/{image(number)}/members", {"member": member})


def answer(server, who, number, member, status):
    server.send(who, "PUT", f"/v2/images/{image(number)}/members/{member}", {"status": status})


def images(server):
    """Images of every visibility and size, memberships in every state, tombstones."""
    for number, more in [
        (1, {}), (2, {"tags": [f"{n:03}{'t' * 60}" for n in range(100)]}), (3, {"visibility": "private"}),
        (4, {"visibility": "community"}), (6, {"protected": True}), (7, {}), (8, {}), (9, {}),
    ]:
        body = {"id": image(number), "name": f"image-{number}", "os_distro": "debian", "min_ram": number, **more}
        server.send("owner", "POST", "/v2/images", body)
    server.send("admin", "POST", "/v2/images", {"id": image(5), "name": "image-5", "visibility": "public"})
    for project, who in [(ADMIN, "admin"), (MEMBER2, "member2")]:
        rules = {"rules": [{"owner": OWNER if who == "admin" else MEMBER, "mode": "accept"}]}
        server.send(who, "PUT", f"/v1/{project}/cloudimages/trusted-owners", rules)
    share(server, 1, MEMBER, MEMBER2, "another", ADMIN)
    answer(server, "member", 1, MEMBER, "accepted")
    answer(server, "member2", 1, MEMBER2, "rejected")
    share(server, 2, MEMBER, MEMBER2)
    server.send("owner", "DELETE", f"/v2/images/{image(2)}/members/{MEMBER2}")
    share(server, 7, MEMBER)
    server.send("owner", "DELETE", f"/v2/images/{image(7)}")


def jobs(server):
    """Jobs that have ended, one of them under a key; a membership that was shared again; a declared set."""
    body = {"images": [image(1), image(2)], "projects": [MEMBER, "batch"]}
    key = [("Idempotency-Key", "key-1")]
    server.ended("owner", server.send("owner", "POST", BATCH, body, key))
    body = {"images": [image(1), image(99)], "projects": ["failed"]}
    assert server.ended("owner", server.send("owner", "POST", BATCH, body))["status"] == "FAIL"
    path = f"/v1/{OWNER}/cloudimages/{image(6)}/members"
    server.ended("owner", server.send("owner", "PUT", path, {"projects": ["d1", "d2"]}))


def under_way(server):
    """Work that a kill interrupts: a deleted image with members, and a job."""
    many = [f"m{n:03}" for n in range(150)]
    server.ended("owner", server.send("owner", "POST", BATCH, {"images": [image(8)], "projects": many}))

    def delete():
        with contextlib.suppress(OSError, http.client.HTTPException):
            server.send("owner", "DELETE", f"/v2/images/{image(8)}")

    thread = threading.Thread(target=delete)
    thread.start()
    time.sleep(0.02)
    accepted = server.send("owner", "POST", BATCH, {"images": [image(n) for n in (1, 2, 6)], "projects": many[:33]})
    server.kill()
    thread.join()
    return accepted["job_id"]


def closed(directory, target):
    """Copies the files of a killed server, with what is in their logs."""
    for name in ("table.sqlite", "queue.sqlite"):
        with contextlib.closing(sqlite3.connect(directory / name)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            file.execute("PRAGMA journal_mode = DELETE")
            file.execute("VACUUM")
            file.execute("PRAGMA journal_mode = WAL")
        (target / name).write_bytes((directory / name).read_bytes())


def messages(binary, directory):
    """The bodies of messages of every kind, taken from the queue of servers that were killed."""
    found = {}

    def take(server):
        server.kill()
        with contextlib.closing(sqlite3.connect(directory / "queue.sqlite")) as file:
            for (body,) in file.execute("SELECT body FROM message").fetchall():
                message = json.loads(body)
                found.setdefault((message["type"], message.get("kind")), body)
            file.execute("DELETE FROM message")
            file.commit()

    server = Server(binary, "--data-dir", str(directory))
    server.send("owner", "POST", "/v2/images", {"id": image(1), "name": "image-1"})
    share(server, 1, MEMBER)
    whom = {"images": [image(1)], "projects": [MEMBER]}
    set_of = f"/v1/{OWNER}/cloudimages/{image(1)}/members"
    answer_of = {"images": [image(1)], "project_id": MEMBER, "status": "accepted", "vault_id": "v"}
    for who, method, path, body in [
        ("owner", "POST", BATCH, whom), ("member", "PUT", BATCH, answer_of),
        ("owner", "PUT", set_of, {"projects": ["d1"]}), ("owner", "DELETE", BATCH, whom),
    ]:
        kinds = len(found)
        while len(found) == kinds:
            server.send(who, method, path, body)
            take(server)
            server = Server(binary, "--data-dir", str(directory))
    # More members than are ended within two seconds: the rest is left to a message.
    while not any(kind == "memberships" for kind, _ in found):
        number = int(time.time()) % 10**8
        server.send("owner", "POST", "/v2/images", {"id": image(number), "name": "large"})
        body = {"images": [image(number)], "projects": [f"m{n:04}" for n in range(9000)]}
        server.ended("owner", server.send("owner", "POST", BATCH, body))
        server.send("owner", "DELETE", f"/v2/images/{image(number)}")
        take(server)
        server = Server(binary, "--data-dir", str(directory))
    server.kill()
    return [body for _, body in sorted(found.items(), key=str)]


def counted(target):
    """How many records of each kind there are, how many of them are due, and how many messages wait."""
    with contextlib.closing(sqlite3.connect(target / "table.sqlite")) as table:
        kind = "CASE WHEN sk LIKE 'S:%#%' THEN substr(sk, 3, instr(sk, '#') - 3) ELSE substr(sk, 3) END"
        rows = table.execute(f"SELECT {kind}, count(*), sum(item_json LIKE '%\"dpk\"%') FROM imshare GROUP BY 1")
        found = {kind: (count, due) for kind, count, due in rows}
    with contextlib.closing(sqlite3.connect(target / "queue.sqlite")) as queue:
        found["messages"] = queue.execute("SELECT count(*) FROM message").fetchone()[0]
    return found


def main(binary, target):
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    for _ in range(50):
        with tempfile.TemporaryDirectory() as work:
            directory = pathlib.Path(work, "data")
            server = Server(binary, "--data-dir", str(directory), "--dynamodb-listen", "127.0.0.1:0")
            images(server)
            jobs(server)
            # A server beside the table leaves a freshness mark, as deployed functions do.
            beside = Server(binary, "--in-memory", "--dynamodb-endpoint", server.address("DynamoDB"))
            share(beside, 9, MEMBER)
            beside.send("owner", "DELETE", f"/v2/images/{image(9)}/members/{MEMBER}")
            beside.stop()
            job = under_way(server)
            closed(directory, target)
        found = counted(target)
        # Killed at the moment at which both were under way.
        if found["IMAGE"][1] == 1 and found["JOB"][1] == 1 and found["messages"]:
            break
    else:
        raise SystemExit("no work was under way when the server was killed")
    with tempfile.TemporaryDirectory() as work:
        (target / "messages.jsonl").write_text("\n".join(messages(binary, pathlib.Path(work, "data"))) + "\n")
    print("records of each kind, and how many are due:", json.dumps(found))
    print(f"job under way: {job}, written at", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


if __name__ == "__main__":
    main(*sys.argv[1:])
