//! Embeds, checked as the documentation of their limits has it.

use serde_json::{Value, json};

use super::refusal::Faults;

/// The most embeds of a message.
const EMBEDS: usize = 10;

/// The most characters of all embeds of a message.
const IN_SUM: usize = 6000;

const TEXTS: &[(&str, usize)] =
    &[("title", 256), ("description", 4096), ("footer.text", 2048), ("author.name", 256)];

/// Checks the embeds of a message, and gives them as they are kept.
pub(crate) fn check(embeds: &[Value], faults: &mut Faults) -> Vec<Value> {
    if embeds.len() > EMBEDS {
        faults.add("embeds", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.");
    }
    let mut sum = 0;
    for (index, embed) in embeds.iter().enumerate() {
        let at = format!("embeds.{index}");
        if !embed.is_object() {
            faults.add(&at, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType");
            continue;
        }
        for (path, most) in TEXTS {
            let pointer = format!("/{}", path.replace('.', "/"));
            let text = embed.pointer(&pointer).and_then(Value::as_str).unwrap_or_default();
            faults.length(&format!("{at}.{path}"), text, 0, *most);
            sum += text.chars().count();
        }
        for holder in ["footer", "author"] {
            let text = if holder == "footer" { "text" } else { "name" };
            if embed.get(holder).is_some_and(|it| it.is_object() && it.get(text).is_none_or(Value::is_null)) {
                faults.required(&format!("{at}.{holder}.{text}"));
            }
        }
        sum += check_fields(embed, &at, faults);
        if embed.get("color").is_some_and(|it| !it.is_null() && it.as_u64().is_none_or(|it| it > 0xff_ffff)) {
            faults.add(
                &format!("{at}.color"),
                "NUMBER_TYPE_MAX",
                "int value should be less than or equal to 16777215.",
            );
        }
        for path in ["url", "image.url", "thumbnail.url", "author.url", "author.icon_url", "footer.icon_url"]
        {
            let pointer = format!("/{}", path.replace('.', "/"));
            let url = embed.pointer(&pointer).and_then(Value::as_str).filter(|url| !url.is_empty());
            let known = ["http://", "https://", "attachment://"];
            if url.is_some_and(|url| !known.iter().any(|scheme| url.starts_with(scheme))) {
                let words = "Scheme must be one of ('http', 'https').";
                faults.add(&format!("{at}.{path}"), "URL_TYPE_INVALID_SCHEME", words);
            }
        }
    }
    if sum > IN_SUM {
        faults.add("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000");
    }
    embeds.iter().map(kept).collect()
}

fn check_fields(embed: &Value, at: &str, faults: &mut Faults) -> usize {
    let fields = embed.get("fields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if fields.len() > 25 {
        faults.add(&format!("{at}.fields"), "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.");
    }
    let mut sum = 0;
    for (number, field) in fields.iter().enumerate() {
        for (name, most) in [("name", 256), ("value", 1024)] {
            let text = field.get(name).and_then(Value::as_str).unwrap_or_default();
            let path = format!("{at}.fields.{number}.{name}");
            if text.trim().is_empty() {
                faults.required(&path);
            } else {
                faults.length(&path, text, 0, most);
            }
            sum += text.chars().count();
        }
    }
    sum
}

fn kept(embed: &Value) -> Value {
    let mut kept = json!({"type": "rich"});
    if let (Some(kept), Some(embed)) = (kept.as_object_mut(), embed.as_object()) {
        kept.extend(embed.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())));
        kept.insert("type".to_owned(), json!("rich"));
        for field in kept.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(field) = field.as_object_mut() {
                field.entry("inline").or_insert(json!(false));
            }
        }
    }
    kept
}
