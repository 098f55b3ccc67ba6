#!/usr/bin/env bash
# Copies the two libraries of the console from npm, pinned in package-lock.json, into vendor/: Preact (rendering) and htm
# (templates without a build step). Both are modules without dependencies. Run it after changing a version.
# With --check it writes nothing and fails if vendor/ is not what npm has.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

[[ -d node_modules/preact && -d node_modules/htm ]] || npm ci --silent --no-audit --no-fund

into=vendor
[[ ${1:-} == --check ]] && into=$(mktemp -d)

# module FROM TO: a copy that a browser can load, without bare names of modules and without a source map.
module() {
    sed -e 's|from"preact"|from"./preact.js"|g' -e '/^\/\/# sourceMappingURL=/d' "node_modules/$1" >"$into/$2"
}
module preact/dist/preact.mjs preact.js
module preact/hooks/dist/hooks.mjs hooks.js
module htm/dist/htm.mjs htm.js
cp node_modules/preact/LICENSE "$into/preact.LICENSE"
cp node_modules/htm/LICENSE "$into/htm.LICENSE"

if [[ $into != vendor ]]; then
    diff -r -x '*.d.ts' "$into" vendor
    rm -r "$into"
fi
