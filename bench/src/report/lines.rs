//! A plot of lines on two logarithmic axes, labelled at their ends.

use super::svg::{Anchor, Scale, Svg, spread};

/// Where a plot is, and how much of it is left to the labels of its axis and of its lines.
pub struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    pub left: f64,
    pub right: f64,
}

/// One line.
pub struct Series {
    class: String,
    dashed: bool,
    /// The label at its end; without one, the value of its last point.
    name: String,
    pub points: Vec<(f64, f64)>,
}

impl Series {
    pub fn new(class: &str, name: &str, points: Vec<(f64, f64)>) -> Self {
        Self {
            class: class.to_owned(),
            dashed: false,
            name: name.to_owned(),
            points,
        }
    }

    pub fn dashed(self) -> Self {
        Self {
            dashed: true,
            ..self
        }
    }
}

/// The plot.
pub struct Lines<'a> {
    pub area: Area,
    pub title: &'a str,
    pub x: (f64, f64),
    /// Values on the horizontal axis and their labels.
    pub ticks: Vec<(f64, String)>,
    pub y: (f64, f64),
    /// Writes a value of the vertical axis.
    pub label: fn(f64) -> String,
    pub series: Vec<Series>,
}

/// What a title and the labels of the horizontal axis take, and the space below.
const HEAD: f64 = 26.0;
const FOOT: f64 = 26.0;

impl Lines<'_> {
    pub fn draw(self, svg: &mut Svg) {
        let area = &self.area;
        let (left, right) = (area.x + area.left, area.x + area.width - area.right);
        let (top, bottom) = (area.y + HEAD, area.y + area.height - FOOT);
        let x = Scale::log(self.x, (left, right));
        let y = Scale::log(self.y, (bottom, top));
        svg.text(left, area.y + 14.0, Anchor::Start, "strong", self.title);
        for power in y.powers() {
            svg.line((left, y.at(power)), (right, y.at(power)), "grid");
            let label = (self.label)(power);
            svg.text(
                left - 6.0,
                y.at(power) + 4.0,
                Anchor::End,
                "soft small",
                &label,
            );
        }
        for (value, label) in &self.ticks {
            svg.text(
                x.at(*value),
                bottom + 16.0,
                Anchor::Middle,
                "soft small",
                label,
            );
        }
        let mut ends = Vec::new();
        for (at, series) in self.series.iter().enumerate() {
            let place = |(first, second): &(f64, f64)| (x.at(*first), y.at(*second));
            let points: Vec<_> = series.points.iter().map(place).collect();
            let dash = if series.dashed { " dash" } else { "" };
            svg.path(&points, &format!("thick l{}{dash}", series.class));
            for point in points.iter().filter(|_| !series.dashed) {
                svg.circle(*point, 2.6, &series.class);
            }
            if let Some((_, end)) = points.last() {
                ends.push((*end, at));
            }
        }
        for (place, at) in spread(ends, 13.0) {
            let series = &self.series[at];
            let Some((last, value)) = series.points.last() else {
                continue;
            };
            let name = match series.name.as_str() {
                "" => (self.label)(*value),
                name => name.to_owned(),
            };
            // Beside the line's own end: Glance's lines are shorter.
            let from = x.at(*last) + 7.0;
            svg.text(
                from,
                place + 4.0,
                Anchor::Start,
                &format!("small {}", series.class),
                &name,
            );
        }
    }
}
