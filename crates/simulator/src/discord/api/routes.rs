//! The routes: their names, and what does them.

use super::{Run, apps, channels, guilds, interactions, messages, reactions, threads, users, webhooks};

/// A route.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) pattern: &'static str,
    /// Whether a bot token is needed.
    pub(super) bot: bool,
    pub(super) run: Run,
}

const fn bot(method: &'static str, pattern: &'static str, run: Run) -> Route {
    Route { method, pattern, bot: true, run }
}

const fn open(method: &'static str, pattern: &'static str, run: Run) -> Route {
    Route { method, pattern, bot: false, run }
}

const MESSAGES: &str = "/channels/{channel}/messages";
const MESSAGE: &str = "/channels/{channel}/messages/{message}";
const REACTION: &str = "/channels/{channel}/messages/{message}/reactions/{emoji}/@me";
const COMMANDS: &str = "/applications/{application}/commands";
const GUILD_COMMANDS: &str = "/applications/{application}/guilds/{guild}/commands";
const WEBHOOK_MESSAGE: &str = "/webhooks/{application}/{token}/messages/{message}";

/// What stands first is taken first.
pub(super) static ROUTES: &[Route] = &[
    open("GET", "/gateway", apps::gateway),
    bot("GET", "/gateway/bot", apps::gateway_bot),
    bot("GET", "/applications/@me", apps::me),
    bot("GET", "/oauth2/applications/@me", apps::me),
    bot("GET", COMMANDS, apps::commands),
    bot("PUT", COMMANDS, apps::put_commands),
    bot("GET", GUILD_COMMANDS, apps::commands),
    bot("PUT", GUILD_COMMANDS, apps::put_commands),
    bot("GET", "/users/@me", users::me),
    bot("POST", "/users/@me/channels", users::open_dm),
    bot("GET", "/users/@me/guilds", users::guilds),
    bot("GET", "/users/{user}", users::get),
    bot("GET", "/guilds/{guild}", guilds::get),
    bot("GET", "/guilds/{guild}/channels", guilds::channels),
    bot("GET", "/guilds/{guild}/roles", guilds::roles),
    bot("GET", "/guilds/{guild}/members", guilds::members),
    bot("GET", "/guilds/{guild}/members/{user}", guilds::member),
    bot("GET", "/guilds/{guild}/threads/active", guilds::active_threads),
    bot("GET", "/channels/{channel}", channels::get),
    bot("PATCH", "/channels/{channel}", channels::modify),
    bot("DELETE", "/channels/{channel}", channels::delete),
    bot("POST", "/channels/{channel}/typing", channels::typing),
    bot("GET", MESSAGES, messages::list),
    bot("POST", MESSAGES, messages::create),
    bot("POST", "/channels/{channel}/messages/bulk-delete", messages::bulk_delete),
    bot("GET", MESSAGE, messages::get),
    bot("PATCH", MESSAGE, messages::edit),
    bot("DELETE", MESSAGE, messages::delete),
    bot("PUT", REACTION, reactions::put),
    bot("DELETE", REACTION, reactions::delete),
    bot("GET", "/channels/{channel}/messages/{message}/reactions/{emoji}", reactions::list),
    bot("POST", "/channels/{channel}/messages/{message}/threads", threads::from_message),
    bot("POST", "/channels/{channel}/threads", threads::begin),
    bot("GET", "/channels/{channel}/thread-members", threads::members),
    bot("PUT", "/channels/{channel}/thread-members/{user}", threads::join),
    bot("DELETE", "/channels/{channel}/thread-members/{user}", threads::leave),
    open("POST", "/interactions/{interaction}/{token}/callback", interactions::callback),
    open("POST", "/webhooks/{application}/{token}", webhooks::create),
    open("GET", WEBHOOK_MESSAGE, webhooks::get),
    open("PATCH", WEBHOOK_MESSAGE, webhooks::edit),
    open("DELETE", WEBHOOK_MESSAGE, webhooks::delete),
];
