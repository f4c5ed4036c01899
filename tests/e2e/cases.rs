//! Every decision under every circumstance, on every channel: one table, a row a case. Its columns say what runs, what the log
//! holds, how the card stands and who is told what. Where a case cannot be on a channel, the row says why.
//!
//! Cara asks for a refund; Ana may approve it and is asked; Ben may not; Cara may not either, as it is her own request, but an
//! agent's question to her is hers to answer. Rows of a gateway are played one after the other, each in a conversation of its own;
//! all are played before the test fails, and each that failed is named.

use std::{
    panic::AssertUnwindSafe,
    path::Path,
    time::{Duration, Instant},
};

use agent::{Because, Decision, Deferring, Event, Thread};
use futures_util::FutureExt;
use tempfile::TempDir;

use crate::world::{
    Card, Front, Gesture, Kind, People, SCRIPTED, Who, copied_agents, in_front_of_every_channel,
    on_page_does, replace,
};

in_front_of_every_channel! {
    every_decision_by_whomever_and_in_whatever_words
    every_decision_after_its_time
    every_decision_on_two_channels_at_once
}

use Gesture::{Approve, AskBack, Change, Delegate, For, Reject, Say, Second, Snooze};
use Kind::{Discord, Mail, Slack, Web};
use Who::{Ana, Ben, Cara, Guest, Robot};

/// Under which circumstance somebody does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// While it is open.
    Open,
    /// After its deadline, in a form or by a button that was on the screen before.
    Late,
    /// In words, and then once more by what was on the screen before.
    Twice,
    /// By the same person on the page at the same moment.
    OnTwoChannels,
    /// After the gateway was killed and started again.
    Restarted,
    /// By somebody else in that name.
    Forged,
}

/// What a row expects.
#[derive(Clone, Copy, Debug)]
struct Then {
    /// What was refunded, in EUR; nothing where the tool did not run.
    runs: Option<u32>,
    /// What people did, as the log has it, after the request.
    log: &'static [&'static str],
    card: CardThen,
    /// Who sees these words, for them alone or where Cara asked; nobody else is looked at.
    told: &'static [(Who, &'static str)],
}

/// How the card stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CardThen {
    Open,
    /// It does not wait any more, and says this.
    Closed(&'static str),
    /// It gets no last word: by mail a plain question is answered by going on, and nothing follows its letter.
    NoLastWord,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
struct Case {
    who: Who,
    does: Gesture,
    when: When,
    then: Then,
    but: &'static [(Kind, But)],
}

/// What is otherwise on a channel.
#[derive(Clone, Copy, Debug)]
enum But {
    /// There is no such case; why.
    Cannot(&'static str),
    /// Another end.
    Then(Then),
}

const fn then(
    runs: Option<u32>,
    log: &'static [&'static str],
    card: CardThen,
    told: &'static [(Who, &'static str)],
) -> Then {
    Then { runs, log, card, told }
}

const fn case(who: Who, does: Gesture, when: When, then: Then) -> Case {
    Case { who, does, when, then, but: &[] }
}

const fn case_but(who: Who, does: Gesture, when: When, then: Then, but: &'static [(Kind, But)]) -> Case {
    Case { who, does, when, then, but }
}

const LESS: Gesture = Change("amount", "110");
const WHILE: Gesture = For("2h");
const WHY: Gesture = Reject("wrong order");
const NOTHING: Gesture = Second("Nothing");
const WHAT: Gesture = AskBack("what is broken?");
const BEN: Gesture = Delegate("ben");
const LATER: Gesture = Snooze("2h");

const OPEN: CardThen = CardThen::Open;
const APPROVED: CardThen = CardThen::Closed("Approved by ana");
const CHANGED: CardThen = CardThen::Closed("Approved with changes by ana: amount: 120 → 110");
const WHILE_APPROVED: CardThen = CardThen::Closed("Approved by ana, and calls like it until");
const REJECTED: CardThen = CardThen::Closed("Rejected by ana: wrong order");
const ANSWERED: CardThen = CardThen::Closed("cara answered: Nothing");
const LAPSED: CardThen = CardThen::Closed("Nobody answered in time");

const REFUNDED: (Who, &str) = (Cara, "I refunded 120.00 EUR");
const REFUNDED_LESS: (Who, &str) = (Cara, "I refunded 110.00 EUR");
const NOT_APPROVED: (Who, &str) = (Cara, "was not approved: wrong order. Nothing was refunded.");
const ALL_RIGHT: (Who, &str) = (Cara, "All right, nothing was refunded.");
const KNOWS: (Who, &str) = (Ana, "All I know is what");
const BEN_TOO: (Who, &str) = (Ana, "ben is asked, too.");
const BEN_ASKED: (Who, &str) = (Ben, "You were named to answer this.");
const AGAIN: (Who, &str) = (Ana, "You are asked again at");
const EXPIRED: (Who, &str) = (Ana, "This has expired; nothing was decided.");
const NOT_IN_TIME: (Who, &str) = (Cara, "Nobody approved the refund in time");
const UNREADABLE: (Who, &str) = (Ana, "I could not read this as a decision, so nothing was decided.");

/// A refusal of the same words for whichever decision.
const NOT_BEN: Then = then(
    None,
    &["refused ben: NotPermitted"],
    OPEN,
    &[(Ben, "You may not answer this; nothing was decided.")],
);
const NOT_CARA: Then = then(
    None,
    &["refused cara: NotPermitted"],
    OPEN,
    &[(Cara, "You may not answer this; nothing was decided.")],
);
const NOT_A_GUEST: Then =
    then(None, &["refused guest?: Unverified"], OPEN, &[(Guest, "Guests of this workspace may not decide")]);
const NOT_LATE: Then = then(None, &["lapsed", "refused ana: Expired"], LAPSED, &[NOT_IN_TIME, EXPIRED]);
const NOT_FORGED: Then = then(None, &["refused ana?: Unverified"], OPEN, &[(Ana, "came in your name")]);
const NO_EVENT: Then = then(None, &[], OPEN, &[]);
const UNCLEAR: Then = then(None, &["refused ana: Unclear"], OPEN, &[UNREADABLE]);
/// Said in the conversation where it waits, naming no question: it is something said, and the agent sees it afterwards.
const ONLY_SAID: Then = then(None, &["heard ana"], OPEN, &[]);

const SHUT_OUT: Then = then(None, &[], OPEN, &[(Guest, "401")]);
const GUEST_BUT: &[(Kind, But)] = &[
    (Web, But::Then(SHUT_OUT)),
    (Discord, But::Cannot("Discord has no guests: who is on the server has an id that it proves")),
    (Mail, But::Cannot("mail has no guests: a sender is proven or not, and who is not is as good as forged")),
];
const ROBOT_BUT: &[(Kind, But)] =
    &[(Web, But::Cannot("programs have no part of the page: whoever has a person's token is that person"))];
const FORGED_BUT: &[(Kind, But)] = &[
    (
        Web,
        But::Cannot("who somebody is stands in a session that the gateway made; without one: see the guest"),
    ),
    (Slack, But::Cannot("Slack says who acts, over a connection that only Slack has the other end of")),
    (Discord, But::Cannot("Discord says who acts, over a connection that only Discord has the other end of")),
];
const TWO_BUT: &[(Kind, But)] =
    &[(Web, But::Cannot("the page is the second channel of each of the other three"))];
const ON_HOME: &str = "a question to whoever asked is put in the one place where they asked";
const IN_THREAD: &[(Kind, But)] = &[(Slack, But::Then(ONLY_SAID))];

#[rustfmt::skip]
const TABLE: &[Case] = &[
    // Who may.
    case(Ana,  Approve, When::Open, then(Some(120), &["ana approved"], APPROVED, &[REFUNDED])),
    case(Ana,  LESS,    When::Open, then(Some(110), &["ana approved {amount: 110}"], CHANGED, &[REFUNDED_LESS])),
    case(Ana,  WHILE,   When::Open, then(Some(120), &["ana approved for a while"], WHILE_APPROVED, &[REFUNDED])),
    case(Ana,  WHY,     When::Open, then(None, &["ana rejected: wrong order"], REJECTED, &[NOT_APPROVED])),
    case_but(Cara, NOTHING, When::Open, then(None, &["cara answered: Nothing"], ANSWERED, &[ALL_RIGHT]),
        &[(Mail, But::Then(then(None, &["cara answered: Nothing"], CardThen::NoLastWord, &[ALL_RIGHT])))]),
    case(Ana,  WHAT,    When::Open, then(None, &["ana asked back: what is broken?"], OPEN, &[KNOWS])),
    case(Ana,  BEN,     When::Open, then(None, &["ana delegated to ben", "asked ben, too"], OPEN, &[BEN_TOO, BEN_ASKED])),
    case(Ana,  LATER,   When::Open, then(None, &["ana put it off"], OPEN, &[AGAIN])),

    // Who may not.
    case(Ben,  Approve, When::Open, NOT_BEN),
    case(Ben,  LESS,    When::Open, NOT_BEN),
    case(Ben,  WHILE,   When::Open, NOT_BEN),
    case(Ben,  WHY,     When::Open, NOT_BEN),
    case(Ben,  NOTHING, When::Open, NOT_BEN),
    case(Ben,  WHAT,    When::Open, NOT_BEN),
    case(Ben,  BEN,     When::Open, NOT_BEN),
    case(Ben,  LATER,   When::Open, NOT_BEN),
    case(Ana,  NOTHING, When::Open, then(None, &["refused ana: NotPermitted"], OPEN, &[(Ana, "You may not answer this; nothing was decided.")])),

    // Whose request it is: an approver, and barred by the policy. (What an agent asks her she may answer: see above.)
    case(Cara, Approve, When::Open, NOT_CARA),
    case(Cara, LESS,    When::Open, NOT_CARA),
    case(Cara, WHILE,   When::Open, NOT_CARA),
    case(Cara, WHY,     When::Open, NOT_CARA),
    case(Cara, WHAT,    When::Open, NOT_CARA),
    case(Cara, BEN,     When::Open, NOT_CARA),
    case(Cara, LATER,   When::Open, NOT_CARA),

    // A guest, whom the configuration names an approver all the same.
    case_but(Guest, Approve, When::Open, NOT_A_GUEST, GUEST_BUT),
    case_but(Guest, LESS,    When::Open, NOT_A_GUEST, GUEST_BUT),
    case_but(Guest, WHILE,   When::Open, NOT_A_GUEST, GUEST_BUT),
    case_but(Guest, WHY,     When::Open, NOT_A_GUEST, GUEST_BUT),
    case_but(Guest, NOTHING, When::Open, NOT_A_GUEST, GUEST_BUT),
    case_but(Guest, WHAT,    When::Open, NOT_A_GUEST, GUEST_BUT),
    case_but(Guest, BEN,     When::Open, NOT_A_GUEST, GUEST_BUT),
    case_but(Guest, LATER,   When::Open, NOT_A_GUEST, GUEST_BUT),

    // Another program; by mail an answer that Ana's mailbox sends by itself. Nobody presses for it, it writes.
    case_but(Robot, Say("approve"),               When::Open, NO_EVENT, ROBOT_BUT),
    case_but(Robot, Say("approve\namount: 110"),  When::Open, NO_EVENT, ROBOT_BUT),
    case_but(Robot, Say("approve\nfor: 2h"),      When::Open, NO_EVENT, ROBOT_BUT),
    case_but(Robot, Say("reject: wrong order"),   When::Open, NO_EVENT, ROBOT_BUT),
    case_but(Robot, NOTHING,                      When::Open, NO_EVENT, ROBOT_BUT),
    case_but(Robot, Say("ask: what is broken?"),  When::Open, NO_EVENT, ROBOT_BUT),
    case_but(Robot, Say("delegate: ben"),         When::Open, NO_EVENT, ROBOT_BUT),
    case_but(Robot, Say("snooze: 2h"),            When::Open, NO_EVENT, ROBOT_BUT),

    // Too late.
    case(Ana,  Approve, When::Late, NOT_LATE),
    case(Ana,  LESS,    When::Late, NOT_LATE),
    case(Ana,  WHILE,   When::Late, NOT_LATE),
    case(Ana,  WHY,     When::Late, NOT_LATE),
    case_but(Cara, NOTHING, When::Late, then(None, &["lapsed", "refused cara: Expired"], LAPSED, &[(Cara, "This has expired; nothing was decided.")]),
        // By mail it goes on below the old question, as something new.
        &[(Mail, But::Then(then(None, &["lapsed", "heard cara"], CardThen::NoLastWord, &[(Cara, "There was no answer in time.")])))]),
    case(Ana,  WHAT,    When::Late, NOT_LATE),
    case(Ana,  BEN,     When::Late, NOT_LATE),
    case(Ana,  LATER,   When::Late, NOT_LATE),

    // Twice. What decides counts once; what only wants something counts each time.
    case(Ana,  Approve, When::Twice, then(Some(120), &["ana approved", "refused ana: Settled"], APPROVED, &[REFUNDED, (Ana, "This was decided before: Approved by ana.")])),
    case(Ana,  LESS,    When::Twice, then(Some(110), &["ana approved {amount: 110}", "refused ana: Settled"], CHANGED, &[REFUNDED_LESS, (Ana, "This was decided before: Approved with changes by ana")])),
    case(Ana,  WHILE,   When::Twice, then(Some(120), &["ana approved for a while", "refused ana: Settled"], WHILE_APPROVED, &[REFUNDED, (Ana, "This was decided before: Approved by ana, and calls like it")])),
    case(Ana,  WHY,     When::Twice, then(None, &["ana rejected: wrong order", "refused ana: Settled"], REJECTED, &[NOT_APPROVED, (Ana, "This was decided before: Rejected by ana: wrong order.")])),
    case_but(Cara, NOTHING, When::Twice, then(None, &["cara answered: Nothing", "refused cara: Settled"], ANSWERED, &[ALL_RIGHT, (Cara, "This was decided before: cara answered: Nothing.")]),
        &[(Mail, But::Then(then(None, &["cara answered: Nothing", "heard cara"], CardThen::NoLastWord, &[ALL_RIGHT])))]),
    case(Ana,  WHAT,    When::Twice, then(None, &["ana asked back: what is broken?", "ana asked back: what is broken?"], OPEN, &[KNOWS])),
    case(Ana,  BEN,     When::Twice, then(None, &["ana delegated to ben", "asked ben, too", "ana delegated to ben", "asked ben, too"], OPEN, &[BEN_TOO, BEN_ASKED])),
    case(Ana,  LATER,   When::Twice, then(None, &["ana put it off", "ana put it off"], OPEN, &[AGAIN])),

    // On two channels at the same moment.
    case_but(Ana, Approve, When::OnTwoChannels, then(Some(120), &["ana approved", "refused ana: Settled"], APPROVED, &[REFUNDED]), TWO_BUT),
    case_but(Ana, LESS,    When::OnTwoChannels, then(Some(110), &["ana approved {amount: 110}", "refused ana: Settled"], CHANGED, &[REFUNDED_LESS]), TWO_BUT),
    case_but(Ana, WHILE,   When::OnTwoChannels, then(Some(120), &["ana approved for a while", "refused ana: Settled"], WHILE_APPROVED, &[REFUNDED]), TWO_BUT),
    case_but(Ana, WHY,     When::OnTwoChannels, then(None, &["ana rejected: wrong order", "refused ana: Settled"], REJECTED, &[NOT_APPROVED]), TWO_BUT),
    case_but(Cara, NOTHING, When::OnTwoChannels, NO_EVENT,
        &[(Web, But::Cannot(ON_HOME)), (Slack, But::Cannot(ON_HOME)), (Discord, But::Cannot(ON_HOME)), (Mail, But::Cannot(ON_HOME))]),
    case_but(Ana, WHAT,    When::OnTwoChannels, then(None, &["ana asked back: what is broken?", "ana asked back: what is broken?"], OPEN, &[KNOWS]), TWO_BUT),
    case_but(Ana, BEN,     When::OnTwoChannels, then(None, &["ana delegated to ben", "asked ben, too", "ana delegated to ben", "asked ben, too"], OPEN, &[BEN_ASKED]), TWO_BUT),
    case_but(Ana, LATER,   When::OnTwoChannels, then(None, &["ana put it off", "ana put it off"], OPEN, &[AGAIN]), TWO_BUT),

    // After a restart.
    case(Ana,  Approve, When::Restarted, then(Some(120), &["ana approved"], APPROVED, &[REFUNDED])),
    case(Ana,  LESS,    When::Restarted, then(Some(110), &["ana approved {amount: 110}"], CHANGED, &[REFUNDED_LESS])),
    case(Ana,  WHILE,   When::Restarted, then(Some(120), &["ana approved for a while"], WHILE_APPROVED, &[REFUNDED])),
    case(Ana,  WHY,     When::Restarted, then(None, &["ana rejected: wrong order"], REJECTED, &[NOT_APPROVED])),
    case_but(Cara, NOTHING, When::Restarted, then(None, &["cara answered: Nothing"], ANSWERED, &[ALL_RIGHT]),
        &[(Mail, But::Then(then(None, &["cara answered: Nothing"], CardThen::NoLastWord, &[ALL_RIGHT])))]),
    case(Ana,  WHAT,    When::Restarted, then(None, &["ana asked back: what is broken?"], OPEN, &[KNOWS])),
    case(Ana,  BEN,     When::Restarted, then(None, &["ana delegated to ben", "asked ben, too"], OPEN, &[BEN_TOO, BEN_ASKED])),
    case(Ana,  LATER,   When::Restarted, then(None, &["ana put it off"], OPEN, &[AGAIN])),

    // With what does not fit: other arguments, somebody who cannot be asked, no length of time, one that is too long.
    case(Ana,  Change("amount", "lots"),    When::Open, then(None, &["refused ana: Unfit"], OPEN, &[(Ana, "and should be written like")])),
    case(Ana,  Change("amount", "-5"),      When::Open, then(None, &["refused ana: Unfit"], OPEN, &[(Ana, "Nothing was decided:")])),
    case(Ana,  Change("amount", "200000"),  When::Open, then(None, &["refused ana: Unfit"], OPEN, &[(Ana, "greater than the maximum of")])),
    case(Ana,  Change("order_id", "../1"),  When::Open, then(None, &["refused ana: Unfit"], OPEN, &[(Ana, "Nothing was decided:")])),
    case(Ana,  For("9h"),                   When::Open, then(None, &["refused ana: Unfit"], OPEN, &[(Ana, "8h at most")])),
    case(Ana,  For("ever"),                 When::Open, then(None, &["refused ana: Unfit"], OPEN, &[(Ana, "is not a length of time")])),
    case(Ana,  Delegate("nobody"),          When::Open, then(None, &["refused ana: Unfit"], OPEN, &[(Ana, "cannot be asked this; it can be given to")])),
    case(Ana,  Snooze("a while"),           When::Open, then(None, &["refused ana: Unfit"], OPEN, &[(Ana, "Nothing was decided:")])),
    case(Ana,  Snooze("30d"),               When::Open, then(None, &["refused ana: Unfit"], OPEN, &[(Ana, "then it is too late: it waits until")])),

    // Quoted. In the thread on Slack nothing names the question but words that are clear.
    case_but(Ana, Say("> approve"),                When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("> approve\n> amount: 110"), When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("> approve\n> for: 2h"),      When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("> reject: wrong order"),    When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("> ask: what is broken?"),   When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("> delegate: ben"),          When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("> snooze: 2h"),             When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("Who is this?\n\n> approve"), When::Open, UNCLEAR, IN_THREAD),

    // In somebody's name.
    case_but(Ana,  Approve, When::Forged, NOT_FORGED, FORGED_BUT),
    case_but(Ana,  LESS,    When::Forged, NOT_FORGED, FORGED_BUT),
    case_but(Ana,  WHILE,   When::Forged, NOT_FORGED, FORGED_BUT),
    case_but(Ana,  WHY,     When::Forged, NOT_FORGED, FORGED_BUT),
    case_but(Cara, NOTHING, When::Forged, then(None, &["refused cara?: Unverified"], CardThen::NoLastWord, &[(Cara, "came in your name")]), FORGED_BUT),
    case_but(Ana,  WHAT,    When::Forged, NOT_FORGED, FORGED_BUT),
    case_but(Ana,  BEN,     When::Forged, NOT_FORGED, FORGED_BUT),
    case_but(Ana,  LATER,   When::Forged, NOT_FORGED, FORGED_BUT),

    // What only sounds like a decision.
    case_but(Ana, Say("ok but only 50"),                  When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("approve but only 50"),             When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("approve\nbut only 50"),            When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("no problem, go ahead"),            When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("do not approve this"),             When::Open, UNCLEAR, IN_THREAD),
    case_but(Ana, Say("should I approve?"),               When::Open, UNCLEAR, IN_THREAD),
];

/// Longer than anything takes that comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The rule of the support agent that asks.
const ASKS: &str = r#"then = "ask", approvers = ["finance"], desk = "finance" }"#;

async fn every_decision_by_whomever_and_in_whatever_words(kind: Kind) {
    let people = People { finance: "\"ana\", \"cara\"", asked: "\"ana\"", also_on_page: false };
    let (mut front, _agents) = gateway(kind, &people, |agents| asked_at_home(kind, agents)).await;
    let open = rows(kind, |when| matches!(when, When::Open | When::Twice | When::Forged));
    let restarted = rows(kind, |when| when == When::Restarted);
    let mut report = Report::new(kind);
    let open = begun(&front, open).await;
    let restarted = begun(&front, restarted).await;
    for row in &open {
        report.note(row, played(&front, row).await);
    }
    front.world.kill();
    front.start().await;
    for row in &restarted {
        report.note(row, played(&front, row).await);
    }
    report.all_stand(&front, open.iter().chain(&restarted)).await;
}

async fn every_decision_after_its_time(kind: Kind) {
    let people = People { finance: "\"ana\", \"cara\"", asked: "\"ana\"", also_on_page: false };
    let (front, _agents) = gateway(kind, &people, |agents| {
        asked_at_home(kind, agents);
        waits_for(agents, "20s");
    })
    .await;
    let mut report = Report::new(kind);
    let mut all = Vec::new();
    // One after the other: a person has one form before them.
    for case in rows(kind, |when| when == When::Late) {
        let row = begun(&front, vec![case]).await.remove(0);
        report.note(&row, played(&front, &row).await);
        all.push(row);
    }
    report.all_stand(&front, all.iter()).await;
}

async fn every_decision_on_two_channels_at_once(kind: Kind) {
    let cases = rows(kind, |when| when == When::OnTwoChannels);
    if cases.is_empty() {
        return;
    }
    let people = People { finance: "\"ana\", \"cara\"", asked: "\"ana\"", also_on_page: true };
    let (front, _agents) = gateway(kind, &people, |_| {}).await;
    let mut report = Report::new(kind);
    let all = begun(&front, cases).await;
    for row in &all {
        report.note(row, played(&front, row).await);
    }
    report.all_stand(&front, all.iter()).await;
}

/// A gateway whose policy bars whoever asked; its agents may be changed first. There is an order for each row.
pub(crate) async fn gateway(kind: Kind, people: &People, change: impl FnOnce(&Path)) -> (Front, TempDir) {
    let (folder, agents) = copied_agents();
    let rule = ASKS.replace(" }", ", requester_may_approve = false, remember = { for = \"8h\" } }");
    replace(&agents.join("support/agent.toml"), ASKS, &rule);
    let orders = agents.join("support/orders.csv");
    let known = std::fs::read_to_string(&orders).unwrap();
    let more = (0..TABLE.len()).map(|n| {
        let order = order_of(n);
        format!("{order},Cara,Lamp {order},599.00,EUR,delivered,2026-09-30,Delivered on 2026-10-09\n")
    });
    std::fs::write(&orders, known + &more.collect::<String>()).unwrap();
    change(&agents);
    (Front::with_people(kind, &agents, people, SCRIPTED).await, folder)
}

/// Cards stand where Cara asked, for everybody there to press; by mail nobody but her sees that, so Ana is asked by a letter.
fn asked_at_home(kind: Kind, agents: &Path) {
    if kind != Mail {
        let toml = agents.join("support/agent.toml");
        replace(&toml, "model = \"default\"", "ask_at = \"origin\"\nmodel = \"default\"");
    }
}

/// Approvals and questions wait so long.
pub(crate) fn waits_for(agents: &Path, span: &str) {
    let toml = agents.join("support/agent.toml");
    let waits = format!("approval_deadline = \"{span}\"\nquestion_deadline = \"{span}\"");
    replace(&toml, "approval_deadline = \"24h\"", &waits);
}

pub(crate) fn order_of(row: usize) -> String {
    (2_000 + row).to_string()
}

/// The rows under these circumstances that there are on a channel, with their numbers.
fn rows(kind: Kind, under: impl Fn(When) -> bool) -> Vec<(usize, Case)> {
    let there = |case: &Case| {
        case.but.iter().all(|(on, but)| match but {
            But::Cannot(why) => {
                assert!(!why.is_empty());
                *on != kind
            }
            But::Then(_) => true,
        })
    };
    let all = TABLE.iter().copied().enumerate();
    all.filter(|(_, case)| under(case.when) && there(case)).collect()
}

/// A row in a conversation of its own.
struct Row {
    n: usize,
    case: Case,
    then: Then,
    order: String,
    place: String,
    /// Who looks at the card; on another screen the card may be another one.
    looks: Who,
    card: Card,
}

/// Begins the conversations of these rows, all of them at once, and waits for their cards.
async fn begun(front: &Front, cases: Vec<(usize, Case)>) -> Vec<Row> {
    let kind = front.kind();
    let mut begun = Vec::new();
    for (n, case) in cases {
        let order = order_of(n);
        let text = match case.does {
            Second(_) => format!("I want my money back for order {order}."),
            _ => format!("Please refund 120 EUR for order {order}, the lamp is broken."),
        };
        begun.push((n, case, order, front.cara_asks(&text).await));
    }
    let mut rows = Vec::new();
    for (n, case, order, place) in begun {
        let (looks, title) = match case.does {
            Second(_) => (Cara, "how much shall I refund"),
            _ => (Ana, "Approve: refund"),
        };
        let card = front.finds(looks, &place, &[&order, title]).await;
        let mut other = case.but.iter().filter(|(on, _)| *on == kind);
        let then = other.find_map(|(_, but)| if let But::Then(then) = but { Some(*then) } else { None });
        rows.push(Row { n, case, then: then.unwrap_or(case.then), order, place, looks, card });
    }
    rows
}

/// Plays a row; what is wrong with it, if anything is.
async fn played(front: &Front, row: &Row) -> Result<(), String> {
    let played = AssertUnwindSafe(play(front, row)).catch_unwind().await;
    played.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        Err(words.unwrap_or_else(|| "it panicked".to_owned()).lines().take(3).collect::<Vec<_>>().join(" "))
    })
}

async fn play(front: &Front, row: &Row) -> Result<(), String> {
    let Case { who, does, when, .. } = row.case;
    let mut before = Vec::new();
    for (who, words) in row.then.told {
        // What Cara hears after a deadline may be said before anybody acts.
        before.push(if when == When::Late { 0 } else { seen(front, *who, row, words).await });
    }
    let mut at_once = None;
    match when {
        When::Open | When::Restarted if who == Robot => front.answers(who, &row.card, &does.words()).await,
        When::Open | When::Restarted => at_once = front.does(who, &row.card, does).await,
        When::Forged => front.is_forged(who, &row.card, &does.words()).await,
        When::Late => {
            front.holds(who, &row.card, does).await;
            until_log(front, row, &["lapsed"]).await?;
            at_once = front.lets_go(who, &row.card, does).await;
        }
        When::Twice => {
            front.holds(who, &row.card, does).await;
            front.answers(who, &row.card, &does.words()).await;
            let once = row.then.log.len() / 2;
            until_log(front, row, &row.then.log[..once]).await?;
            at_once = front.lets_go(who, &row.card, does).await;
        }
        When::OnTwoChannels => {
            let page = front.at_page.as_ref().ok_or("Ana is not at the page")?;
            let inbox = page.entries("inbox").await.unwrap_or_default();
            let same = inbox.iter().find(|entry| entry.to_string().contains(&row.order));
            let entry = same.ok_or("no card on the page")?;
            front.holds(who, &row.card, does).await;
            let name = front.name();
            let (_, page_says) = tokio::join!(
                front.lets_go(who, &row.card, does),
                on_page_does(page, &name, ("inbox", entry), does)
            );
            at_once = page_says;
        }
    }
    until_log(front, row, row.then.log).await?;
    for ((who, words), before) in row.then.told.iter().zip(before) {
        let began = Instant::now();
        let told = at_once.as_ref().is_some_and(|told| told.contains(words));
        while !told && seen(front, *who, row, words).await <= before {
            if began.elapsed() > PATIENCE {
                return Err(format!(
                    "{} is never told {words:?}; they see {:#?}",
                    who.name(),
                    last_seen(front, *who, row).await
                ));
            }
            pause().await;
        }
    }
    stands(front, row, PATIENCE).await
}

/// How often somebody sees these words.
async fn seen(front: &Front, who: Who, row: &Row, words: &str) -> usize {
    front.sees(who, &row.place).await.iter().filter(|text| text.contains(words)).count()
}

async fn last_seen(front: &Front, who: Who, row: &Row) -> Vec<String> {
    let seen = front.sees(who, &row.place).await;
    seen.into_iter().rev().take(4).map(|text| text.chars().take(400).collect()).collect()
}

/// Waits until the log of a row is this.
async fn until_log(front: &Front, row: &Row, wanted: &[&str]) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let log = log_of(front, &row.order).await;
        if log == wanted {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("the log is {log:?}, and not {wanted:?}"));
        }
        pause().await;
    }
}

/// Whether a row stands as it should, or does within this time.
async fn stands(front: &Front, row: &Row, within: Duration) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let wrong = wrong(front, row).await;
        if wrong.is_none() || began.elapsed() > within {
            return wrong.map_or(Ok(()), Err);
        }
        pause().await;
    }
}

/// What is not as the table has it: the log, what ran, the cards.
async fn wrong(front: &Front, row: &Row) -> Option<String> {
    let Row { then, order, .. } = row;
    let log = log_of(front, &row.order).await;
    if log != then.log {
        return Some(format!("the log is {log:?}, and not {:?}", then.log));
    }
    let ran: Vec<u32> =
        front.refunds().into_iter().filter(|(of, _)| of == order).map(|(_, cents)| cents).collect();
    if ran != then.runs.iter().map(|euros| euros * 100).collect::<Vec<_>>() {
        return Some(format!("{ran:?} cents were refunded, and not {:?} EUR", then.runs));
    }
    let mut cards = vec![front.reads(row.looks, &row.place, &row.card).await];
    if let Some(page) = &front.at_page {
        let inbox = page.entries("inbox").await.unwrap_or_default();
        let theirs =
            inbox.iter().filter(|entry| entry["kind"] == "card" && entry.to_string().contains(order));
        cards.extend(theirs.map(|entry| (entry.to_string(), entry["state"] == "open")));
        if cards.len() < 2 {
            return Some("there is no card on the page".to_owned());
        }
    }
    for (text, open) in cards {
        let right = match then.card {
            CardThen::Open => open,
            CardThen::Closed(words) => !open && text.contains(words),
            CardThen::NoLastWord => true,
        };
        if !right {
            let state = if open { "open" } else { "closed" };
            return Some(format!("a card is {state} and says {text:?}, and not {:?}", then.card));
        }
    }
    None
}

/// What people did in the conversation about an order, after the request.
pub(crate) async fn log_of(front: &Front, order: &str) -> Vec<String> {
    let threads = front.world.threads().await;
    let began = |thread: &&Thread| {
        thread.records().iter().any(
            |record| matches!(&record.event, Event::Heard(heard) if heard.text.contains(&format!("order {order}"))),
        )
    };
    let Some(thread) = threads.iter().find(began) else { return Vec::new() };
    let events = thread.records().iter().map(|record| &record.event);
    let after = events.skip_while(|event| !matches!(event, Event::Heard(_))).skip(1);
    after.filter_map(|event| done_by_people(front, event)).collect()
}

/// What people did, in a few words; nothing where it was not people.
fn done_by_people(front: &Front, event: &Event) -> Option<String> {
    match event {
        Event::Answered(answer) => {
            let who = front.whose(&answer.by);
            Some(match &answer.decision {
                Decision::Approve => format!("{who} approved"),
                Decision::ApproveAlike { .. } => format!("{who} approved for a while"),
                Decision::ApproveEdited { args, .. } => {
                    format!("{who} approved {{amount: {}}}", args["amount"])
                }
                Decision::Reject { comment } => {
                    format!("{who} rejected: {}", comment.as_deref().unwrap_or_default())
                }
                Decision::Option(_) => format!("{who} answered: Nothing"),
                other => format!("{who} answered: {other:?}"),
            })
        }
        Event::Refused(refusal) => Some(format!("refused {}: {:?}", front.whose(&refusal.by), refusal.why)),
        Event::Deferred(deferral) => {
            let who = front.whose(&deferral.by);
            Some(match &deferral.deferring {
                Deferring::AskedBack(what) => format!("{who} asked back: {what}"),
                Deferring::Delegated(whom) => format!("{who} delegated to {whom}"),
                Deferring::Snoozed(_) => format!("{who} put it off"),
                Deferring::TookOver => format!("{who} took over"),
            })
        }
        Event::AskedAgain(again) => Some(match &again.because {
            Because::Delegated(whom) => format!("asked {whom}, too"),
            other => format!("asked again: {other:?}"),
        }),
        Event::Voted(ballot) => Some(format!("{} voted", front.whose(&ballot.answer.by))),
        Event::Heard(heard) => Some(format!("heard {}", front.whose(&heard.from))),
        Event::Lapsed { .. } => Some("lapsed".to_owned()),
        Event::Withdrawn { .. } => Some("withdrawn".to_owned()),
        Event::Cancelled { .. } => Some("cancelled".to_owned()),
        _ => None,
    }
}

/// What was wrong with which row.
struct Report {
    kind: Kind,
    played: usize,
    failed: Vec<String>,
}

impl Report {
    fn new(kind: Kind) -> Self {
        Self { kind, played: 0, failed: Vec::new() }
    }

    fn note(&mut self, row: &Row, end: Result<(), String>) {
        self.played += 1;
        if let Err(what) = end {
            let Case { who, does, when, .. } = row.case;
            let line = format!("row {} on {:?}: {who:?} does {does:?}, {when:?}: {what}", row.n, self.kind);
            eprintln!("{line}");
            self.failed.push(line);
        }
    }

    /// Looks at all rows once more: nothing came of any of them later. Fails with all that was wrong.
    async fn all_stand(mut self, front: &Front, rows: impl Iterator<Item = &Row>) {
        for row in rows {
            if let Err(what) = stands(front, row, Duration::ZERO).await {
                self.note(row, Err(format!("later: {what}")));
            }
        }
        assert!(self.played > 0);
        assert!(self.failed.is_empty(), "{} rows failed:\n{}", self.failed.len(), self.failed.join("\n"));
    }
}

pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
