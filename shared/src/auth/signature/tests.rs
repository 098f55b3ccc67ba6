use super::*;

const KEY: &str = "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc";
const SIGNED: [&str; 3] = ["content-type", "host", "x-sdk-date"];

fn headers() -> HeaderMap {
    [
        ("content-type", "application/json"),
        ("host", "service.region.example.com"),
        ("x-sdk-date", "20191115T033655Z"),
    ]
    .into_iter()
    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
    .collect()
}

const QUERY: &str = "marker=13551d6b-755d-4757-b956-536f674975c0&limit=2";

fn request(headers: &HeaderMap) -> Signable<'_> {
    Signable {
        method: "GET",
        path: "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs/",
        query: QUERY,
        headers,
        body: b"",
    }
}

/// The example of the algorithm's documentation.
#[test]
fn the_published_example_has_its_signature() {
    let (headers, key) = (headers(), Secret::new(KEY.to_owned()));
    let request = request(&headers);
    let authorization = sign(request, &SIGNED, "AK", &key).unwrap();
    assert_eq!(
        authorization,
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=content-type;host;x-sdk-date, \
         Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
    );
    let claim = Claim::read(&authorization)
        .unwrap()
        .unwrap_or_else(|_| panic!());
    assert_eq!(claim.access, "AK");
    assert_eq!(claim.check(request, &key), Ok(()));
}

#[test]
fn what_is_signed_cannot_be_changed() {
    let (headers, key) = (headers(), Secret::new(KEY.to_owned()));
    let good = request(&headers);
    let authorization = sign(good, &SIGNED, "AK", &key).unwrap();
    let claim = Claim::read(&authorization)
        .unwrap()
        .unwrap_or_else(|_| panic!());
    let other_query = QUERY.replace("limit=2", "limit=3");
    let mut other_host = headers.clone();
    other_host.insert("host", "elsewhere".parse().unwrap());
    let mut two_hosts = headers.clone();
    two_hosts.append("host", "elsewhere".parse().unwrap());
    let mut unsigned = headers.clone();
    unsigned.insert("accept", "*/*".parse().unwrap());
    let mut digest = headers.clone();
    digest.insert(CONTENT_DIGEST, UNSIGNED.parse().unwrap());
    for (what, changed, fine) in [
        ("nothing", good, true),
        (
            "a header that is not signed",
            Signable {
                headers: &unsigned,
                ..good
            },
            true,
        ),
        (
            "one more slash",
            Signable {
                path: "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs//",
                ..good
            },
            false,
        ),
        (
            "the last slash",
            Signable {
                path: good.path.trim_end_matches('/'),
                ..good
            },
            true,
        ),
        (
            "the method",
            Signable {
                method: "DELETE",
                ..good
            },
            false,
        ),
        (
            "the path",
            Signable {
                path: "/v1/x/vpcs/",
                ..good
            },
            false,
        ),
        (
            "the query",
            Signable {
                query: &other_query,
                ..good
            },
            false,
        ),
        (
            "a signed header",
            Signable {
                headers: &other_host,
                ..good
            },
            false,
        ),
        (
            "one header more",
            Signable {
                headers: &two_hosts,
                ..good
            },
            false,
        ),
        (
            "the body",
            Signable {
                body: b"{}",
                ..good
            },
            false,
        ),
        (
            "the body's digest",
            Signable {
                headers: &digest,
                ..good
            },
            false,
        ),
    ] {
        assert_eq!(claim.check(changed, &key).is_ok(), fine, "{what}");
    }
    let other_key = Secret::new(KEY.to_lowercase());
    assert_eq!(claim.check(good, &other_key), Err(BadSignature::Signature));
}

#[test]
fn a_body_is_unsigned_if_the_signer_says_so() {
    let (mut headers, key) = (headers(), Secret::new(KEY.to_owned()));
    headers.insert(CONTENT_DIGEST, UNSIGNED.parse().unwrap());
    let (mut digest, mut none) = (headers.clone(), headers.clone());
    digest.insert(
        CONTENT_DIGEST,
        hex::encode(Sha256::digest("[]")).parse().unwrap(),
    );
    none.remove(CONTENT_DIGEST);
    let of = |headers, body| Signable {
        body,
        ..request(headers)
    };
    let signed = vec!["host", CONTENT_DIGEST, DATE];
    let claim = |body, payload: &str| {
        let sent = of(&headers, body);
        let mac = mac(sent, &canonical_path(sent.path), &signed, payload, &key);
        Claim {
            access: "AK",
            signed_headers: signed.clone(),
            signature: mac.unwrap().finalize().into_bytes().into(),
        }
    };
    let of_some_body = claim(b"[]", UNSIGNED);
    for (headers, body, fine) in [
        (&headers, &b"[]"[..], true),
        (&headers, b"{}", true),
        (&headers, b"", false),
        (&digest, b"[]", false),
        (&none, b"[]", false),
    ] {
        let checked = of_some_body.check(of(headers, body), &key);
        assert_eq!(checked.is_ok(), fine, "{headers:?} {body:?}");
    }
    let of_no_body = claim(b"", &hex::encode(Sha256::digest("")));
    for (body, fine) in [(&b""[..], true), (b"[]", false)] {
        let checked = of_no_body.check(of(&headers, body), &key);
        assert_eq!(checked.is_ok(), fine, "{body:?}");
    }
}

#[test]
fn an_authorization_is_read_or_refused() {
    let signature = "0".repeat(64);
    let read = |text: &str| Claim::read(text).map(|claim| claim.is_ok());
    let whole = |access: &str, signed: &str, signature: &str| {
        format!("{ALGORITHM} Access={access}, SignedHeaders={signed}, Signature={signature}")
    };
    assert_eq!(
        read(&whole("AK", "host;x-sdk-date", &signature)),
        Some(true)
    );
    for bad in [
        whole("", "host;x-sdk-date", &signature),
        whole("AK", "host", &signature),
        whole("AK", "x-sdk-date", &signature),
        whole("AK", "host;a;x-sdk-date;a", &signature),
        whole("AK", "host;a;x-sdk-date;A", &signature),
        whole("AK", "host;x-sdk-date", "00"),
        whole("AK", "host;x-sdk-date", &"g".repeat(64)),
        whole("AK", "host;x-sdk-date", &signature) + ", Access=AK",
        format!("{ALGORITHM} Access=AK"),
        format!("{ALGORITHM} "),
    ] {
        assert_eq!(read(&bad), Some(false), "{bad}");
    }
    assert_eq!(read("Bearer abc"), None);
    assert_eq!(read("SDK-HMAC-SHA2567 Access=AK"), None);
}

#[test]
fn a_date_is_near() {
    let headers = headers();
    let signed = Timestamp::parse("2019-11-15T03:36:55Z").unwrap();
    for (seconds, outcome) in [
        (0, Ok(())),
        (900, Ok(())),
        (-900, Ok(())),
        (901, Err(BadSignature::Date)),
        (-901, Err(BadSignature::Date)),
    ] {
        let now = signed.plus_seconds(seconds);
        assert_eq!(Claim::check_date(request(&headers), now), outcome);
    }
    let mut odd = headers.clone();
    odd.insert(DATE, "yesterday".parse().unwrap());
    let found = Claim::check_date(request(&odd), signed);
    assert_eq!(found, Err(BadSignature::Signature));
}
