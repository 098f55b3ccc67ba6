//! What the roles of functions may do.

use serde_json::{Value, json};
use shared::domain::id::{ImageId, JobId, ProjectId};
use shared::store::keys as at;

use super::{TEMPLATE, attribute, items, names, properties, reference, resources};

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
