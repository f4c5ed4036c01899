//! Signs of life: reactions, a status, answers that grow, and what a crash leaves of them.

use std::time::Duration;

use channel::{Address, Channel, ChannelName, Place, Signal};
use serde_json::json;
use simulator::slack::{Message, Options};

use crate::{
    outgoing, says,
    world::{ANA, BOT, GENERAL, World, shown, until},
};

fn at(place: &Place) -> Address {
    Address { channel: ChannelName::new("slack"), place: place.clone() }
}

fn writing(text: &str) -> Signal {
    Signal::Writing { text: text.to_owned() }
}

fn reactions(message: &Message) -> Vec<String> {
    message
        .reactions
        .iter()
        .map(|reaction| reaction["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

async fn ours(world: &World, thread: &str) -> Vec<Message> {
    let messages = world.control.messages(GENERAL, Some(thread)).await.unwrap();
    messages.into_iter().filter(|message| message.bot_id.is_some()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_shown_below_the_message_and_on_it() {
    let world = World::start().await;
    let said = world.control.say(ANA, GENERAL, &format!("<@{BOT}> hello")).await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    let (place, about) = (at(&heard.at.place), heard.message.as_ref());
    let first = async || world.control.messages(GENERAL, Some(&said.ts)).await.unwrap().remove(0);
    world.slack.signal(&place, about, Signal::Working).await;
    until("eyes and a status", async || {
        let status = world.control.status(GENERAL, &said.ts).await.unwrap();
        reactions(&first().await) == ["eyes"] && status.is_some_and(|status| !status.is_empty())
    })
    .await;
    world.slack.signal(&place, about, Signal::Done).await;
    until("a tick and no status", async || {
        let status = world.control.status(GENERAL, &said.ts).await.unwrap();
        reactions(&first().await) == ["white_check_mark"] && status.is_none_or(|status| status.is_empty())
    })
    .await;
    world.slack.signal(&place, about, Signal::Failed).await;
    until("a warning", async || reactions(&first().await).contains(&"warning".to_owned())).await;
}

/// By Slack's own streaming, or by a message that is rewritten: it grows, and what is sent takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_grows_and_the_message_takes_its_place() {
    for streaming in [true, false] {
        let world = World::new(Options { streaming, ..Options::default() }, json!({})).await;
        let said = world.control.say(ANA, GENERAL, &format!("<@{BOT}> hello")).await.unwrap();
        let heard = world.inbox.taken_count(1).await.remove(0);
        let place = at(&heard.at.place);
        for words in
            ["Your order", "Your order **4711** <!channel>", "Your order **4711** <!channel> has left"]
        {
            world.slack.signal(&place, None, writing(words)).await;
            let last = words.split(' ').next_back().unwrap().replace("<!channel>", "channel");
            until(&format!("`{words}`"), async || {
                ours(&world, &said.ts).await.iter().any(|message| message.words().contains(&last))
            })
            .await;
        }
        let drafts = ours(&world, &said.ts).await;
        assert_eq!(drafts.len(), 1, "{drafts:#?}");
        assert_eq!(drafts[0].streaming.is_some(), streaming);
        assert!(drafts[0].rings.is_empty(), "a draft rang: {:?}", drafts[0]);
        let answer = outgoing(1, &heard.at.place, says("Your order **4711** has left at last."));
        world.sends(&answer).await;
        let messages = ours(&world, &said.ts).await;
        assert_eq!(messages.len(), 1, "{messages:#?}");
        assert_eq!(messages[0].ts, drafts[0].ts);
        let words: Vec<String> = shown(&messages[0]).text.split_whitespace().map(str::to_owned).collect();
        assert_eq!(words.join(" "), "Your order 4711 has left at last.");
        assert_ne!(messages[0].streaming, Some(true));
        // The mark is on it: sending again changes nothing.
        world.attempts(&answer, 2).await.unwrap();
        assert_eq!(ours(&world, &said.ts).await.len(), 1);
    }
}

/// A process that dies while an answer grows leaves a draft; the next one's message is the only one that stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_leaves_of_a_draft_goes() {
    for streaming in [true, false] {
        let mut world = World::new(Options { streaming, ..Options::default() }, json!({})).await;
        let said = world.control.say(ANA, GENERAL, &format!("<@{BOT}> hello")).await.unwrap();
        let heard = world.inbox.taken_count(1).await.remove(0);
        world.sends(&outgoing(1, &heard.at.place, says("I look."))).await;
        world.slack.signal(&at(&heard.at.place), None, writing("Your order is")).await;
        until("the draft", async || ours(&world, &said.ts).await.len() == 2).await;
        world.stop().await;
        world.replace(json!({}));
        world.listen().await;
        world.sends(&outgoing(2, &heard.at.place, says("Your order has left."))).await;
        let messages = ours(&world, &said.ts).await;
        let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(texts, ["I look.", "Your order has left."]);
        world.stop().await;
    }
}

/// Work that ends without a word takes its draft along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_that_became_nothing_goes() {
    let world = World::start().await;
    let said = world.control.say(ANA, GENERAL, &format!("<@{BOT}> hello")).await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    let place = at(&heard.at.place);
    world.slack.signal(&place, None, writing("Perhaps")).await;
    until("the draft", async || ours(&world, &said.ts).await.len() == 1).await;
    world.slack.signal(&place, None, Signal::Waiting).await;
    until("nothing", async || ours(&world, &said.ts).await.is_empty()).await;
}

/// Signs at places that are none, and while Slack is away, do no harm and hold up nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signs_are_best_effort() {
    let world = World::start().await;
    world.control.fault("*", json!({ "error": "internal_error" }), 1_000, 0).await.unwrap();
    for place in ["nowhere", "T0SIM0001/C0GEN0001/1.000001", "T9/C9/1.000001"] {
        for signal in [Signal::Working, writing("x"), Signal::Waiting, Signal::Done, Signal::Failed] {
            world.slack.signal(&at(&Place::new(place)), None, signal).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.control.clear_faults().await.unwrap();
    world.control.dm(ANA, "hello").await.unwrap();
    world.inbox.taken_count(1).await;
}
