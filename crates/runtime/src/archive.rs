//! The archive: conversations that left the store, in a folder.
//!
//! A file a month, `2026-11.jsonl.gz`. Each conversation is one gzip member of it: a line about it, then its events, a line each, as
//! `threads show --json` prints them. So `zcat` reads a whole file; and as the head of each member says whose it is and how long,
//! one conversation is found without unpacking the others.
//!
//! Invariant: what was written before is never changed, and nothing is written behind what cannot be read: where a file does not
//! end as it should, the next conversations go into another one, `2026-11.2.jsonl.gz`.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use agent::{FORMAT, Record, Thread, ThreadId};
use channel::{ChannelName, Place, Timestamp};
use flate2::{Compression, GzBuilder, bufread::GzDecoder};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

/// The version of what a member holds.
const LAYOUT: u32 = 1;
/// What the name of a file ends with.
const ENDING: &str = ".jsonl.gz";
/// A member begins like that, but for a time and a system in between: deflated, with a field of ours and a name.
const MAGIC: [u8; 4] = [0x1f, 0x8b, 8, 4 | 8];
/// The field of ours: its own length, its name, the length of its value, which is that of the member.
const FIELD: [u8; 6] = [12, 0, b'S', b'B', 8, 0];
/// Where these stand in a member.
const FIELD_AT: usize = 10;
const LENGTH_AT: usize = FIELD_AT + FIELD.len();
const NAME_AT: usize = LENGTH_AT + 8;
/// What the name of a member ends with.
const MEMBER_ENDING: &str = ".jsonl";
/// The longest name of a member, with the zero at its end.
const NAME_MAX: usize = 64;

/// A folder of conversations that left the store.
#[derive(Clone, Debug)]
pub struct Archive {
    folder: PathBuf,
    /// The file that was written last, and how long it was then: so far it certainly reads.
    sound: Arc<Mutex<Option<(PathBuf, u64)>>>,
}

/// A conversation out of the archive.
#[derive(Clone, Debug)]
pub struct Archived {
    /// The conversation.
    pub thread: Thread,
    /// The file that it is in.
    pub file: PathBuf,
}

/// The archive cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("the archive {path}: {why}")]
pub struct ArchiveError {
    path: String,
    why: String,
}

impl ArchiveError {
    fn new(path: &Path, why: impl ToString) -> Self {
        Self { path: path.display().to_string(), why: why.to_string() }
    }

    fn io(path: &Path, error: &io::Error) -> Self {
        let kind = error.kind();
        let remedy = if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            "free some space; it goes on by itself"
        } else if matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
            "the user that runs this must be able to write it"
        } else {
            return Self::new(path, error);
        };
        Self::new(path, format!("{error} ({remedy})"))
    }
}

/// The first line of a member.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    archive: u32,
    thread: ThreadId,
    version: u64,
    channel: Option<ChannelName>,
    place: Option<Place>,
    agent: Option<String>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Archive {
    /// The archive in a folder, which need not be there yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), sound: Arc::default() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder where it is missing, for its owner only.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(&self) -> Result<(), ArchiveError> {
        store::folder::create(&self.folder).map_err(|error| ArchiveError::io(&self.folder, &error))
    }

    /// Writes members at the end of this month's file. They are on the disk when this returns; where it fails, the file is as
    /// it was.
    ///
    /// # Errors
    /// They are not written.
    pub(crate) async fn append(
        &self,
        now: Timestamp,
        members: Vec<Vec<u8>>,
    ) -> Result<PathBuf, ArchiveError> {
        let this = self.clone();
        let appending = spawn_blocking(move || this.append_here(now, &members.concat()));
        match appending.await {
            Ok(done) => done,
            Err(_) => Err(ArchiveError::new(&self.folder, "the writing was cut off")),
        }
    }

    /// A conversation that is in the archive. One that was written several times, as after a crash between two steps, counts as
    /// it was written last.
    ///
    /// # Errors
    /// The archive cannot be read.
    pub async fn find(&self, thread: &ThreadId) -> Result<Option<Archived>, ArchiveError> {
        let (this, thread) = (self.clone(), thread.clone());
        match spawn_blocking(move || this.find_here(&thread)).await {
            Ok(found) => found,
            Err(_) => Err(ArchiveError::new(&self.folder, "the reading was cut off")),
        }
    }

    fn append_here(&self, now: Timestamp, bytes: &[u8]) -> Result<PathBuf, ArchiveError> {
        self.make()?;
        let month = now.strftime("%Y-%m").to_string();
        let files = self.files()?;
        let last = files.iter().filter(|file| file.month == month).map(|file| file.number).max();
        // Ends: whoever finds no file writes the first one of that number.
        for number in last.unwrap_or(1).. {
            let path = self.folder.join(file_name(&month, number));
            let done = self.append_to(&path, bytes).map_err(|error| ArchiveError::io(&path, &error))?;
            if done {
                return Ok(path);
            }
            tracing::warn!(file = %path.display(), "the archive's file does not end as it should; it stays as it is, and another is begun");
        }
        Err(ArchiveError::new(&self.folder, "there are too many files"))
    }

    /// Writes at the end of a file, if that is a place where something can be written.
    fn append_to(&self, path: &Path, bytes: &[u8]) -> io::Result<bool> {
        let new = !path.exists();
        let mut file = private(OpenOptions::new().read(true).write(true).create(true)).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another process writes it")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let end = file.metadata()?.len();
        let known = self.sound().take().is_some_and(|sound| sound == (path.to_path_buf(), end));
        if !known && !reads_to_its_end(&file, end) {
            return Ok(false);
        }
        let written = (|| {
            file.seek(SeekFrom::Start(end))?;
            file.write_all(bytes)?;
            file.sync_all()?;
            if new { store::folder::sync(&self.folder) } else { Ok(()) }
        })();
        if let Err(error) = written {
            // Whatever of it is there goes again; where that fails too, the next one finds it and begins another file.
            let undone = file.set_len(end).and_then(|()| file.sync_all());
            if new && undone.is_ok() {
                fs::remove_file(path).ok();
            }
            return Err(error);
        }
        *self.sound() = Some((path.to_path_buf(), end + bytes.len() as u64));
        Ok(true)
    }

    fn find_here(&self, thread: &ThreadId) -> Result<Option<Archived>, ArchiveError> {
        let name = member_name(thread);
        let mut unreadable = None;
        for Volume { path, .. } in self.files()?.into_iter().rev() {
            let members = members(&path)?.into_iter().filter(|member| member.name == name);
            for member in members.rev() {
                match member.read(thread)? {
                    Ok(records) => {
                        let thread = Thread::fold(thread.clone(), records);
                        return Ok(Some(Archived { thread, file: path }));
                    }
                    // The last one may be torn, and one before it whole.
                    Err(why) => unreadable = unreadable.or(Some(ArchiveError::new(&path, why))),
                }
            }
        }
        unreadable.map_or(Ok(None), Err)
    }

    /// Where each conversation of the archive stands, the last place at the end.
    ///
    /// # Errors
    /// The archive cannot be read.
    pub(crate) async fn index(&self) -> Result<BTreeMap<ThreadId, Vec<Member>>, ArchiveError> {
        let this = self.clone();
        let indexing = spawn_blocking(move || {
            let mut index: BTreeMap<ThreadId, Vec<Member>> = BTreeMap::new();
            for Volume { path, .. } in this.files()? {
                for member in members(&path)? {
                    let thread = member.name.strip_suffix(MEMBER_ENDING).and_then(ThreadId::parse);
                    if let Some(thread) = thread {
                        index.entry(thread).or_default().push(member);
                    }
                }
            }
            Ok(index)
        });
        match indexing.await {
            Ok(done) => done,
            Err(_) => Err(ArchiveError::new(&self.folder, "the reading was cut off")),
        }
    }

    /// The events of a conversation that stands at these places: at the last that is whole.
    ///
    /// # Errors
    /// None is.
    pub(crate) async fn load(&self, thread: &ThreadId, at: Vec<Member>) -> Result<Vec<Record>, ArchiveError> {
        let thread = thread.clone();
        let loading = spawn_blocking(move || {
            let mut unreadable = None;
            for member in at.iter().rev() {
                match member.read(&thread)? {
                    Ok(records) => return Ok(records),
                    Err(why) => unreadable = unreadable.or(Some(ArchiveError::new(&member.path, why))),
                }
            }
            unreadable.map_or(Ok(Vec::new()), Err)
        });
        match loading.await {
            Ok(done) => done,
            Err(_) => Err(ArchiveError::new(&self.folder, "the reading was cut off")),
        }
    }

    /// The files, oldest first; none where there is no folder.
    fn files(&self) -> Result<Vec<Volume>, ArchiveError> {
        let failed = |error: io::Error| ArchiveError::io(&self.folder, &error);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            files.extend(Volume::at(path));
        }
        files.sort();
        Ok(files)
    }

    fn sound(&self) -> std::sync::MutexGuard<'_, Option<(PathBuf, u64)>> {
        self.sound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a conversation stands in a file.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    name: String,
    path: PathBuf,
    at: u64,
    length: u64,
}

impl Member {
    /// Its events, or why what is there cannot be read.
    fn read(&self, thread: &ThreadId) -> Result<Result<Vec<Record>, String>, ArchiveError> {
        let mut member = vec![0; usize::try_from(self.length).unwrap_or(0)];
        let filled = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.at))?;
            file.read_exact(&mut member)
        });
        filled.map_err(|error| ArchiveError::io(&self.path, &error))?;
        Ok(read(&member, thread))
    }
}

/// The conversations in a file, as far as it can be read.
fn members(path: &Path) -> Result<Vec<Member>, ArchiveError> {
    let failed = |error: io::Error| ArchiveError::io(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let end = file.metadata().map_err(failed)?.len();
    let (mut at, mut found) = (0, Vec::new());
    while at < end {
        let Ok((name, length)) = head_at(&mut file, at, end) else {
            tracing::warn!(file = %path.display(), from = at, "the archive's file cannot be read from this byte on");
            break;
        };
        found.push(Member { name, path: path.to_path_buf(), at, length });
        at += length;
    }
    Ok(found)
}

/// A file of the archive: the number counts those of one month.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Volume {
    month: String,
    number: u32,
    path: PathBuf,
}

impl Volume {
    /// What its name says; nothing where it is none of ours.
    fn at(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(ENDING)?;
        let (month, number) = match name.split_once('.') {
            Some((month, number)) => (month.to_owned(), number.parse().ok()?),
            None => (name.to_owned(), 1),
        };
        let ours = month.len() == 7 && month.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        ours.then_some(Self { month, number, path })
    }
}

fn file_name(month: &str, number: u32) -> String {
    match number {
        1 => format!("{month}{ENDING}"),
        _ => format!("{month}.{number}{ENDING}"),
    }
}

fn member_name(thread: &ThreadId) -> String {
    format!("{thread}{MEMBER_ENDING}")
}

/// A conversation as a member, that certainly reads back the same.
pub(crate) fn member(thread: &Thread) -> Result<Vec<u8>, String> {
    let (first, last) = (thread.records().first(), thread.records().last());
    let head = Head {
        archive: LAYOUT,
        thread: thread.id().clone(),
        version: thread.version().0,
        channel: thread.home().map(|home| home.channel.clone()),
        place: thread.home().map(|home| home.place.clone()),
        agent: thread.agent().map(|agent| agent.name.clone()),
        first: first.map(|record| record.at),
        last: last.map(|record| record.at),
    };
    let mut field = FIELD.get(2..).unwrap_or_default().to_vec();
    field.extend([0; 8]);
    let mtime = last.and_then(|record| u32::try_from(record.at.as_second()).ok()).unwrap_or(0);
    let mut member = GzBuilder::new()
        .extra(field)
        .filename(member_name(thread.id()))
        .mtime(mtime)
        .write(Vec::new(), Compression::default());
    let packed = (|| {
        serde_json::to_writer(&mut member, &head)?;
        for record in thread.records() {
            member.write_all(b"\n")?;
            serde_json::to_writer(&mut member, &record.json())?;
        }
        member.write_all(b"\n")?;
        member.finish()
    })();
    let mut bytes = packed.map_err(|error: io::Error| error.to_string())?;
    let length = (bytes.len() as u64).to_le_bytes();
    if let Some(place) = bytes.get_mut(LENGTH_AT..NAME_AT) {
        place.copy_from_slice(&length);
    }
    match read(&bytes, thread.id())? == thread.records() {
        true => Ok(bytes),
        false => Err("it would not read back the same".to_owned()),
    }
}

/// The events in a member.
fn read(member: &[u8], thread: &ThreadId) -> Result<Vec<Record>, String> {
    let mut lines = BufReader::new(GzDecoder::new(member)).lines();
    let cut_off = || format!("what is there of thread {thread} is cut off");
    let head = lines.next().ok_or_else(cut_off)?.map_err(|error| error.to_string())?;
    let head: Head = serde_json::from_str(&head).map_err(|error| error.to_string())?;
    if head.archive > LAYOUT || head.thread != *thread {
        let Head { archive, thread: whose, .. } = head;
        return Err(format!("thread {whose} is there in layout {archive}, and this build reads {LAYOUT}"));
    }
    let mut records = Vec::new();
    for line in lines {
        let line = line.map_err(|error| error.to_string())?;
        let seq = records.len();
        let record: Record = serde_json::from_str(&line)
            .map_err(|error| format!("event {seq} of thread {thread} cannot be read: {error}"))?;
        let record = Record::read(record.v, record.at, record.event, &line);
        if record.v > FORMAT {
            return Err(format!(
                "event {seq} of thread {thread} is of format {}; use a newer build",
                record.v
            ));
        }
        records.push(record);
    }
    if records.len() as u64 == head.version { Ok(records) } else { Err(cut_off()) }
}

/// Whose the member is that begins at this byte of a file, and how long.
fn head_at(file: &mut File, at: u64, end: u64) -> io::Result<(String, u64)> {
    let none = || io::Error::new(io::ErrorKind::InvalidData, "there begins no conversation");
    file.seek(SeekFrom::Start(at))?;
    let mut head = Vec::new();
    file.take((NAME_AT + NAME_MAX) as u64).read_to_end(&mut head)?;
    let part = |from: usize, to: usize| head.get(from..to).ok_or_else(none);
    if part(0, MAGIC.len())? != MAGIC || part(FIELD_AT, LENGTH_AT)? != FIELD {
        return Err(none());
    }
    let length =
        <[u8; 8]>::try_from(part(LENGTH_AT, NAME_AT)?).map(u64::from_le_bytes).map_err(|_| none())?;
    let name = head.get(NAME_AT..).and_then(|rest| rest.split(|byte| *byte == 0).next()).ok_or_else(none)?;
    let name = String::from_utf8(name.to_vec()).map_err(|_| none())?;
    if length < NAME_AT as u64 || length > end.saturating_sub(at) {
        return Err(none());
    }
    Ok((name, length))
}

/// Whether a file is members up to this byte, each of them whole.
fn reads_to_its_end(file: &File, end: u64) -> bool {
    let whole = || -> io::Result<()> {
        let mut file = file.try_clone()?;
        let mut at = 0;
        while at < end {
            let (_, length) = head_at(&mut file, at, end)?;
            file.seek(SeekFrom::Start(at))?;
            let mut member = GzDecoder::new(BufReader::new((&mut file).take(length)));
            io::copy(&mut member, &mut io::sink())?;
            if !member.into_inner().fill_buf()?.is_empty() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            at += length;
        }
        Ok(())
    };
    whole().is_ok()
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}
