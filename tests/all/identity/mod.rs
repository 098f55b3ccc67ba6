//! The development identity service over real HTTP, with one module for each of its modules.

mod login;
mod service;
mod tokens;

use serde_json::{Value, json};

use crate::harness::{Harness, HttpResponse, Who};

const TOKENS: &str = "/identity/v3/auth/tokens";

fn by_name(name: &str) -> Value {
    json!({"name": name, "domain": {"name": "Default"}})
}

fn project(id: &str) -> Value {
    json!({"project": {"id": id}})
}

/// The body of a login with a password; unscoped if `scope` is null.
fn password(mut user: Value, password: &str, scope: Value) -> Value {
    user["password"] = json!(password);
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    json!({"auth": {"identity": identity, "scope": scope}})
}

/// The body of a login with a token.
fn rescope(token: &str, scope: Value) -> Value {
    json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": scope}})
}

async fn log_in(harness: &Harness, body: &Value) -> HttpResponse {
    harness.post(Who::NoToken, TOKENS, body.clone()).await
}

/// Logs a user in to its project and returns the token.
async fn token(harness: &Harness, name: &str, scope: Value) -> String {
    let answer = log_in(harness, &password(by_name(name), "secret", scope)).await;
    let answer = answer.expect(201);
    answer.header("x-subject-token").unwrap().to_owned()
}

async fn send(
    harness: &Harness,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> HttpResponse {
    harness
        .send_with(Who::NoToken, method, path, headers, None)
        .await
}

async fn with(harness: &Harness, token: &str, path: &str) -> HttpResponse {
    send(harness, "GET", path, &[("x-auth-token", token)]).await
}

/// The headers of a request about a token.
fn about<'a>(caller: &'a str, subject: &'a str) -> [(&'static str, &'a str); 2] {
    [("x-auth-token", caller), ("x-subject-token", subject)]
}

/// The service's description of a token, requested with that token.
async fn validate(harness: &Harness, token: &str) -> HttpResponse {
    send(harness, "GET", TOKENS, &about(token, token)).await
}

fn names(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap()).collect()
}
