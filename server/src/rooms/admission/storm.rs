//! Hostile updates through the real admission and a real room (F4), and honest ones made by Yjs and its binding to ProseMirror (F5, F6).
//!
//! What happens is drawn from a seed, another one each time unless `SAMSPIL_SEED` names it. A storm is made of episodes: a room on an
//! honest document, and hostile updates into it one by one. Processes of their own run them, because what is looked for ends a process;
//! each says in a file what it is about to try. When one ends or stands still, the update is kept as a file, and the command is said that
//! tries exactly that one again. `scripts/storm` runs it for longer.

mod draft;

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use samspil_client_protocol::{
    api::AgreementStatus,
    frame::{self, Reader},
    message::Refused,
};
use uuid::Uuid;
use yrs::updates::decoder::Decode;

use self::draft::{Known, Random};
use super::{Kept, UpdateLimits};
use crate::{
    config::Limits,
    domain::ids::{DocumentId, PersonId},
    rooms::{
        document::{LiveDocument, update_limits},
        quarantine::{Quarantine, Watch},
        room::{
            Appended, Effect, PeerId, Room,
            tests::{HEAD, LEADER, TEACHER, access, newcomer, now},
        },
    },
    store::log::{Batch, Log, Logged, Owner, Snapshot},
};

/// Updates in the storm of every push.
const UPDATES: u64 = 2_000_000;
/// Updates in one episode.
const STEPS: u64 = 400;
/// Processor time after which an update is said to hang.
const HANGS_AFTER: Duration = Duration::from_secs(1);
/// Processor time after which a process whose update does not end is killed.
const KILLED_AFTER: Duration = Duration::from_secs(20);
/// Memory that a process of the storm may hold at its end.
const MEMORY_MAX: usize = 512 << 20;
/// As a thread that rooms run on.
const STACK_BYTES: usize = 8 << 20;

const HONEST: &[u8] = include_bytes!("storm/honest.bin");
const KILLERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rooms/admission/storm/killers");

/// What was recorded of one document.
struct Recording {
    /// The person (0: the server) and the update, in the order in which the server got them.
    updates: Vec<(u64, Bytes)>,
    /// The canonical content as the clients have it.
    content: String,
}

fn recordings(bytes: &[u8]) -> Vec<Recording> {
    let mut reader = Reader::new(bytes);
    let recording = |reader: &mut Reader<'_>| {
        let count = reader.varuint().unwrap();
        let updates = (0..count).map(|_| (reader.varuint().unwrap(), Bytes::copy_from_slice(reader.bytes().unwrap()))).collect();
        Recording { updates, content: reader.string().unwrap().to_owned() }
    };
    (0..reader.varuint().unwrap()).map(|_| recording(&mut reader)).collect()
}

fn killers() -> Vec<(String, Bytes)> {
    let mut killers: Vec<(String, Bytes)> = fs::read_dir(KILLERS)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap().into()))
        .collect();
    killers.sort();
    killers
}

/// Limits on how much one peer sends would end the storm, and are no part of it.
fn limits() -> Limits {
    Limits { refusals_before_close: u32::MAX, peer_cpu_ms_per_10s: u32::MAX, ..Limits::default() }
}

/// A room with its log, and people in it.
struct World {
    room: Room,
    log: Vec<Bytes>,
    owners: BTreeMap<u64, Option<PersonId>>,
    peers: [(u128, PeerId); 3],
    now: DateTime<Utc>,
    outcome: BTreeMap<String, u64>,
}

impl World {
    /// A document as the server made it.
    fn open(first: &Bytes, watch: Option<Box<dyn Watch>>) -> Self {
        let server = super::parse::parse(first, &update_limits(&limits()), true).unwrap().sections[0].client;
        let log = vec![first.clone()];
        let owners = BTreeMap::from([(server, None)]);
        let mut room =
            Room::open(DocumentId(Uuid::from_u128(100)), 1, &as_log(&log, &owners), access(AgreementStatus::InDialogue, 0), limits())
                .unwrap();
        if let Some(watch) = watch {
            room = room.watched_by(watch);
        }
        let mut join = |person| (person, room.join(newcomer(person), now(), &mut Vec::new()).unwrap());
        let peers = [join(LEADER), join(HEAD), join(TEACHER)];
        Self { room, log, owners, peers, now: now(), outcome: BTreeMap::new() }
    }

    /// Somebody sends this, and the room does what it does. Answers the rows that came of it.
    fn send(&mut self, peer: usize, frame: &Bytes) -> Vec<Bytes> {
        self.now += chrono::Duration::milliseconds(20);
        let mut out = Vec::new();
        self.room.frame(self.peers[peer].1, frame, self.now, &mut out);
        let batch = self.room.next_batch(self.now, &mut out);
        let rows = batch.map_or(Vec::new(), |batch| self.commit(&batch, &mut out));
        *self.outcome.entry(if rows.is_empty() { "nothing new" } else { "admitted" }.to_owned()).or_default() += 1;
        self.hear(&out);
        rows
    }

    fn commit(&mut self, batch: &Batch, out: &mut Vec<Effect>) -> Vec<Bytes> {
        let first = self.log.len() as u64 + 1;
        self.log.extend(batch.rows.iter().map(|row| row.payload.clone()));
        self.owners.extend(batch.clients.iter().map(|(client, person)| (*client, Some(*person))));
        self.room.appended(&Appended::Committed { first }, self.now, out);
        batch.rows.iter().map(|row| row.payload.clone()).collect()
    }

    fn hear(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Send(_, frame) if frame[0] == 102 => {
                    let mut reader = Reader::new(frame);
                    reader.varuint().unwrap();
                    let refused: Refused = serde_json::from_str(reader.string().unwrap()).unwrap();
                    *self.outcome.entry(format!("refused as {:?}", refused.code)).or_default() += 1;
                    *self.outcome.entry("nothing new".to_owned()).or_default() -= 1;
                }
                Effect::Close(gone, code, why) => {
                    assert!(!why.contains("could not be applied"), "an admitted update broke the document");
                    *self.outcome.entry(format!("closed {}", code.code())).or_default() += 1;
                    for (person, peer) in &mut self.peers {
                        if peer == gone {
                            *peer = self.room.join(newcomer(*person), self.now, &mut Vec::new()).unwrap();
                        }
                    }
                }
                Effect::Reload => {
                    let log = as_log(&self.log, &self.owners);
                    self.room.replayed(&log, self.now, &mut Vec::new()).expect("the log replays");
                    assert!(self.room.next_batch(self.now, &mut Vec::new()).is_none());
                    *self.outcome.entry("taken back".to_owned()).or_default() += 1;
                }
                _ => {}
            }
        }
    }

    /// The log makes this document again (G4), and so does its state: both load, and say what it says. Answers whether the state does;
    /// a writer with a client of their own can make blocks whose order depends on when they arrive (docs/decisions/0001).
    fn check(&self) -> bool {
        let limits = update_limits(&limits());
        let live = self.room.committed().expect("nothing is on its way");
        let replayed = LiveDocument::replay(&as_log(&self.log, &self.owners), &limits).expect("the log replays");
        assert_eq!(text(&replayed.content()), text(&live.content()), "the log says something else than the document");
        assert_eq!(vector(&replayed), vector(live), "the log has other blocks than the document");
        let state = live.state();
        let again = LiveDocument::replay(&as_log(&[state], &self.owners), &limits).expect("the state loads in a fresh room");
        assert_eq!(vector(&again), vector(live), "the state has other blocks than the document");
        again.content() == live.content() && self.is_foretold(live, &limits)
    }

    /// Can a newcomer be told while the room is asleep? What they are told stands in the document, whether a snapshot is part of the log or
    /// not.
    fn is_foretold(&self, live: &LiveDocument, limits: &UpdateLimits) -> bool {
        let mut log = as_log(&self.log, &self.owners);
        let rest = log.updates.split_off(log.updates.len() / 2);
        log.head = log.updates.len() as u64;
        let state = LiveDocument::replay(&log, limits).expect("the beginning of a log replays").state();
        let snapshot = Some(Snapshot { seq: log.head, state, content_sha256: [0; 32] });
        let after = Log { head: self.log.len() as u64, snapshot, updates: rest, owners: Vec::new(), anchors: Vec::new() };
        [as_log(&self.log, &self.owners), after].iter().all(|log| {
            // Where one row begins within another's block, only the library can say what that comes to.
            let Some(told) = LiveDocument::foretell(log, limits) else { return false };
            assert_eq!(read_vector(&told.state_vector), vector(live), "other blocks are foretold than there are");
            let told = LiveDocument::replay(&as_log(&[told.update.into()], &self.owners), limits).expect("what is foretold loads");
            assert_eq!(vector(&told), vector(live), "what is foretold has other blocks than the document");
            told.content() == live.content()
        })
    }
}

fn read_vector(state_vector: &[u8]) -> BTreeMap<u64, u32> {
    let vector = yrs::StateVector::decode_v1(state_vector).unwrap();
    vector.iter().map(|(client, clock)| (client.get(), *clock)).collect()
}

fn vector(document: &LiveDocument) -> BTreeMap<u64, u32> {
    read_vector(&document.state_vector())
}

fn text(content: &[u8]) -> &str {
    std::str::from_utf8(content).expect("content is text")
}

fn as_log(updates: &[Bytes], owners: &BTreeMap<u64, Option<PersonId>>) -> Log {
    Log {
        head: updates.len() as u64,
        snapshot: None,
        updates: (1..).zip(updates).map(|(seq, payload)| Logged { seq, payload: payload.clone() }).collect(),
        owners: owners.iter().map(|(client, person)| Owner { client: *client, person: *person, retired: false }).collect(),
        anchors: Vec::new(),
    }
}

/// Which peer of a world speaks for this person of a recording.
fn peer_of(person: u64) -> usize {
    usize::try_from(person).unwrap() % 2
}

/// Plays a recording into a real room: nothing may be refused.
fn play(recording: &Recording) -> World {
    let mut world = World::open(&recording.updates[0].1, None);
    for (nth, (person, update)) in recording.updates.iter().enumerate().skip(1) {
        world.send(peer_of(*person), &frame::update(update));
        let refused: Vec<&String> =
            world.outcome.keys().filter(|outcome| !matches!(outcome.as_str(), "admitted" | "nothing new")).collect();
        assert!(refused.is_empty(), "update {nth}: {refused:?}");
    }
    world
}

/// What Yjs' own clients make, drawn from a seed.
fn record(documents: u32, edits: u32) -> (u32, Vec<Recording>) {
    let seed: u32 = named_seed().map_or_else(|| Uuid::new_v4().as_fields().0, |seed| u32::try_from(seed).unwrap_or(u32::MAX));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/judges/yjs/record.mjs");
    let made = Command::new("node").arg(script).args([seed, documents, edits].map(|number| number.to_string())).output();
    let made = made.expect("Node is needed for the outside judge");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (seed, recordings(&made.stdout))
}

fn named_seed() -> Option<u64> {
    env::var("SAMSPIL_SEED").ok().and_then(|seed| seed.parse().ok())
}

#[test]
fn f5_of_ten_thousand_honest_updates_none_is_refused() {
    let (seed, recordings) = record(50, 200);
    println!("again: SAMSPIL_SEED={seed} cargo test -p samspil-server --lib f5_");
    let mut admitted = 0;
    for recording in &recordings {
        admitted += play(recording).outcome.get("admitted").copied().unwrap_or(0);
    }
    assert!(recordings.iter().map(|recording| recording.updates.len()).sum::<usize>() >= 10_000);
    assert!(admitted > 8_000, "only {admitted} of them brought anything new");
}

#[test]
fn f6_a_thousand_documents_say_the_same_in_the_browsers_library_and_here() {
    let (seed, recordings) = record(1_000, 25);
    println!("again: SAMSPIL_SEED={seed} cargo test -p samspil-server --lib f6_");
    assert_eq!(recordings.len(), 1_000);
    for (nth, recording) in recordings.iter().enumerate() {
        let world = play(recording);
        let live = world.room.committed().unwrap();
        assert_eq!(text(&live.content()), recording.content, "document {nth}");
        assert!(world.check(), "document {nth}: its state says something else");
    }
}

#[test]
fn known_killers_are_refused_or_harmless() {
    let honest = recordings(HONEST);
    let killers = killers();
    assert!(killers.len() >= 15);
    for recording in &honest {
        let mut world = play(recording);
        world.outcome.clear();
        for (name, killer) in &killers {
            let begun = Instant::now();
            for frame in [frame::update(killer), frame::sync_step2(killer), frame::sync_step1(killer)] {
                world.send(0, &frame);
            }
            assert!(begun.elapsed() < KILLED_AFTER, "{name} takes too long");
        }
        assert!(!world.outcome.contains_key("admitted"), "{:?}", world.outcome);
        world.check();
    }
}

/// One episode, or the beginning of it.
#[derive(Clone, Copy, Debug)]
struct Episode {
    seed: u64,
    number: u64,
}

impl Episode {
    /// Plays it up to and with this step.
    fn play(self, steps: u64, material: &Material, about_to: &mut dyn FnMut(u64, &[u8])) -> World {
        let mut random = Random::new(self.seed ^ self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let recording = &material.honest[random.below(material.honest.len())];
        let watch = material.quarantine.watch(DocumentId(Uuid::from_u128(100)), 0);
        let mut world = World::open(&recording.updates[0].1, Some(watch));
        let mut known = Known::default();
        known.learn(&recording.updates[0].1, &material.limits);
        let mut next = 1;
        // A document in which something stands already.
        for (person, update) in recording.updates.iter().skip(1).take(random.below(recording.updates.len())) {
            for row in world.send(peer_of(*person), &frame::update(update)) {
                known.learn(&row, &material.limits);
            }
            next += 1;
        }
        world.outcome.clear();
        for step in 0..steps {
            let (peer, update) = match recording.updates.get(next).filter(|_| random.below(12) == 0) {
                Some((person, update)) => {
                    next += 1;
                    (peer_of(*person), update.clone())
                }
                None => (random.below(3), random.hostile(&known, &material.honest_updates, &material.killers, &material.limits)),
            };
            about_to(step, &update);
            let frame = match random.below(10) {
                0 => frame::sync_step2(&update),
                1 => frame::sync_step1(&update),
                _ => frame::update(&update),
            };
            for row in world.send(peer, &frame) {
                known.learn(&row, &material.limits);
            }
        }
        world
    }
}

/// What every episode is made from.
struct Material {
    honest: Vec<Recording>,
    honest_updates: Vec<Bytes>,
    killers: Vec<Bytes>,
    limits: UpdateLimits,
    quarantine: std::sync::Arc<Quarantine>,
}

impl Material {
    fn gather(dir: &Path) -> Self {
        let honest = recordings(HONEST);
        let honest_updates = honest.iter().flat_map(|one| &one.updates).map(|(_, update)| update.clone()).collect();
        Self {
            honest,
            honest_updates,
            killers: killers().into_iter().map(|(_, killer)| killer).collect(),
            limits: update_limits(&limits()),
            quarantine: Quarantine::open(dir).unwrap(),
        }
    }
}

/// What a process of the storm is to do: `SAMSPIL_STORM=seed:first:every:episodes:steps`.
#[derive(Clone, Copy, Debug)]
struct Task {
    seed: u64,
    first: u64,
    every: u64,
    episodes: u64,
    steps: u64,
}

impl FromStr for Task {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Vec<u64> = text.split(':').map(str::parse).collect::<Result<_, _>>()?;
        let [seed, first, every, episodes, steps] = numbers[..] else { panic!("SAMSPIL_STORM=seed:first:every:episodes:steps") };
        Ok(Self { seed, first, every, episodes, steps })
    }
}

/// The part of the storm that a process of its own runs.
#[test]
#[ignore = "run by f4_, and by scripts/storm"]
fn worker() {
    let task: Task = env::var("SAMSPIL_STORM").expect("SAMSPIL_STORM says what to do").parse().unwrap();
    let dir = PathBuf::from(env::var_os("SAMSPIL_STORM_DIR").expect("SAMSPIL_STORM_DIR says where to note it"));
    let notes = File::create(dir.join("notes")).unwrap();
    let worker = move || {
        let material = Material::gather(&dir);
        let clock = material.quarantine.watch(DocumentId(Uuid::nil()), 1);
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for nth in 0..task.episodes {
            let episode = Episode { seed: task.seed, number: task.first + nth * task.every };
            let mut since = clock.cpu();
            let mut note = Vec::new();
            let world = episode.play(task.steps, &material, &mut |step, update| {
                let cpu = clock.cpu();
                let took = cpu.saturating_sub(since);
                assert!(took < HANGS_AFTER, "an update took {took:?}");
                since = cpu;
                note.clear();
                note.extend(episode.number.to_le_bytes());
                note.extend(step.to_le_bytes());
                note.extend((update.len() as u64).to_le_bytes());
                note.extend(update);
                notes.write_all_at(&note, 0).unwrap();
            });
            *sums.entry("ended in states that depend on the order of arrival, or cannot be foretold".to_owned()).or_default() +=
                u64::from(!world.check());
            for (outcome, count) in world.outcome {
                *sums.entry(outcome).or_default() += count;
            }
        }
        let memory: usize = fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        assert!(memory * 4096 < MEMORY_MAX, "{} MiB held at the end", (memory * 4096) >> 20);
        for (outcome, count) in sums {
            println!("storm: {count} {outcome}");
        }
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(worker).unwrap().join().unwrap();
}

/// A process of the storm, and where it notes what it does.
struct Worker {
    child: Child,
    task: Task,
    dir: PathBuf,
    /// What it had noted when its processor time was last looked at, and how much that was.
    seen: (Vec<u8>, Duration),
}

impl Worker {
    fn start(task: Task, dir: PathBuf) -> Self {
        fs::create_dir_all(&dir).unwrap();
        let Task { seed, first, every, episodes, steps } = task;
        let child = Command::new(env::current_exe().unwrap())
            .args(["rooms::admission::storm::worker", "--exact", "--ignored", "--nocapture"])
            .env("SAMSPIL_STORM", format!("{seed}:{first}:{every}:{episodes}:{steps}"))
            .env("SAMSPIL_STORM_DIR", &dir)
            .stdout(File::create(dir.join("said")).unwrap())
            .stderr(File::create(dir.join("cried")).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, task, dir, seen: (Vec::new(), Duration::ZERO) }
    }

    /// Does it go on? Processor time counts: on a busy machine a second is not a second.
    fn hangs(&mut self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let ticks: u64 =
            stat.rsplit(')').next().unwrap_or("").split(' ').skip(12).take(2).filter_map(|part| part.parse::<u64>().ok()).sum();
        let cpu = Duration::from_millis(ticks * 10);
        let mut notes = fs::read(self.dir.join("notes")).unwrap_or_default();
        notes.truncate(16);
        if notes != self.seen.0 {
            self.seen = (notes, cpu);
        }
        cpu.saturating_sub(self.seen.1) > KILLED_AFTER
    }

    /// Waits until it has ended. `Err`: how it failed, and how to have that again.
    fn ended(&mut self) -> Option<Result<String, String>> {
        let how = match self.child.try_wait().unwrap() {
            Some(status) if status.success() => return Some(Ok(fs::read_to_string(self.dir.join("said")).unwrap())),
            Some(status) => status.to_string(),
            None if self.hangs() => {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                "it hangs".to_owned()
            }
            None => return None,
        };
        let notes = fs::read(self.dir.join("notes")).unwrap();
        let number = |at: usize| notes.get(at..at + 8).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        let (episode, step, len) = (number(0), number(8), usize::try_from(number(16)).unwrap());
        let file = env::temp_dir().join(format!("samspil-storm-{}-{episode}-{step}.bin", self.task.seed));
        fs::write(&file, notes.get(24..24 + len).unwrap_or_default()).unwrap();
        let cried = fs::read_to_string(self.dir.join("cried")).unwrap_or_default();
        let said = fs::read_to_string(self.dir.join("said")).unwrap_or_default();
        Some(Err(format!(
            "{how} at step {step} of episode {episode}\n{said}{cried}\nthe update: {}\nagain: scripts/storm --again {}:{episode}:{}",
            file.display(),
            self.task.seed,
            step + 1
        )))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has ended, unless another has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn f4_hostile_updates_neither_end_the_server_nor_hold_it_up() {
    let updates = env::var("SAMSPIL_STORM_UPDATES").ok().and_then(|updates| updates.parse().ok()).unwrap_or(UPDATES);
    let seed = named_seed().unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    println!("storm: seed {seed}");
    let dir = env::temp_dir().join(format!("samspil-storm-{}", Uuid::new_v4()));
    let workers = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let episodes = updates.div_ceil(STEPS * workers);
    let task = |first| Task { seed, first, every: workers, episodes, steps: STEPS };
    let mut running: Vec<Worker> = (0..workers).map(|first| Worker::start(task(first), dir.join(first.to_string()))).collect();
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    while !running.is_empty() {
        std::thread::sleep(Duration::from_millis(200));
        running.retain_mut(|worker| match worker.ended() {
            None => true,
            Some(Err(failed)) => panic!("{failed}"),
            Some(Ok(said)) => {
                for line in said.lines().filter_map(|line| line.strip_prefix("storm: ")) {
                    let (count, outcome) = line.split_once(' ').unwrap();
                    *sums.entry(outcome.to_owned()).or_default() += count.parse::<u64>().unwrap();
                }
                false
            }
        });
    }
    fs::remove_dir_all(dir).unwrap();
    let tried = episodes * workers * STEPS;
    println!("storm: {tried} tried, seed {seed}: {sums:?}");
    // A storm that is refused at the first door shows nothing.
    let count = |outcome: &str| sums.get(outcome).copied().unwrap_or(0);
    assert!(count("admitted") * 20 > tried, "too few are admitted to show anything");
    for code in ["Malformed", "TooLarge", "Gap", "Dead", "Schema", "ClientId"] {
        assert!(count(&format!("refused as {code}")) > 0, "none is refused as {code}");
    }
}

/// The index that grew with the document knows what one does that is made from its log, or from its state.
#[test]
fn the_index_that_grew_is_the_index_that_is_made_anew() {
    for recording in recordings(HONEST) {
        let limits = update_limits(&limits());
        let mut grown = super::Index::default();
        grown.load(&recording.updates[0].1, Kept::Row, &limits).unwrap();
        let mut log = vec![recording.updates[0].1.clone()];
        for (_, update) in &recording.updates[1..] {
            let admitted = grown.admit(update, &super::tests::Anybody, &limits).unwrap();
            log.push(admitted.update.clone());
            grown.learn(admitted);
        }
        let mut anew = super::Index::default();
        for update in &log {
            anew.load(update, Kept::Row, &limits).unwrap();
        }
        assert_eq!(grown.what_it_knows(), anew.what_it_knows());
    }
}

/// What is admitted applies, and makes exactly the state vector that the index then expects.
#[test]
fn the_state_vector_is_as_the_index_says() {
    for recording in recordings(HONEST) {
        let world = play(&recording);
        let mut index = super::Index::default();
        for update in &world.log {
            index.load(update, Kept::Row, &update_limits(&limits())).unwrap();
        }
        assert_eq!(vector(world.room.committed().unwrap()), index.state_vector());
    }
}
