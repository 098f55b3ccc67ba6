//! Keystone: a token, and what it is for.

use serde::Deserialize;
use serde_json::{Value, json};

use super::catalog::{self, Service};
use super::settings::Settings;
use crate::error::{Failure, Outcome};
use crate::http::{Answer, Http, Request};

/// The identity service in sentences.
const SERVICE: &str = "the identity service";

/// A valid login.
pub struct Session {
    /// The token.
    pub token: String,
    /// The project's id.
    pub project: String,
    /// The address of the image service, without a slash at its end.
    pub image: String,
    /// The address of the identity service's version 3; none if a token is used without one.
    pub identity: Option<String>,
    /// Whether logging in again gives a new token.
    pub renewable: bool,
}

/// What Keystone says of a token.
#[derive(Debug, Deserialize)]
struct Described {
    token: TokenBody,
}

#[derive(Debug, Deserialize)]
struct TokenBody {
    project: Option<Scope>,
    #[serde(default)]
    catalog: Vec<Service>,
}

/// The project that a token is for.
#[derive(Debug, Deserialize)]
struct Scope {
    id: String,
}

/// The kinds of logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Password,
    Token,
    ApplicationCredential,
    /// A token and the image service's address, without Keystone.
    Endpoint,
}

/// Logs in.
///
/// # Errors
/// If something is missing, wrong or away; the sentence says which.
pub fn log_in(http: &Http, settings: &Settings) -> Outcome<Session> {
    let kind = kind(settings)?;
    if kind == Kind::Endpoint {
        return without_keystone(settings);
    }
    let identity = version_3(required(settings, "auth_url")?);
    let (token, described) = match kind {
        Kind::Token if !scoped(settings) => {
            describe(http, &identity, required(settings, "token")?)?
        }
        _ => issue(http, &identity, kind, &body(kind, settings)?)?,
    };
    let TokenBody { project, catalog } = described.token;
    let project = project.ok_or_else(|| {
        Failure::refused(
            "the login is for no project, and images belong to projects: set OS_PROJECT_NAME, or name \
             one with --os-project-name",
        )
    })?;
    let image = match override_of(settings) {
        Some(url) => url.to_owned(),
        None => catalog::endpoint(&catalog, settings)?,
    };
    Ok(Session {
        token,
        project: project.id,
        image: without_version(&image),
        identity: Some(identity),
        renewable: kind != Kind::Token,
    })
}

fn kind(settings: &Settings) -> Outcome<Kind> {
    match settings.get("auth_type") {
        Some("password" | "v3password") => Ok(Kind::Password),
        Some("token" | "v3token") => Ok(Kind::Token),
        Some("v3applicationcredential") => Ok(Kind::ApplicationCredential),
        Some("admin_token" | "token_endpoint") => Ok(Kind::Endpoint),
        Some(other) => Err(Failure::wrong_use(format!(
            "the login type {other:?} is not supported: use password, token, v3applicationcredential or \
             admin_token; a token of `openstack token issue` works for any login"
        ))),
        None => {
            let has = |name| settings.get(name).is_some();
            Ok(
                if has("application_credential_id") || has("application_credential_name") {
                    Kind::ApplicationCredential
                } else if has("token") && !has("username") && !has("user_id") {
                    match has("auth_url") {
                        true => Kind::Token,
                        false => Kind::Endpoint,
                    }
                } else {
                    Kind::Password
                },
            )
        }
    }
}

/// Whether the settings ask for a project, which a token may be exchanged for.
fn scoped(settings: &Settings) -> bool {
    settings.get("project_id").is_some() || settings.get("project_name").is_some()
}

fn override_of(settings: &Settings) -> Option<&str> {
    let names = [
        "image_endpoint_override",
        "image_endpoint",
        "endpoint",
        "endpoint_override",
    ];
    names.iter().find_map(|name| settings.get(name))
}

fn without_keystone(settings: &Settings) -> Outcome<Session> {
    let missing = |what: &str| {
        Failure::refused(format!(
            "not logged in: a token without the identity service needs {what} too, or set OS_AUTH_URL"
        ))
    };
    let image = override_of(settings).ok_or_else(|| missing("OS_ENDPOINT"))?;
    let project = settings
        .get("project_id")
        .ok_or_else(|| missing("OS_PROJECT_ID"))?;
    Ok(Session {
        token: required(settings, "token")?.to_owned(),
        project: project.to_owned(),
        image: without_version(image),
        identity: None,
        renewable: false,
    })
}

/// A setting that the login cannot do without.
fn required<'a>(settings: &'a Settings, name: &str) -> Outcome<&'a str> {
    settings.get(name).ok_or_else(|| {
        let upper = name.to_uppercase();
        Failure::refused(format!(
            "not logged in: there is no {name}; set OS_{upper} and the other variables as for the openstack \
             command, or name a cloud of clouds.yaml that has it with --os-cloud"
        ))
    })
}

/// The address of the version 3 of the API.
fn version_3(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let base = url.strip_suffix("/v2.0").unwrap_or(url);
    match base.ends_with("/v3") {
        true => base.to_owned(),
        false => format!("{base}/v3"),
    }
}

/// An image service's address without the version that some catalogs have in it.
fn without_version(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let base = ["/v2", "/v1"]
        .iter()
        .find_map(|version| url.strip_suffix(version));
    base.unwrap_or(url).to_owned()
}

/// The body of a request for a token.
fn body(kind: Kind, settings: &Settings) -> Outcome<Value> {
    let identity = match kind {
        Kind::Token | Kind::Endpoint => {
            json!({"methods": ["token"], "token": {"id": required(settings, "token")?}})
        }
        Kind::Password => {
            let mut user = user(settings)?;
            merge(&mut user, json!({"password": password(settings)?}));
            json!({"methods": ["password"], "password": {"user": user}})
        }
        Kind::ApplicationCredential => {
            let secret = required(settings, "application_credential_secret")?;
            let credential = match settings.get("application_credential_id") {
                Some(id) => json!({"id": id, "secret": secret}),
                None => {
                    let name = required(settings, "application_credential_name")?;
                    json!({"name": name, "secret": secret, "user": user(settings)?})
                }
            };
            json!({"methods": ["application_credential"], "application_credential": credential})
        }
    };
    let mut auth = json!({"identity": identity});
    // An application credential is for its project.
    if kind != Kind::ApplicationCredential
        && let Some(project) = project(settings)
    {
        merge(&mut auth, json!({"scope": {"project": project}}));
    }
    Ok(json!({"auth": auth}))
}

fn password(settings: &Settings) -> Outcome<String> {
    if let Some(password) = settings.get("password") {
        return Ok(password.to_owned());
    }
    let terminal = console::Term::stderr();
    if !console::user_attended() || !terminal.is_term() {
        return required(settings, "password").map(str::to_owned);
    }
    let asked = terminal
        .write_str("Password: ")
        .and_then(|()| terminal.read_secure_line());
    asked.map_err(|error| {
        Failure::refused(format!("not logged in: cannot read a password: {error}"))
    })
}

fn user(settings: &Settings) -> Outcome<Value> {
    match settings.get("user_id") {
        Some(id) => Ok(json!({"id": id})),
        None => {
            let name = required(settings, "username")?;
            Ok(json!({"name": name, "domain": domain(settings, "user")}))
        }
    }
}

fn project(settings: &Settings) -> Option<Value> {
    match (settings.get("project_id"), settings.get("project_name")) {
        (Some(id), _) => Some(json!({"id": id})),
        (None, Some(name)) => Some(json!({"name": name, "domain": domain(settings, "project")})),
        (None, None) => None,
    }
}

/// The domain of the user or the project, the default one unless told otherwise.
fn domain(settings: &Settings, of: &str) -> Value {
    let id = settings.get(&format!("{of}_domain_id"));
    let name = settings.get(&format!("{of}_domain_name"));
    match (id, name) {
        (Some(id), _) => json!({"id": id}),
        (None, Some(name)) => json!({"name": name}),
        (None, None) => json!({"id": settings.get("default_domain").unwrap_or("default")}),
    }
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// Asks for a token.
fn issue(http: &Http, identity: &str, kind: Kind, body: &Value) -> Outcome<(String, Described)> {
    let answer = http.send(&Request {
        service: SERVICE,
        method: "POST",
        url: &format!("{identity}/auth/tokens"),
        headers: Vec::new(),
        body: Some(body),
        repeatable: true,
    })?;
    let refused = |answer: &Answer, why: &str| {
        Failure::refused(format!(
            "not logged in: {SERVICE} answers {}; {why}",
            answer.said()
        ))
    };
    match answer.status {
        300 => Err(no_keystone(identity)),
        401 | 404 if kind == Kind::Token => Err(refused(&answer, "get a new token")),
        401 => Err(refused(
            &answer,
            "check the user, the password and the project",
        )),
        404 => Err(refused(&answer, "check OS_AUTH_URL")),
        400..500 => Err(refused(&answer, "check the OS_ variables")),
        _ => {
            let token = answer.header("x-subject-token").map(str::to_owned);
            let described = answer.json()?;
            let token = token.ok_or_else(|| Failure::away(format!("{SERVICE} gives no token")))?;
            Ok((token, described))
        }
    }
}

/// What a server says that knows no `auth/tokens` there: a choice of versions, such as Glance's.
fn no_keystone(identity: &str) -> Failure {
    Failure::wrong_use(format!(
        "{identity} is no identity service (300): check OS_AUTH_URL; it often ends in /identity/v3 or :5000/v3"
    ))
}

/// Asks about a token that is used as it is.
fn describe(http: &Http, identity: &str, token: &str) -> Outcome<(String, Described)> {
    let headers = vec![
        ("x-auth-token", token.to_owned()),
        ("x-subject-token", token.to_owned()),
        // A token of an application credential with access rules is shown to those only that know
        // of such rules.
        ("openstack-identity-access-rules", "1.0".to_owned()),
    ];
    let answer = get(http, &format!("{identity}/auth/tokens"), headers)?;
    match answer.status {
        300 => Err(no_keystone(identity)),
        401 | 403 | 404 => Err(Failure::refused(format!(
            "not logged in: {SERVICE} does not know this token: {}; get a new one",
            answer.said()
        ))),
        _ => Ok((token.to_owned(), answer.json()?)),
    }
}

pub(super) fn get(http: &Http, url: &str, headers: Vec<(&'static str, String)>) -> Outcome<Answer> {
    http.send(&Request {
        service: SERVICE,
        method: "GET",
        url,
        headers,
        body: None,
        repeatable: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_with_and_without_a_version() {
        for (url, address) in [
            ("http://k/v3", "http://k/v3"),
            ("http://k/v3/", "http://k/v3"),
            ("http://k/identity", "http://k/identity/v3"),
            ("http://k:5000/v2.0", "http://k:5000/v3"),
        ] {
            assert_eq!(version_3(url), address);
        }
        assert_eq!(without_version("http://i/v2/"), "http://i");
        assert_eq!(without_version("http://i:9292"), "http://i:9292");
    }

    #[test]
    fn bodies_are_keystones() {
        let password = Settings::of(&[("username", "u"), ("password", "p"), ("project_name", "w")]);
        let domain = json!({"id": "default"});
        assert_eq!(
            body(kind(&password).unwrap(), &password).unwrap(),
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {
                    "user": {"name": "u", "domain": domain, "password": "p"}}},
                "scope": {"project": {"name": "w", "domain": domain}},
            }})
        );
        let credential = Settings::of(&[
            ("application_credential_id", "c"),
            ("application_credential_secret", "s"),
            ("project_name", "ignored"),
        ]);
        let credential = body(kind(&credential).unwrap(), &credential).unwrap();
        assert_eq!(
            credential,
            json!({"auth": {"identity": {"methods": ["application_credential"],
                   "application_credential": {"id": "c", "secret": "s"}}}})
        );
    }
}
