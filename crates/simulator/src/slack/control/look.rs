//! What a test looks at.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Call, Channel, Control, Delivery, Message, Socket};
use crate::shared::hand::wait;
use crate::slack::Error;

impl Control {
    /// The messages of a channel, or of one thread of it, oldest first, ephemeral ones included.
    pub async fn messages(&self, channel: &str, thread_ts: Option<&str>) -> Result<Vec<Message>, Error> {
        self.typed("messages", json!({"channel": channel, "thread_ts": thread_ts})).await
    }

    /// The same as one person sees it: without what only others see.
    pub async fn messages_for(
        &self,
        viewer: &str,
        channel: &str,
        thread_ts: Option<&str>,
    ) -> Result<Vec<Message>, Error> {
        self.typed("messages", json!({"channel": channel, "thread_ts": thread_ts, "viewer": viewer})).await
    }

    /// Waits until some message in a channel satisfies the predicate, and gives the first that does.
    pub async fn wait_for(
        &self,
        channel: &str,
        within: Duration,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Message, Error> {
        wait(within, async || {
            let mut found = self.messages(channel, None).await?;
            if let Some(index) = found.iter().position(&wanted) {
                return Ok(Ok(found.swap_remove(index)));
            }
            let texts: Vec<String> = found.into_iter().map(|message| message.text).collect();
            Ok(Err(format!("{channel} holds {texts:?}")))
        })
        .await
    }

    /// What the app says that it is doing in a thread.
    pub async fn status(&self, channel: &str, thread_ts: &str) -> Result<Option<String>, Error> {
        let status = self.ask("status", json!({"channel": channel, "thread_ts": thread_ts})).await?;
        Ok(status.get("status").and_then(Value::as_str).map(str::to_owned))
    }

    /// The prompts that the app suggests in a thread.
    pub async fn prompts(&self, channel: &str, thread_ts: &str) -> Result<Option<Value>, Error> {
        let prompts = self.ask("prompts", json!({"channel": channel, "thread_ts": thread_ts})).await?;
        Ok(Some(prompts).filter(|prompts| !prompts.is_null()))
    }

    /// The title of an assistant thread.
    pub async fn title(&self, channel: &str, thread_ts: &str) -> Result<Option<String>, Error> {
        let title = self.ask("title", json!({"channel": channel, "thread_ts": thread_ts})).await?;
        Ok(title.as_str().map(str::to_owned))
    }

    /// The calls of the Web API so far, of one method or of all.
    pub async fn calls(&self, method: Option<&str>) -> Result<Vec<Call>, Error> {
        self.typed("calls", json!({"method": method})).await
    }

    /// Everything that was sent to the app.
    pub async fn deliveries(&self) -> Result<Vec<Delivery>, Error> {
        self.typed("deliveries", json!({})).await
    }

    /// The live sockets.
    pub async fn sockets(&self) -> Result<Vec<Socket>, Error> {
        self.typed("sockets", json!({})).await
    }

    /// The channels, conversations with the bot included.
    pub async fn channels(&self) -> Result<Vec<Channel>, Error> {
        self.typed("channels", json!({})).await
    }

    /// What went wrong before people's eyes.
    pub async fn mishaps(&self) -> Result<Vec<Value>, Error> {
        self.typed("mishaps", json!({})).await
    }

    /// What is switched how, and counts.
    pub async fn settings(&self) -> Result<Value, Error> {
        self.ask("settings", json!({})).await
    }

    /// The milliseconds since the simulator began, and a time stamp of now.
    pub async fn time(&self) -> Result<Value, Error> {
        self.ask("time", json!({})).await
    }
}
