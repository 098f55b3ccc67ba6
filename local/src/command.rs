//! `imshare serve`: runs the server until a signal stops it.

use std::io::Write as _;

use shared::runtime::log;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::arguments::{LogFormat, Serve};
use crate::identity::IdentityFile;
use crate::server::Server;

/// Runs the whole service in this process.
///
/// # Errors
/// One sentence for the operator, if it does not start.
pub fn run(serve: Serve) -> Result<(), String> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match serve.log_format {
        LogFormat::Text => log::start(&serve.log, lines),
        LogFormat::Json => log::start(&serve.log, lines.json()),
    };
    started.map_err(|error| format!("--log {}: {error}", serve.log))?;
    let demo = serve.has_demo_identities();
    let development = serve.has_identity_service();
    let options = serve.options()?;
    let identity = options.identity.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        for warning in identity.warnings() {
            let _ = writeln!(std::io::stderr(), "imshare: warning: --identity: {warning}");
        }
        let server = Server::start(options).await?;
        if development {
            tracing::warn!(
                "the identity service under /identity is for development only: its passwords are \
                 in a file and can be guessed without limit"
            );
        }
        // Listen for signals before printing that the server is ready: a script that waits for that
        // line may stop the server at once.
        let mut stop = Stop::listen().map_err(|error| format!("cannot start: {error}"))?;
        say(&server, development, demo.then_some(&identity));
        stop.asked().await;
        server.stop().await;
        Ok(())
    })
}

/// Prints where the server listens and, with the demo identities, commands to try it.
fn say(server: &Server, development: bool, demo: Option<&IdentityFile>) {
    let mut out = std::io::stdout().lock();
    let url = server.url();
    let _ = writeln!(out, "listening on {url}");
    let _ = out.flush();
    let mut help = format!(
        "data {}\nconsole {url}/console\nAPI {url}/docs\n",
        server.data()
    );
    for (name, address) in [
        ("DynamoDB", server.dynamodb_address),
        ("SQS", server.sqs_address),
    ] {
        if let Some(address) = address {
            help.push_str(&format!("{name} for this machine on http://{address}\n"));
        }
    }
    if development {
        help.push_str(&format!(
            "\nFor development only: passwords get tokens at {url}/identity/v3\n"
        ));
    }
    if let Some(identity) = demo {
        help.push_str(
            "\nDemo users, for trying it out on this machine only. Each has a project of its name, and the \
             password secret:\n\n",
        );
        for token in &identity.token {
            let project = identity
                .project
                .iter()
                .find(|project| project.id == token.project);
            help.push_str(&format!(
                "  {:8} token {:30}  project {}\n",
                project.map_or("", |project| &project.name),
                token.id.reveal(),
                token.project
            ));
        }
        help.push_str("\nDemo access keys, for signed requests:\n\n");
        for key in &identity.access_key {
            let (access, secret) = (&key.access, key.secret.reveal());
            help.push_str(&format!("  {access} {secret}  project {}\n", key.project));
        }
        // As it was called, so that the lines can be pasted.
        let called = std::env::args().next();
        let called = called.filter(|path| !path.contains(char::is_whitespace));
        let imshare = called.as_deref().unwrap_or("imshare");
        help.push_str(&format!(
            r#"
Try:

  curl -s -H 'X-Auth-Token: owner-token-0123456789abcdef' -d '{{"name": "debian"}}' {url}/v2/images
  curl -s -H 'X-Auth-Token: owner-token-0123456789abcdef' {url}/v2/images
  curl -s -H 'X-Auth-Token: owner-token-0123456789abcdef' \
       -d '{{"member": "edc89b490d7d4392898e19b2deb34797"}}' {url}/v2/images/IMAGE_ID/members

  eval "$({imshare} demo-env owner --url {url})"    # for imshare and openstack
  {imshare} image create debian-12; {imshare} share debian-12 --with member,member2
  openstack image list
"#
        ));
    }
    let _ = writeln!(out, "{help}");
    let _ = out.flush();
}

/// The signals that stop the server: Ctrl-C and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Catches both signals from now on, instead of letting them end the process.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for either signal.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
