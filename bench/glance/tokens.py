"""Authenticates Glance's callers by the fixed tokens of an identity file, which costs Glance as little as possible.

IDENTITY names the file, in the form that imshare takes; without it the demo identities are the callers.
"""

import os
import tomllib
from pathlib import Path

DEMO = Path(__file__).parents[2] / "local" / "src" / "demo-identity.toml"
# What Keystone's own middleware adds to every 401.
CHALLENGE = ("WWW-Authenticate", 'Keystone uri="http://127.0.0.1:5000"')


def callers(path):
    """The headers that Keystone's middleware sets, by token."""
    with open(path, "rb") as file:
        tokens = tomllib.load(file)["token"]
    return {
        token["id"]: {
            "HTTP_X_IDENTITY_STATUS": "Confirmed",
            "HTTP_X_USER_ID": token["user"],
            "HTTP_X_PROJECT_ID": token["project"],
            "HTTP_X_ROLES": ",".join(token["roles"]),
        }
        for token in tokens
    }


def factory(_settings):
    known = callers(os.environ.get("IDENTITY") or DEMO)

    def over(application):
        def answer(environ, start_response):
            environ.update(known.get(environ.get("HTTP_X_AUTH_TOKEN"), {}))

            def start(status, headers, *rest):
                if status.startswith("401"):
                    headers = [*headers, CHALLENGE]
                return start_response(status, headers, *rest)

            return application(environ, start)

        return answer

    return over
