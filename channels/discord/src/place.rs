//! How places and messages are written. Pure.
//!
//! | place | is |
//! |---|---|
//! | `G/C/T` | the thread T in the channel C of the server G; a thread that begins with a message has the id of that message, so the place is known before the thread is there |
//! | `G/C` | a channel as a whole, a desk |
//! | `G/C/!I` | the conversation that the command I began; its thread comes to be with the first answer |
//! | `@U` | the direct messages with a person |
//!
//! A message is named `C/M`, with the id of the conversation also for threads and direct messages; a command, which is no
//! message, is named `!I`. All ids are snowflakes: <https://discord.com/developers/docs/reference#snowflakes>.

use channel::{MessageRef, Place, Timestamp};

/// Discord's first second, in milliseconds.
const EPOCH_MS: u64 = 1_420_070_400_000;

/// A place, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Spot {
    /// The direct messages with this person.
    Person(String),
    /// In a server.
    Channel { guild: String, channel: String, under: Under },
}

/// Where in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Under {
    /// In no thread.
    Top,
    /// In this thread, or below the message of the same id.
    Thread(String),
    /// Below the message that answers this command first.
    Command(String),
}

/// A message, or a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ref {
    Message { channel: String, message: String },
    Command(String),
}

impl Spot {
    pub(crate) fn place(&self) -> Place {
        Place::new(match self {
            Self::Person(user) => format!("@{user}"),
            Self::Channel { guild, channel, under: Under::Top } => format!("{guild}/{channel}"),
            Self::Channel { guild, channel, under: Under::Thread(id) } => format!("{guild}/{channel}/{id}"),
            Self::Channel { guild, channel, under: Under::Command(id) } => format!("{guild}/{channel}/!{id}"),
        })
    }

    /// Reads a place that this channel has minted, and nothing else.
    pub(crate) fn read(place: &Place) -> Option<Self> {
        let text = place.as_str();
        if let Some(user) = text.strip_prefix('@') {
            return is_id(user).then(|| Self::Person(user.to_owned()));
        }
        let mut parts = text.split('/');
        let (guild, channel, under) = (parts.next()?, parts.next()?, parts.next());
        if parts.next().is_some() || !is_id(guild) || !is_id(channel) {
            return None;
        }
        let under = match under {
            None => Under::Top,
            Some(text) => match text.strip_prefix('!') {
                Some(id) if is_id(id) => Under::Command(id.to_owned()),
                None if is_id(text) => Under::Thread(text.to_owned()),
                Some(_) | None => return None,
            },
        };
        Some(Self::Channel { guild: guild.to_owned(), channel: channel.to_owned(), under })
    }

    /// Reads a contact of the configuration: a person's id, or `G/C`.
    pub(crate) fn of_contact(contact: &str) -> Option<Self> {
        if is_id(contact) {
            return Some(Self::Person(contact.to_owned()));
        }
        let spot = Self::read(&Place::new(contact))?;
        matches!(&spot, Self::Channel { under: Under::Top, .. }).then_some(spot)
    }
}

impl Ref {
    pub(crate) fn message(channel: &str, message: &str) -> Self {
        Self::Message { channel: channel.to_owned(), message: message.to_owned() }
    }

    pub(crate) fn write(&self) -> MessageRef {
        MessageRef::new(match self {
            Self::Message { channel, message } => format!("{channel}/{message}"),
            Self::Command(id) => format!("!{id}"),
        })
    }

    pub(crate) fn read(message: &MessageRef) -> Option<Self> {
        if let Some(id) = message.as_str().strip_prefix('!') {
            return is_id(id).then(|| Self::Command(id.to_owned()));
        }
        let (channel, message) = message.as_str().split_once('/')?;
        (is_id(channel) && is_id(message)).then(|| Self::message(channel, message))
    }
}

/// A snowflake, in its one spelling.
pub(crate) fn is_id(text: &str) -> bool {
    text.parse::<u64>().is_ok_and(|id| id > 0 && id.to_string() == text)
}

/// When the thing of this id came to be.
pub(crate) fn time(id: &str) -> Timestamp {
    let millis = id.parse::<u64>().map_or(0, |id| (id >> 22) + EPOCH_MS);
    Timestamp::from_millisecond(i64::try_from(millis).unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The least id of something that came to be at this time or later.
pub(crate) fn id_at(time: Timestamp) -> String {
    let millis = u64::try_from(time.as_millisecond()).unwrap_or(0).saturating_sub(EPOCH_MS);
    ((millis.min(u64::MAX >> 22)) << 22).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_minted_is_read_and_nothing_else() {
        for text in ["1/2/3", "1/2", "1/2/!3", "@1", "81384788765712384/2/18446744073709551615"] {
            let place = Place::new(text);
            assert_eq!(Spot::read(&place).map(|spot| spot.place()), Some(place));
        }
        for text in [
            "",
            "nowhere",
            "1",
            "1/",
            "1/2/",
            "1/2/3/4",
            "1/2/x",
            "0/1",
            "01/2",
            "+1/2",
            "1/2/!",
            "1/2/!x",
            "@",
            "@0",
            "@x",
            "-1/2",
            "1/2\r\n",
            "1/18446744073709551616",
            "T1/C1",
            "@@1",
        ] {
            assert_eq!(Spot::read(&Place::new(text)), None, "{text}");
        }
        for text in ["1/2", "!3"] {
            let message = MessageRef::new(text);
            assert_eq!(Ref::read(&message).map(|named| named.write()), Some(message));
        }
        for text in ["", "1", "1/2/3", "!", "!x", "<m1@mail.test>", "T1/C1/1.000001"] {
            assert_eq!(Ref::read(&MessageRef::new(text)), None, "{text}");
        }
    }

    #[test]
    fn a_contact_is_a_person_or_a_channel_of_a_server() {
        assert_eq!(Spot::of_contact("7").map(|spot| spot.place()), Some(Place::new("@7")));
        assert_eq!(Spot::of_contact("1/2").map(|spot| spot.place()), Some(Place::new("1/2")));
        for text in ["", "ana", "@7", "1/2/3", "1/!2", "#ops", " 7"] {
            assert_eq!(Spot::of_contact(text), None, "{text}");
        }
    }

    /// The example of Discord's documentation.
    #[test]
    fn ids_hold_their_time() {
        let made = time("175928847299117063");
        assert_eq!(made.to_string(), "2016-04-30T11:18:25.796Z");
        assert_eq!(time(&id_at(made)), made);
        assert_eq!(id_at(Timestamp::UNIX_EPOCH), "0");
        let _ = (time("x"), time(""), time("18446744073709551615"));
    }
}
