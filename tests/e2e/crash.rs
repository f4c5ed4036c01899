//! The process is stopped at every write of a scenario, just before it and just after it, and started again.
//!
//! Whatever the instant: every message is heard once, one card is shown, a tool that must not be repeated runs at most
//! once, and one answer is shown. Where nobody can know whether the tool ran, a human is asked.

use std::{collections::BTreeSet, path::Path, time::Duration};

use agent::{Event, Phase, Thread};
use futures_util::StreamExt;

use serde_json::json;
use simulator::{
    discord,
    slack::{Click, Message},
};

use crate::world::{
    ANA as ANA_ON_SLACK, Entry, LOCAL, Mailroom, Page, SCRIPTED, SOON, Workspace, World,
    discord::{ANA, Guild},
    is_open_card, letter,
};

/// Where a write is cut.
const SIDES: [&str; 2] = ["before", "after"];
/// More writes than any scenario here makes.
const WRITES_MAX: usize = 200;
/// How many scenarios run at the same time.
const ABREAST: usize = 4;

/// What a run of a scenario ended with.
struct Run {
    point: String,
    /// Whether the gateway was stopped at all: the scenario has that many writes.
    crashed: bool,
    unknown: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_write_of_a_deployment_at_the_page() {
    stopped_everywhere("at the page", &every_point(deployment).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_write_of_an_answer_by_mail() {
    let runs = every_point(answer_by_mail).await;
    let crashed = runs.iter().filter(|run| run.crashed).count();
    eprintln!("stopped at {crashed} points of an answer by mail");
    assert!(crashed >= 10, "the scenario has hardly any writes: {crashed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_write_of_a_deployment_on_slack() {
    stopped_everywhere("on Slack", &every_point(deployment_on_slack).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_write_of_a_deployment_on_discord() {
    stopped_everywhere("on Discord", &every_point(deployment_on_discord).await);
}

/// The answer to each request that shows something is lost after Discord acted, one request after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_lost_answer_of_discord() {
    for method in [
        "POST /channels/{channel}/messages",
        "PATCH /channels/{channel}/messages/{message}",
        "POST /channels/{channel}/messages/{message}/threads",
        "GET /channels/{channel}/messages",
    ] {
        for after in 0..2 {
            let guild = Guild::open().await;
            guild.control.fault(method, json!("drop_response"), 1, after).await.unwrap();
            let mut world = guild.world("");
            world.start().await;
            guild.connected(&world).await;
            let (shown, _) = deploys_on_discord(&guild, &mut world, &mut false).await;
            let story = format!("{method}, answer {after} lost: {shown:#?}\n{}", world.log());
            assert_eq!(shown.len(), 2, "{story}");
        }
    }
}

/// The answer to each call that shows something is lost after Slack acted, one call after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_lost_answer_of_slack() {
    for method in ["chat.postMessage", "chat.update", "conversations.replies"] {
        for after in 0..3 {
            let slack = Workspace::open().await;
            slack.control.fault(method, json!("drop_response"), 1, after).await.unwrap();
            let mut world = slack.world("");
            world.start().await;
            let (shown, _) = deploys(&slack, &mut world, &mut false).await;
            let story = format!("{method}, answer {after} lost: {shown:#?}\n{}", world.log());
            assert_eq!(shown.len(), 2, "{story}");
        }
    }
}

/// Says at how many points a deployment was stopped, and wants them to be all there are, the doubtful one in the middle too.
fn stopped_everywhere(place: &str, runs: &[Run]) {
    let crashed = runs.iter().filter(|run| run.crashed).count();
    let unknown: Vec<_> = runs.iter().filter(|run| run.unknown).map(|run| run.point.as_str()).collect();
    eprintln!(
        "stopped at {crashed} points of a deployment {place}; at {unknown:?} a human was asked whether it had run"
    );
    assert!(crashed >= 20, "the scenario has hardly any writes: {crashed}");
    assert!(!unknown.is_empty(), "no point fell between the start of the tool and its end");
}

/// Runs a scenario for each point, a few abreast, until a point lies behind its last write.
async fn every_point(scenario: impl AsyncFn(String) -> Run) -> Vec<Run> {
    let points = (1..WRITES_MAX).flat_map(|write| SIDES.map(|side| format!("{side}:{write}")));
    let mut running =
        futures_util::stream::iter(points).map(|point| scenario(point)).buffer_unordered(ABREAST);
    let mut runs: Vec<Run> = Vec::new();
    while let Some(run) = running.next().await {
        let last = !run.crashed;
        runs.push(run);
        if last {
            break;
        }
    }
    runs
}

/// Does something until it works, starting the gateway again whenever it ended.
async fn insist<T, E: std::fmt::Debug>(
    world: &mut World,
    crashed: &mut bool,
    mut act: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let began = std::time::Instant::now();
    loop {
        if world.ended().is_some() {
            *crashed = true;
            world.launch(None);
            world.ready().await;
        }
        match act().await {
            Ok(done) => return done,
            Err(error) => assert!(began.elapsed() < SOON, "it never worked: {error:?}\n{}", world.log()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts the gateway with a point to stop at; that may lie in its start already.
async fn begin(world: &mut World, point: &str, crashed: &mut bool) {
    world.launch(Some(point));
    if !world.try_ready().await {
        *crashed = true;
        world.launch(None);
        world.ready().await;
    }
}

async fn find(page: &Page, talk: &str, wanted: impl Fn(&Entry) -> bool) -> Result<Entry, String> {
    let entries = page.entries(talk).await?;
    entries.iter().find(|entry| wanted(entry)).cloned().ok_or_else(|| format!("not shown yet: {entries:#?}"))
}

async fn deployment(point: String) -> Run {
    let mut world = World::new(&format!("{LOCAL}{SCRIPTED}"));
    let store = world.folder.path().join("state/switchboard.db");
    let mut crashed = false;
    begin(&mut world, &point, &mut crashed).await;
    let page = world.page();
    let talk = insist(&mut world, &mut crashed, async || page.try_open().await).await;
    insist(&mut world, &mut crashed, async || {
        page.say(&talk, "message-000000001", "deploy v1.4 to production").await
    })
    .await;
    let asked = |entry: &Entry| entry["kind"] == "card" && entry["title"] == "Approve: deploy";
    let card = insist(&mut world, &mut crashed, async || find(&page, &talk, asked).await).await;
    insist(&mut world, &mut crashed, async || page.press(&talk, "click-00000000001", &card, "approve").await)
        .await;

    // Either the answer comes, or nobody can know whether it ran and the person is asked.
    let said = |entry: &Entry| entry["kind"] == "said";
    let doubt = |entry: &Entry| {
        is_open_card(entry) && entry["title"].as_str().is_some_and(|t| t.starts_with("Did it"))
    };
    let next =
        insist(&mut world, &mut crashed, async || find(&page, &talk, |e| said(e) || doubt(e)).await).await;
    let unknown = doubt(&next);
    if unknown {
        insist(&mut world, &mut crashed, async || {
            page.press(&talk, "click-00000000002", &next, "option-1").await
        })
        .await;
        insist(&mut world, &mut crashed, async || find(&page, &talk, said).await).await;
    }
    // Everything that was to be sent has been sent, and the thread rests.
    insist(&mut world, &mut crashed, async || settled(&threads_in(&store).await)).await;

    let threads = world.threads().await;
    let count = |like: fn(&Event) -> bool| events(&threads).filter(|event| like(event)).count();
    let story = || format!("stopped at {point}; the log:\n{:#?}\n{}", threads, world.log());
    assert_eq!(threads.len(), 1, "{}", story());
    assert_eq!(count(|event| matches!(event, Event::Heard(_))), 1, "{}", story());
    assert_eq!(count(|event| matches!(event, Event::Started(_))), 1, "{}", story());
    assert_eq!(count(|event| matches!(event, Event::Asked(_))), 1 + usize::from(unknown), "{}", story());
    assert_eq!(count(|event| matches!(event, Event::Answered(_))), 1 + usize::from(unknown), "{}", story());
    let runs = world.kept("deploy").iter().filter(|(_, text)| text.contains("v1.4")).count();
    assert!(runs <= 1, "it ran {runs} times; {}", story());
    assert!(unknown || runs == 1, "it did not run; {}", story());

    // The very last write is behind all of that, and may stop the process yet.
    let shown = insist(&mut world, &mut crashed, async || page.entries(&talk).await).await;
    let shows = |kind: &str| shown.iter().filter(|entry| entry["kind"] == kind).count();
    assert_eq!(shows("heard"), 1, "{shown:#?}");
    assert_eq!(shows("card"), 1 + usize::from(unknown), "{shown:#?}");
    assert_eq!(shows("said"), 1, "{shown:#?}");
    assert!(!shown.iter().any(is_open_card), "a card stays open: {shown:#?}");
    Run { point, crashed, unknown }
}

/// Ana deploys by mentioning the bot, and approves on the card; what everybody sees in the thread at the end.
async fn deploys(slack: &Workspace, world: &mut World, crashed: &mut bool) -> (Vec<Message>, bool) {
    let store = world.folder.path().join("state/switchboard.db");
    let thread = slack.mentions(ANA_ON_SLACK, "deploy v1.4 to production").await;
    let said = async |wanted: &str| {
        let said = slack.said(&thread).await;
        said.iter().find(|message| message.words().contains(wanted)).cloned().ok_or(format!("{said:#?}"))
    };
    let card = insist(world, crashed, async || said("Approve: deploy").await).await;
    // Slack does not bring a press again; a person whose press came to nothing presses once more.
    let decided = async |card: &Message, button: &str| {
        let now = slack.said(&thread).await;
        let open =
            now.iter().find(|message| message.ts == card.ts).is_some_and(|card| !card.elements().is_empty());
        if open {
            slack
                .control
                .click(&Click::on(ANA_ON_SLACK, card, button))
                .await
                .map_err(|error| error.to_string())?;
            tokio::time::sleep(Duration::from_millis(400)).await;
            return Err("it is still open".to_owned());
        }
        Ok(())
    };
    insist(world, crashed, async || decided(&card, "press:approve").await).await;
    let next = insist(world, crashed, async || {
        let (ran, doubt) = (said("v1.4 runs").await, said("Did it happen?").await);
        ran.map(|_| None).or(doubt.map(Some))
    })
    .await;
    let unknown = next.is_some();
    if let Some(doubt) = next {
        insist(world, crashed, async || decided(&doubt, "press:option-1").await).await;
    }
    insist(world, crashed, async || settled(&threads_in(&store).await)).await;
    // What was shown twice would be shown by now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    (slack.said(&thread).await, unknown)
}

async fn deployment_on_slack(point: String) -> Run {
    let slack = Workspace::open().await;
    let mut world = slack.world("");
    let mut crashed = false;
    begin(&mut world, &point, &mut crashed).await;
    let (shown, unknown) = deploys(&slack, &mut world, &mut crashed).await;
    let shown: Vec<_> = shown.iter().map(|message| (message.words(), message.elements().len())).collect();
    deployed_once(world, Run { point, crashed, unknown }, &shown).await
}

/// However often it was stopped, everything happened once; `shown`: the words of each message in the thread, and its buttons.
async fn deployed_once(mut world: World, mut run: Run, shown: &[(String, usize)]) -> Run {
    if world.ended().is_some() {
        run.crashed = true;
        world.start().await;
    }
    let threads = world.threads().await;
    let again = usize::from(run.unknown);
    let count = |like: fn(&Event) -> bool| events(&threads).filter(|event| like(event)).count();
    let story =
        || format!("stopped at {}; shown {shown:#?}; the log:\n{threads:#?}\n{}", run.point, world.log());
    assert_eq!(threads.len(), 1, "{}", story());
    assert_eq!(count(|event| matches!(event, Event::Heard(_))), 1, "{}", story());
    assert_eq!(count(|event| matches!(event, Event::Started(_))), 1, "{}", story());
    assert_eq!(count(|event| matches!(event, Event::Asked(_))), 1 + again, "{}", story());
    assert_eq!(count(|event| matches!(event, Event::Answered(_))), 1 + again, "{}", story());
    let runs = world.kept("deploy").iter().filter(|(_, text)| text.contains("v1.4")).count();
    assert!(runs <= 1 && (run.unknown || runs == 1), "it ran {runs} times; {}", story());
    // A card, an answer, and a card more where nobody could know whether it had run.
    assert_eq!(shown.len(), 2 + again, "{}", story());
    assert!(shown.iter().all(|(_, buttons)| *buttons == 0), "a card stays open; {}", story());
    run
}

/// Ana deploys by mentioning the bot, and approves on the card; what everybody sees in the thread at the end.
async fn deploys_on_discord(
    guild: &Guild,
    world: &mut World,
    crashed: &mut bool,
) -> (Vec<discord::Message>, bool) {
    let store = world.folder.path().join("state/switchboard.db");
    let thread = guild.mentions(ANA, "deploy v1.4 to production").await;
    let said = async |wanted: &str| {
        let said = guild.said(&thread).await;
        said.iter().find(|message| message.words().contains(wanted)).cloned().ok_or(format!("{said:#?}"))
    };
    let card = insist(world, crashed, async || said("Approve: deploy").await).await;
    // A press that came to nothing is shown as failed, and the person presses once more.
    let decided = async |card: &discord::Message, choice: usize| {
        let now = guild.said(&thread).await;
        let now = now.iter().find(|message| message.id == card.id).cloned();
        let id = now.and_then(|now| Some(now.elements().get(choice)?["custom_id"].as_str()?.to_owned()));
        let Some(id) = id else { return Ok(()) };
        let press = discord::Click::on(ANA, card, &id);
        guild.control.click(&press).await.map_err(|error| error.to_string())?;
        tokio::time::sleep(Duration::from_millis(400)).await;
        Err("it is still open".to_owned())
    };
    insist(world, crashed, async || decided(&card, 0).await).await;
    let next = insist(world, crashed, async || {
        let (ran, doubt) = (said("v1.4 runs").await, said("Did it happen?").await);
        ran.map(|_| None).or(doubt.map(Some))
    })
    .await;
    let unknown = next.is_some();
    if let Some(doubt) = next {
        insist(world, crashed, async || decided(&doubt, 0).await).await;
    }
    insist(world, crashed, async || settled(&threads_in(&store).await)).await;
    // What was shown twice would be shown by now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    (guild.said(&thread).await, unknown)
}

async fn deployment_on_discord(point: String) -> Run {
    let guild = Guild::open().await;
    let mut world = guild.world("");
    let mut crashed = false;
    begin(&mut world, &point, &mut crashed).await;
    // Nobody writes before the bot is there.
    insist(&mut world, &mut crashed, async || {
        let sessions = guild.control.sessions().await.unwrap();
        sessions.iter().any(|session| session.socket.is_some()).then_some(()).ok_or("it is not connected")
    })
    .await;
    let (shown, unknown) = deploys_on_discord(&guild, &mut world, &mut crashed).await;
    let shown: Vec<_> = shown.iter().map(|message| (message.words(), message.elements().len())).collect();
    deployed_once(world, Run { point, crashed, unknown }, &shown).await
}

async fn answer_by_mail(point: String) -> Run {
    let mail = Mailroom::open().await;
    let mut world = World::new(&format!("{}{SCRIPTED}", mail.config())).env("BOT_PASSWORD", "botpw");
    let store = world.folder.path().join("state/switchboard.db");
    let mut crashed = false;
    begin(&mut world, &point, &mut crashed).await;
    let from = "Cara <cara@mail.test>";
    let text = letter(from, "bot@mail.test", "Order", "<q1@cara.test>", "", "Where is my order 1001?");
    mail.write("cara", "bot@mail.test", &text).await;
    insist(&mut world, &mut crashed, async || mail.inbox("cara").first().map(|_| ()).ok_or("no answer yet"))
        .await;
    insist(&mut world, &mut crashed, async || settled(&threads_in(&store).await)).await;
    // The flag on the server comes after the cursor; a point there still stops the process.
    tokio::time::sleep(Duration::from_millis(300)).await;
    if world.ended().is_some() {
        crashed = true;
        world.start().await;
    }

    let threads = world.threads().await;
    let count = |like: fn(&Event) -> bool| events(&threads).filter(|event| like(event)).count();
    let story = || format!("stopped at {point}; the log:\n{:#?}\n{}", threads, world.log());
    assert_eq!(threads.len(), 1, "{}", story());
    assert_eq!(count(|event| matches!(event, Event::Heard(_))), 1, "{}", story());
    assert_eq!(count(|event| matches!(event, Event::Said(_))), 1, "{}", story());
    // SMTP cannot say whether a mail was taken when the process dies before the answer is written down. Then it is
    // sent again, byte for byte, under the same Message-ID, which mail programs show once.
    let got = mail.inbox("cara");
    let names: BTreeSet<_> = got.iter().map(|letter| letter.header("Message-ID")).collect();
    assert_eq!(names.len(), 1, "{}", story());
    assert!(got.len() <= 2, "{}", story());
    let bodies: BTreeSet<_> = got.iter().map(|letter| letter.text()).collect();
    assert_eq!(bodies.len(), 1, "{}", story());
    Run { point, crashed, unknown: false }
}

fn events(threads: &[Thread]) -> impl Iterator<Item = &Event> {
    threads.iter().flat_map(Thread::records).map(|record| &record.event)
}

/// Whether every request is over and every message arrived.
fn settled(threads: &[Thread]) -> Result<(), String> {
    let over = !threads.is_empty() && threads.iter().all(|thread| thread.phase() == Phase::Finished);
    let said = events(threads).filter(|event| matches!(event, Event::Said(_))).count();
    let arrived = events(threads).filter(|event| matches!(event, Event::Delivered { .. })).count();
    if over && arrived >= said { Ok(()) } else { Err(format!("{arrived} of {said} arrived, over: {over}")) }
}

async fn threads_in(path: &Path) -> Vec<Thread> {
    use store::{Embedded, Store};
    let Ok(store) = Embedded::read_only(path) else {
        return Vec::new();
    };
    let mut threads = Vec::new();
    for summary in store.threads(0, 100).await.unwrap_or_default() {
        let records = store.load(&summary.thread, agent::Version(0)).await.unwrap_or_default();
        threads.push(Thread::fold(summary.thread, records));
    }
    threads
}
