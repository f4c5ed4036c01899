//! Who is who: members, groups and desks, as configured.

use std::collections::{BTreeMap, BTreeSet};

use channel::{Address, ChannelName, Person, Place, Timestamp};
use jiff::tz::TimeZone;

use crate::{
    calendar::{Days, Hours},
    event::{AskedAt, Audience},
};

/// The configured humans and where they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// Members by name.
    pub members: BTreeMap<String, Member>,
    /// Groups by name, with the members in them, and roles of a platform: `CHANNEL:ROLE`.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Desks by name.
    pub desks: BTreeMap<String, Desk>,
    /// For each severity the channels on which an approval of it may be decided.
    pub severities: BTreeMap<String, Vec<ChannelName>>,
}

/// A human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Their immutable id on each channel. No two members have the same.
    pub ids: BTreeMap<ChannelName, String>,
    /// Their own place on each channel where they can be asked.
    pub places: BTreeMap<ChannelName, Place>,
    /// When they are away.
    pub away: Option<Days>,
    /// The member who may answer in their place meanwhile. Whoever stands in for that one does not.
    pub delegate: Option<String>,
    /// When they want to be left alone.
    pub quiet: Option<Hours>,
    /// Where their days and hours are those of the clock.
    pub time_zone: TimeZone,
    /// The channels on which they want to be asked, the most wanted first.
    pub prefers: Vec<ChannelName>,
}

impl Member {
    /// A member with these ids, who is there at all times.
    pub fn new(ids: impl IntoIterator<Item = (ChannelName, String)>) -> Self {
        Self {
            ids: ids.into_iter().collect(),
            places: BTreeMap::new(),
            away: None,
            delegate: None,
            quiet: None,
            time_zone: TimeZone::UTC,
            prefers: Vec::new(),
        }
    }
}

/// Where people are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desk {
    /// The members and groups who answer there; where there is nobody, whoever may answer the question anyway.
    pub members: Vec<String>,
    /// The places: members' own, and shared ones.
    pub places: Vec<AskedAt>,
}

/// What somebody answers as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The member who they are, if they are one.
    pub member: Option<String>,
    /// The member in whose stead they answer; none where it is for themselves.
    pub instead_of: Option<String>,
}

impl Directory {
    /// The member that a person is. Names never decide, and a claimed id is nobody's.
    pub fn member(&self, person: &Person) -> Option<&str> {
        self.named(person).filter(|_| person.verified.is_proven())
    }

    /// The member whose id this is, whether it is proven or claimed.
    pub(crate) fn named(&self, person: &Person) -> Option<&str> {
        self.members
            .iter()
            .find(|(_, member)| member.ids.get(&person.channel) == Some(&person.id))
            .map(|(name, _)| name.as_str())
    }

    /// Whether a name is a member's and no group's.
    pub(crate) fn is_member(&self, name: &str) -> bool {
        self.members.contains_key(name) && !self.groups.contains_key(name)
    }

    /// Whether two people are certainly the same human: the same identity, or two of the same member. What is only claimed is
    /// nobody's.
    pub fn same_human(&self, a: &Person, b: &Person) -> bool {
        let proven = a.verified.is_proven() && b.verified.is_proven();
        let same_id = a.channel == b.channel && a.id == b.id;
        proven && (same_id || (self.member(a).is_some() && self.member(a) == self.member(b)))
    }

    /// Whether a member is away.
    pub fn is_away(&self, member: &str, now: Timestamp) -> bool {
        let member = self.members.get(member);
        member.is_some_and(|member| member.away.is_some_and(|away| away.contain(now, &member.time_zone)))
    }

    /// Who stands in for a member, who is away.
    pub fn stands_in(&self, member: &str, now: Timestamp) -> Option<&str> {
        let delegate = self.members.get(member)?.delegate.as_deref()?;
        (delegate != member && self.members.contains_key(delegate) && self.is_away(member, now))
            .then_some(delegate)
    }

    /// Until when a member wants to be left alone, if they do now.
    pub fn quiet_until(&self, member: &str, now: Timestamp) -> Option<Timestamp> {
        let member = self.members.get(member)?;
        member.quiet?.end(now, &member.time_zone)
    }

    /// Whether a member may give a question that these may answer to another one: who may answer it anyway, or their delegate.
    pub fn may_delegate(&self, names: &[String], from: &str, to: &str) -> bool {
        let delegate = self.members.get(from).and_then(|member| member.delegate.as_deref());
        from != to
            && self.members.contains_key(to)
            && (self.roster(names).contains(to) || delegate == Some(to))
    }

    /// The members behind a list of members and groups. Unknown names are nobody.
    pub fn roster(&self, names: &[String]) -> BTreeSet<&str> {
        names
            .iter()
            .flat_map(|name| self.groups.get(name).map_or(std::slice::from_ref(name), Vec::as_slice))
            .filter_map(|name| self.members.get_key_value(name))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Whether a person is among these members and groups, by their own id or by a role that the platform says they have.
    pub fn is_among(&self, names: &[String], person: &Person) -> bool {
        let is_member = self.member(person).is_some_and(|member| self.roster(names).contains(member));
        let has_role = |entry: &String| {
            let role = entry.strip_prefix(person.channel.as_str()).and_then(|role| role.strip_prefix(':'));
            role.is_some_and(|role| person.roles.iter().any(|has| has == role))
        };
        let mut roles = self.roles(names);
        is_member || (person.verified.is_proven() && roles.any(has_role))
    }

    /// Whether there could be anybody among these members and groups.
    pub(crate) fn is_somebody(&self, names: &[String]) -> bool {
        !self.roster(names).is_empty() || self.has_roles(names)
    }

    /// Whether these groups name a role, so that only a platform knows who is in them.
    pub(crate) fn has_roles(&self, names: &[String]) -> bool {
        self.roles(names).next().is_some()
    }

    /// The channels of the roles that these groups name.
    pub(crate) fn role_channels(&self, names: &[String]) -> BTreeSet<ChannelName> {
        self.roles(names)
            .filter_map(|role| role.split_once(':'))
            .map(|(channel, _)| ChannelName::new(channel))
            .collect()
    }

    /// The roles that groups name.
    fn roles<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a String> {
        names.iter().filter_map(|name| self.groups.get(name)).flatten().filter(|entry| entry.contains(':'))
    }

    /// Where a desk is asked, and who may answer there: its members, or `others` where it has none.
    pub(crate) fn desk(&self, name: &str, others: &[String]) -> (Vec<AskedAt>, Vec<String>) {
        let Desk { places, members } = self.desks.get(name).cloned().unwrap_or_default();
        if members.is_empty() { (places, others.to_vec()) } else { (places, members) }
    }

    /// What a person answers as where these may answer: for themselves, or in the stead of a member who is away. `None`:
    /// they may not.
    pub fn standing(&self, names: &[String], person: &Person, now: Timestamp) -> Option<Standing> {
        let member = self.member(person);
        if self.is_among(names, person) {
            return Some(Standing { member: member.map(str::to_owned), instead_of: None });
        }
        let member = member?;
        let absent =
            self.roster(names).into_iter().find(|absent| self.stands_in(absent, now) == Some(member))?;
        Some(Standing { member: Some(member.to_owned()), instead_of: Some(absent.to_owned()) })
    }

    /// Whether a person may answer a question that is for these, and what as. The one function for every path by which an
    /// answer comes.
    ///
    /// `requester` is the person whose request it is. An empty roster permits nobody.
    pub fn may_answer(
        &self,
        audience: &Audience,
        requester: Option<&Person>,
        person: &Person,
        now: Timestamp,
    ) -> Option<Standing> {
        if audience.requester && requester.is_some_and(|who| is_same(who, person)) {
            return Some(Standing { member: self.member(person).map(str::to_owned), instead_of: None });
        }
        self.standing(&audience.members, person, now)
    }

    /// The places, with whoever stands in for a member who is away asked in their stead.
    pub(crate) fn with_delegates(&self, places: Vec<AskedAt>, now: Timestamp) -> Vec<AskedAt> {
        let mut asked: Vec<AskedAt> = Vec::new();
        for place in &places {
            let delegate = place.member.as_deref().and_then(|member| self.stands_in(member, now));
            let own = delegate.and_then(|delegate| self.own_place(delegate, &places));
            let place = own.unwrap_or_else(|| place.clone());
            if !asked.contains(&place) {
                asked.push(place);
            }
        }
        asked
    }

    /// Where a member is asked by themself: on the channel that they prefer, else on one of those where it was asked already,
    /// else wherever they can be.
    pub(crate) fn own_place(&self, member: &str, asked: &[AskedAt]) -> Option<AskedAt> {
        let known = self.members.get(member)?;
        let wanted = known.prefers.iter().chain(asked.iter().map(|asked| &asked.at.channel));
        let channel =
            wanted.chain(known.places.keys()).find(|channel| known.places.contains_key(*channel))?;
        let place = known.places.get(channel)?.clone();
        Some(AskedAt { at: Address { channel: channel.clone(), place }, member: Some(member.to_owned()) })
    }
}

/// Whether somebody is the person who did something before: the same identity, and no mere claim where that was proven.
pub(crate) fn is_same(before: &Person, now: &Person) -> bool {
    before.channel == now.channel
        && before.id == now.id
        && (now.verified.is_proven() || !before.verified.is_proven())
}

#[cfg(test)]
mod tests {
    use channel::Verified;

    use super::*;

    #[test]
    fn a_role_counts_where_the_platform_said_so_and_nowhere_else() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut directory = Directory::default();
        directory.members.insert("ana".into(), Member::new([(ChannelName::new("chat"), "7".into())]));
        directory.groups.insert("finance".into(), names(&["ana", "chat:10/33"]));
        directory.groups.insert("ops".into(), names(&["ana"]));
        let person = |channel: &str, id: &str, roles: &[&str]| Person {
            channel: ChannelName::new(channel),
            id: id.into(),
            name: String::new(),
            verified: Verified::Proven { by: "a test".into() },
            roles: names(roles),
        };
        let finance = names(&["finance"]);
        assert!(directory.is_among(&finance, &person("chat", "7", &[])));
        assert!(directory.is_among(&finance, &person("chat", "8", &["10/32", "10/33"])));
        let claimed = Verified::Claimed { why: "a test".into(), remedy: None };
        let pretender = Person { verified: claimed, ..person("chat", "8", &["10/33"]) };
        for other in [
            person("chat", "8", &[]),
            person("chat", "8", &["10/3", "10/333", "33", ":10/33", "chat:10/33"]),
            person("chats", "8", &["10/33"]),
            person("page", "8", &["10/33", ":10/33"]),
            pretender,
        ] {
            assert!(!directory.is_among(&finance, &other), "{other:?}");
        }
        assert!(!directory.is_among(&names(&["ops"]), &person("chat", "8", &["10/33"])));
        assert!(!directory.is_among(&[], &person("chat", "7", &["10/33"])), "nobody is among nobody");
        // A role is named by groups only.
        assert!(!directory.is_among(&names(&["chat:10/33"]), &person("chat", "8", &["10/33"])));
        directory.groups.insert("roles".into(), names(&["chat:10/33"]));
        assert!(directory.is_somebody(&names(&["roles"])) && directory.roster(&names(&["roles"])).is_empty());
        assert!(!directory.is_somebody(&names(&["nobody"])));
    }
}
