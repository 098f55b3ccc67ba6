//! The local server: starts all parts, and stops them when they have finished their work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shared::auth::Authentication;
use shared::domain::policy::Policy;
use shared::http::site::Site;
use shared::runtime::app::App;
use shared::runtime::config::Config;
use shared::runtime::messages::Source;
use shared::runtime::metrics::Metrics;
use shared::runtime::projects::Projects;
use shared::store::Indexes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::authenticator::Authenticator;
use crate::connection;
use crate::contents::Contents;
use crate::engine::Engine;
use crate::gateway::Gateway;
use crate::monitor::{Monitor, Watched};
use crate::options::{MetricsFor, Options};
use crate::prometheus::Prometheus;
use crate::queue::{self, Queue};
use crate::storage::Directory;
use crate::stores::Stores;
use crate::{access_keys, aws, seed, worker};

/// How often expired records are removed.
const EXPIRED_EVERY: Duration = Duration::from_secs(600);
/// When they are removed first. A server that is often started again would never do it otherwise.
const EXPIRED_FIRST: Duration = Duration::from_secs(20);
/// How often metrics are summed up.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How often files that failed are checked again.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// The address it listens on.
    pub address: SocketAddr,
    /// The app that all functions share.
    pub app: App,
    /// The embedded engine, if records are kept in it.
    pub engine: Option<Engine>,
    /// The embedded queue, if messages are kept in it.
    pub queue: Option<Queue>,
    /// Where the embedded engine is served to other processes.
    pub dynamodb_address: Option<SocketAddr>,
    /// Where the embedded queue is served to other processes.
    pub sqs_address: Option<SocketAddr>,
    /// The data directory, locked until the server is dropped.
    directory: Option<Directory>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let why = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!(
            "{address} is taken: another program listens there; choose another with --listen"
        ),
        _ => format!("cannot listen on {address}: {error}"),
    };
    let listener = TcpListener::bind(address).await.map_err(why)?;
    let address = listener.local_addr().map_err(why)?;
    Ok((listener, address))
}

/// The authenticator that the options ask for: Keystone if they name one, or the identity file.
fn authenticator(options: &Options) -> Result<Authenticator, String> {
    match options.keystone.clone() {
        Some(mut keystone) => {
            keystone.roles = options.roles.clone();
            Authenticator::keystone(keystone, options.clock.clone())
        }
        None => Ok(Authenticator::file(
            options.identity.clone(),
            options.roles.clone(),
            options.remote_identity,
        )),
    }
}

/// The projects that images may be shared with, if they are to be checked.
fn projects(options: &Options) -> Result<Option<Projects>, String> {
    if !options.check_projects {
        return Ok(None);
    }
    if let Some(keystone) = options.keystone.clone() {
        let projects = Projects::keystone(keystone.keystone, options.clock.clone());
        let why = |error| format!("no certificates to know Keystone by: {error}");
        return projects.map(Some).map_err(why);
    }
    Ok(Some(options.identity.projects()))
}

/// The app that all functions share, with its access keys from the identity file.
async fn app(
    options: &Options,
    stores: &Stores,
    address: SocketAddr,
    metrics: Metrics,
) -> Result<App, String> {
    let config = Config {
        table: options.table.clone(),
        queue_url: stores.queue_url.clone(),
        dead_letters_url: (stores.queue.as_ref()).map(|_| queue::DEAD_LETTERS.to_owned()),
        member_quota: options.member_quota,
        limits: options.project_limits,
        policy: Policy {
            member_may_leave: options.member_may_leave,
        },
        indexes: match stores.engine {
            Some(_) => Indexes::Immediate,
            None => Indexes::Eventual,
        },
        site: Site {
            auth_uri: options.keystone.as_ref().map(|k| k.keystone.url.clone()),
            public_endpoint: options.public_endpoint.clone(),
            cors_origins: options.cors_origins.clone(),
            listen: Some(address),
        },
    };
    let keys = access_keys::open(options, stores).await?;
    let app = App::with_metrics(
        config,
        stores.dynamodb.clone(),
        stores.sqs.clone(),
        Authentication::with_keys(keys),
        metrics,
        options.clock.clone(),
    );
    let app = app.checking(projects(options)?);
    if stores.engine.is_some() {
        let recalled = app.store().recall_unreconciled(app.now()).await;
        recalled.map_err(|error| format!("cannot read the table: {}", error.for_log()))?;
    }
    Ok(app)
}

impl Server {
    /// Starts the server and returns when it is ready.
    ///
    /// # Errors
    /// One sentence for the operator: the port is taken, the data cannot be opened.
    pub async fn start(options: Options) -> Result<Self, String> {
        // The port first, so that a second server fails before it opens the data.
        let (listener, address) = bind(options.listen).await?;
        let stores = Box::pin(Stores::open(&options)).await?;
        let authenticator = authenticator(&options)?;
        let prometheus = match options.metrics {
            MetricsFor::Loopback | MetricsFor::Admin => Some(Arc::new(Prometheus::new()?)),
            MetricsFor::Nobody => None,
        };
        let metrics = match &prometheus {
            Some(prometheus) => Metrics::to(prometheus.clone()),
            None => Metrics::default(),
        };
        let app = app(&options, &stores, address, metrics).await?;
        if options.seed_fixtures {
            // Boxed: the handlers' futures would make this one too large for a stack.
            Box::pin(seed::fixtures(&app)).await?;
        }
        let (stop, stopped) = watch::channel(false);
        let mut server = Self {
            address,
            app: app.clone(),
            engine: stores.engine.clone(),
            queue: stores.queue.clone(),
            dynamodb_address: None,
            sqs_address: None,
            directory: stores.directory,
            stop,
            tasks: Vec::new(),
        };
        server.open_ports(&options, &stopped).await?;
        let monitor = Monitor::of(Watched {
            app,
            engine: stores.engine.clone(),
            queue: stores.queue,
            sqs: stores.sqs.clone(),
            directory: server.directory.as_ref().map(|it| it.path().to_owned()),
            sweep_every: options.sweep_every,
            prometheus,
        });
        let (engine, limits) = (stores.engine, options.limits);
        let watch = monitor.clone();
        let gateway = Gateway::new(authenticator, engine, watch, options.metrics, limits);
        let service = move |request| gateway.clone().serve(request);
        server.tasks.push(tokio::spawn(connection::serve(
            listener,
            limits,
            stopped.clone(),
            service,
        )));
        server.start_background(stores.sqs, stores.queue_url, &stopped);
        server.start_sweep(options.sweep_every, &monitor, &stopped);
        server
            .tasks
            .push(tokio::spawn(look_after(monitor, stopped)));
        Ok(server)
    }

    /// Serves the embedded engine and queue to other processes, if the options say so.
    async fn open_ports(
        &mut self,
        options: &Options,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(), String> {
        if let (Some(address), Some(engine)) = (options.dynamodb_listen, self.engine.clone()) {
            let (address, task) = aws::dynamodb(address, engine, stopped.clone()).await?;
            self.dynamodb_address = Some(address);
            self.tasks.push(task);
        }
        if let (Some(address), Some(queue)) = (options.sqs_listen, self.queue.clone()) {
            let (address, task) = aws::sqs(address, queue, stopped.clone()).await?;
            self.sqs_address = Some(address);
            self.tasks.push(task);
        }
        Ok(())
    }

    /// Starts the background tasks: the event sources, the sweep, and the removal of expired
    /// records.
    fn start_background(
        &mut self,
        sqs: aws_sdk_sqs::Client,
        queue_url: String,
        stopped: &watch::Receiver<bool>,
    ) {
        let (app, client) = (self.app.clone(), sqs.clone());
        let batches = worker::Polled {
            source: Source::Batches,
            client,
            url: queue_url,
        };
        let polling = worker::poll(batches, app, stopped.clone(), run_batch::handle);
        self.tasks.push(tokio::spawn(polling));
        if self.queue.is_some() {
            let dead_letters = worker::Polled {
                source: Source::DeadLetters,
                client: sqs,
                url: queue::DEAD_LETTERS.to_owned(),
            };
            let app = self.app.clone();
            let polling = worker::poll(dead_letters, app, stopped.clone(), settle_batch::handle);
            self.tasks.push(tokio::spawn(polling));
        }
        if let Some(engine) = self.engine.clone() {
            self.tasks
                .push(tokio::spawn(remove_expired(engine, stopped.clone())));
        }
    }

    /// Starts the sweep, if it is to run.
    fn start_sweep(
        &mut self,
        every: Option<Duration>,
        monitor: &Monitor,
        stopped: &watch::Receiver<bool>,
    ) {
        let Some(every) = every else {
            return;
        };
        let monitor = monitor.clone();
        let sweep = move |app, until| {
            let monitor = monitor.clone();
            async move {
                let run = sweep::sweep(&app, until).await?;
                monitor.swept(&run);
                run.outcome()
            }
        };
        let (app, stopped) = (self.app.clone(), stopped.clone());
        let sweeping = worker::on_schedule("sweep", app, every, stopped, sweep);
        self.tasks.push(tokio::spawn(sweeping));
    }

    /// Describes where the records are and how many there are, for the operator.
    pub fn data(&self) -> String {
        let Some(directory) = &self.directory else {
            return match self.engine {
                Some(_) => "in memory: gone when the server stops".to_owned(),
                None => format!("in the table {}", self.app.config().table),
            };
        };
        let path = directory.path().display();
        if directory.is_new() {
            return format!("{path} (new)");
        }
        if self.engine.is_none() {
            return format!("the queue's in {path}");
        }
        match Contents::of(&directory.table(), &self.app.config().table) {
            Some(contents) => format!("{path} ({contents})"),
            None => path.to_string(),
        }
    }

    /// The server's address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Accepts no more requests and returns when everything that was begun is finished.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        drop(self.directory);
    }
}

/// Sums up metrics at intervals.
async fn look_after(monitor: Monitor, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(UPKEEP_EVERY) => monitor.upkeep(),
            _ = stop.changed() => return,
        }
    }
}

/// Removes expired records at intervals, and checks whether files that failed can be used again.
async fn remove_expired(engine: Engine, mut stop: watch::Receiver<bool>) {
    let first = tokio::time::Instant::now() + EXPIRED_FIRST;
    let mut expired = tokio::time::interval_at(first, EXPIRED_EVERY);
    loop {
        let engine = engine.clone();
        tokio::select! {
            _ = expired.tick() => {
                let _ = tokio::task::spawn_blocking(move || engine.remove_expired()).await;
            }
            () = tokio::time::sleep(CHECK_EVERY) => {
                let _ = tokio::task::spawn_blocking(move || engine.fault()).await;
            }
            _ = stop.changed() => return,
        }
    }
}
