"""Compares imshare with a real Glance in random sequences of requests."""

import argparse
import contextlib
import json
import random
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import purpose  # noqa: F401 (it declares what is on purpose)
import purpose_of_lists  # noqa: F401 (as well)
from drive import Sides
from run import Run, Sequences
from services import pair
from steps import loaded

# Glance handles two requests at once on two cores.
PAIRS = 2
# A number instead of a time, so that CI does the same on every machine; the time only stops a very slow one.
SEQUENCES, AT_MOST = 300, 300


def options():
    """Parses the arguments."""
    parser = argparse.ArgumentParser(prog="checks/glance.sh [BINARY]", description=__doc__)
    parser.add_argument("binary", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, metavar="S", help="begin sequences for so long")
    parser.add_argument(
        "--seed", default="1", help="what sequences are made from, `random` for a new one (default: %(default)s)"
    )
    parser.add_argument("--sequences", type=int, metavar="N", help=f"the first N of the seed (default: {SEQUENCES})")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="this sequence of the seed")
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="the sequences of this file, one list of steps a line"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="append what was found, made short, to this file")
    parser.add_argument(
        "--findings", type=int, default=20, metavar="N", help="make the first N short (default: %(default)s)"
    )
    parser.add_argument("--show", action="store_true", help="print each exchange")
    parser.add_argument("--against", nargs=2, metavar="URL", help="a Glance and an imshare that are running already")
    return parser.parse_args()


def sequences(asked):
    """The sequences that the arguments ask for."""
    if asked.replay:
        rows = [json.loads(line) for line in asked.replay.read_text().splitlines()]
        return Sequences.saved(asked.replay.name, [[loaded(row) for row in steps] for steps in rows])
    seed = str(random.SystemRandom().randrange(10**9)) if asked.seed == "random" else asked.seed
    print(f"seed {seed}", flush=True)
    if asked.only is not None:
        return Sequences(seed, asked.only, asked.only + 1)
    if asked.sequences or asked.seconds:
        return Sequences(seed, 0, asked.sequences, asked.seconds)
    return Sequences(seed, 0, SEQUENCES, AT_MOST)


def main():
    """Runs the sequences against each pair of services; returns 1 if a difference is undeclared."""
    asked = options()
    todo = sequences(asked)
    run = Run(asked.findings, asked.save, asked.show)
    with contextlib.ExitStack() as stack:
        memory = Path("/dev/shm")
        work = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="imshare-glance-", dir=memory if memory.is_dir() else None)
            )
        )
        with ThreadPoolExecutor(PAIRS) as threads:
            if asked.against:
                pairs = [asked.against]
            else:
                starts = [pair(asked.binary, work / str(number)) for number in range(PAIRS)]
                pairs = threads.map(stack.enter_context, starts)
            todo.begin()
            sides = [stack.enter_context(Sides(*urls)) for urls in pairs]
            try:
                list(threads.map(lambda each: run.all(each, todo), sides))
            finally:
                todo.stop()
    late = "" if todo.done == todo.end else ", then the time was up"
    print(f"\n{todo.done - todo.first} sequences{late}", end="")
    return run.report()


# Stopping the test stops its services.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
sys.exit(main())
