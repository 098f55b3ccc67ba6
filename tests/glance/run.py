"""Runs sequences, counts their differences, and reports them."""

import json
import re
import sys
import time
from collections import Counter
from threading import Lock

from compare import differences, said
from declared import DECLARATIONS, explained
from generate import sequence
from shrink import shrink

TRIES = 60


class Sequences:
    """Hands out each sequence of a seed once: up to a number, or until the time is up."""

    def __init__(self, seed, first, end=None, seconds=None):
        self.seed, self.first, self.next, self.end, self.seconds = seed, first, first, end, seconds
        self.lock = Lock()
        self.until = None
        self.done = sys.maxsize
        self.stopped = False

    @classmethod
    def saved(cls, name, steps):
        """Hands out sequences that were saved."""
        made = cls(name, 0, len(steps))
        made.made = lambda number: steps[number]
        return made

    def begin(self):
        """The time starts when the services are ready."""
        self.until = time.monotonic() + self.seconds if self.seconds else None

    def stop(self):
        """Hands out no more sequences."""
        self.stopped = True

    def made(self, number):
        """The steps of a sequence."""
        return sequence(self.seed, number)

    def __iter__(self):
        while True:
            with self.lock:
                number = self.next
                self.next += 1
            late = self.until is not None and time.monotonic() > self.until
            if self.stopped or late or self.end is not None and number >= self.end:
                self.done = min(self.done, number)
                return
            yield f"{self.seed}:{number}", self.made(number)


class Run:
    """The results of all sequences of one call. Each pair of services has its own thread."""

    def __init__(self, findings, save, show):
        self.most, self.save, self.show = findings, save, show
        self.exchanges = self.agreeing = 0
        self.declared = Counter()
        self.undeclared = Counter()
        self.lock = Lock()

    def all(self, sides, sequences):
        """Runs sequences against one pair for as long as there are any."""
        for name, steps in sequences:
            # One sequence at a time: lists would show the images of both.
            new = {}
            for exchange, found in judged(sides, steps):
                signature = self.counted(exchange, found)
                if signature:
                    new[signature] = steps[: exchange.number + 1]
            for signature, shown_by in new.items():
                self.finding(sides, name, shown_by, signature)

    def counted(self, exchange, found):
        """Counts an exchange and returns a finding that is new, to be shrunk."""
        used, rest = explained(exchange, found)
        with self.lock:
            self.exchanges += 1
            self.agreeing += not found
            self.declared.update(each.name for each in used)
            if self.show:
                print(exchange.number, exchange.step, exchange.glance.status, *map(str, found), sep="\n   ", flush=True)
            if not rest:
                return None
            signature = signed(exchange, rest)
            self.undeclared[signature] += 1
            return signature if self.undeclared[signature] == 1 and len(self.undeclared) <= self.most else None

    def finding(self, sides, name, steps, signature):
        """Shrinks a finding and prints it."""

        def shows(candidate):
            rests = ((exchange, explained(exchange, found)[1]) for exchange, found in judged(sides, candidate))
            return any(rest and signed(exchange, rest) == signature for exchange, rest in rests)

        short = shrink(steps, shows, TRIES)
        lines = [f"\nUNDECLARED in {name}: {signature}"]
        lines += [f"  {step}" for step in short if step.activate is not None]
        for exchange, found in judged(sides, short):
            lines.append(f"  {exchange.step}  -> {exchange.glance.status} | {exchange.imshare.status}")
            lines += [f"      {str(each)[:600]}" for each in explained(exchange, found)[1]]
        with self.lock:
            print(*lines, sep="\n", flush=True)
            if self.save:
                with self.save.open("a") as file:
                    file.write(json.dumps([step.saved() for step in short]) + "\n")

    def report(self):
        """Prints the sums; returns 1 if a difference is undeclared."""
        undeclared = sum(self.undeclared.values())
        print(f"\n{self.exchanges} exchanges: {self.agreeing} agree to the letter, "
              f"{self.exchanges - self.agreeing - undeclared} differ as declared, {undeclared} undeclared")  # fmt: skip
        print("declared:")
        for declaration in sorted(DECLARATIONS, key=lambda each: -self.declared[each.name]):
            times = self.declared[declaration.name] or "unused"
            print(f"  {times:>6} {declaration.name}: {declaration.reason}")
        if undeclared:
            print("undeclared:")
            for signature, times in self.undeclared.most_common(100):
                print(f"  {times:6} {signature}")
        return 1 if undeclared or not self.exchanges else 0


def judged(sides, steps):
    """The exchanges of a sequence with their differences, for as long as both services have the same records."""
    playing = sides.play(steps)
    try:
        for exchange in playing:
            yield exchange, differences(exchange)
            if parted(exchange):
                return
    finally:
        playing.close()


def parted(exchange):
    """Whether only one of the services accepted a change: from here on their records differ."""
    taken = [200 <= answer.status < 300 for answer in (exchange.glance, exchange.imshare)]
    return exchange.step.method not in ("GET", "HEAD", "OPTIONS") and taken[0] != taken[1]


def signed(exchange, rest):
    """Identifies a kind of finding: route, statuses, fields, and the words of an error."""
    glance, imshare, step = exchange.glance, exchange.imshare, exchange.step
    fields = {"message" if each.field == "body" and glance.status >= 400 else each.field for each in rest}
    fields = {"message" if field == "body.message" else field for field in fields}
    if glance.status != imshare.status:
        fields = {field for field in fields if field.startswith("header ")} - {"header content-type"}
    if glance.status == imshare.status >= 400 and said(glance) == said(imshare):
        return f"the form of an error for Accept: {step.headers.get('Accept')} ({', '.join(sorted(fields))})"
    route = re.sub(r"<image:\d>|<IMAGE:\d>|<absent>", "{image}", step.target.partition("?")[0])
    route = re.sub(r"/members/.+", "/members/{member}", re.sub(r"/tags/.+", "/tags/{tag}", route))
    parts = [step.method, route, f"{glance.status}|{imshare.status}", ", ".join(sorted(fields))]
    if glance.status >= 400:
        parts.append(re.sub(r"<\w+(:\w+)?>|'[^']*'|`[^`]*`|\"[^\"]*\"|\d+", "_", said(glance))[:80])
    return " ".join(filter(None, parts))
