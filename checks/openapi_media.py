"""A patch is JSON, which the names of its media types do not tell schemathesis."""

import schemathesis

schemathesis.serializer.alias(
    [
        "application/openstack-images-v2.0-json-patch",
        "application/openstack-images-v2.1-json-patch",
    ],
    "application/json",
)
