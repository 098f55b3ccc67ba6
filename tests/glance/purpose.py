"""The deliberate differences from Glance, as `docs/compatibility.md` lists them, with the reasons."""

import json
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from compare import message, said
from declared import declare
from drive import utf8

READ_ONLY = ("status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at")


def only(differences, *fields):
    """The differences of these fields."""
    return [each for each in differences if each.field in fields]


def statuses(exchange):
    """Both statuses, Glance's first."""
    return exchange.glance.status, exchange.imshare.status


def path_of(exchange):
    """The path without its query."""
    return exchange.step.target.partition("?")[0]


def arguments(exchange):
    """The decoded query parameters."""
    return parse_qsl(urlsplit(exchange.step.target).query, keep_blank_values=True)


def asked(exchange):
    """The request's body as JSON, or None."""
    try:
        return json.loads(exchange.step.body or "")
    except ValueError:
        return None


# The form of a response.


@declare("every answer can be found in the log by its id")
def request_id_on_every_answer(_exchange, differences):
    return [each for each in only(differences, "header x-openstack-request-id") if each.glance is None]


@declare("a request's own id comes back as it was sent")
def request_id_echoed(exchange, differences):
    sent = exchange.step.headers.get("X-Openstack-Request-Id")
    echoed = only(differences, "header x-openstack-request-id")
    return [each for each in echoed if sent and (each.glance, each.imshare) == (f"req-{sent}", sent)]


@declare("a list of members can be changed on the condition that it has not changed: it has an ETag")
def etag_of_member_lists(exchange, differences):
    of_members = re.search(r"/(%6D|m)embers$", path_of(exchange), re.IGNORECASE) and statuses(exchange) == (200, 200)
    return [each for each in only(differences, "header etag") if of_members and each.glance is None]


@declare("an answer without a body has no type")
def no_type_without_a_body(exchange, differences):
    empty = statuses(exchange) == (204, 204) and exchange.glance.text == exchange.imshare.text == ""
    return [each for each in only(differences, "header content-type") if empty and each.imshare is None]


@declare("clients print the message of an error: it is the plain sentence, without markup")
def plain_messages(_exchange, differences):
    return [each for each in only(differences, "body.message") if message(each.glance) == message(each.imshare)]


@declare("text shows what was asked for whole, also what looks like markup")
def markup_that_was_asked_for(exchange, differences):
    words = [said(exchange.glance), said(exchange.imshare)]
    without = " ".join(re.sub(r"<(?!image:|IMAGE:|absent|project:)[^>]*>", "", words[1]).split())
    stripped = exchange.glance.status == exchange.imshare.status >= 400 and "<" in words[1] and words[0] == without
    return (
        only(differences, "body")
        if stripped and exchange.glance.headers.get("content-type", "").startswith("text/plain")
        else []
    )


@declare("the page says the same without a table")
def page_of_health(exchange, differences):
    pages = [answer.text.lower() for answer in (exchange.glance, exchange.imshare)]
    healthy = statuses(exchange) == (200, 200) and all("<html>" in page and ">ok<" in page for page in pages)
    return only(differences, "body") if healthy and path_of(exchange).split("/")[1] == "healthcheck" else []


@declare("a browser that opens the service finds its documentation there, with the status that the list of versions has")
def a_page_for_browsers(exchange, differences):
    page = path_of(exchange) == "/" and statuses(exchange) == (300, 300)
    html = exchange.imshare.headers.get("content-type", "").startswith("text/html")
    headers = ("header content-type", "header content-security-policy", "header x-content-type-options")
    return only(differences, "body", *headers) if page and html else []


@declare("data is not kept here, so nothing is told of where it is stored and how it is imported")
def no_stores(exchange, differences):
    created = exchange.step.method == "POST" and statuses(exchange) == (201, 201)
    headers = ("header openstack-image-import-methods", "header openstack-image-store-ids")
    return [
        each
        for each in differences
        if each.imshare is None
        and (
            created
            and each.field in headers
            or each.field in ("body.stores", "body.images[].stores")
            and each.glance == "files"
        )
        or exchange.step.target.startswith("/v2/info/")
        and each.field in ("body.stores", "body.import-methods.value")
        and each.imshare == []
    ]


@declare("a long id for the log is no reason to refuse the request")
def long_request_ids(exchange, differences):
    long = len(exchange.step.headers.get("X-Openstack-Request-Id", "")) > 64
    return differences if long and exchange.glance.status == 500 and exchange.imshare.status < 500 else []


@declare("a value is shown as it is, not as Python would print it over several lines")
def strings_in_one_piece(_exchange, differences):
    return [
        each
        for each in only(differences, "body.message", "body")
        if schema(each.glance) == schema(each.imshare) is not None
    ]


def schema(text):
    """A schema error's text without quotes and white space, of which Python writes more."""
    return re.sub(r"['\"\\\s]|<br />", "", text) if "does not match schema" in str(text) else None


# Parts of the API that this service does not have.


@declare("data, import and locations are not this service's: 404 says so")
def no_data(exchange, differences):
    data = re.fullmatch(r"/v2/images/[^/]+/(file|stage|import|locations)", path_of(exchange))
    return differences if data and not_kept(exchange, "The data of images is not kept by this service") else []


@declare("metadata definitions, the cache and the stores are not this service's: 404 says so")
def no_metadefs(exchange, differences):
    definitions = re.match(r"/v2/(metadefs|schemas/metadefs)(/|$)", path_of(exchange))
    data = re.match(r"/v2/(cache|stores)(/|$)", path_of(exchange))
    told = definitions and not_kept(exchange, "Metadata definitions are not kept by this service")
    return differences if told or data and not_kept(exchange, "The data of images is not kept by this service") else []


@declare("there are no tasks here, so none is made or deleted")
def no_tasks(exchange, differences):
    tasks = re.fullmatch(r"/v2/tasks(/[^/]+)?", path_of(exchange))
    if not tasks or exchange.imshare.status != 405:
        return []
    made = (exchange.step.method, bool(tasks[1])) in (("POST", False), ("DELETE", True))
    allowed = [each for each in only(differences, "header allow") if each.imshare == "GET"]
    return differences if made and exchange.glance.status < 500 else allowed


def not_kept(exchange, sentence):
    """Whether imshare says that it does not do this; a response to HEAD says nothing."""
    answer = exchange.imshare
    return answer.status == 404 and (
        said(answer).startswith(sentence) or exchange.step.method == "HEAD" and not answer.text
    )


# Requests.


@declare("what cannot be a project's id is refused at once, not stored as something else")
def members_that_cannot_be(exchange, differences):
    body = asked(exchange)
    sharing = exchange.step.method == "POST" and exchange.step.target.endswith("/members") and isinstance(body, dict)
    if not sharing or "member" not in body or exchange.imshare.status != 400:
        return []
    member = body["member"]
    cannot = not isinstance(member, str) or len(member) > 255
    return differences if cannot and exchange.glance.status in (200, 403, 404, 409, 413, 500) else []


@declare(
    "what can be added can be read and removed: a member's id is decoded from the path as UTF-8, with any slash in it"
)
def members_outside_ascii(exchange, differences):
    member = re.fullmatch(r"/v2/images/[^/]+/members/([^/]+)", path_of(exchange))
    if not member or member[1].isascii() and re.fullmatch(r"(?!.*%2[Ff])(?!.*%[89A-Fa-f][0-9A-Fa-f]).*", member[1]):
        return []
    if exchange.glance.status == 404 and exchange.imshare.status in (200, 204, 400, 403, 405):
        return differences
    words = [said(exchange.glance), said(exchange.imshare)]
    as_latin = words[1].encode().decode("latin-1") == words[0]
    as_route = "%2f" in member[1].lower() and words[0] == "The resource could not be found."
    return (
        only(differences, "body", "body.message") if statuses(exchange) == (404, 404) and (as_latin or as_route) else []
    )


@declare("a tag is decoded from the path as UTF-8, so it is the tag that is in the list")
def tags_outside_ascii(exchange, differences):
    tag = re.fullmatch(r"/v2/images/[^/]+/tags/([^/]+)", path_of(exchange))
    if tag and not unquote(tag[1]).isascii() and statuses(exchange) == (404, 204):
        return differences
    tags = [each for each in differences if each.field in ("body.tags", "body.images[].tags")]
    return [each for each in tags if {from_latin(tag) for tag in each.glance or []} == set(each.imshare or [])]


def from_latin(text):
    """The text, if its UTF-8 was decoded as Latin-1."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


@declare("an id is a UUID: one in upper case is not another, and is given back in lower case")
def ids_in_upper_case(exchange, differences):
    if "<IMAGE:" in exchange.step.target and exchange.glance.status < 300 and exchange.imshare.status in (400, 404):
        # The image exists under the id that was returned.
        return differences if "<IMAGE:" in said(exchange.imshare) else []
    texts = [each for each in differences if isinstance(each.glance, str) and isinstance(each.imshare, str)]
    upper = [each for each in texts if "<IMAGE:" in each.glance + each.imshare]
    return [each for each in upper if each.glance.lower() == each.imshare.lower()]


@declare("a body in chunks is plain HTTP/1.1")
def bodies_in_chunks(exchange, differences):
    chunked = "Transfer-Encoding" in exchange.step.headers and exchange.imshare.status < 500
    # Glance fails on a header that it needs, and ignores one that it does not expect.
    unseen = said(exchange.imshare) == "A body is not expected with this request."
    return differences if chunked and (exchange.glance.status in (400, 500) or unseen) else []


@declare("memory is bounded: no request needs more than 1 MiB")
def large_bodies(exchange, differences):
    large = len(exchange.step.body or "") > 1 << 20 and exchange.imshare.status == 413
    return differences if large and exchange.glance.status < 500 else []


@declare("NaN is not JSON")
def not_a_number(exchange, differences):
    sent = "NaN" in (exchange.step.body or "") and exchange.imshare.status == 400
    return differences if sent and said(exchange.imshare).startswith("Malformed JSON") else []


@declare("every request gets an answer: a path that is not UTF-8 is 400")
def paths_outside_utf8(exchange, differences):
    return differences if not utf8(path_of(exchange)) and statuses(exchange) == (0, 400) else []


@declare("all of Unicode is accepted")
def characters_of_four_bytes(exchange, differences):
    sent = unquote(exchange.step.target) + (exchange.step.body or "")
    four = any(ord(character) > 0xFFFF for character in sent) or "\\ud83d" in sent
    return differences if four and exchange.glance.status in (400, 500) and exchange.imshare.status < 400 else []


@declare("the cloud's image pipeline, an admin, reports on the data of an image")
def an_admin_sets_what_is_read_only(exchange, differences):
    if exchange.step.caller != "admin" or exchange.imshare.status not in (200, 201, 400, 403, 404, 409):
        return []
    body = asked(exchange)
    names = set()
    if exchange.step.method == "POST" and path_of(exchange) == "/v2/images" and isinstance(body, dict):
        names = set(body)
    if exchange.step.method == "PATCH" and isinstance(body, list):
        paths = [each.get("path", next(iter(each.values()), None)) for each in body if isinstance(each, dict) and each]
        names = {path[1:] for path in paths if isinstance(path, str)}
    refused = [f"Attribute '{name}' is read-only." for name in READ_ONLY if name in names]
    return differences if refused and any(each in said(exchange.glance) for each in refused) else []


@declare("sharing goes by the owner: an image of nobody's would be an exception to every rule")
def images_of_nobody(exchange, differences):
    body = asked(exchange)
    owners = [body["owner"]] if isinstance(body, dict) and "owner" in body else []
    if exchange.step.method == "PATCH":
        owners = [
            each.get("value", "x") for each in changes_of(exchange) if "/owner" in each.values() or "/owner" in each
        ]
    given = exchange.step.caller == "admin" and any(owner in (None, "") for owner in owners)
    return differences if given and exchange.imshare.status == 400 and exchange.glance.status in (200, 201, 404) else []


@declare("an image is not given away by an `add`, as it is not by a `replace`")
def owners_that_add(exchange, differences):
    added = [
        each
        for each in changes_of(exchange)
        if each.get("path") == "/owner" and each.get("op") == "add" or each.get("add") == "/owner"
    ]
    refused = "Owner can't be updated by non admin" in said(exchange.imshare) and exchange.imshare.status == 403
    return differences if added and refused and exchange.glance.status in (200, 403, 409) else []


def changes_of(exchange):
    """The changes of a PATCH."""
    body = asked(exchange) if exchange.step.method == "PATCH" else None
    return [each for each in body if isinstance(each, dict)] if isinstance(body, list) else []


@declare("who has no role is not shown an image by a PATCH either, nor told more of it than by a GET")
def patches_without_a_role(exchange, differences):
    hidden = exchange.imshare.status == 404 and said(exchange.imshare) == "The resource could not be found."
    patched = exchange.step.caller == "roleless" and exchange.step.method == "PATCH"
    nothing = exchange.glance.status == 200 and asked(exchange) == []
    told = exchange.glance.status == 403 and re.search("(publicize|communitize)_image|Owner|locations", said(exchange.glance))
    return differences if patched and hidden and (nothing or told) else []


@declare("a property is a property, also one that is called like something within Glance")
def properties_called_like_attributes(exchange, differences):
    shown = only(differences, "body.member", "body.images[].member")
    if shown == differences:
        return [each for each in shown if each.glance is None]
    names = {"member", "extra_properties"}
    paths = {str(path).strip("/ ") for each in changes_of(exchange) for path in each.values()}
    ours = exchange.imshare.status == 409 or exchange.imshare.status == 200 != exchange.glance.status
    return differences if names & paths and ours and exchange.glance.status in (200, 403, 409, 500) else []


@declare("a name that is too long for a create is too long for a change, whatever the image")
def long_names(exchange, differences):
    long = any(
        len(str(path)) > 256
        for each in changes_of(exchange)
        for path in (each.get("path"), each.get("add"), each.get("replace"))
    )
    refused = exchange.imshare.status == 400 and "255" in said(exchange.imshare)
    return differences if long and refused and exchange.glance.status in (200, 400, 403, 404, 409, 500) else []


@declare("10.0 is 10, as Glance itself shows it from the next request on")
def whole_numbers(_exchange, differences):
    return [each for each in only(differences, "body.min_disk", "body.min_ram") if each.glance == each.imshare]


@declare("what HTTP has no name for is no failure of ours")
def methods_that_glance_has_not(exchange, differences):
    return (
        differences
        if exchange.step.method == "TRACE" and exchange.glance.status == 501 and exchange.imshare.status in (404, 405)
        else []
    )


@declare("a property of this name breaks every list of the recipients' Go clients")
def no_property_named_properties(exchange, differences):
    named = '"properties"' in (exchange.step.body or "") or '"/properties"' in (exchange.step.body or "")
    refused = exchange.imshare.status == 403 and "'properties'" in said(exchange.imshare)
    return differences if named and refused and exchange.glance.status in (200, 201, 400, 403, 404, 409) else []


@declare("a bad request is the caller's error, not ours")
def glance_fails(exchange, differences):
    if exchange.glance.status != 500:
        return []
    body = asked(exchange)
    names = {name for name, _ in arguments(exchange)}
    if exchange.step.method == "GET" and path_of(exchange) == "/v2/images":
        huge = any(name.endswith(("_min", "_max")) and len(value) > 19 for name, value in arguments(exchange))
        twice = [name for name, _ in arguments(exchange)].count("tags") > 1
        strange = names & {"foo_min", "members", "properties", "locations"}
        return differences if (huge or twice or strange) and exchange.imshare.status in (200, 400) else []
    if exchange.step.method == "POST" and path_of(exchange) == "/v2/images":
        return differences if not isinstance(body, dict) and exchange.imshare.status == 400 else []
    if exchange.step.method == "PATCH" and isinstance(body, list):
        pointers = [
            change.get(name, "") for change in changes_of(exchange) for name in ("path", "add", "replace", "remove")
        ]
        odd = [pointer for pointer in pointers if not isinstance(pointer, str)]
        return differences if odd and exchange.imshare.status == 400 else []
    return []


@declare("the media type says nothing on a path that has a version")
def versions_by_media_type(exchange, differences):
    accept = exchange.step.headers.get("Accept", "")
    versioned = re.match(r"/v2(\.\d+)?(/|$)", unquote(path_of(exchange))) or exchange.step.target == "<next>"
    said_so = accept == "application/vnd.openstack.images-v1" and exchange.glance.status == 300
    said_so = said_so or accept == "application/vnd.openstack.images-v2" and exchange.glance.status in (401, 404)
    other = re.match(r"/v(?!2)\d", unquote(path_of(exchange))) and exchange.imshare.status == 300
    answered = versioned and exchange.imshare.status not in (300, 500)
    return differences if said_so and (answered or other) else []
