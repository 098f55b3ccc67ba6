import contextlib
import io
import logging
import multiprocessing
import os
import sys
import traceback
from importlib.metadata import version

import keystone
import pytest
import requests

URL = os.environ.get("IMSHARE_URL", "http://127.0.0.1:9292").rstrip("/")
PEOPLE = {
    "owner": ("owner-token-0123456789abcdef", "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01"),
    "member": ("member-token-0123456789abcdef", "edc89b490d7d4392898e19b2deb34797"),
    "stranger": ("member2-token-0123456789abcdef", "7d4a3b1f0c9e4f8d8a6b5c4d3e2f1a02"),
}


def pytest_report_header():
    names = ["openstacksdk", "python-glanceclient", "python-openstackclient", "requests"]
    return "clients: " + ", ".join(f"{name} {version(name)}" for name in names)


class Terminal(io.StringIO):
    """What the glance command needs to see to know that no image data is piped into it."""

    def isatty(self):
        return True


def run(main, argv):
    """Runs the function behind a command: (exit code, output, errors).

    Loading a command's code takes seconds, and the tour has dozens of calls: so it is loaded once, and every
    call is a fork of its own, since the openstack command keeps its login for the life of the process.
    """
    receive, send = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=command, args=(main, argv, send))
    child.start()
    send.close()
    try:
        assert receive.poll(60), f"{argv} does not end"
        return receive.recv()
    finally:
        child.kill()
        child.join()


def command(main, argv, send):
    out, err = io.StringIO(), io.StringIO()
    logging.getLogger().handlers.clear()
    sys.argv, sys.stdin = argv, Terminal()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main() or 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        code = traceback.format_exc()
    send.send((code, out.getvalue(), err.getvalue()))


@pytest.fixture(scope="session")
def url():
    return URL


@pytest.fixture(scope="session")
def people():
    return PEOPLE


@pytest.fixture(scope="session")
def keystone_url():
    server, at = keystone.start(URL, PEOPLE)
    yield at
    server.shutdown()
    server.server_close()


@pytest.fixture
def raw():
    def send(who, method, path, **more):
        headers = {"X-Auth-Token": PEOPLE[who][0], "Accept": "application/json"}
        return requests.request(method, URL + path, headers=headers, timeout=20, **more)

    return send
