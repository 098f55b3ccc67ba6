"""Runs sequences, counts what they show, and reports it."""

import json
import re
import time
from collections import Counter
from itertools import count

from compare import differences, said
from declared import DECLARATIONS, explained
from generate import sequence
from shrink import shrink

TRIES = 120


class Run:
    """All sequences of one call."""

    def __init__(self, sides, findings, save, show):
        self.sides, self.most, self.save, self.show = sides, findings, save, show
        self.exchanges = self.agreeing = 0
        self.declared = Counter()
        self.undeclared = Counter()

    def random(self, seed, seconds, sequences, only):
        """Sequences of a seed, until the time is up."""
        end = time.monotonic() + seconds
        for number in [only] if only is not None else count():
            if time.monotonic() > end or number >= sequences and only is None:
                return
            self.sequence(f"{seed}:{number}", sequence(seed, number))

    def sequence(self, name, steps):
        """One sequence; what nobody declared is made short and printed."""
        for exchange, found in self.judged(steps):
            self.exchanges += 1
            used, rest = explained(exchange, found)
            self.agreeing += not found
            self.declared.update(each.name for each in used)
            if self.show:
                print(exchange.number, exchange.step, exchange.glance.status, *map(str, found), sep="\n   ", flush=True)
            if rest:
                signature = signed(exchange, rest)
                self.undeclared[signature] += 1
                if self.undeclared[signature] == 1 and len(self.undeclared) <= self.most:
                    self.finding(name, steps[: exchange.number + 1], signature)

    def judged(self, steps):
        """The exchanges of a sequence with their differences, as long as both services keep the same."""
        playing = self.sides.play(steps)
        try:
            for exchange in playing:
                found = differences(exchange)
                yield exchange, found
                used, rest = explained(exchange, found)
                if any(each.ends for each in used) or parted(exchange, rest):
                    return
        finally:
            playing.close()

    def finding(self, name, steps, signature):
        def shows(candidate):
            return any(
                signed(exchange, rest) == signature
                for exchange, found in self.judged(candidate)
                if (rest := explained(exchange, found)[1])
            )

        short = shrink(steps, shows, TRIES)
        print(f"\nUNDECLARED in {name}: {signature}")
        for exchange, found in self.judged(short):
            print(f"  {exchange.step}  -> {exchange.glance.status} | {exchange.imshare.status}")
            for each in explained(exchange, found)[1]:
                print(f"      {str(each)[:600]}")
        print(end="", flush=True)
        if self.save:
            with self.save.open("a") as file:
                file.write(json.dumps([step.saved() for step in short]) + "\n")

    def report(self):
        """Prints the sums; 1 if something is undeclared."""
        undeclared = sum(self.undeclared.values())
        print(f"\n{self.exchanges} exchanges: {self.agreeing} agree to the letter, "
              f"{self.exchanges - self.agreeing - undeclared} differ as declared, {undeclared} undeclared")  # fmt: skip
        print("declared:")
        for declaration in sorted(DECLARATIONS, key=lambda each: -self.declared[each.name]):
            print(f"  {self.declared[declaration.name]:6} {declaration.name}: {declaration.reason}")
        if undeclared:
            print("undeclared:")
            for signature, times in self.undeclared.most_common(100):
                print(f"  {times:6} {signature}")
        return 1 if undeclared or not self.exchanges else 0


def parted(exchange, rest):
    """Whether one of the services took a change that the other refused."""
    taken = [200 <= answer.status < 300 for answer in (exchange.glance, exchange.imshare)]
    return bool(rest) and exchange.step.method not in ("GET", "HEAD", "OPTIONS") and taken[0] != taken[1]


def signed(exchange, rest):
    """What tells one kind of finding from another: route, statuses, fields, and the words of an error."""
    statuses = f"{exchange.glance.status}|{exchange.imshare.status}"
    fields = ", ".join(sorted({each.field for each in rest}))
    wrong = exchange.glance.status >= 400
    if wrong and exchange.glance.status == exchange.imshare.status and said(exchange.glance) == said(exchange.imshare):
        return f"the form of an error for Accept: {exchange.step.headers.get('Accept')} ({fields})"
    step = exchange.step
    route = re.sub(r"<image:\d>|<IMAGE:\d>|<absent>", "{image}", step.target.partition("?")[0])
    route = re.sub(r"/members/.+", "/members/{member}", re.sub(r"/tags/.+", "/tags/{tag}", route))
    # The arguments that matter are those that are left when the sequence is short.
    parts = [step.method, route, statuses, fields]
    if wrong:
        parts.append(re.sub(r"<\w+(:\w+)?>|'[^']*'|`[^`]*`|\"[^\"]*\"|\d+", "_", said(exchange.glance))[:80])
    return " ".join(parts)
