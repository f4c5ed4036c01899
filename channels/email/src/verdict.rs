//! Whether the sender of a mail is who the From line says.
//!
//! The From line is the sender's own text. Two things can vouch for its domain: a DKIM signature that was verified
//! here, or the `Authentication-Results` of the one server that the operator trusts. The latter counts only where
//! that server writes it: above the `Received` lines that were already in the mail when it came.

use channel::Verified;

use crate::{address::Addr, headers::Headers};

/// What vouches for a sender.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Evidence<'a> {
    /// Nothing is looked at.
    None,
    /// The results of this server, above all `Received` lines but so many.
    Results { authserv: &'a str, received_above: u8 },
    /// The domains of the DKIM signatures that hold, or why none could be checked.
    Dkim(Result<&'a [String], &'a str>),
}

/// What a sender who is not proven can do.
const REMEDY: &str = "Your mail provider must sign your messages (DKIM): please write from an address whose provider does, or ask the \
     people who run this gateway.";

/// Judges.
pub(crate) fn judge(headers: &Headers<'_>, from: &Addr, evidence: Evidence<'_>) -> Verified {
    let claimed = |why: String| Verified::Claimed { why, remedy: Some(REMEDY.to_owned()) };
    match evidence {
        Evidence::None => claimed("this mailbox verifies nobody".into()),
        Evidence::Dkim(Err(why)) => claimed(why.to_owned()),
        Evidence::Dkim(Ok(domains)) => match domains.iter().find(|domain| vouches(domain, from)) {
            Some(domain) => Verified::Proven { by: format!("dkim=pass header.d={domain}") },
            None if domains.is_empty() => claimed("no DKIM signature holds".into()),
            None => claimed(format!("no DKIM signature of {} holds", from.domain())),
        },
        Evidence::Results { authserv, received_above } => {
            let results = trusted_results(headers, authserv, received_above);
            judge_results(&results, authserv, from).unwrap_or_else(claimed)
        }
    }
}

/// A signature of `signer` speaks for the addresses of the same domain, and of the domains below it.
pub(crate) fn vouches(signer: &str, from: &Addr) -> bool {
    let signer = signer.trim_end_matches('.').to_ascii_lowercase();
    let below = from.domain().strip_suffix(&signer).is_some_and(|rest| rest.ends_with('.'));
    // A top-level domain signs for nobody.
    signer == from.domain() || (below && signer.contains('.'))
}

fn judge_results(results: &[MethodResult], authserv: &str, from: &Addr) -> Result<Verified, String> {
    let mut dmarc = results.iter().filter(|result| result.method == "dmarc");
    match (dmarc.next(), dmarc.next()) {
        (Some(_), Some(_)) => return Err(format!("{authserv} states more than one DMARC result")),
        (Some(result), None) if result.result == "pass" => {
            return match result.property("header.from") {
                Some(domain) if domain.eq_ignore_ascii_case(from.domain()) => {
                    Ok(Verified::Proven { by: format!("dmarc=pass ({authserv})") })
                }
                Some(domain) => {
                    Err(format!("{authserv} states dmarc=pass for {domain}, not {}", from.domain()))
                }
                None => Err(format!("{authserv} states dmarc=pass, not for which domain")),
            };
        }
        // The domain has no DMARC policy; its signature counts all the same.
        (Some(result), None) if result.result == "none" || result.result == "bestguesspass" => {}
        (Some(result), None) => return Err(format!("{authserv} states dmarc={}", result.result)),
        (None, _) => {}
    }
    let signer = results
        .iter()
        .filter(|result| result.method == "dkim" && result.result == "pass")
        .filter_map(MethodResult::signer)
        .find(|domain| vouches(domain, from));
    match signer {
        Some(domain) => Ok(Verified::Proven { by: format!("dkim=pass header.d={domain} ({authserv})") }),
        None if results.is_empty() => Err(format!("no verdict of {authserv} stands where it writes them")),
        None => Err(format!("{authserv} states neither DMARC nor DKIM as passed for {}", from.domain())),
    }
}

/// One `method=result` with its properties, all names in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MethodResult {
    method: String,
    result: String,
    properties: Vec<(String, String)>,
}

impl MethodResult {
    fn property(&self, name: &str) -> Option<&str> {
        let mut values =
            self.properties.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        // Said twice, it is not said.
        values.next().filter(|_| values.next().is_none())
    }

    fn signer(&self) -> Option<&str> {
        match self.property("header.d") {
            Some(domain) => Some(domain),
            None => self.property("header.i").and_then(|agent| agent.rsplit('@').next()),
        }
    }
}

/// What the trusted server states, from all its lines in the part of the headers that only our side wrote.
fn trusted_results(headers: &Headers<'_>, authserv: &str, received_above: u8) -> Vec<MethodResult> {
    let mut received = 0;
    let mut results = Vec::new();
    for field in headers.iter() {
        if field.name.eq_ignore_ascii_case("Received") {
            if received == received_above {
                break;
            }
            received += 1;
        } else if field.name.eq_ignore_ascii_case("Authentication-Results") {
            results.extend(parse(&field.value, authserv));
        }
    }
    results
}

/// RFC 8601: `authserv-id [version] *( ";" method "=" result *( key "=" value ) )`. A line of another server, or one
/// that does not follow the grammar, states nothing.
fn parse(line: &str, authserv: &str) -> Vec<MethodResult> {
    let Some(tokens) = tokens(line) else { return Vec::new() };
    let mut statements = tokens.split(|token| *token == Token::Semicolon);
    let named = match statements.next() {
        Some([Token::Word(id), ..]) => id.eq_ignore_ascii_case(authserv.trim()),
        _ => false,
    };
    if !named {
        return Vec::new();
    }
    statements.filter_map(statement).collect()
}

fn statement(tokens: &[Token]) -> Option<MethodResult> {
    let mut pairs = tokens.chunks(3).map_while(|chunk| match chunk {
        [Token::Word(key), Token::Equals, Token::Word(value)] => {
            Some((key.to_ascii_lowercase(), value.clone()))
        }
        _ => None,
    });
    let (method, result) = pairs.next()?;
    let method = method.split('/').next().unwrap_or_default().to_owned();
    Some(MethodResult { method, result: result.to_ascii_lowercase(), properties: pairs.collect() })
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Equals,
    Semicolon,
}

/// Comments are dropped, quoted strings become words. `None` when one of them does not end.
fn tokens(line: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut chars = line.chars();
    let end = |word: &mut String, tokens: &mut Vec<Token>| {
        if !word.is_empty() {
            tokens.push(Token::Word(std::mem::take(word)));
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '(' => {
                end(&mut word, &mut tokens);
                let mut depth = 1;
                while depth > 0 {
                    match chars.next()? {
                        '(' => depth += 1,
                        ')' => depth -= 1,
                        '\\' => {
                            chars.next()?;
                        }
                        _ => {}
                    }
                }
            }
            '"' => {
                end(&mut word, &mut tokens);
                let mut quoted = String::new();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => quoted.push(chars.next()?),
                        c => quoted.push(c),
                    }
                }
                tokens.push(Token::Word(quoted));
            }
            '=' => {
                end(&mut word, &mut tokens);
                tokens.push(Token::Equals);
            }
            ';' => {
                end(&mut word, &mut tokens);
                tokens.push(Token::Semicolon);
            }
            c if c.is_whitespace() => end(&mut word, &mut tokens),
            c => word.push(c),
        }
    }
    end(&mut word, &mut tokens);
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(headers: &str, received_above: u8) -> Verified {
        let headers = headers.replace("AR:", "Authentication-Results:");
        let headers = Headers::read(headers.as_bytes(), 100).unwrap();
        let from = Addr::parse("ana@corp.example").unwrap();
        judge(&headers, &from, Evidence::Results { authserv: "mx.test", received_above })
    }

    fn proven(headers: &str) -> bool {
        verdict(headers, 0).is_proven()
    }

    const PASS: &str = "AR: mx.test; dmarc=pass header.from=corp.example\n";

    #[test]
    fn believes_its_server_above_the_first_received_line_only() {
        assert!(proven(&format!("{PASS}Received: x\n")));
        assert!(!proven(&format!("Received: x\n{PASS}")));
        assert!(!proven(&format!("AR: mx.test; dmarc=fail header.from=corp.example\nReceived: x\n{PASS}")));
        assert!(!proven(&PASS.replace("mx.test", "mx.evil")));
        assert!(!proven(&PASS.replace("corp.example", "evil.example")));
        assert!(!proven(&PASS.replace("mx.test", "\"\"")));
    }

    #[test]
    fn counts_the_received_lines_that_its_own_side_writes_above() {
        let delivered = format!("Received: lmtp\n{PASS}Received: x\n");
        assert!(!verdict(&delivered, 0).is_proven());
        assert!(verdict(&delivered, 1).is_proven());
        // Set too high, a forged line makes a second verdict, and two are none.
        assert!(!verdict(&format!("{PASS}Received: x\n{PASS}"), 1).is_proven());
        assert!(!verdict(&format!("Received: a\nReceived: b\n{PASS}"), 1).is_proven());
    }

    #[test]
    fn reads_the_grammar() {
        for line in [
            "AR: MX.test 1; spf=pass smtp.mailfrom=a@b; dmarc=pass (p=none dis=none) header.from=Corp.Example",
            "AR: mx.test (x; dmarc=fail) ; dmarc/1 = pass header.from=\"corp.example\"",
            "AR: mx.test; dkim=pass header.d=corp.example; dmarc=none header.from=corp.example",
            "AR: mx.test; dkim=fail header.d=corp.example; dkim=pass header.i=@corp.example",
            "AR: mx.test;\n dkim=pass header.d=corp.example\nAR: mx.test; dmarc=pass header.from=corp.example",
        ] {
            assert!(proven(line), "{line}");
        }
        for line in [
            "AR: mx.test; none",
            "AR: mx.test",
            "AR: ; dmarc=pass header.from=corp.example",
            "AR: mx.test; dmarc=pass",
            "AR: mx.test; dmarc=pass header.from=corp.example header.from=evil.example",
            "AR: mx.test; dmarc=pass header.from=corp.example; dmarc=fail header.from=corp.example",
            "AR: mx.test; dmarc=pass header.from=corp.example (open",
            "AR: mx.test; spf=pass smtp.mailfrom=\"x; dmarc=pass header.from=corp.example\"",
            "AR: mx.test; spf=pass (dmarc=pass header.from=corp.example)",
            "AR: mx.test; dkim=pass header.d=example",
            "AR: mx.test; dkim=pass header.d=orp.example",
            "AR: mx.test; dkim=pass header.d=sub.corp.example",
            "AR: mx.test; dkim=pass header.d=corp.example; dmarc=fail header.from=corp.example",
            "AR: mx.test; dkim=neutral header.d=corp.example",
        ] {
            assert!(!proven(line), "{line}");
        }
    }

    #[test]
    fn a_signature_speaks_for_its_domain_and_those_below() {
        let from = Addr::parse("ana@eu.corp.example").unwrap();
        for (signer, yes) in [
            ("eu.corp.example", true),
            ("Corp.Example", true),
            ("corp.example.", true),
            ("example", false),
            ("", false),
            ("orp.example", false),
            ("x.eu.corp.example", false),
        ] {
            assert_eq!(vouches(signer, &from), yes, "{signer}");
        }
    }
}
