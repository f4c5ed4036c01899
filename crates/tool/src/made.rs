//! Files that a program made.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::seam::Made;

/// The most files of one call.
const FILES_MAX: usize = 10;

/// The most bytes of one call's files together.
const BYTES_MAX: u64 = 10 * 1024 * 1024;

/// The files in a folder, and what was left out and why. Reads the regular files that lie in it, by name; follows nothing.
pub(crate) fn collect(folder: &Path) -> (Vec<Made>, Vec<String>) {
    let mut made = Vec::new();
    let mut left_out = Vec::new();
    let mut room = BYTES_MAX;
    let (paths, unlisted) = list(folder);
    if unlisted {
        left_out.push("files whose names are not text, or beyond the first hundreds".to_owned());
    }
    for (name, path) in paths {
        if made.len() == FILES_MAX {
            left_out.push(format!("{name}: more than {FILES_MAX} files"));
            continue;
        }
        match read(&path, room) {
            Ok(Some(bytes)) => {
                room -= bytes.len() as u64;
                made.push(Made { kind: kind(&name).to_owned(), name, bytes });
            }
            Ok(None) => left_out.push(format!("{name}: more than {BYTES_MAX} bytes together")),
            Err(error) => left_out.push(format!("{name}: {error}")),
        }
    }
    left_out.truncate(FILES_MAX);
    (made, left_out)
}

/// The names in a folder, sorted; true when some could not be listed.
fn list(folder: &Path) -> (Vec<(String, PathBuf)>, bool) {
    const LISTED_MAX: usize = 500;
    let Ok(entries) = fs::read_dir(folder) else { return (Vec::new(), true) };
    let mut paths = Vec::new();
    let mut unlisted = false;
    for entry in entries {
        let named = entry.ok().and_then(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
        match named {
            Some((name, path)) if paths.len() < LISTED_MAX && !name.chars().any(char::is_control) => {
                paths.push((name, path));
            }
            Some(_) | None => unlisted = true,
        }
    }
    paths.sort();
    (paths, unlisted)
}

/// The bytes of a regular file; `None` when there are more than `max`.
fn read(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    // Not through a link, and not waiting for somebody to open the other end of a pipe.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let custom = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(custom).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}

/// The media type, guessed from the name.
fn kind(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref().unwrap_or_default() {
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
