"""Serves Keystone on a port of 127.0.0.1: serve.py PORT. With 0 it takes any; it prints the one that it has."""

import sys

port, sys.argv = int(sys.argv[1]), ["keystone"]  # Keystone reads the command line too.

from keystone.wsgi.api import application  # noqa: E402
from waitress import create_server  # noqa: E402

server = create_server(application, host="127.0.0.1", port=port, threads=8)
print(server.effective_port, flush=True)
server.run()
