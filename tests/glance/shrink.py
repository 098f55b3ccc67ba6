"""Shrinks a sequence that shows a difference, by trying it with parts left out."""

import json
import re
from dataclasses import replace

IMAGE = re.compile(r"<image:\d+>")


def shrink(steps, shows, tries):
    """A shorter sequence that still `shows` the difference; makes at most so many tries."""
    budget = [tries]

    def still(candidate):
        budget[0] -= 1
        return budget[0] >= 0 and shows(candidate)

    steps = fewer(related(steps, still), still)
    for number in range(len(steps)):
        steps = simpler(steps, number, still)
    return steps


def related(steps, still):
    """The last step alone, or with those about the same images, if that is enough."""
    last = steps[-1]
    images = set(IMAGE.findall(f"{last.target}{last.body}"))
    near = [
        step for step in steps if images & set(IMAGE.findall(f"{step.target}{step.body}")) or step.activate is not None
    ]
    for candidate in ([last], near):
        if candidate and candidate[-1] == last and len(candidate) < len(steps) and still(candidate):
            return candidate
    return steps


def fewer(steps, still):
    """Delta debugging: leaves out halves, then quarters, … then single steps."""
    size = max(len(steps) // 2, 1)
    while True:
        start = 0
        while start < len(steps):
            candidate = steps[:start] + steps[start + size :]
            if candidate and still(candidate):
                steps = candidate
            else:
                start += size
        if size == 1:
            return steps
        size = max(size // 2, 1)


def simpler(steps, number, still):
    """Shortens one step of the sequence: headers, parameters, parts of the body."""
    tried = True
    while tried:
        tried = False
        for candidate in reductions(steps[number]):
            changed = [*steps[:number], candidate, *steps[number + 1 :]]
            if still(changed):
                steps, tried = changed, True
                break
    return steps


def reductions(step):
    """Variants of the steps with a little less in them."""
    for name in step.headers:
        yield replace(step, headers={each: value for each, value in step.headers.items() if each != name})
    path, _, query = step.target.partition("?")
    arguments = query.split("&") if query else []
    for left_out in range(len(arguments)):
        rest = arguments[:left_out] + arguments[left_out + 1 :]
        yield replace(step, target=path + ("?" + "&".join(rest) if rest else ""))
    try:
        body = json.loads(step.body or "")
    except ValueError:
        return
    if isinstance(body, dict):
        smaller = [{key: value for key, value in body.items() if key != name} for name in body]
    elif isinstance(body, list):
        smaller = [body[:at] + body[at + 1 :] for at in range(len(body))]
    else:
        smaller = []
    for each in smaller:
        yield replace(step, body=json.dumps(each))
