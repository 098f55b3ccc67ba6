//! Discovery: versions, schemas, info, and the parts of Glance's API that other services have here.

use serde_json::{Value, json};

use crate::harness::{Harness, HttpResponse, MEMBER, Who};

async fn get(harness: &Harness, who: Who, path: &str) -> (u16, Value) {
    let sent = [("accept", "application/json")];
    let answer = harness.send_with(who, "GET", path, &sent, None).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn info_and_tasks_say_that_there_is_no_data() {
    let harness = Harness::new().await;
    let methods = json!({"import-methods": {
        "description": "Import methods available.", "type": "array", "value": [],
    }});
    let tasks = json!({"tasks": [], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"});
    for who in [Who::Owner, Who::OwnerReader, Who::OwnerNoRole, Who::Admin] {
        let info = |path: &'static str| get(&harness, who, path);
        assert_eq!(info("/v2/info/import").await, (200, methods.clone()));
        assert_eq!(info("/v2/info/stores").await, (200, json!({"stores": []})));
        assert_eq!(info("/v2/info/usage").await, (200, json!({"usage": {}})));
        assert_eq!(info("/v2/info").await.0, 404);
    }
    assert_eq!(get(&harness, Who::Admin, "/v2/tasks").await, (200, tasks));
    let detail = get(&harness, Who::Admin, "/v2/info/stores/detail").await;
    assert_eq!(detail, (200, json!({"stores": []})));
    let (status, task) = get(&harness, Who::Admin, "/v2/tasks/x").await;
    assert_eq!(
        (status, &task["message"]),
        (404, &json!("Could not find task x"))
    );
    for (path, policy) in [
        ("/v2/tasks", "tasks_api_access"),
        ("/v2/tasks/x", "tasks_api_access"),
        ("/v2/info/stores/detail", "stores_info_detail"),
    ] {
        let (status, refused) = get(&harness, Who::Owner, path).await;
        let words = format!("You are not authorized to complete {policy} action.");
        assert_eq!(
            (status, &refused["message"]),
            (403, &json!(words)),
            "{path}"
        );
    }
    for path in ["/v2/info/import", "/v2/tasks", "/v2/info/stores/detail"] {
        assert_eq!(get(&harness, Who::NoToken, path).await.0, 401, "{path}");
        let answer = harness
            .send(Who::Owner, "PUT", path, None)
            .await
            .expect(405);
        assert_eq!(answer.header("allow"), Some("GET"), "{path}");
        let with_body = harness.send(Who::Admin, "GET", path, Some("x")).await;
        with_body.expect(400);
    }
    let image = harness.image(json!({})).await;
    harness.share(&image, MEMBER).await.expect(200);
    let path = format!("/v2/images/{image}/tasks");
    for (who, status) in [
        (Who::Owner, 200),
        (Who::Member, 200),
        (Who::Admin, 200),
        (Who::Third, 404),
    ] {
        assert_eq!(get(&harness, who, &path).await.0, status, "{who:?}");
    }
}

#[tokio::test]
async fn the_arguments_of_a_list_of_tasks_are_looked_at_as_in_glance() {
    let harness = Harness::new().await;
    let ask = async |query: &str| {
        let path = format!("/v2/tasks?{query}");
        get(&harness, Who::Admin, &path).await
    };
    for (query, words) in [
        ("limit=x", "limit param must be an integer"),
        ("limit=", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        ("status=nope", "Invalid status value: nope"),
        ("type=x", "Invalid type value: x"),
        ("marker=x", "Invalid marker format"),
        ("marker=", "Task with the given id  was not found"),
        ("sort_dir=x", "Invalid sort direction: x"),
        ("sort_key=x", "Sort key supplied was not valid."),
        ("sort_key=", "Sort key supplied was not valid."),
        // With several faults, the one that Glance checks first is reported.
        ("limit=x&status=y", "Invalid status value: y"),
        ("limit=x&marker=y", "Invalid marker format"),
        ("status=y&sort_dir=x", "Invalid sort direction: x"),
        (
            "sort_key=x&marker=",
            "Task with the given id  was not found",
        ),
    ] {
        let (status, refused) = ask(query).await;
        let found = (status, &refused["message"]);
        assert_eq!(found, (400, &json!(words)), "{query}");
    }
    for (query, link) in [
        ("limit=1&limit=2", "limit=2"),
        ("limit=%201", "limit=+1"),
        ("limit=0&status=success", "limit=0&status=success"),
        ("status=&type=import", "status=&type=import"),
        ("b=1&a+b=%C3%BC", "b=1&a+b=%C3%BC"),
        (
            "sort_key=status&sort_dir=asc",
            "sort_key=status&sort_dir=asc",
        ),
    ] {
        let (status, tasks) = ask(query).await;
        let link = format!("/v2/tasks?{link}");
        assert_eq!((status, &tasks["first"]), (200, &json!(link)), "{query}");
    }
    let path = "/v2/tasks?limit=x";
    assert_eq!(get(&harness, Who::Owner, path).await.0, 403);
}

#[tokio::test]
async fn the_schemas_of_tasks_and_members_are_glances() {
    let harness = Harness::new().await;
    let (_, task) = get(&harness, Who::Owner, "/v2/schemas/task").await;
    assert_eq!(task["name"], "task");
    let (_, tasks) = get(&harness, Who::Owner, "/v2/schemas/tasks").await;
    // A list shows fewer fields of a task.
    let mut listed = task;
    for name in ["input", "message", "result"] {
        let properties = listed["properties"].as_object_mut().unwrap();
        assert!(properties.remove(name).is_some(), "{name}");
    }
    assert_eq!(tasks["properties"]["tasks"]["items"], listed);
    // Neither list is paged, according to its schema.
    let (_, members) = get(&harness, Who::Owner, "/v2/schemas/members").await;
    for list in [tasks, members] {
        assert_eq!(
            list["links"],
            json!([{"rel": "describedby", "href": "{schema}"}])
        );
        assert_eq!(list["properties"].as_object().unwrap().len(), 2);
    }
}

/// An uploading client does not announce its media type, and can only print JSON and HTML.
#[tokio::test]
async fn what_is_left_to_others_is_said_in_a_form_that_clients_print() {
    let harness = Harness::new().await;
    let image = harness.image(json!({})).await;
    for (method, path, word) in [
        ("PUT", format!("/v2/images/{image}/file"), "data"),
        ("GET", format!("/v2/images/{image}/file"), "data"),
        ("PUT", format!("/v2/images/{image}/stage"), "data"),
        ("POST", format!("/v2/images/{image}/import"), "data"),
        ("GET", format!("/v2/images/{image}/locations"), "data"),
        ("DELETE", format!("/v2/stores/fs/{image}"), "data"),
        ("GET", "/v2/cache".to_owned(), "cache"),
        ("GET", "/v2/metadefs/namespaces".to_owned(), "definitions"),
        (
            "GET",
            "/v2/schemas/metadefs/namespace".to_owned(),
            "definitions",
        ),
    ] {
        for accept in ["", "text/plain", "application/json"] {
            let sent = [("accept", accept)];
            let answer = harness
                .send_with(Who::Owner, method, &path, &sent, None)
                .await;
            let message = answer.expect(404).text("/message");
            assert!(message.contains(word), "{method} {path}: {message}");
            let refused = harness.send_with(Who::NoToken, method, &path, &sent, None);
            refused.await.expect(401);
        }
    }
}

#[tokio::test]
async fn health_is_told_in_the_form_that_is_asked_for() {
    let harness = Harness::new().await;
    let ask = async |method: &str, path: &str, accept: &str| -> HttpResponse {
        let sent = [("accept", accept)];
        harness
            .send_with(Who::NoToken, method, path, &sent, None)
            .await
    };
    for path in ["/healthcheck", "/healthcheck/", "//healthcheck"] {
        for (accept, media) in [
            ("", "text/plain; charset=UTF-8"),
            ("*/*", "text/plain; charset=UTF-8"),
            ("application/json, text/plain", "text/plain; charset=UTF-8"),
            ("application/json", "application/json"),
            ("text/html", "text/html; charset=UTF-8"),
        ] {
            let answer = ask("GET", path, accept).await.expect(200);
            assert_eq!(
                answer.header("content-type"),
                Some(media),
                "{path} {accept}"
            );
        }
        let answer = ask("GET", path, "application/json").await;
        assert_eq!(answer.json(), json!({"detailed": false, "reasons": ["OK"]}));
        ask("HEAD", path, "").await.expect(204);
    }
}
