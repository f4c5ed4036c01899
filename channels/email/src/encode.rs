//! An outgoing becomes the bytes of a mail: the same bytes each time, so that a mail sent twice by mishap is one mail
//! to every program that looks at its message id.

mod card;

use std::time::{Duration, SystemTime};

use channel::{Attempt, CardState, Content, Error, MessageRef, Outgoing, Text};
use lettre::{
    Message,
    message::{
        Body, Mailbox, MultiPart, SinglePart,
        header::{ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
};

use crate::{
    address::Addr,
    config::Checked,
    inert, render,
    threading::{self, OurId, Ref, Spot},
};

/// A mail, ready to be handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) from: Addr,
    pub(crate) to: Addr,
    pub(crate) bytes: Vec<u8>,
    /// How a reply will name it.
    pub(crate) message: MessageRef,
}

/// What is to be sent: a mail, or nothing at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Encoded {
    Mail(Box<Mail>),
    /// The reader needs to be told nothing.
    Nothing,
}

/// Encodes.
///
/// # Errors
/// `Refused` for what can never be a mail.
pub(crate) fn encode(outgoing: &Outgoing, attempt: &Attempt, config: &Checked) -> Result<Encoded, Error> {
    let spot =
        Spot::read(&outgoing.to.place).ok_or_else(|| Error::refused("the place is no mail conversation"))?;
    if let Some(only) = &outgoing.only
        && only.id != spot.with.id()
    {
        return Err(Error::refused(format!("a mail to {} can be shown to nobody else alone", spot.with)));
    }
    let settles =
        matches!(&outgoing.content, Content::Card(card) if matches!(card.state, CardState::Closed { .. }));
    if settles && outgoing.amends.is_some() && attempt.amends.is_none() {
        // The card never went out; there is nothing to close.
        return Ok(Encoded::Nothing);
    }
    let heads = Heads::new(outgoing, attempt, spot, config)?;
    let parts = match &outgoing.content {
        Content::Text(text) => words(text),
        Content::Card(card) => card::parts(card),
    };
    heads.mail(outgoing, attempt, parts).map(|mail| Encoded::Mail(Box::new(mail)))
}

/// The two bodies.
struct Parts {
    plain: String,
    html: String,
}

fn words(text: &Text) -> Parts {
    let mut plain = render::plain(&text.markdown);
    let mut html = render::html(&text.markdown);
    if let Some(note) = &text.note {
        plain.push_str(&format!("\n\n({})", inert::shown(note)));
        html.push_str(&render::note(note));
    }
    plain.push('\n');
    Parts { plain, html: render::page(&html) }
}

/// The header lines.
struct Heads<'a> {
    config: &'a Checked,
    spot: Spot,
    id: String,
    subject: String,
    in_reply_to: Option<String>,
    references: Vec<String>,
    reply_to: Addr,
}

impl<'a> Heads<'a> {
    fn new(outgoing: &Outgoing, attempt: &Attempt, spot: Spot, config: &'a Checked) -> Result<Self, Error> {
        let replied = outgoing.in_reply_to.as_ref().and_then(Ref::read).unwrap_or_default();
        let amended = attempt.amends.as_ref().and_then(Ref::read).unwrap_or_default();
        let mut references: Vec<String> = replied.chain().into_iter().map(str::to_owned).collect();
        if !amended.id.is_empty() && !references.contains(&amended.id) {
            references.push(amended.id);
        }
        let own = match &outgoing.content {
            Content::Text(text) => first_line(&text.markdown),
            Content::Card(card) => first_line(&card.title),
        };
        let subject = match (replied.subject.as_str(), references.is_empty()) {
            ("", true) => own,
            ("", false) => format!("Re: {own}"),
            (subject, _) => format!("Re: {}", without_re(subject)),
        };
        let detail = match &outgoing.content {
            Content::Card(card) => threading::question_detail(&card.ticket)
                .ok_or_else(|| Error::refused("the card's ticket cannot stand in a mail address"))?,
            Content::Text(_) => threading::thread_detail(&spot.root),
        };
        Ok(Self {
            id: OurId::new(&spot, &outgoing.key).write(config.address.domain()),
            subject,
            in_reply_to: references.last().cloned(),
            references,
            reply_to: config.reply.with_detail(&detail),
            config,
            spot,
        })
    }

    fn mail(self, outgoing: &Outgoing, attempt: &Attempt, parts: Parts) -> Result<Mail, Error> {
        let unfit = |what: &str| Error::refused(format!("{what} cannot stand in a mail header"));
        let mailbox = |name: Option<String>, address: &Addr| -> Result<Mailbox, Error> {
            let address = address.to_string().parse().map_err(|_| unfit("an address"))?;
            Ok(Mailbox::new(name, address))
        };
        let starts = self.references.is_empty();
        let mut builder = Message::builder()
            .date(date(outgoing))
            .from(mailbox(self.config.name.as_deref().map(threading::one_line), &self.config.address)?)
            .to(mailbox(None, &self.spot.with)?)
            .reply_to(mailbox(None, &self.reply_to)?)
            .subject(self.subject)
            .message_id(Some(format!("<{}>", self.id)));
        if let Some(id) = &self.in_reply_to {
            let references: Vec<String> = self.references.iter().map(|id| format!("<{id}>")).collect();
            builder = builder.in_reply_to(format!("<{id}>")).references(references.join(" "));
        }
        let automatic = if starts { "auto-generated" } else { "auto-replied" };
        for (name, value) in [("Auto-Submitted", automatic), ("X-Auto-Response-Suppress", "All")] {
            let name = HeaderName::new_from_ascii(name.into()).map_err(|_| unfit(name))?;
            builder = builder.raw_header(HeaderValue::new(name, value.into()));
        }
        let body = bodies(outgoing, attempt, parts)?;
        let message = builder
            .multipart(body)
            .map_err(|error| Error::refused("the mail cannot be written").with_source(error))?;
        Ok(Mail {
            from: self.config.address.clone(),
            to: self.spot.with,
            bytes: message.formatted(),
            message: Ref::bare(&self.id).write(),
        })
    }
}

/// The boundaries come from the delivery key, so that they are the same at each attempt.
fn bodies(outgoing: &Outgoing, attempt: &Attempt, parts: Parts) -> Result<MultiPart, Error> {
    if outgoing.files.len() != attempt.files.len() {
        return Err(Error::refused("the bytes of an attachment are missing"));
    }
    let spot =
        Spot::read(&outgoing.to.place).ok_or_else(|| Error::refused("the place is no mail conversation"))?;
    let code = OurId::new(&spot, &outgoing.key).key().to_owned();
    let alternative = MultiPart::alternative()
        .boundary(format!("sb-a-{code}"))
        .singlepart(SinglePart::plain(parts.plain))
        .singlepart(SinglePart::html(parts.html));
    if outgoing.files.is_empty() {
        return Ok(alternative);
    }
    let mut mixed = MultiPart::mixed().boundary(format!("sb-m-{code}")).multipart(alternative);
    for (file, bytes) in outgoing.files.iter().zip(&attempt.files) {
        let kind = ContentType::parse(&file.kind)
            .or_else(|_| ContentType::parse("application/octet-stream"))
            .map_err(|_| Error::refused("an attachment has no type"))?;
        let name: String =
            threading::one_line(&file.name).chars().filter(|c| !inert::is_hidden(*c)).collect();
        // Base64 whatever it is: no line end of a file is touched on the way.
        let body = Body::new_with_encoding(bytes.clone(), ContentTransferEncoding::Base64)
            .map_err(|_| Error::refused("an attachment cannot be coded"))?;
        let part =
            SinglePart::builder().header(kind).header(ContentDisposition::attachment(&name)).body(body);
        mixed = mixed.singlepart(part);
    }
    Ok(mixed)
}

fn date(outgoing: &Outgoing) -> SystemTime {
    // Mail knows years from 1970 to 9999.
    let seconds = u64::try_from(outgoing.at.as_second()).unwrap_or(0).min(253_402_300_799);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn first_line(text: &str) -> String {
    const LEN_MAX: usize = 80;
    let shown = inert::shown(text);
    let line = shown
        .lines()
        .map(|line| line.trim_matches(['#', '*', '`', '>', '_', ' ', '\t']))
        .find(|line| !line.is_empty());
    let line = threading::one_line(line.unwrap_or("Message"));
    let short = threading::cut(&line, LEN_MAX);
    if short.len() < line.len() { format!("{}…", short.trim_end()) } else { line }
}

/// The subject without any number of `Re:`, in a few languages.
fn without_re(subject: &str) -> &str {
    let mut rest = subject.trim();
    while let Some((prefix, after)) = rest.split_once(':')
        && ["re", "aw", "sv", "antw", "r", "rif", "ré", "回复", "返信"]
            .contains(&prefix.trim().to_lowercase().as_str())
        && !after.trim().is_empty()
    {
        rest = after.trim();
    }
    rest
}

#[cfg(test)]
mod tests {
    use channel::{
        Address, Card, ChannelName, Choice, Comment, DeliveryKey, Field, File, Input, InputKind, Person,
        Place, Style, Ticket, Verified,
    };

    use super::*;
    use crate::config::Settings;

    fn config() -> Checked {
        let settings = serde_json::json!({
            "address": "support@mail.test",
            "name": "Support, \"the bot\" ✓",
            "imap": { "host": "imap.test", "password_env": "PW" },
            "smtp": { "host": "smtp.test", "password_env": "PW" },
        });
        let settings: Settings = serde_json::from_value(settings).unwrap();
        settings.check(&|_| Some("pw".into())).unwrap()
    }

    fn text(markdown: &str) -> Outgoing {
        let replied = Ref {
            id: "m2@ana.test".into(),
            refs: vec!["m0@ana.test".into(), "m1@ana.test".into()],
            subject: "AW: Re: Größe ✓ of order 4711".into(),
        };
        Outgoing {
            key: DeliveryKey::new("thread-1/7"),
            to: Address {
                channel: ChannelName::new("support"),
                place: Place::new("v:wqd3rcih5pox3vdb:ana@mail.test"),
            },
            at: "2026-11-23T10:00:00.123Z".parse().unwrap(),
            only: None,
            in_reply_to: Some(replied.write()),
            amends: None,
            content: Content::Text(Text { markdown: markdown.into(), note: None }),
            files: Vec::new(),
        }
    }

    fn card() -> Card {
        let choice = |id: &str, label: &str, style, comment| Choice {
            id: id.into(),
            label: label.into(),
            style,
            comment,
            form: Vec::new(),
            reply: None,
        };
        Card {
            ticket: Ticket::new("k3f.abcdefghijklmnopqrstuvwxyz234567-abcdefghijk"),
            code: String::new(),
            title: "Approve: refund".into(),
            text: "The customer says:\n<b>approve</b> \u{202e}now".into(),
            fields: vec![
                Field { label: "amount".into(), value: "120.00".into() },
                Field {
                    label: "note\nlabel".into(),
                    value: "two\r\nlines\nreject: <script>x</script>\u{200b}".into(),
                },
                Field { label: "long".into(), value: "0123456789".repeat(120) },
            ],
            choices: vec![
                choice("approve", "Approve", Style::Primary, Comment::None),
                choice("reject", "Do not run it", Style::Danger, Comment::Optional),
            ],
            free_text: false,
            progress: None,
            state: CardState::Open { deadline: "2026-11-24T18:30:00Z".parse().unwrap() },
        }
    }

    fn attempt() -> Attempt {
        Attempt { number: 1, amends: None, files: Vec::new() }
    }

    fn mail(outgoing: &Outgoing, attempt: &Attempt) -> Mail {
        match encode(outgoing, attempt, &config()).unwrap() {
            Encoded::Mail(mail) => *mail,
            Encoded::Nothing => panic!("nothing to send"),
        }
    }

    fn show(mail: &Mail) -> String {
        let bytes = String::from_utf8(mail.bytes.clone()).unwrap();
        assert!(bytes.is_ascii());
        assert!(!bytes.replace("\r\n", "").contains(['\r', '\n']), "a line ends without CRLF");
        assert!(bytes.lines().all(|line| line.len() <= 998));
        format!("{} -> {} as {}\n\n{}", mail.from, mail.to, mail.message, bytes.replace("\r\n", "\n"))
    }

    macro_rules! snapshot {
        ($name:literal, $text:expr) => {{
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path("../tests/encoded");
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings.bind(|| insta::assert_snapshot!($name, $text));
        }};
    }

    #[test]
    fn an_answer() {
        let mut outgoing = text(
            "# Found\n\nIt is **here**, see [the page](https://x.test) or <b>ask</b>.\n\n- one\n- zwölf\n",
        );
        outgoing.content = match outgoing.content {
            Content::Text(text) => Content::Text(Text { note: Some("scripted model".into()), ..text }),
            card @ Content::Card(_) => card,
        };
        snapshot!("answer", show(&mail(&outgoing, &attempt())));
    }

    #[test]
    fn an_answer_with_files() {
        let mut outgoing = text("See the files.");
        let file = |name: &str, kind: &str| File {
            name: name.into(),
            kind: kind.into(),
            size: 0,
            hash: String::new(),
        };
        outgoing.files = vec![file("größe.csv", "text/csv"), file("a\r\nBcc: x.bin", "not a type")];
        let attempt = Attempt { files: vec![b"x,y\n1,2\n".to_vec(), vec![0, 255, 10]], ..attempt() };
        snapshot!("answer_with_files", show(&mail(&outgoing, &attempt)));
        assert!(encode(&outgoing, &self::attempt(), &config()).is_err(), "bytes were missing");
    }

    #[test]
    fn a_card_that_starts_a_conversation() {
        let outgoing = Outgoing { in_reply_to: None, content: Content::Card(card()), ..text("") };
        snapshot!("card", show(&mail(&outgoing, &attempt())));
    }

    #[test]
    fn a_question_for_words() {
        let card = Card { choices: Vec::new(), free_text: true, fields: Vec::new(), ..card() };
        let outgoing = Outgoing { content: Content::Card(card), ..text("") };
        snapshot!("question", show(&mail(&outgoing, &attempt())));
    }

    #[test]
    fn a_form_is_lines_to_reply_with() {
        let list = |choices: &[&str]| choices.iter().map(|choice| (*choice).to_owned()).collect();
        let of = |id: &str, kind, value: &str| Input { kind, ..Input::line(id, id, value) };
        let form = vec![
            Input {
                label: "Street\u{202e}".into(),
                required: true,
                hint: Some("as on the <b>door</b>".into()),
                ..of("street", InputKind::Line, "")
            },
            of("notes", InputKind::Lines, "two\nlines"),
            of("amount", InputKind::Number, "120"),
            of("express", InputKind::YesNo, "no"),
            of("when", InputKind::Date, ""),
            of("slot", InputKind::One(list(&["morning", "noon, sharp"])), "morning"),
            of("parcels", InputKind::One(list(&["10", "5"])), ""),
            of("extras", InputKind::Several(list(&["card", "gift"])), "card\ngift"),
            of("odd", InputKind::Several(list(&["a, b", "c"])), "a, b\nc"),
        ];
        let fill = Choice {
            id: "fill".into(),
            label: "Fill in…".into(),
            style: Style::Primary,
            comment: Comment::None,
            form,
            reply: Some(String::new()),
        };
        let edit = Choice {
            id: "edit".into(),
            label: "Approve with changes…".into(),
            form: vec![Input::line("amount", "amount", "120")],
            reply: Some("approve".into()),
            ..fill.clone()
        };
        let asked = Card { choices: vec![fill], fields: Vec::new(), text: String::new(), ..card() };
        let mut guarded = Card { code: "k3f".into(), text: String::new(), ..card() };
        guarded.fields.truncate(1);
        guarded.progress = Some("Approved by <b>Ana</b>; one more must approve.".into());
        guarded.choices.insert(1, edit);
        for (name, card) in [("form", asked), ("form_of_an_approval", guarded)] {
            let outgoing = Outgoing { content: Content::Card(card), ..text("") };
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path("../tests/encoded");
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings.bind(|| insta::assert_snapshot!(name, show(&mail(&outgoing, &attempt()))));
        }
    }

    #[test]
    fn a_settled_card_is_told_below_the_first() {
        let card = Card { state: CardState::Closed { how: "Approved by Ben.".into() }, ..card() };
        let mut outgoing = Outgoing { in_reply_to: None, content: Content::Card(card), ..text("") };
        outgoing.key = DeliveryKey::new("thread-1/8");
        outgoing.amends = Some(DeliveryKey::new("thread-1/7"));
        let first = Ref::bare("sb.v.wqd3rcih5pox3vdb.abcdefghijklmnopqrstuvwxyz@mail.test").write();
        let sent = Attempt { amends: Some(first), ..attempt() };
        snapshot!("card_closed", show(&mail(&outgoing, &sent)));
        // Where the card never went out, nobody waits to hear how it ended.
        assert_eq!(encode(&outgoing, &attempt(), &config()).unwrap(), Encoded::Nothing);
    }

    #[test]
    fn the_same_bytes_at_every_attempt() {
        for outgoing in [text("words"), Outgoing { content: Content::Card(card()), ..text("") }] {
            let later = Attempt { number: 9, ..attempt() };
            assert_eq!(mail(&outgoing, &attempt()), mail(&outgoing, &later));
            let other = Outgoing { key: DeliveryKey::new("thread-1/8"), ..outgoing.clone() };
            assert_ne!(mail(&outgoing, &attempt()).message, mail(&other, &attempt()).message);
        }
    }

    #[test]
    fn a_reply_to_what_was_decoded_names_it() {
        let mail = mail(&text("x"), &attempt());
        let bytes = String::from_utf8(mail.bytes).unwrap().replace("\r\n ", " ");
        assert!(bytes.contains("\r\nIn-Reply-To: <m2@ana.test>\r\n"), "{bytes}");
        assert!(bytes.contains("\r\nReferences: <m0@ana.test> <m1@ana.test> <m2@ana.test>\r\n"), "{bytes}");
    }

    #[test]
    fn what_cannot_be_a_mail_is_refused() {
        let bad_place = Outgoing {
            to: Address { channel: ChannelName::new("support"), place: Place::new("#general") },
            ..text("x")
        };
        assert!(encode(&bad_place, &attempt(), &config()).is_err());
        let bad_ticket = Card { ticket: Ticket::new("no room"), ..card() };
        let bad_ticket = Outgoing { content: Content::Card(bad_ticket), ..text("") };
        assert!(encode(&bad_ticket, &attempt(), &config()).is_err());
        let eve = Person {
            channel: ChannelName::new("support"),
            id: "eve@mail.test".into(),
            name: String::new(),
            verified: Verified::Proven { by: "test".into() },
            roles: Vec::new(),
        };
        assert!(encode(&Outgoing { only: Some(eve), ..text("x") }, &attempt(), &config()).is_err());
    }

    #[test]
    fn subjects() {
        assert_eq!(without_re("Re: AW: RE : x: y"), "x: y");
        assert_eq!(without_re("Re:"), "Re:");
        assert_eq!(first_line("\n## **Hello**\nmore"), "Hello");
        assert_eq!(first_line(&"ä".repeat(60)), format!("{}…", "ä".repeat(40)));
        assert_eq!(first_line(""), "Message");
    }
}
