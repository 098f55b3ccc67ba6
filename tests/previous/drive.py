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
import urllib.error
import urllib.request

from expected import Expected, complaints


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
        errors = complaints(self.log)
        assert not errors, f"{self.name}: {errors[:3]}"


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
