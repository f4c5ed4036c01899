//! `switchboard KIND manifest`: what a platform is given to know this gateway by, for every kind of channel there is.
//!
//! Whoever sets a channel up needs this before anything else is there: it reads the one table it is about, and no secret.

use std::path::Path;

use agent::{Flaw, Source, parse};
use clap::{Arg, ArgMatches, Command, FromArgMatches, Subcommand};
use serde_json::{Map, Value};

use crate::channels::{kinds, without_kind};

/// Commands of one kind of channel. They stand on the command line under the kind's name, for whatever kinds there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KindCommand {
    /// Print the manifest.
    Manifest {
        /// The value of `kind`.
        kind: String,
        /// The channel whose settings count, where several are of this kind.
        channel: Option<String>,
    },
}

impl Subcommand for KindCommand {
    fn augment_subcommands(command: Command) -> Command {
        kinds().iter().fold(command, |command, kind| command.subcommand(command_of(kind.name)))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        kinds().iter().any(|kind| kind.name == name)
    }
}

impl FromArgMatches for KindCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (kind, matches) = matches.subcommand().ok_or_else(missing)?;
        let (_, matches) = matches.subcommand().ok_or_else(missing)?;
        let channel = matches.get_one::<String>("channel").cloned();
        Ok(Self::Manifest { kind: kind.to_owned(), channel })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn command_of(kind: &'static str) -> Command {
    let channel = Arg::new("channel")
        .long("channel")
        .value_name("NAME")
        .help("The channel whose settings count, where several are of this kind");
    let manifest = Command::new("manifest")
        .about(
            "Print what the platform is given to know this gateway by; works before anything else is set up",
        )
        .arg(channel);
    Command::new(kind)
        .about(format!("Set up channels of the kind `{kind}`"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(manifest)
}

/// A manifest, and what the operator should know about it.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// What the platform is given.
    pub(crate) text: String,
    /// That it was made without settings.
    pub(crate) note: Option<String>,
}

/// The manifest of a kind: for the configured channel of this kind, or for what is usual where none is configured.
///
/// # Errors
/// What is wrong with the file or with the one table; or that the kind takes no manifest.
pub(crate) fn manifest(path: &Path, kind: &str, channel: Option<&str>) -> Result<Manifest, String> {
    let file = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // Nothing is configured yet.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{file}: it cannot be read: {error}")),
    };
    let source = Source { file: &file, text: &text };
    let config = parse(source).map_err(listed)?;
    let entries = kinds();
    let entry = entries.iter().find(|entry| entry.name == kind);
    let entry = entry.ok_or_else(|| format!("there is no kind of channel `{kind}`"))?;
    let chosen = choose(&config, kind, channel)?;
    let made = match chosen {
        Some((name, table)) => {
            (entry.manifest)(source, &["channels", name], &without_kind(table)).map_err(listed)?
        }
        None => (entry.manifest)(source, &[], &Value::Object(Map::new())).map_err(|flaws| {
            format!("{file} has no channel of the kind `{kind}`, which needs settings:\n{}", wants(&flaws))
        })?,
    };
    let text = made.ok_or_else(|| format!("a channel of the kind `{kind}` takes no manifest"))?;
    let note = chosen.is_none().then(|| {
        format!("{file} has no channel of the kind `{kind}`; this is the manifest for its usual settings")
    });
    Ok(Manifest { text, note })
}

fn listed(flaws: Vec<Flaw>) -> String {
    flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What settings that are not there would have to say. There is no line to name.
fn wants(flaws: &[Flaw]) -> String {
    let want = |flaw: &Flaw| match &flaw.remedy {
        Some(remedy) => format!("  {}\n    {remedy}", flaw.what),
        None => format!("  {}", flaw.what),
    };
    flaws.iter().map(want).collect::<Vec<_>>().join("\n")
}

/// The configured channel that is meant, with its name; nothing where none is of this kind.
fn choose<'a>(
    config: &'a Value,
    kind: &str,
    channel: Option<&str>,
) -> Result<Option<(&'a str, &'a Value)>, String> {
    let tables = config.get("channels").and_then(Value::as_object);
    let of_kind: Vec<(&str, &Value)> = tables
        .into_iter()
        .flatten()
        .filter(|(_, table)| table.get("kind").and_then(Value::as_str) == Some(kind))
        .map(|(name, table)| (name.as_str(), table))
        .collect();
    let names = of_kind.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    match (channel, of_kind.as_slice()) {
        (Some(wanted), found) => match found.iter().find(|(name, _)| *name == wanted) {
            Some(found) => Ok(Some(*found)),
            None if names.is_empty() => Err(format!("there is no channel of the kind `{kind}`")),
            None => Err(format!("there is no channel `{wanted}` of the kind `{kind}`; there is: {names}")),
        },
        (None, []) => Ok(None),
        (None, [one]) => Ok(Some(*one)),
        (None, [_, _, ..]) => Err(format!(
            "there are several channels of the kind `{kind}`; choose one with --channel: {names}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn no_kind_of_channel_has_the_name_of_a_command() {
        // It would be one command of two meanings, which clap refuses.
        Cli::command().debug_assert();
    }

    #[test]
    fn a_channel_is_chosen_by_its_kind_and_by_its_name() {
        let config = serde_json::json!({ "channels": {
            "a": { "kind": "x" }, "b": { "kind": "y" }, "c": { "kind": "y" }, "d": { "kind": 1 }, "e": "y",
        } });
        let name = |kind, channel| choose(&config, kind, channel).map(|found| found.map(|(name, _)| name));
        assert_eq!(name("x", None), Ok(Some("a")));
        assert_eq!(name("y", Some("c")), Ok(Some("c")));
        assert_eq!(name("z", None), Ok(None));
        let several = name("y", None).unwrap_err();
        assert!(several.contains("--channel: b, c"), "{several}");
        let other = name("y", Some("a")).unwrap_err();
        assert!(other.contains("no channel `a`") && other.contains("b, c"), "{other}");
        assert!(name("z", Some("a")).is_err());
        assert_eq!(choose(&serde_json::json!({ "channels": 1 }), "x", None), Ok(None));
    }
}
