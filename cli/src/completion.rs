//! Shell completion. The shell asks the program itself, so that the names of images are those that
//! the service has now.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
use sha2::{Digest as _, Sha256};

use crate::api::{Client, Query};
use crate::error::{Done, Failure, Outcome};
use crate::http::Http;
use crate::login::settings::Variables;
use crate::login::{self, LoginOptions};
use crate::output::terminal;
use crate::visible::visible_line;

/// The variable by which a shell asks for completion.
const VARIABLE: &str = "IMSHARE_COMPLETE";
/// The longest time that each request for names may take: without them a shell completes the rest.
const TIME_LIMIT: Duration = Duration::from_millis(800);
/// How long names are remembered.
const REMEMBERED: Duration = Duration::from_secs(30);
/// The most names.
const NAMES_MAX: usize = 1000;

/// Quotes what bash inserts as the word that is completed is quoted: an image may be named "my image",
/// which are two words. Other shells do that themselves.
const QUOTED: &str = r#"
_imshare_quoted() {
    local word="${COMP_WORDS[COMP_CWORD]}" plain="$2" i
    [[ $word == [\'\"]* ]] || plain="${2//\\/}"
    _clap_complete_imshare "$1" "$plain" "$3"
    for i in "${!COMPREPLY[@]}"; do
        case "$word" in
            \'*) COMPREPLY[i]="$(sed "s/'/'\\\\''/g" <<< "${COMPREPLY[i]}")" ;;
            \"*) COMPREPLY[i]="$(sed 's/[\\"$`]/\\&/g' <<< "${COMPREPLY[i]}")" ;;
            *) COMPREPLY[i]="$(printf %q "${COMPREPLY[i]}")" ;;
        esac
    done
}
"#;

/// The shells that are completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

/// Answers a shell that asks for completion, and ends the process then. Nothing may be printed before.
pub fn answer(whole: fn() -> clap::Command) {
    CompleteEnv::with_factory(whole)
        .var(VARIABLE)
        .bin("imshare")
        .complete();
}

/// Prints the script that makes a shell ask.
///
/// # Errors
/// If it cannot be printed.
pub fn print(shell: Shell, whole: &clap::Command) -> Outcome<Done> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let name = whole.get_name();
    let mut script = Vec::new();
    completer
        .write_registration(VARIABLE, name, name, name, &mut script)
        .map_err(|error| Failure::wrong_use(format!("cannot print the completion: {error}")))?;
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Bash {
        script = script.replace(" -F _clap_complete_imshare ", " -F _imshare_quoted ") + QUOTED;
    }
    terminal::write(script.as_bytes())?;
    Ok(Done::All)
}

/// The names of images that begin like a word.
pub fn complete_image(word: &OsStr) -> Vec<CompletionCandidate> {
    let word = word.to_string_lossy();
    let names = image_names().unwrap_or_default();
    let fitting = names.into_iter().filter(|name| name.starts_with(&*word));
    fitting.map(CompletionCandidate::new).collect()
}

/// The names of the images that the caller may see. A shell shows no errors here, so they are lost.
fn image_names() -> Option<Vec<String>> {
    let variables = Variables::of_process();
    let settings = login::collect(&LoginOptions::default(), &variables).ok()?;
    let file = file_for(&variables, &settings.identity());
    if let Some(names) = file.as_ref().and_then(remembered) {
        return Some(names);
    }
    let http = Http::impatient(settings.trust(), TIME_LIMIT);
    // A password is not asked for in the middle of a line.
    settings.can_log_in_silently().then_some(())?;
    let client = Client::log_in(http, settings).ok()?;
    let query = Query::default().with("visibility", Some("all"));
    let images = client
        .images(query.with("member_status", Some("all")), NAMES_MAX)
        .ok()?;
    let names = images.into_iter().filter_map(|image| image.name);
    // Others cannot be typed, and would do something else to the line.
    let typed = |name: &String| !name.is_empty() && visible_line(name) == *name;
    let names = crate::names::unique(names.filter(typed));
    if let Some(file) = file {
        let _ = remember(&file, &names);
    }
    Some(names)
}

/// The file that remembers the names for a login: below the user's cache, named by a digest.
fn file_for(variables: &Variables, identity: &str) -> Option<PathBuf> {
    let cache = variables.get("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| {
        variables
            .get("HOME")
            .map(|home| PathBuf::from(home).join(".cache"))
    })?;
    let digest = Sha256::digest(identity.as_bytes());
    let name: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(cache.join("imshare").join(format!("names-{name}")))
}

fn remembered(file: &PathBuf) -> Option<Vec<String>> {
    let written = std::fs::metadata(file).ok()?.modified().ok()?;
    let age = SystemTime::now().duration_since(written).ok()?;
    let text = std::fs::read_to_string(file).ok()?;
    (age < REMEMBERED).then(|| text.lines().map(str::to_owned).collect())
}

fn remember(file: &PathBuf, names: &[String]) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(directory) = file.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut open = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    open.write_all(names.join("\n").as_bytes())
}
