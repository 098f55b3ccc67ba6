//! Writes SVG: a few shapes, and one style that can be read on a light and on a dark background.
//!
//! No plotting crate: `plotters`, the best kept one, writes fixed colours, so that a plot would have
//! one background, and it has no direct labels. What the page needs is a dozen shapes.

use std::fmt::Write as _;

/// The colours by class: ink, soft ink, grid, imshare, Glance, bare loop, and a paler imshare. Each
/// plot brings its own background, so that it is readable whatever page it is on.
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}
.soft{fill:#59636e}.small{font-size:11px}.title{font-size:14px;font-weight:600}.strong{font-weight:600}
.bg{fill:#fff}.grid{stroke:#e4e7eb}.axis{stroke:#9aa2ab}
.a{fill:#0a62d0}.b{fill:#c2530a}.c{fill:#6f7782}.d{fill:#7fb2f2}.e{fill:#148a63}
.la{stroke:#0a62d0}.lb{stroke:#c2530a}.lc{stroke:#6f7782}.ld{stroke:#7fb2f2}.le{stroke:#148a63}
line,path{fill:none;stroke-width:1}
.thick{stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}.dash{stroke-dasharray:2 5}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#9aa4af}
.bg{fill:#0d1117}.grid{stroke:#252b33}.axis{stroke:#59626d}
.a{fill:#58a6ff}.b{fill:#ff9a4d}.c{fill:#8d96a0}.d{fill:#2f5f9e}.e{fill:#3fc294}
.la{stroke:#58a6ff}.lb{stroke:#ff9a4d}.lc{stroke:#8d96a0}.ld{stroke:#2f5f9e}.le{stroke:#3fc294}}
";

/// The side of a text on which its position is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture that is being drawn.
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Svg {
    /// An empty picture; the title is for readers who do not see it.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        Self {
            width,
            height,
            title: title.to_owned(),
            body: String::new(),
        }
    }

    /// Writes a text; `class` is one or more classes of the style.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let (x, y, class, text) = (short(x), short(y), attribute(class), escaped(text));
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\"{anchor}{class}>{text}</text>"
        );
    }

    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(short);
        let class = attribute(class);
        let _ = writeln!(
            self.body,
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"{class}/>"
        );
    }

    pub fn rect(&mut self, at: (f64, f64), size: (f64, f64), round: f64, class: &str) {
        let [x, y, width, height, round] = [at.0, at.1, size.0, size.1, round].map(short);
        let class = attribute(class);
        let _ = writeln!(
            self.body,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"{class}/>"
        );
    }

    pub fn circle(&mut self, at: (f64, f64), radius: f64, class: &str) {
        let [x, y, radius] = [at.0, at.1, radius].map(short);
        let class = attribute(class);
        let _ = writeln!(
            self.body,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"{class}/>"
        );
    }

    /// A line through these points.
    pub fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let mut d = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let _ = write!(
                d,
                "{}{} {}",
                if at == 0 { "M" } else { "L" },
                short(*x),
                short(*y)
            );
        }
        let class = attribute(class);
        let _ = writeln!(self.body, "<path d=\"{d}\"{class}/>");
    }

    /// The file.
    pub fn finish(self) -> String {
        let (width, height) = (short(self.width), short(self.height));
        let title = escaped(&self.title);
        let body = self.body;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
             <rect class=\"bg\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n{body}</svg>\n"
        )
    }
}

fn attribute(class: &str) -> String {
    match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    }
}

/// A number with at most one decimal.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Places values along an axis.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    log: bool,
}

impl Scale {
    /// A logarithmic axis of these values between these coordinates.
    pub fn log(values: (f64, f64), coordinates: (f64, f64)) -> Self {
        Self {
            log: true,
            ..Self::linear((values.0.log10(), values.1.log10()), coordinates)
        }
    }

    /// A linear axis.
    pub fn linear(values: (f64, f64), coordinates: (f64, f64)) -> Self {
        Self {
            from: values.0,
            to: values.1,
            start: coordinates.0,
            end: coordinates.1,
            log: false,
        }
    }

    /// The coordinate of a value.
    pub fn at(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        let share = (value - self.from) / (self.to - self.from);
        self.start + share * (self.end - self.start)
    }

    /// The powers of ten on a logarithmic axis.
    pub fn powers(&self) -> Vec<f64> {
        let (first, last) = (self.from.ceil() as i32, self.to.floor() as i32);
        (first..=last).map(|power| 10_f64.powi(power)).collect()
    }
}

/// The powers of ten around these values.
pub fn decades(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let values = values.into_iter().filter(|value| *value > 0.0);
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for value in values {
        (low, high) = (low.min(value), high.max(value));
    }
    if high == 0.0 {
        return (1.0, 10.0);
    }
    let low = 10_f64.powf(low.log10().floor());
    let high = 10_f64.powf(high.log10().ceil());
    (low, if high > low { high } else { low * 10.0 })
}

/// Moves labels apart that would overlap, and keeps their order.
pub fn spread(mut labels: Vec<(f64, usize)>, distance: f64) -> Vec<(f64, usize)> {
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    for _ in 0..100 {
        for at in 1..labels.len() {
            let overlap = distance - (labels[at].0 - labels[at - 1].0);
            if overlap > 0.01 {
                labels[at - 1].0 -= overlap / 2.0;
                labels[at].0 += overlap / 2.0;
            }
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_place_values() {
        let scale = Scale::log((1.0, 100.0), (0.0, 200.0));
        assert_eq!(
            [1.0, 10.0, 100.0].map(|value| scale.at(value)),
            [0.0, 100.0, 200.0]
        );
        assert_eq!(scale.powers(), [1.0, 10.0, 100.0]);
        assert_eq!(Scale::linear((0.0, 4.0), (10.0, 20.0)).at(1.0), 12.5);
        assert_eq!(decades([0.3, 42.0]), (0.1, 100.0));
        assert_eq!(decades([1.0]), (1.0, 10.0));
    }

    #[test]
    fn labels_keep_their_distance_and_their_order() {
        let places = spread(vec![(10.0, 1), (9.0, 0), (50.0, 2)], 12.0);
        let order: Vec<_> = places.iter().map(|(_, label)| *label).collect();
        assert_eq!(order, [0, 1, 2]);
        assert!(
            places.windows(2).all(|pair| pair[1].0 - pair[0].0 > 11.9),
            "{places:?}"
        );
    }

    #[test]
    fn a_picture_is_well_formed() {
        let mut svg = Svg::new(10.0, 20.0, "a < b");
        svg.text(1.0, 2.25, Anchor::End, "soft", "x & y");
        let file = svg.finish();
        assert!(file.contains("<title>a &lt; b</title>"), "{file}");
        assert!(
            file.contains(
                "<text x=\"1\" y=\"2.2\" text-anchor=\"end\" class=\"soft\">x &amp; y</text>"
            ),
            "{file}"
        );
    }
}
