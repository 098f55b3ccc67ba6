//! The modules of the `shared` crate: imports run one way, and the domain depends on nothing of
//! AWS, Lambda or HTTP. Neither there nor in `local` do files import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The rooms, each with those that it may import.
const ROOMS: [(&str, &[&str]); 6] = [
    ("domain", &[]),
    ("http", &["domain"]),
    ("store", &["domain"]),
    ("auth", &["domain", "http", "store"]),
    ("queue", &["domain", "store"]),
    ("runtime", &["domain", "http", "store", "auth", "queue"]),
];

/// The crates that the domain may use. None of them does I/O. utoipa, which describes types in a
/// schema, is used with the feature `openapi` only.
const PURE: [&str; 10] = [
    "std",
    "core",
    "lru",
    "serde",
    "serde_json",
    "sha2",
    "time",
    "utoipa",
    "unicode_general_category",
    "uuid",
];

/// One file of the crate.
struct File {
    /// Its module path within the crate: `["store", "members", "change"]`.
    module: Vec<String>,
    /// The paths that it names, absolute within the crate.
    inside: BTreeSet<Vec<String>>,
    /// The other crates that it names.
    crates: BTreeSet<String>,
}

/// Collects the paths of one file, without its tests.
struct Paths<'a> {
    module: &'a [String],
    found: BTreeSet<Vec<String>>,
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident("cfg") && list.is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

impl Paths<'_> {
    fn use_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add(with(&name.ident)),
            syn::UseTree::Rename(rename) => self.add(with(&rename.ident)),
            syn::UseTree::Glob(_) => self.add(prefix.to_vec()),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(prefix, tree);
                }
            }
        }
    }

    /// Adds a path; one that begins with `crate`, `self` or `super` is made absolute.
    fn add(&mut self, path: Vec<String>) {
        let mut module = self.module.to_vec();
        let mut rest = path.as_slice();
        match rest.first().map(String::as_str) {
            Some("crate") => {
                module.clear();
                rest = &rest[1..];
            }
            Some("self") => rest = &rest[1..],
            Some("super") => {
                while rest.first().is_some_and(|first| first == "super") {
                    module.pop();
                    rest = &rest[1..];
                }
            }
            _ => {
                self.found.insert([&["::".to_owned()], rest].concat());
                return;
            }
        }
        let rest: Vec<String> = rest
            .iter()
            .filter(|part| *part != "self")
            .cloned()
            .collect();
        self.found.insert([module, rest].concat());
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        let first = parts.first().map(String::as_str).unwrap_or_default();
        if parts.len() > 1 && (matches!(first, "crate" | "super") || KNOWN.contains(&first)) {
            self.add(parts);
        }
        visit::visit_path(self, path);
    }
}

/// Crates that are named by a path without an import.
const KNOWN: [&str; 10] = [
    "aws_sdk_dynamodb",
    "aws_sdk_sqs",
    "fastrand",
    "form_urlencoded",
    "futures",
    "lambda_http",
    "lambda_runtime",
    "tokio",
    "tracing",
    "uuid",
];

fn sources(directory: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, all),
            false if path.extension().is_some_and(|end| end == "rs") => all.push(path),
            false => {}
        }
    }
}

/// The directory of the `shared` crate's files.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/src");
/// The directory of the local server's files.
const LOCAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../local/src");

/// The directory of the web page's modules.
const CONSOLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../console/src");

/// The directory of the command line's files.
const COMMANDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/src");

fn files(root: &str) -> Vec<File> {
    let root = Path::new(root);
    let mut paths = Vec::new();
    sources(root, &mut paths);
    let mut files = Vec::new();
    for path in paths {
        let within = path.strip_prefix(root).unwrap().with_extension("");
        let mut module: Vec<String> = within
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if module
            .last()
            .is_some_and(|last| last == "mod" || last == "lib")
        {
            module.pop();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let syntax = syn::parse_file(&text).unwrap();
        let mut collected = Paths {
            module: &module,
            found: BTreeSet::new(),
        };
        collected.visit_file(&syntax);
        let (outside, inside): (BTreeSet<_>, BTreeSet<_>) = collected
            .found
            .into_iter()
            .partition(|path| path.first().is_some_and(|first| first == "::"));
        files.push(File {
            inside,
            crates: outside
                .into_iter()
                .filter_map(|path| path.into_iter().nth(1))
                .collect(),
            module,
        });
    }
    assert!(files.len() > 20, "only {} files were found", files.len());
    files
}

/// The file that defines what a path names: the one whose module is the longest prefix of it.
fn defined_in<'a>(files: &'a [File], path: &[String]) -> &'a File {
    let candidates = files.iter().filter(|file| path.starts_with(&file.module));
    candidates.max_by_key(|file| file.module.len()).unwrap()
}

fn room(file: &File) -> &str {
    file.module.first().map_or("lib", String::as_str)
}

#[test]
fn imports_run_one_way_between_rooms() {
    let files = files(SHARED);
    let rooms: BTreeMap<&str, &[&str]> = BTreeMap::from(ROOMS);
    let found: BTreeSet<&str> = files
        .iter()
        .map(room)
        .filter(|room| *room != "lib")
        .collect();
    assert!(found.iter().eq(rooms.keys()), "{found:?}");
    let mut crossings = 0;
    for file in &files {
        for path in &file.inside {
            let (from, to) = (room(file), room(defined_in(&files, path)));
            if from != to && from != "lib" {
                crossings += 1;
                assert!(
                    rooms[from].contains(&to),
                    "{} imports {}: {from} must not know {to}",
                    file.module.join("::"),
                    path.join("::")
                );
            }
        }
    }
    assert!(
        crossings > 100,
        "only {crossings} imports between rooms were found"
    );
}

/// A `mod.rs` that only re-exports is not part of a circle: what it re-exports is defined in the
/// file with the longest path.
#[test]
fn no_files_import_each_other_in_a_circle() {
    for root in [SHARED, LOCAL, COMMANDS] {
        let circles = circles(&files(root));
        assert!(
            circles.is_empty(),
            "{root}: imports in a circle: {circles:#?}"
        );
    }
}

/// Nor do modules of the web page.
#[test]
fn no_modules_of_the_console_import_each_other_in_a_circle() {
    let mut imports = Imports::new();
    for entry in std::fs::read_dir(CONSOLE).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let imported = text
            .lines()
            .filter(|line| line.starts_with("import "))
            .filter_map(|line| line.rsplit_once("'./")?.1.strip_suffix("';"))
            .map(str::to_owned);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        imports.insert(name, imported.collect());
    }
    assert!(imports["main.js"].contains("images.js"), "{imports:#?}");
    let circles = in_circles(imports);
    assert!(circles.is_empty(), "imports in a circle: {circles:#?}");
}

/// What each file imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// The imports that are part of a circle or lead to one, by file.
fn circles(files: &[File]) -> Imports {
    let mut imports = Imports::new();
    let name = |file: &File| file.module.join("::");
    for file in files {
        let from = imports.entry(name(file)).or_default();
        for path in &file.inside {
            let to = name(defined_in(files, path));
            if to != name(file) {
                from.insert(to);
            }
        }
    }
    in_circles(imports)
}

/// Removes files without remaining imports until only circles are left, and what leads to them.
fn in_circles(mut imports: Imports) -> Imports {
    loop {
        let left: BTreeSet<String> = imports.keys().cloned().collect();
        let before = imports.len();
        imports.retain(|_, to| {
            to.retain(|to| left.contains(to));
            !to.is_empty()
        });
        if imports.len() == before {
            break;
        }
    }
    imports
}

#[test]
fn a_circle_of_three_files_is_found() {
    let file = |module: &str, imports: &[&str]| File {
        module: vec![module.to_owned()],
        inside: imports
            .iter()
            .map(|to| vec![(*to).to_owned(), "Type".to_owned()])
            .collect(),
        crates: BTreeSet::new(),
    };
    let leaf = || file("leaf", &[]);
    let open = [
        file("a", &["b", "leaf"]),
        file("b", &["c"]),
        file("c", &["leaf"]),
        leaf(),
    ];
    assert!(circles(&open).is_empty());
    let closed = [
        file("a", &["b", "leaf"]),
        file("b", &["c"]),
        file("c", &["a"]),
        leaf(),
    ];
    assert!(circles(&closed).keys().eq(["a", "b", "c"]));
}

#[test]
fn the_domain_knows_nothing_of_aws_lambda_or_http() {
    let mut pure = 0;
    for file in files(SHARED).iter().filter(|file| room(file) == "domain") {
        for named in &file.crates {
            // A path that begins with a type or a module of the file itself.
            let is_crate = named.starts_with(|c: char| c.is_ascii_lowercase());
            assert!(
                !is_crate || PURE.contains(&named.as_str()) || is_own(file, named),
                "{} uses the crate {named}",
                file.module.join("::")
            );
        }
        pure += 1;
    }
    assert!(pure > 15, "only {pure} files of the domain were found");
}

/// Whether a name without `crate::` is a child module of the file.
fn is_own(file: &File, name: &str) -> bool {
    let root = Path::new(SHARED);
    let directory = file
        .module
        .iter()
        .fold(root.to_owned(), |path, part| path.join(part));
    directory.join(name).with_extension("rs").exists() || directory.join(name).is_dir()
}
