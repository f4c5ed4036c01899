//! Grants: an approval that holds for a while for calls like the one it was given for.
//!
//! A grant lives in the log of its conversation and nowhere else: the question has what further calls must have in common with the one
//! that was approved, the answer until when. It holds for that agent in that version, for the person whose request it was, and as long
//! as whoever gave it could give it now. It never widens a policy: a further call is held to the very terms that were asked about.

use std::collections::BTreeSet;

use channel::{Person, Timestamp};
use serde_json::Value;

use crate::{
    agent::Agent,
    answer::may_answer,
    directory::{Directory, is_same},
    event::{Answer, Decision, Event, Question, QuestionKind},
    id::QuestionId,
    policy::Judgement,
    terms::{Like, Remember, list},
    thread::Thread,
};

/// An approval that holds for further calls.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The question that it is the answer to.
    pub question: QuestionId,
    /// What was asked.
    pub asked: &'a Question,
    /// The tool.
    pub tool: &'a str,
    /// The arguments that were approved.
    pub args: &'a Value,
    /// What further calls must have in common with those.
    pub remember: &'a Remember,
    /// Who gave it.
    pub answer: &'a Answer,
    /// Until when it holds.
    pub until: Timestamp,
}

/// The grants of a thread that hold at a time, oldest first.
pub fn grants(thread: &Thread, now: Timestamp) -> Vec<Grant<'_>> {
    let grants = thread.granted().iter().filter_map(|id| grant(thread, *id));
    grants.filter(|grant| now < grant.until).collect()
}

/// The grant that an answer gave, whether it holds yet or not.
fn grant(thread: &Thread, question: QuestionId) -> Option<Grant<'_>> {
    let (asked, answer) = (thread.question(question)?, thread.answer(question)?);
    let QuestionKind::Approval { tool, args, .. } = &asked.kind else { return None };
    let (Decision::ApproveAlike { until }, Some(remember)) = (&answer.decision, &asked.terms.remember) else {
        return None;
    };
    Some(Grant { question, asked, tool, args, remember, answer, until: *until })
}

/// The grant under which a call may run that the policy asks about.
pub(crate) fn covering(
    (agent, directory): (&Agent, &Directory),
    thread: &Thread,
    (tool, args): (&str, &Value),
    judgement: &Judgement,
    now: Timestamp,
) -> Option<QuestionId> {
    let requester = thread.requester()?;
    let is_theirs = |before: &Person| is_same(before, requester) || directory.same_human(before, requester);
    let covers = |grant: &Grant<'_>| {
        let Question { asker, terms, audience, requester, .. } = grant.asked;
        grant.tool == tool
            && grant.remember.covers(grant.args, args)
            && *asker == agent.reference()
            && *terms == judgement.terms
            && audience.members == judgement.approvers(agent.spec())
            && requester.as_ref().is_some_and(is_theirs)
            // Who stood in for somebody may no longer when they are back.
            && may_answer(directory, thread, grant.question, &grant.answer.by, now)
    };
    grants(thread, now).into_iter().rev().find(covers).map(|grant| grant.question)
}

/// How many calls ran under a grant.
pub fn uses(thread: &Thread, question: QuestionId) -> usize {
    let calls = thread.records().iter().filter_map(|record| {
        let Event::Started(started) = &record.event else { return None };
        (started.grant == Some(question)).then_some(started.call)
    });
    // One that may be repeated may have been begun several times.
    calls.collect::<BTreeSet<_>>().len()
}

/// What calls must have in common with one that was approved, in words: `the same order_id, amount at most what it was and all else
/// the same`.
pub fn alike(remember: &Remember) -> String {
    let like = |(name, like): (&String, &Like)| match like {
        Like::Same => format!("the same {name}"),
        Like::AtMost => format!("{name} at most what it was"),
        Like::Any => format!("any {name}"),
    };
    let args: Vec<String> = remember.args.iter().map(like).chain(["all else the same".to_owned()]).collect();
    list(&args, "and")
}
