mod apply;

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
