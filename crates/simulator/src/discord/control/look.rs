//! What a test looks at.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Call, Channel, Control, Delivery, Interaction, Message, Session, Socket};
use crate::discord::Error;
use crate::shared::hand::wait;

impl Control {
    /// The messages of a channel or thread, oldest first, those that only one person sees included.
    pub async fn messages(&self, channel: &str) -> Result<Vec<Message>, Error> {
        self.typed("messages", json!({"channel": channel})).await
    }

    /// The same as one person sees it: without what only others see.
    pub async fn messages_for(&self, viewer: &str, channel: &str) -> Result<Vec<Message>, Error> {
        self.typed("messages", json!({"channel": channel, "viewer": viewer})).await
    }

    /// Waits until some message in a channel satisfies the predicate, and gives the first that does.
    pub async fn wait_for(
        &self,
        channel: &str,
        within: Duration,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Message, Error> {
        wait(within, async || {
            let mut found = self.messages(channel).await?;
            if let Some(index) = found.iter().position(&wanted) {
                return Ok(Ok(found.swap_remove(index)));
            }
            let texts: Vec<String> = found.into_iter().map(|message| message.text).collect();
            Ok(Err(format!("{channel} holds {texts:?}")))
        })
        .await
    }

    /// An interaction as it stands.
    pub async fn interaction(&self, id: &str) -> Result<Interaction, Error> {
        self.typed("interaction", json!({"id": id})).await
    }

    /// All interactions, oldest first.
    pub async fn interactions(&self) -> Result<Vec<Interaction>, Error> {
        self.typed("interactions", json!({})).await
    }

    /// Waits until an interaction is answered, or has failed before the person's eyes.
    pub async fn outcome(&self, id: &str, within: Duration) -> Result<Interaction, Error> {
        wait(within, async || {
            let found = self.interaction(id).await?;
            let pending = found.state == "pending";
            Ok(if pending { Err(format!("the interaction {id} is pending")) } else { Ok(found) })
        })
        .await
    }

    /// Who types in a channel: `user` and `at_us`. A message takes all of them away.
    pub async fn who_types(&self, channel: &str) -> Result<Vec<Value>, Error> {
        self.typed("who_types", json!({"channel": channel})).await
    }

    /// The calls of the REST API so far, of one route or of all.
    pub async fn calls(&self, method: Option<&str>) -> Result<Vec<Call>, Error> {
        self.typed("calls", json!({"method": method})).await
    }

    /// Everything that was dispatched to the app.
    pub async fn deliveries(&self) -> Result<Vec<Delivery>, Error> {
        self.typed("deliveries", json!({})).await
    }

    /// The live sockets.
    pub async fn sockets(&self) -> Result<Vec<Socket>, Error> {
        self.typed("sockets", json!({})).await
    }

    /// The sessions, those without a socket included.
    pub async fn sessions(&self) -> Result<Vec<Session>, Error> {
        self.typed("sessions", json!({})).await
    }

    /// The channels, threads and conversations with the bot included.
    pub async fn channels(&self) -> Result<Vec<Channel>, Error> {
        self.typed("channels", json!({})).await
    }

    /// The commands of the app in a guild, or everywhere.
    pub async fn commands(&self, guild: Option<&str>) -> Result<Vec<Value>, Error> {
        self.typed("commands", json!({"guild": guild})).await
    }

    /// What went wrong before people's eyes.
    pub async fn mishaps(&self) -> Result<Vec<Value>, Error> {
        self.typed("mishaps", json!({})).await
    }

    /// How many invalid requests the app made in the last ten minutes.
    pub async fn invalid_requests(&self) -> Result<u64, Error> {
        let settings = self.settings().await?;
        Ok(settings.get("invalid_requests").and_then(Value::as_u64).unwrap_or_default())
    }

    /// What is switched how, and counts.
    pub async fn settings(&self) -> Result<Value, Error> {
        self.ask("settings", json!({})).await
    }

    /// The milliseconds since the simulator began, and a snowflake of now.
    pub async fn time(&self) -> Result<Value, Error> {
        self.ask("time", json!({})).await
    }
}
