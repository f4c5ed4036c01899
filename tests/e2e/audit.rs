//! Who decided what: sealed while the gateway runs, verified, exported; and whatever is done to the store behind its back is found.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use agent::{Event, Seal, SealKeys, Thread};
use rusqlite::Connection;
use serde_json::{Value, json};
use testkit::redis_server::RedisServer;

use crate::world::{LOCAL, Ran, SCRIPTED, SOON, World, copy};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SEALED: &str = "[audit]\nevery = \"200ms\"\nkey_env = \"AUDIT_KEY\"\n";

fn world(more: &str) -> World {
    World::new(&format!("{LOCAL}{SCRIPTED}{SEALED}{more}")).env("AUDIT_KEY", KEY)
}

/// Somebody deploys: what they fill in does not fit, then they approve something else. It is sealed on the way and at the end.
///
/// It is done at the first gateway of several; whichever of them seals.
async fn deploys(worlds: &[World]) -> Thread {
    let world = &worlds[0];
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    let began = Instant::now();
    while !worlds.iter().any(|world| world.log().contains("sealed")) {
        assert!(began.elapsed() < SOON, "nothing was sealed:\n{}", world.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mars = json!({ "version": "v1.4", "environment": "mars" });
    page.fill(&talk, "fill-0000000000001", (&card, "edit"), &mars).await.unwrap();
    page.wait(&talk, "why not", |entry| entry["kind"] == "note" && entry.to_string().contains("mars")).await;
    let card = page.wait_card(&talk, "Approve: deploy").await;
    let staging = json!({ "version": "v1.3", "environment": "staging" });
    page.fill(&talk, "fill-0000000000002", (&card, "edit"), &staging).await.unwrap();
    page.wait_said(&talk, "v1.3 runs in staging").await;
    // A card, why not, what became of the card, and an answer.
    let sent = |thread: &Thread| {
        let sent = |event: &Event| matches!(event, Event::Delivered { .. });
        thread.records().iter().filter(|record| sent(&record.event)).count() >= 4
    };
    world
        .until("the end of it", |threads| threads.iter().all(|thread| thread.is_idle() && sent(thread)))
        .await;
    world.threads().await.remove(0)
}

fn place(thread: &Thread, wanted: impl Fn(&Event) -> bool) -> usize {
    thread.records().iter().position(|record| wanted(&record.event)).unwrap()
}

fn verify(world: &World) -> Ran {
    world.run(&["audit", "verify"])
}

/// Verified, something was found: all of these words stand in one line of it.
fn found(world: &World, what: &str, words: &[&str]) {
    let ran = verify(world);
    let named = ran.err.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(ran.code == Some(1) && named, "{what}: {words:?} in {ran:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_is_sealed_verified_and_exported() {
    let mut world = world("");
    world.start().await;
    let thread = deploys(std::slice::from_ref(&world)).await;
    // While the gateway works.
    let running = verify(&world);
    assert!(running.code == Some(0) && running.out.starts_with("good: 1 threads"), "{running:#?}");
    assert_eq!(world.stop().code(), Some(0));
    let good = verify(&world);
    assert!(
        good.code == Some(0) && good.out.contains("(0 of them in the archive) with 2 decisions"),
        "{good:#?}"
    );
    assert!(good.out.contains("\n0 events are not sealed yet\n"), "it is sealed at a stop: {good:#?}");

    let exported = world.run(&["audit", "export"]);
    let lines: Vec<Value> = exported.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [refused, answered] = &lines[..] else { panic!("{exported:#?}") };
    for (line, path, expected) in [
        (refused, "/outcome", json!("refused")),
        (refused, "/why", json!("unfit")),
        (answered, "/outcome", json!("answered")),
        (answered, "/thread", json!(thread.id())),
        (answered, "/kind", json!("approval")),
        (answered, "/tool", json!("deploy")),
        (answered, "/arguments/version", json!("v1.4")),
        (answered, "/changed/environment", json!({ "asked": "production", "approved": "staging" })),
        (answered, "/by/id", json!("you")),
        (answered, "/by/member", json!("you")),
        (answered, "/by/channel", json!("web")),
        (answered, "/how", json!("pressed")),
        (answered, "/from/channel", json!("web")),
    ] {
        assert_eq!(line.pointer(path), Some(&expected), "{path} of {line:#}");
    }
    assert!(answered["by"]["verified"]["proven"]["by"].is_string(), "{answered:#}");
    for line in &lines {
        assert!(
            ["shown", "chain"].iter().all(|name| line[name].as_str().is_some_and(|hash| hash.len() == 64))
        );
    }
    assert_eq!(refused["shown"], answered["shown"], "it was the same card");
    assert_eq!(world.run(&["audit", "export", "--since", "2020-01-31"]).out, exported.out);
    assert_eq!(world.run(&["audit", "export", "--since", "2999-01-31"]).out, "");
    let wrong = world.run(&["audit", "export", "--since", "yesterday"]);
    assert!(wrong.err.contains("neither a day"), "{wrong:#?}");
    // A seal's hash stands in the log, and nothing of the key in any of it.
    let hash = thread_seals(&Connection::open(database(&world)).unwrap()).pop().unwrap().hash;
    assert!(world.log().contains(&hash), "{}", world.log());
    assert!(!world.log().contains(KEY) && !exported.out.contains(KEY));
}

fn database(world: &World) -> PathBuf {
    world.folder.path().join("state/switchboard.db")
}

/// All seals, as they are kept in the file.
fn thread_seals(sql: &Connection) -> Vec<Seal> {
    let mut seals = Vec::new();
    while let Ok(bytes) =
        sql.query_row("SELECT bytes FROM value WHERE name = ?1", [name(seals.len() + 1)], |row| {
            row.get::<_, Vec<u8>>(0)
        })
    {
        seals.push(serde_json::from_slice(&bytes).unwrap());
    }
    seals
}

fn name(seal: usize) -> String {
    format!("audit:seal:{seal}")
}

/// What the owner of the file does to it.
fn do_to(sql: &Connection, deed: &str, thread: &Thread, seq: usize) {
    let script = deed
        .replace("$thread", &format!("'{}'", thread.id()))
        .replace("$seq", &seq.to_string())
        .replace("$last", &(thread.version().0 - 1).to_string());
    sql.execute_batch(&script).unwrap_or_else(|error| panic!("{script}: {error}"));
}

/// Makes room at a place, or closes a gap.
const UP: &str = "UPDATE event SET seq = -(seq + 1) WHERE thread = $thread AND seq >= $seq;
                  UPDATE event SET seq = -seq WHERE thread = $thread AND seq < 0;
                  UPDATE thread SET version = version + 1 WHERE id = $thread;";
const DOWN: &str = "UPDATE event SET seq = -(seq - 1) WHERE thread = $thread AND seq > $seq;
                    UPDATE event SET seq = -seq WHERE thread = $thread AND seq < 0;
                    UPDATE thread SET version = version - 1 WHERE id = $thread;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_the_file_is_found_and_named() {
    let mut world = world("");
    world.start().await;
    let thread = deploys(std::slice::from_ref(&world)).await;
    assert_eq!(world.stop().code(), Some(0));
    let id = thread.id().as_str().to_owned();
    let answered = place(&thread, |event| matches!(event, Event::Answered(_)));
    let last = thread.records().len() - 1;
    let backup = tempfile::tempdir().unwrap();
    copy(&world.folder.path().join("state"), backup.path());
    let state = world.folder.path().join("state");
    let restore = || {
        std::fs::remove_dir_all(&state).unwrap();
        copy(backup.path(), &state);
        Connection::open(database(&world)).unwrap()
    };

    let deeds: [(&str, String, usize, Vec<String>); 9] = [
        (
            "words are changed",
            "UPDATE event SET event = replace(event, 'v1.4', 'v1.2') WHERE thread = $thread AND seq = $seq;".into(),
            1,
            vec!["seal 1 of".into()],
        ),
        (
            "the one who approved is changed",
            "UPDATE event SET event = replace(event, '\"id\":\"you\"', '\"id\":\"eve\"') WHERE thread = $thread AND seq = $seq;"
                .into(),
            answered,
            vec!["seal ".into()],
        ),
        (
            "the time is changed",
            "UPDATE event SET at = '2020-01-01T00:00:00.000000000Z' WHERE thread = $thread AND seq = $seq;".into(),
            answered,
            vec!["seal ".into()],
        ),
        (
            "one is taken out",
            "DELETE FROM event WHERE thread = $thread AND seq = $seq;".into(),
            answered,
            vec![format!("has no event {answered}")],
        ),
        (
            "one is taken out and the gap closed",
            format!("DELETE FROM event WHERE thread = $thread AND seq = $seq; {DOWN}"),
            1,
            vec!["seal 1 of".into()],
        ),
        (
            "the last is taken away",
            "DELETE FROM event WHERE thread = $thread AND seq = $seq; UPDATE thread SET version = version - 1 WHERE id = $thread;"
                .into(),
            last,
            vec![format!("it has {last} events"), "seal ".into(), format!("after event {} is gone", last - 1)],
        ),
        (
            "one is added",
            format!(
                "{UP} INSERT INTO event SELECT thread, $seq, at, format, event FROM event WHERE thread = $thread AND seq = 0;"
            ),
            1,
            vec!["seal 1 of".into()],
        ),
        (
            "two change places",
            "UPDATE event SET seq = -1 WHERE thread = $thread AND seq = $seq;
             UPDATE event SET seq = $seq WHERE thread = $thread AND seq = $seq + 1;
             UPDATE event SET seq = $seq + 1 WHERE thread = $thread AND seq = -1;"
                .into(),
            1,
            vec!["seal 1 of".into()],
        ),
        (
            "a thread is taken away",
            "DELETE FROM outgoing WHERE thread = $thread; DELETE FROM event WHERE thread = $thread;
             DELETE FROM thread WHERE id = $thread;"
                .into(),
            0,
            vec!["it is gone".into(), "seal ".into()],
        ),
    ];
    for (what, deed, seq, words) in &deeds {
        do_to(&restore(), deed, &thread, *seq);
        let words: Vec<&str> = [id.as_str()].into_iter().chain(words.iter().map(String::as_str)).collect();
        found(&world, what, &words);
    }

    // What was decided is changed, and the chains and all seals are made anew to fit: that takes the key.
    let seals = thread_seals(&restore());
    let count = seals.len();
    assert!(count > 1, "{seals:#?}");
    for (what, keys, words) in [
        ("made anew without a key", SealKeys::default(), "no seal is signed"),
        (
            "made anew with another key",
            SealKeys::new([b"guessed".to_vec()]),
            "a signature that was not made with the key",
        ),
    ] {
        let sql = restore();
        let mut before = None;
        for seal in &seals {
            let Seal { seal: number, at, threads, .. } = seal.clone();
            let anew = Seal::new(number, at, before, threads, &keys);
            before = Some(anew.hash.clone());
            put(&sql, &format!("audit:seal:{number}"), &json!(anew));
        }
        put(&sql, "audit:tip", &json!({ "seal": count, "hash": before }));
        drop(sql);
        found(&world, what, &[words]);
    }
    let sql = restore();
    let mut one = seals[count - 1].clone();
    one.threads[0].chain = "0".repeat(64);
    let before = one.before.clone();
    put(&sql, &name(count), &json!(Seal::new(one.seal, one.at, before, one.threads, &SealKeys::default())));
    drop(sql);
    found(
        &world,
        "one seal made anew",
        &[&format!("seal {count} of"), "is not signed, and one before it is"],
    );
    for gone in [1, count] {
        restore().execute("DELETE FROM value WHERE name = ?1", [name(gone)]).unwrap();
        found(&world, "a seal is taken away", &[&format!("seal {gone} is missing")]);
    }
    let sql = restore();
    sql.execute("UPDATE value SET bytes = CAST(replace(bytes, '\"version\":', '\"version\":1') AS BLOB) WHERE name = ?1", [name(1)])
        .unwrap();
    drop(sql);
    found(&world, "a seal is changed", &["seal 1 of", "was changed"]);
    drop(restore());
    assert_eq!(verify(&world).code, Some(0), "as it was");
}

fn put(sql: &Connection, name: &str, value: &Value) {
    let bytes = value.to_string().into_bytes();
    assert_eq!(
        sql.execute("UPDATE value SET bytes = ?2 WHERE name = ?1", (name, bytes)).unwrap(),
        1,
        "{name}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_redis_is_found_and_named() {
    let redis = RedisServer::start(&[]);
    let mut worlds = [(); 2].map(|()| world("").on(&redis.url()));
    for world in &mut worlds {
        world.start().await;
    }
    // Both of them seal, whoever is first.
    let thread = deploys(&worlds).await;
    for world in &mut worlds {
        assert_eq!(world.stop().code(), Some(0));
    }
    let world = &worlds[0];
    let good = verify(world);
    assert!(good.code == Some(0) && good.out.contains("\n0 events are not sealed yet"), "{good:#?}");
    assert_eq!(world.run(&["audit", "export"]).out.lines().count(), 2);

    let id = thread.id().as_str();
    let log = format!("{{switchboard}}:log:{id}");
    let seal = |n: usize| format!("{{switchboard}}:value:audit:seal:{n}");
    let eval = |script: &str| {
        let answer = redis.say(&["EVAL", script, "0"]);
        assert!(!answer.starts_with('-'), "{script}: {answer}");
    };
    let first_seal = seal(1);
    for (what, key, deed, words) in [
        (
            "words are changed",
            &log,
            format!(
                "redis.call('LSET', '{log}', 1, (redis.call('LINDEX', '{log}', 1):gsub('v1%.4', 'v1.2')))"
            ),
            vec![id, "seal 1 of"],
        ),
        (
            "one is taken out",
            &log,
            format!("redis.call('LSET', '{log}', 1, 'x') redis.call('LREM', '{log}', 1, 'x')"),
            vec![id, "seal 1 of"],
        ),
        (
            "one is added",
            &log,
            format!(
                "redis.call('LINSERT', '{log}', 'BEFORE', redis.call('LINDEX', '{log}', 1), redis.call('LINDEX', '{log}', 0))"
            ),
            vec![id, "seal 1 of"],
        ),
        (
            "two change places",
            &log,
            format!(
                "local a, b = redis.call('LINDEX', '{log}', 1), redis.call('LINDEX', '{log}', 2)
                 redis.call('LSET', '{log}', 1, b) redis.call('LSET', '{log}', 2, a)"
            ),
            vec![id, "seal 1 of"],
        ),
        ("the last is taken away", &log, format!("redis.call('RPOP', '{log}')"), vec![id, "is gone"]),
        ("all of it is taken away", &log, format!("redis.call('DEL', '{log}')"), vec![id, "it is gone"]),
        (
            "a seal is taken away",
            &first_seal,
            format!("redis.call('DEL', '{first_seal}')"),
            vec!["seal 1 is missing"],
        ),
        (
            "a seal is changed",
            &first_seal,
            format!(
                "redis.call('SET', '{first_seal}', (redis.call('GET', '{first_seal}'):gsub('\"version\":', '\"version\":1')))"
            ),
            vec!["seal 1 of", "was changed"],
        ),
    ] {
        eval(&format!("redis.call('COPY', '{key}', '{{switchboard}}:backup', 'REPLACE')"));
        eval(&deed);
        found(world, what, &words);
        eval(&format!("redis.call('COPY', '{{switchboard}}:backup', '{key}', 'REPLACE')"));
    }
    assert_eq!(verify(world).code, Some(0), "as it was");
}

/// What left for the archive is verified and exported as what stayed; and found when it is not there any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_for_the_archive_is_verified_and_exported() {
    let mut world = world("[retention]\nafter = \"1s\"\n[runtime]\nrenew_after = \"1s\"\n");
    world.start().await;
    let thread = deploys(std::slice::from_ref(&world)).await;
    assert_eq!(world.stop().code(), Some(0));
    let before = world.run(&["audit", "export"]).out;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let swept = world.run(&["threads", "archive"]);
    assert!(swept.out.starts_with("1 left the store"), "{swept:#?}");
    let good = verify(&world);
    assert!(
        good.code == Some(0) && good.out.starts_with("good: 1 threads (1 of them in the archive) with 2"),
        "{good:#?}"
    );
    assert_eq!(world.run(&["audit", "export"]).out, before);
    std::fs::remove_dir_all(world.folder.path().join("state/archive")).unwrap();
    found(
        &world,
        "the archive is gone",
        &[thread.id().as_str(), "it is gone, from the store and from the archive"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_not_there_or_too_short_is_told_at_the_start() {
    let unset = World::new(&format!("{LOCAL}{SCRIPTED}{SEALED}")).run(&["check"]);
    assert!(unset.code == Some(1) && unset.err.contains("audit.key_env"), "{unset:#?}");
    assert!(unset.err.contains("openssl rand -hex 32"), "{unset:#?}");
    let short = World::new(&format!("{LOCAL}{SCRIPTED}{SEALED}")).env("AUDIT_KEY", "short").run(&["check"]);
    assert!(short.code == Some(1) && short.err.contains("shorter than 32"), "{short:#?}");
    assert!(!short.err.contains("short\n") && !short.err.contains("`short`"), "{short:#?}");
}
