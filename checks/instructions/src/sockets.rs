//! Counts requests over sockets: the local server's, and beside them bare loops that send the same
//! requests to the same engine as a program sends them to DynamoDB. Client and server are both
//! counted, on one thread.

use std::net::SocketAddr;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use local::engine::Engine;
use local::options::Options;
use local::server::Server;
use shared::domain::id::{ImageId, ProjectId};
use shared::runtime::clients::Clients;
use shared::store::expression::names;
use shared::store::keys::{self as at, s};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::baseline::Costs;
use crate::meter;

const OWNER: &str = "owner-token-0123456789abcdef";
const IMAGE: &str = "00000005-0000-4000-8000-000000000000";
/// How many members the image has.
const MEMBERS: usize = 10;
/// How often each request is sent; one more goes before, which is not counted.
const ROUNDS: usize = 20;

const SHOW: &str = "show a member over HTTP";
const BARE_SHOW: &str = "show a member: the bare loop";
const LIST: &str = "list 10 members over HTTP";
const BARE_LIST: &str = "list 10 members: the bare loop";

/// Each request with its bare loop. The request takes at most 10/9 of the loop's instructions: it
/// reaches 0.9 of the loop.
const BUDGETS: [(&str, &str); 2] = [(SHOW, BARE_SHOW), (LIST, BARE_LIST)];

/// The budgets that are missed, as sentences.
pub fn missed(costs: &Costs) -> Vec<String> {
    let mut missed = Vec::new();
    for (request, bare) in BUDGETS {
        let of = |name: &str| costs.get(name).map_or(0, |cost| cost.instructions);
        let reached = of(bare) as f64 / of(request).max(1) as f64;
        if reached < 0.9 {
            missed.push(format!(
                "{request} reaches {reached:.2} of its bare loop, not 0.9."
            ));
        }
    }
    missed
}

/// Counts all of them.
pub fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let options = Options {
        // It would run at some time, and be counted with whatever else runs.
        sweep_every: None,
        ..Options::in_memory().expect("options")
    };
    let table = options.table.clone();
    let server = runtime.block_on(Server::start(options)).expect("a server");
    let engine = server.engine.clone().expect("an engine");
    let mut client = runtime.block_on(Client::new(server.address));
    let members = format!("/v2/images/{IMAGE}/members");
    let image = format!(r#"{{"id": "{IMAGE}"}}"#);
    runtime.block_on(client.send("POST", "/v2/images", image));
    for number in 0..MEMBERS {
        let body = format!(r#"{{"member": "member-{number}"}}"#);
        runtime.block_on(client.send("POST", &members, body));
    }
    let show = format!("{members}/member-0");
    for (name, path) in [(SHOW, &show), (LIST, &members)] {
        runtime.block_on(client.send("GET", path, String::new()));
        meter::count(name, ROUNDS as u64, &mut || {
            for _ in 0..ROUNDS {
                runtime.block_on(client.send("GET", path, String::new()));
            }
        });
    }
    bare(&runtime, engine, &table);
    runtime.block_on(server.stop());
}

/// The same requests to DynamoDB, and nothing else.
fn bare(runtime: &Runtime, engine: Engine, table: &str) {
    let address = runtime.block_on(serve(engine));
    let client = Clients::local().dynamodb(Some(format!("http://{address}")));
    let image = ImageId::canonical(IMAGE).expect("an image id");
    let member = ProjectId::parse("member-0").expect("a project id");
    let show = || {
        let keys = KeysAndAttributes::builder()
            .keys(at::image_key(image))
            .keys(at::member_key(image, &member))
            .consistent_read(true)
            .build()
            .expect("keys");
        let read = client.batch_get_item().request_items(table, keys);
        let found = runtime.block_on(read.send()).expect("batch get");
        assert_eq!(found.responses().map(|found| found[table].len()), Some(2));
    };
    let list = || {
        let query = client.query().table_name(table).consistent_read(true);
        let query = query
            .key_condition_expression("#pk = :pk")
            .set_expression_attribute_names(names(&["#pk"]))
            .expression_attribute_values(":pk", s(at::image_pk(image)))
            .limit(MEMBERS as i32 + 1);
        let found = runtime.block_on(query.send()).expect("query");
        assert_eq!(found.items().len(), MEMBERS + 1);
    };
    let loops: [(&str, &dyn Fn()); 2] = [(BARE_SHOW, &show), (BARE_LIST, &list)];
    for (name, once) in loops {
        once();
        meter::count(name, ROUNDS as u64, &mut || {
            for _ in 0..ROUNDS {
                once();
            }
        });
    }
}

/// Serves an engine as DynamoDB on a free port, for as long as the runtime lives.
async fn serve(engine: Engine) -> SocketAddr {
    tests::serve(move |request: hyper::Request<Bytes>| {
        let engine = engine.clone();
        async move {
            let target = request.headers().get("x-amz-target");
            let target = target.and_then(|target| target.to_str().ok());
            let operation = target.and_then(|target| target.split_once('.'));
            let body = String::from_utf8_lossy(request.body());
            let operation = operation.map_or("", |(_, operation)| operation);
            let (status, body) = engine.perform(operation, &body).await;
            tests::reply(status, body)
        }
    })
    .await
}

/// An HTTP client with one kept connection.
struct Client {
    address: String,
    connection: SendRequest<Full<Bytes>>,
}

impl Client {
    async fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let (connection, driver) = handshake(TokioIo::new(stream)).await.expect("a handshake");
        tokio::spawn(driver);
        Self {
            address: address.to_string(),
            connection,
        }
    }

    /// Sends a request. It must succeed.
    async fn send(&mut self, method: &str, path: &str, body: String) {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("x-auth-token", OWNER)
            .body(Full::from(body))
            .expect("a request");
        self.connection.ready().await.expect("a connection");
        let response = self
            .connection
            .send_request(request)
            .await
            .expect("an answer");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body");
        assert!(
            status.is_success(),
            "{method} {path}: {status} {:?}",
            body.to_bytes()
        );
    }
}
