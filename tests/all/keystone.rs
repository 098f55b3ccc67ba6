//! A fake Keystone: the calls that the authorizer makes, with the faults of a real one. The real
//! one is tested by `checks/keystone.sh`.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authorizer::config::{Config, KeystoneConfig};
use authorizer::service_user::{ServiceUser, UserSource};
use bytes::Bytes;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use shared::domain::roles::RoleNames;
use shared::domain::secret::Secret;
use tests::{Reply, reply, serve, serve_over};
use tokio_rustls::TlsAcceptor;

use crate::harness::{ADMIN, MEMBER, OWNER, Who};

pub const PASSWORD: &str = "the-service-users-password";
/// A token without a project, an expired one, and one at which Keystone fails.
pub const UNSCOPED: &str = "unscoped-token-0123456789";
pub const EXPIRED: &str = "expired-token-0123456789";
pub const TROUBLE: &str = "trouble-token-0123456789";

/// A token of an application credential with access rules.
pub const RESTRICTED: &str = "restricted-token-0123456789";

/// How it responds.
#[derive(Clone, Debug, PartialEq)]
pub enum Behaviour {
    Well,
    /// Responds after this time.
    Slow(Duration),
    /// Responds to everything like this.
    Says(u16, &'static str),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub logins: usize,
    pub validations: usize,
}

struct State {
    behaviour: Behaviour,
    password: String,
    tokens: HashMap<String, Value>,
    logins: HashSet<String>,
    login_expires_at: &'static str,
    counts: Counts,
    answering: usize,
    most_at_once: usize,
}

/// A Keystone in this process.
#[derive(Clone)]
pub struct FakeKeystone {
    pub url: String,
    state: Arc<Mutex<State>>,
}

/// The body that describes a token.
pub fn token(project: Option<&str>, roles: &[&str], expires_at: &str) -> Value {
    let roles: Vec<Value> = roles.iter().map(|name| json!({"name": name})).collect();
    let mut token = json!({"user": {"id": "u-1"}, "roles": roles, "expires_at": expires_at});
    if let Some(project) = project {
        token["project"] = json!({"id": project});
    }
    json!({"token": token})
}

/// The body that describes a token of the owner's application credential with these access rules:
/// service, method, path.
pub fn restricted_token(rules: &[(&str, &str, &str)]) -> Value {
    let later = "2099-01-01T00:00:00.000000Z";
    let mut token = token(Some(OWNER), &["member", "reader"], later);
    let rules: Vec<_> = rules
        .iter()
        .map(|(service, method, path)| {
            json!({"id": "1", "service": service, "method": method, "path": path})
        })
        .collect();
    token["token"]["application_credential"] =
        json!({"id": "c", "name": "ci", "restricted": true, "access_rules": rules});
    token
}

impl FakeKeystone {
    pub async fn start() -> Self {
        let later = "2099-01-01T00:00:00.000000Z";
        let mut tokens = HashMap::new();
        for (id, project, roles, expires_at) in [
            (
                Who::Owner.token(),
                Some(OWNER),
                vec!["member", "reader"],
                later,
            ),
            (Who::OwnerReader.token(), Some(OWNER), vec!["reader"], later),
            (
                Who::OwnerNoRole.token(),
                Some(OWNER),
                vec!["auditor"],
                later,
            ),
            (
                Who::Member.token(),
                Some(MEMBER),
                vec!["member", "reader"],
                later,
            ),
            (
                Who::Admin.token(),
                Some(ADMIN),
                vec!["admin", "member", "reader"],
                later,
            ),
            (Some(UNSCOPED), None, vec![], later),
            (
                Some(EXPIRED),
                Some(OWNER),
                vec!["member"],
                "2001-01-01T00:00:00.000000Z",
            ),
        ] {
            tokens.insert(id.unwrap().to_owned(), token(project, &roles, expires_at));
        }
        let rules = [("image", "GET", "/v2/images/**"), ("compute", "GET", "/**")];
        tokens.insert(RESTRICTED.to_owned(), restricted_token(&rules));
        let state = Arc::new(Mutex::new(State {
            behaviour: Behaviour::Well,
            password: PASSWORD.to_owned(),
            tokens,
            logins: HashSet::new(),
            login_expires_at: later,
            counts: Counts::default(),
            answering: 0,
            most_at_once: 0,
        }));
        let answering = state.clone();
        let address = serve(move |request| answer(answering.clone(), request)).await;
        Self {
            url: format!("http://{address}"),
            state,
        }
    }

    pub fn is(&self, behaviour: Behaviour) {
        self.state.lock().unwrap().behaviour = behaviour;
    }

    pub fn gives(&self, id: &str, body: Value) {
        self.state
            .lock()
            .unwrap()
            .tokens
            .insert(id.to_owned(), body);
    }

    pub fn revokes(&self, id: &str) {
        self.state.lock().unwrap().tokens.remove(id);
    }

    /// Revokes all logins, as when its keys are replaced.
    pub fn forgets_logins(&self) {
        self.state.lock().unwrap().logins.clear();
    }

    pub fn ends_logins_at(&self, instant: &'static str) {
        self.state.lock().unwrap().login_expires_at = instant;
    }

    pub fn changes_password(&self, password: &str) {
        self.state.lock().unwrap().password = password.to_owned();
    }

    /// The requests since the last call.
    pub fn counts(&self) -> Counts {
        std::mem::take(&mut self.state.lock().unwrap().counts)
    }

    /// The most requests that it had to answer at the same time.
    pub fn most_at_once(&self) -> usize {
        self.state.lock().unwrap().most_at_once
    }

    /// Serves the same Keystone over TLS, with a certificate for `localhost` by an authority that it
    /// writes to a file. The configuration does not name that file.
    pub async fn over_tls(&self, authority: &Path) -> Config {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(authority, signed.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let over_tls = move |stream| {
            let acceptor = acceptor.clone();
            async move { acceptor.accept(stream).await.ok() }
        };
        let state = self.state.clone();
        let address = serve_over(over_tls, move |request| answer(state.clone(), request)).await;
        let mut config = self.config();
        config.keystone.url = format!("https://localhost:{}/v3", address.port());
        config
    }

    /// The configuration of an authorizer that uses it.
    pub fn config(&self) -> Config {
        Config {
            keystone: KeystoneConfig {
                url: format!("{}/v3", self.url),
                service_user: UserSource::Fixed(ServiceUser::Password {
                    user: ("imshare".to_owned(), "Default".to_owned()),
                    password: Secret::new(PASSWORD.to_owned()),
                    project: ("service".to_owned(), "Default".to_owned()),
                }),
                authorities: None,
            },
            roles: RoleNames::default(),
            cache_ttl: 300,
            signed_requests: false,
        }
    }
}

async fn answer(state: Arc<Mutex<State>>, request: hyper::Request<Bytes>) -> Reply {
    let behaviour = state.lock().unwrap().begin();
    match behaviour {
        Behaviour::Well => {}
        Behaviour::Slow(time) => tokio::time::sleep(time).await,
        Behaviour::Says(status, body) => return reply(status, body),
    }
    let mut state = state.lock().unwrap();
    state.answering = state.answering.saturating_sub(1);
    state.answer(&request)
}

impl State {
    fn begin(&mut self) -> Behaviour {
        self.answering += 1;
        self.most_at_once = self.most_at_once.max(self.answering);
        self.behaviour.clone()
    }

    fn answer(&mut self, request: &hyper::Request<Bytes>) -> Reply {
        let refused = |status: u16| {
            reply(
                status,
                json!({"error": {"code": status, "message": "no", "title": "no"}}).to_string(),
            )
        };
        let header = |name: &str| {
            let value = request.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        assert_eq!(request.uri().path(), "/v3/auth/tokens");
        assert!(enforces_rules(request));
        if request.method() == "POST" {
            self.counts.logins += 1;
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            let sent = &body["auth"]["identity"]["password"]["user"]["password"];
            if *sent != self.password.as_str() {
                return refused(401);
            }
            let id = format!("login-token-{}", uuid::Uuid::new_v4());
            self.logins.insert(id.clone());
            let body = token(Some("service"), &["service"], self.login_expires_at);
            let mut given = reply(201, body.to_string());
            given
                .headers_mut()
                .insert("x-subject-token", id.parse().unwrap());
            return given;
        }
        self.counts.validations += 1;
        if !header("x-auth-token").is_some_and(|own| self.logins.contains(&own)) {
            return refused(401);
        }
        match header("x-subject-token").unwrap().as_str() {
            TROUBLE => refused(500),
            id => match self.tokens.get(id) {
                // As in the real one: a service that does not enforce access rules must not accept
                // the token.
                Some(body) if restricted(body) && !enforces_rules(request) => refused(404),
                Some(body) => reply(200, body.to_string()),
                None => refused(404),
            },
        }
    }
}

fn restricted(body: &Value) -> bool {
    let rules = body.pointer("/token/application_credential/access_rules");
    rules.is_some()
}

fn enforces_rules(request: &hyper::Request<Bytes>) -> bool {
    let header = request.headers().get("openstack-identity-access-rules");
    header.is_some_and(|version| version == "1.0")
}
