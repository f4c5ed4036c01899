//! From the configuration to the humans: members, groups, desks, and the channels on which what is severe is decided.

use std::{collections::BTreeMap, sync::Arc};

use agent::{AskedAt, Desk, Directory, Flaw, Member, Source};
use channel::{Address, Channel, ChannelName, Place};
use jiff::tz::TimeZone;

use crate::config::{Config, DeskSpec, MemberSpec};

/// The humans of a configuration, and what is wrong with them. Channels that are configured and not sound are not among `channels`.
pub(crate) fn directory(
    source: Source<'_>,
    config: &Config,
    channels: &BTreeMap<ChannelName, Arc<dyn Channel>>,
) -> (Directory, Vec<Flaw>) {
    let mut people = People { source, config, channels, flaws: Vec::new() };
    let directory = people.directory();
    (directory, people.flaws)
}

struct People<'a> {
    source: Source<'a>,
    config: &'a Config,
    channels: &'a BTreeMap<ChannelName, Arc<dyn Channel>>,
    flaws: Vec<Flaw>,
}

impl People<'_> {
    fn flaw(&mut self, path: &[&str], what: impl Into<String>, remedy: impl Into<String>) {
        self.flaws.push(self.source.flaw(path, what, Some(remedy.into())));
    }

    fn directory(&mut self) -> Directory {
        let config = self.config;
        let mut directory = Directory { groups: config.groups.clone(), ..Directory::default() };
        for name in config.channels.keys().filter(|name| MemberSpec::RESERVED.contains(&name.as_str())) {
            let what = format!("no channel may have the name `{name}`: it is a key of [members.…]");
            self.flaw(&["channels", name], what, "give it another name");
        }
        for (name, spec) in &config.members {
            let member = self.member(name, spec);
            directory.members.insert(name.clone(), member);
        }
        self.identities();
        self.groups();
        for (name, spec) in &config.desks {
            let desk = self.desk(name, spec, &directory);
            directory.desks.insert(name.clone(), desk);
        }
        for (name, on) in &config.severities {
            if on.is_empty() {
                self.flaw(
                    &["severities", name],
                    "what is so severe could be decided nowhere",
                    "name one or more of [channels]",
                );
            }
            for (n, channel) in on.iter().enumerate() {
                self.known(&["severities", name, &n.to_string()], channel);
            }
            directory.severities.insert(name.clone(), on.iter().map(ChannelName::new).collect());
        }
        directory
    }

    /// Whether a channel is configured; told, if it is not.
    fn known(&mut self, path: &[&str], channel: &str) -> bool {
        let known = self.config.channels.contains_key(channel);
        if !known {
            self.flaw(path, format!("there is no channel `{channel}`"), "name one of [channels]");
        }
        known
    }

    fn member(&mut self, name: &str, spec: &MemberSpec) -> Member {
        let path = |key| ["members", name, key];
        for channel in spec.ids.keys().filter(|channel| !self.config.channels.contains_key(*channel)) {
            let what = format!("there is no channel `{channel}`");
            let keys = MemberSpec::RESERVED.join(", ");
            let remedy = format!("the keys of a member are names of channels under [channels], and {keys}");
            self.flaws.push(self.source.flaw(&path(channel), what, Some(remedy)));
        }
        for (n, channel) in spec.prefers.iter().enumerate() {
            let place = n.to_string();
            let path = ["members", name, "prefers", &place];
            if self.known(&path, channel) && !spec.ids.contains_key(channel) {
                let what = format!("{name} has no id on the channel `{channel}`");
                self.flaw(
                    &path,
                    what,
                    format!("add {channel} = \"…\" to [members.{name}], or leave this out"),
                );
            }
        }
        if let Some(delegate) = &spec.delegate {
            if delegate == name {
                self.flaw(&path("delegate"), "nobody stands in for themselves", "name another member");
            } else if !self.config.members.contains_key(delegate) {
                let what = format!("there is no member `{delegate}`");
                self.flaw(&path("delegate"), what, "name one of [members]; a group cannot stand in");
            }
        }
        let time_zone = TimeZone::get(&spec.time_zone).unwrap_or_else(|_| {
            let what = format!("this machine knows no time zone `{}`", spec.time_zone);
            let remedy = "write it like \"Europe/Berlin\"; if it is one, install the system's package tzdata";
            self.flaw(&path("time_zone"), what, remedy);
            TimeZone::UTC
        });
        let place = |(channel, id): (&String, &String)| {
            let channel = ChannelName::new(channel);
            let place = self.channels.get(&channel)?.place(id).ok()?;
            Some((channel, place))
        };
        Member {
            places: spec.ids.iter().filter_map(place).collect(),
            ids: spec.ids.iter().map(|(channel, id)| (ChannelName::new(channel), id.clone())).collect(),
            away: spec.away,
            delegate: spec.delegate.clone(),
            quiet: spec.quiet,
            time_zone,
            prefers: spec.prefers.iter().map(ChannelName::new).collect(),
        }
    }

    /// An identity is one member's: whose else would an answer be?
    fn identities(&mut self) {
        let mut whose: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for (name, spec) in &self.config.members {
            for (channel, id) in &spec.ids {
                if let Some(other) = whose.insert((channel, id), name) {
                    let what = format!("{other} has this id, too");
                    self.flaw(&["members", name, channel], what, "an id belongs to one member");
                }
            }
        }
    }

    fn groups(&mut self) {
        let config = self.config;
        for (name, members) in &config.groups {
            if config.members.contains_key(name) {
                self.flaw(
                    &["groups", name],
                    "a group and a member have this name",
                    "give one of them another",
                );
            }
            for (n, member) in members.iter().enumerate() {
                let place = n.to_string();
                match member.split_once(':') {
                    Some((channel, role)) if !config.channels.contains_key(channel) || role.is_empty() => {
                        let what = format!("`{member}` is no role: there is no channel `{channel}`");
                        self.flaw(
                            &["groups", name, &place],
                            what,
                            "write a channel under [channels], `:` and the role's id",
                        );
                    }
                    None if !config.members.contains_key(member) => {
                        let what = format!("there is no member `{member}`");
                        self.flaw(&["groups", name, &place], what, "add them under [members]");
                    }
                    Some(_) | None => {}
                }
            }
        }
    }

    fn desk(&mut self, name: &str, spec: &DeskSpec, directory: &Directory) -> Desk {
        if name == "origin" {
            self.flaw(
                &["desks", name],
                "`origin` means the place a request came from",
                "choose another name",
            );
        }
        let via: Vec<String> = spec.via.clone().map(Vec::from).unwrap_or_default();
        if via.is_empty() && spec.rooms.is_empty() {
            self.flaw(
                &["desks", name],
                "nobody is asked at this desk",
                "name a channel in `via` on which its members are asked, or shared places in `rooms`",
            );
        }
        for (n, member) in spec.members.iter().enumerate() {
            if !directory.members.contains_key(member) && !directory.groups.contains_key(member) {
                let place = n.to_string();
                let what = format!("there is no member or group `{member}`");
                self.flaw(&["desks", name, "members", &place], what, "add them under [members] or [groups]");
            }
        }
        let mut sound = true;
        for channel in &via {
            sound &= self.known(&["desks", name, "via"], channel);
        }
        let via: Vec<ChannelName> = via.iter().map(ChannelName::new).collect();
        let mut places = Vec::new();
        // Where a channel is none that there is, nobody can have an id on it; that was just told.
        for member in directory.roster(&spec.members).into_iter().filter(|_| sound && !via.is_empty()) {
            let ids = directory.members.get(member).map(|known| on(known, &via)).unwrap_or_default();
            if ids.is_empty() {
                let names = via.iter().map(|channel| format!("`{channel}`")).collect::<Vec<_>>().join(" or ");
                let what = format!("{member} has no id on the channel {names}");
                let channel = &via[0];
                self.flaw(&["desks", name], what, format!("add {channel} = \"…\" to [members.{member}]"));
            }
            for (channel, id) in ids.into_iter().take(if spec.mirror { usize::MAX } else { 1 }) {
                if let Some(at) = self.place(channel, id, &["members", member, channel.as_str()]) {
                    places.push(AskedAt { at, member: Some(member.to_owned()) });
                }
            }
        }
        for (channel, room) in &spec.rooms {
            let path = ["desks", name, "rooms", channel];
            if self.known(&path, channel)
                && let Some(at) = self.place(&ChannelName::new(channel), room, &path)
            {
                places.push(AskedAt { at, member: None });
            }
        }
        Desk { members: spec.members.clone(), places }
    }

    /// The place that a channel makes of an id; told, if it makes none. A channel that is not sound was told before, and what hangs
    /// on it is no flaw of its own.
    fn place(&mut self, channel: &ChannelName, id: &str, path: &[&str]) -> Option<Address> {
        let minted =
            self.channels.get(channel).map_or_else(|| Ok(Place::new(id)), |channel| channel.place(id));
        match minted {
            Ok(place) => Some(Address { channel: channel.clone(), place }),
            Err(error) => {
                let remedy = error.remedy.unwrap_or_else(|| "write the id as the channel knows it".into());
                self.flaw(path, error.what, remedy);
                None
            }
        }
    }
}

/// A member's ids on these channels, the one on the channel that they prefer first.
fn on<'a>(member: &'a Member, via: &'a [ChannelName]) -> Vec<(&'a ChannelName, &'a str)> {
    let mut ids: Vec<_> =
        via.iter().filter_map(|channel| Some((channel, member.ids.get(channel)?.as_str()))).collect();
    let wanted = |channel: &ChannelName| member.prefers.iter().position(|prefers| prefers == channel);
    ids.sort_by_key(|(channel, _)| wanted(channel).unwrap_or(usize::MAX));
    ids.dedup();
    ids
}
