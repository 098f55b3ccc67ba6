//! The parts together: started, and stopped when they have finished what they hold.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use shared::auth::Authentication;
use shared::domain::policy::Policy;
use shared::domain::roles::RoleNames;
use shared::domain::time::Clock;
use shared::http::address::Endpoint;
use shared::http::cross_origin::Origins;
use shared::http::site::Site;
use shared::runtime::app::App;
use shared::runtime::clients::Clients;
use shared::runtime::config::{Config, DEFAULT_MEMBER_QUOTA};
use shared::store::Indexes;
use shared::store::sdk_error::words;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::authority::Authority;
use crate::connection::{self, Limits};
use crate::contents::Contents;
use crate::engine::Engine;
use crate::front::Front;
use crate::identity::Identity;
use crate::outage::first_answer;
use crate::queue::{self, Queue, Settings};
use crate::storage::{Directory, Health};
use crate::table::{self, Upgrade};
use crate::{access_keys, aws, seed, worker};

/// How often expired records are removed.
const EXPIRED_EVERY: Duration = Duration::from_secs(600);
/// How often what is overdue is done.
pub const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How often files that could not be used are tried again.
const CHECK_EVERY: Duration = Duration::from_secs(10);

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
    /// The URL that clients reach the server by, if it is not the one that they send in `Host`.
    pub public_endpoint: Option<Endpoint>,
    /// The origins whose pages may read answers.
    pub cors_origins: Origins,
    /// What clients may take up.
    pub limits: Limits,
    /// Where other processes of this machine reach the embedded engine.
    pub dynamodb_listen: Option<SocketAddr>,
    /// Where other processes of this machine reach the embedded queue.
    pub sqs_listen: Option<SocketAddr>,
    /// Whether to create the records that `events/` are written for.
    pub seed_fixtures: bool,
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
            public_endpoint: None,
            cors_origins: Origins::default(),
            limits: Limits::default(),
            dynamodb_listen: None,
            sqs_listen: None,
            seed_fixtures: false,
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
    /// Where other processes reach the embedded engine.
    pub dynamodb_address: Option<SocketAddr>,
    /// Where other processes reach the embedded queue.
    pub sqs_address: Option<SocketAddr>,
    /// The data directory, locked as long as this exists.
    directory: Option<Directory>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// The table and the queue, embedded or remote.
struct Stores {
    directory: Option<Directory>,
    dynamodb: aws_sdk_dynamodb::Client,
    engine: Option<Engine>,
    sqs: aws_sdk_sqs::Client,
    queue: Option<Queue>,
    queue_url: String,
}

impl Stores {
    async fn open(options: &Options) -> Result<Self, String> {
        let remote = options.dynamodb_endpoint.is_some() && options.queue_url.is_some();
        let directory = match &options.data {
            // Nothing would be kept in it.
            Data::Directory(_) if remote => None,
            Data::Directory(path) => Some(Directory::open(path)?),
            Data::InMemory => None,
        };
        let health = directory.as_ref().map(|it| (it, Health::of(it.path())));
        let endpoints = options.dynamodb_endpoint.iter().chain(&options.queue_url);
        let clients = Clients::for_endpoints(endpoints).map_err(|error| error.to_string())?;
        let (dynamodb, engine) = match &options.dynamodb_endpoint {
            Some(endpoint) => (clients.dynamodb(Some(endpoint.clone())), None),
            None => {
                let engine = match &health {
                    None => Engine::in_memory()?,
                    Some((files, health)) => Engine::in_file(&files.table(), health.clone())?,
                };
                let client = Clients::in_process().dynamodb_over(engine.clone(), None);
                (client, Some(engine))
            }
        };
        let upgrade = if engine.is_some() {
            Upgrade::Do
        } else {
            Upgrade::Refuse
        };
        let table = table::make(&dynamodb, &options.table, upgrade);
        match &options.dynamodb_endpoint {
            Some(endpoint) => first_answer("DynamoDB", endpoint, table).await?,
            None => table.await?,
        }
        let (sqs, queue, queue_url) = match &options.queue_url {
            Some(url) => {
                let client = clients.sqs(endpoint_of(url));
                first_answer("the queue", url, ask_for(&client, url)).await?;
                (client, None, url.clone())
            }
            None => {
                let settings = options.queue;
                let queue = match &health {
                    None => Queue::in_memory(settings)?,
                    Some((files, health)) => {
                        Queue::in_file(&files.queue(), settings, health.clone())?
                    }
                };
                let client = Clients::in_process().sqs_over(queue.clone(), None);
                (client, Some(queue), queue::BATCHES.to_owned())
            }
        };
        Ok(Self {
            directory,
            dynamodb,
            engine,
            sqs,
            queue,
            queue_url,
        })
    }
}

/// Checks that a queue answers. Its attributes may be forbidden to a role that may use it.
async fn ask_for(client: &aws_sdk_sqs::Client, url: &str) -> Result<(), String> {
    let asked = client.get_queue_attributes().queue_url(url).send().await;
    match asked {
        Ok(_) => Ok(()),
        Err(error) => {
            let service = error.as_service_error();
            let code = service.and_then(|service| service.meta().code());
            // Its code in the two protocols of SQS.
            let absent = [
                "QueueDoesNotExist",
                "AWS.SimpleQueueService.NonExistentQueue",
            ];
            match code {
                Some(code) if !absent.contains(&code) => {
                    tracing::warn!(
                        error.why = words(&error),
                        "cannot read the queue's attributes"
                    );
                    Ok(())
                }
                _ => Err(words(&error)),
            }
        }
    }
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

impl Server {
    /// Starts the service and returns when it is ready.
    ///
    /// # Errors
    /// One sentence for the operator: a port that is taken, data that cannot be opened.
    pub async fn start(options: Options) -> Result<Self, String> {
        // The port first: who started the server twice shall not open the data twice.
        let (listener, address) = bind(options.listen).await?;
        let stores = Box::pin(Stores::open(&options)).await?;
        let config = Config {
            table: options.table.clone(),
            queue_url: stores.queue_url.clone(),
            member_quota: options.member_quota,
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
        let authority = match options.keystone.clone() {
            Some(mut keystone) => {
                keystone.roles = options.roles.clone();
                Authority::keystone(keystone, options.clock.clone())?
            }
            None => Authority::file(options.identity.clone(), options.roles.clone()),
        };
        let (access_key, roles) = (&options.identity.access_key, options.roles.clone());
        let app = App::new(
            config,
            stores.dynamodb.clone(),
            stores.sqs.clone(),
            Authentication::with_keys(access_keys::table(access_key, roles).await?),
            options.clock.clone(),
        );
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
        let front = Front::new(app, authority, stores.engine, options.limits);
        let service = move |request| front.clone().serve(request);
        server.tasks.push(tokio::spawn(connection::serve(
            listener,
            options.limits,
            stopped.clone(),
            service,
        )));
        server.work(stores.sqs, stores.queue_url, options.sweep_every, &stopped);
        Ok(server)
    }

    /// Lets other processes reach the embedded engine and queue, where an option says so.
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

    /// Starts what works in the background: the event sources, the sweep, and the removal of expired
    /// records.
    fn work(
        &mut self,
        sqs: aws_sdk_sqs::Client,
        queue_url: String,
        sweep_every: Option<Duration>,
        stopped: &watch::Receiver<bool>,
    ) {
        self.tasks.push(tokio::spawn(worker::poll(
            "run-batch",
            self.app.clone(),
            sqs.clone(),
            queue_url,
            stopped.clone(),
            run_batch::handle,
        )));
        if self.queue.is_some() {
            self.tasks.push(tokio::spawn(worker::poll(
                "settle-batch",
                self.app.clone(),
                sqs,
                queue::DEAD_LETTERS.to_owned(),
                stopped.clone(),
                settle_batch::handle,
            )));
        }
        if let Some(engine) = self.engine.clone() {
            self.tasks
                .push(tokio::spawn(remove_expired(engine, stopped.clone())));
        }
        if let Some(every) = sweep_every {
            let (app, stopped) = (self.app.clone(), stopped.clone());
            let sweeping = worker::on_schedule("sweep", app, every, stopped, sweep::handle);
            self.tasks.push(tokio::spawn(sweeping));
        }
    }

    /// Where the records are and how many there are, for the operator.
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

    /// Stops: takes nothing new and returns when what was begun is done.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        drop(self.directory);
    }
}

/// `scheme://host:port` of a queue's URL, unless it is one of AWS's own.
fn endpoint_of(queue_url: &str) -> Option<String> {
    let (scheme, rest) = queue_url.split_once("://")?;
    let host = rest.split('/').next()?;
    (!host.ends_with(".amazonaws.com")).then(|| format!("{scheme}://{host}"))
}

/// Removes what has expired, and finds out when files that could not be used can be used again.
async fn remove_expired(engine: Engine, mut stop: watch::Receiver<bool>) {
    let mut expired = tokio::time::interval(EXPIRED_EVERY);
    // The first tick is at once, when there is nothing to do yet.
    expired.tick().await;
    loop {
        let engine = engine.clone();
        tokio::select! {
            _ = expired.tick() => engine.remove_expired(),
            () = tokio::time::sleep(CHECK_EVERY) => {
                let _ = tokio::task::spawn_blocking(move || engine.fault()).await;
            }
            _ = stop.changed() => return,
        }
    }
}
