//! Makes `docs/performance.md` and its plots from the figures beside it.

mod bars;
mod budgets;
mod charts;
mod figures;
mod lines;
mod page;
mod scaling;
mod svg;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

use figures::Figures;

/// Writes the page beside this directory of figures, and the plots into it.
pub fn write(directory: &Path) {
    let page = directory.with_extension("md");
    for (name, text) in files(directory) {
        let path = match name.as_str() {
            PAGE => page.clone(),
            name => directory.join(name),
        };
        std::fs::write(&path, text).expect("a file of the report");
    }
    eprintln!("wrote {}", page.display());
}

/// The name of the page among the files.
const PAGE: &str = "page";

/// The text of the page and of each plot.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let figures = Figures::read(directory);
    let mut files = plots(&figures);
    let folder = directory.file_name().unwrap_or_default();
    let page = page::write(&figures, &folder.to_string_lossy());
    files.insert(PAGE.to_owned(), page);
    files
}

fn plots(figures: &Figures) -> BTreeMap<String, String> {
    let mut plots = BTreeMap::new();
    let mut add = |name: &str, plot: Option<String>| {
        if let Some(plot) = plot {
            plots.insert(format!("{name}.svg"), plot);
        }
    };
    let compared = figures.beside_glance();
    add(
        "latency",
        (!compared.is_empty()).then(|| charts::latency(&compared)),
    );
    let calls = figures.calls();
    add(
        "throughput",
        (!compared.is_empty()).then(|| charts::throughput(&calls)),
    );
    add(
        "lists",
        figures
            .growth
            .as_ref()
            .map(|part| charts::lists(&part.figures)),
    );
    add(
        "growth",
        figures
            .growth
            .as_ref()
            .map(|part| charts::growth(&part.figures)),
    );
    add(
        "batches",
        figures
            .batches
            .as_ref()
            .map(|part| charts::batches(&part.figures)),
    );
    add(
        "start",
        figures
            .start
            .as_ref()
            .map(|part| bars::start(&part.figures)),
    );
    add("time", figures.time.as_ref().map(bars::time));
    plots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance")
    }

    /// The page and the plots in the repository are those that the figures beside them make. After a
    /// change of the report, write them with `cargo run --bin bench -- report`.
    #[test]
    fn the_page_is_made_from_the_figures() {
        let directory = committed();
        for (name, text) in files(&directory) {
            let path = match name.as_str() {
                PAGE => directory.with_extension("md"),
                name => directory.join(name),
            };
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == text,
                "{} is not made from the figures: cargo run --bin bench -- report",
                path.display()
            );
        }
    }

    #[test]
    fn every_budget_has_a_figure() {
        let figures = Figures::read(&committed());
        let missing: Vec<_> = budgets::ALL
            .iter()
            .filter(|budget| !budget.is_later && (budget.found)(&figures).is_none())
            .map(|budget| budget.figure)
            .collect();
        assert!(missing.is_empty(), "without a figure: {missing:?}");
        let page = std::fs::read_to_string(committed().with_extension("md")).unwrap();
        for budget in budgets::ALL {
            assert!(
                page.contains(budget.figure),
                "not on the page: {}",
                budget.figure
            );
        }
    }

    #[test]
    fn a_report_without_figures_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        assert_eq!(files.len(), 1);
        assert!(files[PAGE].contains("not measured"), "{}", files[PAGE]);
    }
}
