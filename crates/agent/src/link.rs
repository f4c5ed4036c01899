//! Linking: one person proves that two identities are theirs, by taking a code from one channel to another.
//!
//! It changes nothing by itself: who is who stands in the configuration, and an operator who is told takes it over.

use channel::{Address, ChannelName, MessageRef, Person, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{directory::Directory, inert::clip};

/// The letters of a code: none that is easily taken for another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789=";
/// How many letters it has: so many that nobody finds one that holds by trying.
pub(crate) const CODE_LETTERS: usize = 10;
/// How long a code holds, in minutes.
pub const CODE_MINUTES: i64 = 10;

/// What whoever brings a code after somebody else is told.
pub const USED: &str = "This code was used already. Write `link` for another one.";

/// What a message about linking wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linking {
    /// A code.
    Begin,
    /// To show that whoever was given this code is the same person.
    Code(String),
}

/// Somebody as a channel knows them for good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// The channel.
    pub channel: ChannelName,
    /// The immutable id there.
    pub id: String,
    /// The name at that time, which proves nothing.
    pub name: String,
    /// How the id is known.
    pub by: String,
}

/// A code that was given to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// To whom.
    pub to: Identity,
    /// Where.
    pub at: Address,
    /// The message that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRef>,
    /// Until when it holds.
    pub until: Timestamp,
}

/// Two identities of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// Who was given the code.
    pub first: Identity,
    /// Who brought it.
    pub second: Identity,
    /// Until when the code held.
    pub until: Timestamp,
}

/// Reads a message; nothing where it is about something else.
pub fn linking(text: &str) -> Option<Linking> {
    let text = text.trim();
    let text = text.strip_prefix('/').unwrap_or(text);
    let mut words = text.split_whitespace();
    let (first, second, none) = (words.next()?, words.next(), words.next().is_none());
    let is_link = first.eq_ignore_ascii_case("link") && none;
    match second.filter(|_| is_link) {
        None => is_link.then_some(Linking::Begin),
        // Other words after it are a request like any other: "link issues".
        Some(word) => code_of(word).map(Linking::Code),
    }
}

/// A code as it is kept, from how it was written: in capitals perhaps, with or without the dash in its middle.
fn code_of(word: &str) -> Option<String> {
    let code: String = word.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let fits =
        code.len() == CODE_LETTERS && code.bytes().all(|letter| letter != b'=' && LETTERS.contains(&letter));
    fits.then_some(code)
}

/// A code from random bytes, of which it takes as many letters as it needs; none where they are too few.
pub fn code_from(random: &[u8]) -> Option<String> {
    let letters = random.iter().map(|byte| LETTERS[usize::from(byte % 32)]).filter(|letter| *letter != b'=');
    let code: String = letters.take(CODE_LETTERS).map(char::from).collect();
    (code.len() == CODE_LETTERS).then_some(code)
}

/// A code as people read it: `k3fqa-7xpam`.
pub fn code_as_read(code: &str) -> String {
    let (one, other) = code.split_at_checked(CODE_LETTERS / 2).unwrap_or((code, ""));
    format!("{one}-{other}")
}

impl Identity {
    /// Of a person whom their channel vouches for; nobody else has one.
    pub fn of(person: &Person) -> Option<Self> {
        let channel::Verified::Proven { by } = &person.verified else { return None };
        Some(Self {
            channel: person.channel.clone(),
            id: person.id.clone(),
            name: clip(&person.name, 80),
            by: by.clone(),
        })
    }

    /// Whether it is the same, whatever the name.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.channel, &self.id) == (&other.channel, &other.id)
    }
}

/// What becomes of a code that somebody brought; `used` is what came of it before. Whoever has brought it brings it once more without
/// harm, also after its time: their message may come again.
///
/// # Errors
/// Why nothing does; a sentence to them.
pub fn bring(
    (given, used): (Option<&Given>, Option<&Linked>),
    by: &Person,
    now: Timestamp,
) -> Result<Linked, String> {
    let Some(second) = Identity::of(by) else {
        return Err(format!("It is not certain that this is you. {}", by.verified.remedy()));
    };
    match used {
        Some(linked) if linked.second.is_same(&second) => return Ok(linked.clone()),
        Some(_) => return Err(USED.to_owned()),
        None => {}
    }
    let Some(given) = given else {
        return Err(
            "I know no such code. Write `link` on your other channel, and bring the code that you get there."
                .into(),
        );
    };
    if given.to.channel == second.channel {
        return Err("This code is from this very channel. Write it on another one, where you want to be known as the same person.".into());
    }
    if now >= given.until {
        return Err(format!(
            "This code held for {CODE_MINUTES} minutes, and they are over. Write `link` for another one."
        ));
    }
    Ok(Linked { first: given.to.clone(), second, until: given.until })
}

impl Linked {
    /// What each of the two is told: whoever was given the code first. Names are left out, for anybody may call themselves anything.
    pub fn told(&self, directory: &Directory) -> [String; 2] {
        let known = match self.members(directory) {
            (Some(one), Some(other)) if one == other => format!("You are known as {one} on both already."),
            _ => "It counts as soon as an operator has taken it over: `switchboard members link` shows it to them.".to_owned(),
        };
        [&self.second, &self.first].map(|Identity { channel, id, .. }| {
            format!(
                "It was shown that you are also `{}` on {channel}. {known}\n\nIf that is not you, tell an operator now: what they decide \
                 there would count as yours.",
                id.replace('`', "'")
            )
        })
    }

    /// The members that the two are, where they are.
    pub fn members<'a>(&self, directory: &'a Directory) -> (Option<&'a str>, Option<&'a str>) {
        let member = |identity: &Identity| {
            let is_theirs = |member: &crate::directory::Member| {
                member.ids.get(&identity.channel).is_some_and(|id| *id == identity.id)
            };
            let known = directory.members.iter().find(|(_, member)| is_theirs(member));
            known.map(|(name, _)| name.as_str())
        };
        (member(&self.first), member(&self.second))
    }
}

#[cfg(test)]
mod tests {
    use channel::{Place, Verified};

    use super::*;

    fn person(channel: &str, id: &str) -> Person {
        Person {
            channel: ChannelName::new(channel),
            id: id.to_owned(),
            name: "Ana".to_owned(),
            verified: Verified::Proven { by: "test".to_owned() },
            roles: Vec::new(),
        }
    }

    fn given() -> Given {
        Given {
            to: Identity::of(&person("chat", "T1/U1")).unwrap(),
            at: Address { channel: ChannelName::new("chat"), place: Place::new("D1") },
            message: None,
            until: Timestamp::from_second(600).unwrap(),
        }
    }

    #[test]
    fn only_the_word_and_a_code_are_about_linking() {
        for (text, wanted) in [
            ("link", Some(Linking::Begin)),
            (" /Link ", Some(Linking::Begin)),
            ("link k3fqa-7xpam", Some(Linking::Code("k3fqa7xpam".into()))),
            ("LINK K3FQA7XPAM", Some(Linking::Code("k3fqa7xpam".into()))),
            ("link issues", None),
            ("link k3fqa-7xpam please", None),
            ("link k3fqa-7xpa1", None),
            ("link k3fqa7xpa", None),
            ("linked", None),
            ("please link", None),
            ("", None),
        ] {
            assert_eq!(linking(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_code_is_made_of_clear_letters_and_read_back() {
        let code = code_from(&(0..=255).collect::<Vec<u8>>()).unwrap();
        assert_eq!(code.len(), CODE_LETTERS);
        assert_eq!(linking(&format!("link {}", code_as_read(&code))), Some(Linking::Code(code)));
        assert_eq!(code_from(&[31; 64]), None, "what stands for no letter is passed over");
    }

    /// Whatever somebody calls themselves, they put nothing into what the gateway says to others.
    #[test]
    fn both_are_told_by_their_ids_and_no_name() {
        let named = |person: Person| Person { name: "[win](https://evil.test)".into(), ..person };
        let linked = Linked {
            first: Identity::of(&named(person("chat", "T1/U1"))).unwrap(),
            second: Identity::of(&named(person("mail", "a`b@corp.example"))).unwrap(),
            until: Timestamp::UNIX_EPOCH,
        };
        let [first, second] = linked.told(&Directory::default());
        assert!(
            first.contains("also `a'b@corp.example` on mail.") && first.contains("tell an operator"),
            "{first}"
        );
        assert!(second.contains("also `T1/U1` on chat."), "{second}");
        assert!(!format!("{first}{second}").contains("evil"));
    }

    #[test]
    fn a_code_links_a_proven_person_of_another_channel_in_time() {
        let (given, mail) = (given(), person("mail", "ana@corp.example"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let linked = bring((Some(&given), None), &mail, at(599)).unwrap();
        assert_eq!((linked.first.id.as_str(), linked.second.id.as_str()), ("T1/U1", "ana@corp.example"));
        let claimed =
            Person { verified: Verified::Claimed { why: "no dkim".into(), remedy: None }, ..mail.clone() };
        for (given, by, second, words) in [
            (Some(&given), &mail, 600, "are over"),
            (None, &mail, 1, "no such code"),
            (Some(&given), &person("chat", "T1/U2"), 1, "this very channel"),
            (Some(&given), &claimed, 1, "not certain"),
        ] {
            let why = bring((given, None), by, at(second)).unwrap_err();
            assert!(why.contains(words), "{words}: {why}");
        }
        // Once it was brought it is theirs who brought it, for good, and nobody else's.
        assert_eq!(bring((Some(&given), Some(&linked)), &mail, at(6_000)), Ok(linked.clone()));
        let other = person("mail", "eve@corp.example");
        assert_eq!(bring((Some(&given), Some(&linked)), &other, at(1)), Err(USED.to_owned()));
    }
}
