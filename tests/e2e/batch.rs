//! Several calls on one card, in front of every channel: each of them is decided by itself, in words and by the card's form.

use agent::{Decision, Event, QuestionKind, Why};
use serde_json::{Value, json};

use crate::world::{Front, Gesture, Kind, Obedient, Who, copied_agents, in_front_of_every_channel, order};

in_front_of_every_channel! {
    each_call_of_a_card_is_decided_by_itself
}

fn refund(id: &str, amount: u32) -> Value {
    json!({ "tool": "refund", "args": { "order_id": id, "amount": amount, "reason": "it came broken" } })
}

async fn each_call_of_a_card_is_decided_by_itself(kind: Kind) {
    let model = Obedient::open().await;
    let (_folder, agents) = copied_agents();
    let mut front = Front::open(kind, &agents, "support", model.config(), &[Obedient::KEY]).await;
    let calls = json!({ "intent": "act_all", "calls": [refund("1002", 120), refund("1003", 30), refund("1003", 130)] });
    let place = front.asks(&format!("Both came broken, 1002 and 1003.\n{}", order(&calls))).await;
    // What is small runs at once; the two others stand on one card, whole.
    let card = front.card(&place).await;
    let asked = |event: &Event| matches!(event, Event::Asked(question) if matches!(&question.kind, QuestionKind::Approvals { calls } if calls.len() == 2));
    front.until("one question about two calls", 1, asked).await;
    assert_eq!(front.refunds(), [("1003".to_owned(), 3_000)]);
    // Who may not decide decides none; what is not clear decides nothing.
    front.answers(Who::Ben, &card, "approve: 1").await;
    let refused =
        |why: Why| move |event: &Event| matches!(event, Event::Refused(refusal) if refusal.why == why);
    front.until("a refusal", 1, refused(Why::NotPermitted)).await;
    front.answers(Who::Ana, &card, "approve: 3").await;
    front.until("an explanation", 1, refused(Why::Unfit)).await;
    assert_eq!(front.refunds(), [("1003".to_owned(), 3_000)]);
    // It outlives a kill.
    front.world.kill();
    front.start().await;
    front.answers(Who::Ana, &card, "approve: 1\nwhy: look at the second one first").await;
    front.says(&place, "All of it was done.").await;
    front.card_says(&place, &card, "1 approved by ana, 2 rejected: look at the second one first").await;
    let mut refunds = front.refunds();
    refunds.sort();
    assert_eq!(refunds, [("1002".to_owned(), 12_000), ("1003".to_owned(), 3_000)]);
    let decided = |event: &Event| matches!(event, Event::Answered(answer) if matches!(&answer.decision, Decision::ApproveSome { places, .. } if *places == [0]));
    assert_eq!(front.count(decided).await, 1);

    // The same by the form of the card.
    let calls = json!({ "intent": "act_all", "calls": [refund("1006", 120), refund("1003", 110)] });
    let place = front.asks(&format!("And these two, 1006 and 1003.\n{}", order(&calls))).await;
    let card = front.card(&place).await;
    front.does(Who::Ana, &card, Gesture::Only("2. refund")).await;
    front.card_says(&place, &card, "2 approved by ana, 1 rejected").await;
    front.says(&place, "All of it was done.").await;
    assert!(front.refunds().contains(&("1003".to_owned(), 11_000)), "{:?}", front.refunds());
}
