//! The gateway's event and the policy that answers it. Only the fields that are needed are parsed.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::auth::signature::ALGORITHM;

use crate::{AuthError, Authorizer};

/// The header of tokens. Gateways pass headers on in the case in which they were sent.
const TOKEN: &str = "x-auth-token";

/// The event of an authorizer of type REQUEST. It has no `Debug`, because it holds the token.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    method_arn: String,
    #[serde(default)]
    headers: Option<HashMap<String, String>>,
    #[serde(default)]
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
}

impl Event {
    /// Returns the value of a header; `Err` if it was sent with several values that differ.
    fn header(&self, wanted: &str) -> Result<Option<&str>, AuthError> {
        let several = self.multi_value_headers.iter().flatten();
        let several = several.flat_map(|(name, values)| values.iter().map(move |v| (name, v)));
        let single = self.headers.iter().flatten();
        let mut found = several
            .chain(single)
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_str());
        let first = found.next();
        match found.all(|value| Some(value) == first) {
            true => Ok(first),
            false => Err(AuthError::Unauthorized),
        }
    }
}

/// Answers an event with a policy. This is the only place where its failure is logged.
///
/// # Errors
/// `Unauthorized` makes the gateway answer 401, `Unavailable` 5xx.
pub async fn answer(authorizer: &Authorizer, event: Event) -> Result<Value, AuthError> {
    let outcome = decide(authorizer, &event).await;
    match &outcome {
        Ok(_) => tracing::debug!("authorized"),
        Err(AuthError::Unauthorized) => tracing::debug!("refused"),
        Err(AuthError::Unavailable(why)) => tracing::error!(error.why = why, "failed"),
    }
    outcome
}

async fn decide(authorizer: &Authorizer, event: &Event) -> Result<Value, AuthError> {
    let Some(token) = event.header(TOKEN)? else {
        let signed = event
            .header("authorization")?
            .and_then(|value| value.strip_prefix(ALGORITHM))
            .is_some_and(|rest| rest.starts_with(' '));
        if signed && authorizer.lets_signed_through() {
            // Nobody is authenticated yet: the function verifies the signature, which covers the
            // body.
            return allow(event, "signed", &[("signed", "true".to_owned())]);
        }
        return Err(AuthError::Unauthorized);
    };
    let principal = authorizer.identify(token.as_bytes()).await?;
    allow(event, &principal.user, &principal.to_context())
}

/// Allows the whole stage: a gateway that caches the policy applies it to the caller's other
/// methods too.
fn allow(event: &Event, principal: &str, context: &[(&str, String)]) -> Result<Value, AuthError> {
    let mut parts = event.method_arn.splitn(3, '/');
    let (Some(api), Some(stage), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(AuthError::Unavailable(
            "the event's methodArn is not that of a method".to_owned(),
        ));
    };
    let context: Map<String, Value> = context
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
        .collect();
    Ok(json!({
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{
                "Action": "execute-api:Invoke",
                "Effect": "Allow",
                "Resource": format!("{api}/{stage}/*/*"),
            }],
        },
        "context": context,
    }))
}
