"""Starts a Glance and an imshare with the same callers, and stops both."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
IDENTITY = Path(__file__).parent / "identity.toml"
# Small, so that it is reached.
MEMBER_QUOTA = "3"
READY = "listening on "


@contextlib.contextmanager
def pair(imshare, directory):
    """The addresses of both, Glance's first. Their data and logs go to the directory."""
    with contextlib.ExitStack() as stack:
        data = directory / "data"
        data.mkdir(parents=True)
        # Glance takes seconds to start; imshare starts meanwhile.
        glance = started(
            stack,
            [ROOT / "bench/glance/serve.sh", data, str(free_port())],
            directory / "glance",
            IDENTITY=str(IDENTITY),
            MEMBER_QUOTA=MEMBER_QUOTA,
            MIDDLEWARE="cors http_proxy_to_wsgi",
            WORKERS="1",
        )
        options = ["--in-memory", "--listen", "127.0.0.1:0", "--member-quota", MEMBER_QUOTA, "--identity", IDENTITY]
        ours = started(stack, [imshare, "serve", *options], directory / "imshare")
        yield ready(*glance), ready(*ours)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(stack, command, log, **environment):
    """A process in its own group, which ends with the stack, and the file of its output."""
    output = stack.enter_context(log.open("w"))
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=output,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    stack.callback(ended, process)
    return process, log


def ended(process):
    """Terminates the process, and kills its whole group if it does not end."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ready(process, log):
    """Waits for the ready line."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith(READY):
                return line.removeprefix(READY)
        time.sleep(0.1)
    raise SystemExit(f"{log.name} did not get ready:\n{log.read_text()[-2000:]}")
