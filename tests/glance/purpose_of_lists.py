"""The declarations about lists of images."""

import re
from urllib.parse import parse_qsl, urlsplit

from compare import said
from declared import declare
from purpose import arguments, only, statuses

REPEATED = ("tag", "sort_key", "sort_dir")
NUMBERS = ("size", "virtual_size", "min_disk", "min_ram")


@declare("an argument that is gone is gone, empty or not, whoever asks")
def changes_since(exchange, differences):
    refused = exchange.imshare.status == 400 and "changes-since" in said(exchange.imshare)
    empty = ("changes-since", "") in arguments(exchange)
    return differences if empty and refused and exchange.glance.status in (400, 403, 500) else []


@declare("whether an image exists is not told to those who may not see it")
def markers_of_hidden_images(exchange, differences):
    hidden = re.fullmatch(r"Forbidding request, image ?(.*) not visible", said(exchange.glance))
    ours = hidden and f"No image found with ID {hidden[1]}".rstrip()
    absent = hidden and said(exchange.imshare).rstrip() in (ours, ours.replace("<IMAGE:", "<image:"))
    return differences if absent and statuses(exchange) == (403, 400) else []


@declare("a deleted image is gone, for an admin too")
def markers_of_deleted_images(exchange, differences):
    gone = re.fullmatch(r"No image found with ID \S+", said(exchange.imshare)) and exchange.step.method == "GET"
    return differences if gone and exchange.step.caller == "admin" and statuses(exchange) == (200, 400) else []


@declare("`next` only when there is more")
def no_next_on_a_full_last_page(exchange, differences):
    return [each for each in only(differences, "body.next") if each.imshare is None and exchange.beyond == 0]


@declare(
    "links keep every argument that is given several times, not only the last: the next page is one of the same list"
)
def links_with_all_arguments(_exchange, differences):
    links = only(differences, "body.first", "body.next")
    return [each for each in links if each.glance and each.imshare and same_but_repeated(each.glance, each.imshare)]


def same_but_repeated(glance, imshare):
    """Whether a link repeats a parameter where Glance's, otherwise equal, has only the last value."""
    both = [parse_qsl(urlsplit(link).query, keep_blank_values=True) for link in (glance, imshare)]
    rest = [sorted(pair for pair in link if pair[0] not in REPEATED) for link in both]
    kept = [[[value for name, value in link if name == repeated] for link in both] for repeated in REPEATED]
    return (
        rest[0] == rest[1] and all(last == all_[-1:] for last, all_ in kept) and any(len(all_) > 1 for _, all_ in kept)
    )


@declare("a semicolon in a query is part of a value, as in every query of today")
def semicolons(exchange, differences):
    answer = exchange.imshare.json()
    kept = isinstance(answer, dict) and "%3B" in answer.get("first", "")
    return only(differences, "body.first", "body.images", "body.next") if kept else []


@declare("a bound is one of a number: texts, times and flags are compared with a number by each database in its own way")
def bounds_of_what_is_no_number(exchange, differences):
    answer = exchange.imshare.json()
    if exchange.imshare.status != 200 or not isinstance(answer, dict) or answer.get("images") != []:
        return []
    asked = parse_qsl(urlsplit(answer["first"]).query, keep_blank_values=True)
    bounds = [name for name, _ in asked if re.fullmatch(r".+_(min|max)", name) and name[:-4] not in NUMBERS]
    if bounds and said(exchange.glance).startswith("Forbidding request, image"):
        # The page after one on which only Glance has found something.
        return differences
    return only(differences, "body.images", "body.next") if bounds and exchange.glance.status == 200 else []


@declare("an id is a UUID: one in upper case is not another, so none of that spelling is in a list")
def filters_by_ids_in_upper_case(exchange, differences):
    answer = exchange.imshare.json()
    upper = isinstance(answer, dict) and "id=<IMAGE:" in answer.get("first", "") and answer.get("images") == []
    return only(differences, "body.images") if upper else []
