//! Mail addresses, as far as the gateway lets them in: plain ASCII, one line, no quoting.

use std::fmt;

const ADDRESS_LEN_MAX: usize = 254;

/// A mail address. The local part keeps its case, the domain is in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addr {
    local: String,
    domain: String,
}

/// Who a mail to some address is for, seen from an address of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim<'a> {
    /// Not for us.
    Other,
    /// For us.
    Ours,
    /// For us, with something between a plus and the `@`.
    OursWith(&'a str),
}

impl Addr {
    /// Reads `local@domain`. Quoted local parts, address literals and non-ASCII addresses are not taken: they are
    /// where two readers of one address begin to disagree.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.split_once('@')?;
        let fits = text.len() <= ADDRESS_LEN_MAX && local.len() <= 64;
        (fits && is_dot_atom(local) && is_domain(domain))
            .then(|| Self { local: local.to_owned(), domain: domain.to_ascii_lowercase() })
    }

    pub(crate) fn local(&self) -> &str {
        &self.local
    }

    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// The address as an identity: all of it in lower case.
    pub(crate) fn id(&self) -> String {
        self.to_string().to_ascii_lowercase()
    }

    /// The same mailbox under a plus-address.
    pub(crate) fn with_detail(&self, detail: &str) -> Self {
        Self { local: format!("{}+{detail}", self.local), domain: self.domain.clone() }
    }

    /// Whether `other` is this address, perhaps with a plus-part more.
    pub(crate) fn claim<'a>(&self, other: &'a Self) -> Claim<'a> {
        if self.domain != other.domain {
            return Claim::Other;
        }
        let Some((head, rest)) = other.local.split_at_checked(self.local.len()) else { return Claim::Other };
        if !head.eq_ignore_ascii_case(&self.local) {
            return Claim::Other;
        }
        match (rest, rest.strip_prefix('+')) {
            ("", _) => Claim::Ours,
            (_, Some(detail)) => Claim::OursWith(detail),
            (_, None) => Claim::Other,
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

fn is_dot_atom(text: &str) -> bool {
    let atom = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    text.split('.').all(atom)
}

fn is_domain(text: &str) -> bool {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Addr {
        Addr::parse(text).unwrap()
    }

    #[test]
    fn takes_plain_addresses_only() {
        for text in ["a@b", "Ana.B+x@Mail.Test", "o'neil=x@a-b.example"] {
            assert!(Addr::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "a",
            "@b",
            "a@",
            "a@@b",
            "a b@c",
            "\"a\"@b",
            "a@[1.2.3.4]",
            "a..b@c",
            "a@b..c",
            "ä@b",
            "a@b\n",
        ] {
            assert!(Addr::parse(text).is_none(), "{text}");
        }
        assert_eq!(addr("Ana@Mail.TEST").to_string(), "Ana@mail.test");
        assert_eq!(addr("Ana@Mail.TEST").id(), "ana@mail.test");
    }

    #[test]
    fn knows_its_own_plus_addresses() {
        let bot = addr("bot@mail.test");
        assert_eq!(bot.claim(&addr("Bot@MAIL.test")), Claim::Ours);
        assert_eq!(bot.claim(&addr("bot+q.x-1@mail.test")), Claim::OursWith("q.x-1"));
        assert_eq!(bot.claim(&addr("bots@mail.test")), Claim::Other);
        assert_eq!(bot.claim(&addr("bot@else.test")), Claim::Other);
        let plus = addr("me+bot@mail.test");
        assert_eq!(plus.claim(&addr("me@mail.test")), Claim::Other);
        assert_eq!(plus.claim(&addr("me+bot+t.abc@mail.test")), Claim::OursWith("t.abc"));
        assert_eq!(plus.with_detail("t.abc").to_string(), "me+bot+t.abc@mail.test");
    }
}
