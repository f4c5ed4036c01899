//! `switchboard members`: who has proven to be whom.

use agent::{Directory, Identity, Linked};
use clap::Subcommand;
use serde_json::Value;

/// Look at the humans.
#[derive(Debug, Subcommand)]
pub enum MembersCommand {
    /// What people have shown with codes: that an identity on one channel and one on another are the same person, and what to write in
    /// the configuration for it. A person writes `link` to the bot on one channel, and the code they get on another. Gateways may run.
    Link,
}

/// What was shown, and what there is to write.
pub(crate) fn told(linked: &[Linked], directory: &Directory) -> String {
    if linked.is_empty() {
        return "nobody has brought a code yet: a person writes `link` to the bot, and what they get on their other channel\n"
            .to_owned();
    }
    linked.iter().map(|linked| one(linked, directory)).collect()
}

fn one(linked: &Linked, directory: &Directory) -> String {
    let Linked { first, second, until } = linked;
    let who = |identity: &Identity| {
        format!(
            "{:?} on {}, whose name was {:?} (known by {:?})",
            identity.id, identity.channel, identity.name, identity.by
        )
    };
    // Every text as JSON writes it is one to TOML, too.
    let line =
        |identity: &Identity| format!("    {} = {}\n", identity.channel, Value::from(identity.id.as_str()));
    let remedy = match linked.members(directory) {
        (Some(one), Some(other)) if one == other => format!("  They are {one} already.\n"),
        (Some(one), Some(other)) => {
            format!("  They are two members, {one} and {other}: if that is one person, make them one.\n")
        }
        (Some(name), None) => format!("  To take it over, add to [members.{name}]:\n{}", line(second)),
        (None, Some(name)) => format!("  To take it over, add to [members.{name}]:\n{}", line(first)),
        (None, None) => {
            format!(
                "  Neither is a member. To make them one:\n    [members.NAME]\n{}{}",
                line(first),
                line(second)
            )
        }
    };
    format!("{}\n  is also {}\n  shown before {until:.0}\n{remedy}", who(first), who(second))
}
