"""A fake Keystone: issues a token for the service user and validates others."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PASSWORD = "the-service-user's-password"
SERVICE_TOKEN = "service-token"
PROJECTS = {
    "owner": ("5ef9f7a1c2d3460a9d0d4c6b8f5a1e01", ["member", "reader"]),
    "reader": ("5ef9f7a1c2d3460a9d0d4c6b8f5a1e01", ["reader"]),
    "member": ("edc89b490d7d4392898e19b2deb34797", ["member", "reader"]),
    "stranger": ("33333333333333333333333333333333", ["member", "reader"]),
    "admin": ("a0b1c2d3e4f5460718293a4b5c6d7e8f", ["admin", "member", "reader"]),
}


def token(who):
    return f"{who}-token-0123456789abcdef"


class Keystone(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.down = False
        self.logins = 0
        self.validations = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, answer, headers=()):
        body = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.down:
            return self.reply(503, {})
        self.server.logins += 1
        user = sent["auth"]["identity"]["password"]["user"]
        if (user["name"], user["password"]) != ("imshare", PASSWORD):
            return self.reply(401, {})
        issued = {"token": {"expires_at": "2099-01-01T00:00:00.000000Z", "user": {"id": "u-imshare"}}}
        return self.reply(201, issued, [("X-Subject-Token", SERVICE_TOKEN)])

    def do_GET(self):
        if self.server.down:
            return self.reply(503, {})
        if self.headers["X-Auth-Token"] != SERVICE_TOKEN:
            return self.reply(401, {})
        self.server.validations += 1
        for who, (project, roles) in PROJECTS.items():
            if self.headers["X-Subject-Token"] == token(who):
                found = {
                    "expires_at": "2099-01-01T00:00:00.000000Z",
                    "user": {"id": f"u-{who}"},
                    "project": {"id": project},
                    "roles": [{"name": role} for role in roles],
                }
                return self.reply(200, {"token": found})
        return self.reply(404, {"error": {"code": 404, "title": "Not Found", "message": "Could not find token."}})
