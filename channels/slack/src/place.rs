//! How places and messages are written. Pure.
//!
//! | place | is |
//! |---|---|
//! | `T1/C1/1700000000.000100` | the thread below that message |
//! | `T1/C1` | a channel as a whole, a desk |
//! | `T1/C1/!k3f…` | the conversation that a slash command began; its thread comes to be with the first answer |
//! | `T1/@U1` | the direct messages with a person |
//! | `T1/@U1/1700000000.000100` | a thread in them |
//!
//! The first part is the workspace in which the app is installed. A message is named `T1/C1/1700000000.000100`, with the
//! id of the conversation also for direct messages.

use channel::{MessageRef, Place};

/// A place, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    /// The workspace that the app is installed in.
    pub(crate) team: String,
    pub(crate) room: Room,
    pub(crate) under: Under,
}

/// In which conversation of Slack's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Room {
    /// A channel, by its id.
    Channel(String),
    /// The direct messages with this person.
    Person(String),
}

/// Where in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Under {
    /// Not below any message.
    Top,
    /// Below this message.
    Thread(String),
    /// Below the message that answers this command first.
    Command(String),
}

/// A message of Slack's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ref {
    pub(crate) team: String,
    /// The id of the conversation, `D…` for direct messages.
    pub(crate) channel: String,
    pub(crate) ts: String,
}

impl Spot {
    pub(crate) fn place(&self) -> Place {
        let room = match &self.room {
            Room::Channel(id) => id.clone(),
            Room::Person(id) => format!("@{id}"),
        };
        let under = match &self.under {
            Under::Top => String::new(),
            Under::Thread(ts) => format!("/{ts}"),
            Under::Command(id) => format!("/!{id}"),
        };
        Place::new(format!("{}/{room}{under}", self.team))
    }

    /// Reads a place that this channel has minted, and nothing else.
    pub(crate) fn read(place: &Place) -> Option<Self> {
        let mut parts = place.as_str().split('/');
        let (team, room, under) = (parts.next()?, parts.next()?, parts.next());
        if parts.next().is_some() || !is_team(team) {
            return None;
        }
        let room = match room.strip_prefix('@') {
            Some(user) if is_user(user) => Room::Person(user.to_owned()),
            None if is_channel(room) => Room::Channel(room.to_owned()),
            Some(_) | None => return None,
        };
        let under = match under {
            None => Under::Top,
            Some(text) => match text.strip_prefix('!') {
                Some(id) if is_command(id) => Under::Command(id.to_owned()),
                None if is_ts(text) => Under::Thread(text.to_owned()),
                Some(_) | None => return None,
            },
        };
        Some(Self { team: team.to_owned(), room, under })
    }

    /// Reads a contact of the configuration: `T1/U1`, or `T1/C1`.
    pub(crate) fn of_contact(contact: &str) -> Option<Self> {
        let (team, id) = contact.split_once('/')?;
        let room = if is_user(id) {
            Room::Person(id.to_owned())
        } else if is_channel(id) {
            Room::Channel(id.to_owned())
        } else {
            return None;
        };
        is_team(team).then(|| Self { team: team.to_owned(), room, under: Under::Top })
    }

    /// The same room, below this message.
    pub(crate) fn below(&self, ts: &str) -> Self {
        Self { under: Under::Thread(ts.to_owned()), ..self.clone() }
    }
}

impl Ref {
    pub(crate) fn write(&self) -> MessageRef {
        MessageRef::new(format!("{}/{}/{}", self.team, self.channel, self.ts))
    }

    pub(crate) fn read(message: &MessageRef) -> Option<Self> {
        let mut parts = message.as_str().split('/');
        let (team, channel, ts) = (parts.next()?, parts.next()?, parts.next()?);
        let sound = parts.next().is_none() && is_team(team) && is_channel(channel) && is_ts(ts);
        sound.then(|| Self { team: team.to_owned(), channel: channel.to_owned(), ts: ts.to_owned() })
    }
}

/// `T…`, or `E…` for an app that is installed in a whole organisation.
pub(crate) fn is_team(text: &str) -> bool {
    is_id(text, &['T', 'E'])
}

/// `U…`, or `W…` in an Enterprise organisation.
pub(crate) fn is_user(text: &str) -> bool {
    is_id(text, &['U', 'W'])
}

/// `C…`, `G…` (older private channels and group messages), or `D…`.
pub(crate) fn is_channel(text: &str) -> bool {
    is_id(text, &['C', 'G', 'D'])
}

fn is_id(text: &str, first: &[char]) -> bool {
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    text.starts_with(first) && (2..=32).contains(&text.len()) && text.chars().all(plain)
}

/// `1700000000.000100`: seconds and a number of six digits that makes it one of its own in its conversation.
pub(crate) fn is_ts(text: &str) -> bool {
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    text.split_once('.').is_some_and(|(seconds, rest)| {
        (1..=12).contains(&seconds.len()) && rest.len() == 6 && digits(seconds) && digits(rest)
    })
}

fn is_command(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_minted_is_read_and_nothing_else() {
        for text in [
            "T1/C1/1700000000.000100",
            "T1/C1",
            "T1/C1/!k3f",
            "E1/@W1",
            "T1/@U1/1700000000.000100",
            "T024BE7LD/G012AB3CD",
        ] {
            let place = Place::new(text);
            assert_eq!(Spot::read(&place).map(|spot| spot.place()), Some(place));
        }
        for text in [
            "",
            "nowhere",
            "C012345",
            "a/b/c",
            "T1/C1/",
            "T1/C1/1700000000.000100/x",
            "T1/C1/170.1",
            "T1/c1",
            "T1/@C1",
            "T1/U1",
            "t1/C1",
            "T1/C1/!",
            "T1/C1/!../x",
            "T1/C1/1.000100\r\n",
            "T1//1.000100",
            "T1/C1 ",
        ] {
            assert_eq!(Spot::read(&Place::new(text)), None, "{text}");
        }
        let named = Ref { team: "T1".into(), channel: "D1".into(), ts: "1700000000.000100".into() };
        assert_eq!(Ref::read(&named.write()), Some(named));
        assert_eq!(Ref::read(&MessageRef::new("T1/C1")), None);
        assert_eq!(Ref::read(&MessageRef::new("<m1@mail.test>")), None);
    }

    #[test]
    fn a_contact_is_a_person_or_a_channel_of_a_workspace() {
        assert_eq!(Spot::of_contact("T1/U1").unwrap().place().as_str(), "T1/@U1");
        assert_eq!(Spot::of_contact("T1/C1").unwrap().place().as_str(), "T1/C1");
        for text in ["", "U1", "ana", "@ana", "T1/ana", "#ops", "T1/U1/1.000001", " T1/U1"] {
            assert_eq!(Spot::of_contact(text), None, "{text}");
        }
    }
}
