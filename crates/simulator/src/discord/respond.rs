//! How the app answers an interaction.

use serde_json::{Map, Value, json};

use super::{
    components::{self, For},
    content::{Content, Handed},
    ids::{Id, now_ms},
    interaction::{COMMAND, COMPONENT, Interaction, MODAL_SUBMIT},
    message::{EPHEMERAL, LOADING, Message},
    modal::Modal,
    refusal::{Faults, Refusal},
    world::World,
};

impl World {
    /// The first answer to an interaction.
    pub(crate) fn callback(
        &mut self,
        id: Id,
        token: &str,
        body: &Map<String, Value>,
        files: &[Handed],
    ) -> Result<Value, Refusal> {
        let found = self.interactions.get(&id).filter(|found| found.token == token && !found.failed);
        let found = found.cloned().ok_or_else(|| Refusal::new(404, 10062, "Unknown interaction"))?;
        if found.answered.is_some() {
            let words = "Interaction has already been acknowledged.";
            return Err(Refusal::new(400, 40060, words));
        }
        let kind = body.get("type").and_then(Value::as_u64);
        let kind =
            kind.ok_or_else(|| Refusal::field("type", "BASE_TYPE_REQUIRED", "This field is required"))?;
        let empty = Map::new();
        let data = body.get("data").and_then(Value::as_object).unwrap_or(&empty);
        let fits = match kind {
            4 | 5 => true,
            6 | 7 => found.source.is_some() && matches!(found.kind, COMPONENT | MODAL_SUBMIT),
            9 => matches!(found.kind, COMMAND | COMPONENT),
            _ => false,
        };
        if !fits {
            let words = "Value must be one of {4, 5, 6, 7, 9}.";
            return Err(Refusal::field("type", "BASE_TYPE_CHOICES", words));
        }
        let response = match kind {
            4 => Some(self.answer_with(&found, data, files)?),
            5 => {
                let flags = data.get("flags").and_then(Value::as_u64).unwrap_or_default() & EPHEMERAL;
                let mut message = self.answer_to(&found, flags | LOADING);
                message.kind = found.message_kind;
                Some(self.put(message))
            }
            6 => found.source,
            7 => {
                self.change_source(&found, data, files)?;
                found.source
            }
            _ => {
                self.open_modal(&found, data)?;
                None
            }
        };
        let at = self.now_us();
        if let Some(kept) = self.interactions.get_mut(&id) {
            kept.answered = Some((kind, at));
            kept.response = response;
        }
        Ok(self.told(&found, kind, response))
    }

    /// What the answer to a first answer is, if it was asked for.
    fn told(&self, found: &Interaction, kind: u64, response: Option<Id>) -> Value {
        let message = response.and_then(|id| self.channels.get(&found.channel)?.messages.get(&id));
        let ephemeral = message.is_some_and(|message| message.flags & EPHEMERAL != 0);
        let mut interaction = json!({"id": found.id.to_string(), "type": found.kind});
        if let (Some(id), Some(fields)) = (response, interaction.as_object_mut()) {
            fields.insert("response_message_id".to_owned(), json!(id.to_string()));
            fields.insert("response_message_loading".to_owned(), json!(kind == 5));
            fields.insert("response_message_ephemeral".to_owned(), json!(ephemeral));
        }
        let mut told = json!({"interaction": interaction});
        if let (Some(message), Some(told)) = (message.filter(|_| matches!(kind, 4 | 7)), told.as_object_mut())
        {
            told.insert("resource".to_owned(), json!({"type": kind, "message": self.show(message)}));
        }
        told
    }

    /// A message of the app that answers an interaction, still empty.
    pub(crate) fn answer_to(&mut self, found: &Interaction, flags: u64) -> Message {
        let app = self.app;
        let mut metadata = json!({
            "id": found.id.to_string(),
            "type": found.kind,
            "user": self.show_user(found.user),
            "authorizing_integration_owners": found.payload.get("authorizing_integration_owners"),
        });
        if let (Some(source), Some(metadata)) = (found.source, metadata.as_object_mut()) {
            metadata.insert("interacted_message_id".to_owned(), json!(source.to_string()));
        }
        Message {
            flags,
            interaction: Some(metadata),
            ephemeral_to: (flags & EPHEMERAL != 0).then_some(found.user),
            ..self.draft(found.channel, app)
        }
    }

    fn answer_with(
        &mut self,
        found: &Interaction,
        data: &Map<String, Value>,
        files: &[Handed],
    ) -> Result<Id, Refusal> {
        let content = Content::read(self, data, files, 0).map_err(in_data)?;
        content.need()?;
        let flags = content.flags.unwrap_or_default() & EPHEMERAL;
        let allowed = content.allowed.clone();
        let mut message = self.answer_to(found, flags);
        message.kind = found.message_kind;
        content.write(&mut message, true);
        self.mention_and_ring(&mut message, &allowed);
        Ok(self.put(message))
    }

    /// Writes the mentions; what only one person sees rings nobody.
    pub(crate) fn mention_and_ring(&self, message: &mut Message, allowed: &super::rings::Allowed) {
        self.mention(message, allowed);
        if message.ephemeral_to.is_some() {
            message.rings.clear();
        }
    }

    fn change_source(
        &mut self,
        found: &Interaction,
        data: &Map<String, Value>,
        files: &[Handed],
    ) -> Result<(), Refusal> {
        let source = found.source.unwrap_or_default();
        self.change(found.channel, source, data, files, false).map_err(in_data)?;
        Ok(())
    }

    /// Changes a message of the app as a body says. Gives how it looks now.
    pub(crate) fn change(
        &mut self,
        channel: Id,
        id: Id,
        body: &Map<String, Value>,
        files: &[Handed],
        finishes: bool,
    ) -> Result<Value, Refusal> {
        let kept = self.channels.get(&channel).and_then(|channel| channel.messages.get(&id));
        let mut message = kept.filter(|it| !it.deleted).cloned().ok_or_else(Refusal::unknown_message)?;
        let content = Content::read(self, body, files, message.flags)?;
        let allowed = content.allowed.clone();
        let loading = message.flags & LOADING != 0;
        content.write(&mut message, false);
        let bare = message.content.is_empty()
            && message.embeds.is_empty()
            && message.components.is_empty()
            && message.attachments.is_empty();
        if bare {
            return Err(Refusal::new(400, 50006, "Cannot send an empty message"));
        }
        let rings = std::mem::take(&mut message.rings);
        self.mention_and_ring(&mut message, &allowed);
        if loading && finishes {
            message.flags &= !LOADING;
        } else {
            // A change mentions, and rings nobody.
            message.rings = rings;
            message.edited_ms = Some(now_ms());
        }
        self.replace(message);
        let kept = self.channels.get(&channel).and_then(|channel| channel.messages.get(&id));
        Ok(kept.map(|kept| self.show(kept)).unwrap_or_default())
    }

    fn open_modal(&mut self, found: &Interaction, data: &Map<String, Value>) -> Result<(), Refusal> {
        let mut faults = Faults::default();
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (custom_id, title) = (text("custom_id"), text("title"));
        faults.length("data.custom_id", &custom_id, 1, 100);
        faults.length("data.title", &title, 1, 45);
        let list = data.get("components").and_then(Value::as_array).cloned().unwrap_or_default();
        let components = components::check(&list, For::Modal, &mut faults);
        faults.check()?;
        let modal = Modal { custom_id, title, components, source: found.source, channel: found.channel };
        self.modals.insert(found.user, modal);
        Ok(())
    }
}

/// What is wrong in a body is told under `data`.
fn in_data(mut refusal: Refusal) -> Refusal {
    refusal.errors = refusal.errors.map(|errors| json!({"data": errors}));
    refusal
}
