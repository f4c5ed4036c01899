//! What a message that the app writes carries, checked.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    components::{self, For},
    embeds,
    ids::Id,
    message::{Attachment, COMPONENTS_V2, EPHEMERAL, Message, SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS},
    refusal::{Faults, Refusal},
    rings::Allowed,
    world::World,
};

/// The most characters of the content.
pub(crate) const CONTENT: usize = 2000;

/// The most bytes of a file.
pub(crate) const FILE: usize = 10 * 1024 * 1024;

/// A file that came with a call, or that a person hands in.
#[derive(Clone, Debug)]
pub(crate) struct Handed {
    /// The name of its part, `files[n]`.
    pub(crate) part: String,
    pub(crate) name: String,
    pub(crate) content_type: Option<String>,
    pub(crate) content: Bytes,
}

/// What a message carries; none for what was not given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) content: Option<String>,
    pub(crate) embeds: Option<Vec<Value>>,
    pub(crate) components: Option<Vec<Value>>,
    pub(crate) flags: Option<u64>,
    pub(crate) allowed: Allowed,
    pub(crate) nonce: Option<Value>,
    pub(crate) enforce_nonce: bool,
    pub(crate) reference: Option<Value>,
    pub(crate) files: Vec<Attachment>,
    /// The attachments that an edit keeps.
    pub(crate) kept: Option<Vec<Id>>,
}

impl Content {
    /// Reads a body; `before` is the flags of the message that an edit is about.
    pub(crate) fn read(
        world: &mut World,
        body: &Map<String, Value>,
        files: &[Handed],
        before: u64,
    ) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let given = |name: &str| body.get(name).filter(|value| !value.is_null());
        let content = given("content")
            .map(|content| content.as_str().map_or_else(|| content.to_string(), str::to_owned));
        if let Some(content) = &content {
            faults.length("content", content, 0, CONTENT);
        }
        let flags = given("flags").and_then(Value::as_u64);
        let layout = (flags.unwrap_or_default() | before) & COMPONENTS_V2 != 0;
        let embeds = list(body, "embeds", &mut faults).map(|list| embeds::check(&list, &mut faults));
        let what = if layout { For::Layout } else { For::Message };
        let components =
            list(body, "components", &mut faults).map(|list| components::check(&list, what, &mut faults));
        if layout && content.as_ref().is_some_and(|content| !content.is_empty()) {
            let words = "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2";
            faults.add("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", words);
        }
        if layout && embeds.as_ref().is_some_and(|embeds| !embeds.is_empty()) {
            let words = "The 'embeds' field cannot be used when using MessageFlags.IS_COMPONENTS_V2";
            faults.add("embeds", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", words);
        }
        let nonce = given("nonce").cloned();
        if nonce.as_ref().and_then(Value::as_str).is_some_and(|nonce| nonce.chars().count() > 25) {
            faults.add("nonce", "NONCE_TYPE_TOO_LONG", "Must be 25 or fewer in length.");
        }
        if files.len() > 10 {
            faults.add("attachments", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.");
        }
        faults.check()?;
        if files.iter().any(|file| file.content.len() > FILE) {
            return Err(Refusal::new(413, 40005, "Request entity too large"));
        }
        let allowed = Allowed::read(given("allowed_mentions"))?;
        let (files, kept) = attachments(world, body, files);
        Ok(Self {
            content,
            embeds,
            components,
            flags,
            allowed,
            nonce,
            enforce_nonce: given("enforce_nonce") == Some(&Value::Bool(true)),
            reference: given("message_reference").cloned(),
            files,
            kept,
        })
    }

    /// True if there is nothing to see in it.
    pub(crate) fn is_empty(&self) -> bool {
        let none = |list: &Option<Vec<Value>>| list.as_ref().is_none_or(Vec::is_empty);
        self.content.as_ref().is_none_or(|content| content.trim().is_empty())
            && none(&self.embeds)
            && none(&self.components)
            && self.files.is_empty()
    }

    /// The refusal of an empty message.
    pub(crate) fn need(&self) -> Result<(), Refusal> {
        if self.is_empty() { Err(Refusal::new(400, 50006, "Cannot send an empty message")) } else { Ok(()) }
    }

    /// Writes what was given into a message. `ephemeral` is whether it may be one.
    pub(crate) fn write(self, message: &mut Message, ephemeral: bool) {
        let may_set =
            SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2 | if ephemeral { EPHEMERAL } else { 0 };
        if let Some(content) = self.content {
            // Spaces around what is said are not kept.
            content.trim().clone_into(&mut message.content);
        }
        if let Some(embeds) = self.embeds {
            message.embeds = embeds;
        }
        if let Some(components) = self.components {
            message.components = components;
        }
        if let Some(flags) = self.flags {
            message.flags = message.flags & !may_set | flags & may_set;
        }
        if let Some(kept) = self.kept {
            message.attachments.retain(|file| kept.contains(&file.id));
        }
        message.attachments.extend(self.files);
    }
}

fn list(body: &Map<String, Value>, name: &str, faults: &mut Faults) -> Option<Vec<Value>> {
    match body.get(name) {
        None => None,
        Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(list)) => Some(list.clone()),
        Some(_) => {
            faults.add(name, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType");
            None
        }
    }
}

/// The files that came, named as the field `attachments` says, and those that it keeps.
fn attachments(
    world: &mut World,
    body: &Map<String, Value>,
    files: &[Handed],
) -> (Vec<Attachment>, Option<Vec<Id>>) {
    let told = body.get("attachments").and_then(Value::as_array);
    let number = |it: &Value| {
        let id = it.get("id")?;
        id.as_u64().or_else(|| id.as_str()?.parse::<u64>().ok())
    };
    let mut made = Vec::new();
    for file in files {
        let index = file.part.trim_start_matches("files[").trim_end_matches(']').parse::<u64>().ok();
        let about = told.and_then(|told| told.iter().find(|it| index.is_some() && number(it) == index));
        let text = |name: &str| about.and_then(|it| it.get(name)).and_then(Value::as_str);
        made.push(world.attach(file, text("filename"), text("description")));
    }
    let kept = told.map(|told| told.iter().filter_map(number).collect());
    (made, kept)
}

impl World {
    /// A file as it is kept on a message.
    pub(crate) fn attach(
        &mut self,
        file: &Handed,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Attachment {
        let wanted = name.unwrap_or(&file.name);
        let safe = |c: char| if c.is_alphanumeric() || ".-_".contains(c) { c } else { '_' };
        let filename: String = wanted.chars().map(safe).collect();
        let guessed = super::files::content_type(&filename);
        Attachment {
            id: self.snowflakes.next(),
            content_type: file.content_type.clone().unwrap_or_else(|| guessed.to_owned()),
            filename,
            description: description.map(str::to_owned),
            content: file.content.clone(),
        }
    }
}
