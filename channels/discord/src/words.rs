//! What people write on Discord, as plain words. Pure.
//!
//! What is more than words stands between angle brackets:
//! <https://discord.com/developers/docs/reference#message-formatting>.

/// The words of a message, with mentions and emoji as a person would write them, and without the mention of the bot.
pub(crate) fn plain(text: &str, us: &[&str], name: impl Fn(&str) -> Option<String>) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        words.push_str(before);
        let token = after.split_once('>').filter(|(token, _)| !token.contains(['<', '\n']));
        let Some((token, behind)) = token else {
            words.push('<');
            rest = after;
            continue;
        };
        let user = token.strip_prefix("@!").or_else(|| token.strip_prefix('@'));
        let role = token.strip_prefix("@&");
        if role.or(user).is_some_and(|id| us.contains(&id)) {
            // The blank behind the name goes with it.
            rest = if words.is_empty() || words.ends_with(char::is_whitespace) {
                behind.trim_start_matches([' ', '\u{a0}'])
            } else {
                behind
            };
            continue;
        }
        match token_words(token, role, user, &name) {
            Some(token) => words.push_str(&token),
            None => {
                words.push('<');
                words.push_str(token);
                words.push('>');
            }
        }
        rest = behind;
    }
    words.push_str(rest);
    words.trim().to_owned()
}

/// What stands between angle brackets: a person, a role, a channel, a command, an emoji; nothing where it is words.
fn token_words(
    token: &str,
    role: Option<&str>,
    user: Option<&str>,
    name: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let is_id = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if let Some(role) = role.filter(|id| is_id(id)) {
        return Some(format!("@{}", name(role).unwrap_or_else(|| role.to_owned())));
    }
    if let Some(user) = user.filter(|id| is_id(id)) {
        return Some(format!("@{}", name(user).unwrap_or_else(|| user.to_owned())));
    }
    if let Some(channel) = token.strip_prefix('#').filter(|id| is_id(id)) {
        return Some(format!("#{}", name(channel).unwrap_or_else(|| channel.to_owned())));
    }
    if let Some((command, id)) = token.strip_prefix('/').and_then(|command| command.rsplit_once(':')) {
        return is_id(id).then(|| format!("/{command}"));
    }
    let emoji = token.strip_prefix("a:").or_else(|| token.strip_prefix(':'))?;
    let (emoji, id) = emoji.split_once(':')?;
    is_id(id).then(|| format!(":{emoji}:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_a_person_wrote_them() {
        let name = |id: &str| match id {
            "1" => Some("ana".to_owned()),
            "2" => Some("ops".to_owned()),
            _ => None,
        };
        for (text, wanted) in [
            ("<@9> deploy v1.4", "deploy v1.4"),
            ("<@!9> deploy v1.4", "deploy v1.4"),
            ("<@&8> deploy", "deploy"),
            ("hey <@9>, deploy", "hey , deploy"),
            ("deploy <@9>", "deploy"),
            ("ask <@1> and <@!3> in <#2> of <@&2>", "ask @ana and @3 in #ops of @ops"),
            ("</ask:12> <:party:5> <a:wave:6>", "/ask :party: :wave:"),
            ("1 < 2 and 3 > 2, <b>bold</b>", "1 < 2 and 3 > 2, <b>bold</b>"),
            ("see <https://a.example>", "see <https://a.example>"),
            ("a <@", "a <@"),
            ("<@x> <#> <::> <@<@1>>", "<@x> <#> <::> <@@ana>"),
            ("<@9>", ""),
            ("", ""),
            ("two\nlines", "two\nlines"),
        ] {
            assert_eq!(plain(text, &["9", "8"], name), wanted, "{text}");
        }
    }
}
