#!/usr/bin/env bash
# Checks that the feature dev-identity, which authenticates callers by a file, compiles, and that a release build
# refuses it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# With all targets, as in CI's clippy run before: with other features the dependencies would be built again.
check=(cargo clippy --locked --workspace --all-targets --features dev-identity)
"${check[@]}" -- -D warnings
# Shows what a release build says without building one: only the crate that checks has no debug assertions.
if said=$("${check[@]}" --config 'profile.dev.package.shared.debug-assertions=false' 2>&1); then
    echo "a release build takes dev-identity" >&2
    exit 1
fi
if ! grep -q "dev-identity is for development" <<<"$said"; then
    echo "$said" >&2
    exit 1
fi
echo "a release build refuses dev-identity"
