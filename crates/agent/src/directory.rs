//! Who is who: members, groups and desks, as configured.

use std::collections::{BTreeMap, BTreeSet};

use channel::{ChannelName, Person};

use crate::event::{AskedAt, Audience, Question};

/// The configured humans and where they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// Members by name, with their immutable id on each channel.
    pub members: BTreeMap<String, BTreeMap<ChannelName, String>>,
    /// Groups by name, with the members in them, and roles of a platform: `CHANNEL:ROLE`.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Desks by name, with the places where their cards go.
    pub desks: BTreeMap<String, Vec<AskedAt>>,
}

impl Directory {
    /// The member that a person is. Names never decide, and a claimed id is nobody's.
    pub fn member(&self, person: &Person) -> Option<&str> {
        if !person.verified.is_proven() {
            return None;
        }
        self.members
            .iter()
            .find(|(_, identities)| identities.get(&person.channel) == Some(&person.id))
            .map(|(name, _)| name.as_str())
    }

    /// The members behind a list of members and groups. Unknown names are nobody.
    pub fn roster<'a>(&'a self, names: &'a [String]) -> BTreeSet<&'a str> {
        names
            .iter()
            .flat_map(|name| match self.groups.get(name) {
                Some(group) => group.iter().map(String::as_str).collect(),
                None => vec![name.as_str()],
            })
            .filter(|name| self.members.contains_key(*name))
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
        !self.roster(names).is_empty() || self.roles(names).next().is_some()
    }

    /// The roles that groups name.
    fn roles<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a String> {
        names.iter().filter_map(|name| self.groups.get(name)).flatten().filter(|entry| entry.contains(':'))
    }

    /// Where a desk is asked, and who may answer there: its members, or `others` where all its places are shared.
    pub(crate) fn desk(&self, name: &str, others: &[String]) -> (Vec<AskedAt>, Vec<String>) {
        let places = self.desks.get(name).cloned().unwrap_or_default();
        let members: Vec<String> = places.iter().filter_map(|asked| asked.member.clone()).collect();
        if members.is_empty() { (places, others.to_vec()) } else { (places, members) }
    }

    /// Whether a person may answer a question. The one function for every path by which an answer comes.
    ///
    /// `requester` is the person whose request it is. An empty roster permits nobody.
    pub fn may_answer(&self, question: &Question, person: &Person) -> bool {
        let Audience { requester, members } = &question.audience;
        let is_requester = *requester
            && question.requester.as_ref().is_some_and(|who| {
                who.channel == person.channel
                    && who.id == person.id
                    && (person.verified.is_proven() || !who.verified.is_proven())
            });
        is_requester || self.is_among(members, person)
    }
}

#[cfg(test)]
mod tests {
    use channel::Verified;

    use super::*;

    #[test]
    fn a_role_counts_where_the_platform_said_so_and_nowhere_else() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut directory = Directory::default();
        directory.members.insert("ana".into(), BTreeMap::from([(ChannelName::new("chat"), "7".into())]));
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
