//! Opens the table and the queue: embedded in this process, or remote.

use shared::runtime::clients::Clients;
use shared::store::Client;
use shared::store::sdk_error::words;

use crate::engine::Engine;
use crate::options::{Data, Options};
use crate::outage::first_answer;
use crate::queue::{self, Queue};
use crate::schema;
use crate::storage::{Directory, Health, StoreFile};
use crate::table::{self, Upgrade};

/// The table and the queue, embedded or remote.
pub(crate) struct Stores {
    /// The data directory, if something is kept in files.
    pub directory: Option<Directory>,
    /// A client of the table.
    pub dynamodb: Client,
    /// The embedded engine, if the table is in it.
    pub engine: Option<Engine>,
    /// A client of the queue.
    pub sqs: aws_sdk_sqs::Client,
    /// The embedded queue, if it is used.
    pub queue: Option<Queue>,
    /// The queue's URL.
    pub queue_url: String,
}

impl Stores {
    /// Opens both, and creates the table if it does not exist.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub async fn open(options: &Options) -> Result<Self, String> {
        let remote = options.dynamodb_endpoint.is_some() && options.queue_url.is_some();
        let directory = match &options.data {
            // A remote table and a remote queue leave nothing to keep in it.
            Data::Directory(_) if remote => None,
            Data::Directory(path) => Some(Directory::open(path)?),
            Data::InMemory => None,
        };
        let files = directory.as_ref().map(|it| (it, Health::of(it.path())));
        let endpoints = options.dynamodb_endpoint.iter().chain(&options.queue_url);
        let clients = Clients::for_endpoints(endpoints).map_err(|error| error.to_string())?;
        let (dynamodb, engine) = open_table(options, &clients, files.as_ref()).await?;
        let (sqs, queue, queue_url) = open_queue(options, &clients, files.as_ref()).await?;
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

/// The data directory and the health of its files.
type Files<'a> = (&'a Directory, Health);

async fn open_table(
    options: &Options,
    clients: &Clients,
    files: Option<&Files<'_>>,
) -> Result<(Client, Option<Engine>), String> {
    if let Some(endpoint) = &options.dynamodb_endpoint {
        let client = Client::from(clients.dynamodb(Some(endpoint.clone())));
        let table = table::make(&client, &options.table, Upgrade::Refuse);
        first_answer("DynamoDB", endpoint, table).await?;
        return Ok((client, None));
    }
    let engine = match files {
        None => Engine::in_memory()?,
        Some((directory, health)) => {
            schema::check(&directory.table(), StoreFile::Table)?;
            Engine::in_file(&directory.table(), health.clone())?
        }
    };
    let client = Clients::dynamodb_in_process(engine.clone());
    table::make(&client, &options.table, Upgrade::Do).await?;
    if let Some((directory, _)) = files {
        schema::stamp(&directory.table(), StoreFile::Table)?;
    }
    Ok((client, Some(engine)))
}

async fn open_queue(
    options: &Options,
    clients: &Clients,
    files: Option<&Files<'_>>,
) -> Result<(aws_sdk_sqs::Client, Option<Queue>, String), String> {
    if let Some(url) = &options.queue_url {
        let client = clients.sqs(endpoint_of(url));
        first_answer("the queue", url, check_queue(&client, url)).await?;
        return Ok((client, None, url.clone()));
    }
    let queue = match files {
        None => Queue::in_memory(options.queue, options.clock.clone())?,
        Some((directory, health)) => {
            schema::check(&directory.queue(), StoreFile::Queue)?;
            let clock = options.clock.clone();
            let queue = Queue::in_file(&directory.queue(), options.queue, clock, health.clone())?;
            schema::stamp(&directory.queue(), StoreFile::Queue)?;
            queue
        }
    };
    let client = Clients::sqs_in_process(queue.clone());
    Ok((client, Some(queue), queue::BATCHES.to_owned()))
}

/// Checks that a queue answers. A refusal is an answer too: a role may use a queue without the
/// permission to read its attributes.
async fn check_queue(client: &aws_sdk_sqs::Client, url: &str) -> Result<(), String> {
    let asked = client.get_queue_attributes().queue_url(url).send().await;
    match asked {
        Ok(_) => Ok(()),
        Err(error) => {
            let service = error.as_service_error();
            let code = service.and_then(|service| service.meta().code());
            // The code in each of SQS's two protocols.
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

/// `scheme://host:port` of a queue's URL; `None` for AWS's own, whose endpoint the SDK knows.
fn endpoint_of(queue_url: &str) -> Option<String> {
    let (scheme, rest) = queue_url.split_once("://")?;
    let host = rest.split('/').next()?;
    (!host.ends_with(".amazonaws.com")).then(|| format!("{scheme}://{host}"))
}
