//! `switchboard grants`: approvals that hold for a while.

use clap::Subcommand;
use runtime::{Board, Held};

/// Look at approvals that hold for a while, and end them.
#[derive(Debug, Subcommand)]
pub enum GrantsCommand {
    /// Those that hold now, of all conversations: for which calls, for whose requests, who gave them, until when. Gateways may run.
    List,
    /// End one: calls like it are asked about again, and its card says so. Whoever may approve such a call does the same by answering
    /// the card with `revoke`. The embedded store can be written only while no gateway runs on it.
    Revoke {
        /// Its code, as `grants list` names it.
        code: String,
        /// The conversation, where several have one of this code.
        thread: Option<String>,
    },
}

/// Those that hold, several lines each.
pub(crate) fn told(held: &[Held]) -> String {
    if held.is_empty() {
        return "nothing is approved for a while\n".to_owned();
    }
    held.iter().map(one).collect()
}

fn one(held: &Held) -> String {
    let Held { code, thread, home, agent, tool, args, alike, requester, by, until, uses, .. } = held;
    let args = args
        .as_ref()
        .map_or_else(|| "(arguments that are not known to be harmless)".to_owned(), ToString::to_string);
    let home = home.as_ref().map(|home| format!(" on {}", home.channel)).unwrap_or_default();
    format!(
        "#{code}  {agent}: {tool} {args}\n  and calls with {alike}\n  for {requester}{home}, thread {thread}\n  \
         by {by}, until {until:.0}; further calls so far: {uses}\n"
    )
}

/// Ends the one of this code.
///
/// # Errors
/// Why not, a sentence.
pub(crate) async fn revoke(board: &Board, code: &str, thread: Option<&str>) -> Result<String, String> {
    let code = code.trim_start_matches('#');
    let held = board.grants().await.map_err(|error| error.to_string())?;
    let is_meant = |one: &&Held| {
        one.code.eq_ignore_ascii_case(code) && thread.is_none_or(|thread| one.thread.as_str() == thread)
    };
    let meant: Vec<&Held> = held.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [] => Err(format!("nothing with the code `{code}` holds; `switchboard grants list` names what does")),
        [one] => {
            board.revoke(one).await.map_err(|error| error.to_string())?;
            Ok(format!("ended: {}", self::one(one)))
        }
        several => Err(format!(
            "several have the code `{code}`; name the thread, too:\n{}",
            several.iter().map(|one| self::one(one)).collect::<String>()
        )),
    }
}
