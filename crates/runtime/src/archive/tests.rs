//! What only the inside can show: members, and files that end as they should not.

use std::process::{Command, Stdio};

use agent::{Event, Home};
use channel::Address;
use flate2::read::MultiGzDecoder;
use tempfile::TempDir;

use super::*;

/// Set for the process that a test starts to fill an archive.
const FOLDER: &str = "SWITCHBOARD_TEST_ARCHIVE";

fn world() -> (TempDir, Archive) {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = Archive::new(folder.path().join("deep/archive"));
    (folder, archive)
}

/// A thread whose events say so; what is said is hard to pack.
fn thread(place: &str, words: &[&str]) -> Thread {
    let address = Address { channel: ChannelName::new("chat"), place: Place::new(place) };
    let records = words.iter().map(|word| {
        let by = (0..40).map(|n| agent::sha256(format!("{word}{n}").as_bytes())).collect::<String>();
        Record::new(at("2026-11-05T09:00:00Z"), Event::Paused { by: format!("{word} {by}") })
    });
    Thread::fold(ThreadId::new(&Home::of(&address), 1), records)
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

async fn put(archive: &Archive, threads: &[&Thread]) -> PathBuf {
    let members = threads.iter().map(|thread| member(thread).expect("a member")).collect();
    archive.append(at("2026-11-30T23:59:59Z"), members).await.expect("room")
}

async fn found(archive: &Archive, thread: &Thread) -> Option<Vec<Record>> {
    let found = archive.find(thread.id()).await.expect("readable")?;
    assert_eq!(found.thread.id(), thread.id());
    Some(found.thread.records().to_vec())
}

fn names(archive: &Archive) -> Vec<String> {
    let names = archive.files().expect("readable").into_iter();
    names.map(|file| file.path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").len()
}

fn unpacked(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    MultiGzDecoder::new(File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}

#[tokio::test]
async fn a_file_unpacks_to_lines_and_each_conversation_is_found() {
    let (_folder, archive) = world();
    let threads = ["a", "b", "c"].map(|place| thread(place, &["one", "two"]));
    assert_eq!(found(&archive, &threads[0]).await, None, "there is no folder yet");
    let file = put(&archive, &[&threads[0], &threads[1]]).await;
    assert_eq!(put(&archive, &[&threads[2]]).await, file);
    assert_eq!(names(&archive), ["2026-11.jsonl.gz"]);

    let text = unpacked(&file).expect("gzip");
    let mut lines = text.lines();
    for thread in &threads {
        let head: serde_json::Value = serde_json::from_str(lines.next().expect("a head")).expect("JSON");
        assert_eq!(
            (head["thread"].as_str(), head["version"].as_u64()),
            (Some(thread.id().as_str()), Some(2))
        );
        assert_eq!((&head["first"], &head["archive"]), (&"2026-11-05T09:00:00Z".into(), &1.into()));
        for record in thread.records() {
            assert_eq!(lines.next(), Some(serde_json::to_string(record).expect("JSON").as_str()));
        }
        assert_eq!(found(&archive, thread).await.as_deref(), Some(thread.records()));
    }
    assert_eq!(lines.next(), None);
    assert_eq!(found(&archive, &thread("d", &["one"])).await, None);
}

#[tokio::test]
async fn what_was_written_last_counts() {
    let (_folder, archive) = world();
    let (short, long) = (thread("a", &["one"]), thread("a", &["one", "two"]));
    put(&archive, &[&short, &thread("b", &["one"]), &short]).await;
    put(&archive, &[&long]).await;
    assert_eq!(found(&archive, &short).await.as_deref(), Some(long.records()));
    // A later month counts before an earlier one, and a higher number before a lower one.
    let members = vec![member(&short).expect("a member")];
    archive.append(at("2026-12-01T00:00:00Z"), members.clone()).await.expect("room");
    assert_eq!(found(&archive, &short).await.as_deref(), Some(short.records()));
    for number in [2, 10] {
        let bytes = if number == 10 { member(&long).expect("a member") } else { members.concat() };
        fs::write(archive.folder().join(file_name("2026-12", number)), bytes).expect("room");
    }
    assert_eq!(found(&archive, &short).await.as_deref(), Some(long.records()));
    let wanted = ["2026-11.jsonl.gz", "2026-12.jsonl.gz", "2026-12.2.jsonl.gz", "2026-12.10.jsonl.gz"];
    assert_eq!(names(&archive), wanted);
}

/// A process ended, or the power went, while the last member was written: what is before it stays, what comes later is elsewhere.
#[tokio::test]
async fn a_torn_end_spoils_nothing_before_or_after_it() {
    let [first, torn, next] = ["a", "b", "c"].map(|place| thread(place, &["one", "two", "three"]));
    let (whole, half) = (member(&first).expect("a member"), member(&torn).expect("a member"));
    let cuts = [1, 3, FIELD_AT + 2, LENGTH_AT + 3, NAME_AT + 5, NAME_AT + 60, half.len() / 2, half.len() - 1];
    let mut ends: Vec<Vec<u8>> = cuts.iter().map(|cut| half[..*cut].to_vec()).collect();
    // Its room is there, and its bytes never came, or not all.
    ends.push(vec![0; half.len()]);
    ends.push([&half[..NAME_AT + 60], &vec![0; half.len() - NAME_AT - 60]].concat());
    for (n, end) in ends.iter().enumerate() {
        let (_folder, archive) = world();
        let file = put(&archive, &[&first]).await;
        let mut bytes = fs::read(&file).expect("a file");
        assert_eq!(bytes, whole);
        bytes.extend(end);
        fs::write(&file, &bytes).expect("room");

        let archive = Archive::new(archive.folder());
        let other = put(&archive, &[&next]).await;
        assert_eq!(names(&archive), ["2026-11.jsonl.gz", "2026-11.2.jsonl.gz"], "end {n}");
        assert_eq!(put(&archive, &[&next]).await, other);
        assert!(unpacked(&other).is_ok());
        assert_eq!(fs::read(&file).expect("a file"), bytes, "nothing is taken away, whatever it is");
        assert_eq!(found(&archive, &first).await.as_deref(), Some(first.records()), "end {n}");
        assert_eq!(found(&archive, &next).await.as_deref(), Some(next.records()));
        if n == ends.len() - 1 {
            archive.find(torn.id()).await.expect_err("it is there, and cannot be read");
        } else {
            assert_eq!(found(&archive, &torn).await, None);
        }
        // Written again, it is there.
        put(&archive, &[&torn]).await;
        assert_eq!(found(&archive, &torn).await.as_deref(), Some(torn.records()), "end {n}");
    }
}

/// What was half written when the disk was full goes again, so that the file goes on when there is room.
#[tokio::test]
async fn a_full_disk_leaves_the_file_as_it_was() {
    let (folder, archive) = world();
    let me = std::env::current_exe().expect("a program");
    let limited = "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact archive::tests::role --nocapture";
    let filled = Command::new("bash")
        .args(["-c", limited])
        .arg(me)
        .env(FOLDER, archive.folder())
        .stderr(Stdio::inherit())
        .output()
        .expect("bash");
    let said = String::from_utf8_lossy(&filled.stdout).into_owned();
    assert!(said.contains("role: refused after 2: ") && said.contains("too large"), "{said}");
    let file = archive.folder().join("2026-11.jsonl.gz");
    let each = member(&large(0)).expect("a member").len() as u64;
    assert!(size(&file) < 65_536 && each * 3 > 65_536, "the third was never begun");
    assert!(unpacked(&file).is_ok(), "half a member is left");

    put(&archive, &[&large(2)]).await;
    assert_eq!(names(&archive), ["2026-11.jsonl.gz"]);
    for n in 0..3 {
        assert_eq!(found(&archive, &large(n)).await.as_deref(), Some(large(n).records()));
    }
    // A disk that takes nothing at all.
    let none = Archive::new(folder.path().join("none"));
    none.make().expect("a folder");
    std::os::unix::fs::symlink("/dev/full", none.folder().join("2026-11.jsonl.gz")).expect("a link");
    let members = vec![member(&large(0)).expect("a member")];
    let full = none.append(at("2026-11-30T23:59:59Z"), members).await.expect_err("it is full");
    assert!(full.to_string().contains("free some space"), "{full}");
}

fn large(n: usize) -> Thread {
    let words: Vec<String> = (0..18).map(|word| format!("{n}.{word}")).collect();
    thread(&n.to_string(), &words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Not a test of its own: the process that another test starts, by this test's name.
#[tokio::test]
async fn role() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let archive = Archive::new(PathBuf::from(folder));
    for n in 0.. {
        let members = vec![member(&large(n)).expect("a member")];
        if let Err(error) = archive.append(at("2026-11-30T23:59:59Z"), members).await {
            let mut out = io::stdout();
            writeln!(out, "\nrole: refused after {n}: {error}").expect("somebody listens");
            return;
        }
    }
}

#[tokio::test]
async fn one_process_writes_a_file_at_a_time() {
    let (_folder, archive) = world();
    let one = thread("a", &["one"]);
    let file = put(&archive, &[&one]).await;
    let other = File::open(&file).expect("a file");
    other.lock().expect("it is free");
    let before = size(&file);
    let members = vec![member(&one).expect("a member")];
    let refused = archive.append(at("2026-11-30T23:59:59Z"), members).await.expect_err("it is locked");
    assert!(refused.to_string().contains("another process"), "{refused}");
    assert_eq!(size(&file), before);
    drop(other);
    put(&archive, &[&one]).await;
}

#[cfg(unix)]
#[tokio::test]
async fn what_people_said_is_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, archive) = world();
    let file = put(&archive, &[&thread("a", &["secret"])]).await;
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    for folder in file.ancestors().skip(1).take(2) {
        assert_eq!(mode(folder), 0o700);
    }
}

#[tokio::test]
async fn what_is_none_of_ours_is_left_alone() {
    let (_folder, archive) = world();
    archive.make().expect("a folder");
    for name in ["README", "2026-11.jsonl", "x.jsonl.gz", "2026-11.x.jsonl.gz", "latest7.jsonl.gz"] {
        fs::write(archive.folder().join(name), "Dear diary").expect("room");
    }
    let one = thread("a", &["one"]);
    let file = put(&archive, &[&one]).await;
    assert_eq!(file, archive.folder().join("2026-11.jsonl.gz"));
    assert_eq!(found(&archive, &one).await.as_deref(), Some(one.records()));
    // What a newer build has written is not taken for something else.
    let mut newer = one.records().to_vec();
    newer[0].v = FORMAT + 1;
    let newer = Thread::fold(one.id().clone(), newer);
    assert!(member(&newer).expect_err("it does not read back").contains("use a newer build"));
}
