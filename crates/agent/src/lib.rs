//! The functional core: events, threads, and the pure decisions over them.
//!
//! [`admit`] turns what comes in into events; [`decide`] says what happens next; [`render`] builds what a model sees;
//! [`outgoing`] says what is sent because of an event. The shell (`crates/runtime`) carries it all out.
//!
//! Invariant: nothing here is asynchronous, reads a clock, draws a random number or does I/O; time is an argument.
//! Invariant: same log, same `now`, same step; same log, same agent version, the same bytes to the model.
//! Invariant: nothing here is a `HashMap`: its order would differ from run to run.

mod event;
mod id;
mod inquiry;
mod intent;
mod thread;

mod admit;
mod answer;
mod decide;
mod form;
mod grant;
mod link;
mod outgoing;
mod revise;

mod agent;
mod calendar;
mod directory;
mod document;
mod explain;
mod feasible;
mod policy;
mod route;
mod seats;
mod spec;
mod terms;
mod ticket;

mod audit;
mod chain;
mod seal;

mod inert;
mod parts;
mod passages;
mod prompt;
mod render;
mod situation;
mod snapshot;
mod squeeze;
mod summary;

mod canonical;
mod extract;
mod grammar;
mod lenient;

pub use admit::{About, Arrival, Assigned, Named, admit, goes_on};
pub use agent::Agent;
pub use answer::{is_guarded, may_answer, naming};
pub use audit::{Held, Ledger, Mark, Secrets, decisions, hold_against};
pub use calendar::{Days, Hours};
pub use canonical::{args_hash, canonical};
pub use chain::{Chain, card_at, shown};
pub use decide::{Call, Step, decide, escalate, lost};
pub use directory::{Desk, Directory, Member, Standing};
pub use document::{Flaw, Source, parse, read, read_part, read_what_is_sound, schema_of};
pub use event::*;
pub use explain::explain;
pub use extract::{Extracted, Extractor, FormName, Rejection};
pub use grammar::{code, is_revoke, means_a_question, read as read_reply};
pub use grant::{Grant, alike, grants, uses};
pub use id::{CallId, Home, QuestionId, Seq, ThreadId, Version, caused_by, sha256};
pub use intent::{Intent, WantedCall};
pub use lenient::Repair;
pub use link::{
    CODE_MINUTES, Given, Identity, Linked, Linking, USED, bring, code_as_read, code_from, linking,
};
pub use outgoing::{Press, ending, message_names, outgoing};
pub use passages::files;
pub use policy::{Judgement, judge};
pub use prompt::{Account, Function, Message, Output, PartAccount, Prompt, Role};
pub use render::{render, render_reask};
pub use route::{Route, Taken, Unverified, route};
pub use seal::{Seal, SealKeys, Sealed};
pub use snapshot::snapshot;
pub use spec::*;
pub use terms::{Bar, Like, Met, Missing, Otherwise, Quorum, Remember, Rung, Terms, Vote};
pub use thread::{CallView, Phase, Run, Thread};
pub use ticket::{Tickets, short_code};
