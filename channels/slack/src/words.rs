//! What people write on Slack, as plain words. Pure.
//!
//! Slack writes `&`, `<` and `>` as entities, and everything that is more than words between angle brackets:
//! <https://docs.slack.dev/messaging/formatting-message-text#retrieving-messages>.

/// The words of a message, with mentions and links as a person would write them, and without the mention of the bot.
pub(crate) fn plain(text: &str, us: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        words.push_str(&unescape(before));
        let Some((token, behind)) = after.split_once('>') else {
            words.push('<');
            rest = after;
            continue;
        };
        if !names(token, us) {
            words.push_str(&unescape(&token_words(token)));
        } else if words.is_empty() || words.ends_with(char::is_whitespace) {
            // The blank behind the name went with it.
            rest = behind.trim_start_matches([' ', '\u{a0}']);
            continue;
        }
        rest = behind;
    }
    words.push_str(&unescape(rest));
    words.trim().to_owned()
}

/// Whether a text speaks to this user.
pub(crate) fn mentions(text: &str, user: &str) -> bool {
    !user.is_empty()
        && text
            .split('<')
            .skip(1)
            .any(|rest| rest.split_once('>').is_some_and(|(token, _)| names(token, user)))
}

fn names(token: &str, user: &str) -> bool {
    let named = token.strip_prefix('@').map(|token| token.split('|').next().unwrap_or_default());
    !user.is_empty() && named == Some(user)
}

/// What stands between angle brackets: a user, a channel, a special mention, a link.
fn token_words(token: &str) -> String {
    let (target, label) = match token.split_once('|') {
        Some((target, label)) => (target, Some(label).filter(|label| !label.is_empty())),
        None => (token, None),
    };
    if let Some(user) = target.strip_prefix('@') {
        return format!("@{}", label.unwrap_or(user));
    }
    if let Some(channel) = target.strip_prefix('#') {
        return format!("#{}", label.unwrap_or(channel));
    }
    if let Some(special) = target.strip_prefix('!') {
        // `!here`, `!subteam^S1|@team`, `!date^…|yesterday`
        let name = special.split('^').next().unwrap_or_default();
        let sign = if label.is_some_and(|label| label.starts_with('@')) || name == "date" { "" } else { "@" };
        return format!("{sign}{}", label.unwrap_or(name));
    }
    match label {
        Some(label) if !target.ends_with(label) => format!("{label} ({target})"),
        Some(_) | None => target.strip_prefix("mailto:").unwrap_or(target).to_owned(),
    }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Writes a text so that Slack reads nothing in it.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_a_person_wrote_them() {
        for (text, wanted) in [
            ("<@U0BOT> deploy v1.4", "deploy v1.4"),
            ("hey <@U0BOT|switchboard>, deploy", "hey , deploy"),
            ("deploy <@U0BOT>", "deploy"),
            ("ask <@U1> and <@U2|ben> in <#C1|ops> or <#C2>", "ask @U1 and @ben in #ops or #C2"),
            (
                "<!here> <!channel|channel> <!subteam^S1|@team> <!date^1^{date}|yesterday>",
                "@here @channel @team yesterday",
            ),
            ("see <https://a.example/x?a=1&amp;b=2>", "see https://a.example/x?a=1&b=2"),
            (
                "see <https://a.example/|the page> or <http://a.example|a.example>",
                "see the page (https://a.example/) or http://a.example",
            ),
            ("write <mailto:ana@a.example|ana@a.example>", "write ana@a.example"),
            ("1 &lt; 2 &amp;&amp; 3 &gt; 2, &amp;lt;", "1 < 2 && 3 > 2, &lt;"),
            ("a < b", "a < b"),
            ("<@U0BOT>", ""),
            ("", ""),
            ("two\nlines", "two\nlines"),
        ] {
            assert_eq!(plain(text, "U0BOT"), wanted, "{text}");
        }
    }

    #[test]
    fn a_mention_is_a_mention_and_words_are_not() {
        assert!(mentions("hi <@U0BOT>", "U0BOT"));
        assert!(mentions("hi <@U0BOT|x>!", "U0BOT"));
        for text in ["hi @U0BOT", "hi &lt;@U0BOT&gt;", "<@U0BOTX>", "<@U0BO", "<#U0BOT>"] {
            assert!(!mentions(text, "U0BOT"), "{text}");
        }
        assert!(!mentions("<@>", ""));
    }

    #[test]
    fn what_is_escaped_is_read_back() {
        let hostile = "<!channel> & <@U1> &lt;";
        assert_eq!(plain(&escape(hostile), "U0BOT"), hostile);
        assert!(!escape(hostile).contains('<'));
    }
}
