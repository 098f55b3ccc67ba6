//! The query parameters of `GET /v2/images`.

use serde_json::json;

use crate::harness::{Harness, OWNER, Who};

/// Creates three images of the owner: `alpha`, active and of 10 bytes; `beta`, queued; and one
/// whose name has a comma and a quote.
async fn harness() -> Harness {
    let harness = Harness::new().await;
    let alpha = json!({
        "name": "alpha", "owner": OWNER, "status": "active", "size": 10, "min_disk": 1,
        "disk_format": "raw", "tags": ["t1", "x"], "os_hash_algo": "sha512", "os_version": "9",
    });
    let beta = json!({"name": "beta", "min_disk": 10, "tags": ["t2"], "visibility": "private"});
    harness
        .post(Who::Admin, "/v2/images", alpha)
        .await
        .expect(201);
    harness.image(beta).await;
    harness
        .image(json!({"name": "a,b\"c", "os_hidden": false}))
        .await;
    harness
}

async fn names(harness: &Harness, query: &str) -> Result<Vec<String>, String> {
    let answer = harness
        .send_with(
            Who::Owner,
            "GET",
            &format!("/v2/images?{query}"),
            &[("accept", "application/json")],
            None,
        )
        .await;
    if answer.status != 200 {
        return Err(format!("{} {}", answer.status, answer.text("/message")));
    }
    let answer = answer.json();
    let images = answer["images"].as_array().unwrap().iter();
    let mut names: Vec<String> = images
        .map(|image| image["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    Ok(names)
}

#[tokio::test]
async fn filters_find_what_they_find_in_glance() {
    let harness = harness().await;
    let all: &[&str] = &["a,b\"c", "alpha", "beta"];
    let alpha: &[&str] = &["alpha"];
    let beta: &[&str] = &["beta"];
    let none: &[&str] = &[];
    let odd: &[&str] = &["a,b\"c"];
    for (query, expected) in [
        // Repeated parameters: the last one counts; all of the tags, both of the visibilities; and
        // of limit, member_status and sort the first, beside which the second is one that no image
        // has.
        ("name=beta&name=alpha", alpha),
        ("status=queued&status=active", alpha),
        ("visibility=private&visibility=private", beta),
        ("visibility=all&visibility=private", beta),
        ("visibility=shared&visibility=private", none),
        ("visibility=bogus&visibility=private", none),
        (&format!("owner=x&owner={OWNER}"), all),
        ("created_at=bad&created_at=lt:2100-01-01", all),
        ("os_hidden=true&os_hidden=false", all),
        ("size_min=x&size_min=1", alpha),
        ("tag=t1&tag=x", alpha),
        ("tag=t1&tag=t2", none),
        ("limit=1&limit=2", none),
        ("member_status=all&member_status=x", none),
        ("sort=name&sort=bogus", none),
        // Operators.
        ("name=eq:alpha", alpha),
        ("status=eq:active", alpha),
        ("disk_format=eq:raw", alpha),
        ("name=in:alpha,beta", &["alpha", "beta"]),
        ("name=in:,alpha,,", alpha),
        ("name=in:", none),
        ("name=in:%22alpha%22,beta", &["alpha", "beta"]),
        // A backslash before a quote is kept within quotes.
        ("name=in:%22a,b%5C%22c%22", none),
        ("name=in:a%5C%22b", none),
        ("name=eq:a,b%22c", odd),
        ("name=2020-01-01T00:00:00", none),
        ("owner=eq:x", none),
        ("os_version=eq:9", none),
        ("os_version=9", alpha),
        ("os_hash_algo=sha512", alpha),
        // Times.
        ("created_at=gte:2020", all),
        ("created_at=2020-01-01", none),
        ("created_at=neq:20200101T000000Z", all),
        ("updated_at=gt:2020-1-1%2000:00%2B01", all),
        // Numbers.
        ("size_min=%201", alpha),
        ("size_min=%2B0", alpha),
        ("size_min=1_0", alpha),
        ("size_min=-1", alpha),
        ("size_max=-1", none),
        (
            "size_min=99999999999999999999999999999999999999999999",
            none,
        ),
        ("size_max=99999999999999999999", alpha),
        ("min_disk=10.0", beta),
        ("min_disk=1e1", beta),
        ("min_disk=%0A1", alpha),
        ("min_disk=01", alpha),
        ("min_disk=x", none),
        ("min_disk=1.5", none),
        ("min_disk_min=1", &["alpha", "beta"]),
        ("min_ram_max=0", all),
        ("limit=99999999999999999999", all),
        ("limit=%2B3", all),
        ("limit=-0", none),
        // Ignored parameters, and those that are only the name of a property.
        ("deleted=true", all),
        ("deleted=", all),
        ("is_public=1", none),
        ("members=x", none),
        ("visibility=", none),
        ("=x", none),
    ] {
        let expected = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(names(&harness, query).await, Ok(expected), "{query}");
    }
    // A body is ignored.
    let answer = harness.send(Who::Owner, "GET", "/v2/images", Some("[x"));
    answer.await.expect(200);
}

#[tokio::test]
async fn refusals_have_glances_words_and_order() {
    let harness = harness().await;
    let operator = |name: &str| format!("Unable to filter by unknown operator '{name}'.");
    let time =
        |name: &str| format!("Bad \"{name}\" query filter format. Use ISO 8601 DateTime notation.");
    let range = "Unable to filter on a range with a non-numeric value.".to_owned();
    let quotes = |text: &str, why: &str| format!("Invalid filter value {text}. {why}");
    for (query, words) in [
        ("name=neq:x", operator("neq")),
        ("name=foo:bar", operator("foo")),
        ("name=a:", operator("a")),
        ("name=:a", operator("")),
        ("status=IN:x", operator("IN")),
        ("created_at=bogus", time("created_at")),
        ("updated_at=gte:bogus", time("updated_at")),
        ("created_at=", time("created_at")),
        ("created_at=foo:bar", time("created_at")),
        (
            "created_at=in:2020",
            "Unable to filter on a unknown operator.".to_owned(),
        ),
        ("size_min=1.0", range.clone()),
        ("min_ram_max=", range.clone()),
        ("foo_min=x", range.clone()),
        (
            "name=in:a%22b%22",
            quotes("a\"b\"", "There is no comma before opening quotation mark."),
        ),
        (
            "name=in:%22a%22x",
            quotes("\"a\"x", "There is no comma after closing quotation mark."),
        ),
        (
            "name=in:%22a,b",
            quotes("\"a,b", "The quote is not closed."),
        ),
        ("limit=1.0", "limit param must be an integer".to_owned()),
        ("limit=-1", "limit param must be positive".to_owned()),
        (
            "sort_dir=asc&sort_dir=asc",
            "Number of sort dirs does not match the number of sort keys".to_owned(),
        ),
        (
            "name=%FF",
            "Error decoding your request. Either the URL or the request body contained characters \
             that could not be decoded by Glance"
                .to_owned(),
        ),
        // With several faults, the one that Glance checks first is reported.
        ("limit=x&member_status=y", "Invalid status: y".to_owned()),
        (
            "sort=x&visibility=y",
            "Invalid visibility value: y".to_owned(),
        ),
        (
            "os_hidden=x&limit=y",
            "limit param must be an integer".to_owned(),
        ),
        ("name=a:b&size_min=x", operator("a")),
        ("marker=zz&size_min=x", range),
        ("marker=zz&limit=0", "No image found with ID zz".to_owned()),
    ] {
        let expected = format!("400 {words}");
        assert_eq!(names(&harness, query).await, Err(expected), "{query}");
    }
    // A caller without a role: refused after the faults that need no image, before those that do.
    for (query, status) in [
        ("limit=x", 400),
        ("visibility=x", 400),
        ("protected=x", 400),
        ("created_at=x", 403),
        ("marker=zz", 403),
    ] {
        let path = format!("/v2/images?{query}");
        let answer = harness.get(Who::OwnerNoRole, &path).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
    }
}

/// As in Glance, a single direction also breaks ties; with several directions ties descend.
#[tokio::test]
async fn ties_are_broken_in_the_one_direction_that_is_given() {
    let harness = Harness::new().await;
    let mut ids = Vec::new();
    for name in ["b", "a", "a", "c", "b"] {
        ids.push(harness.image(json!({"name": name})).await);
    }
    for (query, order) in [
        ("", [4, 3, 2, 1, 0]),
        ("sort_dir=asc", [0, 1, 2, 3, 4]),
        ("sort=name", [3, 4, 0, 2, 1]),
        ("sort=name:asc", [1, 2, 0, 4, 3]),
        ("sort_key=name&sort_dir=asc", [1, 2, 0, 4, 3]),
        ("sort_key=size", [4, 3, 2, 1, 0]),
        ("sort_key=size&sort_dir=asc", [0, 1, 2, 3, 4]),
        ("sort_key=name&sort_key=size&sort_dir=asc", [1, 2, 0, 4, 3]),
        ("sort=name:asc,size:asc", [2, 1, 4, 0, 3]),
        ("sort=name:asc,size:desc", [2, 1, 4, 0, 3]),
        ("sort=size:asc,created_at:asc", [0, 1, 2, 3, 4]),
        ("sort=created_at:asc,id:desc", [0, 1, 2, 3, 4]),
        ("sort=name,name:asc", [3, 4, 0, 2, 1]),
    ] {
        let expected: Vec<String> = order.iter().map(|place| ids[*place].clone()).collect();
        let whole = harness.listed(Who::Owner, &format!("?{query}")).await;
        assert_eq!(whole, expected, "{query}");
        for (place, marker) in expected.iter().enumerate() {
            let after = format!("?{query}&marker={marker}");
            let rest = harness.listed(Who::Owner, &after).await;
            assert_eq!(rest, expected[place + 1..], "{query} after {place}");
        }
    }
}

#[tokio::test]
async fn links_keep_the_order_of_the_arguments() {
    let harness = Harness::new().await;
    for (query, link) in [
        ("tags=red&a+b=x", "tags=red&a+b=x"),
        ("z=1&a+b=x&c=d&z=2", "z=2&a+b=x&c=d"),
        ("z+=1&+a=2&b%20c=3&b+c=4", "z+=1&+a=2&b+c=4"),
        ("b&&a=%C3%BC", "b=&a=%C3%BC"),
    ] {
        let path = format!("/v2/images?{query}");
        let answer = harness.get(Who::Owner, &path).await.expect(200);
        assert_eq!(answer.text("/first"), format!("/v2/images?{link}"));
    }
}
