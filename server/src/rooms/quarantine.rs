//! Updates that end the process. Admission and a large stack leave nothing known that does; this is for what nobody knows yet.
//!
//! Before an update is applied, what it is gets noted in a file, and is struck out once the library is done with it. The note outlives
//! the process and is one write into memory that belongs to the kernel: nothing waits for a disk, and a full disk is an error here
//! instead of a signal (which a memory-mapped file would send). Whoever starts next finds the note of a process that ended in the
//! middle. Once proves nothing: `kill -9` can come at any moment, and honest words must not be refused for it. Twice is enough: from
//! then on it is refused for good (SPEC R10), so that it costs two restarts and not a loop of them.
//!
//! A client that comes back sends its words in other bytes (a sync step 2). So an update is known again by its hash or by the first
//! block that it brings of any client: that block is in it however it is wrapped, and no other can stand there before it.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::ids::DocumentId;

/// What is known of updates that ended a server.
const KNOWN: &str = "quarantine.json";
/// Notes of one process: this, a dash, and a name of its own. Whoever holds its lock is alive.
const NOTES: &str = "applying";
/// Bytes of one note at most.
const SLOT_BYTES: usize = 4 << 10;
/// So often must it have happened.
const STRIKES: u32 = 2;
/// So many are remembered, the newest.
const KNOWN_MAX: usize = 1_000;

/// What an update is known by.
#[derive(Clone, Copy, Debug)]
pub struct Noted<'a> {
    /// SHA-256 of its bytes.
    pub hash: &'a [u8; 32],
    /// Each client with new blocks in it, and the clock of the first.
    pub begins: &'a [(u64, u32)],
}

/// Who looks on while a room applies updates.
pub trait Watch: Send {
    /// Is this known to end the process?
    fn is_quarantined(&self, update: Noted<'_>) -> bool;
    /// This is about to be applied.
    fn note(&mut self, update: Noted<'_>);
    /// The library is done with it.
    fn clear(&mut self);
    /// Processor time that this thread has used.
    fn cpu(&self) -> Duration;
}

/// Nobody looks on, and time stands still: for replay, and for tests.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn is_quarantined(&self, _: Noted<'_>) -> bool {
        false
    }

    fn note(&mut self, _: Noted<'_>) {}

    fn clear(&mut self) {}

    fn cpu(&self) -> Duration {
        Duration::ZERO
    }
}

/// An update during which a server ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Suspect {
    document: Uuid,
    hash: String,
    begins: Vec<(u64, u32)>,
    strikes: u32,
}

impl Suspect {
    fn is(&self, hash: &str, begins: &[(u64, u32)]) -> bool {
        self.begins.iter().any(|begin| begins.contains(begin)) || self.hash == hash
    }
}

/// The notes of this process, and what earlier ones have left.
pub struct Quarantine {
    known: HashMap<DocumentId, Vec<Suspect>>,
    notes: File,
}

impl Quarantine {
    /// Looks what processes have left that are no more, and begins the notes of this one.
    pub fn open(dir: &Path) -> io::Result<Arc<Self>> {
        let mut suspects: Vec<Suspect> = match fs::read(dir.join(KNOWN)) {
            Ok(known) => serde_json::from_slice(&known)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut done = Vec::new();
        let mut found = false;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if !path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(NOTES)) {
                continue;
            }
            let mut file = match File::options().read(true).write(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            match file.try_lock() {
                Ok(()) => {}
                // Its process lives.
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let mut notes = Vec::new();
            file.read_to_end(&mut notes)?;
            for suspect in notes.chunks(SLOT_BYTES).filter_map(read) {
                found = true;
                strike(&mut suspects, suspect);
            }
            done.push(path);
        }
        if found {
            suspects.drain(..suspects.len().saturating_sub(KNOWN_MAX));
            keep(dir, &suspects)?;
        }
        // Only now: had we ended before, the next would have found them again.
        for path in done {
            fs::remove_file(path)?;
        }
        let notes = File::options().create_new(true).write(true).open(dir.join(format!("{NOTES}-{}", Uuid::new_v4())))?;
        notes.lock()?;
        let mut known: HashMap<DocumentId, Vec<Suspect>> = HashMap::new();
        for suspect in suspects.into_iter().filter(|suspect| suspect.strikes >= STRIKES) {
            known.entry(DocumentId(suspect.document)).or_default().push(suspect);
        }
        Ok(Arc::new(Self { known, notes }))
    }

    /// The watch over one document's room on one of the threads that rooms run on. A thread applies one update at a time.
    #[must_use]
    pub fn watch(self: &Arc<Self>, document: DocumentId, thread: usize) -> Box<dyn Watch> {
        Box::new(RoomWatch { quarantine: self.clone(), document, slot: (thread * SLOT_BYTES) as u64, note: Vec::new() })
    }
}

/// The server ended while it applied this.
fn strike(suspects: &mut Vec<Suspect>, mut suspect: Suspect) {
    let before = suspects.iter().position(|before| before.document == suspect.document && before.is(&suspect.hash, &suspect.begins));
    suspect.strikes += before.map_or(0, |at| suspects.remove(at).strikes);
    tracing::error!(
        document.id = %suspect.document, update.sha256 = suspect.hash, strikes = suspect.strikes,
        "the server ended while it applied an update"
    );
    if suspect.strikes == STRIKES {
        metrics::counter!("samspil_quarantined_updates_total").increment(1);
    }
    suspects.push(suspect);
}

/// All of it, or what was there before.
fn keep(dir: &Path, suspects: &[Suspect]) -> io::Result<()> {
    let (path, new) = (dir.join(KNOWN), dir.join(format!("{KNOWN}.new")));
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec_pretty(suspects)?)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    File::open(dir)?.sync_all()
}

/// A note: how many bytes follow, the document, the hash, and of each client its id and its first clock.
fn read(slot: &[u8]) -> Option<Suspect> {
    let (len, rest) = slot.split_first_chunk::<4>()?;
    let (note, _) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    let (document, note) = note.split_first_chunk::<16>()?;
    let (hash, begins) = note.split_first_chunk::<32>()?;
    let begin = |bytes: &[u8]| {
        let (client, rest) = bytes.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*client), u32::from_le_bytes(*rest.first_chunk()?)))
    };
    Some(Suspect {
        document: Uuid::from_bytes(*document),
        hash: hex::encode(hash),
        begins: begins.chunks(12).filter_map(begin).collect(),
        strikes: 1,
    })
}

struct RoomWatch {
    quarantine: Arc<Quarantine>,
    document: DocumentId,
    slot: u64,
    note: Vec<u8>,
}

impl RoomWatch {
    fn write(&self, bytes: &[u8]) {
        if self.quarantine.notes.write_all_at(bytes, self.slot).is_err() {
            metrics::counter!("samspil_notes_failed_total").increment(1);
        }
    }
}

impl Watch for RoomWatch {
    fn is_quarantined(&self, update: Noted<'_>) -> bool {
        let known = self.quarantine.known.get(&self.document);
        known.is_some_and(|known| known.iter().any(|suspect| suspect.is(&hex::encode(update.hash), update.begins)))
    }

    fn note(&mut self, update: Noted<'_>) {
        let note = &mut self.note;
        note.clear();
        note.extend([0; 4]);
        note.extend(self.document.0.as_bytes());
        note.extend(update.hash);
        for (client, clock) in update.begins {
            if note.len() + 12 > SLOT_BYTES {
                break;
            }
            note.extend(client.to_le_bytes());
            note.extend(clock.to_le_bytes());
        }
        let len = u32::try_from(note.len() - 4).unwrap_or(0);
        note[..4].copy_from_slice(&len.to_le_bytes());
        self.write(&self.note);
    }

    fn clear(&mut self) {
        self.write(&[0; 4]);
    }

    fn cpu(&self) -> Duration {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of this test's own, gone with it.
    struct Dir(std::path::PathBuf);

    impl Dir {
        fn new() -> Self {
            let dir = std::env::temp_dir().join(format!("samspil-quarantine-{}", Uuid::new_v4()));
            fs::create_dir(&dir).unwrap();
            Self(dir)
        }

        /// A server starts, finds this quarantined or not, begins to apply it, and ends, perhaps in the middle.
        fn run(&self, document: DocumentId, update: Noted<'_>, ends_in_the_middle: bool) -> bool {
            let quarantine = Quarantine::open(&self.0).unwrap();
            let mut watch = quarantine.watch(document, 3);
            let quarantined = watch.is_quarantined(update);
            if !quarantined {
                watch.note(update);
                if !ends_in_the_middle {
                    watch.clear();
                }
            }
            quarantined
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const DOCUMENT: DocumentId = DocumentId(Uuid::from_u128(1));
    const UPDATE: Noted<'static> = Noted { hash: &[7; 32], begins: &[(5, 3), (9, 0)] };

    #[test]
    fn r10_twice_in_the_middle_is_quarantined_and_stays_so() {
        let dir = Dir::new();
        assert!(!dir.run(DOCUMENT, UPDATE, true));
        assert!(!dir.run(DOCUMENT, UPDATE, true), "once may have been a kill");
        for _ in 0..3 {
            assert!(dir.run(DOCUMENT, UPDATE, true));
        }
        let left = fs::read_dir(&dir.0).unwrap().count();
        assert_eq!(left, 2, "what is known, and the notes of the last one");
    }

    #[test]
    fn r10_what_was_applied_to_the_end_is_not_even_suspected() {
        let dir = Dir::new();
        for _ in 0..4 {
            assert!(!dir.run(DOCUMENT, UPDATE, false));
        }
        assert!(!dir.0.join(KNOWN).exists());
    }

    #[test]
    fn r10_the_same_words_are_known_in_other_bytes_and_others_are_not() {
        let dir = Dir::new();
        dir.run(DOCUMENT, UPDATE, true);
        // It came back as a step 2, together with words of a third client.
        let wrapped = Noted { hash: &[8; 32], begins: &[(4, 1), (9, 0)] };
        assert!(!dir.run(DOCUMENT, wrapped, true));
        assert!(dir.run(DOCUMENT, Noted { hash: &[9; 32], begins: &[(9, 0)] }, true));
        assert!(dir.run(DOCUMENT, Noted { hash: &[8; 32], begins: &[] }, true), "the same bytes");
        assert!(!dir.run(DOCUMENT, Noted { hash: &[1; 32], begins: &[(9, 1)] }, false), "other blocks of the same client");
        assert!(!dir.run(DocumentId(Uuid::from_u128(2)), UPDATE, false), "the same in another document");
    }

    #[test]
    fn notes_of_a_process_that_lives_are_left_alone() {
        let dir = Dir::new();
        let alive = Quarantine::open(&dir.0).unwrap();
        alive.watch(DOCUMENT, 0).note(UPDATE);
        Quarantine::open(&dir.0).unwrap();
        assert!(!dir.0.join(KNOWN).exists());
        drop(alive);
        Quarantine::open(&dir.0).unwrap();
        assert!(dir.0.join(KNOWN).exists());
    }

    #[test]
    fn a_note_that_was_torn_is_none() {
        for torn in [&[][..], &[9, 0, 0, 0][..], &[0; 64][..], &[60, 0, 0, 0, 1, 2, 3][..], &[3, 0, 0, 0, 1, 2, 3][..]] {
            assert_eq!(read(torn), None, "{torn:?}");
        }
    }

    #[test]
    fn the_clock_of_a_thread_goes_on() {
        let dir = Dir::new();
        let watch = Quarantine::open(&dir.0).unwrap().watch(DOCUMENT, 0);
        let begun = watch.cpu();
        while watch.cpu() == begun {
            std::hint::black_box(begun);
        }
        assert!(watch.cpu() > begun);
    }
}
