//! The text of the page.

use std::fmt::Write as _;

use super::budgets::{ALL, Budget, TESTED};
use super::figures::Figures;
use super::scaling;
use super::words::{bytes, count, duration, entries, number};
use crate::data::{CallFigures, Cost, Run};

const NOT_MEASURED: &str = "This part was not measured.\n";

/// Writes the page; `folder` is where the plots are.
pub fn write(figures: &Figures, folder: &str) -> String {
    let sections = [
        head(figures),
        budgets(figures),
        requests(figures, folder),
        lists(figures, folder),
        batches(figures, folder),
        start(figures, folder),
        time(figures, folder),
        costs(figures),
        growth(figures, folder),
        on_aws(figures),
        tried(figures),
    ];
    sections.join("\n")
}

fn picture(folder: &str, name: &str, words: &str) -> String {
    format!("![{words}]({folder}/{name}.svg)\n")
}

fn head(figures: &Figures) -> String {
    let mut text = String::from(
        "# Performance\n\n\
         This page is generated from the figures in [`performance/`](performance). To measure everything again and to write \
         the page:\n\n\
         ```sh\n\
         cargo build --release --workspace --bins          # the functions, as they are deployed\n\
         cargo build --profile server -p cli -p bench     # the server, as it is installed\n\
         target/server/bench all --glance     # about 15 minutes; --quick takes three and writes to target/performance\n\
         target/server/bench report           # only the page, from the figures that exist\n\
         ```\n\n\
         `bench requests`, `bench lists` and so on measure one part. The benchmark runs the server's binary with its data in \
         files and sends requests over real connections. Glance is version 33.0.0 with two workers and SQLite, from PyPI. All \
         contenders of one comparison run in turns of 100 ms, so that they meet the same machine, and the load comes from the \
         same machine. So ratios can be compared between machines, and absolute figures cannot.\n\n",
    );
    for run in figures.runs() {
        let _ = writeln!(text, "{}", run_words(run));
    }
    text
}

fn run_words(run: &Run) -> String {
    let quick = match run.quick {
        true => " It was a quick run: its figures show that everything works, and nothing more.",
        false => "",
    };
    format!(
        "Measured with release {} on {}: a virtual machine of {} cores and {} GB, {} s for each contender of a comparison.{quick}",
        run.version,
        run.date,
        run.cores,
        number(run.memory_gb),
        run.seconds
    )
}

fn budgets(figures: &Figures) -> String {
    let mut text = String::from(
        "## Budgets\n\n\
         | figure | measured | budget | met | command |\n|---|---|---|---|---|\n",
    );
    for budget in ALL {
        let _ = writeln!(text, "{}", budget_row(budget, figures));
    }
    for (figure, budget, command) in TESTED {
        let _ = writeln!(
            text,
            "| {figure} | – | {budget} | by a test | `{command}` |"
        );
    }
    text.push_str(
        "\nRequests are compared over 16 connections. A bare loop makes the same requests to DynamoDB on the same engine, \
         without the service: what remains to its rate is the cost of the service. For single calls it reaches the engine over \
         a socket, for batches in process, by the store's own client.\n",
    );
    text
}

fn budget_row(budget: &Budget, figures: &Figures) -> String {
    let (measured, met) = match (budget.found)(figures) {
        None => ("–".to_owned(), "–"),
        Some(found) => {
            // Precise enough to see by how little a budget is missed.
            let digits = if found < 100.0 { 2 } else { 1 };
            let met = if budget.is_met(found) {
                "yes"
            } else {
                "**no**"
            };
            (format!("{found:.digits$}{}", budget.unit), met)
        }
    };
    format!(
        "| {} | {measured} | {} | {met} | `bench {}` |",
        budget.figure,
        budget.words(),
        budget.part
    )
}

fn requests(figures: &Figures, folder: &str) -> String {
    let mut text = String::from("## Requests\n\n");
    let calls = figures.calls();
    if calls.is_empty() {
        return text + NOT_MEASURED;
    }
    if !figures.beside_glance().is_empty() {
        text.push_str(&picture(
            folder,
            "latency",
            "Time of a request beside Glance",
        ));
        text.push_str("\nWith 64 connections Glance is left out where it answers fewer than 64 requests per second.\n\n");
        text.push_str(&picture(
            folder,
            "throughput",
            "Requests per second by number of connections",
        ));
        text.push('\n');
    }
    text.push_str(
        "The lists are of 1,000 images of one owner, all shared with one member, which has accepted half of them.\n\n\
         | call | connections | requests/s | p50 | p99 | CPU | Glance: requests/s | p50 | p99 | CPU | ratio |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for call in &calls {
        let _ = writeln!(text, "{}", call_row(call));
    }
    text.push_str("\nCPU is the processor time of a request in the server's processes, the embedded database included.\n");
    if let Some(command) = &figures.command {
        let share = command.figures.share;
        let _ = writeln!(
            text,
            "\n`imshare share`, from the start of the command to its end: {} at the median, {} at the 99th percentile \
             (`bench command`).",
            duration(share.p50),
            duration(share.p99)
        );
    }
    text
}

fn call_row(call: &CallFigures) -> String {
    let own = &call.imshare;
    let cells = |load: &crate::data::Load| {
        format!(
            "{} | {} | {} | {}",
            count(load.rate),
            duration(load.latency.p50),
            duration(load.latency.p99),
            duration(load.cpu_ms)
        )
    };
    let (glance, ratio) = match (&call.glance, call.to_glance()) {
        (Some(glance), Some(ratio)) => (cells(glance), format!("{} ×", number(ratio))),
        _ => ("– | – | – | –".to_owned(), "–".to_owned()),
    };
    format!(
        "| {} | {} | {} | {glance} | {ratio} |",
        call.call,
        call.connections,
        cells(own)
    )
}

fn lists(figures: &Figures, folder: &str) -> String {
    let mut text = String::from("## Lists by number of images\n\n");
    let Some(growth) = &figures.growth else {
        return text + NOT_MEASURED;
    };
    text.push_str(&picture(
        folder,
        "lists",
        "Median time of a list by number of images",
    ));
    text.push_str(
        "\nThe owner has so many images, all shared with the member, which has accepted half of them, and as many public images \
         belong to another project. One connection; Glance has no public images and at most 1,000. `bench growth`:\n\n| list |",
    );
    for step in &growth.figures {
        let _ = write!(text, " {} images |", entries(step.images));
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(growth.figures.len()));
    text.push('\n');
    let Some(most) = growth.figures.last() else {
        return text;
    };
    for list in &most.lists {
        let _ = write!(text, "| {} |", list.call);
        for step in &growth.figures {
            let same = step.lists.iter().find(|other| other.call == list.call);
            let cell = same.map_or("–".to_owned(), |list| {
                format!("{}, {}/s", duration(list.p50_ms), count(list.rate))
            });
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text.push_str("\nThe median on one connection, and requests per second over 16.\n");
    text
}

fn batches(figures: &Figures, folder: &str) -> String {
    let mut text = String::from("## Batches\n\n");
    let Some(batches) = &figures.batches else {
        return text + NOT_MEASURED;
    };
    text.push_str(&picture(folder, "batches", "Time of a batch by its size"));
    text.push_str(
        "\nFrom the request to the end of the job, which the client asks for every 5 ms. `bench batches`:\n\n\
         | batch | entries | time | entries/s | bare loop | of the bare loop | CPU an entry |\n|---|---|---|---|---|---|---|\n",
    );
    for batch in &batches.figures.sizes {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.2} | {} |",
            batch.kind,
            count(batch.entries as f64),
            duration(batch.seconds * 1e3),
            count(batch.entries as f64 / batch.seconds),
            duration(batch.bare_seconds * 1e3),
            batch.bare_seconds / batch.seconds,
            duration(batch.cpu_ms)
        );
    }
    text.push_str(
        "\n| accepts, one PUT each, 16 connections | imshare | Glance |\n|---|---|---|\n",
    );
    for puts in &batches.figures.puts {
        let glance = match (puts.glance_seconds, puts.glance_is_scaled) {
            (Some(time), true) => format!("{}, from the rate of 1,000", duration(time * 1e3)),
            (Some(time), false) => duration(time * 1e3),
            (None, _) => "–".to_owned(),
        };
        let own = duration(puts.imshare_seconds * 1e3);
        let _ = writeln!(
            text,
            "| {} | {own} | {glance} |",
            count(puts.entries as f64)
        );
    }
    let _ = writeln!(
        text,
        "\nThe server had {} resident at most.",
        bytes(batches.figures.memory_most_mb)
    );
    text
}

fn start(figures: &Figures, folder: &str) -> String {
    let mut text = String::from("## Start, memory, sizes\n\n");
    let Some(start) = &figures.start else {
        return text + NOT_MEASURED;
    };
    text.push_str(&picture(
        folder,
        "start",
        "Start of the server and of the functions",
    ));
    text.push_str(
        "\nThe functions run under Lambda's Runtime API with their store over TLS on the same machine. The minimal function \
         reads one item and answers. `bench start`:\n\n\
         | binary | size | first event | first answer | CPU a request | memory |\n|---|---|---|---|---|---|\n",
    );
    let start = &start.figures;
    let some = |value: Option<f64>, words: fn(f64) -> String| value.map_or("–".to_owned(), words);
    let size = |name: &str| some(start.sizes.get(name).copied(), bytes);
    let _ = writeln!(
        text,
        "| `imshare`, a new data directory | {} | ready after {} | {} | – | {} |",
        size("imshare"),
        duration(start.ready_ms),
        duration(start.first_answer_ms),
        bytes(start.memory_mb)
    );
    for function in &start.functions {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            function.name,
            size(&function.name),
            duration(function.init_ms),
            some(function.first_answer_ms, duration),
            some(function.cpu_ms, duration),
            some(function.memory_mb, bytes)
        );
    }
    text
}

fn time(figures: &Figures, folder: &str) -> String {
    let mut text = String::from("## Where the time of a request goes\n\n");
    let Some(found) = &figures.time else {
        return text + NOT_MEASURED;
    };
    text.push_str(&picture(folder, "time", "Where the time of a request goes"));
    let _ = writeln!(text, "\n{}\n", found.how);
    for bar in &found.bars {
        let total: f64 = bar.parts.iter().map(|part| part.1).sum();
        let _ = writeln!(
            text,
            "| {} | {} | share |\n|---|---|---|",
            bar.name, found.unit
        );
        for (name, part) in &bar.parts {
            let share = number(part / total * 100.0);
            let _ = writeln!(text, "| {name} | {} | {share} % |", number(*part));
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

fn costs(figures: &Figures) -> String {
    let mut text = String::from("## Requests to DynamoDB\n\n");
    let Some(costs) = &figures.costs else {
        return text + NOT_MEASURED;
    };
    text.push_str(
        "The requests and units of each call, as the engine counts them (`bench costs`). The server runs as on AWS: after a \
         write it asks the index until it shows the change, which is one `Query`. Lists are first pages, of 1,000 images of the \
         owner and 1,000 public ones, of projects that have ended no access for 20 minutes. An entry of a batch has its share of a batch of 100.\n\n\
         | call | requests | read units | write units |\n|---|---|---|---|\n",
    );
    for cost in &costs.figures {
        let _ = writeln!(text, "{}", cost_row(cost));
    }
    text
}

fn cost_row(cost: &Cost) -> String {
    let requests = cost
        .requests
        .iter()
        .map(|(operation, times)| match *times == 1.0 {
            true => operation.clone(),
            false => format!("{} {operation}", number(*times)),
        });
    let requests: Vec<_> = requests.collect();
    let units = |places: &std::collections::BTreeMap<String, f64>| {
        let all: f64 = places.values().sum();
        let named = places
            .iter()
            .map(|(place, units)| format!("{place} {}", number(*units)));
        let named: Vec<_> = named.collect();
        match named.len() {
            0 => "–".to_owned(),
            1 => named[0].clone(),
            _ => format!("**{}**: {}", number(all), named.join(", ")),
        }
    };
    format!(
        "| {} | {} | {} | {} |",
        cost.call,
        requests.join(", "),
        units(&cost.reads),
        units(&cost.writes)
    )
}

fn growth(figures: &Figures, folder: &str) -> String {
    let mut text = String::from("## Growth on one machine\n\n");
    let Some(growth) = &figures.growth else {
        return text + NOT_MEASURED;
    };
    text.push_str(&picture(
        folder,
        "growth",
        "Disk, start and memory by number of memberships",
    ));
    text.push_str(
        "\nOne data directory, ten members for each image (`bench growth`). The backup is a copy of the files of a stopped \
         server, until it is on the disk.\n\n\
         | images | memberships | on the disk | backup | ready after | memory at the start | after the lists |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for step in &growth.figures {
        let _ = writeln!(
            text,
            "| {} and {} public | {} | {} | {} | {} | {} | {} |",
            count(step.images as f64),
            count(step.public as f64),
            count(step.memberships as f64),
            bytes(step.database_mb),
            duration(step.copy_seconds * 1e3),
            duration(step.ready_ms),
            bytes(step.memory_start_mb),
            bytes(step.memory_after_mb)
        );
    }
    text
}

fn on_aws(figures: &Figures) -> String {
    let mut text = String::from("## Growth on AWS, on paper\n\n");
    let Some(table) = scaling::table(figures) else {
        return text + NOT_MEASURED;
    };
    text.push_str(
        "Nothing here was measured on AWS. The units are the counted ones above, for 10,000 requests per second and 100 million \
         memberships. The number of memberships changes no units: every request reads by key, or one page of an index. What \
         may limit the service is one partition key that takes more than 3,000 read or 1,000 write units per second. The requests \
         are:\n\n",
    );
    let mix = scaling::MIX
        .iter()
        .map(|(call, rate)| format!("{} {call}", count(*rate)));
    let mix: Vec<_> = mix.collect();
    let _ = writeln!(text, "{}.\n", mix.join(", "));
    text + &table
}

fn tried(figures: &Figures) -> String {
    let tried = figures.tried.as_deref().unwrap_or(NOT_MEASURED);
    format!("## What was tried and did not help\n\n{tried}")
}
