//! The whole policy as a golden file: every decision, and the words of every refusal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use super::{
    Action, ApiAction, Caller, Denied, EntryAction, ImageAction, Policy, RecordAction, Relation,
    Role, Row, RowAction, Setting, Subject, Target,
};
use crate::domain::error::{ApiError, ErrorKind};
use crate::domain::id::{ImageId, OperationId, ProjectId};
use crate::domain::member::{Member, Membership, Memberships};
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/golden/permissions.txt"
);
/// What the words call an image and a member.
const IMAGE: &str = "IMAGE";
const MEMBER: &str = "MEMBER";
const RELATIONS: [Relation; 3] = [Relation::Owner, Relation::Member, Relation::Stranger];

fn project(name: &str) -> ProjectId {
    ProjectId::parse(name).unwrap()
}

/// The projects of the matrix: an image's owner, one member, another member, and nobody.
struct People {
    owner: ProjectId,
    member: ProjectId,
    other: ProjectId,
    stranger: ProjectId,
    memberships: Memberships,
}

impl People {
    fn new() -> Self {
        let (member, other, gone) = (project("member"), project("other"), project("gone"));
        let (op, now) = (OperationId::at(0), Timestamp::from_micros(0));
        let image = ImageId::random();
        let present = |id: &ProjectId| Membership::Present(Member::new(image, id.clone(), op, now));
        let memberships = HashMap::from([
            (member.clone(), present(&member)),
            (other.clone(), present(&other)),
            (gone, Membership::Gone { added: op, op }),
        ]);
        Self {
            owner: project("owner"),
            member,
            other,
            stranger: project("stranger"),
            memberships,
        }
    }

    fn of(&self, relation: Relation) -> &ProjectId {
        match relation {
            Relation::Owner => &self.owner,
            Relation::Member => &self.member,
            Relation::Stranger => &self.stranger,
        }
    }

    fn target(&self, visibility: Visibility) -> Target<'_> {
        Target {
            id: IMAGE,
            subject: Some(Subject {
                owner: &self.owner,
                visibility,
                memberships: &self.memberships,
            }),
        }
    }
}

fn caller(role: Role, project: &ProjectId) -> Caller {
    Caller {
        user: "u".to_owned(),
        project: project.clone(),
        role,
    }
}

/// Every action on an image, by its name. Rows and entries are the caller's own, another member's,
/// one that was removed, and one whose name no project can have.
fn actions<'a>(
    people: &'a People,
    own: &'a ProjectId,
    gone: &'a ProjectId,
) -> Vec<(String, ImageAction<'a>)> {
    let records = [
        RecordAction::Show,
        RecordAction::ListTasks,
        RecordAction::Modify,
        RecordAction::Tag,
        RecordAction::Deactivate,
        RecordAction::Reactivate,
        RecordAction::SetLocation,
        RecordAction::RemoveLocation,
        RecordAction::Delete,
    ];
    let mut all: Vec<_> = records
        .into_iter()
        .map(|record| (format!("{record:?}"), ImageAction::Record(record)))
        .collect();
    all.push(("ListMembers".to_owned(), ImageAction::ListMembers));
    all.push(("AddMember".to_owned(), ImageAction::AddMember));
    all.push(("ReplaceMembers".to_owned(), ImageAction::ReplaceMembers));
    let answer = ImageAction::Entry(EntryAction::Answer);
    all.push(("Answer".to_owned(), answer));
    let rows = [
        ("own", Some(own)),
        ("other", Some(&people.other)),
        ("gone", Some(gone)),
        ("bad", None),
    ];
    for (name, member) in rows {
        let row = Row {
            text: MEMBER,
            member,
        };
        for action in [RowAction::Show, RowAction::Update, RowAction::Remove] {
            let name = format!("{action:?}Member({name})");
            all.push((name, ImageAction::Row(action, row)));
        }
    }
    for (name, member) in [
        ("own", own),
        ("other", &people.other),
        ("owner", &people.owner),
    ] {
        all.push((
            format!("Share({name})"),
            ImageAction::Entry(EntryAction::Share(member)),
        ));
        all.push((
            format!("Unshare({name})"),
            ImageAction::Entry(EntryAction::Unshare(member)),
        ));
    }
    all
}

/// A decision in a word.
fn word(decision: Result<(), Denied<'_>>) -> String {
    match decision {
        Ok(()) => "allowed".to_owned(),
        Err(denied) => format!("{:?}", denied.reason),
    }
}

/// The kind and the sentence of a refusal.
fn sentence(error: &ApiError) -> String {
    match error {
        ApiError::Glance(refused) => {
            let kind: ErrorKind = refused.kind;
            let explanation = refused.explanation.as_deref().unwrap_or("(general)");
            let detail = refused.detail.as_deref().unwrap_or_default();
            format!("{kind:?}: {explanation} {detail}")
                .trim_end()
                .to_owned()
        }
        ApiError::Ims { code, in_path, .. } => {
            let in_path = if *in_path { ", in the path" } else { "" };
            format!("{}{in_path}", code.as_str())
        }
        other => panic!("{other:?} is no refusal of the policy"),
    }
}

/// The words of a refusal for each family.
fn words(denied: &Denied<'_>) -> String {
    format!(
        "{} | {} | {}",
        sentence(&denied.glance()),
        sentence(&denied.ims()),
        denied.entry().as_str()
    )
}

/// One block for each caller and visibility: the actions by what is decided.
fn images(out: &mut String, policy: Policy, said: &mut BTreeSet<String>) {
    let (people, gone) = (People::new(), project("gone"));
    for role in Role::ALL {
        for relation in RELATIONS {
            for visibility in Visibility::ALL {
                let own = people.of(relation);
                let mut by_decision: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for (name, action) in actions(&people, own, &gone) {
                    let wanted = Action::Image(action, people.target(visibility));
                    let decision = policy.decide(&caller(role, own), wanted);
                    if let Err(denied) = &decision {
                        let reason = format!("{:?}", denied.reason);
                        let (name, _) = name.split_once('(').unwrap_or((&name, ""));
                        said.insert(format!("{name:<14} {reason:<24} {}", words(denied)));
                    }
                    by_decision.entry(word(decision)).or_default().push(name);
                }
                writeln!(out, "{role:?} {relation:?} {}", visibility.as_str()).unwrap();
                for (decision, names) in by_decision {
                    writeln!(out, "    {decision:<24} {}", merged(&names)).unwrap();
                }
            }
        }
    }
}

/// The names with the arguments of each action together.
fn merged(names: &[String]) -> String {
    let mut merged: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in names {
        let (action, argument) = name.split_once('(').unwrap_or((name, ""));
        let argument = argument.trim_end_matches(')');
        match merged.iter_mut().find(|(known, _)| *known == action) {
            Some((_, arguments)) => arguments.push(argument),
            None => merged.push((action, vec![argument])),
        }
    }
    let written = merged
        .iter()
        .map(|(action, arguments)| match arguments[..] {
            [""] => (*action).to_owned(),
            _ => format!("{action}({})", arguments.join("|")),
        });
    written.collect::<Vec<_>>().join(" ")
}

fn settings(out: &mut String) {
    let (own, other) = (project("own"), project("other"));
    let mut all = vec![
        ("NewOwner(own)".to_owned(), Setting::NewOwner(Some("own"))),
        (
            "NewOwner(other)".to_owned(),
            Setting::NewOwner(Some("other")),
        ),
        ("NewOwner(bad)".to_owned(), Setting::NewOwner(None)),
        ("Owner".to_owned(), Setting::Owner),
        ("PipelineField".to_owned(), Setting::PipelineField("size")),
    ];
    for visibility in Visibility::ALL {
        for (name, owner) in [("own", &own), ("other", &other)] {
            let name = format!("Visibility({}, {name})", visibility.as_str());
            all.push((name, Setting::Visibility(visibility, owner)));
        }
    }
    for (name, setting) in all {
        for role in Role::ALL {
            let decision = Policy::default().decide(&caller(role, &own), Action::Set(setting));
            let said = decision.as_ref().err().map(words).unwrap_or_default();
            let line = format!("{name:<29} {role:<7?} {:<10} {said}", word(decision));
            writeln!(out, "{}", line.trim_end()).unwrap();
        }
    }
}

fn api(out: &mut String) {
    let (own, other) = (project("own"), project("other"));
    let all = [
        ("ListImages", ApiAction::ListImages),
        ("CreateImage", ApiAction::CreateImage),
        ("ShowQuota", ApiAction::ShowQuota),
        ("ReadTasks", ApiAction::ReadTasks),
        ("ReadStoreDetails", ApiAction::ReadStoreDetails),
        ("ReadServerState", ApiAction::ReadServerState),
        ("StartBatch", ApiAction::StartBatch),
        ("AnswerFor(own)", ApiAction::AnswerFor(&own)),
        ("AnswerFor(other)", ApiAction::AnswerFor(&other)),
        ("ReadJobs", ApiAction::ReadJobs),
        ("ReadJobsOf(own)", ApiAction::ReadJobsOf("own")),
        ("ReadJobsOf(other)", ApiAction::ReadJobsOf("other")),
        ("ReadMembersAs(own)", ApiAction::ReadMembersAs("own")),
        ("ReadMembersAs(other)", ApiAction::ReadMembersAs("other")),
        ("ListShares", ApiAction::ListShares),
        ("ReadTrustedOwners", ApiAction::ReadTrustedOwners),
        ("SetTrustedOwners", ApiAction::SetTrustedOwners),
    ];
    for (name, action) in all {
        for role in Role::ALL {
            let decision = Policy::default().decide(&caller(role, &own), Action::Api(action));
            let said = decision.as_ref().err().map(words).unwrap_or_default();
            let line = format!("{name:<29} {role:<7?} {:<10} {said}", word(decision));
            writeln!(out, "{}", line.trim_end()).unwrap();
        }
    }
}

fn matrix() -> String {
    let mut out = String::new();
    let mut said = BTreeSet::new();
    out.push_str("# What a role of a project may do with an image: role, relation, visibility\n\n");
    images(&mut out, Policy::default(), &mut said);

    out.push_str("\n# The same where members may leave: only what differs\n\n");
    let leaving = Policy {
        member_may_leave: true,
    };
    let mut with_leaving = String::new();
    images(&mut with_leaving, leaving, &mut said);
    let blocks = |text: &str| {
        let mut blocks: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match blocks.last_mut() {
                Some(block) if line.starts_with(' ') => write!(block, "\n{line}").unwrap(),
                _ => blocks.push(line.to_owned()),
            }
        }
        blocks
    };
    let without = blocks(&out);
    for block in blocks(&with_leaving) {
        if !without.contains(&block) {
            writeln!(out, "{block}").unwrap();
        }
    }

    out.push_str("\n# Values that not everybody may give to an image\n\n");
    settings(&mut out);
    out.push_str("\n# What is not about one image\n\n");
    api(&mut out);
    out.push_str("\n# The words of refusals: Glance's | the batch API's | an entry's code\n\n");
    for line in said {
        writeln!(out, "{line}").unwrap();
    }
    out
}

/// Set `UPDATE_GOLDEN=1` to write the file anew, and read the difference.
#[test]
fn the_policy_is_the_golden_file() {
    let matrix = matrix();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &matrix).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    assert!(
        golden == matrix,
        "the policy differs from tests/golden/permissions.txt"
    );
}

#[test]
fn an_image_is_seen_where_it_may_be_shown() {
    let people = People::new();
    let show = ImageAction::Record(RecordAction::Show);
    let mut seen = BTreeSet::new();
    for role in Role::ALL {
        for relation in RELATIONS {
            for visibility in Visibility::ALL {
                let caller = caller(role, people.of(relation));
                let target = people.target(visibility);
                let sees = Policy::default().sees(&caller, target.subject.unwrap());
                let shown = Policy::default().decide(&caller, Action::Image(show, target));
                assert_eq!(sees, shown.is_ok(), "{role:?} {relation:?} {visibility:?}");
                seen.insert(sees);
            }
        }
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn an_absent_image_is_like_a_hidden_one() {
    let people = People::new();
    let gone = project("gone");
    for role in Role::ALL {
        let stranger = caller(role, &people.stranger);
        for (name, action) in actions(&people, &people.stranger, &gone) {
            let absent = Target {
                id: IMAGE,
                subject: None,
            };
            let decided = Policy::default().decide(&stranger, Action::Image(action, absent));
            let absent = decided.map_err(|denied| words(&denied));
            assert!(absent.is_err(), "{role:?} {name}");
            if role == Role::Admin {
                continue;
            }
            let hidden = people.target(Visibility::Private);
            let decided = Policy::default().decide(&stranger, Action::Image(action, hidden));
            let hidden = decided.map_err(|denied| words(&denied));
            assert_eq!(absent, hidden, "{role:?} {name}");
        }
    }
}
