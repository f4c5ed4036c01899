//! Takes a reply apart: what the person wrote now, and what their mail program put there.
//!
//! Works line by line and errs towards keeping: what is lost here is still in the original that goes along. What a
//! mail program writes about the quoted mail ("On ... wrote:") it writes in its user's language, so the lists below
//! are lists of languages.

/// How a mail stands to earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    /// It replies; quotes are what others wrote.
    Reply,
    /// It starts something; a line with `>` is the person's own.
    Fresh,
    /// It passes something on; all of it is meant.
    Forward,
}

impl Stance {
    /// By the subject and by whether the mail refers to another.
    pub(crate) fn of(subject: &str, refers: bool) -> Self {
        let prefix = subject.trim_start().split(':').next().unwrap_or_default().trim().to_lowercase();
        let has_colon = subject.contains(':');
        match prefix.as_str() {
            "fw" | "fwd" | "wg" | "tr" | "rv" | "i" | "enc" | "doorst" | "vs" | "pd" if has_colon => {
                Self::Forward
            }
            _ if refers => Self::Reply,
            _ => Self::Fresh,
        }
    }
}

/// What the person wrote.
pub(crate) fn strip(text: &str, stance: Stance) -> String {
    let text = text.replace("\r\n", "\n").replace('\u{a0}', " ");
    let lines: Vec<&str> = text.lines().collect();
    let kept = match stance {
        Stance::Forward => lines,
        Stance::Fresh => without_signature(&lines).to_vec(),
        Stance::Reply => without_quotes(&lines),
    };
    tidy(&kept)
}

fn without_quotes<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if starts_quoted_mail(&lines[at..]) || is_signature_mark(lines[at]) {
            break;
        }
        if is_quoted(lines[at]) {
            at += 1;
            continue;
        }
        match attribution(&lines[at..]) {
            Attribution::None => {
                kept.push(lines[at]);
                at += 1;
            }
            // The answers may stand between the quotes or below them.
            Attribution::BeforeMarkedQuote { lines } => at += lines,
            Attribution::BeforeBareQuote => break,
        }
    }
    while let Some(last) = kept.last()
        && (last.trim().is_empty() || is_device_line(last))
    {
        kept.pop();
    }
    kept
}

fn without_signature<'a, 'b>(lines: &'b [&'a str]) -> &'b [&'a str] {
    let end = lines.iter().position(|line| is_signature_mark(line)).unwrap_or(lines.len());
    &lines[..end]
}

/// No blank lines at the ends, at most one between.
fn tidy(lines: &[&str]) -> String {
    let mut out = String::new();
    let mut blank = false;
    for line in lines.iter().map(|line| line.trim_end()) {
        if line.is_empty() {
            blank = true;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if blank { "\n\n" } else { "\n" });
        }
        blank = false;
        out.push_str(line);
    }
    out
}

fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

/// RFC 3676: two hyphens and a space; many programs lose the space.
fn is_signature_mark(line: &str) -> bool {
    line == "-- " || line == "--"
}

/// What telephones add at the end.
fn is_device_line(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    const STARTS: [&str; 12] = [
        "sent from my ",
        "sent from mail for ",
        "sent from outlook",
        "get outlook for ",
        "von meinem ",
        "gesendet von ",
        "envoyé de mon ",
        "envoyé depuis ",
        "enviado desde ",
        "inviato da ",
        "verstuurd vanaf ",
        "enviado do meu ",
    ];
    line.len() < 80 && STARTS.iter().any(|start| line.starts_with(start))
}

/// The marks under which some programs put the whole earlier mail without marking its lines.
fn starts_quoted_mail(lines: &[&str]) -> bool {
    let Some(line) = lines.first() else { return false };
    let bare = line.trim().trim_matches(['-', '_', '*', ' ']).to_lowercase();
    const MARKS: [&str; 10] = [
        "original message",
        "original appointment",
        "ursprüngliche nachricht",
        "originalnachricht",
        "message d'origine",
        "message d’origine",
        "mensaje original",
        "messaggio originale",
        "oorspronkelijk bericht",
        "mensagem original",
    ];
    if line.trim().starts_with("--") && MARKS.contains(&bare.as_str()) {
        return true;
    }
    let ruler = line.trim().len() >= 10 && line.trim().bytes().all(|byte| byte == b'_' || byte == b'-');
    if ruler {
        let below = lines.iter().skip(1).position(|line| !line.trim().is_empty());
        return below.is_some_and(|below| is_header_block(&lines[below + 1..]));
    }
    is_header_block(lines)
}

/// `From: ... Sent: ... To: ... Subject: ...`, in the languages of Outlook.
fn is_header_block(lines: &[&str]) -> bool {
    const FROM: [&str; 9] = ["from", "von", "de", "da", "van", "från", "fra", "od", "от"];
    const OTHERS: [&str; 40] = [
        "sent",
        "date",
        "to",
        "cc",
        "subject",
        "importance", // English
        "gesendet",
        "datum",
        "an",
        "betreff", // German
        "envoyé",
        "à",
        "objet",
        "date d'envoi", // French
        "enviado",
        "fecha",
        "para",
        "asunto",
        "enviado el", // Spanish
        "inviato",
        "data",
        "a",
        "oggetto", // Italian
        "verzonden",
        "aan",
        "onderwerp", // Dutch
        "enviada em",
        "assunto",
        "enviada", // Portuguese
        "skickat",
        "till",
        "ämne",
        "sendt",
        "til",
        "emne", // Scandinavian
        "wysłano",
        "do",
        "temat", // Polish
        "кому",
        "тема", // Russian
    ];
    let Some(first) = lines.first().and_then(|line| header_name(line)) else { return false };
    if !FROM.contains(&first.as_str()) {
        return false;
    }
    let others = lines.iter().skip(1).take(8).filter_map(|line| header_name(line));
    others.filter(|name| OTHERS.contains(&name.as_str())).count() >= 2
}

/// The name in `Name: value`, `*Name:* value` and `Name : value`.
fn header_name(line: &str) -> Option<String> {
    let (name, _) = line.split_once(':')?;
    let name = name.trim_matches(['*', ' ', '\t', '\u{a0}']);
    (!name.is_empty() && name.chars().count() <= 20).then(|| name.to_lowercase())
}

enum Attribution {
    None,
    BeforeMarkedQuote { lines: usize },
    BeforeBareQuote,
}

/// `On Mon, 23 Nov 2026, Ana <ana@mail.test> wrote:`, over up to three lines.
fn attribution(lines: &[&str]) -> Attribution {
    const LEN_MAX: usize = 400;
    let mut joined = String::new();
    for count in 1..=3 {
        let Some(line) = lines.get(count - 1).map(|line| line.trim()) else { break };
        if line.is_empty() || joined.len() + line.len() > LEN_MAX {
            break;
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(line);
        if !line.ends_with([':', '：']) {
            continue;
        }
        let shape = shape(&joined.to_lowercase());
        let next = lines[count..].iter().find(|line| !line.trim().is_empty());
        return match (shape, next) {
            (Shape::Sure | Shape::Likely, Some(next)) if is_quoted(next) => {
                Attribution::BeforeMarkedQuote { lines: count }
            }
            (Shape::Sure, _) => Attribution::BeforeBareQuote,
            (Shape::Likely | Shape::No, _) => Attribution::None,
        };
    }
    Attribution::None
}

enum Shape {
    /// An opening word, a verb and a date: a mail program wrote this.
    Sure,
    /// A person might have written it; believed above a marked quote only.
    Likely,
    No,
}

fn shape(line: &str) -> Shape {
    const OPENERS: [&str; 18] = [
        "on ",
        "am ",
        "le ",
        "el ",
        "il ",
        "op ",
        "em ",
        "den ",
        "w dniu ",
        "dne ",
        "pe ",
        "în ",
        "a ",
        "at ",
        "в ",
        "dnia ",
        "den.",
        "il giorno ",
    ];
    const VERBS: [&str; 22] = [
        "wrote",
        "writes",
        "schrieb",
        "a écrit",
        "escribió",
        "ha scritto",
        "schreef",
        "het volgende geschreven",
        "escreveu",
        "skrev",
        "napisał",
        "pisze",
        "napsal",
        "kirjoitti",
        "a scris",
        "написал",
        "пишет",
        "yazdı",
        "写道",
        "のメール",
        "님이 작성",
        "írta",
    ];
    let verb = VERBS.iter().any(|verb| line.contains(verb));
    let date = line.chars().any(|c| c.is_ascii_digit());
    let opener = OPENERS.iter().any(|opener| line.starts_with(opener));
    // `Ana <ana@mail.test> schrieb am Mo., 23. Nov. 2026, 10:00:` puts the name first.
    let address = line.contains('<') && line.contains('@');
    match (verb, date) {
        (true, true) if opener || address => Shape::Sure,
        (true, _) => Shape::Likely,
        (false, true) if address => Shape::Likely,
        (false, _) => Shape::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, wanted: &str) {
        assert_eq!(strip(text, Stance::Reply), wanted, "from\n{text}");
    }

    #[test]
    fn quotes_go() {
        check(
            "approve\n\nOn Mon, 23 Nov 2026 at 10:00, Bot <bot@mail.test> wrote:\n> deploy?\n>\n> more\n",
            "approve",
        );
        check(
            "yes\n\nOn Mon, 23 Nov 2026 at 10:00, A very long name\n<bot@mail.test> wrote:\n\n> deploy?\n",
            "yes",
        );
        check("ja\n\nAm 23.11.2026 um 10:00 schrieb Bot:\n> deploy?", "ja");
        check("ja\n\nBot <bot@mail.test> schrieb am Mo., 23. Nov. 2026, 10:00:\n\n> deploy?", "ja");
        check("oui\n\nLe lun. 23 nov. 2026 à 10:00, Bot <bot@mail.test> a écrit :\n\n> deploy?", "oui");
        check("sí\n\nEl lun, 23 nov 2026 a las 10:00, Bot (<bot@mail.test>) escribió:\n> deploy?", "sí");
        check("はい\n\n2026年11月23日(月) 10:00 Bot <bot@mail.test>:\n> deploy?", "はい");
    }

    #[test]
    fn answers_between_quotes_stay() {
        check(
            "On 23 Nov 2026 Bot wrote:\n> Which one?\nThe red one.\n> When?\nTomorrow.\n",
            "The red one.\nTomorrow.",
        );
        check("> Which one?\n\nThe red one.\n", "The red one.");
    }

    #[test]
    fn outlook_blocks_go() {
        check("reject: no\n\n-----Original Message-----\nFrom: Bot\napprove\n", "reject: no");
        check(
            "no\n\n________________________________\nFrom: Bot <b@c>\nSent: Monday\nTo: Ana\nSubject: x\n\napprove",
            "no",
        );
        check("nein\n\nVon: Bot\nGesendet: Montag\nAn: Ana\nBetreff: x\n\napprove", "nein");
        check("non\n\nDe : Bot\nEnvoyé : lundi\nÀ : Ana\nObjet : x\n\napprove", "non");
        check("no\n\n*From:* Bot\n*Sent:* Monday\n*To:* Ana\n*Subject:* x\n\napprove", "no");
    }

    #[test]
    fn signatures_go() {
        check("approve\n-- \nAna\nCorp", "approve");
        check("approve\n\nSent from my iPhone\n\n> deploy?", "approve");
        check("approve\n\nSent from my iPhone\n\nOn 1 Nov 2026, Bot <b@c> wrote:\n> deploy?", "approve");
        check("approve\n\nVon meinem iPhone gesendet", "approve");
        assert_eq!(strip("hello\n--\nAna", Stance::Fresh), "hello");
    }

    #[test]
    fn words_of_the_person_stay() {
        let text = "From: here it goes on\n\nAna wrote:\nI want it at 10:\nred";
        check(text, text);
        let text = "On 3 counts I object:\nfirst";
        check(text, text);
        assert_eq!(strip("> mine\ntext", Stance::Fresh), "> mine\ntext");
        let forward = "see below\n\n--\nAna\n\n---------- Forwarded message ---------\nFrom: X\n> quoted";
        assert_eq!(strip(forward, Stance::Forward), forward);
    }

    #[test]
    fn a_reply_that_is_only_a_quote_says_nothing() {
        check("> approve\n", "");
        check("On 23 Nov 2026, Bot <bot@mail.test> wrote:\n\napprove\n", "");
        check("", "");
    }

    #[test]
    fn stances() {
        assert_eq!(Stance::of("Re: x", true), Stance::Reply);
        assert_eq!(Stance::of("x", true), Stance::Reply);
        assert_eq!(Stance::of("x", false), Stance::Fresh);
        assert_eq!(Stance::of("Fwd: x", true), Stance::Forward);
        assert_eq!(Stance::of("FW: x", false), Stance::Forward);
        assert_eq!(Stance::of("i", true), Stance::Reply);
    }
}
