"""Extracts cfn-guard for this machine from the npm package that contains it: cfn_guard.py OUTPUT"""

import hashlib
import io
import platform
import sys
import tarfile
import urllib.request
from pathlib import Path

URL = "https://registry.npmjs.org/@cdklabs/cdk-validator-cfnguard/-/cdk-validator-cfnguard-0.0.62.tgz"
SHA512 = (
    "4a0da4f34ebb07400827cd901522e11d3508ab13984ca001bd5ad31e2c9cea3d"
    "2b136347962d9d88862a7fec3e0e4b8328261880c20e81adcead830e1d4c3499"
)

system = {"Linux": "ubuntu", "Darwin": "macos"}[platform.system()]
machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
with urllib.request.urlopen(URL, timeout=120) as answer:
    package = answer.read()
if hashlib.sha512(package).hexdigest() != SHA512:
    sys.exit(f"{URL}: not the package that is expected")
with tarfile.open(fileobj=io.BytesIO(package)) as archive:
    binary = archive.extractfile(f"package/bin/{system}/{machine}/cfn-guard").read()
output = Path(sys.argv[1])
part = output.with_suffix(".part")
part.write_bytes(binary)
part.chmod(0o755)
part.rename(output)
