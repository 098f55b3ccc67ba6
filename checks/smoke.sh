#!/usr/bin/env bash
# Tries a running service from outside, as its clients use it, and says what differs: checks/smoke.sh URL
# TOKEN is a token of a project that may create images. The script makes one image, and deletes it. It is for the first
# deployment (docs/first-deployment.md) and works with `imshare serve` too.
set -euo pipefail
url=${1%/}
: "${TOKEN:?set TOKEN to the token of a project}"

failed=0
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# try WHAT STATUS METHOD PATH [CURL-ARGUMENT…] sends one request, and compares the status with a pattern.
try() {
    local what=$1 expected=$2 method=$3 path=$4 found
    # The path as it is: curl would tidy dots away.
    found=$(curl --silent --show-error --path-as-is --max-time 60 --request "$method" --output "$answer" \
        --write-out '%{http_code}' "${@:5}" "$url$path") || found="no answer"
    if [[ $found =~ ^($expected)$ ]]; then
        printf 'ok      %-64s %s\n' "$what" "$found"
    else
        printf 'FAILED  %-64s %s, not %s\n' "$what" "$found" "$expected"
        head -c 400 "$answer"
        echo
        failed=$((failed + 1))
    fi
}

# holds WHAT PATTERN compares the last answer's body.
holds() {
    if grep -Eq -- "$2" "$answer"; then
        printf 'ok      %s\n' "$1"
    else
        printf 'FAILED  %s: %s\n' "$1" "$(head -c 400 "$answer")"
        failed=$((failed + 1))
    fi
}

# job WHAT waits for the job that the last answer names.
job() {
    local id status="" _
    id=$(grep -Eo '[0-9a-f]{32}' "$answer" | head -n 1) || true
    # Without an id there is nothing to wait for.
    for _ in ${id:+$(seq 60)}; do
        status=$(curl --silent --max-time 60 -H "X-Auth-Token: $TOKEN" "$url/v1/cloudimages/job/$id" |
            grep -Eo '"status": ?"(SUCCESS|FAIL)"' | head -n 1) || true
        [[ -z $status ]] || break
        sleep 1
    done
    printf '%s' "$status" >"$answer"
    holds "$1" SUCCESS
}

token=(-H "X-Auth-Token: $TOKEN")
json=(-H 'Accept: application/json')
nobody=00000000000000000000000000000000

echo "== without a token"
try "discovery" 300 GET /
try "health" 200 GET /healthcheck
try "an unknown version gets the choice" 300 GET /v9/images
try "a list" 401 GET /v2/images --dump-header "$answer.headers"
if ! grep -iq '^www-authenticate: keystone uri=' "$answer.headers"; then
    echo "FAILED  a 401 names Keystone"
    failed=$((failed + 1))
fi
rm -f "$answer.headers"
try "a preflight" 200 OPTIONS /v2/images -H 'Origin: https://nowhere.example'
try "a token that nobody has given" 401 GET /v2/images -H 'X-Auth-Token: a-token-that-nobody-gave'

echo "== with a token"
try "a list" 200 GET /v2/images "${token[@]}"
try "the header in lower case, over HTTP/2 where there is TLS" 200 GET /v2/images --http2 -H "x-auth-token: $TOKEN"
try "an image" 201 POST /v2/images "${token[@]}" -d '{"name": "smoke"}'
image=$(grep -Eo '"id": ?"[0-9a-f-]{36}"' "$answer" | head -n 1 | grep -Eo '[0-9a-f-]{36}') || image=none
try "another method" 405 HEAD /v2/images "${token[@]}" --head

echo "== spellings of a path"
try "two slashes" 200 GET //v2//images "${token[@]}" --location
try "a minor version" 200 GET /v2.9/images "${token[@]}" --location
try "a minor version, where no image is asked for" 200 GET /v2.9/info/stores "${token[@]}" --location
try "a slash at the end" 404 GET /v2/images/ "${token[@]}"
try "%2F in an id" 404 GET "/v2/images/$image/members/a%2Fb" "${token[@]}" "${json[@]}"
holds "%2F in an id is part of it" 'a/b'
try "%FF" 400 GET /v2/images/%FF "${token[@]}"
try "a path of 1,700 bytes: the gateway says 414, the local server 404" '414|404' GET "/v2/images/$(printf 'x%.0s' {1..1700})" "${token[@]}"

echo "== bodies"
try "a body of more than 1 MiB" 413 POST /v2/images "${token[@]}" --data-binary @<(head -c 1100000 /dev/zero | tr '\0' x)
try "a batch" 200 POST /v1/cloudimages/members "${token[@]}" -d "{\"images\": [\"$image\"], \"projects\": [\"$nobody\"]}"
job "a batch ends"
try "a DELETE with a body" 200 DELETE /v1/cloudimages/members "${token[@]}" -d "{\"images\": [\"$image\"], \"projects\": [\"$nobody\"]}"
job "a DELETE with a body has been read"
try "the console, compressed" 200 GET /console --compressed
holds "the console is a page" '<title'

try "the image is deleted" 204 DELETE "/v2/images/$image" "${token[@]}"
if ((failed)); then
    echo "$failed failed"
    exit 1
fi
echo "all well"
