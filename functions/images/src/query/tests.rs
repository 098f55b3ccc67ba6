use std::cmp::Ordering;

use serde_json::{Value, json};
use shared::domain::error::{ApiError, ErrorKind};
use shared::domain::id::{OperationId, ProjectId};
use shared::domain::policy::{Caller, Policy, Role};
use shared::domain::time::Timestamp;

use super::*;

/// A query's arguments, as they are written.
fn arguments(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn parse(query: &str) -> Query {
    Query::parse(&arguments(query), Ok(())).unwrap()
}

/// The sentence of a 400.
fn refused(result: Result<Query, ApiError>) -> String {
    match result.unwrap_err() {
        ApiError::Glance(refused) => {
            assert_eq!(refused.kind, ErrorKind::BadRequest);
            refused.explanation.unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// What an admin creates at this second.
fn image(second: i64, body: Value) -> Image {
    let caller = Caller {
        user: "u".to_owned(),
        project: ProjectId::parse("own").unwrap(),
        role: Role::Admin,
    };
    let now = Timestamp::from_micros(second * 1_000_000);
    let op = OperationId::at(now.micros());
    Image::from_request(body, Policy::default(), &caller, op, now).unwrap()
}

#[test]
fn a_list_without_arguments_has_defaults() {
    let query = parse("");
    assert_eq!((query.limit, query.marker.as_deref()), (25, None));
    assert_eq!(query.member_statuses, [MemberStatus::Accepted]);
    assert_eq!(query.shown, Shown::Default);
    assert_eq!(
        (query.owner.as_deref(), query.image_type, query.nothing),
        (None, None, false)
    );
    assert_eq!(
        query.sort,
        [(SortKey::CreatedAt, false), (SortKey::Id, false)]
    );
    assert_eq!(query.stored_order(), Some(false));
}

#[test]
fn each_argument_is_read() {
    let query = parse("limit=7&marker=m&member_status=rejected&visibility=public&owner=o");
    assert_eq!((query.limit, query.marker.as_deref()), (7, Some("m")));
    assert_eq!(query.member_statuses, [MemberStatus::Rejected]);
    assert_eq!(query.shown, Shown::Only(Visibility::Public));
    assert_eq!(query.owner.as_deref(), Some("o"));
    assert!(!query.nothing);
    assert_eq!(
        parse("member_status=all").member_statuses,
        MemberStatus::ALL
    );
    assert_eq!(parse("visibility=all").shown, Shown::All);
    assert_eq!(parse("owner=a&owner=b").owner.as_deref(), Some("b"));
}

#[test]
fn a_limit_is_a_number_of_at_most_a_thousand() {
    for (limit, number) in [
        ("0", 0),
        ("1000", 1_000),
        ("1001", 1_000),
        ("%2B5", 0),
        ("+1_0", 10),
        ("99999999999999999999999999999999999999999", 1_000),
    ] {
        if limit.starts_with('%') {
            // What is not decoded is no number.
            let found = Query::parse(&arguments(&format!("limit={limit}")), Ok(()));
            assert_eq!(refused(found), "limit param must be an integer");
            continue;
        }
        assert_eq!(parse(&format!("limit={limit}")).limit, number, "{limit}");
    }
}

#[test]
fn an_argument_that_is_not_as_it_must_be_is_told() {
    let keys = "It must be one of the following: name, status, container_format, disk_format, \
                size, id, created_at, updated_at.";
    let no_key = format!("Invalid sort key: x. {keys}");
    let mixed = "Old and new sorting syntax cannot be combined";
    let numbers = "Number of sort dirs does not match the number of sort keys";
    let changes = "The \"changes-since\" filter is no longer available on v2.";
    let hidden = "Invalid value 'x' for 'os_hidden' filter. Valid values are 'true' or 'false'.";
    let protected =
        "Invalid value 'True' for 'protected' filter. Valid values are 'true' or 'false'.";
    for (query, words) in [
        ("changes-since=x", changes),
        ("visibility=x", "Invalid visibility value: x"),
        ("visibility=Public", "Invalid visibility value: Public"),
        ("member_status=x", "Invalid status: x"),
        ("member_status=", "Invalid status: "),
        ("limit=x", "limit param must be an integer"),
        ("limit=", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        ("sort_key=x", &no_key),
        ("sort=x", &no_key),
        ("sort_dir=x", "Invalid sort direction: x"),
        ("sort=name:x", "Invalid sort direction: x"),
        ("sort=name&sort_key=name", mixed),
        ("sort=name&sort_dir=asc", mixed),
        ("sort_key=name&sort_dir=asc&sort_dir=desc", numbers),
        ("sort_dir=asc&sort_dir=desc", numbers),
        ("os_hidden=x", hidden),
        ("protected=True", protected),
        (
            "size_min=x",
            "Unable to filter on a range with a non-numeric value.",
        ),
    ] {
        let found = refused(Query::parse(&arguments(query), Ok(())));
        assert_eq!(found, words, "{query}");
    }
}

/// The order in which Glance looks at them, whatever the order in the query.
#[test]
fn of_several_faults_the_first_is_told() {
    let faults = [
        ("visibility=x", "Invalid visibility"),
        ("changes-since=x", "The \"changes-since\""),
        ("member_status=x", "Invalid status"),
        ("limit=x", "limit param"),
        ("sort_key=x", "Invalid sort key"),
        ("os_hidden=x", "Invalid value 'x' for 'os_hidden'"),
        ("protected=x", "Invalid value 'x' for 'protected'"),
        ("size_min=x", "Unable to filter"),
    ];
    for (place, (_, words)) in faults.iter().enumerate() {
        let rest = faults.iter().skip(place).rev();
        let query: Vec<&str> = rest.map(|(fault, _)| *fault).collect();
        let found = refused(Query::parse(&arguments(&query.join("&")), Ok(())));
        assert!(found.starts_with(words), "{query:?}: {found}");
    }
    // The caller's refusal comes before the filters, and after what is read before them.
    let may_not = || Err(ApiError::bad_request("may not"));
    for (query, words) in [
        ("size_min=x", "may not"),
        ("", "may not"),
        ("protected=x", "Invalid value"),
    ] {
        let found = refused(Query::parse(&arguments(query), may_not()));
        assert!(found.starts_with(words), "{query}: {found}");
    }
}

#[test]
fn arguments_that_contradict_each_other_match_nothing() {
    for (query, nothing) in [
        ("visibility=public&visibility=public", false),
        ("visibility=public&visibility=private", true),
        ("visibility=all&visibility=private", false),
        ("visibility=private&visibility=all", true),
        ("visibility=", true),
        ("limit=1&limit=1", true),
        ("marker=a&marker=a", true),
        ("member_status=all&member_status=all", true),
        ("sort=name&sort=name", true),
        ("sort_key=name&sort_key=size", false),
        ("owner=a&owner=b", false),
        ("tag=a&tag=b", false),
    ] {
        assert_eq!(parse(query).nothing, nothing, "{query}");
    }
    assert_eq!(parse("limit=1&limit=2").limit, 1);
}

#[test]
fn an_order_has_keys_and_ties_are_broken_by_age_and_id() {
    use SortKey::{CreatedAt, Id, Name, Size};
    for (query, order) in [
        (
            "sort=name",
            vec![(Name, false), (CreatedAt, false), (Id, false)],
        ),
        (
            "sort=name:",
            vec![(Name, false), (CreatedAt, false), (Id, false)],
        ),
        // A single direction is that of the ties too.
        (
            "sort=name:asc",
            vec![(Name, true), (CreatedAt, true), (Id, true)],
        ),
        (
            "sort=name:asc, size:desc",
            vec![(Name, true), (Size, false), (CreatedAt, false), (Id, false)],
        ),
        (
            "sort=id:asc,created_at",
            vec![(Id, true), (CreatedAt, false)],
        ),
        (
            "sort_key=name",
            vec![(Name, false), (CreatedAt, false), (Id, false)],
        ),
        ("sort_dir=asc", vec![(CreatedAt, true), (Id, true)]),
        (
            "sort_key=name&sort_key=size&sort_dir=asc",
            vec![(Name, true), (Size, true), (CreatedAt, true), (Id, true)],
        ),
        (
            "sort_key=name&sort_key=size&sort_dir=asc&sort_dir=desc",
            vec![(Name, true), (Size, false), (CreatedAt, false), (Id, false)],
        ),
        ("sort_key= id ", vec![(Id, false), (CreatedAt, false)]),
    ] {
        assert_eq!(parse(query).sort, order, "{query}");
    }
    for name in SORT_KEYS {
        assert_eq!(
            parse(&format!("sort_key={name}")).sort[0].0,
            sort_key(name).unwrap()
        );
    }
}

#[test]
fn the_stored_order_is_by_age_and_then_by_id_in_one_direction() {
    for (query, stored) in [
        ("", Some(false)),
        ("sort=created_at:asc", Some(true)),
        ("sort=created_at:desc", Some(false)),
        ("sort_dir=asc", Some(true)),
        ("sort=created_at:asc,id:asc", Some(true)),
        ("sort=created_at:asc,id:desc", None),
        ("sort=id:asc", None),
        ("sort=name", None),
    ] {
        assert_eq!(parse(query).stored_order(), stored, "{query}");
    }
}

#[test]
fn images_compare_by_each_key() {
    let low = json!({
        "id": "00000000-0000-4000-8000-000000000001", "name": "a", "status": "active",
        "container_format": "bare", "disk_format": "aki", "size": 1,
    });
    let high = json!({
        "id": "00000000-0000-4000-8000-000000000002", "name": "b", "status": "queued",
        "container_format": "ovf", "disk_format": "raw", "size": 2,
    });
    let (low, high) = (image(1, low), image(2, high));
    for name in SORT_KEYS {
        let ascending = parse(&format!("sort={name}:asc"));
        assert_eq!(ascending.compare(&low, &high), Ordering::Less, "{name}");
        assert_eq!(ascending.compare(&high, &low), Ordering::Greater, "{name}");
        let descending = parse(&format!("sort={name}:desc"));
        assert_eq!(descending.compare(&low, &high), Ordering::Greater, "{name}");
        assert_eq!(descending.compare(&low, &low), Ordering::Equal, "{name}");
    }
    // What has no value comes first, and the next key decides between equals.
    let nameless = image(3, json!({}));
    assert_eq!(
        parse("sort=name:asc").compare(&nameless, &low),
        Ordering::Less
    );
    let older = Image {
        name: low.name.clone(),
        ..high
    };
    assert_eq!(parse("sort=name:asc").compare(&low, &older), Ordering::Less);
    assert_eq!(
        parse("sort=name:desc").compare(&low, &older),
        Ordering::Greater
    );
}

#[test]
fn filters_owner_and_visibility_all_have_to_fit() {
    let body = json!({
        "name": "n", "visibility": "public", "tags": ["a", "b"], "protected": true, "custom": "x",
    });
    let found = image(1, body);
    for (query, matches) in [
        ("", true),
        (
            "name=n&tag=a&tag=b&custom=x&protected=true&owner=own&visibility=public",
            true,
        ),
        ("name=m", false),
        ("name=m&name=n", true),
        ("name=n&name=m", false),
        ("tag=a&tag=c", false),
        ("tag= a ", true),
        ("custom=y", false),
        ("protected=false", false),
        ("os_hidden=true", false),
        ("os_hidden=False", true),
        ("owner=other", false),
        ("visibility=private", false),
        ("visibility=all", true),
        ("deleted=true", true),
    ] {
        assert_eq!(parse(query).matches(&found), matches, "{query}");
        assert_eq!(parse(query).may_match(&found, None), matches, "{query}");
    }
    let hidden = image(1, json!({"os_hidden": true}));
    assert!(!parse("").matches(&hidden));
    assert!(parse("os_hidden=TRUE").matches(&hidden));
}

#[test]
fn an_ims_list_says_whose_images() {
    let ask = |query: &str| Query::parse_ims(&arguments(query)).unwrap();
    for (arguments, image_type, nothing) in [
        ("name=n", None, false),
        ("__imagetype=gold", Some(ImageType::Gold), false),
        ("__imagetype=private", Some(ImageType::Private), false),
        ("__imagetype=shared", Some(ImageType::Shared), false),
        (
            "__imagetype=gold&__imagetype=shared",
            Some(ImageType::Shared),
            false,
        ),
        (
            "__imagetype=other&__imagetype=gold",
            Some(ImageType::Gold),
            false,
        ),
        ("__imagetype=gold&__imagetype=other", None, true),
        ("__imagetype=", None, true),
        ("__imagetype=Gold", None, true),
    ] {
        let query = ask(&format!("limit=3&{arguments}"));
        assert_eq!(
            (query.image_type, query.nothing),
            (image_type, nothing),
            "{arguments}"
        );
        assert_eq!(
            (query.limit, query.shown),
            (3, Shown::Default),
            "{arguments}"
        );
    }
    let refusal = refused(Query::parse_ims(&arguments("limit=x&__imagetype=gold")));
    assert_eq!(refusal, "limit param must be an integer");
}

#[test]
fn an_ims_list_takes_images_that_say_nothing_for_what_images_are() {
    let image = |properties: Value| image(1, properties);
    let plain = image(json!({}));
    let other = image(json!({"enterprise_project_id": "e", "__isregistered": "false"}));
    let same = image(json!({"enterprise_project_id": "0", "__isregistered": "true"}));
    for (query, of) in [
        ("enterprise_project_id=all_granted_eps", [true, true, true]),
        (
            "enterprise_project_id=e&enterprise_project_id=all_granted_eps",
            [true, true, true],
        ),
        ("enterprise_project_id=0", [true, false, true]),
        ("enterprise_project_id=e", [false, true, false]),
        ("__isregistered=true", [true, false, true]),
        ("__isregistered=false", [false, true, false]),
        ("__os_bit=64", [false, false, false]),
    ] {
        let query = Query::parse_ims(&arguments(query)).unwrap();
        let found = [&plain, &other, &same].map(|image| query.matches(image));
        assert_eq!(found, of, "{query:?}");
        let found = [&plain, &other, &same].map(|image| query.may_match(image, None));
        assert_eq!(found, of, "{query:?}");
    }
}

#[test]
fn a_link_repeats_what_counts_more_than_once() {
    let arguments =
        arguments("tag=a&tag=b&sort_key=name&sort_key=id&sort_dir=asc&name=x&name=y&marker=m");
    let rest = "tag=a&tag=b&sort_key=name&sort_key=id&sort_dir=asc&name=y";
    let link = |marker| link("/v2/images", &arguments, marker);
    assert_eq!(link(None), format!("/v2/images?{rest}"));
    let id = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
    let marker = ImageId::canonical(id);
    assert_eq!(link(marker), format!("/v2/images?{rest}&marker={id}"));
}

#[test]
fn few_names_and_few_ids_are_looked_up() {
    let names = |query: &str| parse(query).names().map(<[String]>::to_vec);
    assert_eq!(names("name=a"), Some(vec!["a".to_owned()]));
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|name| name.to_string()).collect();
        names.join(",")
    };
    assert_eq!(names(&format!("name=in:{}", many(10))).unwrap().len(), 10);
    assert_eq!(names(&format!("name=in:{}", many(11))), None);
    assert_eq!(names("status=a"), None);
    let id = "5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01";
    assert_eq!(
        parse(&format!("id={id}")).ids(),
        ImageId::canonical(id).map(|id| vec![id])
    );
    assert_eq!(parse("id=no-id").ids(), Some(Vec::new()));
    assert_eq!(parse(&format!("id=in:{}", many(101))).ids(), None);
    assert_eq!(parse("name=a").ids(), None);
}

/// What a request repeats is compared with each image once.
#[test]
fn equal_tags_and_values_are_one() {
    let tags = |query: &str| {
        let query = parse(query);
        let filters = query.filters.into_iter();
        let tags = filters.filter_map(|filter| match filter {
            Filter::Tag(tag) => Some(tag),
            _ => None,
        });
        tags.collect::<Vec<_>>()
    };
    assert_eq!(tags("tag=b&tag=a&tag=b&tag= b&tag=a"), ["a", "b"]);
    let repeated = vec!["b,a"; 1_000].join(",");
    let names = parse(&format!("name=in:{repeated}"));
    assert_eq!(names.names(), Some(&["a".to_owned(), "b".to_owned()][..]));
}

#[test]
fn the_store_filters_by_texts_and_visibility() {
    let filters = parse("name=n&visibility=public&os_hidden=true").stored_filters();
    assert_eq!(filters, [["\"v\":\"public\""], ["\"n\":\"n\""]]);
    assert!(parse("").stored_filters().is_empty());
    let many = parse("a=1&b=1&c=1&d=1&e=1&f=1").stored_filters();
    assert_eq!(many.len(), STORED_FILTERS_MAX);
}
