//! Attachments: where they are, and their download.
//!
//! Invariant: a file is given out only to whoever has the whole address: its end looks like a signature and is checked.

use std::sync::Arc;

use super::{
    Shared,
    ids::Id,
    message::{Attachment, Message},
    world::World,
};
use crate::shared::http::{Call, Reply, reply, set};

/// What a file seems to be.
pub(crate) fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, kind)| kind) {
        "txt" | "log" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" => "application/json; charset=utf-8",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

impl World {
    /// The address of an attachment, good for a while.
    pub(crate) fn attachment_url(&self, message: &Message, file: &Attachment) -> String {
        let name: String = form_urlencoded::byte_serialize(file.filename.as_bytes()).collect();
        let (base, channel) = (&self.base, message.channel);
        let until = super::ids::now_ms() / 1000 + 24 * 3600;
        format!(
            "{base}/cdn/attachments/{channel}/{}/{name}?ex={until:x}&is={:x}&hm={}&",
            file.id,
            until - 24 * 3600,
            self.file_signature(file.id)
        )
    }

    fn file_signature(&self, id: Id) -> String {
        self.signer.sign("attachment", &id.to_string()).chars().take(64).collect()
    }

    fn attachment(&self, channel: Id, id: Id) -> Option<&Attachment> {
        let messages = self.channels.get(&channel)?.messages.values().filter(|message| !message.deleted);
        messages.flat_map(|message| &message.attachments).find(|file| file.id == id)
    }
}

/// Gives the content of an attachment out.
pub(crate) fn serve(call: &Call, shared: &Arc<Shared>) -> Reply {
    let mut parts = call.path.trim_start_matches("/cdn/attachments/").split('/');
    let mut number = || parts.next().and_then(|part| part.parse::<Id>().ok()).unwrap_or_default();
    let (channel, id) = (number(), number());
    let signature = form_urlencoded::parse(call.query.as_bytes()).find(|(name, _)| name == "hm");
    let found = shared.with(|world| {
        let good = signature.is_some_and(|(_, value)| value == world.file_signature(id));
        let file = world.attachment(channel, id).filter(|_| good)?;
        Some((file.content_type.clone(), file.filename.clone(), file.content.clone()))
    });
    let Some((content_type, name, content)) = found else {
        return reply(404, "text/plain; charset=utf-8", "This content is no longer available.");
    };
    let mut answer = reply(200, &content_type, content);
    let plain: String = name.chars().filter(|c| c.is_ascii_graphic() && *c != '"').collect();
    set(&mut answer, "content-disposition", &format!("attachment; filename=\"{plain}\""));
    answer
}
