"""Tells schemathesis that a patch is JSON, which it cannot see from the media types."""

import schemathesis

schemathesis.serializer.alias(
    [
        "application/openstack-images-v2.0-json-patch",
        "application/openstack-images-v2.1-json-patch",
    ],
    "application/json",
)
