//! `switchboard policy explain`: what an agent's policy would do with a call.

use agent::{Agent, Directory};
use clap::Subcommand;
use serde_json::Value;

/// Look at policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say what would happen with a call of a tool, and why: each rule, who would be asked where, and what when nobody answers.
    /// Nothing is run, and nobody is asked.
    Explain {
        /// The agent.
        agent: String,
        /// The tool.
        tool: String,
        /// The arguments as JSON: `{"order_id": "1001", "amount": 250}`. Without, each rule is told.
        args: Option<String>,
    },
}

/// The words.
///
/// # Errors
/// What is wrong with the tool's name or the arguments; a sentence.
pub(crate) fn explain(
    agent: &Agent,
    directory: &Directory,
    tool: &str,
    args: Option<&str>,
) -> Result<String, String> {
    let args: Option<Value> = args.map(serde_json::from_str).transpose().map_err(|error| {
        format!("the arguments are not JSON: {error}; write for example '{{\"amount\": 250}}'")
    })?;
    agent::explain(agent, directory, tool, args.as_ref())
}
