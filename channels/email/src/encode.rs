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
