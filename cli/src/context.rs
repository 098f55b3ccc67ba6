//! What a command works with.

use crate::api::Client;
use crate::arguments::Common;
use crate::error::Outcome;
use crate::http::Http;
use crate::login::settings::Variables;
use crate::login::{self, LoginOptions};
use crate::output::OutputOptions;
use crate::output::terminal::Terminal;

/// A login and a terminal.
pub struct Context {
    /// The service.
    pub client: Client,
    /// The terminal.
    pub terminal: Terminal,
    /// The form of the output.
    pub output: OutputOptions,
}

impl Context {
    /// Logs in with a command's options, and those before the command.
    ///
    /// # Errors
    /// If that fails.
    pub fn new(common: &Common, before: &LoginOptions) -> Outcome<Self> {
        let variables = Variables::of_process();
        let options = common.login.clone().or(before);
        let settings = login::collect(&options, &variables)?;
        let client = Client::log_in(Http::new(settings.trust()), settings)?;
        Ok(Self {
            client,
            terminal: Terminal::of_process(&variables, common.quiet),
            output: common.output.clone(),
        })
    }

    /// Says something that is no output: to standard error, and not if it shall be quiet.
    pub fn note(&self, text: &str) {
        self.terminal.note(text);
    }
}
