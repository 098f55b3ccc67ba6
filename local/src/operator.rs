//! The commands of an operator, which work on the store itself and not through the API: on the data
//! directory of a server on this machine, or on a DynamoDB.

use std::path::PathBuf;

use clap::Args;
use shared::domain::error::ApiError;
use shared::runtime::clients::Clients;
use shared::store::sdk_error::words;

/// Why a command of an operator does not do what it was asked, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The command is wrong: nothing was done.
    WrongUse(String),
    /// The store does not allow it.
    Refused(String),
    /// The store, or another service, is away or does not work.
    Away(String),
}

impl From<ApiError> for Stopped {
    fn from(error: ApiError) -> Self {
        Self::Away(error.for_log().to_owned())
    }
}

/// Which store.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreOptions {
    /// Directory of the records of a server on this machine, unless a table is named.
    #[arg(long, env = "IMSHARE_DATA_DIR", default_value = "./imshare-data")]
    pub data_dir: PathBuf,

    /// A DynamoDB (or compatible) that is not AWS's own. AWS's is used with --table alone, in the
    /// region and with the credentials that the AWS_… variables name.
    #[arg(long, env = "IMSHARE_DYNAMODB_ENDPOINT", value_name = "URL")]
    pub dynamodb_endpoint: Option<String>,
}

impl StoreOptions {
    /// A client of DynamoDB, if these options or the name of a table say that the store is there.
    ///
    /// # Errors
    /// If a variable for calling AWS is missing, by its name.
    pub fn dynamodb(&self, has_table: bool) -> Result<Option<aws_sdk_dynamodb::Client>, Stopped> {
        let endpoint = &self.dynamodb_endpoint;
        let clients = match endpoint {
            Some(endpoint) => Clients::for_endpoints([endpoint]),
            None if has_table => Clients::from_env(),
            None => return Ok(None),
        };
        let clients = clients.map_err(|error| Stopped::WrongUse(error.to_string()))?;
        Ok(Some(clients.dynamodb(endpoint.clone())))
    }
}

/// Checks that a table exists.
///
/// # Errors
/// If it does not, or the store does not answer.
pub async fn check_table(client: &aws_sdk_dynamodb::Client, table: &str) -> Result<(), Stopped> {
    let described = client.describe_table().table_name(table).send().await;
    match described {
        Ok(_) => Ok(()),
        Err(error) => {
            let absent = error
                .as_service_error()
                .is_some_and(|error| error.is_resource_not_found_exception());
            Err(match absent {
                true => Stopped::WrongUse(format!("there is no table {table}")),
                false => {
                    Stopped::Away(format!("cannot reach the table {table}: {}", words(&error)))
                }
            })
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// As the command, or if the process cannot make a thread.
pub fn block_on<T>(work: impl Future<Output = Result<T, Stopped>>) -> Result<T, Stopped> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stopped::Away(format!("cannot start: {error}")))?
        .block_on(work)
}
