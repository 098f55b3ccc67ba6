"""Runs a sequence of steps against both services, each step against the two at once."""

import contextlib
import http.client
import json
import random
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes, urlsplit

from steps import Names, Step

DATA = b"the data of an image"
# What an upload leaves in Glance's record; imshare gets it from an admin.
UPLOADED = ("size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "status")
# A machine that is busy with a build responds late.
TIMEOUT = 30
PATCH = "application/openstack-images-v2.1-json-patch"


@dataclass(frozen=True)
class Answer:
    """A service's response; the status is 0 if it closed the connection instead."""

    status: int
    headers: dict
    text: str

    def json(self):
        """The body as JSON, or None."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


@dataclass(frozen=True)
class Exchange:
    """A step and both responses, canonical, with the step's number in its sequence."""

    number: int
    step: Step
    glance: Answer
    imshare: Answer
    # If only Glance has a next page: how many images come after this one.
    beyond: int | None = None


class Closed(Exception):
    """A service closed the connection without an answer."""


class Service:
    """A connection to one of the services."""

    def __init__(self, url):
        self.base = url
        self.address = urlsplit(url).netloc
        self.connection = None
        self.sent = False

    def begin(self, request):
        """Sends a request; `end` returns its response."""
        try:
            self.send(request)
            self.sent = True
        except Closed:
            self.sent = False

    def end(self, request):
        """The response to the last request."""
        if self.sent:
            try:
                return self.receive()
            except Closed:
                pass
        # The connection may have been idle for too long: try a new one.
        return self.ask(request)

    def ask(self, request):
        """Sends a request and returns its response."""
        for _ in range(2):
            try:
                self.send(request)
                return self.receive()
            except Closed:
                pass
        return Answer(0, {}, "")

    def send(self, request):
        method, target, headers, body = request
        chunked = "Transfer-Encoding" in headers
        if not chunked and (body is not None or method in ("POST", "PUT", "PATCH")):
            headers = {**headers, "Content-Length": str(len(body or b""))}
        with self.closing():
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT)
            self.connection.putrequest(method, target)
            for name, value in headers.items():
                self.connection.putheader(name, value.encode())
            self.connection.endheaders([body or b""] if chunked else body or None, encode_chunked=chunked)

    def receive(self):
        with self.closing():
            got = self.connection.getresponse()
            text = got.read().decode("utf-8", "replace")
        headers = {}
        for name, value in got.getheaders():
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if got.will_close:
            self.close()
        return Answer(got.status, headers, text)

    @contextlib.contextmanager
    def closing(self):
        """Reconnects for the next request if something is wrong with this connection."""
        try:
            yield
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            self.close()
            raise Closed from error

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Sides:
    """Both services."""

    def __init__(self, glance, imshare, run=None):
        self.services = [Service(glance), Service(imshare)]
        # Images of an earlier run against the same services have other ids.
        self.run = random.getrandbits(31) if run is None else run

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for service in self.services:
            service.close()

    def play(self, steps):
        """Yields the exchanges of a sequence and deletes its images afterwards."""
        self.run += 1
        for service in self.services:
            if service.ask(("GET", "/healthcheck", {}, None)).status != 200:
                raise SystemExit(f"{service.base} does not answer")
        names = [Names(self.run), Names(self.run)]
        try:
            for number, step in enumerate(steps):
                if step.activate is not None:
                    self.activate(step, names)
                else:
                    answers = self.exchange(step, names)
                    yield Exchange(number, step, *answers, self.beyond(step, answers, names[0]))
        finally:
            self.clean(names)

    def exchange(self, step, names):
        """Sends the step to both before either has responded."""
        requests = [request(step, each) for each in names]
        asked = list(zip(self.services, requests))
        # Glance fails on such a path without a response, which its server notices only after a minute.
        silent = [] if utf8(requests[0][1]) else [Answer(0, {}, "")]
        for service, one in asked[len(silent) :]:
            service.begin(one)
        answers = silent + [service.end(one) for service, one in asked[len(silent) :]]
        learn(step, answers, names)
        return [canonical(*each) for each in zip(answers, self.services, names)]

    def beyond(self, step, answers, names):
        """Follows a `next` link that only Glance returns."""
        bodies = [answer.json() for answer in answers]
        goes_on = [isinstance(body, dict) and "images" in body and "next" in body for body in bodies]
        if goes_on != [True, False]:
            return None
        page = self.services[0].ask(request(Step(step.caller, "GET", bodies[0]["next"]), names)).json()
        return len(page["images"]) if isinstance(page, dict) and "images" in page else None

    def activate(self, step, names):
        """Gives an image its data: in Glance by an upload, in imshare as an admin reports it."""
        glance, imshare = self.services
        image = f"<image:{step.activate}>"
        upload = Step(step.caller, "PUT", f"/v2/images/{image}/file", {"Content-Type": "application/octet-stream"})
        method, target, headers, _ = request(upload, names[0])
        if glance.ask((method, target, headers, DATA)).status != 204:
            return
        record = glance.ask(request(Step("admin", "GET", f"/v2/images/{image}"), names[0])).json()
        known = {name: record[name] for name in UPLOADED if record[name] is not None}
        changes = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in known.items()]
        report = Step("admin", "PATCH", f"/v2/images/{image}", {"Content-Type": PATCH}, json.dumps(changes))
        reported = imshare.ask(request(report, names[1]))
        if reported.status != 200:
            raise SystemExit(f"imshare does not take the data of an image: {reported.status} {reported.text}")

    def clean(self, names):
        """Deletes the sequence's images, so that no later sequence lists them."""
        for service, each in zip(self.services, names):
            for image in each.created:
                deletion = request(Step("admin", "DELETE", f"/v2/images/{image}"), each)
                if service.ask(deletion).status == 403:
                    changes = json.dumps([{"op": "replace", "path": "/protected", "value": False}])
                    step = Step("admin", "PATCH", f"/v2/images/{image}", {"Content-Type": PATCH}, changes)
                    service.ask(request(step, each))
                    service.ask(deletion)


def request(step, names):
    """The raw request."""
    headers = {name: names.filled(value) for name, value in step.headers.items()}
    if step.caller is not None:
        headers["X-Auth-Token"] = f"{step.caller}-token-0123456789abcdef"
    body = None if step.body is None else names.filled(step.body).encode("utf-8", "surrogatepass")
    return step.method, names.filled(step.target), headers, body


def utf8(target):
    """Whether the path is UTF-8 when decoded."""
    try:
        unquote_to_bytes(target.partition("?")[0]).decode()
    except UnicodeDecodeError:
        return False
    return True


def learn(step, answers, names):
    """Stores what later steps need of both responses."""
    bodies = [answer.json() for answer in answers]
    lists = all(isinstance(body, dict) and "images" in body for body in bodies)
    for answer, body, each in zip(answers, bodies, names):
        if answer.status == 201 and isinstance(body, dict) and "id" in body:
            each.remember(body["id"], step.learns)
        if lists:
            each.next = body.get("next") or after(body)


def after(page):
    """The path of the page after a list's last one, which must be empty."""
    if not page["images"]:
        return page["first"]
    return f"{page['first']}{'&' if '?' in page['first'] else '?'}marker={page['images'][-1]['id']}"


def canonical(answer, service, names):
    """The response without anything that differs from run to run, times excepted."""

    def over(text):
        return names.canonical(text).replace(service.base, "<base>")

    headers = {name: over(value) for name, value in answer.headers.items()}
    return replace(answer, headers=headers, text=over(answer.text))
