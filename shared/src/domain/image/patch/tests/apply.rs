//! What a patch makes of an image.

use super::*;

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
    // Another id is looked at last, and one that is longer than any is not repeated.
    let other = op("add", "/image_id", json!("x".repeat(37)));
    let faults = json!([other, op("remove", "/b", json!(null))]);
    assert_eq!(refusal(patched(Form::V21, &of, faults)).0, Conflict);
    let words = "Image with the given id %(image_id)s was not found";
    let found = refusal(patched(Form::V21, &of, json!([other])));
    assert_eq!(found, (NotFound, words.to_owned()));
    let same = op("replace", "/image_id", json!(of.id.to_string()));
    assert_eq!(patched(Form::V21, &of, json!([other, same])), Ok(of));
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
    // Tags are counted as each operation has them, properties at the end.
    let operations = [
        op("replace", "/tags", json!(tags)),
        op("replace", "/tags", json!([])),
    ];
    let found = refusal(patched(Form::V21, &of, json!(operations)));
    assert_eq!(found.0, TooLarge);
    let add = |place: usize| op("add", &format!("/p{place}"), json!("x"));
    let mut operations: Vec<_> = (0..129).map(add).collect();
    let found = refusal(patched(Form::V21, &of, json!(operations)));
    assert_eq!(found.0, TooLarge);
    operations.push(json!({"op": "remove", "path": "/p0"}));
    assert!(patched(Form::V21, &of, json!(operations)).is_ok());
}
