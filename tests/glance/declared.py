"""Where imshare differs from Glance on purpose: what each of these differences looks like, and why it is there.

A declaration explains single differences of one exchange, never an exchange as a whole, and says exactly what both
services answer. What nobody explains is a finding. One that no exchange of a long run needed is reported.
"""

from collections.abc import Callable
from dataclasses import dataclass

DECLARATIONS = []


@dataclass(frozen=True)
class Declaration:
    """One deliberate difference."""

    name: str
    reason: str
    explains: Callable


def declare(reason):
    """Declares the differences that the function returns, out of those that it is given."""

    def over(function):
        name = function.__name__.replace("_", " ")
        DECLARATIONS.append(Declaration(name, reason, function))
        return function

    return over


def explained(exchange, differences):
    """The declarations that apply to an exchange, and the differences that none of them explains."""
    used = []
    for declaration in DECLARATIONS:
        covered = declaration.explains(exchange, differences)
        if covered:
            used.append(declaration)
            differences = [each for each in differences if each not in covered]
    return used, differences
