//! Two ends of one question at the same moment, on every channel: exactly one stands in the log, and every card of the question
//! shows that one. Cara asks; Ana and Ben may both approve, and each has a card of their own.

use std::time::{Duration, Instant};

use agent::{Event, Question, QuestionKind, Thread};
use futures_util::future::join_all;

use crate::{
    cases::{PATIENCE, gateway, log_of, order_of, pause, waits_for},
    world::{Card, Front, Gesture, Kind, People, Who, in_front_of_every_channel},
};

in_front_of_every_channel! {
    an_approval_at_the_end_of_its_time_has_one_outcome
    an_approval_and_a_rejection_have_one_outcome
    a_request_that_is_stopped_while_it_waits_has_one_outcome
    a_decision_just_before_a_kill_has_one_outcome
}

const BOTH: People = People { finance: "\"ana\", \"ben\"", asked: "\"ana\", \"ben\"", also_on_page: false };
const NO: Gesture = Gesture::Reject("not like this");

/// How a question can end: what stands in the log, and what its cards say then.
const ENDS: [(&str, &str); 5] = [
    ("ana approved", "Approved by ana"),
    ("ben approved", "Approved by ben"),
    ("ben rejected: not like this", "Rejected by ben: not like this"),
    ("lapsed", "Nobody answered in time"),
    ("cancelled", "Cancelled by"),
];

/// A question that two people have on their screens.
struct Raced {
    order: String,
    place: String,
    ana: Card,
    ben: Card,
}

/// So many conversations, begun at once, each with its two cards.
async fn raced(front: &Front, from: usize, count: usize) -> Vec<Raced> {
    let orders = (from..from + count).map(order_of);
    let asks = orders.map(async |order| {
        let text = format!("Please refund 120 EUR for order {order}, the lamp is broken.");
        (front.cara_asks(&text).await, order)
    });
    let asked = join_all(asks).await;
    let shown = asked.into_iter().map(async |(place, order)| {
        let words = [order.as_str(), "Approve: refund"];
        let ana = front.finds(Who::Ana, &place, &words).await;
        let ben = front.finds(Who::Ben, &place, &words).await;
        Raced { order, place, ana, ben }
    });
    join_all(shown).await
}

/// Waits until a question has an end, and everything fits that one end: the log, what ran, and both cards. The end, as the
/// log has it.
async fn one_outcome(front: &Front, raced: &Raced) -> String {
    let began = Instant::now();
    loop {
        let (end, wrong) = outcome(front, raced).await;
        match wrong {
            None => return end,
            Some(wrong) => {
                assert!(began.elapsed() < PATIENCE, "order {}: {wrong}\n{}", raced.order, front.world.log());
            }
        }
        pause().await;
    }
}

/// The end of a question, and what does not fit it.
async fn outcome(front: &Front, raced: &Raced) -> (String, Option<String>) {
    let log = log_of(front, &raced.order).await;
    let is_end = |line: &&String| ENDS.iter().any(|(end, _)| end == line);
    let ends: Vec<&String> = log.iter().filter(is_end).collect();
    let Some(end) = ends.first().map(|end| (**end).clone()) else {
        return (String::new(), Some(format!("it never ended: {log:?}")));
    };
    // The request may be stopped after its question was decided; the question ended once.
    let decided = ends.iter().filter(|line| ***line != "cancelled").count();
    if decided > 1 || (end == "cancelled" && decided > 0) {
        return (end, Some(format!("it ended more than once: {log:?}")));
    }
    let runs = front.refunds().iter().filter(|(order, _)| *order == raced.order).count();
    let may_run = end.ends_with("approved");
    let stopped = ends.iter().any(|line| *line == "cancelled");
    // Where a kill hid whether a call had its effect, it is not made again, and people are asked.
    let hidden = |event: &Event| {
        matches!(event, Event::Asked(Question { kind: QuestionKind::Unknown { args, .. }, .. })
            if args["order_id"] == raced.order.as_str())
    };
    let excused = stopped || front.count(hidden).await > 0;
    if runs > usize::from(may_run) || (may_run && !excused && runs == 0) {
        return (end, Some(format!("it ran {runs} times, and the log is {log:?}")));
    }
    for (who, card) in [(Who::Ana, &raced.ana), (Who::Ben, &raced.ben)] {
        let (text, open) = front.reads(who, &raced.place, card).await;
        let right = |(of, words): &(&str, &str)| text.contains(words) == (*of == end);
        if open || !ENDS.iter().all(right) {
            return (
                end,
                Some(format!("the card of {who:?} is open ({open}) or says something else: {text}")),
            );
        }
    }
    (end, None)
}

/// All of them end, and nothing changes afterwards.
async fn all_have_one_outcome(front: &Front, all: &[Raced]) -> Vec<String> {
    let mut ends = Vec::new();
    for raced in all {
        ends.push(one_outcome(front, raced).await);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (raced, end) in all.iter().zip(&ends) {
        assert_eq!(outcome(front, raced).await, (end.clone(), None), "order {}, later", raced.order);
    }
    eprintln!("how they ended: {ends:?}");
    ends
}

/// Waits until the log about an order has this line.
async fn logged(front: &Front, raced: &Raced, like: &str) {
    let began = Instant::now();
    loop {
        let log = log_of(front, &raced.order).await;
        if log.iter().any(|line| line.contains(like)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{like:?} is not in {log:?}\n{}", front.world.log());
        pause().await;
    }
}

/// For how long after now a question waits.
async fn left(front: &Front, raced: &Raced) -> Duration {
    let threads = front.world.threads().await;
    let question = threads.iter().flat_map(Thread::records).find_map(|record| match &record.event {
        Event::Asked(question) if question.text.contains(&raced.order) => Some(question.deadline),
        _ => None,
    });
    let left = question.expect("it was asked").duration_since(channel::Timestamp::now());
    Duration::try_from(left).unwrap_or_default()
}

async fn an_approval_at_the_end_of_its_time_has_one_outcome(kind: Kind) {
    let (front, _agents) = gateway(kind, &BOTH, |agents| waits_for(agents, "25s")).await;
    // So long before the end, in milliseconds: about as long as an answer takes on its way.
    let before: &[u64] = match kind {
        Kind::Mail => &[3_000, 1_500, 800, 400, 0],
        Kind::Web | Kind::Slack | Kind::Discord => &[300, 60, 20, 5, 0],
    };
    let all = raced(&front, 0, before.len()).await;
    let presses = all.iter().zip(before).map(async |(raced, before)| {
        let left = left(&front, raced).await;
        tokio::time::sleep(left.saturating_sub(Duration::from_millis(*before))).await;
        front.does(Who::Ana, &raced.ana, Gesture::Approve).await;
    });
    join_all(presses).await;
    for (raced, end) in all.iter().zip(all_have_one_outcome(&front, &all).await) {
        match end.as_str() {
            "lapsed" => logged(&front, raced, "refused ana: Expired").await,
            end => assert_eq!(end, "ana approved"),
        }
    }
}

async fn an_approval_and_a_rejection_have_one_outcome(kind: Kind) {
    let (front, _agents) = gateway(kind, &BOTH, |_| {}).await;
    let all = raced(&front, 0, 4).await;
    for (n, raced) in all.iter().enumerate() {
        front.holds(Who::Ben, &raced.ben, NO).await;
        let yes = front.lets_go(Who::Ana, &raced.ana, Gesture::Approve);
        let no = front.lets_go(Who::Ben, &raced.ben, NO);
        if n % 2 == 0 {
            tokio::join!(yes, no);
        } else {
            tokio::join!(no, yes);
        }
    }
    for (raced, end) in all.iter().zip(all_have_one_outcome(&front, &all).await) {
        let late = if end == "ana approved" { "refused ben: Settled" } else { "refused ana: Settled" };
        logged(&front, raced, late).await;
    }
}

async fn a_request_that_is_stopped_while_it_waits_has_one_outcome(kind: Kind) {
    let (front, _agents) = gateway(kind, &BOTH, |_| {}).await;
    let all = raced(&front, 0, 4).await;
    for (n, raced) in all.iter().enumerate() {
        // What Cara was told that it waits: by mail she answers that.
        let began = Instant::now();
        while front.sees(Who::Cara, &raced.place).await.iter().all(|text| !text.contains("needs approval")) {
            assert!(began.elapsed() < PATIENCE, "Cara is not told that it waits");
            pause().await;
        }
        let stop = front.cara_says(&raced.place, "stop");
        let yes = front.does(Who::Ana, &raced.ana, Gesture::Approve);
        match n {
            0 => {
                stop.await;
                logged(&front, raced, "cancelled").await;
                yes.await;
                logged(&front, raced, "refused ana: Settled").await;
            }
            1 | 2 => drop(tokio::join!(stop, yes)),
            _ => drop(tokio::join!(yes, stop)),
        }
    }
    let ends = all_have_one_outcome(&front, &all).await;
    assert_eq!(ends[0], "cancelled");
}

async fn a_decision_just_before_a_kill_has_one_outcome(kind: Kind) {
    let (mut front, _agents) = gateway(kind, &BOTH, |_| {}).await;
    let all = raced(&front, 0, 4).await;
    // So long after it was let go, in milliseconds.
    for (raced, after) in all.iter().zip([0, 10, 40, 150]) {
        tokio::join!(front.does(Who::Ana, &raced.ana, Gesture::Approve), async {
            tokio::time::sleep(Duration::from_millis(after)).await;
            front.world.signal("KILL");
        });
        front.world.kill();
        front.start().await;
        // What a chat platform could not hand over is lost, and is done again by whoever sees an open card; by Ben, who
        // meant something else.
        let began = Instant::now();
        while log_of(&front, &raced.order).await.is_empty() && began.elapsed() < Duration::from_secs(3) {
            pause().await;
        }
        front.does(Who::Ben, &raced.ben, Gesture::Approve).await;
        one_outcome(&front, raced).await;
    }
    for end in all_have_one_outcome(&front, &all).await {
        assert!(end.ends_with("approved"), "{end}");
    }
}
