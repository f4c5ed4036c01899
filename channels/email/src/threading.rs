//! Which conversation a mail belongs to, and how places, references and our own message ids are written.
//!
//! A conversation hangs on the message id at its root, never on the subject. The **root** is a short hash of that id;
//! it stands in the place, in the plus-address of Reply-To (`bot+t.<root>@`) and in every message id of ours, so that
//! a reply finds home whichever of them the mail program kept.

use channel::{DeliveryKey, MessageRef, Place, Ticket};
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::address::Addr;

const ROOT_LEN: usize = 16;
const KEY_LEN: usize = 26;
/// A message id above this is not carried along.
const ID_LEN_MAX: usize = 250;
/// How many references are carried along beside the first.
const REFS_LAST_MAX: usize = 10;
const SUBJECT_LEN_MAX: usize = 300;

/// The name of a conversation: 80 bits of a hash, in lower-case base32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root(String);

impl Root {
    /// The root of a conversation that starts with this message.
    pub(crate) fn of_message(id: &str) -> Self {
        Self(short_hash("message", id, ROOT_LEN))
    }

    /// The root of the conversation that the gateway itself opens with a configured contact.
    pub(crate) fn of_contact(address: &Addr) -> Self {
        Self(short_hash("contact", &address.id(), ROOT_LEN))
    }

    fn parse(text: &str) -> Option<Self> {
        is_code(text, ROOT_LEN).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the correspondent of a place is proven. A place of a claimed sender is another place than that of the
/// same, proven sender: what a forger writes never lands in the conversation of the one they imitate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Proven,
    Claimed,
}

impl Standing {
    fn letter(self) -> char {
        match self {
            Self::Proven => 'v',
            Self::Claimed => 'u',
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "v" => Some(Self::Proven),
            "u" => Some(Self::Claimed),
            _ => None,
        }
    }
}

/// One conversation with one correspondent, as a place holds it: `v:<root>:ana@mail.test`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) standing: Standing,
    pub(crate) root: Root,
    pub(crate) with: Addr,
}

impl Spot {
    pub(crate) fn place(&self) -> Place {
        Place::new(format!("{}:{}:{}", self.standing.letter(), self.root.0, self.with.id()))
    }

    /// What the pace is kept for. A proven sender has as many answers in each conversation; of a claimed one every mail
    /// may pretend to begin another, and the answers hit whoever the address really belongs to.
    pub(crate) fn pace(&self) -> String {
        match self.standing {
            Standing::Proven => self.place().as_str().to_owned(),
            Standing::Claimed => self.with.id(),
        }
    }

    pub(crate) fn read(place: &Place) -> Option<Self> {
        let mut parts = place.as_str().splitn(3, ':');
        Some(Self {
            standing: Standing::parse(parts.next()?)?,
            root: Root::parse(parts.next()?)?,
            with: Addr::parse(parts.next()?)?,
        })
    }
}

/// A message id of ours: `sb.<standing>.<root>.<hash of the delivery key>@<domain>`.
///
/// It is a name and not a proof: whoever got the mail knows it. What must be proven is proven by tickets and verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OurId {
    pub(crate) standing: Standing,
    pub(crate) root: Root,
    key: String,
}

impl OurId {
    pub(crate) fn new(spot: &Spot, key: &DeliveryKey) -> Self {
        let key = short_hash("delivery", key.as_str(), KEY_LEN);
        Self { standing: spot.standing, root: spot.root.clone(), key }
    }

    pub(crate) fn write(&self, domain: &str) -> String {
        format!("sb.{}.{}.{}@{domain}", self.standing.letter(), self.root.0, self.key)
    }

    /// The hash of the delivery key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn read(id: &str, domain: &str) -> Option<Self> {
        let (local, id_domain) = id.split_once('@')?;
        if !id_domain.eq_ignore_ascii_case(domain) {
            return None;
        }
        let mut parts = local.strip_prefix("sb.")?.splitn(3, '.');
        let standing = Standing::parse(parts.next()?)?;
        let root = Root::parse(parts.next()?)?;
        let key = parts.next().filter(|key| is_code(key, KEY_LEN))?.to_owned();
        Some(Self { standing, root, key })
    }
}

/// A message as a [`MessageRef`] names it, with what a reply to it needs, so that nothing must be looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ref {
    /// Its message id, without the angle brackets; empty if it had none that can be repeated.
    pub(crate) id: String,
    /// What it referred to: the root, then the last few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refs: Vec<String>,
    /// Its subject.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) subject: String,
}

impl Ref {
    /// A message that is only named.
    pub(crate) fn bare(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// A message that came in.
    pub(crate) fn new(id: Option<&str>, references: &[String], subject: &str) -> Self {
        let id = id.filter(|id| is_message_id(id)).unwrap_or_default().to_owned();
        let mut refs: Vec<String> = references.iter().filter(|id| is_message_id(id)).cloned().collect();
        if refs.len() > REFS_LAST_MAX + 1 {
            refs.drain(1..refs.len() - REFS_LAST_MAX);
        }
        Self { id, refs, subject: cut(&one_line(subject), SUBJECT_LEN_MAX).to_owned() }
    }

    /// The References of a reply to it.
    pub(crate) fn chain(&self) -> Vec<&str> {
        self.refs.iter().chain([&self.id]).map(String::as_str).filter(|id| !id.is_empty()).collect()
    }

    pub(crate) fn write(&self) -> MessageRef {
        // A struct of strings always has a JSON text.
        MessageRef::new(serde_json::to_string(self).unwrap_or_default())
    }

    pub(crate) fn read(text: &MessageRef) -> Option<Self> {
        let read: Self = serde_json::from_str(text.as_str()).ok()?;
        // It has been in a store; still nothing unfit for a header line leaves it.
        let fit = read.chain().into_iter().all(is_message_id);
        fit.then(|| Self { subject: one_line(&read.subject), ..read })
    }
}

/// What a plus-part of ours says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// `t.<root>`: an answer in this conversation.
    Thread(Root),
    /// `q.<ticket>`: an answer to this question.
    Question(Ticket),
    /// A plus-part of the user's own.
    Plus(String),
}

impl Detail {
    pub(crate) fn read(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        if let Some(root) = lower.strip_prefix("t.").and_then(Root::parse) {
            return Self::Thread(root);
        }
        match lower.strip_prefix("q.") {
            Some(ticket) if is_ticket(ticket) => Self::Question(Ticket::new(ticket)),
            Some(_) | None => Self::Plus(lower),
        }
    }
}

pub(crate) fn thread_detail(root: &Root) -> String {
    format!("t.{}", root.as_str())
}

/// The plus-part of a question; `None` if the ticket would not survive as one.
pub(crate) fn question_detail(ticket: &Ticket) -> Option<String> {
    is_ticket(ticket.as_str()).then(|| format!("q.{ticket}"))
}

fn is_ticket(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (1..=48).contains(&text.len())
        && text.bytes().all(plain)
        // A dot at an end or two in a row are no mail address.
        && !text.starts_with('.')
        && !text.ends_with('.')
        && !text.contains("..")
}

/// The message ids in a header line, without their angle brackets. What is no plain id is left out.
pub(crate) fn ids(line: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for part in line.split('<').skip(1) {
        if let Some((id, _)) = part.split_once('>')
            && is_message_id(id)
        {
            ids.push(id.to_owned());
        }
    }
    ids
}

/// A message id that can be repeated in a header line as it is.
fn is_message_id(text: &str) -> bool {
    (1..=ID_LEN_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\".contains(&b))
}

/// Text without line ends and other control characters.
pub(crate) fn one_line(text: &str) -> String {
    let spaced = text.replace(|c: char| c.is_control(), " ");
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many bytes, cut between characters.
pub(crate) fn cut(text: &str, len_max: usize) -> &str {
    let mut end = text.len().min(len_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `purpose` keeps hashes of different things apart.
fn short_hash(purpose: &str, text: &str, len: usize) -> String {
    let hash = Sha256::digest(format!("switchboard email {purpose}\0{text}"));
    let mut code = BASE32_NOPAD.encode(&hash).to_ascii_lowercase();
    code.truncate(len);
    code
}

fn is_code(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot() -> Spot {
        let with = Addr::parse("Ana@mail.test").unwrap();
        Spot { standing: Standing::Proven, root: Root::of_message("a@b"), with }
    }

    #[test]
    fn places_and_ids_are_read_as_written() {
        let place = spot().place();
        assert_eq!(place.as_str(), "v:wqd3rcih5pox3vdb:ana@mail.test");
        assert_eq!(Spot::read(&place).unwrap().place(), place);
        let id = OurId::new(&spot(), &DeliveryKey::new("t/1"));
        assert_eq!(OurId::read(&id.write("mail.test"), "Mail.test"), Some(id.clone()));
        assert_eq!(OurId::read(&id.write("mail.test"), "else.test"), None);
        for text in
            ["", "v", "v:x:ana@mail.test", "w:wqd3rcih5pox3vdb:ana@mail.test", "v:wqd3rcih5pox3vdb:ana"]
        {
            assert_eq!(Spot::read(&Place::new(text)), None, "{text}");
        }
    }

    #[test]
    fn a_reference_keeps_the_root_and_the_last_and_fits() {
        let long = |n: usize| format!("{n}-{}@b", "x".repeat(240));
        let references: Vec<String> = (0..100).map(long).collect();
        let written = Ref::new(Some(&long(100)), &references, &"\"é\\\u{7}".repeat(500)).write();
        assert!(written.as_str().len() <= 4096, "{}", written.as_str().len());
        let read = Ref::read(&written).unwrap();
        assert_eq!(read.refs.len(), 11);
        assert_eq!(read.chain().first().copied(), Some(long(0).as_str()));
        assert_eq!(read.chain().last().copied(), Some(long(100).as_str()));
        assert_eq!(read.chain()[1], long(90));
    }

    #[test]
    fn nothing_unfit_for_a_header_line_becomes_an_id() {
        assert_eq!(ids("<a@b> x <c@d>\t<e f@g> <h@i"), ["a@b", "c@d"]);
        assert_eq!(ids(&format!("<{}@b>", "x".repeat(300))), Vec::<String>::new());
        let forged = MessageRef::new("{\"id\":\"a@b>\\r\\nBcc: x\"}");
        assert_eq!(Ref::read(&forged), None);
    }

    #[test]
    fn a_claimed_sender_has_one_pace_whatever_conversations_the_mails_pretend() {
        let spot = |standing, root: &str| Spot {
            standing,
            root: Root::of_message(root),
            with: Addr::parse("Cara@mail.test").unwrap(),
        };
        let pace = |standing, root| spot(standing, root).pace();
        assert_eq!(pace(Standing::Claimed, "a@x"), pace(Standing::Claimed, "b@x"));
        assert_ne!(pace(Standing::Proven, "a@x"), pace(Standing::Proven, "b@x"));
        assert_ne!(pace(Standing::Proven, "a@x"), pace(Standing::Claimed, "a@x"));
    }

    #[test]
    fn plus_parts() {
        assert_eq!(Detail::read("T.WQD3RCIH5POX3VDB"), Detail::Thread(Root::of_message("a@b")));
        assert_eq!(Detail::read("q.k3f-1.abc"), Detail::Question(Ticket::new("k3f-1.abc")));
        for text in ["billing", "q.", "q.a b", "t.short", "q..a", "q.a."] {
            assert!(matches!(Detail::read(text), Detail::Plus(_)), "{text}");
        }
        assert_eq!(question_detail(&Ticket::new("a.")), None);
    }
}
