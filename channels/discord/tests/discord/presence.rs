//! Signs of life: typing, reactions, answers that grow, and what a crash leaves of them.

use channel::{Address, Channel, ChannelName, Place, Signal};
use serde_json::json;
use simulator::discord::Message;

use crate::{
    outgoing, says,
    world::{ANA, GENERAL, World, until},
};

fn at(place: &Place) -> Address {
    Address { channel: ChannelName::new("discord"), place: place.clone() }
}

fn writing(text: &str) -> Signal {
    Signal::Writing { text: text.to_owned() }
}

fn reactions(message: &Message) -> Vec<String> {
    let name = |reaction: &serde_json::Value| reaction["name"].as_str().unwrap_or_default().to_owned();
    message.reactions.iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_shown_in_the_thread_and_on_the_message() {
    let world = World::start().await;
    let said = world.control.say(ANA, GENERAL, "@switchboard hello").await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    let (place, about) = (at(&heard.at.place), heard.message.as_ref());
    let first = async || {
        let messages = world.control.messages(GENERAL).await.unwrap();
        messages.into_iter().find(|message| message.id == said.id).unwrap()
    };
    world.discord.signal(&place, about, Signal::Working).await;
    until("eyes, and somebody who types", async || {
        let typing = world.control.who_types(&said.id).await.unwrap_or_default();
        reactions(&first().await) == ["👀"] && !typing.is_empty()
    })
    .await;
    world.discord.signal(&place, about, Signal::Done).await;
    until("a tick", async || reactions(&first().await) == ["✅"]).await;
    world.discord.signal(&place, about, Signal::Failed).await;
    until("a warning", async || reactions(&first().await).contains(&"⚠️".to_owned())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_grows_and_the_message_takes_its_place() {
    let world = World::start().await;
    let said = world.control.say(ANA, GENERAL, "@switchboard hello").await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    let place = at(&heard.at.place);
    for words in ["Your order", "Your order **4711** @everyone", "Your order **4711** @everyone has left"] {
        world.discord.signal(&place, None, writing(words)).await;
        let last = words.split(' ').next_back().unwrap();
        until(words, async || world.said(&said.id).await.iter().any(|message| message.text.contains(last)))
            .await;
    }
    let drafts = world.said(&said.id).await;
    assert_eq!(drafts.len(), 1, "{drafts:#?}");
    assert!(drafts[0].rings.is_empty(), "a draft rang: {:?}", drafts[0]);
    let answer = outgoing(1, &heard.at.place, says("Your order **4711** has left at last."));
    let receipt = world.sends(&answer).await;
    let said = world.said(&said.id).await;
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(receipt.message.unwrap().as_str(), format!("{}/{}", said[0].channel, said[0].id));
    assert_eq!(
        (said[0].id.as_str(), said[0].text.as_str()),
        (drafts[0].id.as_str(), "Your order **4711** has left at last.")
    );
}

/// The answer to a command grows in the place that Discord keeps for it, and what is sent stays, whatever comes late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_command_grows_in_its_place() {
    let world = World::start().await;
    let asked =
        world.control.command(ANA, GENERAL, "ask", json!({ "request": "where is it?" })).await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    world.control.outcome(&asked, std::time::Duration::from_secs(10)).await.unwrap();
    let place = at(&heard.at.place);
    world.discord.signal(&place, None, writing("On its")).await;
    until("the words so far", async || {
        world.said(GENERAL).await.iter().any(|message| message.text.contains("On its") && !message.loading)
    })
    .await;
    let edit = "PATCH /webhooks/{application}/{token}/messages/{message}";
    let mut answer = outgoing(1, &heard.at.place, says("On its way."));
    answer.in_reply_to = heard.message.clone();
    // A draft whose request takes its time, and the answer right behind it.
    world.control.fault(edit, json!({ "delay_ms": 400 }), 1, 0).await.unwrap();
    world.discord.signal(&place, None, writing("On its w")).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    world.sends(&answer).await;
    world.discord.signal(&place, None, writing("On its wa")).await;
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let said = world.said(GENERAL).await;
    assert_eq!((said.len(), said[0].text.as_str()), (1, "On its way."), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_that_nothing_takes_the_place_of_goes_away() {
    let mut world = World::start().await;
    let said = world.control.dm(ANA, "hello").await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    let place = at(&heard.at.place);
    world.discord.signal(&place, None, writing("I think")).await;
    until("a draft", async || world.said(&said.channel).await.len() == 1).await;
    world.discord.signal(&place, None, Signal::Failed).await;
    until("nothing", async || world.said(&said.channel).await.is_empty()).await;

    // What a killed process leaves goes with the next message.
    world.discord.signal(&place, None, writing("I was about to say")).await;
    until("a draft", async || world.said(&said.channel).await.len() == 1).await;
    world.kill(json!({})).await;
    world.listen().await;
    world.sends(&outgoing(1, &heard.at.place, says("Done."))).await;
    let left = world.said(&said.channel).await;
    assert_eq!((left.len(), left[0].text.as_str()), (1, "Done."), "{left:#?}");
}
