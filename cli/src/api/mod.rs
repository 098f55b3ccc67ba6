//! The service's API: one function for each call, and the [`records`] that it answers with.

pub mod records;

use std::cell::RefCell;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{Failure, Outcome};
use crate::http::{Answer, Http, Request, segment};
use crate::login::directory::Directory;
use crate::login::keystone::{self, Session};
use crate::login::settings::Settings;

pub use records::{Counts, Entry, Image, Job, Member, Share, Task, TrustRule};

/// The service in sentences.
const SERVICE: &str = "the image service";
/// The rows of a page.
const PAGE: usize = 1000;

/// A client that is logged in.
pub struct Client {
    http: Http,
    settings: Settings,
    session: RefCell<Session>,
    project: String,
}

/// What a paged list of the v1 API has beside its rows.
#[derive(Debug, Deserialize)]
struct Paged {
    #[serde(default)]
    page_info: Option<PageInfo>,
}

#[derive(Debug, Deserialize)]
struct PageInfo {
    next_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Accepted {
    job_id: String,
}

/// A query string, built pair by pair.
#[derive(Debug, Default)]
pub struct Query(Vec<(&'static str, String)>);

impl Query {
    /// The same query with one more pair, if there is a value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.0.push((name, value.to_owned()));
        }
        self
    }

    fn of(&self, path: &str) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        match self.0.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", text.extend_pairs(&self.0).finish()),
        }
    }
}

impl Client {
    /// Logs in.
    ///
    /// # Errors
    /// As [`keystone::log_in`].
    pub fn log_in(http: Http, settings: Settings) -> Outcome<Self> {
        let session = keystone::log_in(&http, &settings)?;
        let project = session.project.clone();
        let session = RefCell::new(session);
        Ok(Self {
            http,
            settings,
            session,
            project,
        })
    }

    /// The id of the caller's project.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Calls a function with what looks projects up; `None` without an identity service.
    pub fn directory<T>(
        &self,
        ask: impl FnOnce(&Directory<'_>) -> Outcome<T>,
    ) -> Outcome<Option<T>> {
        let session = self.session.borrow();
        let Some(identity) = &session.identity else {
            return Ok(None);
        };
        let http = &self.http;
        ask(&Directory {
            http,
            session: &session,
            identity,
        })
        .map(Some)
    }

    /// The path of the caller's project below `/v1`.
    fn own(&self, path: &str) -> String {
        format!("/v1/{}/{path}", segment(&self.project))
    }

    fn send(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, String)],
    ) -> Outcome<Answer> {
        let send = || {
            let session = self.session.borrow();
            let mut headers = headers.to_vec();
            headers.push(("x-auth-token", session.token.clone()));
            self.http.send(&Request {
                service: SERVICE,
                method,
                url: &format!("{}{path}", session.image),
                // Every call says what shall be, or has an idempotency key; an image is created once.
                repeatable: !(method == "POST" && path == "/v2/images"),
                headers,
                body,
            })
        };
        let answer = send()?;
        // A token expires while a long job is watched.
        if answer.status == 401 && self.session.borrow().renewable {
            let session = keystone::log_in(&self.http, &self.settings)?;
            self.session.replace(session);
            return send();
        }
        Ok(answer)
    }

    fn get(&self, path: &str) -> Outcome<Answer> {
        self.send("GET", path, None, &[])
    }

    /// All pages of a v1 list, up to `most` rows.
    fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        query: &dyn Fn() -> Query,
        most: usize,
        absent: &str,
    ) -> Outcome<(Vec<T>, Option<String>)> {
        let (mut rows, mut marker, mut etag) = (Vec::new(), None, None);
        loop {
            let limit = PAGE.min(most).to_string();
            let query = query()
                .with("limit", Some(&limit))
                .with("marker", marker.as_deref());
            let answer = self.get(&query.of(path))?;
            let answer = if absent.is_empty() {
                answer
            } else {
                newer(answer, absent)?
            };
            etag = etag.or_else(|| answer.header("etag").map(str::to_owned));
            let page: Value = answer.json()?;
            rows.extend(rows_of(&page, key)?);
            let paged: Paged = from(page)?;
            marker = paged.page_info.and_then(|info| info.next_marker);
            if marker.is_none() || rows.len() >= most {
                rows.truncate(most);
                return Ok((rows, etag));
            }
        }
    }

    /// The image with this id, if the caller may see it.
    pub fn image(&self, id: &str) -> Outcome<Option<Value>> {
        let answer = self.get(&format!("/v2/images/{}", segment(id)))?;
        match answer.status {
            404 => Ok(None),
            _ => answer.json().map(Some),
        }
    }

    /// Images, all pages of them up to `most`.
    pub fn images(&self, query: Query, most: usize) -> Outcome<Vec<Image>> {
        let query = query.with("limit", Some(&PAGE.min(most).to_string()));
        let mut path = query.of("/v2/images");
        let mut images = Vec::new();
        loop {
            let page: Value = self.get(&path)?.json()?;
            images.extend(rows_of(&page, "images")?);
            match page.get("next").and_then(Value::as_str) {
                Some(next) if images.len() < most => path = next.to_owned(),
                _ => break,
            }
        }
        images.truncate(most);
        Ok(images)
    }

    /// Creates an image's record.
    pub fn create_image(&self, image: &Value) -> Outcome<Value> {
        self.send("POST", "/v2/images", Some(image), &[])?.json()
    }

    /// The members of an image, and what its list is tagged with.
    pub fn members(&self, image: &str) -> Outcome<(Vec<Member>, Option<String>)> {
        let path = self.own(&format!("cloudimages/{}/members", segment(image)));
        self.pages(&path, "members", &Query::default, usize::MAX, "")
    }

    /// Declares the members of an image: the id of the job that makes it so.
    ///
    /// # Errors
    /// If the list has another tag by now, among others.
    pub fn set_members(
        &self,
        image: &str,
        projects: &[String],
        tag: Option<&str>,
    ) -> Outcome<String> {
        let path = self.own(&format!("cloudimages/{}/members", segment(image)));
        let body = json!({"projects": projects});
        let headers: Vec<_> = tag
            .map(|tag| ("if-match", tag.to_owned()))
            .into_iter()
            .collect();
        let answer = self.send("PUT", &path, Some(&body), &headers)?;
        match answer.status {
            412 => Err(Failure::wrong_use(format!(
                "the members of the image have changed meanwhile: {}; look at the difference again",
                answer.said()
            ))),
            _ => Ok(newer(answer, "declared sets of members")?
                .json::<Accepted>()?
                .job_id),
        }
    }

    /// What is shared with the caller's project.
    pub fn invitations(
        &self,
        status: &str,
        owner: Option<&str>,
        most: usize,
    ) -> Outcome<Vec<Share>> {
        let query = || {
            Query::default()
                .with("status", Some(status))
                .with("owner", owner)
        };
        let path = self.own("cloudimages/invitations");
        Ok(self
            .pages(&path, "invitations", &query, most, "invitations")?
            .0)
    }

    /// What the caller's project shares with others.
    pub fn shares(&self, status: &str, member: Option<&str>) -> Outcome<Vec<Share>> {
        let query = || {
            Query::default()
                .with("status", Some(status))
                .with("member", member)
        };
        let path = self.own("cloudimages/shares");
        Ok(self
            .pages(&path, "shares", &query, usize::MAX, "lists of shares")?
            .0)
    }

    /// The rules about owners, and what their list is tagged with.
    pub fn trusted(&self) -> Outcome<(Vec<TrustRule>, Option<String>)> {
        let answer = self.get(&self.own("cloudimages/trusted-owners"))?;
        let answer = newer(answer, "trusted owners")?;
        let tag = answer.header("etag").map(str::to_owned);
        let rules: Value = answer.json()?;
        Ok((rows_of(&rules, "rules")?, tag))
    }

    /// Replaces the rules; `false` if they have changed since they were read.
    pub fn set_trusted(&self, rules: &[TrustRule], tag: Option<&str>) -> Outcome<bool> {
        let rules: Vec<Value> = rules
            .iter()
            .map(|rule| json!({"owner": rule.owner, "mode": rule.mode}))
            .collect();
        let body = json!({"rules": rules});
        let headers: Vec<_> = tag
            .map(|tag| ("if-match", tag.to_owned()))
            .into_iter()
            .collect();
        let path = self.own("cloudimages/trusted-owners");
        let answer = self.send("PUT", &path, Some(&body), &headers)?;
        match answer.status {
            412 => Ok(false),
            _ => newer(answer, "trusted owners")?
                .json::<Value>()
                .map(|_| true),
        }
    }

    /// Starts a batch: the id of its job. A key that was used before gives the job of before.
    pub fn start(
        &self,
        task: &Task,
        images: &[String],
        projects: &[String],
        key: &str,
    ) -> Outcome<Answer> {
        let path = "/v1/cloudimages/members";
        let (method, body) = match task {
            Task::Share => ("POST", json!({"images": images, "projects": projects})),
            Task::Unshare => ("DELETE", json!({"images": images, "projects": projects})),
            Task::Answer { accept, vault } => {
                let status = if *accept { "accepted" } else { "rejected" };
                let mut body =
                    json!({"images": images, "project_id": self.project, "status": status});
                if let (Some(vault), Some(body)) = (vault, body.as_object_mut()) {
                    body.insert("vault_id".to_owned(), json!(vault));
                }
                ("PUT", body)
            }
        };
        self.send(
            method,
            path,
            Some(&body),
            &[("idempotency-key", key.to_owned())],
        )
    }

    /// The id of the job in an answer to [`start`](Self::start).
    pub fn started(answer: Answer) -> Outcome<String> {
        Ok(answer.json::<Accepted>()?.job_id)
    }

    /// A job, without its entries; `None` if there is no such job.
    pub fn job(&self, id: &str) -> Outcome<Option<Job>> {
        let query = Query::default().with("limit", Some("1"));
        let answer = self.get(&query.of(&self.own(&format!("jobs/{}", segment(id)))))?;
        match answer.status {
            404 => Ok(None),
            _ => answer.json().map(Some),
        }
    }

    /// The entries of a job, or those with a status.
    pub fn entries(&self, id: &str, status: Option<&str>) -> Outcome<Vec<Entry>> {
        let path = self.own(&format!("jobs/{}", segment(id)));
        let (mut rows, mut marker): (Vec<Entry>, Option<String>) = (Vec::new(), None);
        loop {
            let query = Query::default()
                .with("limit", Some("1000"))
                .with("status", status);
            let page: Value = self
                .get(&query.with("marker", marker.as_deref()).of(&path))?
                .json()?;
            let mut entities = page.get("entities").cloned().unwrap_or_default();
            // A server that does not know the filter answers with all of them.
            let found = rows_of::<Entry>(&entities, "results")?;
            rows.extend(
                found
                    .into_iter()
                    .filter(|row| status.is_none_or(|it| it == row.status)),
            );
            let info = entities.get_mut("page_info").map(Value::take);
            let info: Option<PageInfo> = from(info.unwrap_or_default())?;
            marker = info.and_then(|info| info.next_marker);
            if marker.is_none() {
                return Ok(rows);
            }
        }
    }

    /// A page of the caller's jobs, the newest first, and the marker of the next.
    pub fn jobs(
        &self,
        status: Option<&str>,
        limit: usize,
        marker: Option<&str>,
    ) -> Outcome<(Vec<Job>, Option<String>)> {
        let limit = limit.min(PAGE).to_string();
        let query = Query::default()
            .with("limit", Some(&limit))
            .with("status", status)
            .with("marker", marker);
        let page: Value = self.get(&query.of(&self.own("jobs")))?.json()?;
        let rows = rows_of(&page, "jobs")?;
        let paged: Paged = from(page)?;
        Ok((rows, paged.page_info.and_then(|info| info.next_marker)))
    }
}

fn from<T: DeserializeOwned>(value: Value) -> Outcome<T> {
    serde_json::from_value(value)
        .map_err(|error| Failure::away(format!("{SERVICE} answers in an unknown form: {error}")))
}

fn rows_of<T: DeserializeOwned>(page: &Value, key: &str) -> Outcome<Vec<T>> {
    from(page.get(key).cloned().unwrap_or_default())
}

/// An answer of a route that older servers do not have.
fn newer(answer: Answer, what: &str) -> Outcome<Answer> {
    match answer.status {
        // 300 is what a path gets that has no route: Glance's list of versions.
        300 | 404 | 405 => Err(older(what, &answer)),
        _ => Ok(answer),
    }
}

fn older(what: &str, answer: &Answer) -> Failure {
    Failure::wrong_use(format!(
        "this server does not know {what}: it answers {}; this command needs a server with a newer imshare",
        answer.said()
    ))
}
