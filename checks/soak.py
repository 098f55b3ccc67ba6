"""Puts a server on one machine under mixed load for half an hour, and then moves its clock forward.

    checks/soak.sh [--minutes 30] [--rate 100] [--binary FILE]

It fails if, after a warm-up of a fifth of the time, memory, descriptors, threads or the write-ahead logs have grown; if
the table takes more bytes for each record; if the slowest hundredth of the requests of the last minute takes much longer
than that of the first; if any answer is a 5xx; or if records are not removed when they expire, or before.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from pathlib import Path

TOKENS = {
    "owner": "owner-token-0123456789abcdef",
    "member": "member-token-0123456789abcdef",
    "member2": "member2-token-0123456789abcdef",
    "admin": "admin-token-0123456789abcdef",
}
OWNER, MEMBER, MEMBER2 = (
    "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01",
    "edc89b490d7d4392898e19b2deb34797",
    "7d4a3b1f0c9e4f8d8a6b5c4d3e2f1a02",
)
# Projects that images are shared with and that never answer.
SILENT = [f"{number:032x}" for number in range(1, 21)]
IMAGES = 300
THREADS = 8
SAMPLE_SECONDS = 2
PATCH = "application/openstack-images-v2.1-json-patch"
DAY = 86_400

# What a record that expires is, by its sort key.
KINDS = {"KEY": "idempotency keys", "JOB": "jobs", "ENTRIES": "entries of jobs", "RESULT": "results of jobs",
         "FRESH": "freshness marks"}


class Server:
    """The real binary, with its data in files."""

    def __init__(self, binary, data, *, environment=None):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(data), "--log", "warn,local=info"],
            stdout=subprocess.PIPE, stderr=self.log, text=True, env={**os.environ, **(environment or {})},
        )
        line = self.process.stdout.readline()
        if not line.startswith("listening on http://"):
            sys.exit(f"the server did not start: {line}{self.logged()}")
        self.host, _, port = line.strip().removeprefix("listening on http://").rpartition(":")
        self.port = int(port)
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def logged(self):
        return Path(self.log.name).read_text()

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=60)

    def stop(self):
        self.process.terminate()
        if self.process.wait(60) != 0:
            sys.exit(f"the server ended with {self.process.returncode}: {self.logged()}")

    def metrics(self):
        """The metrics: the sum of each name's samples, and each sample by itself."""
        connection = self.connect()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = defaultdict(float)
        for line in text.splitlines():
            if line and not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                found[series] = float(value)
        return found


class Images:
    """The images that there are, bounded: every create beyond the limit deletes another."""

    def __init__(self):
        self.lock, self.ids = threading.Lock(), []

    def add(self, image):
        with self.lock:
            self.ids.append(image)

    def pick(self, dice):
        with self.lock:
            return dice.choice(self.ids) if self.ids else str(uuid.uuid4())

    def take(self, dice):
        with self.lock:
            if len(self.ids) < IMAGES * 3 // 4:
                return None
            return self.ids.pop(dice.randrange(len(self.ids)))

    def full(self):
        return len(self.ids) >= IMAGES


class Client(threading.Thread):
    """One client: a kept connection, and requests in a random order at a steady rate."""

    def __init__(self, server, images, until, rate, seed):
        super().__init__(daemon=True)
        self.server, self.images, self.until, self.pause = server, images, until, 1 / rate
        self.dice, self.connection = random.Random(seed), server.connect()
        self.taken, self.statuses, self.jobs, self.trouble = [], Counter(), [], []

    def ask(self, who, method, path, body=None, media="application/json", **more):
        headers = {"X-Auth-Token": TOKENS.get(who, who), "Content-Type": media, **more}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        began = time.monotonic()
        for attempt in (1, 2):
            try:
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                read = answer.read()
                break
            except (http.client.HTTPException, OSError):
                # The server closes connections that are idle.
                self.connection.close()
                self.connection = self.server.connect()
                if attempt == 2:
                    raise
        self.taken.append((began, time.monotonic() - began))
        name = f"{method} {path.split('?')[0].split('/')[1:3]}"
        self.statuses[answer.status] += 1
        if answer.status >= 500:
            self.trouble.append(f"{name}: {answer.status} {read[:200]}")
        return answer.status, read

    def run(self):
        steps, weights = zip(*STEPS)
        due = time.monotonic()
        try:
            while time.monotonic() < self.until:
                self.dice.choices(steps, weights)[0](self)
                due += self.pause
                # Behind schedule it does not catch up: the rate is a bound.
                due = max(due, time.monotonic() - 1)
                time.sleep(max(0.0, due - time.monotonic()))
        except Exception as error:
            self.trouble.append(repr(error))
        self.connection.close()

    # What a client does.

    def create(self):
        if self.images.full():
            return self.delete()
        # Every tenth image has texts that are stored apart.
        long = "x" * 6000 if self.dice.random() < 0.1 else "x"
        body = {"name": f"img-{self.dice.randrange(50)}", "visibility": "shared", "p": long, "tags": ["soak"]}
        status, read = self.ask("owner", "POST", "/v2/images", body)
        if status == 201:
            self.images.add(json.loads(read)["id"])

    def delete(self):
        if image := self.images.take(self.dice):
            self.ask("owner", "DELETE", f"/v2/images/{image}")

    def image(self):
        return f"/v2/images/{self.images.pick(self.dice)}"

    def show(self):
        self.ask(self.dice.choice(["owner", "member"]), "GET", self.image())

    def change(self):
        body = [{"op": "replace", "path": "/name", "value": f"img-{self.dice.randrange(50)}"}]
        self.ask("owner", "PATCH", self.image(), body, PATCH)

    def hide(self):
        image = self.image()
        for visibility in ("private", "shared"):
            body = [{"op": "replace", "path": "/visibility", "value": visibility}]
            self.ask("owner", "PATCH", image, body, PATCH)

    def tag(self):
        method = self.dice.choice(["PUT", "DELETE"])
        self.ask("owner", method, f"{self.image()}/tags/tag-{self.dice.randrange(5)}")

    def list(self):
        who, path = self.dice.choice([
            ("owner", "/v2/images"), ("owner", "/v2/images?limit=100"), ("owner", "/v2/images?name=img-7"),
            ("member", "/v2/images"), ("member", "/v2/images?member_status=pending"),
            ("member2", "/v2/images?member_status=all&visibility=shared"),
            ("member", f"/v1/{MEMBER}/cloudimages/invitations"), ("owner", f"/v1/{OWNER}/cloudimages/shares"),
            ("owner", f"/v1/{OWNER}/jobs"), ("owner", "/v1/cloudimages/quota"), ("admin", "/v2/images?limit=50"),
        ])
        self.ask(who, "GET", path)

    def members(self):
        self.ask("owner", "GET", f"{self.image()}/members")

    def share(self):
        member = self.dice.choice([MEMBER, MEMBER2, *SILENT])
        self.ask("owner", "POST", f"{self.image()}/members", {"member": member})

    def accept(self):
        who, project = self.dice.choice([("member", MEMBER), ("member2", MEMBER2)])
        status = self.dice.choice(["accepted", "accepted", "rejected", "pending"])
        self.ask(who, "PUT", f"{self.image()}/members/{project}", {"status": status})

    def unshare(self):
        member = self.dice.choice([MEMBER, MEMBER2, *SILENT])
        self.ask("owner", "DELETE", f"{self.image()}/members/{member}")

    def batch(self):
        images = [self.images.pick(self.dice) for _ in range(self.dice.randrange(1, 20))]
        projects = self.dice.sample([MEMBER, MEMBER2, *SILENT], 3)
        who, method, body = self.dice.choice([
            ("owner", "POST", {"images": images, "projects": projects}),
            ("owner", "DELETE", {"images": images, "projects": projects}),
            ("member", "PUT", {"images": images, "project_id": MEMBER, "status": "accepted"}),
        ])
        key = {"Idempotency-Key": str(uuid.uuid4())} if self.dice.random() < 0.5 else {}
        status, read = self.ask(who, method, "/v1/cloudimages/members", body, **key)
        if status == 200:
            self.jobs = [*self.jobs[-20:], (who, json.loads(read)["job_id"])]

    def poll(self):
        if self.jobs:
            who, job = self.dice.choice(self.jobs)
            self.ask(who, "GET", f"/v1/cloudimages/job/{job}?limit=10")

    def bad(self):
        who, method, path, body = self.dice.choice([
            ("owner", "POST", "/v2/images", b"{not json"),
            ("owner", "POST", "/v2/images", {"name": "x" * 300}),
            ("owner", "GET", f"/v2/made-up-{self.dice.random()}", None),
            ("nobody", "GET", "/v2/images", None),
            (f"made-up-{self.dice.random()}", "DELETE", self.image(), None),
            ("member", "DELETE", self.image(), None),
            ("owner", "GET", f"/v2/images/{uuid.uuid4()}", None),
            ("owner", "GET", "/v2/images?limit=-1", None),
            ("owner", f"MADE{self.dice.randrange(1000)}", "/v2/images", None),
            ("owner", "POST", "/v1/cloudimages/members", {"images": []}),
        ])
        self.ask(who, method, path, body)

    def drop(self):
        """Ends a connection in the middle: of the headers, of the body, before the answer is read."""
        head = f"POST /v2/images HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {TOKENS['owner']}\r\n"
        sent = self.dice.choice([head, f"{head}Content-Length: 1000\r\n\r\n{{",
                                 f"GET /v2/images HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {TOKENS['owner']}\r\n\r\n"])
        with socket.create_connection((self.server.host, self.server.port), 10) as connection:
            connection.sendall(sent.encode())

    def operate(self):
        self.ask("admin", "GET", self.dice.choice(["/healthcheck", "/healthcheck?detailed", "/metrics", "/versions"]))


STEPS = [
    (Client.list, 25), (Client.show, 18), (Client.members, 8), (Client.share, 12), (Client.accept, 10),
    (Client.unshare, 5), (Client.create, 6), (Client.delete, 2), (Client.change, 4), (Client.hide, 1),
    (Client.tag, 2), (Client.batch, 2), (Client.poll, 3), (Client.bad, 6), (Client.drop, 2), (Client.operate, 1),
]


class Checks:
    """What is compared, and what of it is not as it must be."""

    def __init__(self):
        self.failed = []

    def hold(self, is_right, words):
        print(f"{'ok    ' if is_right else 'FAILED'}  {words}", flush=True)
        if not is_right:
            self.failed.append(words)


def records(data):
    """The number of records, and those that expire: (kind, time) of each."""
    connection = opened(data)
    rows = connection.execute("SELECT sk, json_extract(item_json, '$.expires_at.N') FROM imshare").fetchall()
    connection.close()
    expiring = []
    for key, expires in rows:
        if expires is not None:
            # The engine writes a key's type before it.
            kind = KINDS.get(key.removeprefix("S:").split("#")[0], "tombstones")
            expiring.append((kind, int(expires)))
    return len(rows), expiring


def opened(data):
    """The table's file, as it is with its log."""
    return sqlite3.connect(f"file:{data}/table.sqlite?mode=ro", uri=True)


def pages(data):
    """How many pages of 4 KiB the table has, and how many of them are free."""
    connection = opened(data)
    numbers = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")]
    connection.close()
    return numbers


def percentile(taken, part):
    ordered = sorted(taken)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000


def sample(server, data):
    read = server.metrics()
    return {
        "memory": read["process_resident_memory_bytes"] / 2**20,
        "descriptors": read["process_open_fds"],
        "threads": read["process_threads"],
        "table": read['imshare_file_bytes{file="table.sqlite"}'] / 2**20,
        "table log": read['imshare_file_bytes{file="table.sqlite-wal"}'] / 2**20,
        "queue": read['imshare_file_bytes{file="queue.sqlite"}'] / 2**20,
        "queue log": read['imshare_file_bytes{file="queue.sqlite-wal"}'] / 2**20,
        "messages": read['imshare_queue_messages{queue="batches"}'],
        "series": float(len(read)),
    }


def load(server, data, minutes, rate, checks):
    """Sends requests for so long, and looks at the server meanwhile."""
    began, seconds = time.monotonic(), minutes * 60
    idle = sample(server, data)
    images = Images()
    clients = [Client(server, images, began + seconds, rate / THREADS, seed) for seed in range(THREADS)]
    for client in clients:
        client.start()
    samples, told, sizes = [], 0, {}
    while (passed := time.monotonic() - began) < seconds:
        samples.append((passed, sample(server, data)))
        if "warm" not in sizes and passed > seconds / 5:
            sizes["warm"] = records(data)[0], pages(data)[0] * 4
        if passed >= told:
            now = samples[-1][1]
            print(f"{passed / 60:5.1f} min  " + "  ".join(f"{name} {value:.1f}" for name, value in now.items()),
                  flush=True)
            told += max(30, seconds / 10)
        time.sleep(SAMPLE_SECONDS)
    for client in clients:
        client.join(120)
    requests = sorted(pair for client in clients for pair in client.taken)
    compare(samples, seconds, checks)
    latency(requests, began, seconds, checks)
    statuses = sum((client.statuses for client in clients), Counter())
    print("statuses:", dict(sorted(statuses.items())))
    trouble = [line for client in clients for line in client.trouble]
    checks.hold(not trouble, f"{len(requests)} requests, {len(requests) / seconds:.0f} a second; none failed {trouble[:3]}")
    quiet(server, data, idle, checks)
    count, _ = records(data)
    (before, kib), after = sizes["warm"], pages(data)[0] * 4
    checks.hold(after / count < 1.25 * kib / before,
                f"the table takes {after / count:.2f} KiB for each of {count} records, "
                f"{kib / before:.2f} KiB for each of {before} after the warm-up")
    errors = [line for line in server.logged().splitlines() if " ERROR " in line or "panicked" in line]
    checks.hold(not errors, f"the log has no error {errors[:3]}")


def compare(samples, seconds, checks):
    """Compares the fifth after the warm-up with the last one."""
    def most(name, first, last):
        return max(it[name] for at, it in samples if first <= at / seconds < last)

    # What each may have at the end: so much more than after the warm-up, or this in any case. The allocator keeps some
    # memory of each thread, a connection that is being dropped has its descriptor, and SQLite begins a log anew
    # when it has 1,000 pages, which are 4 MiB.
    for name, unit, factor, more, always in [
        ("memory", "MiB", 1.15, 8, 0), ("descriptors", "", 1.0, THREADS, 0), ("threads", "", 1.0, 8, 0),
        ("table log", "MiB", 1.25, 0, 5), ("queue log", "MiB", 1.25, 0, 5), ("queue", "MiB", 1.25, 0, 1),
        ("series", "", 1.1, 100, 0),
    ]:
        early, late = most(name, 0.2, 0.4), most(name, 0.8, 1.01)
        checks.hold(late <= max(early * factor + more, always), f"{name}: at most {early:.1f} {unit} after the warm-up, "
                                                   f"{late:.1f} {unit} at the end".replace("  ", " "))


def latency(requests, began, seconds, checks):
    """Compares the slowest hundredth of the first minute after the warm-up with that of the last one."""
    window = min(60, seconds / 5)
    start = seconds / 5

    def of(first):
        return [taken for at, taken in requests if first <= at - began < first + window]

    early, late = of(start), of(seconds - window)
    first, last = percentile(early, 0.99), percentile(late, 0.99)
    middle = percentile(early, 0.5), percentile(late, 0.5)
    print(f"median {middle[0]:.1f} ms, then {middle[1]:.1f} ms")
    # Other programs on the machine are slow at times, too.
    checks.hold(last <= 2.5 * first + 20, f"99 % of the requests within {first:.1f} ms after the warm-up, "
                                          f"within {last:.1f} ms at the end")


def quiet(server, data, idle, checks):
    """Waits until the queue is empty and the clients' connections are gone."""
    for _ in range(60):
        now = sample(server, data)
        if now["messages"] == 0 and now["descriptors"] <= idle["descriptors"] + 2:
            break
        time.sleep(1)
    checks.hold(now["messages"] == 0, "no message is left")
    checks.hold(now["descriptors"] <= idle["descriptors"] + 2,
                f"descriptors: {idle['descriptors']:.0f} at the start, {now['descriptors']:.0f} without clients")


def expire(binary, data, library, checks):
    """Starts the server on later and later days, and looks at what it removes."""
    now = time.time()
    _, expiring = records(data)
    counted = Counter(kind for kind, _ in expiring)
    print("records that expire:", dict(counted))
    for kind in ("idempotency keys", "jobs", "results of jobs", "tombstones"):
        checks.hold(counted[kind] > 0, f"there are {kind}")
    for days, gone in [(2, {"idempotency keys"}), (6, set()), (9, {"jobs", "results of jobs"}), (16, {"tombstones"})]:
        later = now + days * DAY
        due = Counter(kind for kind, at in records(data)[1] if at <= later)
        kept = Counter(kind for kind, at in records(data)[1] if at > later + 120)
        server = Server(binary, data, environment={
            "LD_PRELOAD": library, "FAKETIME": f"+{days}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        })
        for _ in range(120):
            if "expired records are removed" in server.logged():
                break
            time.sleep(1)
        server.stop()
        left = records(data)[1]
        still = Counter(kind for kind, at in left if at <= later)
        checks.hold(not still, f"after {days} days {dict(due)} had expired and are gone {dict(still) or ''}")
        there = Counter(kind for kind, at in left if at > later + 120)
        checks.hold(kept == there, f"after {days} days {dict(kept)} had not expired and are there")
        for kind in gone:
            checks.hold(not there[kind], f"after {days} days there are no {kind}")
        if days == 6:
            checks.hold(there["jobs"] > 0, "after 6 days there are jobs")


def reuse(binary, data, checks):
    """Checks that the space of removed records is used again."""
    count, free = pages(data)
    server = Server(binary, data)
    connection = server.connect()
    for number in range(200):
        headers = {"X-Auth-Token": TOKENS["owner"]}
        connection.request("POST", "/v2/images", json.dumps({"name": f"new-{number}", "p": "x" * 2000}), headers)
        connection.getresponse().read()
    connection.close()
    server.stop()
    later, left = pages(data)
    checks.hold(later == count or left == 0, f"new records took {free - left} of {free} free pages; "
                                             f"the file has {later} pages, {count} before")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default="target/server/imshare")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=100, help="requests a second, at most")
    parser.add_argument("--faketime", help="the library that moves the clock; without it that part is left out")
    options = parser.parse_args()
    checks, work = Checks(), tempfile.mkdtemp(prefix="imshare-soak-")
    data = Path(work) / "data"
    try:
        server = Server(options.binary, data)
        load(server, data, options.minutes, options.rate, checks)
        server.stop()
        if options.faketime:
            expire(options.binary, data, options.faketime, checks)
            reuse(options.binary, data, checks)
    finally:
        shutil.rmtree(work)
    if checks.failed:
        sys.exit(f"{len(checks.failed)} failed: " + "; ".join(checks.failed))
    print("all hold")


if __name__ == "__main__":
    main()
