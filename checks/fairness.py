"""Measures how long a one-entry job waits while another project has 100,000 entries waiting.

    cargo build --profile server --bin imshare
    python3 checks/fairness.py target/server/imshare

It starts the server over files in a new directory, asks for one-entry jobs while nothing else is to
be done, then again while another project's 100,000 entries wait, and compares the medians. It fails
if the second is more than 3 times the first, or if the backlog was gone before the last of them.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

NOISY = "owner-token-0123456789abcdef"
QUIET = "member-token-0123456789abcdef"


class Client:
    def __init__(self, address, token):
        self.connection = http.client.HTTPConnection(address, timeout=120)
        self.token = token

    def ask(self, method, path, body=None):
        headers = {"X-Auth-Token": self.token}
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text, headers)
        answer = self.connection.getresponse()
        found = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {found.decode()}")
        return json.loads(found) if found else None

    def image(self):
        return self.ask("POST", "/v2/images", {"name": "fairness"})["id"]

    def share(self, images, projects):
        body = {"images": images, "projects": projects}
        return self.ask("POST", "/v1/cloudimages/members", body)["job_id"]

    def job(self, job):
        return self.ask("GET", f"/v1/cloudimages/job/{job}?limit=1")


def wait(client, image, number):
    """Milliseconds from the request of a one-entry job until its caller sees that it has ended."""
    begin = time.perf_counter()
    job = client.share([image], [f"{number:032x}"])
    while client.job(job)["status"] not in ("SUCCESS", "FAIL"):
        time.sleep(0.001)
    return (time.perf_counter() - begin) * 1000


def spread(waits):
    ordered = sorted(waits)
    return (
        f"median {statistics.median(waits):.1f} ms, p90 {ordered[len(ordered) * 9 // 10]:.1f} ms, "
        f"longest {ordered[-1]:.1f} ms"
    )


def measure(address, options):
    quiet, noisy = Client(address, QUIET), Client(address, NOISY)
    image = quiet.image()
    # The first requests find caches empty.
    for number in range(20):
        wait(quiet, image, number)
    idle = [wait(quiet, image, 100 + number) for number in range(options.jobs)]
    print(f"idle:    {spread(idle)}", flush=True)

    images = [noisy.image() for _ in range(100)]
    jobs = []
    for job in range(options.entries // 10_000):
        projects = [f"{job:08x}{project:024x}" for project in range(100)]
        jobs.append(noisy.share(images, projects))
    loaded, since = [], time.perf_counter()
    for number in range(options.jobs):
        loaded.append(wait(quiet, image, 1000 + number))
    took = time.perf_counter() - since
    counts = [noisy.job(job)["entities"] for job in jobs]
    done = sum(count["succeeded"] + count["failed"] for count in counts)
    left = options.entries - done
    print(f"loaded:  {spread(loaded)}; {left} of {options.entries} entries still wait")
    print(f"backlog: {done / took:.0f} entries/s meanwhile")
    ratio = statistics.median(loaded) / statistics.median(idle)
    print(f"ratio:   {ratio:.2f} (at most {options.most})")
    return left > 0 and ratio <= options.most


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("imshare")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--most", type=float, default=3.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fairness-") as directory:
        serve = [options.imshare, "serve", "--listen", "0", "--member-quota=-1"]
        serve += ["--data-dir", os.path.join(directory, "data")]
        server = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True)
        try:
            for line in server.stdout:
                if "listening on" in line:
                    break
            address = line.split("http://")[1].split()[0].rstrip("/")
            fair = measure(address, options)
        finally:
            server.kill()
            server.wait()
    sys.exit(0 if fair else 1)


if __name__ == "__main__":
    main()
