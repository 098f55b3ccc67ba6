//! Random operations against a small pure model: the service and the model must agree.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use crate::harness::{Harness, MEMBER, MEMBER2, OWNER, Who, options};
use local::options::Options;

const QUOTA: usize = 2;
const IMAGES: usize = 2;
const MEMBERS: [&str; 3] = [MEMBER, MEMBER2, "x"];

#[derive(Clone, Debug)]
enum Step {
    Add(Who, usize, usize),
    Remove(Who, usize, usize),
    Answer(Who, usize, usize, &'static str),
    Show(Who, usize),
    Visibility(usize, &'static str),
    Delete(Who, usize),
    List(Who, &'static str),
    Members(Who, usize),
    /// What a member answers to new shares by the owner.
    Trust(usize, &'static str),
    /// The members of an image by their places: a bit for each.
    Declare(Who, usize, usize),
    Invitations(usize, &'static str),
}

/// Who acts for a member that has a token.
const BY: [Who; 2] = [Who::Member, Who::Member2];

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        Just(Who::Owner),
        Just(Who::Member),
        Just(Who::Member2),
        Just(Who::Third),
        Just(Who::Admin)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let (image, member) = (0..IMAGES, 0..MEMBERS.len());
    let status = prop_oneof![Just("accepted"), Just("rejected"), Just("pending")];
    let visibility = prop_oneof![Just("shared"), Just("private"), Just("community")];
    prop_oneof![
        4 => (who(), image.clone(), member.clone()).prop_map(|(w, i, m)| Step::Add(w, i, m)),
        2 => (who(), image.clone(), member.clone()).prop_map(|(w, i, m)| Step::Remove(w, i, m)),
        4 => (who(), image.clone(), member, status.clone()).prop_map(|(w, i, m, s)| Step::Answer(w, i, m, s)),
        1 => (who(), image.clone()).prop_map(|(w, i)| Step::Show(w, i)),
        1 => (image.clone(), visibility).prop_map(|(i, v)| Step::Visibility(i, v)),
        1 => (who(), image.clone()).prop_map(|(w, i)| Step::Delete(w, i)),
        2 => (who(), status).prop_map(|(w, s)| Step::List(w, s)),
        2 => (who(), image.clone()).prop_map(|(w, i)| Step::Members(w, i)),
        1 => (0..2_usize, prop_oneof![Just("accepted"), Just("rejected"), Just("pending")])
            .prop_map(|(m, s)| Step::Trust(m, s)),
        2 => (who(), image, 0..8_usize).prop_map(|(w, i, d)| Step::Declare(w, i, d)),
        1 => (0..2_usize, prop_oneof![Just("accepted"), Just("rejected"), Just("pending")])
            .prop_map(|(m, s)| Step::Invitations(m, s)),
    ]
}

/// An image in the model: visibility and members' statuses. `None` when deleted.
#[derive(Clone, Debug)]
struct ModelImage {
    visibility: &'static str,
    members: BTreeMap<&'static str, &'static str>,
}

impl ModelImage {
    fn is_owner(who: Who) -> bool {
        matches!(who, Who::Owner | Who::Admin)
    }

    fn seen_by(&self, who: Who) -> bool {
        Self::is_owner(who)
            || self.visibility == "community"
            || self.visibility == "shared" && self.members.contains_key(who.project())
    }

    /// The refusal of any action on members: 404, 403 or none.
    fn gate(image: Option<&mut Self>, who: Who) -> Result<&mut Self, u16> {
        let image = image.filter(|image| image.seen_by(who)).ok_or(404_u16)?;
        if image.visibility == "shared" {
            Ok(image)
        } else {
            Err(403)
        }
    }

    fn row_seen(&self, who: Who, member: &str) -> bool {
        self.members.contains_key(member) && (Self::is_owner(who) || who.project() == member)
    }
}

/// The statuses of new shares with members that have a rule.
type Rules = BTreeMap<&'static str, &'static str>;

/// Applies a step to the model and returns the expected status.
fn expected(images: &mut [Option<ModelImage>], rules: &mut Rules, step: &Step) -> u16 {
    let new = |rules: &Rules, member: &str| rules.get(member).copied().unwrap_or("pending");
    let result = (|| match *step {
        Step::Add(who, i, m) => {
            let image = ModelImage::gate(images[i].as_mut(), who)?;
            if !ModelImage::is_owner(who) {
                return Err(403);
            }
            if image.members.len() >= QUOTA {
                return Err(413);
            }
            match image.members.insert(MEMBERS[m], new(rules, MEMBERS[m])) {
                None => Ok(200),
                Some(before) => {
                    image.members.insert(MEMBERS[m], before);
                    Err(409)
                }
            }
        }
        Step::Remove(who, i, m) => {
            let image = ModelImage::gate(images[i].as_mut(), who)?;
            if !image.row_seen(who, MEMBERS[m]) {
                return Err(404);
            }
            if !ModelImage::is_owner(who) {
                return Err(403);
            }
            image.members.remove(MEMBERS[m]);
            Ok(204)
        }
        Step::Answer(who, i, m, status) => {
            let image = ModelImage::gate(images[i].as_mut(), who)?;
            if !image.row_seen(who, MEMBERS[m]) {
                return Err(404);
            }
            if who == Who::Owner {
                return Err(403);
            }
            image.members.insert(MEMBERS[m], status);
            Ok(200)
        }
        Step::Show(who, i) => images[i]
            .as_ref()
            .filter(|image| image.seen_by(who))
            .map(|_| 200)
            .ok_or(404),
        Step::Visibility(i, visibility) => match &mut images[i] {
            Some(image) => {
                image.visibility = visibility;
                Ok(200)
            }
            None => Err(404),
        },
        Step::Delete(who, i) => {
            images[i]
                .as_ref()
                .filter(|image| image.seen_by(who))
                .ok_or(404_u16)?;
            if !ModelImage::is_owner(who) {
                return Err(403);
            }
            images[i] = None;
            Ok(204)
        }
        Step::List(..) | Step::Invitations(..) => Ok(200),
        Step::Trust(m, status) => {
            rules.insert(MEMBERS[m], status);
            Ok(200)
        }
        Step::Declare(who, i, declared) => {
            let image = ModelImage::gate(images[i].as_mut(), who);
            // The batch API says 400 of an image that the caller sees.
            let image = image.map_err(|status| if status == 403 { 400 } else { status })?;
            if !ModelImage::is_owner(who) {
                return Err(400);
            }
            let declared = places(declared);
            image.members.retain(|member, _| declared.contains(member));
            for member in declared {
                let room = image.members.len() < QUOTA;
                if room && !image.members.contains_key(member) {
                    image.members.insert(member, new(rules, member));
                }
            }
            Ok(200)
        }
        Step::Members(who, i) => ModelImage::gate(images[i].as_mut(), who).map(|_| 200),
    })();
    result.unwrap_or_else(|status| status)
}

/// The members whose bits are set.
fn places(bits: usize) -> Vec<&'static str> {
    let set = |place: &usize| bits & (1 << place) != 0;
    (0..MEMBERS.len())
        .filter(set)
        .map(|place| MEMBERS[place])
        .collect()
}

/// The images of the invitations of a member in a status.
async fn invited(harness: &Harness, member: usize, status: &str) -> BTreeSet<String> {
    let project = MEMBERS[member];
    let path = format!("/v1/{project}/cloudimages/invitations?status={status}");
    let found = harness.get(BY[member], &path).await.expect(200).json();
    let rows = found["invitations"].as_array().unwrap().iter();
    rows.map(|row| row["image_id"].as_str().unwrap().to_owned())
        .collect()
}

async fn run(steps: Vec<Step>) {
    let harness = Harness::with(Options {
        member_quota: QUOTA as i64,
        ..options()
    })
    .await;
    let mut ids = Vec::new();
    for _ in 0..IMAGES {
        ids.push(harness.image(json!({})).await);
    }
    let new = || {
        Some(ModelImage {
            visibility: "shared",
            members: BTreeMap::new(),
        })
    };
    let mut images: Vec<Option<ModelImage>> = (0..IMAGES).map(|_| new()).collect();
    let mut rules = Rules::new();
    for step in &steps {
        let path = |i: &usize| format!("/v2/images/{}", ids[*i]);
        let row = |i: &usize, m: &usize| format!("{}/members/{}", path(i), MEMBERS[*m]);
        let before = images.clone();
        let status = expected(&mut images, &mut rules, step);
        let answer = match step {
            Step::Add(who, i, m) => {
                harness
                    .post(
                        *who,
                        &format!("{}/members", path(i)),
                        json!({"member": MEMBERS[*m]}),
                    )
                    .await
            }
            Step::Remove(who, i, m) => harness.delete(*who, &row(i, m)).await,
            Step::Answer(who, i, m, s) => harness.put(*who, &row(i, m), json!({"status": s})).await,
            Step::Show(who, i) => harness.get(*who, &path(i)).await,
            Step::Visibility(i, v) => {
                let change = json!([{"op": "replace", "path": "/visibility", "value": v}]);
                harness.patch(Who::Owner, &path(i), change).await
            }
            Step::Delete(who, i) => harness.delete(*who, &path(i)).await,
            Step::List(who, s) => {
                let found: BTreeSet<_> = harness
                    .listed(*who, &format!("?member_status={s}"))
                    .await
                    .into_iter()
                    .collect();
                let listed = |image: &ModelImage| {
                    let own =
                        *who == Who::Owner || *who == Who::Admin && image.visibility != "community";
                    let shared =
                        image.visibility == "shared" && image.members.get(who.project()) == Some(s);
                    own || shared
                };
                let all: BTreeSet<_> = before
                    .iter()
                    .zip(&ids)
                    .filter(|(image, _)| image.as_ref().is_some_and(listed))
                    .map(|(_, id)| id.clone())
                    .collect();
                assert_eq!(found, all, "{step:?} of {steps:?}");
                continue;
            }
            Step::Trust(m, status) => {
                let mode = match *status {
                    "accepted" => Some("accept"),
                    "rejected" => Some("reject"),
                    _ => None,
                };
                let rules = mode.map(|mode| json!({"owner": OWNER, "mode": mode}));
                let rules: Vec<_> = rules.into_iter().collect();
                let path = format!("/v1/{}/cloudimages/trusted-owners", MEMBERS[*m]);
                harness.put(BY[*m], &path, json!({"rules": rules})).await
            }
            Step::Declare(who, i, declared) => {
                let path = format!("/v1/{}/cloudimages/{}/members", who.project(), ids[*i]);
                let body = json!({"projects": places(*declared)});
                let answer = harness.put(*who, &path, body).await;
                if answer.status == 200 {
                    harness.ended(*who, &answer.text("/job_id")).await;
                }
                answer
            }
            Step::Invitations(m, s) => {
                let shared = |image: &ModelImage| {
                    image.visibility == "shared" && image.members.get(MEMBERS[*m]) == Some(s)
                };
                let all: BTreeSet<_> = before
                    .iter()
                    .zip(&ids)
                    .filter(|(image, _)| image.as_ref().is_some_and(shared))
                    .map(|(_, id)| id.clone())
                    .collect();
                let found = invited(&harness, *m, s).await;
                assert_eq!(found, all, "{step:?} of {steps:?}");
                continue;
            }
            Step::Members(who, i) => {
                let answer = harness.get(*who, &format!("{}/members", path(i))).await;
                if answer.status == 200 {
                    let rows = answer.json();
                    let found: BTreeMap<_, _> = rows["members"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|m| {
                            (
                                m["member_id"].as_str().unwrap(),
                                m["status"].as_str().unwrap(),
                            )
                        })
                        .collect();
                    let mut all = before[*i].clone().unwrap().members;
                    all.retain(|member, _| ModelImage::is_owner(*who) || who.project() == *member);
                    assert_eq!(found, all, "{step:?} of {steps:?}");
                }
                answer
            }
        };
        assert_eq!(
            answer.status, status,
            "{step:?} of {steps:?}\n{}",
            answer.body
        );
    }
    harness.server.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_service_does_as_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        tokio::runtime::Runtime::new().unwrap().block_on(run(steps));
    }
}
