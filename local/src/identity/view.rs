//! The response documents of the identity service, in Keystone's shapes.

use serde_json::{Value, json};
use shared::domain::time::Timestamp;

use super::tokens::{Scope, Token};
use super::{IdentityFile, Project};

/// The only domain, with Keystone's own id and name for it.
pub(super) const DOMAIN_ID: &str = "default";
pub(super) const DOMAIN_NAME: &str = "Default";
/// The only region of the catalog, with Keystone's own name for it.
const REGION: &str = "RegionOne";
/// The expiry that is shown for tokens that never expire, because clients require one. Clients
/// calculate with it, so it is a year short of the last date that they can represent.
const NEVER: &str = "9998-12-31T23:59:59.000000Z";

fn domain() -> Value {
    json!({"id": DOMAIN_ID, "name": DOMAIN_NAME})
}

/// Describes a token. `catalog_of` is the server's address as the caller knows it, to add the
/// catalog.
pub(super) fn token(identity: &IdentityFile, token: &Token, catalog_of: Option<&str>) -> Value {
    let mut said = json!({
        "methods": token.methods.iter().map(|method| method.name()).collect::<Vec<_>>(),
        "user": {
            "id": token.user,
            "name": identity.user_name(&token.user),
            "domain": domain(),
            "password_expires_at": null,
        },
        "audit_ids": token.audit_ids,
        "issued_at": token.issued_at.stored(),
        "expires_at": token.expires_at.map_or_else(|| NEVER.to_owned(), Timestamp::stored),
    });
    if let (Some(Scope { project, roles }), Some(said)) = (&token.scope, said.as_object_mut()) {
        // A role's id is its name: names are unique.
        let roles: Vec<_> = roles
            .iter()
            .map(|role| json!({"id": role, "name": role}))
            .collect();
        let name = identity.project_name(project);
        said.insert("is_domain".to_owned(), json!(false));
        said.insert(
            "project".to_owned(),
            json!({"id": project, "name": name, "domain": domain()}),
        );
        said.insert("roles".to_owned(), json!(roles));
        if let Some(base) = catalog_of {
            said.insert("catalog".to_owned(), catalog(base));
        }
    }
    json!({"token": said})
}

/// The catalog: the services of this server.
pub(super) fn catalog(base: &str) -> Value {
    let service = |kind: &str, name: &str, url: String| {
        let endpoints = ["public", "internal", "admin"].map(|interface| {
            json!({
                "id": format!("{kind}-{interface}"),
                "interface": interface,
                "region": REGION,
                "region_id": REGION,
                "url": url,
            })
        });
        json!({"id": kind, "type": kind, "name": name, "endpoints": endpoints})
    };
    json!([
        service("identity", "keystone", format!("{base}/identity/v3")),
        service("image", "glance", base.to_owned()),
    ])
}

/// The only version of the API.
pub(super) fn version(base: &str) -> Value {
    let media = json!({
        "base": "application/json",
        "type": "application/vnd.openstack.identity-v3+json",
    });
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{base}/identity/v3/")}],
        "media-types": [media],
    })
}

/// Describes a project.
pub(super) fn project(base: &str, project: &Project) -> Value {
    json!({
        "id": project.id,
        "name": project.name,
        "description": "",
        "domain_id": DOMAIN_ID,
        "parent_id": DOMAIN_ID,
        "enabled": true,
        "is_domain": false,
        "options": {},
        "tags": [],
        "links": {"self": format!("{base}/identity/v3/projects/{}", project.id)},
    })
}

/// A list with its links; it is never paged.
pub(super) fn list(base: &str, path: &str, name: &str, items: &[Value]) -> Value {
    let links = json!({"self": format!("{base}/identity/{path}"), "next": null, "previous": null});
    json!({name: items, "links": links})
}
