# To be sourced: the release before this one, which is the commit that CHANGELOG.md names first.
# previous_commit sets $commit; then previous_build CARGO-ARGUMENT… builds it, once, and sets $built to the directory.
previous_commit() {
    commit=$(sed -n 's/^## .*commit \([0-9a-f]*\)$/\1/p' CHANGELOG.md | head -n 1)
    [[ -n $commit ]] || { echo "CHANGELOG.md names no commit of a release" >&2; exit 1; }
    echo "the previous release is commit $commit"
}

previous_build() {
    local source=target/previous/$commit
    if [[ ! -d $source ]]; then
        mkdir -p "$source.new"
        git archive "$commit" | tar -x -C "$source.new"
        mv "$source.new" "$source"
    fi
    # One target directory for all previous releases: they have most dependencies in common.
    CARGO_TARGET_DIR=$PWD/target/previous/build cargo build --locked --manifest-path "$source/Cargo.toml" "$@"
    built=target/previous/build/debug
}
