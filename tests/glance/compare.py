"""Finds where two answers to one request differ.

What is not compared, because it says nothing about the service: `Date`, `Server`, connection headers, the length,
white space in the text and HTML forms of an error, times of the run itself, and request ids that no caller sent.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from http.client import responses

IGNORED = {"date", "server", "connection", "keep-alive", "content-length", "transfer-encoding"}
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
REQUEST = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MARKUP = re.compile(r"\s*<br />\s*")


@dataclass(frozen=True)
class Difference:
    """One difference; None where one of the responses lacks the field."""

    field: str
    glance: object
    imshare: object

    def __str__(self):
        return f"{self.field}: Glance {self.glance!r}, imshare {self.imshare!r}"


def differences(exchange):
    """All differences between two responses."""
    glance, imshare = exchange.glance, exchange.imshare
    found = []
    if glance.status != imshare.status:
        found.append(Difference("status", glance.status, imshare.status))
    for name in sorted((glance.headers.keys() | imshare.headers.keys()) - IGNORED):
        values = [header(name, answer.headers.get(name)) for answer in (glance, imshare)]
        if values[0] != values[1]:
            found.append(Difference(f"header {name}", *values))
    return found + bodies(glance, imshare)


def header(name, value):
    """The compared part of a header's value."""
    if value is None:
        return None
    if name == "x-openstack-request-id":
        return REQUEST.sub("req-<uuid>", value)
    if name == "www-authenticate":
        return re.sub(r'uri="[^"]*"', 'uri="<keystone>"', value)
    return value


def bodies(glance, imshare):
    parsed = [glance.json(), imshare.json()]
    if all(isinstance(body, dict | list) for body in parsed):
        return list(values("body", *[timeless(body) for body in parsed]))
    texts = [plain(answer.text) for answer in (glance, imshare)]
    return [] if texts[0] == texts[1] else [Difference("body", *texts)]


def values(path, glance, imshare):
    """Where two JSON values differ; `[]` in a path is any element of a list of equal lengths."""
    if isinstance(glance, dict) and isinstance(imshare, dict):
        for name in sorted(glance.keys() | imshare.keys()):
            yield from values(f"{path}.{name}", glance.get(name), imshare.get(name))
    elif path.endswith(".tags") and isinstance(glance, list) and isinstance(imshare, list):
        # Sets: neither service promises an order.
        if sorted(glance) != sorted(imshare):
            yield Difference(path, glance, imshare)
    elif isinstance(glance, list) and isinstance(imshare, list) and len(glance) == len(imshare):
        for left, right in zip(glance, imshare):
            yield from values(f"{path}[]", left, right)
    elif glance != imshare or type(glance) is not type(imshare):
        yield Difference(path, short(glance), short(imshare))


def short(value):
    """A list of images or members, keyed by what identifies them; anything else unchanged."""
    if isinstance(value, list):
        return [short(each) for each in value]
    if isinstance(value, dict):
        names = [name for name in ("id", "member_id", "image_id", "name", "status") if name in value]
        return {name: value[name] for name in names} if names else value
    return value


def timeless(value):
    """A JSON value with the times of this run replaced by `<now>`."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items()}
    if isinstance(value, list):
        return [timeless(each) for each in value]
    return TIME.sub(now, value) if isinstance(value, str) else value


def now(found):
    try:
        age = datetime.now(UTC) - datetime.strptime(found[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return found[0]
    return "<now>" if abs(age) < timedelta(days=1) else found[0]


def plain(text):
    """The text or HTML of a response without line-break markup and with single spaces."""
    return " ".join(unescape(MARKUP.sub(" ", TIME.sub(now, text))).split())


def message(text):
    """The message of a JSON error without markup; `None` if it has none."""
    return " ".join(MARKUP.sub(" ", str(text)).split())


def said(answer):
    """The sentence of an error in any form."""
    body = answer.json()
    if isinstance(body, dict) and "message" in body:
        return message(body["message"])
    text = plain(re.sub(r"<head>.*</head>|</?(html|body|h1)>", " ", answer.text, flags=re.DOTALL))
    # Both begin with the status line.
    return text.removeprefix(f"{answer.status} {responses.get(answer.status)} ")
