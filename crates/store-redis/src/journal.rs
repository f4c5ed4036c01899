//! What this process has written, of the last hours, in files beside it: should Redis forget what it confirmed, it is put back
//! from here.
//!
//! A folder holds one sub-folder for each process that writes at the same time, `1`, `2` and so on, locked while it does. In it are
//! files of one JSON line an entry, a new one every few minutes; after the line of a kept value come its bytes. Entries are handed to
//! the system and not flushed: they outlive the process, and a crash of this machine at the same moment as one of Redis they do not.
//! A line that was cut off by the end of a process ends its file.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use agent::ThreadId;
use serde::{Deserialize, Serialize};
use store::Error;

/// The most processes with one folder.
const PLACES: usize = 64;
/// A file is followed by another when it has so many bytes, or is so old.
const FILE_BYTES: u64 = 4 << 20;
const FILE_AGE: Duration = Duration::from_secs(10 * 60);
/// The most bytes of one process: the oldest files go, however young they are.
const BYTES_MAX: u64 = 256 << 20;

/// One write, as it was confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A batch.
    Batch(Wrote),
    /// A kept value.
    Value {
        /// Its name.
        name: String,
        /// How many bytes follow the line.
        length: usize,
        /// Those bytes.
        #[serde(skip)]
        bytes: Vec<u8>,
    },
    /// A batch that was noted before could not be put back at its place, and that was told: it is not looked for any more.
    GivenUp {
        /// Its thread.
        thread: String,
        /// The version that the thread had before it.
        before: u64,
    },
    /// Messages that were taken to be sent: whoever takes one of them the next time has to look whether it arrived.
    Tried {
        /// Their keys.
        keys: Vec<String>,
    },
}

/// A batch as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrote {
    pub(crate) thread: String,
    /// The version that the thread had before.
    pub(crate) before: u64,
    /// What the log was before them, in a few letters (`chain` in `keys.md`); nothing where that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) on: String,
    /// The events, as they stand in the log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) records: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) keys: Vec<String>,
    /// The messages: key, channel, place as it stands in a key, JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) outgoing: Vec<[String; 4]>,
    #[serde(default)]
    pub(crate) wake: bool,
    /// The message whose sending it ended, how, and the platform's name of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settle: Option<(String, String, Option<String>)>,
}

/// The journal of this process.
pub(crate) struct Journal {
    folder: PathBuf,
    keep: Duration,
    /// A name of this place, that stays over restarts.
    name: String,
    writing: Mutex<Writing>,
    _lock: Lock,
}

struct Writing {
    file: Option<(File, u64, SystemTime)>,
    next: u64,
    broken: bool,
}

impl Journal {
    /// Takes the first free place in a folder, and makes it where there is none.
    pub(crate) fn open(folder: &Path, keep: Duration) -> Result<Self, Error> {
        let failed = |what: &Path, error: &std::io::Error| Error::Refused {
            why: format!(
                "the journal of what Redis confirms cannot be written at {} ({error}); let the gateway write its `state`",
                what.display()
            ),
        };
        for place in 1..=PLACES {
            let folder = folder.join(place.to_string());
            store::folder::create(&folder).map_err(|error| failed(&folder, &error))?;
            let Some(lock) = lock(&folder).map_err(|error| failed(&folder, &error))? else { continue };
            let name = name(&folder).map_err(|error| failed(&folder, &error))?;
            let next = numbers(&folder).last().map_or(1, |last| last + 1);
            let writing = Mutex::new(Writing { file: None, next, broken: false });
            return Ok(Self { folder, keep, name, writing, _lock: lock });
        }
        let why = format!(
            "the journal at {} is in use by {PLACES} processes already; give this gateway another `state`",
            folder.display()
        );
        Err(Error::Refused { why })
    }

    /// A name that no other journal has, and that it keeps.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Notes what was confirmed. Where that fails it is said once: what is confirmed is confirmed.
    pub(crate) fn note(&self, entry: &Entry) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.write(&mut writing, entry) {
            Ok(()) => writing.broken = false,
            Err(error) => {
                writing.file = None;
                if !std::mem::replace(&mut writing.broken, true) {
                    let folder = self.folder.display();
                    tracing::error!(%folder, %error, "the journal cannot be written: what Redis forgets now cannot be put back");
                }
            }
        }
    }

    fn write(&self, writing: &mut Writing, entry: &Entry) -> std::io::Result<()> {
        let line = line(entry)?;
        let now = SystemTime::now();
        let full = writing.file.as_ref().is_none_or(|(_, bytes, since)| {
            *bytes >= FILE_BYTES || now.duration_since(*since).is_ok_and(|age| age > FILE_AGE)
        });
        if full {
            let file = begin(&self.folder, writing.next)?;
            writing.file = Some((file, 0, now));
            writing.next += 1;
            self.forget(now);
        }
        if let Some((file, bytes, _)) = &mut writing.file {
            file.write_all(&line)?;
            *bytes += line.len() as u64;
        }
        Ok(())
    }

    /// Lets go of files that are older than what is kept.
    fn forget(&self, now: SystemTime) {
        let mut kept = 0;
        for number in numbers(&self.folder).iter().rev() {
            let path = path(&self.folder, *number);
            let Ok(file) = fs::metadata(&path) else { continue };
            kept += file.len();
            // The time of its last entry.
            let age = file.modified().ok().and_then(|last| now.duration_since(last).ok());
            if kept > BYTES_MAX || age.is_some_and(|age| age > self.keep) {
                // What cannot be removed now can be the next time.
                let _ = fs::remove_file(&path);
            }
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A journal that nobody writes, held so that nobody else puts back what is in it at the same time.
pub(crate) struct Left {
    pub(crate) folder: PathBuf,
    _lock: Lock,
}

impl Left {
    /// Notes something there.
    pub(crate) fn note(&self, entries: &[Entry]) -> std::io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let lines = entries.iter().map(line).collect::<Result<Vec<_>, _>>()?.concat();
        begin(&self.folder, numbers(&self.folder).last().map_or(1, |last| last + 1))?.write_all(&lines)
    }
}

/// The journals in a folder that nobody writes.
pub(crate) fn left(folder: &Path) -> Vec<Left> {
    let places = places(folder).into_iter();
    places
        .filter_map(|folder| lock(&folder).ok().flatten().map(|lock| Left { folder, _lock: lock }))
        .collect()
}

/// The places of a folder, whoever writes there.
pub(crate) fn places(folder: &Path) -> Vec<PathBuf> {
    (1..=PLACES).map(|place| folder.join(place.to_string())).filter(|folder| folder.is_dir()).collect()
}

/// The files of a journal, the youngest first.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    numbers(folder).iter().rev().map(|number| path(folder, *number)).collect()
}

/// The entries of a file, as far as it can be read.
pub(crate) fn read(file: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    let Ok(file) = File::open(file) else { return entries };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 || line.last() != Some(&b'\n') {
            return entries;
        }
        let Ok(mut entry) = serde_json::from_slice::<Entry>(&line) else { return entries };
        if matches!(&entry, Entry::Batch(wrote) if ThreadId::parse(&wrote.thread).is_none()) {
            return entries;
        }
        if let Entry::Value { length, bytes, .. } = &mut entry {
            let Ok(length) = u64::try_from(*length) else { return entries };
            let read = reader.by_ref().take(length + 1).read_to_end(bytes);
            if !read.is_ok_and(|read| read as u64 == length + 1) || bytes.pop() != Some(b'\n') {
                return entries;
            }
        }
        entries.push(entry);
    }
}

/// An entry as it stands in a file.
fn line(entry: &Entry) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    if let Entry::Value { bytes, .. } = entry {
        line.extend_from_slice(bytes);
        line.push(b'\n');
    }
    Ok(line)
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}.journal"))
}

fn begin(folder: &Path, number: u64) -> std::io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path(folder, number))
}

/// The numbers of a folder's files, in their order.
fn numbers(folder: &Path) -> Vec<u64> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let mut numbers: Vec<u64> = files
        .filter_map(|file| file.ok()?.file_name().to_str()?.strip_suffix(".journal")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// The lock of a place.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Said, and not left to the closing: a process that is just being started may hold a copy of the handle for a moment.
        let _ = self.0.unlock();
    }
}

fn lock(folder: &Path) -> std::io::Result<Option<Lock>> {
    let lock =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(Lock(lock))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The name of a place, made once.
fn name(folder: &Path) -> std::io::Result<String> {
    let path = folder.join("name");
    let known = fs::read_to_string(&path).unwrap_or_default();
    if known.len() == 16 && known.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(known);
    }
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    let name: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&path, &name)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(n: u64) -> Entry {
        let wrote = Wrote {
            thread: format!("abcdefghijklmnop-{n}"),
            before: n,
            records: vec!["a\nb".to_owned()],
            ..Wrote::default()
        };
        Entry::Batch(wrote)
    }

    fn value(bytes: &[u8]) -> Entry {
        Entry::Value { name: "file:1".to_owned(), length: bytes.len(), bytes: bytes.to_vec() }
    }

    fn all(folder: &Path) -> Vec<Entry> {
        files(folder).iter().rev().flat_map(|file| read(file)).collect()
    }

    #[test]
    fn what_is_noted_reads_back_also_after_a_cut() {
        let folder = tempfile::tempdir().unwrap();
        let tried = Entry::Tried { keys: vec!["m".to_owned()] };
        let entries = [batch(1), value(b"\x00\n{}\n"), batch(2), value(b""), tried, batch(3)];
        let journal = Journal::open(folder.path(), Duration::from_secs(60)).unwrap();
        entries.iter().for_each(|entry| journal.note(entry));
        assert_eq!(all(journal.folder()), entries);
        let file = files(journal.folder()).remove(0);
        let whole = fs::read(&file).unwrap();
        for cut in 0..whole.len() {
            fs::write(&file, &whole[..cut]).unwrap();
            let read = read(&file);
            assert_eq!(read, entries[..read.len()], "cut at {cut}");
            assert!(read.len() < entries.len());
        }
        fs::write(&file, &whole[..whole.len() - 3]).unwrap();
        let name = journal.name().to_owned();
        drop(journal);
        // The next process writes behind what was cut off.
        let journal = Journal::open(folder.path(), Duration::from_secs(60)).unwrap();
        assert_eq!(journal.name(), name);
        journal.note(&batch(4));
        assert_eq!(all(journal.folder()), [&entries[..5], &[batch(4)]].concat());
    }

    #[test]
    fn each_process_has_a_place_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Journal::open(folder.path(), Duration::from_secs(60)).unwrap();
        let (one, two) = (open(), open());
        assert!(one.folder() != two.folder() && one.name() != two.name());
        assert!(left(folder.path()).is_empty());
        let first = one.folder().to_path_buf();
        drop(one);
        let free: Vec<_> = left(folder.path()).into_iter().map(|left| left.folder).collect();
        assert_eq!(free, std::slice::from_ref(&first));
        assert_eq!(open().folder(), first);
        assert_eq!(places(folder.path()).len(), 2);
    }

    #[test]
    fn old_files_go_and_there_is_never_much() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), Duration::from_secs(3600)).unwrap();
        journal.note(&batch(1));
        let large = value(&vec![7; usize::try_from(FILE_BYTES).unwrap()]);
        journal.note(&large);
        let file = files(journal.folder()).remove(0);
        let old = SystemTime::now() - Duration::from_secs(3700);
        File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        journal.note(&batch(2));
        assert!(!file.exists(), "it is older than what is kept");
        assert_eq!(all(journal.folder()), [batch(2)]);
        // One file holds what is kept of a large value, too; of many such the oldest go.
        let large = value(&vec![7; usize::try_from(BYTES_MAX / 3).unwrap()]);
        for _ in 0..5 {
            journal.note(&large);
        }
        let bytes: u64 = files(journal.folder()).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
        assert!((BYTES_MAX / 3..=BYTES_MAX / 3 * 4).contains(&bytes), "{bytes}");
    }

    #[test]
    fn what_names_no_thread_ends_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), Duration::from_secs(60)).unwrap();
        journal.note(&batch(1));
        journal.note(&Entry::Batch(Wrote { thread: "no thread".to_owned(), ..Wrote::default() }));
        assert_eq!(all(journal.folder()), [batch(1)]);
    }

    #[test]
    fn a_folder_that_cannot_be_is_told_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = Journal::open(&file, Duration::from_secs(60)).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("`state`"), "{refused}");
    }
}
