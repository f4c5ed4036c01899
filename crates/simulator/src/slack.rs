//! A simulated Slack on loopback that conversations can be held with.
//!
//! Written from Slack's public documentation and from nothing else, so that an error in an encoder is found here.
//!
//! What is simulated:
//! - One app in one workspace, or in two; people, guests, strangers from another workspace, another app's bot; open, private,
//!   shared and direct conversations; threads, edits, deletions, emoji, files, ephemeral messages, metadata.
//! - Socket Mode: tickets, greetings, pings, acknowledgements, retries, refreshes, up to ten sockets. The Events API: signed
//!   requests, retries, the proof of an address. Both carry events, interactions and slash commands.
//! - The Web API as far as an assistant-style bot needs it ([`SCOPES`]), with scopes checked, documented errors, and Block Kit
//!   checked to the letter; response URLs; modals with triggers that live for three seconds; streams of text; the assistant's
//!   status, title and prompts.
//! - Faults: calls that act and are not answered, or are answered late, wrongly or not at all; sockets that are cut, that only
//!   look alive, that bring things twice, late or in another order; Slack away; tokens revoked, scopes gone.
//!
//! What a message would do to people is written down with it: whom it rings, whether it makes previews of links.
//!
//! What is not simulated: what Slack does to a bot's text (an entity for a bare `&`, brackets around an address); bold and other marks in what people type (their text is kept, their rich text is plain); link
//! previews; workflows, canvases, lists, app homes, huddles; OAuth; user tokens; search; scheduled messages; user groups; `external_select`;
//! blocks of the kinds `video`, `file`, `context_actions`, `task_card` and `plan`, which are taken unread, and of the newest
//! kinds (`data_table`, `card`, `alert` and others), which are refused.
//!
//! Where the documentation is silent:
//! - A retried envelope has a new `envelope_id` and the same `event_id`; an acknowledgement of any of them counts.
//! - An eleventh socket is closed with the reason `too_many_websockets`.
//! - Events of messages carry no metadata: only reading does, where it is asked for.
//! - An event for which there is no socket fails at once, and is tried again as one that was not acknowledged.
//!
//! Invariant: nothing listens on anything but 127.0.0.1, and everything ends with the [`Slack`] that started it.
//! Invariant: people and faults are played through [`Control`] alone, in this process and from another.

mod api;
mod args;
mod blocks;
mod control;
mod deliveries;
mod effect;
mod events;
mod files;
mod hooks;
mod http;
mod ids;
mod interaction;
mod limits;
mod link;
mod lives;
mod message;
mod modal;
mod options;
mod people;
mod process;
mod push;
mod rings;
mod seed;
mod sign;
mod sim;
mod sockets;
mod text;
mod world;

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::shared::{hand, http::listen, link::listen as listen_sockets, tasks};
use world::World;

pub use crate::shared::error::Error;
pub use control::{Call, Channel, Click, Control, Delivery, Load, Message, Said, Socket, Submitted};
pub use options::{Events, Options, SCOPES};
pub use process::main;
pub use sign::signature;

/// What all parts of a simulator hold on to.
pub(crate) type Shared = tasks::Shared<World>;

/// A running simulator; dropped, it ends, and every connection with it.
#[derive(Debug)]
pub struct Slack {
    shared: Arc<Shared>,
    base: String,
}

impl Slack {
    /// Starts a simulator on 127.0.0.1. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let server = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let sockets = TcpListener::bind(("127.0.0.1", 0)).await?;
        let base = format!("http://{}", server.local_addr()?);
        let socket_base = format!("ws://{}", sockets.local_addr()?);
        let http = hand::client();
        let shared = Shared::new(World::new(options, base.clone(), socket_base), http);
        shared.spawn(listen(server, http::Server(Arc::clone(&shared))));
        shared.spawn(listen_sockets(sockets, link::Applink(Arc::clone(&shared))));
        Ok(Self { shared, base })
    }

    /// The address of the Web API, without a slash at its end.
    pub fn api(&self) -> String {
        format!("{}/api", self.base)
    }

    /// The address of the control and of the page, without a slash at its end.
    pub fn base(&self) -> String {
        self.base.clone()
    }

    /// The hand that plays people and faults.
    pub fn control(&self) -> Control {
        Control::at(&self.base)
    }

    /// The app-level token.
    pub fn app_token(&self) -> String {
        world::APP_TOKEN.to_owned()
    }

    /// The bot token of the first workspace.
    pub fn bot_token(&self) -> String {
        "xoxb-sim-1-secret".to_owned()
    }

    /// The secret that requests to the app are signed with at the start.
    pub fn signing_secret(&self) -> String {
        world::SIGNING_SECRET.to_owned()
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.shared.end();
    }
}
