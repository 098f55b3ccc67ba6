//! Fills a data directory with more records than the API creates in reasonable time.
//!
//! The service itself creates one image that a member has accepted, one that waits for the member,
//! and a public one. Their items are then copied under other ids, names and times into the table's
//! file, and the service is asked whether it finds the copies.

use std::path::{Path, PathBuf};

use dynoxide::actions::scan::ScanRequest;
use dynoxide::types::Item;
use dynoxide::{Database, ImportOptions};
use serde_json::json;
use shared::domain::id::ProjectId;
use shared::domain::time::{Clock, Timestamp};
use shared::store::keys as at;

use crate::MEMBER;
use crate::client::{Client, Request, Who};
use crate::server::Server;
use crate::stock::{self, Stock};

/// Members of each image.
pub const MEMBERS: usize = 10;
/// Images that are imported in one transaction.
const AT_ONCE: usize = 2000;
const TABLE: &str = "imshare";
/// The name of the images that are copied.
const NAME: &str = "template";

/// What is copied.
pub struct Seed {
    data: PathBuf,
    binary: PathBuf,
    accepted: Template,
    pending: Template,
    public: Template,
    /// When the first copy was created.
    began: Timestamp,
}

/// The items of an image, as JSON, and what is replaced in them.
struct Template {
    id: String,
    created_at: String,
    image: String,
    membership: Option<String>,
}

impl Seed {
    /// Lets the service create what is copied, in this data directory.
    pub async fn new(binary: &Path, data: &Path) -> Self {
        let server = Server::imshare(binary, data);
        let mut client = Client::new(&server).await;
        let mut ids = Vec::new();
        for (who, visibility) in [
            (Who::Owner, "shared"),
            (Who::Owner, "shared"),
            (Who::Admin, "public"),
        ] {
            ids.push(stock::create_one(&mut client, who, visibility, NAME).await);
        }
        for (number, id) in ids[..2].iter().enumerate() {
            let path = format!("/v2/images/{id}/members");
            let body = json!({"member": MEMBER});
            client
                .ask(Request::new(Who::Owner, "POST", path.clone(), body))
                .await;
            if number == 0 {
                let path = format!("{path}/{MEMBER}");
                let body = json!({"status": "accepted"});
                client
                    .ask(Request::new(Who::Member, "PUT", path, body))
                    .await;
            }
        }
        drop(client);
        server.stop();
        let database = open(data);
        let [accepted, pending, public] =
            [0, 1, 2].map(|number: usize| Template::read(&database, &ids[number]));
        Self {
            data: data.to_owned(),
            binary: binary.to_owned(),
            accepted,
            pending,
            public,
            began: Clock::System.now().plus_seconds(-86_400),
        }
    }

    /// Creates images until there are so many, and returns how many records were written. The server
    /// must not run.
    pub async fn grow(&self, stock: &mut Stock, images: usize) -> usize {
        let database = open(&self.data);
        database.enable_bulk_loading().expect("bulk loading");
        let mut written = 0;
        while stock.len() < images {
            let mut items = Vec::new();
            for number in stock.len()..images.min(stock.len() + AT_ONCE) {
                items.extend(self.copies(number, stock));
            }
            written += items.len();
            let imported = database.import_items(TABLE, items, ImportOptions::default());
            imported.expect("an import");
        }
        database.disable_bulk_loading().expect("no bulk loading");
        drop(database);
        self.check(stock).await;
        written
    }

    /// The items of one more image of the owner and one more public image.
    fn copies(&self, number: usize, stock: &mut Stock) -> Vec<Item> {
        let micros = self.began.micros() + i64::try_from(number).unwrap_or_default() * 1000;
        let created_at = Timestamp::from_micros(micros).stored();
        let name = stock::name(number);
        let template = if number.is_multiple_of(2) {
            &self.accepted
        } else {
            &self.pending
        };
        let id = uuid::Uuid::new_v4().to_string();
        let copied =
            |template: &Template, text: &str, id: &str, name: &str, member: &str| -> Item {
                let text = text
                    .replace(&template.id, id)
                    .replace(&template.created_at, &created_at)
                    .replace(&hash_of(NAME), &hash_of(name))
                    .replace(NAME, name)
                    .replace(MEMBER, member);
                serde_json::from_str(&text).expect("an item")
            };
        let mut items = vec![copied(template, &template.image, &id, &name, "")];
        let membership = |template: &Template, member: &str| {
            let text = template.membership.as_deref().expect("a membership");
            copied(template, text, &id, &name, member)
        };
        items.push(membership(template, MEMBER));
        let others = (1..MEMBERS).map(|other| format!("{other:032x}"));
        items.extend(others.map(|other| {
            // The others have not answered.
            let text = self.pending.membership.as_deref().expect("a membership");
            copied(&self.pending, text, &id, &name, &other)
        }));
        let public = uuid::Uuid::new_v4().to_string();
        let public_name = format!("pub-{name}");
        items.push(copied(
            &self.public,
            &self.public.image,
            &public,
            &public_name,
            "",
        ));
        stock.push(id);
        items
    }

    /// Asks the service for some of the copies by name and by id.
    async fn check(&self, stock: &Stock) {
        let server = Server::imshare(&self.binary, &self.data);
        let mut client = Client::new(&server).await;
        for number in 0..4 {
            let (name, id) = stock.pick(number);
            for (who, query) in [
                (Who::Owner, format!("name={name}")),
                (Who::Member, format!("name={name}")),
                (Who::Owner, format!("id={id}")),
                (Who::Member, format!("id={id}")),
                (Who::Stranger, format!("name=pub-{name}")),
            ] {
                let path = format!("/v2/images?{query}");
                let found = client.json(Request::get(who, &path)).await;
                let found = found["images"].as_array().expect("images");
                assert_eq!(
                    found.len(),
                    1,
                    "{who:?} {path}: the copies are not what the service writes"
                );
            }
            let path = format!("/v2/images/{id}/members");
            let members = client.json(Request::get(Who::Owner, path)).await;
            assert_eq!(members["members"].as_array().map(Vec::len), Some(MEMBERS));
        }
        drop(client);
        server.stop();
    }
}

impl Template {
    fn read(database: &Database, id: &str) -> Self {
        let scan: ScanRequest =
            serde_json::from_value(json!({"TableName": TABLE})).expect("a request");
        let found = database.scan(scan).expect("a scan");
        let items = found.items.expect("items");
        let of = |sk: &str| {
            let items = items
                .iter()
                .map(|item| serde_json::to_value(item).expect("JSON"));
            let mut own = items.filter(|item| item["pk"]["S"] == format!("IMAGE#{id}"));
            own.find(|item| {
                item["sk"]["S"]
                    .as_str()
                    .is_some_and(|own| own.starts_with(sk))
            })
        };
        let mut image = of("IMAGE").expect("an image");
        if image["member_count"]["N"] == "1" {
            image["member_count"]["N"] = MEMBERS.to_string().into();
        }
        Self {
            id: id.to_owned(),
            created_at: image["gsk"]["S"]
                .as_str()
                .and_then(|position| Some(position.split_once('#')?.0.to_owned()))
                .expect("a time"),
            image: image.to_string(),
            membership: of("MEM#").map(|membership| membership.to_string()),
        }
    }
}

/// A name as keys hold it.
fn hash_of(name: &str) -> String {
    let owner = ProjectId::parse("owner").expect("a project");
    let key = at::owner_npk(&owner, name);
    key.rsplit('#').next().unwrap_or_default().to_owned()
}

fn open(data: &Path) -> Database {
    let path = data.join("table.sqlite");
    Database::new(path.to_str().expect("a path in UTF-8")).expect("the table's file")
}
