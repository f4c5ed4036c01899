//! A simulated Discord on loopback that conversations can be held with.
//!
//! Written from Discord's public documentation and from nothing else, so that an error in an encoder is found here.
//!
//! What is simulated:
//! - One app in three guilds; people with roles and nicknames, another app's bot, webhooks, Discord's own messages; channels
//!   that are open, private, to be read only; a forum; threads; direct messages; edits, deletions, emoji, files.
//! - The gateway: greetings, heartbeats, sessions with intents and shards, a replay window, reconnects, invalid sessions,
//!   close codes; what is said is left out where the app may not read it.
//! - Version 10 of the REST API as far as an assistant-style bot needs it, with permissions checked, documented errors, the
//!   limits of embeds and components; nonces that make a message once; rate limits and the ban for too many invalid requests.
//! - Interactions: slash commands, commands on messages, buttons, menus, modals; over the gateway or as signed requests to an
//!   endpoint; their tokens, deadlines, follow-ups, and messages that only one person sees.
//! - Faults: calls that act and are not answered, or are answered late, wrongly or not at all; sockets that are cut, that only
//!   look alive, that bring things twice, late or in another order; Discord away; the token revoked.
//!
//! Whom a message would ring is written down with it.
//!
//! What is not simulated: voice, presences, invites, bans, emoji and stickers of guilds, polls, pins by the app, link previews,
//! webhooks that the app makes, autocomplete, user installs, monetization, OAuth; compression of the gateway (a session that
//! asks for it gets plain text frames); the encoding ETF; versions other than 9 and 10.
//!
//! Where the documentation is silent:
//! - A missing heartbeat closes the socket after one and a half intervals, with the code 4000. A session can be resumed for
//!   two minutes, and for as many dispatches as [`Options::replay`] says; an older one is invalid.
//! - A nonce counts for three minutes, for the author and the channel.
//! - The app hears nothing over the gateway of messages that only one person sees.
//! - Mentions that are not allowed are not in the field `mentions`. Only what it rings when it is sent is counted: a change
//!   rings nobody.
//! - The first follow-up after a deferred answer takes the place of the message that says that the app thinks.
//! - An answer to a click is a plain message; a follow-up is a reply to the first answer.
//! - Everything in a thread that sleeps is refused with 50083, except that writing wakes it, unless it is locked.
//! - The buckets of the rate limits are five messages in five seconds for a channel, one reaction in a quarter of a second,
//!   ten threads in ten seconds, and fifty of anything else in five.
//! - Without the intent for content, reading messages by the REST API leaves out what the gateway leaves out.
//!
//! Invariant: nothing listens on anything but 127.0.0.1, and everything ends with the [`Discord`] that started it.
//! Invariant: people and faults are played through [`Control`] alone, in this process and from another.

mod api;
mod command;
mod components;
mod content;
mod control;
mod effect;
mod embeds;
mod events;
mod files;
mod gateway;
mod http;
mod ids;
mod interaction;
mod limits;
mod link;
mod message;
mod modal;
pub mod options;
mod people;
mod perms;
mod process;
mod push;
mod refusal;
mod respond;
mod rings;
mod seed;
mod sessions;
mod show;
mod sign;
mod sim;
mod world;

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::shared::{hand, http::listen, link::listen as listen_sockets, tasks};
use world::World;

pub use crate::shared::error::Error;
pub use control::{
    Call, Channel, Click, Control, Delivery, Interaction, Load, Message, Said, Session, Socket, Submitted,
};
pub use options::{Events, Options, intents};
pub use process::main;

/// What all parts of a simulator hold on to.
pub(crate) type Shared = tasks::Shared<World>;

/// A running simulator; dropped, it ends, and every connection with it.
#[derive(Debug)]
pub struct Discord {
    shared: Arc<Shared>,
    base: String,
}

impl Discord {
    /// Starts a simulator on 127.0.0.1. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let server = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let sockets = TcpListener::bind(("127.0.0.1", 0)).await?;
        let base = format!("http://{}", server.local_addr()?);
        let socket_base = format!("ws://{}", sockets.local_addr()?);
        let shared = Shared::new(World::new(options, base.clone(), socket_base), hand::client());
        shared.spawn(listen(server, http::Server(Arc::clone(&shared))));
        shared.spawn(listen_sockets(sockets, link::Gateway(Arc::clone(&shared))));
        Ok(Self { shared, base })
    }

    /// The address of the REST API with its version, without a slash at its end.
    pub fn api(&self) -> String {
        format!("{}/api/v10", self.base)
    }

    /// The address of the control and of the page, and what stands for `https://discord.com`; without a slash at its end.
    pub fn base(&self) -> String {
        self.base.clone()
    }

    /// The hand that plays people and faults.
    pub fn control(&self) -> Control {
        Control::at(&self.base)
    }

    /// The bot token at the start.
    pub fn bot_token(&self) -> String {
        world::TOKEN.to_owned()
    }

    /// The key, in hexadecimal, that interactions sent to an endpoint are signed for.
    pub fn public_key(&self) -> String {
        self.shared.with(|world| world.signer.public_key())
    }
}

impl Drop for Discord {
    fn drop(&mut self) {
        self.shared.end();
    }
}
