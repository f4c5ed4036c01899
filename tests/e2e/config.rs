//! Invariant 10, for the configuration: every key there is stands in `config.toml`, every key that stands there is one,
//! and what is wrong with a configuration is told whole: each fault with its key, its line and a remedy.

#![expect(clippy::unwrap_used, reason = "a file of this repository that cannot be read fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

/// An environment variable that is always there; it stands for every secret.
const ALWAYS_SET: &str = "PATH";

#[test]
fn config_toml_works_as_it_stands() {
    let assembled =
        gateway::assemble(&root().join("config.toml")).unwrap_or_else(|flaws| panic!("{}", told(&flaws)));
    let names: Vec<String> = assembled.agents.iter().map(|agent| agent.reference().name).collect();
    assert_eq!(names, ["deploy", "support"]);
    let channels: Vec<String> = assembled.channels.keys().map(ToString::to_string).collect();
    assert_eq!(channels, ["web"]);
}

/// What `deploy/compose.yaml` gives to its gateways is sound, and names the variables that it sets.
#[test]
fn the_configuration_of_the_containers_is_sound() {
    let folder = TempDir::new().unwrap();
    let text = fs::read_to_string(root().join("deploy/compose.toml")).unwrap();
    let compose = fs::read_to_string(root().join("deploy/compose.yaml")).unwrap();
    for name in ["REDIS_URL", "ANA_TOKEN", "ANTHROPIC_API_KEY"] {
        assert!(
            text.contains(&format!("_env = {name:?}")) && compose.contains(&format!("      {name}: ")),
            "{name}"
        );
    }
    let text = text.replace("/srv/switchboard/agents", &root().join("agents").display().to_string());
    let assembled =
        gateway::assemble(&adapted(&folder, &text)).unwrap_or_else(|flaws| panic!("{}", told(&flaws)));
    assert_eq!(assembled.config.store.url_env.as_deref(), Some(ALWAYS_SET));
    assert_eq!(assembled.agents.len(), 2);
}

#[test]
fn every_key_stands_in_config_toml() {
    let file = parse(&uncommented(&shipped()));
    let absent: Vec<String> = keys()
        .into_iter()
        .filter(|key| values(&file, &key.path).is_empty())
        .map(|key| key.to_string())
        .collect();
    assert!(absent.is_empty(), "config.toml does not mention:\n{}", absent.join("\n"));
}

#[test]
fn every_default_in_config_toml_is_the_real_one() {
    let file = parse(&uncommented(&shipped()));
    let mut wrong = Vec::new();
    for key in keys() {
        let Some(default) = key.default.as_ref().filter(|default| is_telling(default)) else { continue };
        let shown = values(&file, &key.path);
        // A key may stand in an example as well; where it does, the real default stands somewhere too.
        if !shown.is_empty() && !shown.iter().any(|shown| same(shown, default)) {
            wrong.push(format!("{key} is {default} when it is left out, and config.toml shows {shown:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_commented_key_can_be_uncommented() {
    // Two keys exclude each other: one belongs to each way of verifying a sender.
    for (by, without) in [("dkim", "authserv"), ("results", "dns")] {
        let folder = TempDir::new().unwrap();
        let mut text = uncommented(&shipped()).replace("by = \"dkim\"", &format!("by = \"{by}\""));
        text = without_lines(&text, |line| line.starts_with(&format!("{without} = ")));
        let path = adapted(&folder, &text);
        let mut check = Command::new(env!("CARGO_BIN_EXE_switchboard-under-test"));
        check.arg("check").env("SWITCHBOARD_CONFIG", &path).envs(SECRETS);
        let checked = check.output().unwrap();
        let told = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success(), "with by = \"{by}\":\n{told}");
    }
}

#[test]
fn a_key_that_is_none_is_told() {
    testkit::init();
    let folder = TempDir::new().unwrap();
    let text = uncommented(&shipped()).replace("mailbox = \"INBOX\"", "mailbux = \"INBOX\"");
    let flaws = gateway::assemble(&adapted(&folder, &text)).err().expect("a key that is none was taken");
    assert!(
        told(&flaws)
            .contains("channels.email.imap.mailbux: there is no such key here\n    did you mean `mailbox`?")
    );
}

/// Secrets that are told from others by how they look.
const SECRETS: [(&str, &str); 4] = [
    ("AUDIT_KEY", "0123456789abcdef0123456789abcdef"),
    ("SLACK_BOT_TOKEN", "xoxb-x"),
    ("SLACK_APP_TOKEN", "xapp-x"),
    ("SLACK_SIGNING_SECRET", "a signing secret"),
];

/// A configuration with a fault of every sort, each line with what must be told of it: the key, and words of the
/// remedy.
const BROKEN: &[(&str, &[(&str, &str)])] = &[
    ("agents = \"AGENTS\"", &[]),
    ("stor = 1", &[("stor", "did you mean `store`?")]),
    ("default_agent = \"nobody\"", &[("default_agent", "the agents are: deploy, support")]),
    ("[runtime]", &[]),
    ("turns = \"many\"", &[("runtime.turns", "Threads stepped at the same time")]),
    ("drain = \"soon\"", &[("runtime.drain", "How long work in flight")]),
    ("send_for = \"later\"", &[("runtime.send_for", "How long a message is tried")]),
    ("[retention]", &[]),
    ("after = \"29d\"", &[("retention.after", "make it 30d or more")]),
    ("[audit]", &[]),
    ("every = \"often\"", &[("audit.every", "How long what was written waits")]),
    ("key_env = \"NOT_SET_2\"", &[("audit.key_env", "openssl rand -hex 32")]),
    ("[channels.web]", &[]),
    ("kind = \"web\"", &[]),
    ("listen = 7420", &[("channels.web.listen", "an IP address and a port")]),
    ("titel = \"x\"", &[("channels.web.titel", "did you mean `title`?")]),
    ("[channels.open]", &[("channels.open", "token_env")]),
    ("kind = \"web\"", &[]),
    ("listen = \"0.0.0.0:80\"", &[]),
    ("[channels.pigeon]", &[]),
    ("kind = \"pigeon\"", &[("channels.pigeon.kind", "the kinds are: discord, email, slack, web")]),
    ("[channels.nameless]", &[("channels.nameless", "the kinds are: discord, email, slack, web")]),
    ("[channels.mail]", &[("channels.mail", "export NOT_SET_1"), ("channels.mail", "set reply_address")]),
    ("kind = \"email\"", &[]),
    ("address = \"a-very-long-local-part@example.com\"", &[]),
    ("imap = { host = \"imap.example.com\", tls = \"plain\", password_env = \"NOT_SET_1\" }", &[]),
    ("smtp = { host = \"smtp.example.com\" }", &[]),
    ("[[routes]]", &[]),
    ("agent = \"ghost\"", &[("routes.0.agent", "the agents are: deploy, support")]),
    ("channel = \"tube\"", &[("routes.0.channel", "name one of [channels]")]),
    ("[channels.away]", &[("channels.away", "another name")]),
    ("kind = \"web\"", &[]),
    ("[members.ana]", &[]),
    ("web = \"you\"", &[]),
    ("telepathy = \"ana\"", &[("members.ana.telepathy", "names of channels")]),
    ("away = \"soon\"", &[("members.ana.away", "The days on which they are away")]),
    ("quiet = \"22:00\"", &[("members.ana.quiet", "The hours in which they are not asked")]),
    ("time_zone = \"Europe/Atlantis\"", &[("members.ana.time_zone", "write it like \"Europe/Berlin\"")]),
    ("delegate = \"ana\"", &[("members.ana.delegate", "name another member")]),
    (
        "prefers = [\"mail\", \"tube\"]",
        &[("members.ana.prefers.0", "add mail = "), ("members.ana.prefers.1", "name one of [channels]")],
    ),
    ("[members.bo]", &[]),
    ("web = \"you\"", &[("members.bo.web", "belongs to one member")]),
    ("delegate = \"zoe\"", &[("members.bo.delegate", "name one of [members]")]),
    ("[severities]", &[]),
    ("high = [\"tube\"]", &[("severities.high.0", "name one of [channels]")]),
    ("low = []", &[("severities.low", "name one or more of [channels]")]),
    ("[groups]", &[]),
    ("operators = [\"nobody\"]", &[("groups.operators.0", "add them under [members]")]),
    ("finance = [\"ana\"]", &[]),
    ("[desks.operators]", &[]),
    ("members = [\"operators\"]", &[]),
    ("via = \"tube\"", &[("desks.operators.via", "name one of [channels]")]),
    ("[desks.finance]", &[]),
    ("members = [\"finance\", \"strangers\"]", &[]),
    ("via = \"web\"", &[]),
    ("rooms = { tube = \"x\" }", &[("desks.finance.rooms.tube", "name one of [channels]")]),
    ("[desks.nowhere]", &[("desks.nowhere", "shared places in `rooms`")]),
    ("members = [\"ana\"]", &[]),
    ("[desks.mail]", &[("desks.mail", "add mail = ")]),
    ("members = [\"ana\"]", &[]),
    ("via = [\"mail\"]", &[]),
    ("[models.default]", &[]),
    ("providers = [\"missing\"]", &[("models.default.providers", "add [providers.missing]")]),
    ("[providers.open]", &[]),
    ("kind = \"openai\"", &[]),
    ("model = \"m\"", &[]),
    ("url = \"http://api.example.com/v1\"", &[("providers.open.url", "use https")]),
    ("attempts = 99", &[("providers.open.attempts", "leave it out for 3")]),
];

#[test]
fn every_fault_is_told_at_once_with_its_key_its_line_and_a_remedy() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.toml");
    let text: Vec<&str> = BROKEN.iter().map(|(line, _)| *line).collect();
    fs::write(&path, text.join("\n").replace("AGENTS", &root().join("agents").display().to_string()))
        .unwrap();
    let flaws = gateway::assemble(&path).err().expect("a broken configuration was taken");
    let mut missed = Vec::new();
    let mut wanted = 0;
    for (n, (line, faults)) in BROKEN.iter().enumerate() {
        for (key, remedy) in *faults {
            wanted += 1;
            let hit = flaws.iter().any(|flaw| {
                flaw.file == path.display().to_string()
                    && flaw.line == Some(n + 1)
                    && flaw.key == *key
                    && flaw.remedy.as_deref().is_some_and(|text| text.contains(remedy))
            });
            if !hit {
                missed.push(format!("line {} `{line}`: {key}, with `{remedy}`", n + 1));
            }
        }
    }
    assert!(wanted >= 15, "{wanted}");
    assert!(missed.is_empty(), "not told:\n{}\n\ntold was:\n{}", missed.join("\n"), told(&flaws));
    let helpless: Vec<String> =
        flaws.iter().filter(|flaw| flaw.remedy.is_none()).map(ToString::to_string).collect();
    assert!(helpless.is_empty(), "without a remedy:\n{}", helpless.join("\n"));
}

/// Three pages with one person each, who is the same on two of them.
const PAGES: &str = "\
agents = \"AGENTS\"
[channels.web]
kind = \"web\"
listen = \"127.0.0.1:7420\"
local = \"ana\"
[channels.side]
kind = \"web\"
listen = \"127.0.0.1:7421\"
local = \"ana\"
[channels.far]
kind = \"web\"
listen = \"127.0.0.1:7422\"
local = \"bo\"
[members.ana]
web = \"ana\"
side = \"ana\"
prefers = [\"side\"]
time_zone = \"Europe/Berlin\"
quiet = \"22:00-07:00\"
[members.bo]
far = \"bo\"
[groups]
operators = [\"ana\", \"bo\"]
finance = [\"ana\", \"bo\"]
[desks.operators]
members = [\"operators\"]
via = [\"web\", \"side\", \"far\"]
[desks.finance]
members = [\"finance\"]
via = [\"web\", \"side\", \"far\"]
mirror = true
[desks.hall]
members = [\"operators\"]
rooms = { side = \"ana\" }
[severities]
high = [\"side\"]
[models.default]
without_key = \"scripted\"
providers = []
";

#[test]
fn members_are_asked_where_they_prefer_or_everywhere() {
    testkit::init();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, PAGES.replace("AGENTS", &root().join("agents").display().to_string())).unwrap();
    let assembled = gateway::assemble(&path).unwrap_or_else(|flaws| panic!("{}", told(&flaws)));
    let directory = &assembled.directory;
    let asked = |desk: &str| {
        let places = directory.desks[desk].places.iter();
        places
            .map(|at| format!("{} on {}", at.member.as_deref().unwrap_or("a room"), at.at.channel))
            .collect::<Vec<_>>()
    };
    assert_eq!(asked("operators"), ["ana on side", "bo on far"]);
    assert_eq!(asked("finance"), ["ana on side", "ana on web", "bo on far"]);
    assert_eq!(asked("hall"), ["a room on side"]);
    assert_eq!(
        directory.desks["hall"].members,
        ["operators"],
        "who answers there may be asked in the room alone"
    );
    assert_eq!(directory.severities["high"], [channel::ChannelName::new("side")]);
    // The clock of the place, in summer.
    let evening: channel::Timestamp = "2026-07-01T20:00:00Z".parse().unwrap();
    let morning: channel::Timestamp = "2026-07-02T05:00:00Z".parse().unwrap();
    assert_eq!(directory.quiet_until("ana", evening), Some(morning));
    assert_eq!(directory.quiet_until("bo", evening), None);
}

/// One key that a configuration may have. In its path `*` stands for any name or place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    path: Vec<String>,
    default: Option<String>,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path.join("."))
    }
}

/// Every key: those of the whole, and those of each kind of channel.
fn keys() -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    collect(&agent::schema_of::<gateway::Config>(), &[], &mut keys);
    for kind in gateway::kinds() {
        collect(&(kind.schema)(), &["channels".to_owned(), format!("kind={}", kind.name)], &mut keys);
    }
    assert!(keys.len() > 60, "the schemas have only {} keys; were they read?", keys.len());
    keys
}

fn collect(schema: &Value, path: &[String], keys: &mut BTreeSet<Key>) {
    for word in ["anyOf", "oneOf", "allOf"] {
        for branch in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
            collect(branch, path, keys);
        }
    }
    let below = |name: &str| [path, &[name.to_owned()]].concat();
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let default = schema.get("default").map(ToString::to_string);
        keys.insert(Key { path: below(name), default });
        collect(schema, &below(name), keys);
    }
    for word in ["additionalProperties", "items"] {
        if let Some(schema) = schema.get(word).filter(|schema| schema.is_object()) {
            collect(schema, &below("*"), keys);
        }
    }
}

/// What stands in a file at a path, everywhere where it fits, as JSON.
fn values(file: &Value, path: &[String]) -> Vec<String> {
    let Some((key, rest)) = path.split_first() else { return vec![file.to_string()] };
    let children: Vec<&Value> = match (key.as_str(), file) {
        ("*", Value::Object(table)) => table.values().collect(),
        ("*", Value::Array(items)) => items.iter().collect(),
        (key, Value::Object(table)) => match key.strip_prefix("kind=") {
            Some(kind) => table.values().filter(|one| one.get("kind").is_some_and(|is| is == kind)).collect(),
            None => table.get(key).into_iter().collect(),
        },
        _ => Vec::new(),
    };
    children.into_iter().flat_map(|child| values(child, rest)).collect()
}

/// Whether two values mean the same: `"60s"` is `"1m"`.
fn same(a: &str, b: &str) -> bool {
    let span = |text: &str| channel::Span::parse(text.trim_matches('"')).ok();
    a == b || (span(a).is_some() && span(a) == span(b))
}

/// Whether a default says something that a file could show: not nothing, and not a table of further keys.
fn is_telling(default: &str) -> bool {
    !matches!(default, "null" | "[]" | "{}" | "\"\"") && !default.starts_with('{')
}

/// The file with every commented key and table taken out of its comment. A comment is one if the rest of its line is
/// TOML by itself.
fn uncommented(text: &str) -> String {
    let bare = |line: &str| {
        let rest = line.strip_prefix("# ")?;
        let table: toml::Table = toml::from_str(rest).ok()?;
        (!table.is_empty()).then(|| rest.to_owned())
    };
    text.lines().map(|line| bare(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// Writes a configuration whose examples come true: secrets are in the environment, files and people are there.
fn adapted(folder: &TempDir, text: &str) -> PathBuf {
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push(match line.split_once("_env = ") {
            // These must look like what they are; see `SECRETS`.
            Some((_, name)) if name.contains("SLACK_") || name.contains("AUDIT_") => line.to_owned(),
            Some((key, _)) => format!("{key}_env = \"{ALWAYS_SET}\""),
            None => line.to_owned(),
        });
    }
    let certificate = folder.path().join("ca.pem");
    fs::write(&certificate, CERTIFICATE).unwrap();
    let text = lines
        .join("\n")
        .replace("\"ca.pem\"", &format!("{:?}", certificate.display().to_string()))
        .replace(
            "agents = \"agents\"",
            &format!("agents = {:?}", root().join("agents").display().to_string()),
        )
        // With `people`, nobody on the page is `you` any more.
        .replace("web = \"you\"", "web = \"ana\"");
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    path
}

fn without_lines(text: &str, unwanted: impl Fn(&str) -> bool) -> String {
    text.lines().filter(|line| !unwanted(line)).collect::<Vec<_>>().join("\n")
}

fn parse(text: &str) -> Value {
    toml::from_str(text).unwrap_or_else(|error| panic!("config.toml, uncommented, is no TOML: {error}"))
}

fn told(flaws: &[agent::Flaw]) -> String {
    flaws.iter().map(|flaw| format!("{flaw}\n")).collect()
}

fn shipped() -> String {
    fs::read_to_string(root().join("config.toml")).unwrap()
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A certificate that nobody holds the key of.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUaicXy8YKLR7G7mnwb06To7uEf+wwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOY2EuZXhhbXBsZS5jb20wIBcNMjYxMTIzMDMyMzA0WhgPMjEy
NjEwMzAwMzIzMDRaMBkxFzAVBgNVBAMMDmNhLmV4YW1wbGUuY29tMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEO/tzflWgkrq1wviQcZ80Gm0FIlnAc5vNfYx+37h5
Wn0HqAVpFyWT0VmXW7hDOyWa7P9xCqE+eXJ3Mm/vNScSSaNTMFEwHQYDVR0OBBYE
FF3N5C45Nm3J2TM8oG2Pi+QtsVzqMB8GA1UdIwQYMBaAFF3N5C45Nm3J2TM8oG2P
i+QtsVzqMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAPcoP0gd
1ZNOtADD1XXHW2EtUd8B+iedKh7t+F/4AuhKAiAa5qe3j6xT4rKJwHCxJOWcJYfi
+lEJtnDuDyBJ6Rarug==
-----END CERTIFICATE-----
";
