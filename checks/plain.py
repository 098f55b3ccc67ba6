"""Checks a template against SAM's model and writes the CloudFormation that SAM makes of it:
plain.py TEMPLATE OUTPUT [PARAMETER=VALUE…]"""

import json
import logging
import sys
from pathlib import Path

from samtranslator.internal.schema_source.schema import SamModel
from samtranslator.intrinsics.actions import RefAction
from samtranslator.intrinsics.resolver import IntrinsicsResolver
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

logging.disable(logging.ERROR)


class NoManagedPolicies:
    def load(self):
        return {}


source, plain = map(Path, sys.argv[1:3])
given = dict(argument.split("=", 1) for argument in sys.argv[3:])
template = yaml_parse(source.read_text())
parameters = {name: each.get("Default", "given") for name, each in template["Parameters"].items()}
if given.keys() - parameters.keys():
    sys.exit(f"{source}: no such parameters: {given.keys() - parameters.keys()}")
parameters.update(given)

# SAM inserts the values of parameters first, so it accepts them where its model has a string.
resolver = IntrinsicsResolver(parameters, {RefAction.intrinsic_name: RefAction()})
api = template["Resources"]["Api"]["Properties"]
api["Auth"] = resolver.resolve_parameter_refs(api["Auth"])
try:
    SamModel.parse_obj(template)
except ValueError as error:
    # The model tries every type of resource; the errors with the longest path are those of the right one.
    deepest = max(len(each["loc"]) for each in error.errors())
    for each in error.errors():
        if len(each["loc"]) == deepest:
            print(f"{source}: {'/'.join(map(str, each['loc']))}: {each['msg']}")
    sys.exit(1)
# SAM requires code that is already in a bucket.
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
plain.write_text(json.dumps(transform(template, parameters, NoManagedPolicies()), indent=1))
