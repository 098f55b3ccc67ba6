"""Starts the AWS emulator, with additions for what the template relies on and it lacks.

Run as a program: the environment says where it listens (see conftest.py).
"""

import json
import os
import re
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import ministack.core.iam_actions as iam
import ministack.core.lambda_runtime as runtime

# Patch before the functions' service is loaded, which imports this by name.
sessions = {}
execution_credentials = runtime.execution_credentials


def remembered_credentials(config):
    credentials = execution_credentials(config)
    sessions[credentials["AWS_SESSION_TOKEN"]] = credentials
    return credentials


runtime.execution_credentials = remembered_credentials

# An update lets the invocations that are under way end. The emulator would kill them.
updating = threading.local()
kill_workers, invalidate_worker = runtime.kill_workers, runtime.invalidate_worker


def kill_when_free(worker):
    # No function of the template may run for longer.
    for _ in range(600):
        if not worker.in_use:
            break
        time.sleep(0.1)
    kill_workers([worker])


def kill(workers):
    for worker in [each for each in workers if each and each.in_use and getattr(updating, "now", False)]:
        workers.remove(worker)
        threading.Thread(target=kill_when_free, args=[worker], daemon=True).start()
    kill_workers(workers)


def invalidate(name, qualifier=None, **scope):
    updating.now = qualifier == "$LATEST"
    try:
        invalidate_worker(name, qualifier, **scope)
    finally:
        updating.now = False


runtime.kill_workers, runtime.invalidate_worker = kill, invalidate

import ministack.services.apigateway_v1 as api  # noqa: E402

import ministack.services.lambda_svc as functions  # noqa: E402

# A parameter is text, also where a number is expected.
sqs_concurrency = functions._sqs_esm_concurrency


def concurrency(mapping, *rest):
    scaling = {name: int(value) for name, value in (mapping.get("ScalingConfig") or {}).items()}
    return sqs_concurrency({**mapping, "ScalingConfig": scaling}, *rest)


functions._sqs_esm_concurrency = concurrency

# ANY methods and gateway responses of an OpenAPI body.
api._OPENAPI_HTTP_METHODS.add("any")
import_path_item, import_rest_api = api._import_path_item, api._import_rest_api


def path_item(api_id, path, methods, *rest):
    named = {"any" if k == "x-amazon-apigateway-any-method" else k: v for k, v in methods.items()}
    return import_path_item(api_id, path, named, *rest)


def rest_api(spec, base_data=None):
    api_id = import_rest_api(spec, base_data)
    for kind, response in (spec.get("x-amazon-apigateway-gateway-responses") or {}).items():
        api._put_gateway_response(api_id, kind, response)
    return api_id


api._import_path_item, api._import_rest_api = path_item, rest_api

# The actions for several messages are authorized as those for one.
extract_iam_action = iam.extract_iam_action


def iam_action(*args, **kwargs):
    action = extract_iam_action(*args, **kwargs)
    # The emulator knows no action for some requests.
    if action and action.startswith("sqs:"):
        return action.removesuffix("Batch")
    # A statement is authorized by what it does. Functions send none that writes.
    return "dynamodb:PartiQLSelect" if action == "dynamodb:ExecuteStatement" else action


iam.extract_iam_action = iam_action

# The resource of a statement is the index that it names.
dynamodb_resource_arns = iam.dynamodb_resource_arns


def dynamodb_arns(body, *rest):
    named = re.search(r'FROM "([^"]+)"\."([^"]+)"', json.loads(body or b"{}").get("Statement") or "")
    if named:
        body = json.dumps({"TableName": named[1], "IndexName": named[2]}).encode()
    return dynamodb_resource_arns(body, *rest)


iam.dynamodb_resource_arns = dynamodb_arns

# The condition key dynamodb:LeadingKeys: the partition keys in a request.
dynamodb_service_context = iam.dynamodb_service_context


def partition_keys(request, found):
    """Adds the partition keys of a request, of its parts and of a query's conditions."""
    if isinstance(request, list):
        for part in request:
            partition_keys(part, found)
    elif isinstance(request, dict):
        for name, part in request.items():
            if name == "pk" and isinstance(part, dict) and "S" in part:
                found.append(part["S"])
            else:
                partition_keys(part, found)
        condition = re.match(r"(\S+) = (:\w+)", request.get("KeyConditionExpression") or "")
        if condition:
            found.append(request["ExpressionAttributeValues"][condition[2]]["S"])
    return found


def dynamodb_context(body):
    keys = partition_keys(json.loads(body or b"{}"), [])
    return {**dynamodb_service_context(body), **({"dynamodb:LeadingKeys": keys} if keys else {})}


iam.dynamodb_service_context = dynamodb_context


def secrets_of(session):
    """A client with the credentials of a function's sandbox."""
    return boto3.client(
        "secretsmanager",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
        aws_access_key_id=session["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=session["AWS_SESSION_TOKEN"],
    )


# A process's first client reads files for seconds, which is longer than a function waits.
secrets_of(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "nobody"))


class SecretsExtension(BaseHTTPRequestHandler):
    """The secrets extension of the functions' sandbox, with the function's own role."""

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        secret = urllib.parse.parse_qs(url.query)["secretId"][0]
        client = secrets_of(sessions[self.headers["X-Aws-Parameters-Secrets-Token"]])
        try:
            status, answer = 200, {"SecretString": client.get_secret_value(SecretId=secret)["SecretString"]}
        except client.exceptions.ClientError as error:
            status, answer = 400, {"message": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


extension = ThreadingHTTPServer(("127.0.0.1", 0), SecretsExtension)
threading.Thread(target=extension.serve_forever, daemon=True).start()
# The functions get the emulator's environment in addition to their own.
os.environ["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"] = str(extension.server_port)

import ministack.app as app  # noqa: E402

# Requests count as sent by TLS, which AWS's own clients always use. A test that makes this file tries it without.
pin_request_origin = app.pin_request_origin
app.pin_request_origin = lambda address, _: pin_request_origin(address, not os.path.exists("without-tls"))

sys.argv[0] = "ministack"
sys.exit(app.main())
