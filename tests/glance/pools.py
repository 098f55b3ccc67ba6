"""Values that requests are made of: valid ones, and invalid ones that a client could send."""

LONG = "n" * 255
TOO_LONG = "n" * 256

NAMES = ["alpha", "beta", "gamma", "", "x y", "a,b", "ümlaut", 'q"q', "eq:alpha", "%", "_", LONG]
FOUR_BYTES = "\U0001f600"
TAGS = ["red", "blue", "x y", "é", "a,b", "", LONG, TOO_LONG, "red"]
PATH_TAGS = ["red", "blue", "x%20y", "%C3%BC", "a,b", "a%2Fb", "%20", LONG, TOO_LONG, "%F0%9F%98%80"]
DISK_FORMATS = ["qcow2", "raw", "iso", "vmdk"]
CONTAINER_FORMATS = ["bare", "ovf", "docker"]
VISIBILITIES = ["shared"] * 5 + ["private", "private", "community", "public"]
# Property names that an image may have, and some that it may not.
PROPERTIES = ["os_distro", "hw_disk_bus", "k", "ünicode", "a b", "a/b", "a~b", LONG]
RESERVED = [
    "location", "deleted", "deleted_at", "os_glance_x", "self", "file", "schema", "stores", "direct_url",
    "size", "virtual_size", "status", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at",
    "locations", "properties", "image_id", "member", "members", "extra_properties", "", TOO_LONG,
]  # fmt: skip
# Values of base properties, with some of wrong types.
BASE = {
    "name": [*NAMES, None, TOO_LONG, 5, FOUR_BYTES],
    "visibility": ["shared", "private", "community", "public", "all", "secret", None, 1],
    "tags": [[], ["red"], ["ü"], ["red", "red"], ["a", "b", "c"], [TOO_LONG], "red", [5], None],
    "protected": [False, False, True, "true", 1, None],
    "os_hidden": [False, True, "x", None],
    "min_disk": [0, 1, 10, 10.0, -1, 1.5, "1", None, 2147483648, True],
    "min_ram": [0, 1, 512, -1, 1.5, "1", None, 2147483648],
    "disk_format": [*DISK_FORMATS, "QCOW2", "nope", "", None, 5],
    "container_format": [*CONTAINER_FORMATS, "nope", "", None],
    "owner": ["<project:owner>", "<project:member>", "", None, 5, TOO_LONG],
    "id": ["<absent>", "nope", "<IMAGE:5>", "", None, 5],
    "locations": [[], [{"url": "x", "metadata": {}}], [{"url": "x"}], [5, {}], "x"],
}
VALUES = ["x", "", "ü", "a,b", 5, None, True, ["x"], {"a": 1}, 1.5, TOO_LONG]

# Pointers of a PATCH that are not just a property name.
POINTERS = [
    "name", "/", "", "/name/", "//name", "/tags/0", "/tags/-", "/name/x", "/~2", "/ k", "/k ", 5, None, "/locations/0",
    "/locations", "/locations/-", "/ ", "/k/", "/a~", "/KEY",
]  # fmt: skip

STATUSES = ["accepted", "rejected", "pending"]
BAD_STATUSES = ["", "ACCEPTED", "nope", None, 5, ["accepted"], {}]
MEMBERS = ["<project:member>"] * 4 + ["<project:member2>"] * 2 + ["<project:third>", "<project:owner>", "somebody"]
BAD_MEMBERS = ["", None, " ", 5, True, ["x"], {}, TOO_LONG, LONG, "ü", "a/b", "a b", FOUR_BYTES]
# Bodies that are not the expected object.
BODIES = [
    "",
    "{",
    "[]",
    "{}",
    "null",
    "5",
    '"x"',
    "true",
    "[{}]",
    '{"member": NaN}',
    '{"a": 1, "a": 2}',
    " ",
    "\ufeff{}",
]

ACCEPTS = [None] * 4 + ["application/json"] * 5 + ["*/*", "text/html", "text/plain"]
ODD_ACCEPTS = [
    "application/json, text/html", "text/html;q=0.5, application/json", "garbage", "application/json;q=abc",
    "application/json; charset=utf-8", "application/*", "text/*", "", "application/xml", "application/json;q=0",
    "application/json, */*;q=0.1", "APPLICATION/JSON", "text/plain, application/json",
    "application/json;q=0.1, text/plain",    "application/json,application/json", "*/*;q=0",
    "text/html;level=1", "application/xhtml+xml", "*",
    "application/json;",
]  # fmt: skip
VERSION_ACCEPTS = ["application/vnd.openstack.images-v2", "application/vnd.openstack.images-v1"]
PATCHES = ["application/openstack-images-v2.1-json-patch"] * 12 + [
    "application/openstack-images-v2.0-json-patch",
    "application/openstack-images-v2.1-json-patch; charset=utf-8",
    "application/json",
    "application/json-patch+json",
    "APPLICATION/OPENSTACK-IMAGES-V2.1-JSON-PATCH",
    "",
]

# Query parameters of a list: a name and its values, which are encoded when sent.
TIMES = [
    "2020-01-01T00:00:00Z", "gt:2020-01-01T00:00:00Z", "gte:2020-01-01", "lt:2100-01-01T00:00:00Z", "lte:2100",
    "eq:2020-01-01T00:00:00Z", "neq:2020-01-01T00:00:00Z", "gt:2020-01", "gt:2020-1-1", "gt:20200101T000000Z",
    "gt:2020-01-01T00:00:00", "gt:2020-01-01T00:00Z", "gt:2020-01-01%2000:00:00", "gt:2020-01-01T00:00:00%2B0100",
    "gt:2020-01-01T00:00:00%2B01", "gt:2020-01-01T00:00:00-01:00", "gt:2020-01-01T00:00:00.5Z",
    "gt:2020-01-01T00:00:60Z", "gt:2020-01-01t00:00:00z", "gt:2020-02-30", "gt:2020-W01", "gt:", "", "gt", "x:2020",
    "foo:2020-01-01T00:00:00Z", "nope", "in:2020-01-01", "gt:2020-01-01T24:00:00Z", "gt:2020-01-01T00:00:00,5Z",
    "gt:2020-001", "gt:1969-01-01", "gt:2020-01-01T00", "gt:%202020-01-01",
]  # fmt: skip
NUMBERS = [
    "0",
    "1",
    "10",
    "512",
    "%2B0",
    "1.0",
    "00",
    "%201",
    "-1",
    "x",
    "",
    "1e1",
    "99999999999999999999",
    "0x1",
    "1_0",
]
FILTERS = {
    "name": ["alpha", "beta", "", "x%20y", "in:alpha,beta", 'in:"a,b",alpha', "in:", "in:alpha", "eq:alpha",
             "eq:eq:alpha", "neq:alpha", "foo:bar", "a:", "a,b", "%C3%BCmlaut", "ALPHA", 'in:a"b"', 'in:"a"x',
             'in:"a\\"b"', 'in:"', "in:,", "q%22q", "%25", "_", "like:a", ":", "%FF", "eq:", "in:alpha,,beta"],
    "id": ["<image:0>", "in:<image:0>,<image:1>", "<absent>", "nope", "eq:<image:0>", "<IMAGE:0>", "neq:<image:0>", ""],
    "status": ["queued", "active", "deactivated", "in:queued,active", "eq:queued", "nope", "", "foo:queued", "QUEUED"],
    "disk_format": ["qcow2", "in:qcow2,raw", "eq:raw", "nope", "", "neq:raw", "null", "None"],
    "container_format": ["bare", "in:bare,ovf", "eq:bare", "nope", ""],
    "visibility": ["shared", "private", "community", "public", "all", "nope", "", "in:shared", "SHARED"],
    "owner": ["<project:owner>", "<project:member>", "<project:admin>", "nope", "", "in:<project:owner>",
              "eq:<project:owner>"],
    "member_status": ["accepted", "pending", "rejected", "all", "nope", "", "ALL"],
    "tag": ["red", "blue", "x%20y", "nope", "", "%C3%A9", "in:red", "a,b", "RED"],
    "protected": ["true", "false", "True", "1", "0", "nope", "", "yes", "t", "on", "off"],
    "os_hidden": ["true", "false", "True", "1", "nope", "", "yes"],
    "min_disk": NUMBERS, "min_ram": NUMBERS, "size_min": NUMBERS, "size_max": NUMBERS, "size": NUMBERS,
    "name_max": ["5", "x"], "id_min": ["5"], "created_at_min": ["5", "x"], "protected_max": ["0"], "foo_min": ["5", "x"],
    "checksum": ["x", ""], "os_hash_value": ["x"], "os_hash_algo": ["sha512", "x"],
    "created_at": TIMES, "updated_at": TIMES,
    "limit": ["1", "2", "3", "0", "1000", "1001", "-1", "x", "", "%201", "1.5", "%2B2", "99999999999999999999"],
    "marker": ["<image:0>", "<image:1>", "<image:2>", "<absent>", "nope", "", "<IMAGE:0>"],
    "sort_key": ["name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at", "nope",
                 "", "min_disk", "%20name", "NAME"],
    "sort_dir": ["asc", "desc", "ASC", "nope", "", "%20asc"],
    "sort": ["name", "name:asc", "name:asc,created_at:desc", "size:desc,id:asc", "nope", "", "name:nope", ":asc",
             "name:", "name:asc,", "status,name:asc", "name,name", "id:asc", "%20name:asc%20"],
    "os_distro": ["x", "", "ubuntu", "in:x", "eq:x"], "k": ["x", "5", "", "None"], "a%20b": ["x"],
    "deleted": ["true", "false", "nope"], "changes-since": ["2020-01-01T00:00:00Z", "nope", ""],
    "is_public": ["true"], "properties": ["x"], "members": ["x"], "locations": ["x"], "tags": ["red"],
    "nonsense": ["x"], "%FF": ["x"], "image_id": ["<image:0>"], "property-k": ["x"], "virtual_size": ["0", "x"],
    "file": ["x"], "self": ["x"], "schema": ["x"], "stores": ["x"], "direct_url": ["x"],
}  # fmt: skip

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"]
SCHEMAS = ["image", "images", "member", "members", "task", "tasks", "Image", "nope", ""]
# Unusual paths.
PATHS = [
    "/", "//", "/v2", "/v2/", "/v1", "/v3", "/v2.0", "/v2.9/images", "/v2.18/images", "/v2.19/images", "/v2.09/images",
    "/versions", "/versions/", "/versions/x", "/healthcheck", "/healthcheck/", "/healthcheck/x", "/nope", "/v2/nope",
    "/v2/images/", "/v2//images", "//v2/images", "/v2/images/<image:0>/", "/v2/images//<image:0>",
    "/v2/images//members",    "/v2/images/<image:0>//members", "/v2/images/<image:0>/members/",
    "/v2/images/<image:0>/members//",
    "/v2/%69mages", "/%762/images", "/v2%2Fimages", "/v2/images/<image:0>/%6Dembers", "/v2/images%2F<image:0>",
    "/v2/images/.", "/v2/images/..", "/v2/images/<image:0>/.", "/v2/images/<image:0>/..", "/v2/./images",
    "/v2/../v2/images", "/v2/images/%2E", "/v2/images/<image:0>/nope", "/v2/images/<image:0>/members/x/y",
    "/v2/images/<image:0>/tags", "/v2/images/<image:0>/tags/", "/v2/images/<image:0>/actions",
    "/v2/images/<image:0>/actions/", "/v2/images/<image:0>/actions/nope", "/v2/images/<image:0>/%20",
    "/v2/images/%FF", "/v2/images/<image:0>/members/%FF", "/v2/%FF", "/%FF", "/v2/images/%20<image:0>",
    "/v2/images/<image:0>%20", "/v2/images/<image:0>;x", "/v2/images;x", "/v2/images?", "/v2/images?&", "/v2/images?=x",
    "/v2/images?name", "/v2/images?name=alpha;limit=1", "/v2/images?limit=1&&", "/V2/images", "/v2/Images",
    "/v2/images/%3Cimage%3E", "/v2/images/<image:0>/members/%3Cb%3E", "/v2/images/a%2Fb", "/images",
    "/images/<image:0>",    "/v2/info", "/v2/info/import", "/v2/info/stores", "/v2/info/stores/detail",
    "/v2/info/usage", "/v2/info/nope",
    "/v2/info/", "/v2/tasks", "/v2/tasks/<absent>", "/v2/tasks?limit=1", "/v2/tasks?limit=x", "/v2/tasks?status=nope", "/v2/tasks/",
    "/v2/images/<image:0>/tasks", "/v2/images/<absent>/tasks", "/v2/schemas", "/v2/schemas/", "/v2/schemas/image/x",
    "/v2/metadefs/namespaces", "/v2/metadefs/nope", "/v2/schemas/metadefs/namespace", "/v2/cache",
    "/v2/cache/<image:0>", "/v2/stores/files/<image:0>", "/v2/images/<image:0>/file", "/v2/images/<image:0>/stage",
    "/v2/images/<image:0>/import", "/v2/images/<image:0>/locations",
]  # fmt: skip
