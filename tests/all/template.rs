//! The template, the functions, the events, the routes and the names of the table hold together.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};
use shared::domain::id::{ImageId, JobId, ProjectId};
use shared::http::routes::{Function, ROUTES};
use shared::store::keys as at;
use yaml_serde::Value as Yaml;

/// The template, with CloudFormation's short tags in their long form: `!Ref Api` is `{"Ref": "Api"}`.
pub static TEMPLATE: LazyLock<Value> =
    LazyLock::new(|| long_form(yaml_serde::from_str(include_str!("../../template.yaml")).unwrap()));

fn long_form(yaml: Yaml) -> Value {
    let key = |key: Yaml| match key {
        Yaml::String(text) => text,
        other => panic!("{other:?} is no name"),
    };
    match yaml {
        Yaml::Sequence(items) => items.into_iter().map(long_form).collect(),
        Yaml::Mapping(entries) => entries
            .into_iter()
            .map(|(name, value)| (key(name), long_form(value)))
            .collect(),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = match tag.trim_start_matches('!') {
                plain @ ("Ref" | "Condition") => plain.to_owned(),
                function => format!("Fn::{function}"),
            };
            json!({name: long_form(tagged.value)})
        }
        plain => serde_json::to_value(plain).unwrap(),
    }
}

fn reference(name: &str) -> Value {
    json!({"Ref": name})
}

fn attribute(name: &str) -> Value {
    json!({"Fn::GetAtt": name})
}

fn names(directory: &str) -> BTreeSet<String> {
    std::fs::read_dir(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(directory),
    )
    .unwrap()
    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
    .collect()
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn resources() -> impl Iterator<Item = &'static Value> {
    TEMPLATE["Resources"].as_object().unwrap().values()
}

pub fn properties(resource: &str) -> &'static Value {
    let found = &TEMPLATE["Resources"][resource]["Properties"];
    assert!(found.is_object(), "the template has no {resource}");
    found
}

/// The properties of the function that is built from this binary.
fn function(binary: &str) -> &'static Value {
    let mut found =
        resources().filter(|resource| resource["Metadata"]["BuildProperties"]["Binary"] == binary);
    let function = found
        .next()
        .unwrap_or_else(|| panic!("the template has no {binary}"));
    assert!(found.next().is_none(), "{binary} is there twice");
    assert_eq!(function["Type"], "AWS::Serverless::Function", "{binary}");
    &function["Properties"]
}

/// What leads to a function through the API.
#[derive(Debug, PartialEq)]
struct Event {
    method: &'static str,
    path: &'static str,
    /// Whether it needs no token.
    open: bool,
}

fn events(function: &'static Value) -> Vec<Event> {
    let events = function["Events"].as_object().into_iter().flatten();
    events
        .filter(|(_, event)| event["Type"] == "Api")
        .map(|(_, event)| {
            let of = &event["Properties"];
            assert_eq!(of["RestApiId"], reference("Api"));
            let auth = &of["Auth"];
            assert!(auth.is_null() || *auth == json!({"Authorizer": "NONE"}));
            Event {
                method: of["Method"].as_str().unwrap(),
                path: of["Path"].as_str().unwrap(),
                open: !auth.is_null(),
            }
        })
        .collect()
}

/// What `cargo lambda watch` serves is the table of routes, and discovery for all else.
#[test]
fn each_route_is_in_the_router_of_the_manifest() {
    let manifest: toml::Table = toml::from_str(include_str!("../../Cargo.toml")).unwrap();
    let router = &manifest["workspace"]["metadata"]["lambda"]["watch"]["router"];
    let mut found = BTreeSet::new();
    for (path, functions) in router.as_table().unwrap() {
        match functions.as_array() {
            None => {
                assert_eq!(functions.as_str(), Some("discovery"), "{path}");
                assert!(["/", "/{*path}"].contains(&path.as_str()), "{path}");
            }
            Some(functions) => found.extend(functions.iter().map(|one| {
                let text = |name: &str| one[name].as_str().unwrap();
                (text("method"), path.as_str(), text("function"))
            })),
        }
    }
    let routes = ROUTES
        .iter()
        .map(|route| (route.method, route.path, route.operation.function().name()));
    assert_eq!(found, routes.collect());
}

#[test]
fn each_function_is_a_directory_a_resource_and_has_events() {
    let functions = names("functions");
    assert_eq!(functions, names("events"));
    for name in functions {
        function(&name);
    }
}

#[test]
fn each_route_leads_to_its_function() {
    for route in ROUTES {
        let name = route.operation.function().name();
        // Schemas come with everything else that discovery answers.
        let found = events(function(name)).iter().any(|event| {
            let own = (event.method, event.path) == (route.method, route.path);
            own || name == "discovery" && event.path == "/v2/{proxy+}"
        });
        assert!(found, "{name}: {} {}", route.method, route.path);
    }
    // And no event leads anywhere else, but to the console, which is no part of the API.
    for name in names("functions")
        .iter()
        .filter(|name| !["discovery", "console"].contains(&name.as_str()))
    {
        for event in events(function(name)) {
            let known = ROUTES.iter().any(|route| {
                let own = (route.method, route.path) == (event.method, event.path);
                own && route.operation.function().name() == name
            });
            assert!(known, "{name}: {event:?}");
        }
    }
}

#[test]
fn only_where_clients_begin_is_no_token_needed() {
    for name in names("functions") {
        for event in events(function(&name)) {
            let begins = matches!(event.path, "/" | "/{proxy+}");
            let expected = match name.as_str() {
                "discovery" => begins || event.method == "OPTIONS",
                // A page is loaded before somebody signs in.
                "console" => true,
                _ => false,
            };
            assert_eq!(event.open, expected, "{name}: {event:?}");
        }
    }
}

/// Whatever the page is made to do, its function can reach nothing.
#[test]
fn the_console_has_its_paths_and_no_right_but_its_log() {
    let console = function("console");
    let paths: Vec<&str> = events(console).iter().map(|event| event.path).collect();
    assert_eq!(paths, ["/console", "/console/{proxy+}"]);
    assert_eq!(console["Role"], attribute("ConsoleRole.Arn"));
    let policies = items(&properties("ConsoleRole")["Policies"]);
    let statements = policies
        .iter()
        .flat_map(|policy| items(&policy["PolicyDocument"]["Statement"]));
    let statements: Vec<&Value> = statements.collect();
    let log = json!({
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": attribute("ConsoleLogs.Arn"),
    });
    assert_eq!(statements, [&log]);
    assert!(!items(&properties("ReadAccessKeys")["Roles"]).contains(&reference("ConsoleRole")));
}

#[test]
fn each_path_has_a_405_and_a_preflight() {
    let events = events(function("discovery"));
    for route in ROUTES {
        // What is below /v2 and discovery's own needs no event of its own.
        let path = match (route.operation.function(), route.path.starts_with("/v2/")) {
            (Function::Discovery, true) => "/v2/{proxy+}",
            _ => route.path,
        };
        for (method, open) in [("ANY", false), ("OPTIONS", true)] {
            let expected = Event { method, path, open };
            assert!(events.contains(&expected), "{expected:?}");
        }
    }
    // Each is a statement of some 450 bytes in the function's own policy, which has at most 20 KB.
    assert!(events.len() <= 45, "{} events", events.len());
}

#[test]
fn no_message_comes_again_while_it_is_worked_on() {
    for (queue, name) in [("Queue", "run-batch"), ("DeadLetters", "settle-batch")] {
        let hidden = properties(queue)["VisibilityTimeout"].as_u64().unwrap();
        let worked_on = function(name)["Timeout"].as_u64().unwrap();
        assert!(
            hidden >= 6 * worked_on,
            "{queue}: {hidden} s for {worked_on} s"
        );
    }
}

/// The statements of every policy about items of the table.
fn statements_of_the_table() -> Vec<&'static Value> {
    let table = attribute("Table.Arn");
    resources()
        .flat_map(|resource| {
            let of = &resource["Properties"];
            let inline = items(&of["Policies"]).iter();
            inline.chain([of]).map(|policy| &policy["PolicyDocument"])
        })
        .flat_map(|document| items(&document["Statement"]))
        .filter(|statement| {
            let on = &statement["Resource"];
            *on == table || items(on).contains(&table)
        })
        .collect()
}

#[test]
fn policies_have_the_keys_of_the_schema() {
    let id = "11111111-1111-4111-8111-111111111111";
    let image = at::image_pk(ImageId::canonical(id).unwrap());
    let job = at::job_pk(JobId::parse("0199c6a1b2c37def8123456789abcdef").unwrap());
    let mark = at::fresh_key(&ProjectId::parse("p").unwrap());
    let mark = mark[at::PK].as_s().unwrap();
    let statements = statements_of_the_table();
    assert!(statements.len() >= names("functions").len() - 4);
    let mut transactions = 0;
    // Every statement about items of the table has such a condition.
    for statement in statements {
        let conditions = statement["Condition"].as_object().unwrap();
        let (operator, condition) = conditions.iter().next().unwrap();
        assert_eq!(conditions.len(), 1, "{statement}");
        // The transaction of a declared set is about an image and a job.
        let of_transaction = operator == "ForAnyValue:StringLike";
        transactions += usize::from(of_transaction);
        let like = ["ForAllValues:StringLike", "ForAllValues:StringNotLike"];
        assert!(
            of_transaction || like.contains(&operator.as_str()),
            "{statement}"
        );
        let patterns = items(&condition["dynamodb:LeadingKeys"]);
        assert!(!patterns.is_empty(), "{statement}");
        for pattern in patterns {
            let prefix = pattern.as_str().unwrap().strip_suffix('*').unwrap();
            let known = [&image, &job, mark]
                .iter()
                .any(|key| key.starts_with(prefix));
            assert!(known && prefix.ends_with('#'), "{pattern}");
        }
    }
    assert_eq!(transactions, 1);
}

#[test]
fn access_keys_have_a_table_of_their_own() {
    let table = &TEMPLATE["Resources"]["AccessKeys"];
    // Under a condition, a stack that switches signed requests off and on would get a new, empty table.
    for name in ["AccessKeys", "AccessKeysKey"] {
        let resource = &TEMPLATE["Resources"][name];
        assert_eq!(resource.get("Condition"), None, "{name}");
        assert_eq!(resource["DeletionPolicy"], "Retain", "{name}");
    }
    let key = json!([{"AttributeName": at::PK, "KeyType": "HASH"}]);
    assert_eq!(table["Properties"]["KeySchema"], key);
}

/// A function may write the day of a key's last use, and nothing else of the keys.
#[test]
fn functions_write_no_more_of_a_key_than_its_last_use() {
    let policy = &properties("ReadAccessKeys")["PolicyDocument"];
    let writes = items(&policy["Statement"]).iter().filter(|statement| {
        let actions = items(&statement["Action"]).iter();
        let mut actions = actions.map(|action| action.as_str().unwrap());
        actions.any(|action| action != "dynamodb:GetItem" && action.starts_with("dynamodb:"))
    });
    let writes: Vec<_> = writes.collect();
    let [write] = writes[..] else {
        panic!("{writes:?}")
    };
    assert_eq!(write["Action"], json!(["dynamodb:UpdateItem"]));
    let attributes = json!({"dynamodb:Attributes": [at::PK, at::LAST_USED]});
    let only = json!({"ForAllValues:StringEquals": attributes});
    assert_eq!(write["Condition"], only);
}

/// The functions that share images ask Keystone if the parameter says so, and no other ever does.
#[test]
fn the_functions_that_share_may_ask_keystone() {
    let policy = &TEMPLATE["Resources"]["ReadServiceUser"];
    assert_eq!(policy["Condition"], "ChecksProjects");
    let functions = ["AddMember", "RunBatch"];
    let roles = functions.map(|function| json!({"Ref": format!("{function}Role")}));
    assert_eq!(policy["Properties"]["Roles"], json!(roles));
    for function in functions {
        let variables = &properties(function)["Environment"]["Variables"];
        assert_eq!(variables["CHECK_PROJECTS"], json!({"Ref": "CheckProjects"}));
        for name in ["KEYSTONE_URL", "KEYSTONE_SECRET_ARN"] {
            assert_eq!(variables[name]["Fn::If"][0], "ChecksProjects", "{function}");
        }
        let layers = items(&properties(function)["Layers"]);
        let conditions = layers
            .iter()
            .map(|layer| layer["Fn::If"][0].as_str().unwrap());
        assert!(
            conditions.eq(["ChecksProjects", "SharesWithCa"]),
            "{function}"
        );
        let network = &properties(function)["VpcConfig"]["Fn::If"];
        assert_eq!(network[0], "SharesInVpc", "{function}");
        let of_authorizer = &properties("Authorizer")["VpcConfig"]["Fn::If"];
        assert_eq!(network[1], of_authorizer[1], "{function}");
        let authority = &variables["KEYSTONE_CA_FILE"]["Fn::If"][0];
        assert_eq!(*authority, "SharesWithCa", "{function}");
    }
}

/// The hash key and the range key of the table or of an index.
fn keys(of: &Value) -> Vec<(&str, &str)> {
    let keys = items(&of["KeySchema"]).iter();
    keys.map(|key| {
        let text = |name: &str| key[name].as_str().unwrap();
        (text("AttributeName"), text("KeyType"))
    })
    .collect()
}

#[test]
fn the_table_has_the_names_of_the_schema() {
    let table = properties("Table");
    let declared: BTreeSet<&str> = items(&table["AttributeDefinitions"])
        .iter()
        .map(|attribute| attribute["AttributeName"].as_str().unwrap())
        .collect();
    let known = [
        at::PK,
        at::SK,
        at::GPK,
        at::GSK,
        at::VPK,
        at::NPK,
        at::ONPK,
        at::DPK,
        at::DSK,
        at::OPK,
        at::OSK,
    ];
    assert_eq!(declared, BTreeSet::from(known));
    assert_eq!(keys(table), [(at::PK, "HASH"), (at::SK, "RANGE")]);
    let ttl = &table["TimeToLiveSpecification"];
    assert_eq!(
        *ttl,
        json!({"AttributeName": at::EXPIRES_AT, "Enabled": true})
    );

    // DynamoDB's limits for one index and for all of a table. What an index holds is fixed once the
    // table is in use, so both need room for what is to come.
    assert!(at::PROJECTED.len() <= 20 - 4);
    assert!(at::PROJECTED.len() + at::IMAGES_PROJECTED.len() <= 100);
    let whole = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": at::PROJECTED});
    let images = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": at::IMAGES_PROJECTED});
    let keys_only = json!({"ProjectionType": "KEYS_ONLY"});
    let expected = [
        (at::BY_PROJECT, (at::GPK, at::GSK), &whole),
        (at::BY_VISIBILITY, (at::VPK, at::GSK), &images),
        (at::BY_NAME, (at::NPK, at::GSK), &keys_only),
        (at::BY_OPEN_NAME, (at::ONPK, at::GSK), &keys_only),
        (at::BY_DUE, (at::DPK, at::DSK), &keys_only),
        (at::BY_OWNER, (at::OPK, at::OSK), &keys_only),
    ];
    let indexes = items(&table["GlobalSecondaryIndexes"]);
    assert_eq!(indexes.len(), expected.len());
    for (index, (name, (hash, range), projected)) in indexes.iter().zip(expected) {
        assert_eq!(index["IndexName"], name);
        assert_eq!(keys(index), [(hash, "HASH"), (range, "RANGE")], "{name}");
        assert_eq!(index["Projection"], *projected, "{name}");
    }
}

#[test]
fn the_queue_keeps_what_jobs_rely_on() {
    let kept = &properties("Queue")["MessageRetentionPeriod"];
    let needed = shared::domain::job::DEADLINE_SECONDS;
    assert_eq!(*kept, needed, "a job is over when its messages are");
    let receives = &properties("Queue")["RedrivePolicy"]["maxReceiveCount"];
    let expected = shared::runtime::messages::MAX_RECEIVE_COUNT;
    assert_eq!(*receives, expected, "pauses are reckoned for it");
    // A message whose invocation dies each time is settled before its job's deadline.
    let hidden = properties("Queue")["VisibilityTimeout"].as_i64().unwrap();
    assert!(i64::from(expected) * hidden < needed);
}

/// The limits of projects are those of `imshare serve`, unless the operator sets others.
#[test]
fn the_limits_of_projects_are_the_same_everywhere() {
    let limits = shared::domain::limits::ProjectLimits::default();
    for (function_name, variable, parameter, default) in [
        ("batch-update", "JOB_QUOTA", "JobQuota", limits.jobs),
        ("batch-update", "ENTRY_QUOTA", "EntryQuota", limits.entries),
        ("images", "IMAGE_QUOTA", "ImageQuota", limits.images),
    ] {
        let variables = &function(function_name)["Environment"]["Variables"];
        assert_eq!(variables[variable], reference(parameter));
        assert_eq!(TEMPLATE["Parameters"][parameter]["Default"], default);
    }
}

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

/// A path that an authorizer is asked about may have 1,600 bytes: the gateway answers 414 to a longer
/// one. The longest ids that need no encoding stay far below.
#[test]
fn the_longest_plain_path_is_within_the_gateways_limit() {
    let id = "x".repeat(255);
    let longest = ROUTES.iter().map(|route| {
        let segments = route.path.split('/').map(|segment| match segment {
            parameter if parameter.starts_with('{') => id.len(),
            plain => plain.len(),
        });
        segments.map(|length| length + 1).sum::<usize>()
    });
    let longest = longest.max().unwrap() + "/v".len();
    assert!((600..1600).contains(&longest), "{longest}");
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

/// With a name of its own the API has no other address, by which a firewall could be passed.
#[test]
fn a_custom_domain_is_the_only_one() {
    let disabled = json!({"Fn::If": ["HasDomain", true, false]});
    assert_eq!(properties("Api")["DisableExecuteApiEndpoint"], disabled);
}

/// Lambda connects a function to subnets only if its role permits that, so the function waits for the policies of its role:
/// a function refers to each by a tag. What is in a role itself is there before the function anyway.
#[test]
fn functions_wait_for_the_policies_of_their_roles() {
    let tags = TEMPLATE["Globals"]["Function"]["Tags"].as_object();
    let tags: Vec<&Value> = tags.into_iter().flat_map(|tags| tags.values()).collect();
    let resources = TEMPLATE["Resources"].as_object().unwrap();
    let mut policies = 0;
    for (name, resource) in resources {
        if resource["Type"] == "AWS::IAM::Policy" {
            let named = json!({"Fn::If": [resource["Condition"], reference(name), "none"]});
            assert!(tags.contains(&&named), "no function waits for {name}");
            policies += 1;
        }
    }
    assert_eq!(tags.len(), policies);
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
