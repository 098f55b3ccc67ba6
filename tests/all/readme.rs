//! Runs the README: its tour as it is printed; and its commands name options, files and addresses
//! that exist.

use std::collections::HashSet;
use std::process::Stdio;

use tokio::process::Command;

use crate::harness::Harness;
use crate::restart::binary;

const README: &str = include_str!("../../README.md");
const CONTRIBUTING: &str = include_str!("../../CONTRIBUTING.md");
/// Every document whose options and files have to exist, and its directory.
const DOCUMENTS: [(&str, &str); 11] = [
    ("", README),
    ("", CONTRIBUTING),
    ("", include_str!("../../CHANGELOG.md")),
    ("docs", include_str!("../../docs/command-line.md")),
    ("docs", include_str!("../../docs/compatibility.md")),
    ("docs", include_str!("../../docs/console.md")),
    ("docs", include_str!("../../docs/first-deployment.md")),
    ("docs", include_str!("../../docs/guarantees.md")),
    ("docs", include_str!("../../docs/local.md")),
    ("docs", include_str!("../../docs/operations.md")),
    ("docs", include_str!("../../docs/performance.md")),
];
/// Where the README's server listens.
const LOCAL: &str = "http://127.0.0.1:9292";

/// The code blocks of this language.
fn blocks(language: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut inside = false;
    for line in README.lines() {
        if line == format!("```{language}") {
            inside = true;
            blocks.push(String::new());
        } else if line == "```" {
            inside = false;
        } else if let (true, Some(block)) = (inside, blocks.last_mut()) {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks
}

/// A command, and the lines that the README shows as its output.
#[derive(Debug, Default)]
struct Step {
    command: String,
    output: String,
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for line in block.lines().filter(|line| !line.is_empty()) {
        if let Some(command) = line.strip_prefix("$ ") {
            let command = format!("{command}\n");
            goes_on = command.ends_with("\\\n");
            steps.push(Step {
                command,
                output: String::new(),
            });
            continue;
        }
        let step = steps.last_mut().expect("a command before its output");
        let text = if goes_on {
            &mut step.command
        } else {
            &mut step.output
        };
        text.push_str(line);
        text.push('\n');
        goes_on = goes_on && line.ends_with('\\');
    }
    steps
}

/// Whether an output is as expected, where `…` is any text.
fn agrees(expected: &str, found: &str) -> bool {
    let mut parts = expected.trim().split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = found.trim().strip_prefix(first) else {
        return false;
    };
    let mut open = false;
    for part in parts {
        open = part.is_empty();
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    open || rest.is_empty()
        || expected
            .trim()
            .split('…')
            .next_back()
            .is_some_and(|last| expected.contains('…') && found.trim().ends_with(last))
}

#[test]
fn an_ellipsis_stands_for_any_text() {
    for (expected, found, agree) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "abc", true),
        ("a…c", "abc", true),
        ("a…c", "abcd", false),
        ("a…b…d", "axbxcd", true),
        ("a…x…d", "abcd", false),
        ("…}", "{a}b}", true),
        ("", "a", false),
    ] {
        assert_eq!(agrees(expected, found), agree, "{expected} {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_can_be_pasted_and_prints_what_it_says() {
    let harness = Harness::new().await;
    let tours = blocks("console");
    assert_eq!(tours.len(), 1);
    let steps = steps(&tours[0]);
    assert!(steps.len() > 10 && tours[0].contains(LOCAL), "{steps:?}");
    // One shell for all of it, as a reader's is; a line of its own after each output.
    let mark = "----- end of a step";
    let script: String = steps
        .iter()
        .map(|step| format!("{}echo; echo '{mark}'\n", step.command))
        .collect();
    let output = Command::new("bash")
        .args(["-c", &script.replace(LOCAL, &harness.server.url())])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.is_empty(), "the tour needs curl: {errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let printed: Vec<&str> = printed.split(mark).collect();
    assert_eq!(printed.len(), steps.len() + 1);
    for (step, found) in steps.iter().zip(printed) {
        assert!(
            agrees(&step.output, found),
            "$ {}README: {}found: {}",
            step.command,
            step.output,
            found.trim()
        );
    }
}

/// In one shell, as a reader's is. The bar is drawn in a terminal only (`cli::terminal` tests it).
#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_the_command_line_prints_what_it_says() {
    let harness = Harness::new().await;
    let sessions = blocks("text");
    assert_eq!(sessions.len(), 1);
    let steps = steps(&sessions[0]);
    assert!(steps.len() > 5, "{steps:?}");
    let mark = "----- end of a step";
    let script: String = steps
        .iter()
        .map(|step| format!("{}echo; echo '{mark}'\n", step.command))
        .collect();
    let url = format!("demo-env --url {} ", harness.server.url());
    let home = tempfile::tempdir().unwrap();
    let path = format!("{}:/usr/bin:/bin", binary().parent().unwrap().display());
    let output = Command::new("bash")
        .args([
            "-c",
            &format!("exec 2>&1\n{}", script.replace("demo-env ", &url)),
        ])
        .env_clear()
        .envs([("PATH", path.as_str()), ("LANG", "C.UTF-8")])
        .env("HOME", home.path())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let printed: Vec<&str> = printed.split(mark).collect();
    assert_eq!(printed.len(), steps.len() + 1);
    for (step, found) in steps.iter().zip(printed) {
        let lines = step.output.lines().filter(|line| !line.starts_with("job "));
        let expected: Vec<&str> = lines.collect();
        let expected = expected.join("\n");
        assert!(
            agrees(&expected, found),
            "$ {}README: {expected}\nfound: {found}",
            step.command
        );
    }
}

#[tokio::test]
async fn the_options_and_files_that_the_documents_name_exist() {
    let help = Command::new(binary()).args(["serve", "--help"]).output();
    let help = String::from_utf8(help.await.unwrap().stdout).unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut options, mut files) = (0, 0);
    for (directory, text) in DOCUMENTS {
        for option in options_of_serve(text) {
            assert!(help.contains(option), "{option}");
            options += 1;
        }
        for file in files_in(text) {
            assert!(root.join(file).exists(), "{file}");
            files += 1;
        }
        for (link, heading) in links_in(text) {
            let target = root.join(directory).join(link);
            assert!(target.exists(), "{link}");
            if !heading.is_empty() {
                let target = match link {
                    "" => text.to_owned(),
                    _ => std::fs::read_to_string(target).unwrap(),
                };
                assert!(headings(&target).contains(heading), "{link}#{heading}");
            }
        }
    }
    assert!(options >= 10, "{options} options");
    assert!(files >= 60, "{files} files");
}

/// The options that stand behind `serve`, or first in a row of a table.
fn options_of_serve(text: &str) -> Vec<&str> {
    let behind_serve = text.lines().filter_map(|line| {
        let serves = line.contains("imshare serve") || line.contains("-- serve");
        line.split_once(" serve").filter(|_| serves)
    });
    let rows = text.lines().filter(|line| line.starts_with("| `--"));
    let rows = rows.filter_map(|line| line.trim_start_matches('|').split('|').next());
    let texts = behind_serve.map(|(_, options)| options).chain(rows);
    let words = texts.flat_map(str::split_whitespace);
    words
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
        .filter(|word| word.starts_with("--"))
        .collect()
}

/// The files and directories of the project that a text names.
fn files_in(text: &str) -> Vec<&str> {
    let known = [
        "bench/",
        "checks/",
        "docs/",
        "events/",
        "functions/",
        "local/",
        "shared/",
        "tests/",
    ];
    text.split(['`', '(', ' ', '\n'])
        .filter(|file| known.iter().any(|start| file.starts_with(start)))
        .filter(|file| !file.contains(['<', '*', '…', '$', '&']))
        .map(|file| file.split('#').next().unwrap_or(file))
        .map(|file| file.trim_end_matches([')', ',', '.', ';', ':', ']']))
        .collect()
}

/// The files that a text has links to, relative to its own, and the headings in them.
fn links_in(text: &str) -> Vec<(&str, &str)> {
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.starts_with("http"))
        .map(|target| target.split_once('#').unwrap_or((target, "")))
        .collect()
}

/// The headings of a text, as links name them.
fn headings(text: &str) -> HashSet<String> {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        inside ^= line.trim_start().starts_with("```");
        !inside && line.starts_with('#')
    });
    let slug = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    lines.map(slug).collect()
}

/// The environment of `cargo lambda watch` names the addresses of the server in CONTRIBUTING.md.
#[test]
fn the_watch_environment_names_the_ports_of_the_documents() {
    let environment = include_str!("../../local/watch.env");
    let lines = || environment.lines().filter(|line| !line.starts_with('#'));
    let value = |name: &str| {
        let found = lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("{name} in local/watch.env"))
    };
    for (option, variable) in [
        ("--dynamodb-listen ", "AWS_ENDPOINT_URL_DYNAMODB"),
        ("--sqs-listen ", "AWS_ENDPOINT_URL_SQS"),
    ] {
        let (_, rest) = CONTRIBUTING.split_once(option).expect(option);
        let address = rest.split_whitespace().next().unwrap();
        assert_eq!(value(variable), format!("http://{address}"));
    }
    let queue = value("QUEUE_URL").strip_prefix(value("AWS_ENDPOINT_URL_SQS"));
    assert!(queue.is_some_and(|path| path.ends_with("/batches")));
    assert!(README.contains(&format!("Rust {} or newer", env!("CARGO_PKG_RUST_VERSION"))));
}

/// `cargo run -- serve` works as long as one package of the workspace says what is run.
#[test]
fn cargo_run_is_the_service() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifest = |directory: &str| root.join(directory).join("Cargo.toml");
    let mut said = Vec::new();
    for directory in [
        "shared",
        "local",
        "cli",
        "bench",
        "tests",
        "checks/instructions",
    ] {
        let text = std::fs::read_to_string(manifest(directory)).unwrap();
        let runs = text.lines().filter(|line| line.starts_with("default-run"));
        said.extend(runs.map(|line| (directory, line.to_owned())));
    }
    assert_eq!(said, [("cli", "default-run = \"imshare\"".to_owned())]);
}
