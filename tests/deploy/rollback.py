"""The release before, this one over it, back in the two steps of docs/operations.md, and this one again: nothing is lost.

Run by checks/rollback.sh, and not collected with the other tests. Each deployment happens while batches wait, and while
a thread sends requests and starts more batches.
"""

import collections
import json
import os
import pathlib
import sys
import threading
import time

import pytest

from conftest import ROOT, Stack, deployable

sys.path.append(str(ROOT / "tests/previous"))
from expected import BATCH, MEMBER, Expected, complaints  # noqa: E402

# One machine does all of this at once.
PATIENCE = 1200
DATA = ("TableName", "QueueUrl", "DeadLettersUrl")


class Release:
    """The release that is deployed, as what has to be there is asked from it."""

    def __init__(self, stack, name):
        self.stack, self.name, self.repeated = stack, name, 0
        # A message that has failed comes again soon, instead of after minutes.
        stack.cloud.client("sqs").set_queue_attributes(
            QueueUrl=stack.outputs["QueueUrl"], Attributes={"VisibilityTimeout": "45"}
        )

    def begin(self, expected, part):
        # The permissions of commit 5fecf1e refuse the transaction by which its own code begins to declare members.
        expected.begin(self, f"{self.name}-{part}", declare=not self.name.startswith("previous"))

    def send(self, who, method, path, body=None, expect=200):
        """Sends a request, again after a 503 as clients do; then it may have taken effect the first time."""
        for repeated in range(20):
            answer = self.call(who, method, path, body)
            if answer.status_code != 503:
                break
            self.repeated += 1
            time.sleep(1)
        good = {expect, {"POST": 409, "DELETE": 404}.get(method, expect)} if repeated else {expect}
        assert answer.status_code in good, f"{self.name}: {method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content and answer.ok else None

    def call(self, who, method, path, body):
        kind = "application/openstack-images-v2.1-json-patch" if method == "PATCH" else "application/json"
        request = who, method, path, body, {"Content-Type": kind}
        answer = self.stack.call(*request)
        if answer.status_code == 404 and answer.text == '{"message": "Not Found"}':
            # Where AWS changes an API, the emulator makes another one and deletes the first, whose address knows no
            # path from then on. Nothing of ours has seen this request.
            (api,) = self.stack.cloud.client("apigateway").get_rest_apis()["items"]
            self.stack.api = api["id"]
            answer = self.stack.call(*request)
        return answer

    def waiting(self):
        """Messages in the queue, those that are worked on included; and dead letters."""
        sqs = self.stack.cloud.client("sqs")
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        count = lambda url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()
        return [sum(map(int, count(self.stack.outputs[name]))) for name in ("QueueUrl", "DeadLettersUrl")]


class Backlog:
    """Work for minutes: images that are shared with many projects, unshared from all of them, and so on."""

    def __init__(self, release, expected):
        self.expected, self.shared = expected, False
        create = lambda: release.send("owner", "POST", "/v2/images", {"name": "backlog"}, 201)["id"]
        self.images = [create() for _ in range(24)]
        self.projects = [f"b{n:03}" for n in range(400)]

    def fill(self, release):
        """Begins the next job when little waits."""
        if release.waiting()[0] >= 40:
            return
        body = {"images": self.images, "projects": self.projects}
        job = release.send("owner", "DELETE" if self.shared else "POST", BATCH, body)["job_id"]
        self.shared = not self.shared
        self.expected.jobs.append(("owner", job, len(self.images) * len(self.projects)))
        members = self.projects if self.shared else []
        self.expected.images.update({image: dict.fromkeys(members, "pending") for image in self.images})


class Traffic(threading.Thread):
    """A caller who goes on during a deployment, and writes down what was answered and what failed."""

    def __init__(self, release, expected, backlog):
        super().__init__()
        self.release, self.expected, self.backlog, self.name = release, expected, backlog, release.name
        self.answered, self.failures = 0, collections.Counter()
        self.done = threading.Event()
        self.begun = time.monotonic()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()

    def run(self):
        rounds = 0
        while not self.done.is_set():
            rounds += 1
            try:
                self.round(rounds)
            except Exception as failure:
                # Whether an unanswered write has happened is not known, so this image is not looked at again.
                self.failures[str(failure)] += 1

    def send(self, *request):
        # Before each request: a round takes long enough for the workers to finish everything.
        self.backlog.fill(self.release)
        answer = self.release.send(*request)
        self.answered += 1
        return answer

    def round(self, number):
        """One image, with all that happens to one."""
        name = f"{self.name}-{number}"
        image = self.send("owner", "POST", "/v2/images", {"name": f"{name}-at-first"}, 201)["id"]
        path = f"/v2/images/{image}"
        projects = [f"t{n:03}" for n in range(60)]
        self.send("owner", "POST", f"{path}/members", {"member": MEMBER})
        self.batch("POST", image, projects)
        self.send("member", "PUT", f"{path}/members/{MEMBER}", {"status": "accepted"})
        self.batch("DELETE", image, projects[:20])
        self.send("owner", "PATCH", path, [{"op": "replace", "path": "/name", "value": name}])
        self.send("owner", "GET", f"{path}/members")
        self.send("member", "GET", "/v2/images?limit=5")
        self.expected.images[image] = {MEMBER: "accepted", **{project: "pending" for project in projects[20:]}}
        self.expected.names[image] = name

    def batch(self, method, image, projects):
        job = self.send("owner", method, BATCH, {"images": [image], "projects": projects})["job_id"]
        self.expected.jobs.append(("owner", job, len(projects)))


@pytest.fixture(scope="session")
def previous(cloud):
    code = pathlib.Path(os.environ["PREVIOUS_CODE"])
    return deployable(code / "template.yaml", code, cloud.work / "previous.json")


@pytest.fixture(scope="session")
def code_back(cloud):
    """This release's template with the code of the one before."""
    return deployable(ROOT / "template.yaml", os.environ["PREVIOUS_CODE"], cloud.work / "code-back.json")


@pytest.fixture(scope="session")
def stack(cloud, previous, needed):
    """The release before, deployed."""
    return Stack(cloud, previous, {**needed, "MemberQuota": "1000", "WorkerConcurrency": "2"})


def settled(release, expected):
    """Waits for all jobs, and looks at everything that was answered."""
    expected.ended(release, PATIENCE)
    expected.check(release)
    end = time.monotonic() + PATIENCE
    while (left := release.waiting()) != [0, 0]:
        assert left[1] == 0, f"{release.name}: {left[1]} dead letters"
        assert time.monotonic() < end, f"{release.name}: {left[0]} messages are left of jobs that have ended"
        time.sleep(1)
    for function in sorted(path.name for path in (ROOT / "functions").iterdir()):
        lines = release.stack.log(function).splitlines()
        bad = complaints(lines)
        # The emulator's table and queue are one thread, which deploys too and so does not always answer in time. That
        # is a 503. What fails for anything else is a fault of ours.
        failed = [json.loads(line)["fields"]["error.why"] for line in lines if '"message":"failed"' in line]
        bad += [why for why in failed if "time" not in why]
        assert not bad, f"{release.name}: {function}: {bad[:3]}"


def deployed(stack, expected, backlog, name, template):
    """Deploys a release over another one, in the middle of batches and requests."""
    data = [stack.outputs[output] for output in DATA]
    traffic = Traffic(Release(stack, name), expected, backlog)
    backlog.fill(traffic.release)
    with traffic:
        before = traffic.release.waiting()[0]
        stack.template = template
        stack.update()
        left = traffic.release.waiting()[0]
    took = time.monotonic() - traffic.begun
    print(f"{name}: deployed in {took:.0f} s with {before} messages waiting at first and {left} at last; "
          f"{traffic.answered} requests answered and {traffic.failures.total()} failed meanwhile, "
          f"{traffic.release.repeated} were repeated")
    for failure, times in traffic.failures.most_common():
        print(f"  {times} x {failure}")
    assert [stack.outputs[output] for output in DATA] == data, "what holds data has been replaced"
    assert before and left and traffic.answered, "nothing was under way"
    assert not traffic.failures
    return Release(stack, name)


def test_nothing_is_lost(stack, template, code_back, previous):
    expected = Expected()
    release = Release(stack, "previous")
    backlog = Backlog(release, expected)
    # First the code goes back: in one step, this release's code would run for a moment with too few permissions.
    steps = [("this", template), ("code-back", code_back), ("previous-again", previous), ("this-again", template)]
    for name, following in steps:
        expected.write(release, f"{release.name}-first")
        for part in ("first", "second"):
            release.begin(expected, part)
        release = deployed(stack, expected, backlog, name, following)
        expected.write(release, f"{name}-at-once")
        release.begin(expected, "at-once")
        settled(release, expected)
    print(f"nothing lost: {len(expected.jobs)} jobs of both releases")
