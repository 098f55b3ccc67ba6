use std::collections::HashMap;

use super::*;
use crate::domain::error::ErrorKind::{self, BadRequest, Conflict, Forbidden, NotFound, TooLarge};
use crate::domain::image::tests::{caller, image, refusal};
use crate::domain::policy::{Role, Subject};

/// The change of one operation, as a caller of this role asks for it.
fn read(role: Role, form: Form, operation: Value) -> Result<Operation, ApiError> {
    let changes = parse(json!([operation]), form, Policy::default(), &caller(role));
    changes.map(|changes| changes.into_iter().next().unwrap())
}

fn change(kind: Kind, name: &str, value: Value) -> Operation {
    let name = name.to_owned();
    Operation { kind, name, value }
}

/// The image after these operations of an admin.
fn patched(form: Form, of: &Image, operations: Value) -> Result<Image, ApiError> {
    patched_by(Role::Admin, form, of, operations)
}

fn patched_by(role: Role, form: Form, of: &Image, operations: Value) -> Result<Image, ApiError> {
    let (policy, caller, id) = (Policy::default(), caller(role), of.id.to_string());
    let changes = parse(operations, form, policy, &caller)?;
    let subject = Subject {
        owner: &of.owner,
        visibility: of.visibility,
        memberships: &HashMap::new(),
    };
    let target = Target {
        id: &id,
        subject: Some(subject),
    };
    let by = Patcher {
        policy,
        caller: &caller,
        target,
    };
    apply(of, &changes, by)
}

fn op(op: &str, path: &str, value: Value) -> Value {
    json!({"op": op, "path": path, "value": value})
}

#[test]
fn both_forms_say_the_same_but_for_what_add_means() {
    use Kind::{Add, AddNew, Remove, Replace};
    for (word, v21, v20) in [
        ("add", Add, AddNew),
        ("replace", Replace, Replace),
        ("remove", Remove, Remove),
    ] {
        let value = if word == "remove" {
            Value::Null
        } else {
            json!("v")
        };
        let read_21 = read(Role::Member, Form::V21, op(word, "/n", json!("v")));
        assert_eq!(read_21, Ok(change(v21, "n", value.clone())));
        let read_20 = read(Role::Member, Form::V20, json!({word: "/n", "value": "v"}));
        assert_eq!(read_20, Ok(change(v20, "n", value)));
    }
    let remove = json!({"op": "remove", "path": "/n"});
    assert!(read(Role::Member, Form::V21, remove).is_ok());
}

#[test]
fn a_malformed_operation_is_told_what_is_wrong() {
    let no_op = "Unable to find `op` in JSON Schema change. It must be one of the following: add, \
                 remove, replace.";
    let unknown =
        "Invalid operation: `move`. It must be one of the following: add, remove, replace.";
    let number = "Invalid operation: `5`. It must be one of the following: add, remove, replace.";
    let exactly = "Operation objects must contain exactly one member named \"add\", \"remove\", or \
                   \"replace\".";
    let only = "Operation objects must contain only one member named \"add\", \"remove\", or \
                \"replace\".";
    let add = "Operation \"add\" requires a member named \"value\".";
    let replace = "Operation \"replace\" requires a member named \"value\".";
    let objects = "Operations must be JSON objects.";
    for (form, operation, words) in [
        (Form::V21, json!(1), objects),
        (Form::V20, json!([]), objects),
        (Form::V21, json!({}), no_op),
        (Form::V21, json!({"op": null}), no_op),
        (Form::V21, json!({"op": "move", "path": "/n"}), unknown),
        (Form::V21, json!({"op": 5, "path": "/n"}), number),
        (
            Form::V21,
            json!({"op": "add"}),
            "Unable to find 'path' in JSON Schema change",
        ),
        (
            Form::V21,
            json!({"op": "add", "path": 5}),
            "The path of a change must be a string.",
        ),
        (Form::V21, json!({"op": "add", "path": "/n"}), add),
        (Form::V20, json!({"add": "/n"}), add),
        (Form::V20, json!({"replace": "/n"}), replace),
        (Form::V20, json!({"value": 1}), exactly),
        (Form::V20, json!({"op": "add", "path": "/n"}), exactly),
        (Form::V20, json!({"add": "/n", "replace": "/n"}), only),
    ] {
        let shown = operation.to_string();
        let found = refusal(read(Role::Member, form, operation));
        assert_eq!(found, (BadRequest, words.to_owned()), "{shown}");
    }
    let body = parse(
        json!({}),
        Form::V21,
        Policy::default(),
        &caller(Role::Member),
    );
    let words = "Request body must be a JSON array of operation objects.";
    assert_eq!(refusal(body), (BadRequest, words.to_owned()));
}

#[test]
fn a_pointer_names_one_property() {
    for (pointer, name) in [
        ("/n", "n"),
        ("//n", "n"),
        ("/ n ", "n"),
        ("/a~1b", "a/b"),
        ("/a~0b", "a~b"),
        ("/a~01b", "a~1b"),
    ] {
        let read = property_of(&json!(pointer), Kind::Add).unwrap();
        assert_eq!(read, (name.to_owned(), false), "{pointer}");
    }
    let escape = "contains \"~\" not part of a recognized escape sequence.";
    for (pointer, words) in [
        ("", "does not start with \"/\"."),
        ("n", "does not start with \"/\"."),
        ("///n", "contains adjacent \"/\"."),
        ("/a//b", "contains adjacent \"/\"."),
        ("/a/ /b", "contains adjacent \"/\"."),
        ("/a/", "end with \"/\"."),
        ("/a~", escape),
        ("/a~2", escape),
        ("/a~1~", escape),
    ] {
        let found = refusal(property_of(&json!(pointer), Kind::Add));
        let words = format!("Pointer `{pointer}` {words}");
        assert_eq!(found, (BadRequest, words));
    }
}

#[test]
fn only_locations_have_places_within() {
    use Kind::{Add, AddNew, Remove, Replace};
    let place = (LOCATIONS.to_owned(), true);
    for kind in [Add, AddNew, Remove] {
        assert_eq!(property_of(&json!("/locations/-"), kind), Ok(place.clone()));
    }
    let all = (LOCATIONS.to_owned(), false);
    assert_eq!(property_of(&json!("/locations"), Replace), Ok(all));
    for (pointer, kind) in [
        ("/locations", Add),
        ("/locations", AddNew),
        ("/locations", Remove),
        ("/locations/0", Replace),
        ("/locations/0/1", Add),
        ("/tags/-", Add),
        ("/a/b", Remove),
    ] {
        let found = refusal(property_of(&json!(pointer), kind));
        let words = format!("Invalid JSON pointer for this resource: '{pointer}'");
        assert_eq!(found, (BadRequest, words), "{kind:?}");
    }
}

#[track_caller]
fn assert_unreadable(role: Role, path: &str, value: Value, kind: ErrorKind, words: &str) {
    let found = refusal(read(role, Form::V21, op("replace", path, value)));
    assert_eq!((found.0, found.1.as_str()), (kind, words), "{path}");
}

#[test]
fn some_properties_are_nobodys_to_change() {
    for name in [
        "id",
        "created_at",
        "updated_at",
        "direct_url",
        "self",
        "file",
        "schema",
    ] {
        let words = format!("Attribute '{name}' is read-only.");
        assert_unreadable(
            Role::Admin,
            &format!("/{name}"),
            json!("x"),
            Forbidden,
            &words,
        );
    }
    for name in [
        "location",
        "deleted",
        "deleted_at",
        "properties",
        "os_glance_x",
    ] {
        let words = format!("Attribute '{name}' is reserved.");
        let path = format!("/{name}");
        assert_unreadable(Role::Admin, &path, json!("x"), Forbidden, &words);
        let removed = read(
            Role::Admin,
            Form::V21,
            json!({"op": "remove", "path": path}),
        );
        assert_eq!(refusal(removed), (Forbidden, words));
    }
    // No image shows its stores: the name is as good as any.
    let stores = read(Role::Member, Form::V21, op("add", "/stores", json!("x")));
    assert_eq!(stores, Ok(change(Kind::Add, "stores", json!("x"))));
    for name in ["status", "size", "virtual_size", "checksum", "os_hash_algo"] {
        let value = if name.ends_with("size") {
            json!(1)
        } else {
            json!("active")
        };
        let path = format!("/{name}");
        let words = format!("Attribute '{name}' is read-only.");
        assert_unreadable(Role::Member, &path, value.clone(), Forbidden, &words);
        assert!(read(Role::Admin, Form::V21, op("replace", &path, value)).is_ok());
    }
}

#[test]
fn a_value_matches_the_schema_and_a_name_is_short() {
    let (kind, words) = refusal(read(Role::Member, Form::V21, op("add", "/name", json!(5))));
    assert_eq!(kind, BadRequest);
    assert!(words.contains("On instance['name']:\n    5"), "{words}");
    // What is removed has no value to check.
    assert!(read(Role::Member, Form::V21, op("remove", "/name", json!(5))).is_ok());
    // One location is checked as a list of one.
    let (_, words) = refusal(read(
        Role::Member,
        Form::V21,
        op("add", "/locations/-", json!(5)),
    ));
    assert!(
        words.contains("On instance['locations'][0]:\n    5"),
        "{words}"
    );

    let long = format!("/{}", "x".repeat(256));
    let words = "Custom property should not be greater than 255 characters.";
    assert_unreadable(Role::Member, &long, json!("x"), BadRequest, words);
    let removed = json!({"op": "remove", "path": long});
    assert!(read(Role::Member, Form::V21, removed).is_ok());
    assert!(read(Role::Member, Form::V21, op("add", &long[..256], json!("x"))).is_ok());

    assert_eq!(check_tag("t"), Ok(()));
    let (kind, words) = refusal(check_tag(&"t".repeat(256)));
    assert!(
        kind == BadRequest && words.contains("is too long"),
        "{words}"
    );
}

#[test]
fn changes_are_applied_in_their_order() {
    let before = image(json!({"name": "n", "a": "1", "b": "2"}));
    let after = patched(
        Form::V21,
        &before,
        json!([
            op("replace", "/name", json!("m")),
            op("add", "/c", json!("3")),
            op("add", "/a", json!("4")),
            op("remove", "/b", json!(null)),
            op("replace", "/c", json!("5")),
            op("replace", "/tags", json!(["t", "t"])),
        ]),
    )
    .unwrap();
    assert_eq!(after.name.as_deref(), Some("m"));
    let properties = [("a", "4"), ("c", "5")];
    let expected = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(after.properties, expected.into_iter().collect());
    assert_eq!(after.tags, ["t"]);
    let added = json!([{"add": "/c", "value": "3"}]);
    let added = patched(Form::V20, &before, added).unwrap();
    assert_eq!(added.properties.get("c").map(String::as_str), Some("3"));
    assert_eq!(patched(Form::V20, &before, json!([])), Ok(before));
}

#[test]
fn a_change_fits_what_is_there() {
    let of = image(json!({"a": "1"}));
    let there = "Property a already present.";
    let absent = "Property b does not exist.";
    for (form, operation, kind, words) in [
        (
            Form::V20,
            json!({"add": "/a", "value": "x"}),
            Conflict,
            there,
        ),
        (
            Form::V20,
            json!({"add": "/name", "value": "x"}),
            Conflict,
            "Property name already present.",
        ),
        (
            Form::V20,
            json!({"add": "/image_id", "value": "x"}),
            Conflict,
            "Property image_id already present.",
        ),
        (
            Form::V20,
            json!({"replace": "/b", "value": "x"}),
            Conflict,
            absent,
        ),
        (Form::V21, op("replace", "/b", json!("x")), Conflict, absent),
        (Form::V21, op("remove", "/b", json!(null)), Conflict, absent),
        (
            Form::V21,
            op("remove", "/name", json!(null)),
            Forbidden,
            "Property name may not be removed.",
        ),
        (
            Form::V21,
            op("remove", "/image_id", json!(null)),
            Forbidden,
            "Property image_id may not be removed.",
        ),
        (
            Form::V21,
            op("replace", "/image_id", json!("x")),
            NotFound,
            "No image found with ID x",
        ),
    ] {
        let shown = operation.to_string();
        let found = refusal(patched(form, &of, json!([operation])));
        assert_eq!(found, (kind, words.to_owned()), "{shown}");
    }
    let same = op("replace", "/image_id", json!(of.id.to_string()));
    assert_eq!(patched(Form::V21, &of, json!([same])), Ok(of));
}

#[test]
fn formats_are_changed_until_there_is_data() {
    for (status, may) in [
        ("queued", true),
        ("importing", true),
        ("active", false),
        ("saving", false),
    ] {
        let of = image(json!({"status": status, "disk_format": "raw", "container_format": "bare"}));
        for name in ["disk_format", "container_format"] {
            let value = if name == "disk_format" {
                "qcow2"
            } else {
                "ovf"
            };
            let change = op("replace", &format!("/{name}"), json!(value));
            let found = patched(Form::V21, &of, json!([change]));
            if may {
                let (disk, container) = found.map(|i| (i.disk_format, i.container_format)).unwrap();
                assert!([disk, container].contains(&Some(value.to_owned())));
                continue;
            }
            let words = format!("Attribute {name} can be only replaced for a queued image.");
            assert_eq!(refusal(found), (Forbidden, words), "{status}");
        }
        let other = op("replace", "/name", json!("m"));
        assert!(patched(Form::V21, &of, json!([other])).is_ok());
    }
}

#[test]
fn a_caller_may_give_only_some_values() {
    let own = image(json!({"visibility": "shared"}));
    let by_member =
        |operation: Value| patched_by(Role::Member, Form::V21, &own, json!([operation]));
    let no_owner = (Forbidden, "Owner can't be updated by non admin.".to_owned());
    // Who adds the owner that is there changes nothing; who replaces it asks for a change.
    assert_eq!(
        by_member(op("add", "/owner", json!("own"))),
        Ok(own.clone())
    );
    let replaced = by_member(op("replace", "/owner", json!("own")));
    assert_eq!(refusal(replaced), no_owner);
    let added = by_member(op("add", "/owner", json!("other")));
    assert_eq!(refusal(added), no_owner);
    let removed = refusal(by_member(op("remove", "/owner", json!(null))));
    assert_eq!(removed.1, "Property owner may not be removed.");
    let given = patched(
        Form::V21,
        &own,
        json!([op("replace", "/owner", json!("other"))]),
    );
    assert_eq!(given.unwrap().owner.as_str(), "other");

    let no_public = "You are not authorized to complete publicize_image action.";
    let public = by_member(op("replace", "/visibility", json!("public")));
    assert_eq!(refusal(public), (Forbidden, no_public.to_owned()));
    let community = by_member(op("replace", "/visibility", json!("community"))).unwrap();
    assert_eq!(community.visibility, Visibility::Community);
    // A word of a visibility is nothing elsewhere.
    let named = by_member(op("replace", "/name", json!("public"))).unwrap();
    assert_eq!(named.name.as_deref(), Some("public"));

    // The caller's own values are looked at first, then what it may do to the image.
    let not_modify = "You are not authorized to complete modify_image action.";
    let by_reader = |value: Value| {
        let operation = op("replace", "/visibility", value);
        refusal(patched_by(
            Role::Reader,
            Form::V21,
            &own,
            json!([operation]),
        ))
    };
    assert_eq!(
        by_reader(json!("public")),
        (Forbidden, no_public.to_owned())
    );
    assert_eq!(
        by_reader(json!("private")),
        (Forbidden, not_modify.to_owned())
    );
}

#[test]
fn locations_are_not_changed() {
    let of = image(json!({}));
    let location = json!({"url": "http://x", "metadata": {}});
    let invisible = |verb: &str| {
        let words = format!("It's not allowed to {verb} locations if locations are invisible.");
        (Forbidden, words)
    };
    let empty = (Forbidden, "Cannot set locations to empty list.".to_owned());
    for (role, operation, expected) in [
        (
            Role::Admin,
            op("add", "/locations/-", location.clone()),
            invisible("add"),
        ),
        (
            Role::Admin,
            op("replace", "/locations", json!([location])),
            invisible("update"),
        ),
        (
            Role::Admin,
            op("remove", "/locations/0", json!(null)),
            invisible("remove"),
        ),
        (Role::Member, op("replace", "/locations", json!([])), empty),
        (
            Role::Member,
            op("remove", "/locations/0", json!(null)),
            (
                Forbidden,
                "You are not authorized to complete delete_image_location action.".to_owned(),
            ),
        ),
        (
            Role::Reader,
            op("add", "/locations/-", location),
            (
                Forbidden,
                "You are not authorized to complete set_image_location action.".to_owned(),
            ),
        ),
    ] {
        let shown = operation.to_string();
        let found = refusal(patched_by(role, Form::V21, &of, json!([operation])));
        assert_eq!(found, expected, "{role:?}: {shown}");
    }
}

#[test]
fn a_patched_image_has_the_limits_of_any() {
    let of = image(json!({}));
    let tags: Vec<String> = (0..129).map(|place| format!("t{place}")).collect();
    let found = refusal(patched(
        Form::V21,
        &of,
        json!([op("replace", "/tags", json!(tags))]),
    ));
    assert_eq!(found.0, TooLarge);
    // The whole patch is looked at: what is removed again does not count.
    let operations = [
        op("replace", "/tags", json!(tags)),
        op("replace", "/tags", json!([])),
    ];
    assert_eq!(patched(Form::V21, &of, json!(operations)), Ok(of));
}
