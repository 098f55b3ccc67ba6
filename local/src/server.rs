//! The parts together: started, and stopped when they have finished what they hold.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use shared::app::{App, Clients, Config, DEFAULT_MEMBER_QUOTA};
use shared::roles::RoleNames;
use shared::store::Indexes;
use shared::time::Clock;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::access_keys;
use crate::authority::Authority;
use crate::engine::Engine;
use crate::front::Front;
use crate::identity::Identity;
use crate::queue::{self, Queue, Settings};
use crate::table::{self, Upgrade};
use crate::worker;

/// How long a stop waits for connections to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How often expired records are removed.
const EXPIRED_EVERY: Duration = Duration::from_secs(600);
/// How often what is overdue is done.
pub const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Where the records are.
#[derive(Clone, Debug)]
pub enum Data {
    /// In this process, gone with it.
    InMemory,
    /// In files of this directory.
    Directory(PathBuf),
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes any.
    pub listen: SocketAddr,
    /// Where the records are.
    pub data: Data,
    /// Who there is.
    pub identity: Identity,
    /// A Keystone to ask about tokens instead.
    pub keystone: Option<authorizer::config::Config>,
    /// What roles are called, by whichever of them.
    pub roles: RoleNames,
    /// Most members of an image; negative means no limit.
    pub member_quota: i64,
    /// Whether members may leave.
    pub member_may_leave: bool,
    /// A DynamoDB to use instead of the embedded engine.
    pub dynamodb_endpoint: Option<String>,
    /// The table.
    pub table: String,
    /// A queue to use instead of the embedded one.
    pub queue_url: Option<String>,
    /// What the embedded queue does.
    pub queue: Settings,
    /// Where "now" comes from.
    pub clock: Clock,
    /// How often what is overdue is done; never, if there is no time.
    pub sweep_every: Option<Duration>,
}

impl Options {
    /// A server that forgets everything, on any port, with the demo identities.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn in_memory() -> Result<Self, String> {
        Ok(Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: Data::InMemory,
            identity: Identity::demo()?,
            keystone: None,
            roles: RoleNames::default(),
            member_quota: DEFAULT_MEMBER_QUOTA,
            member_may_leave: false,
            dynamodb_endpoint: None,
            table: "imshare".to_owned(),
            queue_url: None,
            queue: Settings::default(),
            clock: Clock::System,
            sweep_every: Some(SWEEP_EVERY),
        })
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The app that its functions share.
    pub app: App,
    /// The embedded engine, if that is what it uses.
    pub engine: Option<Engine>,
    /// The embedded queue, if that is what it uses.
    pub queue: Option<Queue>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// The files of a data directory.
fn files(data: &Data) -> Result<Option<(PathBuf, PathBuf)>, String> {
    match data {
        Data::InMemory => Ok(None),
        Data::Directory(path) => {
            std::fs::create_dir_all(path)
                .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
            Ok(Some((path.join("table.sqlite"), path.join("queue.sqlite"))))
        }
    }
}

impl Server {
    /// Starts the service and returns when it is ready.
    ///
    /// # Errors
    /// One sentence for the operator: a port that is taken, data that cannot be opened.
    pub async fn start(options: Options) -> Result<Self, String> {
        // The port first: who started the server twice shall not open the data twice.
        let listener =
            TcpListener::bind(options.listen)
                .await
                .map_err(|error| match error.kind() {
                    std::io::ErrorKind::AddrInUse => format!(
                        "{} is taken: another program listens there; choose another with --listen",
                        options.listen
                    ),
                    _ => format!("cannot listen on {}: {error}", options.listen),
                })?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;

        let files = files(&options.data)?;
        let endpoints = options.dynamodb_endpoint.iter().chain(&options.queue_url);
        let clients = Clients::for_endpoints(endpoints).map_err(|error| error.to_string())?;
        let (dynamodb, engine) = match &options.dynamodb_endpoint {
            Some(endpoint) => (clients.dynamodb(Some(endpoint.clone())), None),
            None => {
                let engine = match &files {
                    None => Engine::in_memory()?,
                    Some((table, _)) => Engine::in_file(table)?,
                };
                (
                    Clients::in_process().dynamodb_over(engine.clone(), None),
                    Some(engine),
                )
            }
        };
        let upgrade = if engine.is_some() {
            Upgrade::Do
        } else {
            Upgrade::Refuse
        };
        table::make(&dynamodb, &options.table, upgrade).await?;
        let (sqs, queue, queue_url) = match &options.queue_url {
            Some(url) => (clients.sqs(endpoint_of(url)), None, url.clone()),
            None => {
                let queue = match &files {
                    None => Queue::in_memory(options.queue)?,
                    Some((_, path)) => Queue::in_file(path, options.queue)?,
                };
                let client = Clients::in_process().sqs_over(queue.clone(), None);
                (client, Some(queue), queue::BATCHES.to_owned())
            }
        };

        let config = Config {
            table: options.table,
            queue_url: queue_url.clone(),
            member_quota: options.member_quota,
            member_may_leave: options.member_may_leave,
            indexes: if engine.is_some() {
                Indexes::Immediate
            } else {
                Indexes::Eventual
            },
            auth_uri: options.keystone.as_ref().map(|k| k.keystone.url.clone()),
            public_endpoint: None,
        };
        let authority = match options.keystone {
            Some(mut keystone) => {
                keystone.roles = options.roles.clone();
                Authority::keystone(keystone, options.clock.clone())?
            }
            None => Authority::file(options.identity.clone(), options.roles.clone()),
        };
        let app = App::new(
            config,
            dynamodb,
            sqs.clone(),
            Some(access_keys::table(&options.identity.access_key, options.roles).await?),
            options.clock,
        );
        let (stop, stopped) = watch::channel(false);
        let front = Front::new(app.clone(), authority);
        let mut tasks = vec![
            tokio::spawn(listen(listener, front, stopped.clone())),
            tokio::spawn(worker::poll(
                "run-batch",
                app.clone(),
                sqs.clone(),
                queue_url,
                stopped.clone(),
                run_batch::handle,
            )),
        ];
        if queue.is_some() {
            tasks.push(tokio::spawn(worker::poll(
                "settle-batch",
                app.clone(),
                sqs,
                queue::DEAD_LETTERS.to_owned(),
                stopped.clone(),
                settle_batch::handle,
            )));
        }
        if let Some(engine) = engine.clone() {
            tasks.push(tokio::spawn(remove_expired(engine, stopped.clone())));
        }
        if let Some(every) = options.sweep_every {
            let app = app.clone();
            let sweeping = worker::on_schedule("sweep", app, every, stopped, sweep::handle);
            tasks.push(tokio::spawn(sweeping));
        }
        Ok(Self {
            address,
            app,
            engine,
            queue,
            stop,
            tasks,
        })
    }

    /// The server's address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops: takes nothing new and returns when what was begun is done.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// `scheme://host:port` of a queue's URL, unless it is one of AWS's own.
fn endpoint_of(queue_url: &str) -> Option<String> {
    let (scheme, rest) = queue_url.split_once("://")?;
    let host = rest.split('/').next()?;
    (!host.ends_with(".amazonaws.com")).then(|| format!("{scheme}://{host}"))
}

async fn listen(listener: TcpListener, front: Front, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, or a connection that was gone at once.
                tracing::warn!(error.why = %error, "accept failed");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let front = front.clone();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(60))
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request| front.clone().serve(request)),
            );
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error.why = %error, "connection ended");
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await;
}

async fn remove_expired(engine: Engine, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EXPIRED_EVERY) => engine.remove_expired(),
            _ = stop.changed() => return,
        }
    }
}
