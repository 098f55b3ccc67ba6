"""Tests that the differential test finds a difference, shrinks it, and explains no undeclared one."""

import contextlib
import io
import json
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import purpose  # noqa: F401
import purpose_of_lists  # noqa: F401
from compare import differences
from declared import explained
from drive import Answer, Exchange, Sides
from generate import sequence
from run import Run, Sequences
from steps import Step


class Images(BaseHTTPRequestHandler):
    """A service with images; a broken one lists those that were deleted."""

    protocol_version = "HTTP/1.1"

    def respond(self, status, body=None):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        image = self.path.rpartition("/")[2]
        found = self.path == "/healthcheck" or image in self.server.images
        self.respond(200 if found else 404, {"id": image})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.images.add(body.get("id"))
        self.respond(201, body)

    def do_DELETE(self):
        if not self.server.broken:
            self.server.images.discard(self.path.rpartition("/")[2])
        self.respond(204)

    def log_message(self, *_):
        """Logs nothing."""


@contextlib.contextmanager
def served(broken):
    """Starts such a service and returns its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Images)
    server.images, server.broken, server.daemon_threads = set(), broken, True
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def create(slot):
    return Step("owner", "POST", "/v2/images", {}, json.dumps({"id": f"<image:{slot}>", "name": "x"}))


def show(slot):
    return Step("owner", "GET", f"/v2/images/<image:{slot}>", {"Accept": "application/json"})


class Finds(unittest.TestCase):
    """Runs against services of which one may be broken."""

    steps = [
        create(0),
        show(1),
        create(1),
        show(0),
        show(1),
        Step("owner", "DELETE", "/v2/images/<image:1>"),
        show(0),
        show(1),
    ]

    def ran(self, broken):
        with served(False) as whole, served(broken) as other, contextlib.redirect_stdout(io.StringIO()) as printed:
            run = Run(1, None, False)
            with Sides(whole, other) as sides:
                run.all(sides, Sequences.saved("saved", [self.steps]))
            return run, run.report(), printed.getvalue()

    def test_a_broken_service_is_found_and_the_sequence_is_short(self):
        run, failed, printed = self.ran(broken=True)
        self.assertEqual((failed, run.undeclared.total()), (1, 1))
        short = [line for line in printed.splitlines() if line.startswith("  [owner]")]
        self.assertEqual(len(short), 3, printed)
        self.assertIn("GET /v2/images/<image:1>  -> 404 | 200", short[2])

    def test_services_that_do_the_same_agree(self):
        run, failed, _ = self.ran(broken=False)
        self.assertEqual((failed, run.exchanges, run.agreeing), (0, len(self.steps), len(self.steps)))


class Declares(unittest.TestCase):
    """Declared differences are explained, others are not."""

    def rest(self, glance, imshare, step=show(0)):
        exchange = Exchange(0, step, Answer(404, {}, json.dumps(glance)), Answer(404, {}, json.dumps(imshare)))
        return [each.field for each in explained(exchange, differences(exchange))[1]]

    def test_markup_is_explained_and_another_sentence_is_not(self):
        self.assertEqual(self.rest({"message": "No.<br /><br />\n\n\n"}, {"message": "No."}), [])
        self.assertEqual(self.rest({"message": "No.<br /><br />\n\n\n"}, {"message": "Yes."}), ["body.message"])
        self.assertEqual(
            self.rest({"message": "No.<br />", "code": "404"}, {"message": "No.", "code": "403"}), ["body.code"]
        )

    def test_an_answer_of_ours_that_failed_is_never_explained(self):
        for step in (show(0), create(0), *sequence("1", 0), *sequence("1", 1)):
            for status in (200, 204, 400, 403, 404, 405, 500):
                exchange = Exchange(0, step, Answer(status, {}, "<html>a</html>"), Answer(503, {}, "x"))
                self.assertTrue(explained(exchange, differences(exchange))[1], f"{step} {status}")

    def test_a_seed_makes_the_same_sequence_again(self):
        self.assertEqual(sequence("1", 7), sequence("1", 7))
        self.assertNotEqual(sequence("1", 7), sequence("2", 7))


if __name__ == "__main__":
    unittest.main()
