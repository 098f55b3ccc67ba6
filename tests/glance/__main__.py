"""Compares imshare with a real Glance in random sequences of requests."""

import argparse
import json
import random
import sys
from pathlib import Path

import purpose  # noqa: F401: it declares what is on purpose
from drive import Sides
from run import Run
from steps import loaded

parser = argparse.ArgumentParser(prog="checks/glance.sh", description=__doc__)
parser.add_argument("--glance", required=True, help=argparse.SUPPRESS)
parser.add_argument("--imshare", required=True, help=argparse.SUPPRESS)
parser.add_argument("--seconds", type=float, default=120, help="how long sequences are begun (default: %(default)s)")
parser.add_argument("--seed", default="1", help="what the sequences are made from; `random` for a new one")
parser.add_argument("--sequences", type=int, default=10**9, help="at most so many")
parser.add_argument("--findings", type=int, default=20, help="shrink at most so many (default: %(default)s)")
parser.add_argument("--only", metavar="NUMBER", type=int, help="only this sequence of the seed")
parser.add_argument("--replay", metavar="FILE", type=Path, help="the sequences of this file, one list of steps a line")
parser.add_argument("--save", metavar="FILE", type=Path, help="append shrunk sequences to this file")
parser.add_argument("--show", action="store_true", help="print each exchange")
options = parser.parse_args()

seed = f"{random.SystemRandom().randrange(10**9)}" if options.seed == "random" else options.seed
run = Run(Sides(options.glance, options.imshare), options.findings, options.save, options.show)
if options.replay:
    for line in options.replay.read_text().splitlines():
        run.sequence(options.replay.name, [loaded(row) for row in json.loads(line)])
else:
    print(f"seed {seed}", flush=True)
    run.random(seed, options.seconds, options.sequences, options.only)
sys.exit(run.report())
