//! What a gateway does that does not listen, while another does: it sends everywhere, and shows signs of life.

use std::time::Duration;

use channel::{Address, Channel, ChannelName, Content, Place, Signal};
use serde_json::json;

use crate::{
    card, outgoing, says,
    world::{ANA, BEN, GENERAL, World, until},
};

fn at(place: &Place) -> Address {
    Address { channel: ChannelName::new("discord"), place: place.clone() }
}

fn writing(text: &str) -> Signal {
    Signal::Writing { text: text.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_listen_sends_to_every_place_once() {
    let mut world = World::start().await;
    assert!(world.discord.capabilities().one_reader, "a second gateway would end the sessions of the first");
    let said = world.control.say(ANA, GENERAL, "@switchboard hello").await.unwrap();
    let mention = world.inbox.taken_count(1).await.remove(0);
    world.control.dm(BEN, "hello").await.unwrap();
    let direct = world.inbox.taken_count(2).await.remove(1);
    let asked =
        world.control.command(ANA, GENERAL, "ask", json!({ "request": "where is it?" })).await.unwrap();
    let command = world.inbox.taken_count(3).await.remove(2);
    world.control.outcome(&asked, Duration::from_secs(10)).await.unwrap();

    // The first one goes on listening.
    world.replace(json!({}));
    for (n, heard) in (1..).zip([&mention, &direct, &command]) {
        let mut answer = outgoing(n, &heard.at.place, says(&format!("answer {n}")));
        answer.in_reply_to = heard.message.clone();
        world.sends(&answer).await;
        world.attempts(&answer, 2).await.unwrap();
    }
    let texts = async |channel: &str| -> Vec<String> {
        world.said(channel).await.into_iter().map(|message| message.text).collect()
    };
    assert_eq!(texts(&said.id).await, ["answer 1"], "in the thread of the mention");
    assert_eq!(texts(&world.direct(BEN).await.unwrap()).await, ["answer 2"]);
    assert_eq!(texts(GENERAL).await, ["answer 3"]);
    let below = world.said(GENERAL).await.remove(0);
    assert!(!below.loading, "it stands in the place that Discord keeps for it: {below:#?}");

    // Whoever answers is heard by the one that listens, in the same conversation.
    world.control.say(BEN, &below.id, "and what else?").await.unwrap();
    assert_eq!(world.inbox.taken_count(4).await[3].at, command.at);

    let mut word = outgoing(4, &mention.at.place, says("Only for you."));
    word.only = Some(mention.from.clone());
    world.sends(&word).await;
    assert_eq!(texts(&world.direct(ANA).await.unwrap()).await, ["Only for you."]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_listen_closes_a_card_that_another_sent() {
    let mut world = World::start().await;
    let place = world.discord.place(ANA).unwrap();
    let asks = outgoing(1, &place, Content::Card(card()));
    let named = world.sends(&asks).await.message;
    world.replace(json!({}));
    let mut closed = card();
    closed.state = channel::CardState::Closed { how: "Approved by Ana.".to_owned() };
    let mut amends = outgoing(2, &place, Content::Card(closed));
    amends.amends = Some(asks.key.clone());
    let attempt = channel::Attempt { number: 1, amends: named, files: Vec::new() };
    world.discord.send(&amends, &attempt).await.unwrap();
    let shown = world.said(&world.direct(ANA).await.unwrap()).await;
    assert!(shown.len() == 1 && shown[0].words().contains("Approved by Ana."), "{shown:#?}");
    assert!(shown[0].elements().is_empty(), "{shown:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_listen_shows_an_answer_as_it_grows() {
    let mut world = World::start().await;
    let said = world.control.dm(ANA, "hello").await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    let place = at(&heard.at.place);
    world.discord.signal(&place, None, writing("I was about to say")).await;
    until("a draft", async || world.said(&said.channel).await.len() == 1).await;

    // That one dies. The first that the next does is a sign of life, and it takes away what is left.
    world.kill(json!({})).await;
    world.discord.signal(&place, None, writing("Your order")).await;
    until("the next draft", async || {
        let said = world.said(&said.channel).await;
        said.len() == 1 && said[0].text.contains("Your order")
    })
    .await;
    let draft = world.said(&said.channel).await.remove(0);
    world.sends(&outgoing(1, &heard.at.place, says("Your order has left."))).await;
    let left = world.said(&said.channel).await;
    assert_eq!(left.len(), 1, "{left:#?}");
    assert_eq!((left[0].text.as_str(), &left[0].id), ("Your order has left.", &draft.id));
}
