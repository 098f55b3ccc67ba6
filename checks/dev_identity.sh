#!/usr/bin/env bash
# The feature dev-identity, which lets callers in by a file, compiles; a release build refuses it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# With all targets, as CI has it before: other features would build the dependencies anew.
check=(cargo clippy --locked --workspace --all-targets --features dev-identity)
"${check[@]}" -- -D warnings
# What a release build says, without building one: only the crate that asks is without debug assertions.
if said=$("${check[@]}" --config 'profile.dev.package.shared.debug-assertions=false' 2>&1); then
    echo "a release build takes dev-identity" >&2
    exit 1
fi
if ! grep -q "dev-identity is for development" <<<"$said"; then
    echo "$said" >&2
    exit 1
fi
echo "a release build refuses dev-identity"
