//! What is over leaves the store for the archive, and its place goes on.

use std::{process::Command, time::Duration};

use agent::{Event, Thread};

use crate::world::{LOCAL, Page, SCRIPTED, World, is_open_card};

const SHORT: &str = "[retention]\nafter = \"1s\"\n[runtime]\nrenew_after = \"1s\"\n";
/// Longer than what is over stays.
const LONGER: Duration = Duration::from_millis(1_300);

/// Whether everything was sent that a finished conversation has to say.
fn over(thread: &Thread) -> bool {
    let sent = |event: &Event| matches!(event, Event::Delivered { .. });
    thread.is_idle() && thread.records().iter().any(|record| sent(&record.event))
}

async fn asks(page: &Page, talk: &str, n: u32) {
    page.say(talk, &format!("question-{n:012}"), "Where is my order 1001?").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_that_is_over_leaves_for_the_archive_and_its_place_goes_on() {
    let mut world = World::new(&format!("{LOCAL}{SCRIPTED}{SHORT}"));
    world.start().await;
    let page = world.page();
    let (over_soon, waits) = (page.open().await, page.open().await);
    asks(&page, &over_soon, 1).await;
    page.say(&waits, "deployment-0000001", "deploy v1.4 to production").await.unwrap();
    let card = page.wait_card(&waits, "Approve: deploy").await;
    world.until("an answer", |threads| threads.iter().filter(|thread| over(thread)).count() == 1).await;
    let told = world.threads().await.into_iter().find(over).unwrap();
    let id = told.id().as_str().to_owned();
    let before = world.run(&["threads", "show", "--json", &id]);
    let refused = world.run(&["threads", "archive"]);
    assert!(refused.code == Some(1) && refused.err.contains("in use"), "{refused:#?}");
    assert_eq!(world.stop().code(), Some(0));

    // At its next start the gateway lets go what is over, and what waits for somebody stays.
    tokio::time::sleep(LONGER).await;
    world.start().await;
    world.until("one that left", |threads| threads.len() == 1).await;
    assert!(!world.threads().await[0].is_idle());
    let story = world.run(&["threads", "show", &id]);
    for words in
        ["finished", "Where is my order 1001?", "The agent said", "It left the store, and is in the archive"]
    {
        assert!(story.code == Some(0) && story.out.contains(words), "{words}: {story:#?}");
    }
    let json = world.run(&["threads", "show", "--json", &id]);
    assert_eq!(json.out, before.out);
    assert!(json.err.contains("in the archive"), "{json:#?}");
    assert!(world.log().contains("conversations left the store"), "{}", world.log());
    let mut lines = zcat(&world);
    assert!(lines.remove(0).contains(&format!("\"thread\":\"{id}\"")));
    assert_eq!(lines.join("\n") + "\n", before.out);

    // Both places go on: one with what waited, the other with a conversation of its own.
    page.press(&waits, "click-000000000001", &card, "approve").await.unwrap();
    page.wait_said(&waits, "v1.4 runs in production").await;
    assert!(page.entries(&over_soon).await.unwrap().is_empty(), "what left is not shown");
    asks(&page, &over_soon, 2).await;
    world.until("both are over", |threads| threads.len() == 2 && threads.iter().all(over)).await;
    let next = format!("{}-2", id.trim_end_matches("-1"));
    assert!(world.threads().await.iter().any(|thread| thread.id().as_str() == next));
    assert_eq!(page.entries(&over_soon).await.unwrap().len(), 2, "a question and an answer");
    assert!(!page.entries(&waits).await.unwrap().iter().any(is_open_card));
    assert_eq!(world.stop().code(), Some(0));

    // By hand.
    tokio::time::sleep(LONGER).await;
    let early = world.run(&["threads", "archive", "--older", "900ms"]);
    assert!(early.code == Some(1) && early.err.contains("less than runtime.renew_after (1s)"), "{early:#?}");
    let swept = world.run(&["threads", "archive", "--older", "1s"]);
    assert!(swept.code == Some(0) && swept.out.starts_with("2 left the store"), "{swept:#?}");
    assert_eq!(world.run(&["threads", "list"]).out, "");
    assert_eq!(world.run(&["threads", "show", "--json", &id]).out, before.out);
    assert!(world.run(&["threads", "show", &next]).out.contains("Where is my order 1001?"));
    assert_eq!(world.run(&["threads", "show", &next.replace("-2", "-3")]).code, Some(1));
}

/// What is in the archive, a line each.
fn zcat(world: &World) -> Vec<String> {
    let folder = world.folder.path().join("state/archive");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let unpacked = Command::new("zcat").args(&files).output().unwrap();
    assert!(unpacked.status.success(), "{unpacked:?}");
    String::from_utf8(unpacked.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// An archive that cannot be written is told at the start, and not only when something should go into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_cannot_be_is_told_at_the_start() {
    let nowhere = SHORT.replace("[retention]", "[retention]\narchive = \"config.toml/x\"");
    let world = World::new(&format!("{LOCAL}{SCRIPTED}{nowhere}"));
    let ran = world.run(&[]);
    assert!(ran.code == Some(1) && ran.err.contains("retention.archive: "), "{ran:#?}");
    let unasked = World::new(&format!("{LOCAL}{SCRIPTED}")).run(&["threads", "archive"]);
    assert!(unasked.code == Some(1) && unasked.err.contains("--older 90d"), "{unasked:#?}");
}
