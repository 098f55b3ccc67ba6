#!/usr/bin/env bash
# Installs the viewer of /docs from npm, pinned and verified: local/docs/vendor.sh
# With --check it changes nothing and fails if the files here differ from npm's.
# The viewer is OpenAPI Explorer, one file without dependencies, Apache-2.0. For another version, change it and the
# integrity, which `npm view openapi-explorer@VERSION dist.integrity` prints.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

version=2.4.820
integrity=sha512-mHSIxkQS57/QDZtLJKZL4zmsR2HStgBI4PbrgYr/+i+Bk+HgRwdtBRN1n0uUnlHUenpyiOJAKPGleThm5rdhsA==
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

curl --fail --silent --show-error --location --output "$work/package.tgz" \
    "https://registry.npmjs.org/openapi-explorer/-/openapi-explorer-$version.tgz"
found=sha512-$(sha512sum "$work/package.tgz" | python3 -c \
    'import base64, sys; print(base64.b64encode(bytes.fromhex(sys.stdin.read().split()[0])).decode())')
if [[ $found != "$integrity" ]]; then
    echo "openapi-explorer $version is $found, not $integrity" >&2
    exit 1
fi
tar -xzf "$work/package.tgz" -C "$work"
viewer=$work/package/dist/browser/openapi-explorer.min.js

# Compressed it is a third of the size, and browsers get it as it is.
if [[ ${1:-} != --check ]]; then
    gzip -9 --no-name --stdout "$viewer" >openapi-explorer.min.js.gz
    cp "$work/package/LICENSE" LICENSE
fi
gzip --decompress --stdout openapi-explorer.min.js.gz | cmp - "$viewer"
cmp LICENSE "$work/package/LICENSE"
echo "openapi-explorer $version: as npm has it"
