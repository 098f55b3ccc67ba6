"""The steps of a sequence, with placeholders for ids that differ from run to run.

A step is a request of one caller, written so that it can be saved and sent again. Placeholders:

| placeholder | stands for |
|---|---|
| `<image:K>`, `<IMAGE:K>` | the id of the sequence's K-th image, in lower or upper case |
| `<project:NAME>` | the project of a caller |
| `<absent>` | an id that nobody has |
| `<next>` | the path of the last `next` link that this service gave |
"""

import re
from dataclasses import asdict, dataclass, field

PROJECTS = {
    "owner": "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01",
    "member": "edc89b490d7d4392898e19b2deb34797",
    "member2": "7d4a3b1f0c9e4f8d8a6b5c4d3e2f1a02",
    "third": "0c1d2e3f4a5b46c7980112233445566e",
    "admin": "a0b1c2d3e4f5460718293a4b5c6d7e8f",
}
# The owner's project has two more users: one with only the reader role, and one without any role.
CALLERS = [*PROJECTS, "reader", "roleless"]
SLOTS = 6
PLACEHOLDER = re.compile(r"<(image|IMAGE|project):(\w+)>|<(absent|next)>")


@dataclass(frozen=True)
class Step:
    """A request. `caller` is None without a token; `unknown` sends an invalid one."""

    caller: str | None
    method: str
    target: str
    headers: dict = field(default_factory=dict)
    body: str | None = None
    # No request: gives this image its data, in each service in its own way.
    activate: int | None = None
    # The response's id is that of this image, because the service chose it.
    learns: int | None = None

    def saved(self):
        """The step without unused fields."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {})}

    def __str__(self):
        if self.activate is not None:
            return f"({self.caller} uploads the data of <image:{self.activate}>)"
        headers = "".join(f" {{{name}: {value}}}" for name, value in self.headers.items())
        body = "" if self.body is None else f" {self.body[:2000]}"
        return f"[{self.caller}] {self.method} {self.target}{headers}{body}"


def loaded(row):
    """The inverse of `saved`."""
    return Step(**{"caller": None, "method": "", "target": "", **row})


class Names:
    """The values of the placeholders in one run against one service."""

    def __init__(self, run):
        self.images = {str(slot): f"{run:08x}-0000-4000-8000-{slot:012x}" for slot in range(SLOTS)}
        self.absent = f"{run:08x}-0000-4000-8000-ffffffffffff"
        self.next = "/v2/images"
        self.created = []

    def remember(self, image, slot):
        """Records a created image; an id that the service chose belongs to the slot, if there is one."""
        if image not in self.images.values():
            self.images[str(slot) if slot is not None else f"new{len(self.created)}"] = image
        self.created.append(image)

    def filled(self, text):
        """Replaces placeholders with ids."""

        def value(found):
            kind, name, single = found.groups()
            if single:
                return self.next if single == "next" else self.absent
            if kind == "project":
                return PROJECTS[name]
            return self.images[name].upper() if kind == "IMAGE" else self.images[name]

        return PLACEHOLDER.sub(value, text)

    def canonical(self, text):
        """Replaces ids with placeholders."""
        for slot, image in self.images.items():
            text = text.replace(image, f"<image:{slot}>").replace(image.upper(), f"<IMAGE:{slot}>")
        text = text.replace(self.absent, "<absent>").replace(self.absent.upper(), "<ABSENT>")
        for name, project in PROJECTS.items():
            text = text.replace(project, f"<project:{name}>")
        return text
