//! The plots of lines and bands.

use super::lines::{Area, Lines, Series};
use super::svg::{Anchor, Scale, Svg, decades};
use super::words::{bytes, count, duration, entries};
use crate::data::{Batches, CallFigures, GrowthStep, Latency, ListFigures};

/// The width of all plots.
pub const WIDTH: f64 = 860.0;
/// The colours of imshare and of Glance.
pub const OURS: &str = "a";
const GLANCES: &str = "b";

/// The legend of two contenders: a square and a name each.
fn legend(svg: &mut Svg, x: f64, y: f64, names: &[(&str, &str)]) {
    let mut x = x;
    for (class, name) in names {
        svg.rect((x, y - 9.0), (10.0, 10.0), 2.0, class);
        svg.text(x + 15.0, y, Anchor::Start, "small", name);
        x += 34.0 + name.chars().count() as f64 * 6.2;
    }
}

/// How long requests take, beside Glance's: a band for each contender and call.
pub fn latency(calls: &[&CallFigures]) -> String {
    const ROW: f64 = 34.0;
    const TOP: f64 = 78.0;
    let height = TOP + calls.len() as f64 * ROW + 14.0;
    let mut svg = Svg::new(
        WIDTH,
        height,
        "Time of a request beside Glance, 16 connections",
    );
    svg.text(
        20.0,
        28.0,
        Anchor::Start,
        "title",
        "Time of a request, 16 connections",
    );
    legend(
        &mut svg,
        20.0,
        50.0,
        &[(OURS, "imshare"), (GLANCES, "Glance, two workers")],
    );
    let how = "thin: 1st to 99th percentile; thick: the middle half; number: the median";
    svg.text(WIDTH - 20.0, 50.0, Anchor::End, "soft small", how);
    let all = calls.iter().flat_map(|call| {
        let loads = [Some(call.imshare), call.glance];
        loads
            .into_iter()
            .flatten()
            .flat_map(|load| [load.latency.p1, load.latency.p99])
    });
    let scale = Scale::log(decades(all), (190.0, WIDTH - 70.0));
    for power in scale.powers() {
        let x = scale.at(power);
        svg.line((x, TOP - 4.0), (x, height - 12.0), "grid");
        svg.text(
            x,
            TOP - 10.0,
            Anchor::Middle,
            "soft small",
            &duration(power),
        );
    }
    for (at, call) in calls.iter().enumerate() {
        let y = TOP + at as f64 * ROW + 17.0;
        svg.text(178.0, y + 4.0, Anchor::End, "", &call.call);
        band(&mut svg, scale, y - 7.0, &call.imshare.latency, OURS);
        if let Some(glance) = &call.glance {
            band(&mut svg, scale, y + 7.0, &glance.latency, GLANCES);
        }
    }
    svg.finish()
}

fn band(svg: &mut Svg, scale: Scale, y: f64, latency: &Latency, class: &str) {
    let at = |value: f64| scale.at(value.max(1e-3));
    svg.line(
        (at(latency.p1), y),
        (at(latency.p99), y),
        &format!("l{class}"),
    );
    let (left, right) = (at(latency.p25), at(latency.p75));
    svg.rect((left, y - 3.5), ((right - left).max(2.0), 7.0), 2.0, class);
    let label = duration(latency.p50);
    svg.text(
        at(latency.p99) + 6.0,
        y + 4.0,
        Anchor::Start,
        "small",
        &label,
    );
}

/// Requests per second by number of connections: one small plot for each call.
pub fn throughput(calls: &[CallFigures]) -> String {
    const COLUMNS: usize = 4;
    const TOP: f64 = 66.0;
    let mut names: Vec<&str> = Vec::new();
    for call in calls.iter().filter(|call| call.glance.is_some()) {
        if !names.contains(&call.call.as_str()) {
            names.push(&call.call);
        }
    }
    let (width, tall) = ((WIDTH - 40.0) / COLUMNS as f64, 148.0);
    let height = TOP + names.len().div_ceil(COLUMNS) as f64 * tall + 6.0;
    let mut svg = Svg::new(
        WIDTH,
        height,
        "Requests per second by number of connections",
    );
    let title = "Requests per second, by number of connections";
    svg.text(20.0, 28.0, Anchor::Start, "title", title);
    legend(
        &mut svg,
        20.0,
        50.0,
        &[(OURS, "imshare"), (GLANCES, "Glance, two workers")],
    );
    let rates = calls.iter().flat_map(|call| {
        [Some(call.imshare), call.glance]
            .into_iter()
            .flatten()
            .map(|load| load.rate)
    });
    let range = decades(rates);
    for (at, name) in names.iter().enumerate() {
        let own: Vec<_> = calls.iter().filter(|call| call.call == **name).collect();
        let points = |rate: &dyn Fn(&CallFigures) -> Option<f64>| {
            let known = own
                .iter()
                .filter_map(|call| Some((call.connections as f64, rate(call)?)));
            known.collect::<Vec<_>>()
        };
        let place = (
            20.0 + (at % COLUMNS) as f64 * width,
            TOP + (at / COLUMNS) as f64 * tall,
        );
        Lines {
            area: Area {
                x: place.0,
                y: place.1,
                width,
                height: tall,
                left: 36.0,
                right: 52.0,
            },
            title: name,
            x: (1.0, 64.0),
            ticks: vec![(1.0, "1".into()), (16.0, "16".into()), (64.0, "64".into())],
            y: range,
            label: count,
            series: vec![
                Series::new(OURS, "", points(&|call| Some(call.imshare.rate))),
                Series::new(GLANCES, "", points(&|call| Some(call.glance?.rate))),
            ],
        }
        .draw(&mut svg);
    }
    svg.finish()
}

/// The median of lists by number of images, one plot for each kind of image.
pub fn lists(steps: &[GrowthStep]) -> String {
    const TOP: f64 = 66.0;
    let (width, tall) = ((WIDTH - 40.0) / 3.0, 300.0);
    let mut svg = Svg::new(WIDTH, TOP + tall + 10.0, "Lists by number of images");
    let title = "Median time of a list, by number of images";
    svg.text(20.0, 28.0, Anchor::Start, "title", title);
    legend(
        &mut svg,
        20.0,
        50.0,
        &[(OURS, "imshare"), (GLANCES, "Glance")],
    );
    let all = steps
        .iter()
        .flat_map(|step| step.lists.iter().chain(&step.glance));
    let range = decades(all.map(|list| list.p50_ms));
    let (first, last) = match steps {
        [first, .., last] => (first.images as f64, last.images as f64),
        _ => (1.0, 10.0),
    };
    for (at, (kind, title)) in [
        ("own", "own images"),
        ("shared", "shared with me"),
        ("public", "public images"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut series = Vec::new();
        for (class, of) in [
            (
                GLANCES,
                (|step| &step.glance) as fn(&GrowthStep) -> &Vec<ListFigures>,
            ),
            (OURS, |step| &step.lists),
        ] {
            for (name, points) in by_list(steps, kind, of) {
                series.push(Series::new(class, &name, points));
            }
        }
        let ticks = steps
            .iter()
            .map(|step| (step.images as f64, entries(step.images)));
        Lines {
            area: Area {
                x: 20.0 + at as f64 * width,
                y: TOP,
                width,
                height: tall,
                left: 44.0,
                right: 74.0,
            },
            title,
            x: (first, last),
            ticks: ticks.collect(),
            y: range,
            label: duration,
            series,
        }
        .draw(&mut svg);
    }
    svg.finish()
}

/// The lists of one kind of image, each with its medians by number of images.
fn by_list(
    steps: &[GrowthStep],
    kind: &str,
    of: fn(&GrowthStep) -> &Vec<ListFigures>,
) -> Vec<(String, Vec<(f64, f64)>)> {
    let mut all: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for step in steps {
        for list in of(step) {
            let Some((_, name)) = list.call.split_once(": ").filter(|(own, _)| *own == kind) else {
                continue;
            };
            let point = (step.images as f64, list.p50_ms);
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, points)) => points.push(point),
                None => all.push((name.to_owned(), vec![point])),
            }
        }
    }
    all
}

/// The time of batches by size.
pub fn batches(batches: &Batches) -> String {
    const TOP: f64 = 46.0;
    let (width, tall) = ((WIDTH - 40.0) / 2.0, 300.0);
    let mut svg = Svg::new(WIDTH, TOP + tall + 10.0, "The time of a batch by its size");
    let title = "Time to the end of the job, by number of images";
    svg.text(20.0, 28.0, Anchor::Start, "title", title);
    let of = |kind: &str, time: fn(&crate::data::BatchFigures) -> f64| {
        let own = batches.sizes.iter().filter(|batch| batch.kind == kind);
        own.map(|batch| (batch.entries as f64, time(batch) * 1e3))
            .collect::<Vec<_>>()
    };
    let puts = |time: fn(&crate::data::PutFigures) -> Option<f64>| {
        let known = batches
            .puts
            .iter()
            .filter_map(|put| Some((put.entries as f64, time(put)? * 1e3)));
        known.collect::<Vec<_>>()
    };
    let accepting = vec![
        Series::new(GLANCES, "PUTs to Glance", puts(|put| put.glance_seconds)),
        Series::new(
            "d",
            "PUTs to imshare",
            puts(|put| Some(put.imshare_seconds)),
        ),
        Series::new(OURS, "a batch", of("accept", |batch| batch.seconds)),
        Series::new("c", "bare loop", of("accept", |batch| batch.bare_seconds)).dashed(),
    ];
    let sharing = vec![
        Series::new(OURS, "share", of("share", |batch| batch.seconds)),
        Series::new("c", "bare share", of("share", |batch| batch.bare_seconds)).dashed(),
        Series::new("e", "unshare", of("unshare", |batch| batch.seconds)),
        Series::new(
            "c",
            "bare unshare",
            of("unshare", |batch| batch.bare_seconds),
        )
        .dashed(),
    ];
    let points = accepting
        .iter()
        .chain(&sharing)
        .flat_map(|series| &series.points);
    let y = decades(points.map(|(_, time)| *time));
    let sizes: Vec<usize> = batches.puts.iter().map(|put| put.entries).collect();
    let x = (1.0, sizes.last().copied().unwrap_or(10) as f64);
    for (at, (title, series)) in [
        ("accept: beside one PUT an image", accepting),
        ("share and unshare", sharing),
    ]
    .into_iter()
    .enumerate()
    {
        Lines {
            area: Area {
                x: 20.0 + at as f64 * width,
                y: TOP,
                width,
                height: tall,
                left: 48.0,
                right: 112.0,
            },
            title,
            x,
            ticks: sizes
                .iter()
                .map(|size| (*size as f64, entries(*size)))
                .collect(),
            y,
            label: duration,
            series,
        }
        .draw(&mut svg);
    }
    svg.finish()
}

/// Size, start and memory by number of images.
pub fn growth(steps: &[GrowthStep]) -> String {
    const TOP: f64 = 46.0;
    let (width, tall) = ((WIDTH - 40.0) / 3.0, 190.0);
    let mut svg = Svg::new(
        WIDTH,
        TOP + tall + 8.0,
        "Disk, start and memory by number of images",
    );
    let title = "One data directory as it grows, by number of memberships";
    svg.text(20.0, 28.0, Anchor::Start, "title", title);
    let of = |value: fn(&GrowthStep) -> f64| {
        let points = steps
            .iter()
            .map(|step| (step.memberships as f64, value(step)));
        points.collect::<Vec<_>>()
    };
    type Label = fn(f64) -> String;
    let plots: [(&str, Label, Vec<Series>); 3] = [
        (
            "size on the disk",
            bytes,
            vec![Series::new(OURS, "", of(|step| step.database_mb))],
        ),
        (
            "ready after",
            duration,
            vec![Series::new(OURS, "", of(|step| step.ready_ms))],
        ),
        (
            "memory",
            bytes,
            vec![
                Series::new(OURS, "after the lists", of(|step| step.memory_after_mb)),
                Series::new("d", "at the start", of(|step| step.memory_start_mb)),
            ],
        ),
    ];
    let x = match steps {
        [first, .., last] => (first.memberships as f64, last.memberships as f64),
        _ => (1.0, 10.0),
    };
    for (at, (title, label, series)) in plots.into_iter().enumerate() {
        let values = series
            .iter()
            .flat_map(|series| &series.points)
            .map(|(_, value)| *value);
        let y = decades(values.chain([1.0, 100.0]));
        let ticks = steps
            .iter()
            .map(|step| (step.memberships as f64, entries(step.memberships)));
        let right = if series.len() > 1 { 90.0 } else { 50.0 };
        Lines {
            area: Area {
                x: 20.0 + at as f64 * width,
                y: TOP,
                width,
                height: tall,
                left: 52.0,
                right,
            },
            title,
            x,
            ticks: ticks.collect(),
            y,
            label,
            series,
        }
        .draw(&mut svg);
    }
    svg.finish()
}
