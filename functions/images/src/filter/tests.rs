use serde_json::{Value, json};
use shared::domain::id::{OperationId, ProjectId};
use shared::domain::policy::{Caller, Policy, Role};

use super::*;

const ID: &str = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";

fn image(body: Value) -> Image {
    let caller = Caller {
        user: "u".to_owned(),
        project: ProjectId::parse("own").unwrap(),
        role: Role::Admin,
    };
    let now = Timestamp::parse("2024-11-06T06:24:22.9Z").unwrap();
    let op = OperationId::at(now.micros());
    Image::from_request(body, Policy::default(), &caller, op, now).unwrap()
}

/// An image that has a value of everything.
fn full() -> Image {
    image(json!({
        "id": ID, "name": "n", "status": "active", "container_format": "bare",
        "disk_format": "raw", "checksum": "c", "os_hash_algo": "sha512", "os_hash_value": "h",
        "min_ram": 512, "min_disk": 10, "size": 1000, "virtual_size": 2000, "tags": ["a"],
        "os_distro": "debian", "os_type_min": "3",
    }))
}

/// Whether an image passes; the index must not exclude one that does.
#[track_caller]
fn passes(image: &Image, name: &str, value: &str) -> bool {
    let filter = Filter::parse(name, value).unwrap();
    let passes = filter.passes(image);
    assert_eq!(filter.may_pass(image, None), passes, "{name}={value}");
    passes
}

#[test]
fn each_filter_passes_its_value_and_no_other() {
    let (full, bare) = (full(), image(json!({})));
    for (name, value, other) in [
        ("name", "n", "N"),
        ("status", "active", "queued"),
        ("container_format", "bare", "ovf"),
        ("disk_format", "raw", "qcow2"),
        ("id", ID, "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e02"),
        ("checksum", "c", "d"),
        ("os_hash_algo", "sha512", "md5"),
        ("os_hash_value", "h", "i"),
        ("min_ram", "512", "513"),
        ("min_disk", "10", "11"),
        ("size", "1000", "1001"),
        ("virtual_size", "2000", "2001"),
        ("os_distro", "debian", "fedora"),
        // A bound on what is no number is about a property of that name.
        ("os_type_min", "3", "4"),
    ] {
        assert!(passes(&full, name, value), "{name}={value}");
        assert!(!passes(&full, name, other), "{name}={other}");
        assert!(!passes(&bare, name, value), "{name}={value} of nothing");
    }
    assert!(passes(&full, "size", "1e3") && !passes(&full, "size", "x"));
    assert!(
        !passes(&bare, "size", "x"),
        "what is no number matches no image"
    );
    assert!(passes(&bare, "min_ram", "0"));
}

#[test]
fn a_bound_includes_itself() {
    let (full, bare) = (full(), image(json!({})));
    for (name, number) in [
        ("size", 1_000),
        ("virtual_size", 2_000),
        ("min_ram", 512),
        ("min_disk", 10),
    ] {
        for (bound, value, expected) in [
            ("min", number, true),
            ("min", number + 1, false),
            ("min", -1, true),
            ("max", number, true),
            ("max", number - 1, false),
        ] {
            let filter = format!("{name}_{bound}");
            let found = passes(&full, &filter, &value.to_string());
            assert_eq!(found, expected, "{filter}={value}");
        }
    }
    // An image without a size is neither small nor large.
    for filter in [
        "size_min",
        "size_max",
        "virtual_size_min",
        "virtual_size_max",
    ] {
        assert!(!passes(&bare, filter, "0"), "{filter}");
    }
    assert!(passes(&bare, "min_ram_max", "0"));
}

#[test]
fn times_compare_in_whole_seconds() {
    let image = full();
    let (before, at, after) = (
        "2024-11-06T06:24:21Z",
        "2024-11-06T06:24:22Z",
        "2024-11-06T06:24:23Z",
    );
    for (test, expected) in [
        ("gt", [true, false, false]),
        ("gte", [true, true, false]),
        ("lt", [false, false, true]),
        ("lte", [false, true, true]),
        ("eq", [false, true, false]),
        ("neq", [true, false, true]),
    ] {
        for name in ["created_at", "updated_at"] {
            let found =
                [before, at, after].map(|time| passes(&image, name, &format!("{test}:{time}")));
            assert_eq!(found, expected, "{name} {test}");
        }
    }
    // A time has colons of its own.
    assert!(passes(&image, "created_at", at) && !passes(&image, "created_at", after));
    let moved = Image {
        updated_at: image.updated_at.plus_seconds(1),
        ..image
    };
    assert!(passes(&moved, "updated_at", after) && passes(&moved, "created_at", at));
}

#[test]
fn a_value_names_one_text_or_several() {
    let texts = |value: &str| any_of(value).unwrap();
    for (value, expected) in [
        ("a", vec!["a"]),
        ("", vec![""]),
        ("eq:a", vec!["a"]),
        ("eq:a,b", vec!["a,b"]),
        ("eq:in:a", vec!["in:a"]),
        ("in:", vec![]),
        ("in:a", vec!["a"]),
        ("in:a,b", vec!["a", "b"]),
        ("in:a,,b", vec!["a", "", "b"]),
        ("in:a,", vec!["a"]),
        ("in:\"a,b\",c", vec!["a,b", "c"]),
        ("in:c,\"a,b\"", vec!["c", "a,b"]),
        ("in:\"\"", vec![""]),
        (r#"in:"a\"b",c"#, vec![r#"a\"b"#, "c"]),
        (r"in:a\,b", vec![r"a\", "b"]),
        // A time is a text without an operator.
        ("2020-01-01T00:00:00Z", vec!["2020-01-01T00:00:00Z"]),
    ] {
        assert_eq!(texts(value), expected, "{value}");
    }
    let image = full();
    assert!(passes(&image, "name", "in:m,n") && !passes(&image, "name", "in:m"));
    // Only some fields have operators.
    assert!(!passes(&image, "checksum", "in:c") && !passes(&image, "os_distro", "eq:debian"));
}

#[test]
fn a_filter_that_is_not_as_it_must_be_is_told() {
    let no_iso =
        |name: &str| format!("Bad \"{name}\" query filter format. Use ISO 8601 DateTime notation.");
    let quotes = |list: &str, what: &str| format!("Invalid filter value {list}. {what}");
    let after = "There is no comma after closing quotation mark.";
    let before = "There is no comma before opening quotation mark.";
    let open = "The quote is not closed.";
    for (name, value, words) in [
        (
            "name",
            "x:a",
            "Unable to filter by unknown operator 'x'.".to_owned(),
        ),
        (
            "id",
            ":a",
            "Unable to filter by unknown operator ''.".to_owned(),
        ),
        ("created_at", "yesterday", no_iso("created_at")),
        ("updated_at", "gt:", no_iso("updated_at")),
        (
            "created_at",
            "in:2020-01-01",
            "Unable to filter on a unknown operator.".to_owned(),
        ),
        ("name", r#"in:"a"#, quotes(r#""a"#, open)),
        ("name", r#"in:"a"b"#, quotes(r#""a"b"#, after)),
        ("name", r#"in:a"b""#, quotes(r#"a"b""#, before)),
        ("name", r#"in:"a\""#, quotes(r#""a\""#, open)),
        (
            "size_min",
            "x",
            "Unable to filter on a range with a non-numeric value.".to_owned(),
        ),
        (
            "anything_max",
            "1.5",
            "Unable to filter on a range with a non-numeric value.".to_owned(),
        ),
    ] {
        let refused = Filter::parse(name, value).unwrap_err();
        assert_eq!(refused.public_words(), words, "{name}={value}");
    }
    let refused = flag("protected", "yes").unwrap_err();
    assert_eq!(
        refused.public_words(),
        "Invalid value 'yes' for 'protected' filter. Valid values are 'true' or 'false'."
    );
    assert_eq!(
        (flag("x", "true"), flag("x", "false")),
        (Ok(true), Ok(false))
    );
}

/// An index does not hold long tags and properties, but fingerprints of them.
#[test]
fn the_index_excludes_what_certainly_does_not_pass() {
    let fingerprints = Fingerprints::of(&full());
    let incomplete = Image {
        tags: Vec::new(),
        properties: std::collections::BTreeMap::new(),
        incomplete: true,
        ..full()
    };
    for (name, value, other) in [
        ("checksum", "c", "d"),
        ("min_ram", "512", "513"),
        ("size_max", "1000", "999"),
        ("os_distro", "debian", "fedora"),
        ("os_type_min", "3", "4"),
    ] {
        let may = |value: &str| {
            let filter = Filter::parse(name, value).unwrap();
            filter.may_pass(&incomplete, Some(&fingerprints))
        };
        assert!(may(value) && !may(other), "{name}");
    }
    for (tag, may) in [("a", true), ("b", false)] {
        let filter = Filter::Tag(tag.to_owned());
        assert_eq!(filter.may_pass(&incomplete, Some(&fingerprints)), may);
        // Without fingerprints the image has to be read.
        assert!(filter.may_pass(&incomplete, None));
    }
}

/// Every image that passes a filter has a projection that the store finds.
#[test]
fn the_store_evaluates_filters_of_texts() {
    let texts = |name: &str, value: &str| Filter::parse(name, value).unwrap().texts();
    let projection = full().projection();
    for (name, value, other) in [
        ("name", "n", "m"),
        ("status", "active", "queued"),
        ("container_format", "bare", "ovf"),
        ("disk_format", "raw", "iso"),
        ("checksum", "c", "d"),
        ("os_hash_algo", "sha512", "md5"),
        ("os_hash_value", "h", "i"),
        ("os_distro", "debian", "fedora"),
    ] {
        let found = |value: &str| {
            let texts = texts(name, value).unwrap();
            texts.iter().any(|text| projection.contains(text))
        };
        assert!(found(value) && !found(other), "{name}");
    }
    let tag = |tag: &str| Filter::Tag(tag.to_owned()).texts().unwrap();
    assert!(projection.contains(&tag("a")[0]) && !projection.contains(&tag("b")[0]));
    // It cannot say no to an image whose tags and properties are apart.
    let long = Image {
        properties: [("p".to_owned(), "x".repeat(9000))].into(),
        ..full()
    };
    assert!(tag("b").iter().any(|text| long.projection().contains(text)));
    for (name, value) in [
        ("id", "a"),
        ("size", "1"),
        ("size_min", "1"),
        ("name", "in:"),
    ] {
        assert_eq!(texts(name, value), None, "{name}");
    }
    let many = |count: usize| {
        let texts: Vec<String> = (0..count).map(|text| text.to_string()).collect();
        format!("in:{}", texts.join(","))
    };
    assert!(texts("name", &many(20)).is_some() && texts("name", &many(21)).is_none());
}
