# To be sourced: serve BINARY starts a server in memory and sets $url to its address. $work is a directory for this run;
# the server's log is $work/log. Both go when the script ends.
work=$(mktemp -d)
server=

finish() {
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

serve() {
    local tries
    # Port 0 takes any free port, and the ready line names it.
    : >"$work/ready"
    "$1" serve --in-memory --listen 127.0.0.1:0 >"$work/ready" 2>"$work/log" &
    server=$!
    for ((tries = 0; tries < 300; tries++)); do
        url=$(sed -n 's/^listening on //p' "$work/ready")
        [[ -n $url ]] && return
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    echo "the server did not get ready" >&2
    cat "$work/log" >&2
    exit 1
}
