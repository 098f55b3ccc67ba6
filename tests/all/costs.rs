//! The tables of cost in `docs/operations.md`: those of requests from what was counted
//! (`docs/performance/costs.json`), those of a month from the template. `UPDATE_GOLDEN=1` writes
//! them anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use shared::domain::job::JobKind;
use shared::http::routes::ROUTES;

use crate::template::TEMPLATE;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");

/// List prices in dollars, as the document names them: of a million requests or units.
const WRITE_UNIT: f64 = 0.625;
const READ_UNIT: f64 = 0.125;
/// A request to the gateway and an invocation of 10 ms.
const CALL: f64 = 3.5 + 0.233;
/// The share of a batch's entry: one of 50 in a message, of at most five in an invocation.
const ENTRY: f64 = 0.04;

/// The text of a generated part of the document, without its markers.
fn generated(name: &str, write: impl FnOnce(&mut String)) {
    // Both tests may write it.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (begin, end) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->"),
    );
    let (before, rest) = document
        .split_once(&begin)
        .expect("the document has the part");
    let (found, after) = rest.split_once(&end).expect("the part ends");
    let mut expected = String::new();
    write(&mut expected);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(DOCUMENT, format!("{before}{begin}{expected}{end}{after}")).unwrap();
    } else {
        assert_eq!(
            found, expected,
            "{name}: see UPDATE_GOLDEN in CONTRIBUTING.md"
        );
    }
}

/// The units of the table, and of its indexes together.
fn units(of: &Value) -> (f64, f64) {
    let units = of.as_object().unwrap().iter();
    units.fold((0.0, 0.0), |(table, indexes), (name, units)| {
        let units = units.as_f64().unwrap();
        match name == "table" {
            true => (table + units, indexes),
            false => (table, indexes + units),
        }
    })
}

fn shown((table, indexes): (f64, f64)) -> String {
    let round = |units: f64| (units * 100.0).round() / 100.0;
    match (table > 0.0, indexes > 0.0) {
        (false, false) => "–".to_owned(),
        (true, false) => round(table).to_string(),
        (false, true) => format!("0 + {}", round(indexes)),
        (true, true) => format!("{} + {}", round(table), round(indexes)),
    }
}

#[test]
fn the_cost_of_requests_is_that_of_what_was_counted() {
    let costs: Value =
        serde_json::from_str(include_str!("../../docs/performance/costs.json")).unwrap();
    generated("cost of requests", |table| {
        *table += "| a million of | write units | read units | DynamoDB | gateway, function | together |\n";
        *table += "|---|---|---|---|---|---|\n";
        for row in costs["figures"].as_array().unwrap() {
            let call = row["call"].as_str().unwrap();
            let (reads, writes) = (units(&row["reads"]), units(&row["writes"]));
            let dynamodb = (writes.0 + writes.1) * WRITE_UNIT + (reads.0 + reads.1) * READ_UNIT;
            let rest = match call.starts_with("batch entry") {
                true => ENTRY,
                false => CALL,
            };
            writeln!(
                table,
                "| {call} | {} | {} | {dynamodb:.2} | {rest:.2} | {:.2} |",
                shown(writes),
                shown(reads),
                dynamodb + rest
            )
            .unwrap();
        }
    });
}

fn of_type(kind: &str) -> impl Iterator<Item = &'static Value> {
    let resources = TEMPLATE["Resources"].as_object().unwrap().values();
    let kind = kind.to_owned();
    resources.filter(move |resource| resource["Type"] == kind.as_str())
}

/// The metrics that the functions and the log filters make: see `OF_OPERATIONS` and `OF_SERVICE` in
/// `shared/src/runtime/metrics.rs`.
fn series() -> usize {
    let routes: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method, route.path))
        .collect();
    // Requests without a route, and the three functions without a caller.
    let operations = routes.len() + 1 + 3;
    let (overdue, of_jobs, of_service) = (2, 3, 7);
    let filters = of_type("AWS::Logs::MetricFilter").count();
    operations + overdue + JobKind::ALL.len() * of_jobs + of_service + filters
}

#[test]
fn the_cost_of_a_month_is_that_of_the_template() {
    // An alarm is charged for each metric that it looks at.
    let alarms: usize = of_type("AWS::CloudWatch::Alarm")
        .map(|alarm| {
            let metrics = alarm["Properties"]["Metrics"].as_array();
            metrics.map_or(1, |metrics| metrics.len() - 1)
        })
        .sum();
    let settings = &TEMPLATE["Resources"]["Api"]["Properties"]["MethodSettings"][0];
    assert_eq!(
        settings["MetricsEnabled"], false,
        "each method would have metrics of its own"
    );
    generated("cost of a month", |table| {
        *table += "| each month | how many | price | dollars |\n|---|---|---|---|\n";
        let mut total = 0.0;
        for (what, how_many, price) in [
            (
                "metrics of the functions and of their logs, if each is used in every hour",
                series(),
                0.30,
            ),
            ("metrics that alarms look at", alarms, 0.10),
            (
                "dashboard",
                of_type("AWS::CloudWatch::Dashboard").count(),
                3.0,
            ),
            ("secret of the service user", 1, 0.40),
        ] {
            let dollars = how_many as f64 * price;
            total += dollars;
            writeln!(table, "| {what} | {how_many} | {price:.2} | {dollars:.2} |").unwrap();
        }
        writeln!(table, "| together | | | {total:.2} |").unwrap();
    });
}
