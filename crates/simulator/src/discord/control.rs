//! The hand that plays people and faults: a client of `/sim/*`, for this process or another.

mod faults;
mod look;
mod shapes;

use data_encoding::BASE64;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Error;
use crate::shared::hand::{Hand, form};

pub use crate::shared::load::Load;
pub use shapes::{Call, Channel, Click, Delivery, Interaction, Message, Said, Session, Socket, Submitted};

/// Plays people and faults in one simulator.
#[derive(Clone, Debug)]
pub struct Control(Hand);

impl Control {
    /// The control of the simulator at this address.
    pub fn at(base: impl Into<String>) -> Self {
        Self(Hand::at(base))
    }

    /// The address of the REST API with its version, without a slash at its end.
    pub fn api(&self) -> String {
        format!("{}/api/v10", self.0.base())
    }

    /// Asks the simulator for something.
    ///
    /// # Errors
    /// When it refuses or cannot be reached; the same for every method here.
    pub async fn ask(&self, operation: &str, body: Value) -> Result<Value, Error> {
        self.0.ask(operation, body).await
    }

    async fn typed<T: DeserializeOwned>(&self, operation: &str, body: Value) -> Result<T, Error> {
        self.0.typed(operation, body).await
    }

    async fn done(&self, operation: &str, body: Value) -> Result<(), Error> {
        self.ask(operation, body).await.map(drop)
    }

    async fn begun(&self, operation: &str, body: Value) -> Result<String, Error> {
        let begun = self.ask(operation, body).await?;
        Ok(begun.get("interaction").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// A person, or another app's bot, writes in a channel or thread. `@name` and `#name` become marks.
    pub async fn say(&self, user: &str, channel: &str, text: &str) -> Result<Said, Error> {
        self.typed("say", json!({"user": user, "channel": channel, "text": text})).await
    }

    /// A person replies to a message, which rings its author.
    pub async fn reply(&self, user: &str, channel: &str, id: &str, text: &str) -> Result<Said, Error> {
        let ask = json!({"user": user, "channel": channel, "text": text, "reply_to": id});
        self.typed("say", ask).await
    }

    /// A person, or another app's bot, writes anything: `user`, `channel`, `text`, and if wanted `reply_to`, `quiet` (a reply
    /// that does not ring), `raw` (the text is taken as it is), `embeds`, `components`.
    pub async fn say_as(&self, ask: Value) -> Result<Said, Error> {
        self.typed("say", ask).await
    }

    /// A person writes to the bot.
    pub async fn dm(&self, user: &str, text: &str) -> Result<Said, Error> {
        self.typed("dm", json!({"user": user, "text": text})).await
    }

    /// A webhook writes, its text taken as it is.
    pub async fn webhook(&self, channel: &str, username: &str, text: &str) -> Result<Said, Error> {
        self.typed("webhook", json!({"channel": channel, "username": username, "text": text})).await
    }

    /// Discord itself writes about somebody: 6 is a pin, 7 that somebody joined, 8 a boost, 18 a thread that was begun.
    pub async fn system(&self, user: &str, channel: &str, kind: u64) -> Result<Said, Error> {
        self.typed("system", json!({"user": user, "channel": channel, "kind": kind})).await
    }

    /// A person changes their message.
    pub async fn edit(&self, user: &str, channel: &str, id: &str, text: &str) -> Result<(), Error> {
        self.done("edit", json!({"user": user, "channel": channel, "id": id, "text": text})).await
    }

    /// A person deletes a message.
    pub async fn delete(&self, user: &str, channel: &str, id: &str) -> Result<(), Error> {
        self.done("delete", json!({"user": user, "channel": channel, "id": id})).await
    }

    /// Somebody deletes several messages at once.
    pub async fn delete_all(&self, channel: &str, ids: &[&str]) -> Result<(), Error> {
        self.done("delete_all", json!({"channel": channel, "ids": ids})).await
    }

    /// A person puts an emoji under a message.
    pub async fn react(&self, user: &str, channel: &str, id: &str, emoji: &str) -> Result<(), Error> {
        self.done("react", json!({"user": user, "channel": channel, "id": id, "emoji": emoji})).await
    }

    /// A person takes an emoji away.
    pub async fn unreact(&self, user: &str, channel: &str, id: &str, emoji: &str) -> Result<(), Error> {
        self.done("unreact", json!({"user": user, "channel": channel, "id": id, "emoji": emoji})).await
    }

    /// A person begins to type.
    pub async fn typing(&self, user: &str, channel: &str) -> Result<(), Error> {
        self.done("typing", json!({"user": user, "channel": channel})).await
    }

    /// A person uploads a file with some words.
    pub async fn upload(
        &self,
        user: &str,
        channel: &str,
        (name, mimetype, content): (&str, &str, &[u8]),
        text: &str,
    ) -> Result<Said, Error> {
        let ask = json!({
            "user": user,
            "channel": channel,
            "name": name,
            "mimetype": mimetype,
            "content": BASE64.encode(content),
            "text": text,
        });
        self.typed("upload", ask).await
    }

    /// A person begins a thread, at a message if one is given. Gives the thread.
    pub async fn thread(
        &self,
        user: &str,
        channel: &str,
        name: &str,
        at: Option<&str>,
    ) -> Result<String, Error> {
        let ask = json!({"user": user, "channel": channel, "name": name, "at": at});
        Ok(self.typed::<Said>("thread", ask).await?.channel)
    }

    /// A person posts in a forum. Gives the post, which is a thread.
    pub async fn post(&self, user: &str, forum: &str, name: &str, text: &str) -> Result<Said, Error> {
        self.typed("post", json!({"user": user, "channel": forum, "name": name, "text": text})).await
    }

    /// Somebody becomes a member of a guild, or of a thread.
    pub async fn join(&self, user: &str, place: &str) -> Result<(), Error> {
        self.done("join", json!({"user": user, "channel": place})).await
    }

    /// Somebody, or the bot, is a member no more.
    pub async fn kick(&self, user: &str, place: &str) -> Result<(), Error> {
        self.done("kick", json!({"user": user, "channel": place})).await
    }

    /// Somebody gets a role.
    pub async fn give_role(&self, user: &str, guild: &str, role: &str) -> Result<(), Error> {
        self.done("role", json!({"user": user, "guild": guild, "role": role, "given": true})).await
    }

    /// Somebody loses a role.
    pub async fn take_role(&self, user: &str, guild: &str, role: &str) -> Result<(), Error> {
        self.done("role", json!({"user": user, "guild": guild, "role": role, "given": false})).await
    }

    /// A role changes: `name`, `permissions` (bits), `mentionable`; a role that is not there is made.
    pub async fn set_role(&self, guild: &str, role: &str, change: Value) -> Result<(), Error> {
        self.done("set_role", merged(change, &[("guild", guild), ("role", role)])).await
    }

    /// What a role or a member may and may not do in a channel.
    pub async fn overwrite(&self, channel: &str, whose: &str, allow: u64, deny: u64) -> Result<(), Error> {
        let ask = json!({"channel": channel, "whose": whose, "allow": allow, "deny": deny});
        self.done("overwrite", ask).await
    }

    /// A new channel of a guild, with a type as Discord numbers them. Gives its id.
    pub async fn new_channel(&self, guild: &str, name: &str, kind: u64) -> Result<String, Error> {
        let ask = json!({"guild": guild, "name": name, "kind": kind});
        Ok(self.typed::<Said>("new_channel", ask).await?.channel)
    }

    /// A channel or thread is no more.
    pub async fn delete_channel(&self, channel: &str) -> Result<(), Error> {
        self.done("delete_channel", json!({"channel": channel})).await
    }

    /// A thread is archived, or wakes up.
    pub async fn archive(&self, channel: &str, archived: bool) -> Result<(), Error> {
        self.done("archive", json!({"channel": channel, "archived": archived})).await
    }

    /// A thread is archived and locked, or neither.
    pub async fn lock(&self, channel: &str, locked: bool) -> Result<(), Error> {
        self.done("archive", json!({"channel": channel, "archived": locked, "locked": locked})).await
    }

    /// What is known of a person changes (`name`, `global_name`, `blocks_dms`, `bot`, `locale`, and with `guild` also `nick`);
    /// a new id is a new person.
    pub async fn set_user(&self, user: &str, change: Value) -> Result<(), Error> {
        self.done("set_user", merged(change, &[("user", user)])).await
    }

    /// A person runs a slash command; values by the names of its options. Gives the interaction.
    pub async fn command(
        &self,
        user: &str,
        channel: &str,
        command: &str,
        options: Value,
    ) -> Result<String, Error> {
        let ask = json!({"user": user, "channel": channel, "command": command, "options": options});
        self.begun("command", ask).await
    }

    /// A person runs a command of the menu of a message. Gives the interaction.
    pub async fn shortcut(&self, user: &str, channel: &str, id: &str, name: &str) -> Result<String, Error> {
        self.begun("shortcut", json!({"user": user, "channel": channel, "id": id, "name": name})).await
    }

    /// A person clicks a button, or chooses from a menu. Gives the interaction.
    pub async fn click(&self, click: &Click) -> Result<String, Error> {
        let ask = serde_json::to_value(click).map_err(|error| form("click", &error))?;
        self.begun("click", ask).await
    }

    /// The modal that a person sees.
    pub async fn view(&self, user: &str) -> Result<Option<Value>, Error> {
        let view = self.ask("view", json!({"user": user})).await?;
        Ok(Some(view).filter(|view| !view.is_null()))
    }

    /// A person fills a modal in (texts and choices by `custom_id`) and sends it off.
    pub async fn submit(&self, user: &str, values: &[(&str, &str)]) -> Result<Submitted, Error> {
        let values: Map<String, Value> =
            values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        self.typed("submit", json!({"user": user, "values": values})).await
    }

    /// A person closes a modal. The app is not told.
    pub async fn close_view(&self, user: &str) -> Result<(), Error> {
        self.done("close_view", json!({"user": user})).await
    }

    /// Many messages by each user in turn, to the bot or as mentions in the channels in turn; at once, or so many a second.
    pub async fn load(&self, load: &Load) -> Result<Vec<Said>, Error> {
        let ask = serde_json::to_value(load).map_err(|error| form("load", &error))?;
        self.typed("load", ask).await
    }
}

fn merged(mut change: Value, more: &[(&str, &str)]) -> Value {
    if let Some(change) = change.as_object_mut() {
        change.extend(more.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    }
    change
}
