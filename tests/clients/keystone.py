"""As much of Keystone as the clients need to log in: it hands out the server's demo tokens.

Names of projects are not for everybody to look up: as for an ordinary user of Keystone, the lookup is 403,
and the client then takes what it was given as the id.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


def start(image_url, people):
    class Handler(BaseHTTPRequestHandler):
        def answer(self, status, body, **headers):
            body = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            version = {
                "id": "v3.14",
                "status": "stable",
                "links": [{"rel": "self", "href": f"{url}/v3/"}],
                "media-types": [],
            }
            if self.path == "/":
                self.answer(300, {"versions": {"values": [version]}})
            elif self.path.rstrip("/") == "/v3":
                self.answer(200, {"version": version})
            else:
                self.answer(403, {"error": {"code": 403, "title": "Forbidden", "message": "not for you"}})

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = request["auth"]["identity"]["password"]["user"]["name"]
            token, project = people[name]

            def service(kind, at):
                end = {"id": kind, "interface": "public", "region": "R", "region_id": "R", "url": at}
                return {"id": kind, "type": kind, "name": kind, "endpoints": [end]}

            body = {
                "methods": ["password"],
                "user": {"id": f"u-{name}", "name": name, "domain": {"id": "default", "name": "Default"}},
                "project": {"id": project, "name": name, "domain": {"id": "default", "name": "Default"}},
                "roles": [{"id": "r", "name": "member"}],
                "issued_at": "2026-01-01T00:00:00.000000Z",
                "expires_at": "2099-01-01T00:00:00.000000Z",
                "audit_ids": ["a"],
                "catalog": [service("identity", url), service("image", image_url)],
            }
            self.answer(201, {"token": body}, X_Subject_Token=token)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    return server, url
