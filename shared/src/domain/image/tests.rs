use serde_json::{Map, json};

use super::*;
use crate::domain::error::ErrorKind;
use crate::domain::policy::{Caller, Policy, Role};

const ID: &str = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
const NOW: Timestamp = Timestamp::from_micros(1_730_874_262_925_417);

pub(super) fn caller(role: Role) -> Caller {
    Caller {
        user: "u".to_owned(),
        project: ProjectId::parse("own").unwrap(),
        role,
    }
}

/// The image that a caller of this role creates.
pub(super) fn created(role: Role, body: Value) -> Result<Image, ApiError> {
    let policy = Policy::default();
    Image::from_request(body, policy, &caller(role), OperationId::at(0), NOW)
}

pub(super) fn image(body: Value) -> Image {
    created(Role::Admin, body).unwrap()
}

/// The kind of a refusal, and its sentence or its detail.
pub(super) fn refusal<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (ErrorKind, String) {
    match result.unwrap_err() {
        ApiError::Glance(refused) => {
            let words = refused.explanation.or(refused.detail);
            (refused.kind, words.unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_refused(role: Role, body: Value, kind: ErrorKind, words: &str) {
    let shown = body.to_string();
    let (found_kind, found) = refusal(created(role, body));
    assert_eq!((found_kind, found.as_str()), (kind, words), "{shown}");
}

#[test]
fn an_image_of_nothing_is_queued_and_shared() {
    let image = created(Role::Member, json!({})).unwrap();
    assert_eq!(image.owner.as_str(), "own");
    assert_eq!(
        (image.visibility, image.status.as_str()),
        (Visibility::Shared, "queued")
    );
    assert_eq!((image.created_at, image.updated_at), (NOW, NOW));
    assert_eq!(
        (image.min_ram, image.min_disk, image.member_count),
        (0, 0, 0)
    );
    assert!(!image.protected && !image.os_hidden && !image.incomplete);
    assert_eq!((image.size, image.name.as_deref()), (None, None));
    assert!(image.tags.is_empty() && image.properties.is_empty());
    assert!(!image.is_from_backup());
}

#[test]
fn each_property_is_set() {
    let image = image(json!({
        "id": ID.to_uppercase(), "name": "n", "owner": "other", "visibility": "public",
        "status": "active", "protected": true, "os_hidden": true, "min_ram": 1, "min_disk": 2.0,
        "container_format": "bare", "disk_format": "raw", "size": 3, "virtual_size": 4,
        "checksum": "c", "os_hash_algo": "sha512", "os_hash_value": "h",
        "created_at": "2020-01-02T03:04:05Z", "tags": ["b", "a", "b"], "custom": "x",
        "__backup_id": "y",
    }));
    assert_eq!(image.id.to_string(), ID);
    let text = |text: &Option<String>| text.clone().unwrap();
    assert_eq!(
        (text(&image.name), image.owner.as_str()),
        ("n".to_owned(), "other")
    );
    assert_eq!(
        (image.visibility, image.status.as_str()),
        (Visibility::Public, "active")
    );
    assert!(image.protected && image.os_hidden);
    assert_eq!((image.min_ram, image.min_disk), (1, 2));
    assert_eq!((image.size, image.virtual_size), (Some(3), Some(4)));
    let texts = [&image.container_format, &image.disk_format, &image.checksum];
    assert_eq!(texts.map(text), ["bare", "raw", "c"]);
    let hash = [&image.os_hash_algo, &image.os_hash_value].map(text);
    assert_eq!(hash, ["sha512", "h"]);
    assert_eq!(image.created_at.seconds(), "2020-01-02T03:04:05Z");
    assert_eq!(image.updated_at, NOW);
    assert_eq!(image.tags, ["b", "a"]);
    let properties = [(BACKUP_PROPERTY, "y"), ("custom", "x")];
    let expected = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(image.properties, BTreeMap::from(expected));
    assert!(image.is_from_backup());
}

#[test]
fn what_may_not_be_sent_is_refused_in_glances_order() {
    use ErrorKind::{BadRequest, Forbidden};
    let no_object = "Provided object does not match schema 'image': [] is not of type 'object'";
    assert_refused(Role::Member, json!([]), BadRequest, no_object);
    // Derived ones come before the schema is looked at, and that before everything else.
    for name in DERIVED {
        let words = format!("Attribute '{name}' is read-only.");
        assert_refused(
            Role::Admin,
            json!({"name": 5, name: "x"}),
            Forbidden,
            &words,
        );
    }
    let (kind, words) = refusal(created(Role::Admin, json!({"name": 5, "location": "x"})));
    assert_eq!(kind, BadRequest);
    assert!(
        words.contains("5 is not of type 'null', 'string'"),
        "{words}"
    );
    for name in [
        "location",
        "deleted",
        "deleted_at",
        "properties",
        "os_glance_x",
    ] {
        let words = format!("Attribute '{name}' is reserved.");
        let body = json!({"owner": "other", name: "x"});
        assert_refused(Role::Reader, body, Forbidden, &words);
    }
    let not_own = "You are not permitted to create images owned by 'other'";
    let not_role = "You are not authorized to complete add_image action.";
    let no_public = "You are not authorized to complete publicize_image action.";
    assert_refused(Role::Reader, json!({"owner": "other"}), Forbidden, not_own);
    assert_refused(Role::Member, json!({"owner": "other"}), Forbidden, not_own);
    assert_refused(Role::Reader, json!({"owner": "own"}), Forbidden, not_role);
    assert_refused(
        Role::Reader,
        json!({"visibility": "public"}),
        Forbidden,
        not_role,
    );
    let public = json!({"visibility": "public", "size": 1});
    assert_refused(Role::Member, public, Forbidden, no_public);
    // Of several that may not be set, whatever the order in the request.
    let tags = vec!["x"; 129];
    let too_many = "The limit has been exceeded on the number of allowed image tags. Attempted: 129, Maximum: 128";
    for (body, kind, words) in [
        (
            json!({"size": 5, "tags": tags}),
            ErrorKind::TooLarge,
            too_many,
        ),
        (
            json!({"size": 5, "status": "active"}),
            Forbidden,
            "Attribute 'status' is read-only.",
        ),
        (
            json!({"status": "active", "created_at": "2020-01-01T00:00:00Z"}),
            Forbidden,
            "Attribute 'created_at' is read-only.",
        ),
        (
            json!({"locations": [], "size": 5}),
            Forbidden,
            "Attribute 'size' is read-only.",
        ),
        (
            json!({"min_disk": -1, "locations": []}),
            Forbidden,
            "Attribute 'locations' is reserved.",
        ),
        (
            json!({"min_ram": -1, "min_disk": -1}),
            BadRequest,
            "Invalid value '-1' for parameter 'min_disk': Cannot be a negative value",
        ),
    ] {
        assert_refused(Role::Member, body, kind, words);
    }
    for visibility in ["community", "private", "shared"] {
        let created = created(Role::Member, json!({"visibility": visibility})).unwrap();
        assert_eq!(created.visibility.as_str(), visibility);
    }
}

#[test]
fn the_pipelines_properties_are_an_admins() {
    let bodies = [
        ("status", json!("active")),
        ("size", json!(1)),
        ("virtual_size", json!(1)),
        ("checksum", json!("x")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
    ];
    for (name, value) in bodies {
        let words = format!("Attribute '{name}' is read-only.");
        let body = json!({name: value});
        assert_refused(Role::Member, body.clone(), ErrorKind::Forbidden, &words);
        assert!(created(Role::Admin, body).is_ok(), "{name}");
    }
    // Of others these are ignored.
    let body = json!({"os_hash_algo": "sha512", "os_hash_value": "h"});
    let ignored = created(Role::Member, body).unwrap();
    assert_eq!((ignored.os_hash_algo, ignored.os_hash_value), (None, None));
    // And these are nobody's.
    let updated = json!({"updated_at": "2020-01-01T00:00:00Z"});
    let words = "Attribute 'updated_at' is read-only.";
    assert_refused(Role::Admin, updated, ErrorKind::Forbidden, words);
    let words = "Attribute 'locations' is reserved.";
    assert_refused(
        Role::Admin,
        json!({"locations": []}),
        ErrorKind::Forbidden,
        words,
    );
}

#[test]
fn values_that_the_record_cannot_hold_are_refused() {
    let owner = "The owner must be a project id of 1 to 255 characters.";
    let time = "created_at is not an RFC 3339 time: yesterday";
    for (body, words) in [
        (json!({"owner": ""}), owner),
        (json!({"owner": null}), owner),
        (json!({"created_at": "yesterday"}), time),
        (
            json!({"min_ram": -1}),
            "Invalid value '-1' for parameter 'min_ram': Cannot be a negative value",
        ),
        (
            json!({"min_disk": 2_147_483_648_u64}),
            "'min_disk' value out of range, must not exceed 2147483647.",
        ),
        (
            json!({"min_disk": u64::MAX}),
            "'min_disk' value out of range, must not exceed 2147483647.",
        ),
        (
            json!({"size": -1}),
            "Cannot be a negative value or so large: size",
        ),
        (
            json!({"virtual_size": 9_223_372_036_854_775_808_u64}),
            "Cannot be a negative value or so large: virtual_size",
        ),
        (
            json!({"size": 9e15}),
            "Cannot be a negative value or so large: size",
        ),
    ] {
        assert_refused(Role::Admin, body, ErrorKind::BadRequest, words);
    }
    for (value, number) in [
        (json!(null), None),
        (json!(0), Some(0)),
        (json!(1.0), Some(1)),
        (json!(i64::MAX), Some(9_223_372_036_854_775_807)),
    ] {
        assert_eq!(image(json!({"size": value})).size, number);
    }
    for (value, number) in [
        (json!(0), 0),
        (json!(0.0), 0),
        (json!(i32::MAX), 2_147_483_647),
    ] {
        assert_eq!(image(json!({"min_ram": value})).min_ram, number);
    }
}

#[test]
fn a_property_has_a_name_of_at_most_255_characters() {
    let named = |length: usize| json!({"é".repeat(length): "x"});
    let words = "Custom property should not be greater than 255 characters.";
    assert_refused(Role::Member, named(256), ErrorKind::BadRequest, words);
    assert!(created(Role::Member, named(255)).is_ok());
}

fn many(properties: usize, tags: usize) -> Value {
    let mut body: Map<String, Value> = (0..properties)
        .map(|place| (format!("p{place}"), json!("x")))
        .collect();
    let tags: Vec<String> = (0..tags).map(|place| format!("t{place}")).collect();
    body.insert("tags".to_owned(), json!(tags));
    Value::Object(body)
}

#[test]
fn an_image_has_limits() {
    assert!(created(Role::Member, many(128, 128)).is_ok());
    let properties = "The limit has been exceeded on the number of allowed image properties. \
                      Attempted: 129, Maximum: 128";
    let tags = "The limit has been exceeded on the number of allowed image tags. \
                Attempted: 129, Maximum: 128";
    let kind = ErrorKind::TooLarge;
    assert_refused(Role::Member, many(129, 128), kind, properties);
    assert_refused(Role::Member, many(129, 129), kind, tags);
    // Two bytes of tags and one of a name.
    let long = |length: usize| json!({"tags": ["a", "b"], "p": "x".repeat(length)});
    let fits = image(long(256 * 1024 - 3));
    assert_eq!(fits.text_bytes(), 256 * 1024);
    let bytes = "The image's tags and properties take 262145 bytes, Maximum: 262144";
    assert_refused(Role::Member, long(256 * 1024 - 2), kind, bytes);
}

#[test]
fn a_tag_is_added_and_removed_once() {
    let plain = image(json!({"tags": ["a"]}));
    assert_eq!(plain.tagged("b").unwrap().tags, ["a", "b"]);
    assert_eq!(plain.tagged("a").unwrap(), plain);
    assert!(plain.untagged("a").unwrap().tags.is_empty());
    assert_eq!(plain.tagged("b").unwrap().untagged("b").unwrap(), plain);
    let absent = refusal(plain.untagged("b"));
    assert_eq!(absent, (ErrorKind::NotFound, String::new()));

    let full = image(many(0, 128));
    assert_eq!(full.tagged("t0").unwrap(), full);
    let words = format!(
        "Image tag limit exceeded for image {}: The limit has been exceeded on the number of \
         allowed image tags. Attempted: 129, Maximum: 128:",
        full.id
    );
    assert_eq!(refusal(full.tagged("new")), (ErrorKind::TooLarge, words));
    // A text that is too large says so itself, also with the last tag that fits.
    let mut large = many(0, 127);
    let rest = TEXT_MAX - image(large.clone()).text_bytes();
    large["p"] = json!("x".repeat(rest - 1));
    let (_, words) = refusal(image(large).tagged("t"));
    assert!(
        words.starts_with("The image's tags and properties"),
        "{words}"
    );
}
