//! Counts what each call asks of DynamoDB: requests by operation, and units by table and index.
//!
//! The server runs as on AWS, with its table behind an endpoint. The endpoint is the embedded engine;
//! on the way it asks for the capacity of each index, and adds up what the engine reports.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use local::engine::Engine;
use serde_json::Value;

use crate::call::{Call, LISTS, State};
use crate::client::{Client, Request, Who};
use crate::data::Cost;
use crate::server::Server;
use crate::stock::Stock;
use crate::{MEMBER, Options};

/// Images of the owner, and public images.
const IMAGES: usize = 1000;
/// Entries of the batches.
const ENTRIES: usize = 100;

/// What has been asked since the last call.
type Counted = Arc<Mutex<Cost>>;

/// Counts all calls.
pub async fn count(options: &Options) -> Vec<Cost> {
    let engine = Engine::in_memory().expect("an engine");
    let counted = Counted::default();
    let count = counted.clone();
    let endpoint = tests::serve(move |request: hyper::Request<Bytes>| {
        let (engine, counted) = (engine.clone(), count.clone());
        async move {
            let (status, body) = counting(&engine, &counted, &request).await;
            tests::reply(status, body)
        }
    });
    let endpoint = format!("http://{}", endpoint.await);
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::imshare_on(&options.binary, data.path(), &endpoint);
    let mut stock = Stock::default();
    stock.grow(&server, IMAGES).await;
    stock.add_public(&server).await;
    let stock = Arc::new(stock);
    let mut client = Client::new(&server).await;
    // One for the calls about an image, with the members that they need, and one for the lists.
    let mut single = State::new(&mut client, Arc::default()).await;
    let mut lists = State::new(&mut client, stock.clone()).await;
    let mut costs = Vec::new();
    // Lists come first: after a call that ends access they read more.
    for call in LISTS.iter().map(Call::List).chain(Call::SINGLE) {
        let state = match call {
            Call::List(_) => &mut lists,
            _ => &mut single,
        };
        // The first request of a kind may fill a cache; the second one counts.
        for counts in [false, true] {
            state.prepare(&mut client, call, 1).await;
            let request = state.request(call);
            settle().await;
            take(&counted);
            let (status, _) = client.once(&request).await;
            settle().await;
            let cost = take(&counted);
            if counts && status < 300 {
                costs.push(named(call.name(), cost, 1.0));
            }
        }
    }
    costs.extend(batches(&mut client, &stock, &counted).await);
    for cost in &costs {
        eprintln!("{cost:?}");
    }
    costs
}

/// Counts an entry of a batch of each kind.
async fn batches(client: &mut Client, stock: &Stock, counted: &Counted) -> Vec<Cost> {
    let images = &stock.ids()[..ENTRIES];
    let path = "/v1/cloudimages/members";
    let share = serde_json::json!({"images": images, "projects": ["somebody"]});
    let accept = serde_json::json!({"images": images, "project_id": MEMBER, "status": "rejected"});
    let mut costs = Vec::new();
    for (name, who, method, body) in [
        ("batch entry: share", Who::Owner, "POST", &share),
        ("batch entry: accept or reject", Who::Member, "PUT", &accept),
        ("batch entry: unshare", Who::Owner, "DELETE", &share),
    ] {
        take(counted);
        let batch = Request::new(who, method, path, body.clone());
        client.batch(batch).await;
        settle().await;
        costs.push(named(name, take(counted), ENTRIES as f64));
    }
    costs
}

/// Waits for what a request leaves to do in the background.
async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
}

fn take(counted: &Counted) -> Cost {
    std::mem::take(&mut *counted.lock().unwrap_or_else(PoisonError::into_inner))
}

fn named(name: &str, cost: Cost, entries: f64) -> Cost {
    let each = |counts: BTreeMap<String, f64>| {
        let counts = counts.into_iter();
        counts
            .map(|(name, count)| (name, count / entries))
            .collect()
    };
    Cost {
        call: name.to_owned(),
        requests: each(cost.requests),
        reads: each(cost.reads),
        writes: each(cost.writes),
    }
}

/// Performs a request with the engine, and counts it. The sweep, which runs every few seconds
/// whatever is asked, is not counted.
async fn counting(
    engine: &Engine,
    counted: &Counted,
    request: &hyper::Request<Bytes>,
) -> (u16, String) {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| Some(target.split_once('.')?.1));
    let operation = operation.unwrap_or_default();
    let mut body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let counts = body["ReturnConsumedCapacity"].is_string() && body["IndexName"] != "by_due";
    if counts {
        body["ReturnConsumedCapacity"] = "INDEXES".into();
    }
    let (status, answer) = engine.perform(operation, &body.to_string()).await;
    if counts {
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let mut cost = counted.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut cost, operation, &answer["ConsumedCapacity"]);
    }
    (status, answer)
}

fn add(cost: &mut Cost, operation: &str, capacity: &Value) {
    *cost.requests.entry(operation.to_owned()).or_default() += 1.0;
    let reads = ["GetItem", "BatchGetItem", "Query", "ExecuteStatement"].contains(&operation);
    let places = if reads {
        &mut cost.reads
    } else {
        &mut cost.writes
    };
    let mut place = |name: &str, units: &Value| {
        let units = units["CapacityUnits"].as_f64().unwrap_or_default();
        if units > 0.0 {
            *places.entry(name.to_owned()).or_default() += units;
        }
    };
    let tables = capacity
        .as_array()
        .map_or(std::slice::from_ref(capacity), Vec::as_slice);
    for table in tables {
        place("table", &table["Table"]);
        for (index, units) in table["GlobalSecondaryIndexes"]
            .as_object()
            .into_iter()
            .flatten()
        {
            place(index, units);
        }
    }
}
