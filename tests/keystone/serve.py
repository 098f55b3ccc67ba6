"""Serves Keystone on a port of 127.0.0.1: serve.py PORT. 0 takes any free port; it prints the port."""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

port, sys.argv = int(sys.argv[1]), ["keystone"]  # Keystone reads the command line too.

from keystone.wsgi.api import application  # noqa: E402


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Handler(WSGIRequestHandler):
    def log_message(self, *_):
        """Logs nothing: Keystone has a log of its own."""


server = Server(("127.0.0.1", port), Handler)
server.set_app(application)
print(server.server_port, flush=True)
server.serve_forever()
