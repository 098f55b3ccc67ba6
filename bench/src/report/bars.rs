//! The plots of bars.

use super::charts::{OURS, WIDTH};
use super::svg::{Anchor, Scale, Svg};
use super::words::{count, duration};
use crate::data::{Start, Where};

/// The start of the server and of the functions.
pub fn start(start: &Start) -> String {
    const ROW: f64 = 24.0;
    let mut bars: Vec<(String, f64, &str)> = vec![
        ("imshare: ready".into(), start.ready_ms, OURS),
        ("imshare: first answer".into(), start.first_answer_ms, OURS),
    ];
    for function in &start.functions {
        let (time, class) = match function.first_answer_ms {
            Some(time) => (time, if function.name == "minimal" { "c" } else { "a" }),
            None => (function.init_ms, "d"),
        };
        let what = match function.first_answer_ms {
            Some(_) => "first answer",
            None => "asks for its first event",
        };
        bars.push((format!("{}: {what}", function.name), time, class));
    }
    let height = 58.0 + bars.len() as f64 * ROW;
    let mut svg = Svg::new(
        WIDTH,
        height,
        "The start of the server and of the functions",
    );
    let title = "From the start of the process";
    svg.text(20.0, 28.0, Anchor::Start, "title", title);
    let most = bars.iter().map(|bar| bar.1).fold(1.0, f64::max);
    let scale = Scale::linear((0.0, most), (270.0, WIDTH - 90.0));
    for (at, (name, time, class)) in bars.iter().enumerate() {
        let y = 46.0 + at as f64 * ROW;
        svg.text(258.0, y + 13.0, Anchor::End, "", name);
        svg.rect((270.0, y), (scale.at(*time) - 270.0, 17.0), 3.0, class);
        svg.text(
            scale.at(*time) + 7.0,
            y + 13.0,
            Anchor::Start,
            "small",
            &duration(*time),
        );
    }
    svg.finish()
}

/// Where the time of a request goes: a stacked bar each.
pub fn time(found: &Where) -> String {
    const ROW: f64 = 64.0;
    const CLASSES: [&str; 5] = ["a", "d", "e", "b", "c"];
    let height = 56.0 + found.bars.len() as f64 * ROW;
    let mut svg = Svg::new(WIDTH, height, "Where the time of a request goes");
    svg.text(
        20.0,
        28.0,
        Anchor::Start,
        "title",
        "Where the time of a request goes",
    );
    let total = |bar: &crate::data::WhereBar| bar.parts.iter().map(|part| part.1).sum::<f64>();
    let most = found.bars.iter().map(total).fold(1e-9, f64::max);
    let scale = Scale::linear((0.0, most), (20.0, WIDTH - 20.0));
    for (at, bar) in found.bars.iter().enumerate() {
        let y = 52.0 + at as f64 * ROW;
        let head = format!("{}: {} {}", bar.name, count(total(bar)), found.unit);
        svg.text(20.0, y + 4.0, Anchor::Start, "strong", &head);
        let mut from = 0.0;
        for (at, (name, time)) in bar.parts.iter().enumerate() {
            let name = name.split(':').next().unwrap_or_default();
            let (left, right) = (scale.at(from), scale.at(from + time));
            let class = CLASSES[at % CLASSES.len()];
            svg.rect(
                (left, y + 12.0),
                ((right - left - 1.5).max(0.5), 14.0),
                2.0,
                class,
            );
            let label = format!("{name}, {}", count(*time));
            // The table beside the plot has the names for which there is no room.
            if right - left > label.chars().count() as f64 * 6.0 {
                svg.text(left, y + 40.0, Anchor::Start, "soft small", &label);
            } else if right - left > 26.0 {
                svg.text(left, y + 40.0, Anchor::Start, "soft small", &count(*time));
            }
            from += time;
        }
    }
    svg.finish()
}
