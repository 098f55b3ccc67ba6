//! Compiles the files of the console into the crate: as they are, and compressed.
//!
//! Their common version is a digest of all of them. It is part of their paths, so that the files of
//! one version always stay together, whatever a browser has cached.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// What the browser loads: these files, and all modules in these directories.
const FILES: [&str; 3] = ["icon.svg", "index.html", "style.css"];
const DIRECTORIES: [&str; 2] = ["src", "vendor"];

/// A file by its path in `console/`.
struct File {
    name: String,
    text: String,
}

fn main() -> io::Result<()> {
    let root =
        PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../console");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    let files = files(&root)?;
    let version = version(&files);
    let modules = files.iter().filter(|file| file.name.ends_with(".js"));
    let modules: String = modules
        .map(|file| {
            let (name, pad) = (&file.name, "    ");
            format!("<link rel=\"modulepreload\" href=\"console/{version}/{name}\">\n{pad}")
        })
        .collect();

    let mut table = String::from("static ASSETS: &[Asset] = &[\n");
    for (index, file) in files.iter().enumerate() {
        let (path, text) = match file.name.as_str() {
            "index.html" => (
                String::new(),
                page(&file.text, &version, modules.trim_end()),
            ),
            name => (format!("/{version}/{name}"), lean(name, &file.text)),
        };
        let kept = out.join(format!("{index}"));
        let compressed = out.join(format!("{index}.gz"));
        fs::write(&kept, &text)?;
        fs::write(&compressed, gzip(&text)?)?;
        let etag = format!("\"{}\"", short(&text));
        let media_type = media_type(&file.name);
        let _ = writeln!(
            table,
            "Asset {{ path: {path:?}, media_type: {media_type:?}, etag: {etag:?}, \
             text: include_str!({kept:?}), gzip: include_bytes!({compressed:?}) }},"
        );
    }
    table.push_str("];\n");
    fs::write(out.join("assets.rs"), table)
}

/// The page with the addresses of its files.
fn page(text: &str, version: &str, modules: &str) -> String {
    text.replace("<!-- modules -->", modules)
        .replace("{version}", version)
}

/// A file of ours without comments and indentation, which are a sixth of what is sent. Lines stay, so that
/// an error names the line of the source.
fn lean(name: &str, text: &str) -> String {
    if name.starts_with("vendor/") || name.ends_with(".svg") {
        return text.to_owned();
    }
    let mut in_comment = false;
    let lines = text.lines().map(|line| {
        let line = line.trim();
        let begins = line.starts_with("/*");
        let is_comment = in_comment || line.starts_with("//") || begins && line.ends_with("*/");
        in_comment = (in_comment || begins) && !line.contains("*/");
        match is_comment || in_comment {
            true => "\n".to_owned(),
            false => format!("{line}\n"),
        }
    });
    lines.collect()
}

fn files(root: &Path) -> io::Result<Vec<File>> {
    let mut names: Vec<String> = FILES.map(str::to_owned).to_vec();
    for directory in DIRECTORIES {
        println!("cargo:rerun-if-changed={}", root.join(directory).display());
        for entry in fs::read_dir(root.join(directory))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".js") {
                names.push(format!("{directory}/{name}"));
            }
        }
    }
    names.sort();
    let read = names.into_iter().map(|name| {
        println!("cargo:rerun-if-changed={}", root.join(&name).display());
        let text = fs::read_to_string(root.join(&name))?;
        Ok(File { name, text })
    });
    read.collect()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=UTF-8",
        Some("css") => "text/css; charset=UTF-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=UTF-8",
    }
}

fn version(files: &[File]) -> String {
    let all = files
        .iter()
        .map(|file| format!("{}\0{}\0", file.name, file.text));
    short(&all.collect::<String>())
}

fn short(text: &str) -> String {
    hex::encode(Sha256::digest(text)).chars().take(16).collect()
}

fn gzip(text: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}
