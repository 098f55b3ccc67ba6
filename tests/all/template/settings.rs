//! What the functions have in common, and what an operator may switch on.

use super::{TEMPLATE, function, items, names, properties, reference};
use serde_json::{Value, json};

/// The promise of AuthCacheSeconds: the gateway remembers a token, or the function does, never both.
#[test]
fn a_token_is_remembered_once() {
    let auth = &properties("Api")["Auth"];
    assert_eq!(auth["DefaultAuthorizer"], reference("SignedRequests"));
    let of_gateway = |signed: &str| &auth["Authorizers"][signed]["Identity"]["ReauthorizeEvery"];
    let whole = reference("AuthCacheSeconds");
    assert_eq!(
        [of_gateway("false"), of_gateway("true")],
        [&whole, &json!(0)]
    );
    let of_function = &function("authorizer")["Environment"]["Variables"]["AUTH_CACHE_TTL"];
    assert_eq!(
        *of_function,
        json!({"Fn::If": ["TakesSignatures", whole, "0"]})
    );
}

/// Whoever checks a signature or a token calls the roles by the same names.
#[test]
fn every_function_knows_what_roles_are_called() {
    let globals = &TEMPLATE["Globals"]["Function"]["Environment"]["Variables"];
    for (variable, parameter) in [
        ("ROLE_ADMIN", "RoleAdmin"),
        ("ROLE_MEMBER", "RoleMember"),
        ("ROLE_READER", "RoleReader"),
    ] {
        let joined = json!({"Fn::Join": [",", reference(parameter)]});
        assert_eq!(globals[variable], joined, "{variable}");
        for name in names("functions") {
            let own = &function(&name)["Environment"]["Variables"][variable];
            assert!(own.is_null(), "{name} calls {variable} otherwise");
        }
    }
}

/// A new account has ten invocations at once, of which none can be reserved.
#[test]
fn concurrency_is_reserved_only_on_request() {
    for (name, condition, parameter) in [
        (
            "authorizer",
            "BoundsAuthorizer",
            "AuthorizerReservedConcurrency",
        ),
        ("run-batch", "ReservesWorkers", "WorkerReservedConcurrency"),
    ] {
        let reserved =
            json!({"Fn::If": [condition, reference(parameter), reference("AWS::NoValue")]});
        let found = &function(name)["ReservedConcurrentExecutions"];
        assert_eq!(*found, reserved, "{name}");
        let off = json!({"Fn::Not": [{"Fn::Equals": [reference(parameter), "0"]}]});
        assert_eq!(TEMPLATE["Conditions"][condition], off, "{condition}");
        let declared = &TEMPLATE["Parameters"][parameter];
        let (kind, default) = (&declared["Type"], &declared["Default"]);
        assert_eq!(
            (kind, default),
            (&json!("String"), &json!("0")),
            "{parameter}"
        );
    }
}

/// Every change of a function makes a new version, which is what callers get.
#[test]
fn each_change_of_a_function_is_published() {
    let globals = &TEMPLATE["Globals"]["Function"];
    assert_eq!(globals["AutoPublishAlias"], "live");
    for name in names("functions") {
        let all = &function(&name)["AutoPublishAliasAllProperties"];
        assert_eq!(*all, true, "{name}");
        let described = &function(&name)["VersionDescription"];
        assert_eq!(
            *described,
            json!({"Fn::Sub": "settings ${Settings}"}),
            "{name}"
        );
    }
    let variables = &globals["Environment"]["Variables"];
    assert_eq!(variables["SETTINGS_VERSION"], reference("Settings"));
    // SAM does not notice another value of a parameter, so all of them are in a record of their own.
    let content = items(&properties("Settings")["Content"]["Fn::Join"])[1].clone();
    for (name, parameter) in TEMPLATE["Parameters"].as_object().unwrap() {
        let value = match parameter["Type"] == "CommaDelimitedList" {
            true => json!({"Fn::Join": [",", reference(name)]}),
            false => reference(name),
        };
        assert!(
            items(&content).contains(&value),
            "{name} is not among the settings"
        );
    }
}

/// A new function behind the gateway's cache of policies or in a VPC is one place to change.
#[test]
fn the_authorizer_reaches_a_keystone_in_a_vpc_only_on_request() {
    let authorizer = function("authorizer");
    let network = json!({
        "SubnetIds": {"Fn::Split": [",", reference("SubnetIds")]},
        "SecurityGroupIds": {"Fn::Split": [",", reference("SecurityGroupIds")]},
    });
    let none = reference("AWS::NoValue");
    assert_eq!(
        authorizer["VpcConfig"],
        json!({"Fn::If": ["IsInVpc", network, none]})
    );
    let variable = &authorizer["Environment"]["Variables"]["KEYSTONE_CA_FILE"];
    assert_eq!(
        *variable,
        json!({"Fn::If": ["HasKeystoneCa", "/opt/keystone-ca.pem", ""]})
    );
    let roles = &properties("JoinSubnets")["Roles"];
    let checking = |role: &str| json!({"Fn::If": ["ChecksProjects", reference(role), reference("AWS::NoValue")]});
    let expected = [
        reference("AuthorizerRole"),
        checking("AddMemberRole"),
        checking("RunBatchRole"),
    ];
    assert_eq!(*roles, json!(expected));
    for parameter in ["SubnetIds", "SecurityGroupIds", "KeystoneCaLayerArn"] {
        assert_eq!(
            TEMPLATE["Parameters"][parameter]["Default"], "",
            "{parameter}"
        );
    }
}

/// A run that fails, or that finds no free invocation, is made up for by the next one, a minute later. Lambda would repeat it for hours.
#[test]
fn a_run_that_fails_is_not_repeated() {
    for name in names("functions") {
        let events = function(&name)["Events"].as_object();
        let scheduled =
            events.is_some_and(|events| events.values().any(|it| it["Type"] == "Schedule"));
        let expected = match scheduled {
            true => json!({"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}),
            false => Value::Null,
        };
        assert_eq!(function(&name)["EventInvokeConfig"], expected, "{name}");
    }
}
