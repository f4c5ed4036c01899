//! Approvals that hold for a while, of all conversations: which there are, and the end of one.

use agent::{Event, Evidence, QuestionId, Revocation, Thread, ThreadId, alike, grants, short_code, uses};
use channel::{Address, Timestamp};
use serde_json::Value;

use crate::board::{Board, With};

/// An approval that holds for further calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The code of the question that it is the answer to.
    pub code: String,
    /// The conversation.
    pub thread: ThreadId,
    /// Where that is.
    pub home: Option<Address>,
    /// The agent.
    pub agent: String,
    /// The tool.
    pub tool: String,
    /// The arguments that were approved, without those that people must not see; none where these are not known.
    pub args: Option<Value>,
    /// What further calls must have in common with that one, in words.
    pub alike: String,
    /// Whose requests it is for: name and id.
    pub requester: String,
    /// Who gave it: the member, or name and id.
    pub by: String,
    /// Until when.
    pub until: Timestamp,
    /// How many further calls ran under it.
    pub uses: usize,
    question: QuestionId,
}

impl Board {
    /// All that hold now, by the time they end. A log that this build cannot read is passed over, and told in the log.
    ///
    /// # Errors
    /// The store's.
    pub async fn grants(&self) -> Result<Vec<Held>, store::Error> {
        let mut held = Vec::new();
        let mut from = String::new();
        loop {
            let page = self.store.logs(&from).await?;
            for id in page.items {
                match self.thread(&id).await {
                    Ok(thread) => held.extend(self.held(&thread).await),
                    Err(error @ store::Error::Unreadable { .. }) => {
                        tracing::warn!(thread = %id, %error, "what holds in this conversation is not known");
                    }
                    Err(error) => return Err(error),
                }
            }
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        held.sort_by(|one, other| (one.until, &one.code).cmp(&(other.until, &other.code)));
        Ok(held)
    }

    async fn held(&self, thread: &Thread) -> Vec<Held> {
        let grants = grants(thread, self.clock.now());
        let agent = if grants.is_empty() { None } else { self.agent_of(thread).await };
        let of = |grant: agent::Grant<'_>| {
            let tool = agent.as_ref().and_then(|agent| agent.spec().tools.get(grant.tool));
            let by = &grant.answer.by;
            let who =
                |person: &channel::Person| format!("{} ({} {})", person.name, person.channel, person.id);
            Held {
                code: short_code(thread.id(), grant.question),
                thread: thread.id().clone(),
                home: thread.home().cloned(),
                agent: grant.asked.asker.name.clone(),
                tool: grant.tool.to_owned(),
                args: tool.map(|tool| agent::redacted(grant.args, &tool.secret)),
                alike: alike(grant.remember),
                requester: grant.asked.requester.as_ref().map(who).unwrap_or_default(),
                by: grant.answer.member.clone().unwrap_or_else(|| who(by)),
                until: grant.until,
                uses: uses(thread, grant.question),
                question: grant.question,
            }
        };
        grants.into_iter().map(of).collect()
    }

    /// Ends one, in the name of an operator; its cards say so. Nothing where it has ended meanwhile.
    ///
    /// # Errors
    /// The store's; `Conflict` where the conversation went on at that moment: do it again.
    pub async fn revoke(&self, held: &Held) -> Result<(), store::Error> {
        let mut thread = self.thread(&held.thread).await?;
        let holds = |grant: &agent::Grant<'_>| grant.question == held.question;
        if !grants(&thread, self.clock.now()).iter().any(holds) {
            return Ok(());
        }
        let revoked = Event::Revoked(Revocation {
            question: held.question,
            by: None,
            member: None,
            at: None,
            message: None,
            words: format!("switchboard grants revoke {}", held.code),
            evidence: Evidence::default(),
        });
        let with = With { expect: Some(thread.version()), ..With::default() };
        self.write(&mut thread, vec![revoked], with).await
    }
}
