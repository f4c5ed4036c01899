//! Delivery reports (RFC 3464): which message of ours did not arrive, where to, and why.

use mail_parser::{Message, MimeHeaders, PartType};

use crate::{
    address::Addr,
    headers::Headers,
    inert,
    threading::{self, Detail, OurId},
};

/// What a report says about a message of ours.
///
/// Anybody can write such a report, so it reports and decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Our message id, as text and taken apart.
    pub(crate) id: String,
    pub(crate) ours: OurId,
    /// Whom our message was for.
    pub(crate) recipient: Addr,
    /// The plus-part of its Reply-To: which question it asked.
    pub(crate) detail: Option<Detail>,
    /// What the server said.
    pub(crate) why: String,
}

const WHY_LEN_MAX: usize = 500;

/// True for a mail that calls itself a report of any kind: delivery or read receipt.
pub(crate) fn is_report(message: &Message<'_>) -> bool {
    message.content_type().is_some_and(|kind| {
        kind.ctype().eq_ignore_ascii_case("multipart")
            && kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("report"))
    })
}

/// Reads a report.
///
/// # Errors
/// A sentence: why it is none about a message of ours that failed.
pub(crate) fn read(message: &Message<'_>, ours: &Addr, reply: &Addr) -> Result<Report, String> {
    let status = part(message, "message", &["delivery-status", "global-delivery-status"])
        .ok_or("a report, but not about a delivery")?;
    let status = String::from_utf8_lossy(&status).replace("\r\n", "\n");
    // The first group of fields is about the message, each further one about a recipient.
    let mut groups =
        status.split("\n\n").filter_map(|group| Headers::read(group.trim_start().as_bytes(), 100).ok());
    let failed = groups
        .find(|group| group.first("Action").is_some_and(|action| action.eq_ignore_ascii_case("failed")))
        .ok_or("a delivery report that reports no failure")?;
    let returned = part(message, "message", &["rfc822", "global", "global-headers"])
        .or_else(|| part(message, "text", &["rfc822-headers"]))
        .ok_or("a delivery report without the headers of the message")?;
    let returned = Headers::read(&returned, 1_000).map_err(|_| "a delivery report with too many headers")?;
    let id = returned.first("Message-ID").map(threading::ids).unwrap_or_default();
    let [id] = id.as_slice() else { return Err("a delivery report that names no message".into()) };
    let read = OurId::read(id, ours.domain()).ok_or("a delivery report about a message that is not ours")?;
    let to = returned.first("To").and_then(bare_address);
    let final_recipient =
        || failed.first("Final-Recipient").and_then(|value| bare_address(value.split(';').nth(1)?));
    let recipient = to.or_else(final_recipient).ok_or("a delivery report that names no recipient")?;
    let detail = returned.first("Reply-To").and_then(bare_address).and_then(|to| match reply.claim(&to) {
        crate::address::Claim::OursWith(detail) => Some(Detail::read(detail)),
        crate::address::Claim::Ours | crate::address::Claim::Other => None,
    });
    let status = failed.first("Status").unwrap_or("no status").to_owned();
    let said = failed
        .first("Diagnostic-Code")
        .map(|said| said.split_once(';').map_or(said, |(_, said)| said).trim());
    let why = format!(
        "{recipient}: {status}{}{}",
        if said.is_some() { ", " } else { "" },
        said.unwrap_or_default()
    );
    let why = threading::cut(&inert::shown(&threading::one_line(&why)), WHY_LEN_MAX).to_owned();
    Ok(Report { id: id.clone(), ours: read, recipient, detail, why })
}

/// The bytes of the first part of this type.
fn part(message: &Message<'_>, kind: &str, subtypes: &[&str]) -> Option<Vec<u8>> {
    let found = message.parts.iter().find(|part| {
        part.content_type().is_some_and(|found| {
            let is =
                |wanted: &str| found.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case(wanted));
            found.ctype().eq_ignore_ascii_case(kind) && subtypes.iter().any(|wanted| is(wanted))
        })
    })?;
    Some(match &found.body {
        PartType::Message(inner) => inner.raw_message().to_vec(),
        PartType::Text(_) | PartType::Html(_) | PartType::Binary(_) | PartType::InlineBinary(_) => {
            found.contents().to_vec()
        }
        PartType::Multipart(_) => return None,
    })
}

/// `a@b`, `<a@b>` and `Name <a@b>`.
fn bare_address(text: &str) -> Option<Addr> {
    let inside = match text.rsplit_once('<') {
        Some((_, rest)) => rest.split('>').next()?,
        None => text,
    };
    Addr::parse(inside.trim())
}
