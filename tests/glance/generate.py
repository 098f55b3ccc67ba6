"""Generates random sequences of steps: images are created, shared, answered for, listed, changed and deleted."""

import json
import random

import pools
from steps import CALLERS, SLOTS, Step

# Mostly callers that are involved with the image.
WHO = ["owner"] * 8 + ["member"] * 5 + ["member2"] * 2 + ["third", "admin", "admin", "reader", "roleless"]
ODD = [None, "unknown"]


class Generator:
    """A sequence generated from a seed: the same seed, the same sequence."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        # Ordering by id agrees between the services only for ids that the client chose.
        self.own_ids = self.random.random() < 0.85
        self.slots = 0

    def sequence(self):
        """A list of steps."""
        steps = [self.create() for _ in range(self.random.randint(1, 4))]
        kinds = {
            self.create: 3, self.listing: 12, self.show: 5, self.patch: 9, self.tag: 3, self.share: 8, self.answer: 8,
            self.read_member: 6, self.unshare: 3, self.delete: 2, self.action: 2, self.activate: 2, self.schema: 1,
            self.follow: 3, self.odd: 6,
        }  # fmt: skip
        for _ in range(self.random.randint(5, 35)):
            steps.append(self.random.choices(list(kinds), kinds.values())[0]())
        return steps

    def chance(self, share):
        return self.random.random() < share

    def one(self, values):
        return self.random.choice(values)

    def who(self):
        return self.one(ODD) if self.chance(0.03) else self.one(WHO)

    def image(self):
        """An image of the sequence; seldom an absent one."""
        if self.chance(0.04):
            return self.one(["<absent>", "nope", "<IMAGE:0>", "<IMAGE:5>", "00000000-0000-0000-0000-00000000000G"])
        return f"<image:{self.random.randrange(max(self.slots, 1))}>"

    def headers(self, **more):
        """Headers of any request."""
        headers = dict(more)
        odd = self.random.random()
        kind = pools.VERSION_ACCEPTS if odd < 0.005 else pools.ODD_ACCEPTS if odd < 0.08 else pools.ACCEPTS
        accept = self.one(kind)
        if accept is not None:
            headers["Accept"] = accept
        if self.chance(0.005):
            headers["Transfer-Encoding"] = "chunked"
        if self.chance(0.03):
            headers["X-Openstack-Request-Id"] = self.one(["req-mine", "x" * 64, "x" * 65, "a b", "<b>"])
        return headers

    def step(self, method, target, body=None, caller="", **more):
        return Step(self.who() if caller == "" else caller, method, target, self.headers(**more), body)

    def body(self, good):
        """The body as JSON; seldom a malformed one."""
        return self.one(pools.BODIES) if self.chance(0.03) else json.dumps(good, ensure_ascii=self.chance(0.5))

    # Images

    def create(self):
        """An image; mostly the owner's and mostly a valid one."""
        slot = self.slots
        record = {}
        chosen = self.own_ids or self.chance(0.5)
        if self.slots < SLOTS and self.chance(0.95):
            self.slots += 1
        else:
            slot, chosen = self.random.randrange(SLOTS), True
        if chosen:
            record["id"] = f"<image:{slot}>"
        if self.chance(0.9):
            record["name"] = self.one(pools.NAMES)
        if self.chance(0.5):
            record["visibility"] = self.one(pools.VISIBILITIES)
        if self.chance(0.5):
            record["disk_format"] = self.one(pools.DISK_FORMATS)
            record["container_format"] = self.one(pools.CONTAINER_FORMATS)
        if self.chance(0.4):
            record["tags"] = self.random.sample(pools.TAGS[:5], self.random.randint(0, 4))
        for name in self.random.sample(pools.PROPERTIES, self.random.choice([0, 0, 1, 2])):
            record[name] = self.one(pools.VALUES[:4])
        for share, name, values in ((0.3, "min_disk", [0, 1, 10]), (0.3, "min_ram", [0, 1, 512]),
                                    (0.05, "protected", [True]), (0.08, "os_hidden", [True])):  # fmt: skip
            if self.chance(share):
                record[name] = self.one(values)
        if self.chance(0.15):
            self.spoil(record)
        caller = "owner" if self.chance(0.75) else self.who()
        step = self.step("POST", "/v2/images", self.body(record), caller)
        return step if "id" in record else Step(step.caller, step.method, step.target, step.headers, step.body, learns=slot)

    def spoil(self, record):
        """One more property, possibly an invalid one."""
        if self.chance(0.5):
            name = self.one(list(pools.BASE))
            if name == "id":
                return record.update(id=self.one(pools.BASE["id"]))
            return record.update({name: self.one(pools.BASE[name])})
        name = self.one(pools.RESERVED + pools.PROPERTIES)
        return record.update({name: self.one(pools.VALUES)})

    def show(self):
        return self.step("GET", f"/v2/images/{self.image()}")

    def delete(self):
        return self.step("DELETE", f"/v2/images/{self.image()}")

    def activate(self):
        """The data of an image, which makes it active."""
        return Step("owner", "", "", activate=self.random.randrange(max(self.slots, 1)))

    def action(self):
        action = self.one(["deactivate", "reactivate"])
        method = "POST" if self.chance(0.9) else self.one(pools.METHODS)
        return self.step(
            method, f"/v2/images/{self.image()}/actions/{action}", caller=self.one(["owner", "admin", self.who()])
        )

    def tag(self):
        method = self.one(["PUT", "PUT", "PUT", "DELETE", "DELETE", self.one(pools.METHODS)])
        tag = self.one(pools.PATH_TAGS)
        return self.step(method, f"/v2/images/{self.image()}/tags/{tag}")

    def patch(self):
        """Changes of an image."""
        media = self.one(pools.PATCHES)
        changes = [self.change("v2.0" in media) for _ in range(self.one([1, 1, 1, 1, 2, 3, 0]))]
        headers = {} if media == "" else {"Content-Type": media}
        return self.step("PATCH", f"/v2/images/{self.image()}", self.body(changes), **headers)

    def change(self, old):
        """One change, in this version of the media type."""
        operation = self.one(["add", "replace", "replace", "remove"])
        if self.chance(0.6):
            name = self.one([name for name in pools.BASE if name != "id"])
            value = self.one(pools.BASE[name])
        elif self.chance(0.75):
            name, value = self.one(pools.PROPERTIES[:4]), self.one(pools.VALUES[:4])
        else:
            name, value = self.one([*pools.RESERVED, *pools.PROPERTIES, "id"]), self.one(pools.VALUES)
        path = "/" + name.replace("~", "~0").replace("/", "~1")
        if self.chance(0.05):
            path = self.one(pools.POINTERS)
        if old:
            return {operation: path} if operation == "remove" else {operation: path, "value": value}
        change = {"op": operation, "path": path}
        if operation != "remove" or self.chance(0.1):
            change["value"] = value
        if self.chance(0.04):
            change.pop(self.one(list(change)))
        if self.chance(0.03):
            change["op"] = self.one(["move", "copy", "test", "ADD", None, 5])
        return change

    # Lists

    def listing(self):
        """Images in some order."""
        if self.chance(0.25):
            common = ["name", "visibility", "member_status", "limit", "sort", "tag", "status", "marker"]
        else:
            common = [name for name in pools.FILTERS]
        arguments = []
        for name in self.random.choices(common, k=self.one([0, 1, 1, 1, 2, 2, 3])):
            values = pools.FILTERS[name]
            # The valid values come first.
            value = self.one(values[:3]) if self.chance(0.5) else self.one(values)
            if "id" in (name, value.split(":")[0]) and name.startswith("sort") and not self.own_ids:
                continue
            arguments.append(f"{name}={value}".replace('"', "%22").replace("\\", "%5C"))
        target = "/v2/images" + ("?" + "&".join(arguments) if arguments else "")
        return self.step("GET", target, self.one(["x", "{}"]) if self.chance(0.02) else None)

    def follow(self):
        return self.step("GET", "<next>", caller=self.one(["owner", "owner", "member", "admin"]))

    # Members

    def members(self, member=None):
        path = f"/v2/images/{self.image()}/members"
        return path if member is None else f"{path}/{member}"

    def member(self):
        """A member id, encoded for a path."""
        if self.chance(0.06):
            return self.one(["nope", "%20", "%C3%BC", "a%2Fb", pools.LONG, pools.TOO_LONG])
        return self.one(pools.MEMBERS)

    def share(self):
        member = self.one(pools.BAD_MEMBERS) if self.chance(0.06) else self.one(pools.MEMBERS)
        body = {"member": member}
        if self.chance(0.05):
            body = self.one([{"member_id": member}, {"member": member, "status": "accepted"}, {"Member": member}])
        caller = "owner" if self.chance(0.75) else self.who()
        return self.step("POST", self.members(), self.body(body), caller)

    def answer(self):
        member = self.member()
        names = {"<project:member>": "member", "<project:member2>": "member2", "<project:third>": "third"}
        status = self.one(pools.BAD_STATUSES) if self.chance(0.08) else self.one(pools.STATUSES)
        body = {"status": status, **({"member": member} if self.chance(0.1) else {})}
        if self.chance(0.03):
            body = self.one([{}, {"Status": "accepted"}])
        caller = names.get(member, "member") if self.chance(0.7) else self.who()
        return self.step("PUT", self.members(member), self.body(body), caller)

    def unshare(self):
        caller = "owner" if self.chance(0.7) else self.who()
        body = "{}" if self.chance(0.03) else None
        return self.step("DELETE", self.members(self.member()), body, caller)

    def read_member(self):
        target = self.members() if self.chance(0.5) else self.members(self.member())
        if self.chance(0.1):
            target += self.one(["?limit=1", "?image_id=x", "?status=pending", "?marker=x"])
        return self.step("GET", target, self.one(["x", "{}"]) if self.chance(0.03) else None)

    # Everything else

    def schema(self):
        method = "GET" if self.chance(0.8) else self.one(pools.METHODS)
        return self.step(method, f"/v2/schemas/{self.one(pools.SCHEMAS)}")

    def odd(self):
        """An unusual path or method."""
        plain = ["/v2/images", f"/v2/images/{self.image()}", self.members(), self.members(self.member())]
        target = self.one(pools.PATHS) if self.chance(0.8) else self.one(plain)
        method = "GET" if self.chance(0.6) else self.one(pools.METHODS)
        body = "{}" if method in ("POST", "PUT", "PATCH") and self.chance(0.7) else None
        return self.step(method, target, body, self.one([*CALLERS, None, "owner"]))


def sequence(seed, number):
    """The sequence with this number of this seed."""
    return Generator(f"{seed}:{number}").sequence()
