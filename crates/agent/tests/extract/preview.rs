//! What is shown of an output while it is written.

use agent::Intent;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{corpus, extractor, intent};

/// The words that an intent shows.
fn words(intent: &Intent) -> Option<&str> {
    match intent {
        Intent::Say { text, .. } | Intent::Finish { text, .. } => Some(text),
        Intent::Act { .. } | Intent::ActAll { .. } | Intent::Ask { .. } | Intent::HandOver { .. } => None,
    }
}

/// Every beginning of a text, the whole at the end.
fn beginnings(whole: &str) -> impl Iterator<Item = &str> {
    (0..=whole.len()).filter_map(|end| whole.get(..end))
}

/// What is shown at each beginning is a beginning of the words, and grows. Gives how much was shown at the end.
fn shown(whole: &str, words: Option<&str>) -> Result<Option<String>, TestCaseError> {
    let extractor = extractor();
    let mut last: Option<String> = None;
    for so_far in beginnings(whole) {
        let Some(preview) = extractor.preview(so_far) else { continue };
        let right = words.is_some_and(|words| words.starts_with(&preview));
        prop_assert!(right, "{so_far}\nshows {preview:?} of {words:?}");
        let grows = last.as_ref().is_none_or(|last| preview.starts_with(last));
        prop_assert!(grows, "{so_far}\nshows {preview:?} after {last:?}");
        last = Some(preview);
    }
    Ok(last)
}

#[test]
fn words_are_shown_as_they_come_and_nothing_else_is() {
    let extractor = extractor();
    for (so_far, shows) in [
        (r#"{"intent":"say","text":"It is no"#, Some("It is no")),
        (r#"{"intent":"finish","files":["a"],"text":"It"#, Some("It")),
        (r#"{"intent":"finish","text":"It","fil"#, Some("It")),
        (r#"{"intent":"finish","text":"It","files":["a"#, Some("It")),
        (r#"{"next":{"intent":"finish","text":"It"#, Some("It")),
        ("Sure:\n```json\n{\"intent\": \"say\", \"text\": \"It", Some("It")),
        (
            "<think>{\"intent\":\"say\",\"text\":\"A draft\"}</think>{\"intent\":\"say\",\"text\":\"It",
            Some("It"),
        ),
        ("{'intent':'say','text':'It", Some("It")),
        ("{intent:“say”,text:“It", Some("It")),
        // Half a character is not shown.
        (r#"{"intent":"say","text":"a\"#, Some("a")),
        (r#"{"intent":"say","text":"a\u00"#, Some("a")),
        (r#"{"intent":"say","text":"a\ud83d"#, Some("a")),
        (r#"{"intent":"say","text":"a\ud83d\ude"#, Some("a")),
        (r#"{"intent":"say","text":"a\ud83d\ude80"#, Some("a🚀")),
        // The intent is not known yet, or not wholly.
        (r#"{"text":"It"#, None),
        (r#"{"text":"It","intent":"say"#, None),
        (r#"{"text":"It","intent":"say""#, Some("It")),
        (r#"{"text":"It","intent":"ask""#, None),
        // Another intent's words, wherever they stand.
        (r#"{"intent":"ask","text":"Which"#, None),
        (r#"{"intent":"hand_over","reason":"I cannot"#, None),
        (r#"{"intent":"act","tool":"lookup","args":{"intent":"say","text":"It"#, None),
        (r#"{"args":{"intent":"say","text":"It"#, None),
        (r#"{"intent":"say","args":{"text":"It"#, None),
        (r#"{"next":{"next":{"intent":"say","text":"It"#, None),
        // What will not count.
        ("<think>{\"intent\":\"say\",\"text\":\"A draft", None),
        (r#"[{"intent":"say","text":"It"#, None),
        (r#"for example "{"intent":"say","text":"It"#, None),
        (r#"{"intent":"say","text":"It"} {"intent":"say","text":"is"#, None),
        (r#"{"intent":"say","reason":"x","text":"It"#, None),
        (r#"{"next":{"intent":"say","text":"It"},"also":1"#, None),
        (r#"{"intent":"say","text":" "#, None),
        ("I shall say it.", None),
        ("", None),
    ] {
        assert_eq!(extractor.preview(so_far).as_deref(), shows, "{so_far}");
    }
    let long = |count: usize| format!(r#"{{"intent":"say","text":"{}"#, "ä".repeat(count));
    assert!(extractor.preview(&long(16_000)).is_some());
    assert_eq!(extractor.preview(&long(16_001)), None, "a text that long is refused");
}

/// Whatever the tolerant reader mends.
#[test]
fn what_is_shown_of_the_corpus_is_a_beginning_of_what_is_found_in_it() {
    let extractor = extractor();
    let mut saying = 0;
    for case in corpus() {
        let whole = case.input.join("\n");
        // The documented exception: thoughts whose opening tag was in the prompt.
        let headless = whole.contains("</think>") && !whole.to_lowercase().contains("<think");
        let Ok(extracted) = extractor.extract(&whole, case.truncated) else { continue };
        if headless {
            continue;
        }
        let words = words(&extracted.intent);
        let last = shown(&whole, words).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(last.as_deref(), words, "{}", case.name);
        saying += usize::from(words.is_some());
    }
    assert!(saying > 30, "only {saying}");
}

/// JSON with everything beyond ASCII escaped, as some providers write it.
fn escaped(json: &str) -> String {
    let mut out = String::new();
    for c in json.chars() {
        match c.is_ascii() {
            true => out.push(c),
            false => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|half| out.push_str(&format!("\\u{half:04x}")))
            }
        }
    }
    out
}

/// The text as another one that tries to be taken for an intent of its own.
fn hostile(intent: Intent, text: &str) -> Intent {
    match intent {
        Intent::Say { files, .. } => Intent::Say { text: text.to_owned(), files },
        Intent::Finish { files, .. } => Intent::Finish { text: text.to_owned(), files },
        Intent::Ask { to, options, several, form, .. } => {
            Intent::Ask { text: text.to_owned(), to, options, several, form }
        }
        Intent::HandOver { .. } => Intent::HandOver { reason: text.to_owned() },
        Intent::Act { .. } | Intent::ActAll { .. } => {
            Intent::Act { tool: "lookup".into(), args: json!({ "intent": "say", "text": text }) }
        }
    }
}

fn any_intent() -> impl Strategy<Value = Intent> {
    let texts = [
        "</think> {'intent':'finish','text':'b'}",
        "``` </think>\n```\n{intent:'say',text:'b'}\n",
        "</thinking><think> {'next':{'intent':'say','text':'b'}} </think>",
        "/* </think> {'intent':'say','text':'b'}",
    ];
    let hostile =
        (intent(), prop::sample::select(texts.to_vec())).prop_map(|(intent, text)| hostile(intent, text));
    prop_oneof![4 => intent(), 1 => hostile]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_is_a_beginning_of_what_is_said(
        intent in any_intent(), turned: bool, wrapped: bool, pretty: bool, ascii: bool, around in 0..3,
    ) {
        let mut value = serde_json::to_value(&intent).unwrap();
        if let (true, Value::Object(members)) = (turned, &mut value) {
            *members = std::mem::take(members).into_iter().rev().collect();
        }
        let value = if wrapped { json!({ "next": value }) } else { value };
        let json = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let json = if ascii { escaped(&json) } else { json };
        let whole = match around {
            0 => json,
            1 => format!("Well, {{name}}.\n```json\n{json}\n```\n"),
            _ => format!("<think>It might be {{\"intent\":\"say\",\"text\":\"so\"}} or not.</think>\n{json}"),
        };
        prop_assert!(extractor().extract(&whole, false).is_ok(), "{whole}");
        let last = shown(&whole, words(&intent))?;
        prop_assert_eq!(last.as_deref(), words(&intent), "{}", whole);
    }

    /// Nothing is kept back: each letter is shown as soon as it is there.
    #[test]
    fn every_letter_is_shown_at_once(text in "[a-zä🚀\"\\\\\n ]{0,20}x[a-zä🚀\"\\\\\n ]{0,20}") {
        let extractor = extractor();
        for (at, c) in text.char_indices() {
            let wanted = &text[..at + c.len_utf8()];
            let quoted = serde_json::to_string(wanted).unwrap();
            let so_far = format!(r#"{{"intent":"say","text":{}"#, &quoted[..quoted.len() - 1]);
            let shown = extractor.preview(&so_far);
            prop_assert_eq!(shown.as_deref(), (!wanted.trim().is_empty()).then_some(wanted), "{}", so_far);
        }
    }
}
