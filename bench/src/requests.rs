//! Measures requests and lists: imshare, a real Glance, and the bare loops, interleaved.

use std::sync::Arc;
use std::time::Duration;

use crate::call::{Call, LISTED, LISTS};
use crate::data::{CallFigures, Calls};
use crate::limit::Limit;
use crate::load::{Connections, Contenders};
use crate::server::Server;
use crate::stock::Stock;
use crate::{Glance, Options};

/// Numbers of connections.
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// Measures the calls about one image or one job.
pub async fn single(options: &Options, glance: Option<&Glance>) -> Calls {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::imshare(&options.binary, data.path());
    let limit_data = tempfile::tempdir().expect("a directory");
    let limits = Limit::new(&options.binary, limit_data.path(), 16, LISTED).await;
    let none = Arc::default();
    let calls = Call::SINGLE.to_vec();
    compare(options, &server, glance, &none, Some(limits), calls).await
}

/// Measures the lists of this many images.
pub async fn lists(options: &Options, glance: Option<&Glance>, images: usize) -> Calls {
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::imshare(&options.binary, data.path());
    let mut stock = Stock::default();
    stock.grow(&server, images).await;
    let calls = LISTS.iter().map(Call::List).collect();
    compare(options, &server, glance, &Arc::new(stock), None, calls).await
}

async fn compare(
    options: &Options,
    server: &Server,
    glance: Option<&Glance>,
    stock: &Arc<Stock>,
    limits: Option<(Limit, Limit)>,
    calls: Vec<Call>,
) -> Calls {
    let most = CONNECTIONS[CONNECTIONS.len() - 1];
    let mut contenders = Contenders {
        imshare: Connections::new(server, most, stock).await,
        glance: match glance {
            Some(glance) => Some(Connections::new(&glance.server, most, &glance.stock).await),
            None => None,
        },
        limits,
        time: Duration::from_secs(options.seconds()),
    };
    let mut all = Vec::new();
    for call in calls {
        if !contenders.imshare.knows(call).await {
            eprintln!("{}: this release does not have it", call.name());
            continue;
        }
        let mut before = None;
        for connections in CONNECTIONS {
            let figures = contenders.compare(call, connections, before).await;
            before = figures.glance.map(|load| load.rate);
            eprintln!("{}", line(&figures));
            all.push(figures);
        }
    }
    all
}

/// One line about a call, for who watches the run.
fn line(figures: &CallFigures) -> String {
    let own = &figures.imshare;
    let mut line = format!(
        "{}, {} connections: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, CPU {:.2} ms",
        figures.call, figures.connections, own.rate, own.latency.p50, own.latency.p99, own.cpu_ms
    );
    if let (Some(ratio), Some(glance)) = (figures.to_glance(), &figures.glance) {
        line.push_str(&format!(
            "; {ratio:.1} × Glance, CPU 1/{:.0}",
            glance.cpu_ms / own.cpu_ms
        ));
    }
    if let Some(ratio) = figures.to_bare() {
        line.push_str(&format!("; {ratio:.2} of the bare loop"));
    }
    line
}
