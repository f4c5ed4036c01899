//! Who is who: members, groups and desks, as configured.

use std::collections::{BTreeMap, BTreeSet};

use channel::{ChannelName, Person};

use crate::event::{AskedAt, Audience, Question};

/// The configured humans and where they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// Members by name, with their immutable id on each channel.
    pub members: BTreeMap<String, BTreeMap<ChannelName, String>>,
    /// Groups by name, with the members in them.
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
        let is_member = self.member(person).is_some_and(|member| self.roster(members).contains(member));
        is_requester || is_member
    }
}
