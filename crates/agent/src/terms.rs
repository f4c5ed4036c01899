//! The terms of an approval: how many must agree, where, by when, and what else.
//!
//! Invariant: their JSON stands in logs, so it is for ever. [`Terms::default`] is what holds where nothing is said: one approver is
//! enough, on any channel, and who does not answer has not agreed.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use channel::{ChannelName, Person, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::{
    canonical::canonical,
    directory::{Directory, Standing},
    seats::seated,
};

/// The terms of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// How many must approve.
    #[serde(skip_serializing_if = "is_default")]
    pub quorum: Quorum,
    /// Whether the person whose request it is may decide.
    #[serde(skip_serializing_if = "is_true")]
    pub requester_may: bool,
    /// The channels on which it may be decided; all of them, where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_on: Option<Vec<ChannelName>>,
    /// What happens when it was not decided in time.
    #[serde(skip_serializing_if = "is_default")]
    pub otherwise: Otherwise,
    /// Who was asked is asked again so long after the question, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remind: Vec<Span>,
    /// Where it is asked further as time passes, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ladder: Vec<Rung>,
    /// For how long, and in what, further calls may be like this one to be approved with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remember: Option<Remember>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            quorum: Quorum::default(),
            requester_may: true,
            decided_on: None,
            otherwise: Otherwise::default(),
            remind: Vec::new(),
            ladder: Vec::new(),
            remember: None,
        }
    }
}

/// How many must approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
pub enum Quorum {
    /// So many different people.
    Count(NonZeroU32),
    /// All of the approvers.
    All,
    /// For every name among the approvers one, and each time somebody else.
    Each,
}

impl Default for Quorum {
    fn default() -> Self {
        Self::Count(NonZeroU32::MIN)
    }
}

/// A quorum as it is written: `2`, `all`, `each`.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Count(NonZeroU32),
    Word(Word),
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    All,
    Each,
}

impl From<Written> for Quorum {
    fn from(written: Written) -> Self {
        match written {
            Written::Count(count) => Self::Count(count),
            Written::Word(Word::All) => Self::All,
            Written::Word(Word::Each) => Self::Each,
        }
    }
}

impl From<Quorum> for Written {
    fn from(quorum: Quorum) -> Self {
        match quorum {
            Quorum::Count(count) => Self::Count(count),
            Quorum::All => Self::Word(Word::All),
            Quorum::Each => Self::Word(Word::Each),
        }
    }
}

/// What happens when an approval was not decided in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// The call does not run.
    #[default]
    Deny,
    /// The call runs; only for tools of low risk.
    Allow,
    /// A human takes the conversation over.
    HandOver,
}

/// A further desk, asked when so much time has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rung {
    /// How long after the question.
    pub after: Span,
    /// The desk.
    pub desk: String,
    /// Members and groups who may decide from then on, beside the approvers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
}

/// For how long an approval holds for further calls, and what these must have in common with the one that was approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Remember {
    /// How long.
    #[serde(rename = "for")]
    pub lasts: Span,
    /// For each argument how it may differ; one that is not named must be the same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Like>,
}

/// How an argument may differ from the one that was approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Like {
    /// Not at all.
    Same,
    /// A number from zero to the one that was approved.
    AtMost,
    /// As it likes.
    Any,
}

/// Somebody's yes.
#[derive(Clone, Copy, Debug)]
pub struct Vote<'a> {
    /// Whose.
    pub by: &'a Person,
    /// The member in whose stead they said it.
    pub instead_of: Option<&'a str>,
}

/// Whether enough have approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met {
    /// They have.
    Yes,
    /// These must yet; never empty.
    Not(Vec<Missing>),
}

/// Who must approve yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// This member.
    Member(String),
    /// So many more, each of whom is one of these or in one of these groups.
    Of {
        /// How many.
        more: usize,
        /// Members and groups.
        names: Vec<String>,
    },
}

/// What keeps somebody from deciding who is among the approvers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// It is their own request, and somebody else must decide.
    Requester,
    /// It may not be decided on their channel.
    Channel,
}

impl Terms {
    /// Whether this is all as where nothing is said.
    pub fn is_default(&self) -> bool {
        is_default(self)
    }

    /// What keeps somebody from deciding, whatever they are allowed otherwise; `standing` is what they answer as.
    ///
    /// Here a requester is taken at their word: who had a request sent in a way that proves nothing may not approve it in one that
    /// does.
    pub fn bars(
        &self,
        directory: &Directory,
        requester: Option<&Person>,
        person: &Person,
        standing: &Standing,
    ) -> Option<Bar> {
        let theirs = |requester: &Person| {
            let member = directory.named(requester);
            directory.same_human(requester, person)
                || (requester.channel == person.channel && requester.id == person.id)
                || (member.is_some()
                    && [standing.member.as_deref(), standing.instead_of.as_deref()].contains(&member))
        };
        if !self.requester_may && requester.is_some_and(theirs) {
            return Some(Bar::Requester);
        }
        (!self.is_decided_on(&person.channel)).then_some(Bar::Channel)
    }

    /// Whether it may be decided on this channel.
    pub fn is_decided_on(&self, channel: &ChannelName) -> bool {
        self.decided_on.as_ref().is_none_or(|channels| channels.contains(channel))
    }
}

impl Quorum {
    /// Whether these votes are enough. Who is no approver, and does not stand in for one, does not count; who votes twice counts
    /// once, on however many channels.
    ///
    /// Somebody who stands in for others counts once, too: nobody decides for two. Of nobody there is no quorum.
    pub fn is_met(&self, approvers: &[String], directory: &Directory, votes: &[Vote<'_>]) -> Met {
        let voices = voices(directory, votes);
        match self {
            Self::Count(count) => {
                let wanted = usize::try_from(count.get()).unwrap_or(usize::MAX);
                let counted = voices.iter().filter(|voice| voice.speaks_for(directory, approvers)).count();
                match wanted.saturating_sub(counted) {
                    0 => Met::Yes,
                    more => Met::Not(vec![Missing::of(directory, more, approvers.to_vec())]),
                }
            }
            Self::Each => filled(directory, approvers, &voices, |voice, name| {
                voice.speaks_for(directory, std::slice::from_ref(name))
            }),
            // Who has a role only their platform knows, so nobody could say that these are all.
            Self::All if directory.has_roles(approvers) => {
                Met::Not(vec![Missing::of(directory, 1, approvers.to_vec())])
            }
            Self::All => {
                let members: Vec<String> =
                    directory.roster(approvers).into_iter().map(str::to_owned).collect();
                filled(directory, &members, &voices, |voice, member| {
                    directory.member(voice.human) == Some(member) && !voice.own.is_empty()
                        || voice.instead_of.contains(member.as_str())
                })
            }
        }
    }
}

impl Met {
    /// Who must approve yet, in words: `one more of finance and ben must approve`. Nothing when nobody must.
    pub fn missing(&self) -> Option<String> {
        let Self::Not(missing) = self else { return None };
        let words: Vec<String> = missing.iter().map(Missing::words).collect();
        Some(format!("{} must approve", list(&words, "and")))
    }
}

impl Missing {
    fn of(directory: &Directory, more: usize, names: Vec<String>) -> Self {
        match &names[..] {
            [name] if more == 1 && directory.is_member(name) => Self::Member(name.clone()),
            _ => Self::Of { more, names },
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Member(name) => name.clone(),
            Self::Of { names, .. } if names.is_empty() => "somebody, and there is nobody who may,".to_owned(),
            Self::Of { more, names } => {
                let count = match more {
                    1 => "one".to_owned(),
                    2 => "two".to_owned(),
                    3 => "three".to_owned(),
                    more => more.to_string(),
                };
                format!("{count} more of {}", list(names, "or"))
            }
        }
    }
}

impl Remember {
    /// Whether a call with these arguments is like the one that was approved.
    pub fn covers(&self, approved: &Value, asked: &Value) -> bool {
        let (Value::Object(before), Value::Object(now)) = (approved, asked) else { return false };
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        names.into_iter().all(|name| {
            let pair = (before.get(name), now.get(name));
            match (self.args.get(name).unwrap_or(&Like::Same), pair) {
                (Like::Any, _) => true,
                (Like::AtMost, (Some(Value::Number(most)), Some(Value::Number(number)))) => {
                    is_at_most(number, most)
                }
                (Like::AtMost | Like::Same, (Some(before), Some(now))) => canonical(before) == canonical(now),
                (Like::AtMost | Like::Same, _) => false,
            }
        })
    }
}

/// Whether a number is from zero to `most`. What cannot be compared exactly is not.
fn is_at_most(number: &Number, most: &Number) -> bool {
    const EXACT_TO: u64 = 1 << 53;
    let (whole, whole_most) = (number.as_u64(), most.as_u64());
    if let (Some(number), Some(most)) = (whole, whole_most) {
        return number <= most;
    }
    let exact = |whole: Option<u64>| whole.is_none_or(|whole| whole <= EXACT_TO);
    let (Some(as_float), Some(as_float_most)) = (number.as_f64(), most.as_f64()) else { return false };
    exact(whole) && exact(whole_most) && (0.0..=as_float_most).contains(&as_float)
}

/// What one human has said yes to.
struct Voice<'a> {
    human: &'a Person,
    /// The identities by which they spoke for themselves.
    own: Vec<&'a Person>,
    /// The members in whose stead they spoke, who have not spoken themselves.
    instead_of: BTreeSet<&'a str>,
}

impl Voice<'_> {
    fn speaks_for(&self, directory: &Directory, names: &[String]) -> bool {
        let roster = directory.roster(names);
        self.own.iter().any(|person| directory.is_among(names, person))
            || self.instead_of.iter().any(|member| roster.contains(member))
    }
}

/// The votes by who gave them. Of a member there is one voice: their own, or that of the first who spoke in their stead.
fn voices<'a>(directory: &Directory, votes: &[Vote<'a>]) -> Vec<Voice<'a>> {
    let mut voices: Vec<Voice<'a>> = Vec::new();
    for Vote { by, instead_of } in votes.iter().filter(|vote| vote.by.verified.is_proven()) {
        let known = voices.iter().position(|voice| directory.same_human(voice.human, by));
        let place = known.unwrap_or(voices.len());
        if known.is_none() {
            voices.push(Voice { human: by, own: Vec::new(), instead_of: BTreeSet::new() });
        }
        match instead_of {
            None => voices[place].own.push(by),
            Some(member) => _ = voices[place].instead_of.insert(member),
        }
    }
    let mut heard: BTreeSet<String> = BTreeSet::new();
    for voice in voices.iter().filter(|voice| !voice.own.is_empty()) {
        heard.extend(directory.member(voice.human).map(str::to_owned));
    }
    for voice in &mut voices {
        voice.instead_of.retain(|member| heard.insert((*member).to_owned()));
    }
    voices
}

/// Whether for every name there is a voice of its own.
fn filled(
    directory: &Directory,
    names: &[String],
    voices: &[Voice<'_>],
    fits: impl Fn(&Voice<'_>, &String) -> bool,
) -> Met {
    let fitting = |name| (0..voices.len()).filter(|voice| fits(&voices[*voice], name)).collect();
    let fitting: Vec<BTreeSet<usize>> = names.iter().map(fitting).collect();
    if names.is_empty() {
        return Met::Not(vec![Missing::of(directory, 1, Vec::new())]);
    }
    let missing = seated(&fitting, voices.len()).open.into_iter().map(|(more, seats)| {
        let mut wanted: Vec<String> = Vec::new();
        for name in seats.into_iter().map(|seat| &names[seat]) {
            if !wanted.contains(name) {
                wanted.push(name.clone());
            }
        }
        Missing::of(directory, more, wanted)
    });
    let missing: Vec<Missing> = missing.collect();
    if missing.is_empty() { Met::Yes } else { Met::Not(missing) }
}

/// `a, b and c`.
pub(crate) fn list(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_true(value: &bool) -> bool {
    *value
}
