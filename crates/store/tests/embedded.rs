//! What the embedded store does beyond the laws: its file, its lock, its readers, and what a crash leaves.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests panic, and a started process speaks to the test that started it"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agent::{Event, Home, Record, ThreadId, Version};
use channel::{Address, ChannelName, Content, DeliveryKey, InboundKey, Outgoing, Place, Text, Timestamp};
use rusqlite::Connection;
use store::{Again, Batch, Claim, Clock, Embedded, Error, SentQuery, Store, SystemClock, Wanted, Work};
use tempfile::TempDir;
use testkit::ManualClock;

/// Set for the process that a test starts to hold, or fill, a store.
const ROLE: &str = "SWITCHBOARD_TEST_STORE_ROLE";
const PATH: &str = "SWITCHBOARD_TEST_STORE_PATH";
const FAR: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let (_folder, path) = place();
    let clock = ManualClock::default();
    let store = Embedded::open(&path, Arc::new(clock.clone())).unwrap();
    let batch = Batch {
        records: vec![event("one"), event("two")],
        keys: vec![InboundKey::new("mail:k")],
        outgoing: vec![message("a", 1)],
        wake: true,
        ..Batch::new(thread("a"))
    };
    store.commit(batch).await.unwrap();
    store.put("cursor", b"17").await.unwrap();
    let (records, list, sent) = picture(&store).await;
    drop(store);

    let store = Embedded::open(&path, Arc::new(clock)).unwrap();
    assert_eq!(picture(&store).await, (records, list, sent));
    assert_eq!(store.get("cursor").await.unwrap().as_deref(), Some(&b"17"[..]));
    let again = Batch { keys: vec![InboundKey::new("mail:k")], ..Batch::new(thread("b")) };
    assert!(matches!(store.commit(again).await, Err(Error::Duplicate { .. })));
    assert_eq!(store.claim(claim(Wanted::Turns)).await.unwrap().len(), 1);
    assert_eq!(store.claim(claim(Wanted::Sends(ChannelName::new("mail")))).await.unwrap().len(), 1);
}

/// Nobody can hold a lease when the file's lock was free: work goes on at once, and not when the leases expire.
#[tokio::test]
async fn work_of_a_dead_process_is_due_at_once() {
    let (_folder, path) = place();
    let store = Embedded::open(&path, Arc::new(SystemClock)).unwrap();
    store
        .commit(Batch { outgoing: vec![message("a", 1)], wake: true, ..Batch::new(thread("a")) })
        .await
        .unwrap();
    let turn = store.claim(claim(Wanted::Turns)).await.unwrap().remove(0);
    let send = store.claim(claim(Wanted::Sends(ChannelName::new("mail")))).await.unwrap().remove(0);
    drop(store);

    let store = Embedded::open(&path, Arc::new(SystemClock)).unwrap();
    let fenced = Batch { fence: Some(lease(&turn)), ..Batch::new(thread("a")) };
    assert!(matches!(store.commit(fenced).await, Err(Error::Fenced { .. })));
    let turn_again = store.claim(claim(Wanted::Turns)).await.unwrap().remove(0);
    assert!(lease(&turn_again).epoch > lease(&turn).epoch);
    let send_again = store.claim(claim(Wanted::Sends(ChannelName::new("mail")))).await.unwrap().remove(0);
    assert!(lease(&send_again).epoch > lease(&send).epoch);
    match send_again {
        Work::Send { attempt, .. } => assert_eq!(attempt, 2, "the first may have reached the platform"),
        Work::Turn { .. } => panic!("a turn"),
    }
}

#[tokio::test]
async fn a_second_opening_is_refused_while_the_first_lives() {
    let (_folder, path) = place();
    let first = open(&path);
    let refusal = Embedded::open(&path, Arc::new(SystemClock)).expect_err("it is in use");
    assert!(matches!(refusal, Error::InUse { .. }));
    let text = refusal.to_string();
    assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
    assert!(text.contains("store.db"), "{text}");
    drop(first);
    open(&path);
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_is_dead() {
    let (_folder, path) = place();
    let mut holder = Role::start("hold", &path);
    assert_eq!(holder.line().as_deref(), Some("open"));
    let refusal = Embedded::open(&path, Arc::new(SystemClock)).expect_err("it is in use").to_string();
    assert!(refusal.contains(&format!("(pid {})", holder.0.id())), "{refusal}");
    assert!(open_for_reading(&path).threads(0, 1).await.unwrap().len() == 1, "reading is allowed");
    drop(holder);
    open(&path);
}

#[tokio::test]
async fn a_kill_between_any_two_moments_loses_nothing_acknowledged() {
    let (_folder, path) = place();
    let mut acknowledged = 0;
    for round in 0..4_u64 {
        let mut filler = Role::start("fill", &path);
        let mut highest = std::collections::BTreeMap::new();
        let stop_after = 40 + round * 37;
        let mut lines = 0;
        while let Some(line) = filler.line() {
            let (name, version) = line.split_once(' ').expect("a name and a version");
            highest.insert(name.to_owned(), version.parse::<u64>().unwrap());
            lines += 1;
            if lines == stop_after {
                filler.kill();
            }
        }
        assert!(lines >= stop_after, "the filler ended by itself after {lines} lines");
        acknowledged += lines;
        // A reader must manage with what the crash left, before any writer has tidied up.
        let reader = open_for_reading(&path);
        check(&reader, &highest, acknowledged).await;
        drop(reader);
        check(&open(&path), &highest, acknowledged).await;
    }
}

#[tokio::test]
async fn a_reader_sees_what_a_writer_commits_and_writes_nothing() {
    let (_folder, path) = place();
    let refusal = Embedded::read_only(&path).expect_err("no file").to_string();
    assert!(refusal.contains("there is no store at"), "{refusal}");
    assert!(!path.exists(), "looking made a file");

    let writer = open(&path);
    let reader = open_for_reading(&path);
    assert_eq!(reader.threads(0, 10).await.unwrap(), []);
    for n in 1..=3 {
        writer
            .commit(Batch { records: vec![event("one")], wake: true, ..Batch::new(thread("a")) })
            .await
            .unwrap();
        assert_eq!(reader.load(&thread("a"), Version(0)).await.unwrap().len(), n);
    }
    let turn = writer.claim(claim(Wanted::Turns)).await.unwrap().remove(0);
    let refusals = [
        reader.commit(Batch::new(thread("a"))).await.map(|_| ()),
        reader.claim(claim(Wanted::Turns)).await.map(|_| ()),
        reader.renew(&lease(&turn), FAR).await,
        reader.release(&lease(&turn), Again::Sleep { seen: Version(0), until: None }).await,
        reader.retire(&thread("a"), Version(3), &[]).await,
        reader.put("cursor", b"1").await,
        reader.hold("listen", "a", FAR).await.map(|_| ()),
        reader.let_go("listen", "a").await,
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("it writes");
        assert!(matches!(refusal, Error::Refused { .. }));
        assert!(refusal.to_string().contains("opened for reading only"), "{refusal}");
    }
    drop(writer);
    assert_eq!(reader.load(&thread("a"), Version(0)).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_and_left_as_it_is() {
    let (folder, path) = place();
    fs::write(&path, "Dear diary,\n".repeat(1000)).unwrap();
    refuse_and_keep(&path, "is not a SQLite file");

    fs::write(&path, "short").unwrap();
    refuse_and_keep(&path, "is not a SQLite file");

    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE bookmark (url TEXT)").unwrap();
    refuse_and_keep(&other, "belongs to another program");

    let newer = folder.path().join("newer.db");
    drop(open(&newer));
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    refuse_and_keep(&newer, "was written by a newer build (schema 99");

    let empty = folder.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    let refusal = Embedded::read_only(&empty).expect_err("no tables").to_string();
    assert!(refusal.contains("start the gateway once"), "{refusal}");
    open(&empty);
}

/// A file of the first schema, as the builds before rights wrote it.
#[tokio::test]
async fn a_file_of_an_older_build_is_brought_up_and_keeps_what_it_has() {
    let (_folder, path) = place();
    let store = open(&path);
    store.commit(Batch { records: vec![event("one")], ..Batch::new(thread("a")) }).await.unwrap();
    drop(store);
    let older = "DROP TABLE retired; DROP INDEX outgoing_thread; DROP TABLE holding; DROP INDEX thread_buried; ALTER TABLE thread DROP COLUMN attempts;
                 ALTER TABLE thread DROP COLUMN buried; PRAGMA user_version = 1;";
    Connection::open(&path).unwrap().execute_batch(older).unwrap();
    let refusal = Embedded::read_only(&path).expect_err("it is older").to_string();
    assert!(refusal.contains("start the gateway once"), "{refusal}");

    let store = open(&path);
    assert_eq!(store.load(&thread("a"), Version(0)).await.unwrap().len(), 1);
    assert!(store.hold("listen", "a", FAR).await.unwrap());
    assert!(open_for_reading(&path).get("nothing").await.unwrap().is_none());
}

/// Whoever held a right in a process that ended cannot go on with it: nobody waits for them.
#[tokio::test]
async fn a_right_of_a_dead_process_is_free_at_once() {
    let (_folder, path) = place();
    let store = open(&path);
    assert!(store.hold("listen", "the first", FAR).await.unwrap());
    drop(store);
    let store = open(&path);
    assert!(store.hold("listen", "the second", FAR).await.unwrap());
    assert!(!store.hold("listen", "the first", FAR).await.unwrap());
}

#[tokio::test]
async fn a_damaged_file_is_told_and_panics_nobody() {
    let (_folder, path) = place();
    let store = open(&path);
    for n in 0..200 {
        let text = format!("{n} {}", "x".repeat(2_000));
        store.commit(Batch { records: vec![event(&text)], ..Batch::new(thread("a")) }).await.unwrap();
    }
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let from = bytes.len() / 4;
    let to = bytes.len() * 3 / 4;
    bytes[from..to].fill(0xA5);
    fs::write(&path, &bytes).unwrap();

    let told = match Embedded::open(&path, Arc::new(SystemClock)) {
        Ok(store) => store.load(&thread("a"), Version(0)).await.map(|_| ()).expect_err("it is damaged"),
        Err(error) => error,
    };
    assert!(matches!(told, Error::Away { .. }), "{told:?}");
    assert!(told.to_string().contains("restore it from a backup"), "{told}");
}

#[tokio::test]
async fn an_event_of_a_later_build_stops_its_thread_only() {
    let (_folder, path) = place();
    let store = open(&path);
    for name in ["a", "b"] {
        let records = vec![event("one"), event("two"), event("three")];
        let batch = Batch { records, outgoing: vec![message(name, 1)], ..Batch::new(thread(name)) };
        store.commit(batch).await.unwrap();
    }
    let meddler = Connection::open(&path).unwrap();
    let later = r#"{"event":"teleported","to":"the moon"}"#;
    let change = "UPDATE event SET event = ?2 WHERE thread = ?1 AND seq = 1";
    meddler.execute(change, [thread("a").as_str(), later]).unwrap();
    match store.load(&thread("a"), Version(0)).await {
        Err(Error::Unreadable { thread: t, seq: 1, why }) => {
            assert_eq!(t, thread("a"));
            assert!(why.contains("teleported"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.load(&thread("b"), Version(0)).await.unwrap().len(), 3);
    assert_eq!(store.load(&thread("a"), Version(2)).await.unwrap().len(), 1);

    // A message that cannot be read is put off; others go.
    meddler.execute("UPDATE outgoing SET outgoing = '{}' WHERE thread = ?1", [thread("a").as_str()]).unwrap();
    let work = store.claim(claim(Wanted::Sends(ChannelName::new("mail")))).await.unwrap();
    assert_eq!(work.len(), 1);
    assert!(matches!(&work[0], Work::Send { thread: t, .. } if *t == thread("b")));
    assert!(matches!(store.sent(SentQuery::Waiting).await, Err(Error::Unreadable { .. })));

    meddler.execute("DELETE FROM event WHERE thread = ?1 AND seq = 1", [thread("b").as_str()]).unwrap();
    let gap = store.load(&thread("b"), Version(0)).await.expect_err("an event is gone");
    assert!(matches!(gap, Error::Away { .. }), "{gap:?}");
}

#[tokio::test]
async fn a_panic_inside_answers_everybody_and_passes() {
    struct Bomb(AtomicBool);
    impl Clock for Bomb {
        fn now(&self) -> Timestamp {
            assert!(!self.0.swap(false, Ordering::SeqCst), "tick, tick");
            Timestamp::now()
        }
    }
    let (_folder, path) = place();
    let bomb = Arc::new(Bomb(AtomicBool::new(false)));
    let store = Embedded::open(&path, Arc::clone(&bomb) as Arc<dyn Clock>).unwrap();
    let one = || Batch { records: vec![event("one")], ..Batch::new(thread("a")) };
    store.commit(one()).await.unwrap();
    bomb.0.store(true, Ordering::SeqCst);
    let told = tokio::time::timeout(Duration::from_secs(20), store.commit(one())).await.expect("it hangs");
    assert!(matches!(told, Err(Error::Away { .. })), "{told:?}");
    assert_eq!(store.commit(one()).await.unwrap(), Version(2));
    assert!(matches!(Embedded::open(&path, Arc::new(SystemClock)), Err(Error::InUse { .. })));
}

#[tokio::test]
async fn old_keys_are_forgotten_as_new_ones_come() {
    let (_folder, path) = place();
    let clock = ManualClock::default();
    let store = Embedded::open(&path, Arc::new(clock.clone())).unwrap();
    let keyed = |n: u32| Batch { keys: vec![InboundKey::new(n.to_string())], ..Batch::new(thread("a")) };
    for n in 0..50 {
        store.commit(keyed(n)).await.unwrap();
    }
    clock.advance(31 * FAR);
    for n in 100..110 {
        store.commit(keyed(n)).await.unwrap();
    }
    let keys: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM inbound_key", [], |row| row.get(0))
        .unwrap();
    assert_eq!(keys, 10);
}

#[cfg(unix)]
#[tokio::test]
async fn what_people_wrote_is_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/store.db");
    let store = open(&path);
    store.commit(Batch { records: vec![event("secret")], ..Batch::new(thread("a")) }).await.unwrap();
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    for folder in path.ancestors().skip(1).take(2) {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_taken_away_is_missed() {
    let (folder, path) = place();
    let store = open(&path);
    let one = || Batch { records: vec![event("one")], ..Batch::new(thread("a")) };
    store.commit(one()).await.unwrap();
    let aside = folder.path().join("aside.db");
    fs::rename(&path, &aside).unwrap();
    assert!(matches!(store.commit(one()).await, Err(Error::Away { .. })));
    fs::write(&path, "another").unwrap();
    assert!(matches!(store.commit(one()).await, Err(Error::Away { .. })));
    fs::rename(&aside, &path).unwrap();
    assert_eq!(store.commit(one()).await.unwrap(), Version(2));
}

/// The columns are for people with `sqlite3` too.
#[tokio::test]
async fn the_file_can_be_read_by_eye() {
    let (_folder, path) = place();
    let store = open(&path);
    let batch = Batch {
        records: vec![event("one")],
        outgoing: vec![message("a", 1)],
        wake: true,
        ..Batch::new(thread("a"))
    };
    store.commit(batch).await.unwrap();
    let eye = Connection::open(&path).unwrap();
    let row: (String, String) = eye
        .query_row("SELECT event ->> 'by', datetime(at) FROM event JOIN thread ON thread = id", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(row.0, "one");
    assert!(row.1.starts_with("20"), "{}", row.1);
    let waiting: (String, String) = eye
        .query_row("SELECT outgoing ->> '$.content.text.markdown', state FROM outgoing", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(waiting, ("1".to_owned(), "waiting".to_owned()));
}

/// Not a test of its own: the process that another test starts, by this test's name.
#[test]
fn role() {
    let (Ok(role), Some(path)) = (std::env::var(ROLE), std::env::var_os(PATH)) else { return };
    let path = PathBuf::from(path);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match role.as_str() {
        "hold" => runtime.block_on(async {
            let store = open(&path);
            store.commit(Batch { records: vec![event("held")], ..Batch::new(thread("a")) }).await.unwrap();
            println!("\nrole: open");
            tokio::time::sleep(FAR).await;
        }),
        "fill" => runtime.block_on(fill(open(&path))),
        other => panic!("no such role: {other}"),
    }
}

/// Commits without end, and says so of each batch once it was acknowledged.
async fn fill(store: Embedded) {
    let store = Arc::new(store);
    let mut tasks = tokio::task::JoinSet::new();
    println!();
    for n in 0..6 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let name = n.to_string();
            let mut version = Version(store.load(&thread(&name), Version(0)).await.unwrap().len() as u64);
            loop {
                let batch = Batch {
                    expect: Some(version),
                    records: vec![event("first half"), event("second half")],
                    keys: vec![InboundKey::new(format!("{name}.{version}"))],
                    outgoing: vec![message(&name, version.0)],
                    wake: true,
                    ..Batch::new(thread(&name))
                };
                version = store.commit(batch).await.unwrap();
                println!("role: {name} {version}");
            }
        });
    }
    tasks.join_all().await;
}

/// Every acknowledged batch is there, and no batch is there in part.
async fn check(store: &Embedded, highest: &std::collections::BTreeMap<String, u64>, acknowledged: u64) {
    let mut events = 0;
    for summary in store.threads(0, 100).await.unwrap() {
        let log = store.load(&summary.thread, Version(0)).await.unwrap();
        assert_eq!(log.len() as u64, summary.version.0, "the thread's row and its log");
        assert!(log.len().is_multiple_of(2), "half a batch");
        assert!(summary.due.is_some(), "a wake was lost");
        events += log.len() as u64;
    }
    for (name, version) in highest {
        let log = store.load(&thread(name), Version(0)).await.unwrap();
        assert!(log.len() as u64 >= *version, "{name}: {version} was acknowledged, {} are there", log.len());
    }
    let batches = events / 2;
    assert!(batches >= acknowledged, "{acknowledged} were acknowledged, {batches} are there");
    assert_eq!(store.sent(SentQuery::Waiting).await.unwrap().len() as u64, batches);
    let eye = Connection::open(store.path()).unwrap();
    let keys: i64 = eye.query_row("SELECT count(*) FROM inbound_key", [], |row| row.get(0)).unwrap();
    assert_eq!(keys as u64, batches);
    let sound: String = eye.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

/// A process that plays a role until it is dropped.
struct Role(Child, BufReader<std::process::ChildStdout>);

impl Role {
    fn start(role: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "role", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(PATH, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out)
    }

    /// The next thing it said; none when it is dead and all was read.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.1.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = line.strip_prefix("role: ").and_then(|said| said.strip_suffix('\n')) {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Kills it as `kill -9` does.
    fn kill(&mut self) {
        self.0.kill().unwrap();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn place() -> (TempDir, PathBuf) {
    testkit::init();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    (folder, path)
}

fn open(path: &Path) -> Embedded {
    Embedded::open(path, Arc::new(SystemClock)).unwrap()
}

fn open_for_reading(path: &Path) -> Embedded {
    Embedded::read_only(path).unwrap()
}

#[track_caller]
fn refuse_and_keep(path: &Path, why: &str) {
    let before = fs::read(path).unwrap();
    for refusal in [Embedded::open(path, Arc::new(SystemClock)), Embedded::read_only(path)] {
        let refusal = refusal.expect_err("it is no store");
        assert!(matches!(refusal, Error::Refused { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains(why), "{refusal}");
        assert!(refusal.to_string().contains(&path.display().to_string()), "{refusal}");
    }
    assert_eq!(fs::read(path).unwrap(), before, "it was changed");
}

async fn picture(store: &Embedded) -> (Vec<Record>, Vec<store::Summary>, Vec<store::Sent>) {
    (
        store.load(&thread("a"), Version(0)).await.unwrap(),
        store.threads(0, 10).await.unwrap(),
        store.sent(SentQuery::Waiting).await.unwrap(),
    )
}

fn address(place: &str) -> Address {
    Address { channel: ChannelName::new("mail"), place: Place::new(place) }
}

fn thread(place: &str) -> ThreadId {
    ThreadId::new(&Home::of(&address(place)), 1)
}

fn event(text: &str) -> Record {
    Record::new(Timestamp::now(), Event::Paused { by: text.to_owned() })
}

fn message(place: &str, n: u64) -> Outgoing {
    Outgoing {
        key: DeliveryKey::new(format!("{}.{n}.0", thread(place))),
        to: address(place),
        at: Timestamp::now(),
        only: None,
        in_reply_to: None,
        amends: None,
        content: Content::Text(Text { markdown: n.to_string(), note: None }),
        files: Vec::new(),
    }
}

fn lease(work: &Work) -> store::Lease {
    match work {
        Work::Turn { lease, .. } | Work::Send { lease, .. } => lease.clone(),
    }
}

fn claim(wanted: Wanted) -> Claim {
    Claim { worker: "worker".to_owned(), wanted, max: 10, ttl: FAR, wait: Duration::ZERO }
}
