"""Fixtures: the emulator, a fake Keystone, and the template, deployed once for all tests."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import uuid

import boto3
import pytest
import requests
from botocore.config import Config
from samtranslator.yaml_helper import yaml_parse

from keystone import PASSWORD, PROJECTS, Keystone, token

ROOT = pathlib.Path(__file__).parents[2]
REGION = "us-east-1"
FAILED = pytest.StashKey()
NAME = "imshare"
# An origin whose pages may read responses; the list has a second one after it.
ORIGIN = "https://console.example"
PARAMETERS = {
    "CorsOrigins": f"{ORIGIN},http://localhost:8080",
    "Architecture": "x86_64",
    # The emulator's event source does not have this setting.
    "WorkerConcurrency": "0",
    "TableDeletionProtection": "false",
}


class Cloud:
    """An emulated AWS account."""

    def __init__(self, work):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.work = work
        self.environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": self.url,
            "SAM_CLI_TELEMETRY": "0",
            # By default it listens on every address of the machine.
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            # Signatures are checked and policies enforced.
            "AUTH": "true",
        }
        program = [sys.executable, str(ROOT / "tests/deploy/emulator.py")]
        with (work / "emulator.log").open("wb") as log:
            self.process = subprocess.Popen(program, env=self.environment, cwd=work, stdout=log, stderr=log)
        for _ in range(600):
            try:
                requests.get(f"{self.url}/_ministack/health", timeout=5)
                return
            except requests.ConnectionError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise RuntimeError((work / "emulator.log").read_text()[-4000:])

    def client(self, service):
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}),
        )

    def deploy(self, template, **parameters):
        """Runs `sam deploy` and returns its output; raises if it fails.

        Parameters that the template does not have are left out.
        """
        known = json.loads(pathlib.Path(template).read_text())["Parameters"]
        values = {name: value for name, value in {**PARAMETERS, **parameters}.items() if name in known}
        overrides = [f"{name}={value}" for name, value in values.items()]
        command = [os.environ["SAM"], "deploy", "--template-file", template, "--stack-name", NAME, "--region", REGION]
        command += ["--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
        command += ["--no-progressbar", "--no-fail-on-empty-changeset", "--parameter-overrides", *overrides]
        done = subprocess.run(command, env=self.environment, cwd=self.work, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr)[-4000:])
        return done.stdout

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Stack:
    """The deployed template, and its API."""

    def __init__(self, cloud, template, parameters):
        self.cloud, self.template, self.parameters = cloud, template, parameters
        self.calls = 0
        cloud.deploy(template, **parameters)
        self.look()

    def look(self):
        """Reads the stack's resources."""
        stacks = self.cloud.client("cloudformation")
        outputs = stacks.describe_stacks(StackName=NAME)["Stacks"][0]["Outputs"]
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in outputs}
        pages = stacks.get_paginator("list_stack_resources").paginate(StackName=NAME)
        resources = [each for page in pages for each in page["StackResourceSummaries"]]
        self.resources = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
        self.api, self.stage = re.fullmatch(r"https://(\w+)\.execute-api\.[^/]+/(\w+)", self.outputs["ApiUrl"]).groups()

    def update(self, **parameters):
        self.parameters = {**self.parameters, **parameters}
        self.cloud.deploy(self.template, **self.parameters)
        self.look()

    def call(self, who, method, path, body=None, headers=None):
        """Sends a request with the token of `who`, or without one."""
        self.calls += 1
        headers = {"Host": f"{self.api}.execute-api.localhost:{self.cloud.port}", **(headers or {})}
        if who:
            headers["X-Auth-Token"] = token(who) if who in PROJECTS else who
        url = f"{self.cloud.url}/{self.stage}{path}"
        data = None if body is None else json.dumps(body)
        return requests.request(method, url, data=data, headers=headers, timeout=60, allow_redirects=False)

    def image(self, **fields):
        """Creates an image of the owner."""
        answer = self.call("owner", "POST", "/v2/images", {"id": str(uuid.uuid4()), **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def share(self, image, who="member"):
        body = {"member": PROJECTS[who][0]}
        answer = self.call("owner", "POST", f"/v2/images/{image}/members", body)
        assert answer.status_code == 200, answer.text

    def job(self, who, job, seconds=120):
        """Waits for the job to end."""
        end = time.monotonic() + seconds
        while True:
            answer = self.call(who, "GET", f"/v1/cloudimages/job/{job}")
            assert answer.status_code == 200, answer.text
            if answer.json()["status"] in ("SUCCESS", "FAIL"):
                return answer.json()
            assert time.monotonic() < end, answer.text
            time.sleep(0.5)

    def log(self, function):
        """Everything that a function has logged."""
        group = f"/aws/lambda/{NAME}/{function}"
        logs = self.cloud.client("logs")
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return ""
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return "\n".join(event["message"] for page in pages for event in page["events"])


@pytest.fixture(scope="session")
def keystone():
    keystone = Keystone()
    yield keystone
    keystone.shutdown()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.stop()


def deployable(source, code, path):
    """Writes the template with the built binaries in place of their source, and returns where it is."""
    parsed = yaml_parse(source.read_text())
    del parsed["Globals"]["Function"]["CodeUri"]
    for resource in parsed["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            resource["Properties"]["CodeUri"] = f"{code}/{binary}"
    # The emulator supports alarms on one metric only; these sum several.
    resources = parsed["Resources"].items()
    parsed["Resources"] = {name: each for name, each in resources if "Metrics" not in each.get("Properties", {})}
    path.write_text(json.dumps(parsed))
    return str(path)


@pytest.fixture(scope="session")
def template(cloud):
    return deployable(ROOT / "template.yaml", os.environ["CODE"], cloud.work / "template.json")


@pytest.fixture(scope="session")
def needed(cloud, keystone):
    """The parameters without a default."""
    fields = {"KEYSTONE_USERNAME": "imshare", "KEYSTONE_PASSWORD": PASSWORD}
    secrets = cloud.client("secretsmanager")
    secret = secrets.create_secret(Name="imshare/keystone", SecretString=json.dumps(fields))
    # Stands for the layer with the extension; the emulator has an extension of its own.
    archive = b"PK\x05\x06" + bytes(18)
    layer = cloud.client("lambda").publish_layer_version(LayerName="secrets", Content={"ZipFile": archive})
    return {
        "KeystoneUrl": keystone.url,
        "KeystoneSecretArn": secret["ARN"],
        "SecretsExtensionArn": layer["LayerVersionArn"],
    }


@pytest.fixture(autouse=True)
def troubles(request, stack):
    """Shows the functions' errors with a test that has failed."""
    yield
    if request.node.stash.get(FAILED, False):
        for function in sorted(path.name for path in (ROOT / "functions").iterdir()):
            for line in stack.log(function).splitlines():
                if '"level":"WARN"' in line or '"level":"ERROR"' in line:
                    print(function, line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def stack(cloud, template, needed):
    stack = Stack(cloud, template, needed)
    yield stack
    print(f"\n{stack.calls} requests to {len(stack.resources)} resources")
