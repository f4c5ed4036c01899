//! Invariant 10: the layers hold, every channel is registered and built the same way, and what the READMEs promise is
//! there.
//!
//! Each rule is a function from what it looks at to sentences about what breaks it, so that a made-up breach shows that
//! the rule can fail.

#![expect(clippy::unwrap_used, reason = "a file of this repository that cannot be read fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

/// What each crate may know of this workspace. A crate that is not here may know nothing, and says so by failing.
const LAYERS: &[(&str, &[&str])] = &[
    ("channel", &[]),
    ("agent", &["channel"]),
    ("chat", &["channel"]),
    ("store", &["agent", "channel"]),
    ("store-redis", &["agent", "channel", "store"]),
    ("model", &["agent", "channel"]),
    ("tool", &["agent", "channel"]),
    ("runtime", &["agent", "channel", "model", "store", "tool"]),
    ("testkit", &["agent", "channel", "model", "store", "tool"]),
    ("simulator", &[]),
    ("xtask", &[]),
    ("gateway", &["agent", "channel", "channel-*", "model", "runtime", "store", "store-redis", "tool"]),
    ("channel-*", &["channel", "chat"]),
];
/// What any crate may know in its tests, beside what it may know anyway.
const IN_TESTS: &[&str] = &["simulator", "testkit"];

/// The files that every channel has, so that who knows one knows them all.
const CHANNEL_FILES: &[&str] = &[
    "Cargo.toml",
    "README.md",
    "src/lib.rs",
    "src/config.rs",
    "src/decode.rs",
    "src/encode.rs",
    "src/client.rs",
    "tests/laws.rs",
];

/// Crates that know no platform, and names that would show that one does.
const PLATFORM_FREE: &[&str] = &["channel", "chat", "agent", "store", "model", "tool", "runtime"];
const PLATFORMS: &[&str] = &[
    "slack",
    "discord",
    "telegram",
    "whatsapp",
    "imap",
    "smtp",
    "exim",
    "dovecot",
    "channel_email",
    "channel_web",
];

#[test]
fn crates_know_only_the_layers_below_them() {
    let manifests = manifests();
    let names: BTreeSet<String> = manifests.iter().map(|(_, manifest)| package(manifest)).collect();
    let breaches: Vec<String> = manifests.iter().flat_map(|(_, manifest)| arrows(manifest, &names)).collect();
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    for (name, _) in LAYERS.iter().filter(|(name, _)| !name.contains('*')) {
        assert!(
            names.contains(*name),
            "LAYERS speaks of `{name}`, which is no crate of this workspace any more"
        );
    }
}

#[test]
fn an_arrow_against_the_layers_is_told() {
    let names = ["agent", "store", "channel", "channel-email", "testkit", "new"].map(str::to_owned).into();
    for (text, wanted) in [
        ("package.name = 'agent'\n[dependencies]\nstore.workspace = true", "`agent` must not know `store`"),
        (
            "package.name = 'channel-email'\n[dependencies]\nagent = { path = 'x' }",
            "`channel-email` must not know `agent`",
        ),
        (
            "package.name = 'store'\n[dependencies]\ntestkit.workspace = true",
            "`store` must not know `testkit`",
        ),
        (
            "package.name = 'agent'\n[dev-dependencies]\nstore.workspace = true",
            "`agent` must not know `store`",
        ),
        (
            "package.name = 'agent'\n[build-dependencies]\nstore.workspace = true",
            "`agent` must not know `store`",
        ),
        (
            "package.name = 'agent'\n[dependencies]\nx = { package = 'store' }",
            "`agent` must not know `store`",
        ),
        (
            "package.name = 'agent'\n[target.'cfg(unix)'.dependencies]\nstore.workspace = true",
            "`agent` must not know `store`",
        ),
        ("package.name = 'new'\n[dependencies]\nserde = '1'", "`new` has no place in the layers"),
    ] {
        let told = arrows(&toml::from_str(text).unwrap(), &names).join("\n");
        assert!(told.contains(wanted), "{text}\n-> {told}");
    }
    let fine = "package.name = 'store'\n[dependencies]\nagent.workspace = true\nserde = '1'\n[dev-dependencies]\ntestkit.workspace = true";
    assert!(arrows(&toml::from_str(fine).unwrap(), &names).is_empty());
}

#[test]
fn every_channel_is_registered_and_has_the_same_files() {
    let folders: BTreeSet<String> = folders(&root().join("channels")).iter().map(|path| name(path)).collect();
    let kinds: BTreeSet<String> = gateway::kinds().iter().map(|kind| kind.name.to_owned()).collect();
    assert_eq!(
        folders, kinds,
        "the folders of channels/ (left) and the kinds in crates/gateway/src/channels.rs (right) must be the same"
    );
    let mut missing = Vec::new();
    for folder in &folders {
        let path = root().join("channels").join(folder);
        let absent = CHANNEL_FILES.iter().filter(|file| !path.join(file).is_file());
        missing.extend(absent.map(|file| format!("channels/{folder} has no {file}")));
        let package = package(&manifest(&path));
        if package != format!("channel-{folder}") {
            missing.push(format!("channels/{folder} is the package `{package}`, not `channel-{folder}`"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn no_platform_is_named_outside_its_channel() {
    let mut named = Vec::new();
    for krate in PLATFORM_FREE {
        for path in sources(&root().join("crates").join(krate).join("src")) {
            let text = fs::read_to_string(&path).unwrap();
            let shown = path.strip_prefix(root()).unwrap().display().to_string();
            named.extend(platforms(&text).into_iter().map(|(line, word)| {
                format!("{shown}:{line}: `{word}` belongs into channels/, and into configuration")
            }));
        }
    }
    assert!(named.is_empty(), "{}", named.join("\n"));
}

#[test]
fn a_platform_in_the_core_is_told() {
    let told = |text: &str| platforms(text).into_iter().map(|(_, word)| word).collect::<Vec<_>>();
    assert_eq!(told("match kind { \"slack\" => 1 }"), ["slack"]);
    assert_eq!(told("fn send_smtp() {}\nstruct ImapPlace;"), ["smtp", "imap"]);
    assert_eq!(told("use channel_email::Email;"), ["channel_email"]);
    assert!(told("/// As Slack does it.\nfn f() {} // like smtp").is_empty());
    assert!(told("fn f() {}\n#[cfg(test)]\nmod tests { const X: &str = \"slack\"; }").is_empty());
    assert!(told("let slackness = 1; // discordant").is_empty());
}

#[test]
fn only_the_outbox_reaches_a_channel() {
    let mut senders = Vec::new();
    for path in ["runtime", "gateway"]
        .iter()
        .flat_map(|krate| sources(&root().join("crates").join(krate).join("src")))
    {
        let text = fs::read_to_string(&path).unwrap();
        if text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(".send(")) {
            senders.push(path.strip_prefix(root()).unwrap().display().to_string());
        }
    }
    assert_eq!(
        senders,
        ["crates/runtime/src/deliver.rs"],
        "a message is sent because it was claimed from the outbox"
    );
}

#[test]
fn every_folder_says_what_it_is() {
    let mut silent = Vec::new();
    for folder in folders(&root()) {
        if !ignored(&folder) && !folder.join("README.md").is_file() {
            silent.push(format!("{}/ has no README.md", name(&folder)));
        }
    }
    for path in crate_roots() {
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with("//!") {
            let shown = path.strip_prefix(root()).unwrap().display().to_string();
            silent.push(format!("{shown} does not begin with `//!`, what the crate is"));
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn every_invariant_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("crates/README.md")).unwrap();
    let invariants = invariants(&text);
    let numbers: Vec<usize> = invariants.iter().map(|(number, _)| *number).collect();
    assert_eq!(
        numbers,
        (1..=13).collect::<Vec<_>>(),
        "the invariants of crates/README.md are numbered 1 to 13"
    );
    let known = tests();
    let mut wrong = Vec::new();
    for (number, named) in invariants {
        if named.is_empty() {
            wrong.push(format!("invariant {number} names no test after `Tests:`"));
        }
        wrong.extend(
            named
                .iter()
                .filter(|name| !known.contains(*name))
                .map(|name| format!("invariant {number} names the test `{name}`, which does not exist")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a manifest knows and must not.
fn arrows(manifest: &Table, names: &BTreeSet<String>) -> Vec<String> {
    let from = package(manifest);
    if from == "tests" {
        // End-to-end tests stand outside of the house and may look at all of it.
        return Vec::new();
    }
    let Some((_, may_know)) = LAYERS.iter().find(|(name, _)| matches(name, &from)) else {
        return vec![format!(
            "`{from}` has no place in the layers: give it one in tests/e2e/house.rs and crates/README.md"
        )];
    };
    let mut wrong = Vec::new();
    for (kind, known) in dependencies(manifest) {
        let in_tests = kind == "dev-dependencies" && IN_TESTS.contains(&known.as_str());
        if names.contains(&known) && !in_tests && !may_know.iter().any(|name| matches(name, &known)) {
            let may =
                if may_know.is_empty() { "no other crate here".to_owned() } else { may_know.join(", ") };
            wrong.push(format!("`{from}` must not know `{known}` ({kind}); it may know {may}"));
        }
    }
    wrong
}

/// Every dependency of a manifest by its package's name, with the table it stands in.
fn dependencies(manifest: &Table) -> Vec<(String, String)> {
    let targets =
        manifest.get("target").and_then(Value::as_table).into_iter().flat_map(|targets| targets.values());
    let tables = std::iter::once(manifest).chain(targets.filter_map(Value::as_table));
    let mut found = Vec::new();
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (key, value) in table.get(kind).and_then(Value::as_table).into_iter().flatten() {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(key);
                found.push((kind.to_owned(), package.to_owned()));
            }
        }
    }
    found
}

/// Platform names in code: not in comments, and not in the tests at the end of a file.
fn platforms(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if line.trim() == "#[cfg(test)]" {
            break;
        }
        let code = if line.trim_start().starts_with("//") {
            ""
        } else {
            line.split(" // ").next().unwrap_or_default()
        };
        let words = words(code);
        for platform in PLATFORMS {
            let parts: Vec<&str> = platform.split('_').collect();
            let hit = words
                .windows(parts.len())
                .any(|window| window.iter().map(String::as_str).eq(parts.iter().copied()));
            if hit {
                found.push((n + 1, (*platform).to_owned()));
            }
        }
    }
    found
}

/// The words of a line of code in lower case: `send_smtp` and `SendSmtp` are both `send`, `smtp`.
fn words(code: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in code.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The numbered items under `## Invariants`, with the names in backticks that follow `Tests:`.
fn invariants(text: &str) -> Vec<(usize, Vec<String>)> {
    let section = text.split("\n## ").find(|section| section.starts_with("Invariants")).unwrap_or_default();
    let mut items: Vec<(usize, String)> = Vec::new();
    for line in section.lines() {
        let number = line.split_once(". ").and_then(|(number, _)| number.parse().ok());
        match (number, items.last_mut()) {
            (Some(number), _) => items.push((number, line.to_owned())),
            (None, Some((_, item))) => item.push_str(&format!("\n{line}")),
            (None, None) => {}
        }
    }
    let named = |item: &str| match item.split_once("Tests:") {
        None => Vec::new(),
        Some((_, tests)) => {
            let quoted = tests.split('`').skip(1).step_by(2);
            let is_name = |word: &&str| {
                !word.is_empty()
                    && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            };
            quoted.filter(is_name).map(str::to_owned).collect()
        }
    };
    items.into_iter().map(|(number, item)| (number, named(&item))).collect()
}

/// The name of every test: a function under a test attribute, or a law of a store.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in ["crates", "channels", "tests"].iter().flat_map(|folder| sources(&root().join(folder))) {
        let law = path.components().any(|part| part.as_os_str() == "store_laws");
        let text = fs::read_to_string(&path).unwrap();
        let (mut marked, mut listed) = (false, false);
        for line in text.lines().map(str::trim) {
            // A list whose every line is a test on each channel.
            if listed || line == "in_front_of_every_channel! {" {
                listed = line != "}";
                names.insert(line.to_owned());
                continue;
            }
            if line.starts_with("#[") {
                marked |= line.contains("test");
                continue;
            }
            let function = line.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next());
            if let Some(function) = function.filter(|_| marked || (law && line.starts_with("pub async fn ")))
            {
                names.insert(function.to_owned());
            }
            marked = false;
        }
    }
    names
}

fn manifests() -> Vec<(PathBuf, Table)> {
    let mut paths = folders(&root().join("crates"));
    paths.extend(folders(&root().join("channels")));
    paths.push(root().join("tests"));
    paths.into_iter().map(|path| (path.clone(), manifest(&path))).collect()
}

fn manifest(folder: &Path) -> Table {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn package(manifest: &Table) -> String {
    manifest["package"]["name"].as_str().unwrap().to_owned()
}

/// Whether a name of [`LAYERS`], where `channel-*` stands for every channel, is this one.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

/// The files at which compilers begin: libraries, programs, examples, and each test binary.
fn crate_roots() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for (folder, manifest) in manifests() {
        let given = ["bin", "test"].iter().filter_map(|kind| manifest.get(*kind)?.as_array()).flatten();
        let given = given.filter_map(|target| target.get("path")?.as_str()).map(|path| folder.join(path));
        let usual = ["src/lib.rs", "src/main.rs"].map(|path| folder.join(path)).into_iter();
        roots.extend(given.chain(usual).filter(|path| path.is_file()));
        for targets in ["src/bin", "examples", "tests"] {
            let targets = folder.join(targets);
            if targets.is_dir() {
                roots.extend(
                    children(&targets).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")),
                );
                roots.extend(
                    folders(&targets)
                        .into_iter()
                        .map(|path| path.join("main.rs"))
                        .filter(|path| path.is_file()),
                );
            }
        }
    }
    roots.sort();
    roots.dedup();
    roots
}

/// Every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in children(folder) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    children(folder).into_iter().filter(|path| path.is_dir() && !name(path).starts_with('.')).collect()
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Whether `.gitignore` keeps a top-level folder out of the repository.
fn ignored(folder: &Path) -> bool {
    let text = fs::read_to_string(root().join(".gitignore")).unwrap();
    text.lines().any(|line| line.trim_matches('/') == name(folder))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
