//! The rows of the table: what people do, on our server and then on Hocuspocus, each freshly started on the same PostgreSQL.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::{Signal, kill_process};
use sqlx::Connection as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::people::{Board, Caret, Measured, Pace, Promise, Reader, Writer, micros, missing, rest};
use crate::servers::{Programs, Server, own_ticks, ticks_of_family};
use crate::table::{Figure, Line};
use crate::wire::{Dialect, Error, Seat, Socket};

/// How many people come through the door at once.
const AT_THE_DOOR: usize = 32;
/// On Linux, for programs, always.
const TICKS_PER_S: f64 = 100.0;
/// One person pours in what thousands would type; the limits are for one person each.
const FOR_POURING: &[(&str, &str)] = &[
    ("SAMSPIL_LIMIT_PEER_UPDATES_PER_S", "1000000"),
    ("SAMSPIL_LIMIT_PEER_CPU_MS_PER_10S", "1000000"),
    ("SAMSPIL_LIMIT_PEER_BYTES_PER_S", "1000000000"),
    ("SAMSPIL_LIMIT_PEER_UPDATES_BURST", "1000000"),
];
/// Rooms without people leave memory after a second instead of a minute, so that the end of the row can be seen.
const FOR_WAVES: &[(&str, &str)] = &[("SAMSPIL_LIMIT_ROOM_IDLE_S", "1")];

/// Everything that is measured on.
pub struct Bench {
    /// Where the servers are.
    pub programs: Programs,
    /// How long people write in a row.
    pub seconds: u32,
    /// Edits of the long document.
    pub ingest: u32,
    /// One commit, p50 and p99, in microseconds.
    pub commit: (f64, f64),
    /// What has been measured so far.
    pub lines: Vec<Line>,
    /// Acknowledged edits that are not there: of ours, where nobody killed anything.
    pub missing: u64,
}

/// A server and what it is asked to be.
struct Subject<'a> {
    programs: &'a Programs,
    server: Server,
}

impl Subject<'_> {
    /// Stops it and starts it anew, with these settings if it is ours.
    async fn restart(&mut self, settings: &[(&str, &str)]) -> Result<(), Error> {
        self.server.stop().await?;
        self.start(settings).await
    }

    async fn start(&mut self, settings: &[(&str, &str)]) -> Result<(), Error> {
        self.server = match self.server.dialect {
            Dialect::Samspil => self.programs.samspil(settings).await?,
            Dialect::Hocuspocus => self.programs.hocuspocus().await?,
        };
        Ok(())
    }

    /// New documents with so many writers and readers.
    async fn documents(&self, documents: usize, writers: usize, readers: usize) -> Result<Vec<Vec<Seat>>, Error> {
        if self.server.dialect == Dialect::Samspil {
            let prepared = self.programs.prepare(documents, writers, readers).await?;
            return Ok(prepared.iter().map(|document| self.server.seats(document)).collect());
        }
        let named = |_| {
            let document = Uuid::new_v4().to_string();
            let seat = Seat { addr: self.server.addr, dialect: Dialect::Hocuspocus, document, cookie: String::new() };
            vec![seat; writers + readers]
        };
        Ok((0..documents).map(named).collect())
    }

    /// The same seats after a restart.
    fn again(&self, seats: &[Seat]) -> Vec<Seat> {
        seats.iter().map(|seat| Seat { addr: self.server.addr, ..seat.clone() }).collect()
    }
}

/// What a crowd that wrote found.
struct Crowd {
    found: Measured,
    missing: u64,
    server_percent: f64,
    database_percent: f64,
    generator_percent: f64,
}

impl Bench {
    /// Runs a row on ours and then on Hocuspocus, if it is here. Each finds a server that has just started, and none beside it but the
    /// other one's when it runs the database and has nothing to do.
    async fn both<T>(
        &self,
        settings: &[(&str, &str)],
        row: impl AsyncFn(&mut Subject<'_>) -> Result<T, Error>,
    ) -> Result<(T, Option<T>), Error> {
        let mut subject = Subject { programs: &self.programs, server: self.programs.samspil(settings).await? };
        let ours = row(&mut subject).await?;
        subject.server.stop().await?;
        if !self.programs.has_rival() {
            return Ok((ours, None));
        }
        let mut database = self.programs.samspil(&[]).await?;
        let mut subject = Subject { programs: &self.programs, server: self.programs.hocuspocus().await? };
        let theirs = row(&mut subject).await?;
        subject.server.stop().await?;
        database.stop().await?;
        Ok((ours, Some(theirs)))
    }

    /// The yardstick: one client's durable transaction on the same cluster, raising a head and inserting a row, one after another.
    pub async fn one_commit(&mut self) -> Result<(), Error> {
        let mut server = self.programs.samspil(&[]).await?;
        let mut connection = sqlx::PgConnection::connect(&self.programs.database()?).await?;
        let document: Uuid = sqlx::query_scalar("SELECT id FROM document WHERE NOT is_closed_to_words(status) ORDER BY id DESC LIMIT 1")
            .fetch_one(&mut connection)
            .await?;
        let mut taken = Vec::new();
        for _ in 0..2_000 {
            let began = Instant::now();
            let mut transaction = connection.begin().await?;
            let head: i64 = sqlx::query_scalar("UPDATE document SET head = head + 1 WHERE id = $1 RETURNING head")
                .bind(document)
                .fetch_one(&mut *transaction)
                .await?;
            sqlx::query("INSERT INTO document_update (document_id, seq, payload, hash, at) VALUES ($1, $2, '\\x0000', '\\x00', now())")
                .bind(document)
                .bind(head)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            taken.push(micros(began.elapsed()));
        }
        connection.close().await?;
        server.stop().await?;
        self.commit = (percentile(&mut taken, 500), percentile(&mut taken, 990));
        self.lines.push(Line::new("one commit, p50", "about 0.5 ms on a good disk").figures(Figure::Us(self.commit.0), None));
        self.lines.push(Line::new("one commit, p99", "").figures(Figure::Us(self.commit.1), None));
        Ok(())
    }

    /// 1,000 edits a second: 50 documents, 2 writers each, 10 edits a second each, carets moving.
    pub async fn edits(&mut self) -> Result<(), Error> {
        let (mut ours, mut theirs) = self.crowds(50).await?;
        let acknowledged = |found: &mut Measured, per_mille| percentile(&mut found.acknowledged_us, per_mille);
        for (name, per_mille, commit, goal) in
            [("p50", 500, self.commit.0, "2 × one commit"), ("p99", 990, self.commit.1, "8 × one commit")]
        {
            let (us, them) =
                (acknowledged(&mut ours.found, per_mille), theirs.as_mut().map(|crowd| acknowledged(&mut crowd.found, per_mille)));
            let what = format!("50 documents × 2 writers × 10 edits/s, carets moving: acknowledged, {name}");
            self.lines.push(Line::new(what, goal).figures(Figure::Us(us), them.map(Figure::Us)).commits(us, commit));
        }
        let late = acknowledged(&mut ours.found, 990) + 1_000.0;
        for (name, per_mille, goal) in [("p50", 500, String::new()), ("p99", 990, format!("{} and theirs", Figure::Us(late)))] {
            let us = percentile(&mut ours.found.seen_us, per_mille);
            let them = theirs.as_mut().map(|crowd| percentile(&mut crowd.found.seen_us, per_mille));
            self.lines.push(Line::new(format!("… seen by the other, {name}"), goal).figures(Figure::Us(us), them.map(Figure::Us)));
        }
        self.lines.push(missing_line("… edits, of which missing", &ours, theirs.as_ref()));
        let them = theirs.as_ref().map(|crowd| Figure::Percent(crowd.server_percent));
        self.lines.push(Line::new("… processor of the server", "a third of theirs").figures(Figure::Percent(ours.server_percent), them));
        let them = theirs.as_ref().map(|crowd| Figure::Percent(crowd.database_percent));
        self.lines.push(Line::new("… processor of the database", "").figures(Figure::Percent(ours.database_percent), them));
        self.missing += ours.missing;
        Ok(())
    }

    /// Many edits a second over many documents.
    pub async fn many(&mut self, documents: usize, goal: &str) -> Result<(), Error> {
        let (mut ours, mut theirs) = self.crowds(documents).await?;
        let what = format!("{} edits/s over {documents} documents, carets moving: acknowledged, p99", documents * 20);
        let them = theirs.as_mut().map(|crowd| Figure::Us(percentile(&mut crowd.found.acknowledged_us, 990)));
        self.lines.push(Line::new(what, goal).figures(Figure::Us(percentile(&mut ours.found.acknowledged_us, 990)), them));
        let them = theirs.as_mut().map(|crowd| Figure::Us(percentile(&mut crowd.found.seen_us, 990)));
        self.lines.push(Line::new("… seen by the other, p99", "").figures(Figure::Us(percentile(&mut ours.found.seen_us, 990)), them));
        self.lines.push(missing_line("… edits, of which missing", &ours, theirs.as_ref()));
        let them = theirs.as_ref().map(|crowd| Figure::Percent(crowd.server_percent));
        self.lines.push(Line::new("… processor of the server", "").figures(Figure::Percent(ours.server_percent), them));
        let them = theirs.as_ref().map(|crowd| Figure::Percent(crowd.generator_percent));
        self.lines.push(Line::new("… processor of the generator", "").figures(Figure::Percent(ours.generator_percent), them));
        let them = theirs.as_mut().map(|crowd| Figure::Us(percentile(&mut crowd.found.late_us, 990)));
        self.lines.push(
            Line::new("… the generator itself was late, p99", "").figures(Figure::Us(percentile(&mut ours.found.late_us, 990)), them),
        );
        self.missing += ours.missing;
        Ok(())
    }

    async fn crowds(&self, documents: usize) -> Result<(Crowd, Option<Crowd>), Error> {
        let pace = Pace { per_s: 10, seconds: self.seconds, characters: 1, caret: Caret::Moves };
        self.both(&[], async |subject| {
            let seats = subject.documents(documents, 2, 0).await?;
            let crowd = write(subject, &seats, pace, None).await?;
            if let Some(why) = &crowd.found.broken {
                return Err(format!("{:?}: {why}", subject.server.dialect).into());
            }
            Ok(crowd)
        })
        .await
    }

    /// One document of very many edits: how fast they go in, how long it takes to open when cold, and how it is to type in it.
    pub async fn document(&mut self) -> Result<(), Error> {
        let (count, seconds) = (self.ingest, self.seconds.min(10));
        let (mut ours, mut theirs) = self.both(FOR_POURING, async |subject| long_document(subject, count, seconds).await).await?;
        let them = theirs.as_ref().map(|long| Figure::PerS(long.per_s));
        let what = format!("one document of {count} edits: taken in");
        self.lines.push(Line::new(what, "40000 /s").figures(Figure::PerS(ours.per_s), them));
        let them = theirs.as_mut().map(|long| Figure::Us(percentile(&mut long.opened_us, 500)));
        self.lines
            .push(Line::new("… opened after a restart, p50 of 3", "20 ms").figures(Figure::Us(percentile(&mut ours.opened_us, 500)), them));
        for (name, per_mille) in [("p50", 500), ("p99", 990)] {
            let us = percentile(&mut ours.typing_us, per_mille);
            let empty = percentile(&mut ours.typing_in_empty_us, per_mille);
            let them = theirs.as_mut().map(|long| Figure::Us(percentile(&mut long.typing_us, per_mille)));
            let goal = format!("as in an empty one: {}", Figure::Us(empty));
            self.lines.push(Line::new(format!("… typing in it acknowledged, {name}"), goal).figures(Figure::Us(us), them));
        }
        let them = theirs.as_ref().map(|long| Figure::Count(long.missing));
        self.lines.push(Line::new("… edits missing after the restart", "0").figures(Figure::Count(ours.missing), them));
        self.missing += ours.missing;
        Ok(())
    }

    /// Memory at rest, and with 1,000 open pages that have a caret.
    pub async fn idle(&mut self) -> Result<(), Error> {
        let row = async |subject: &mut Subject<'_>| {
            let at_rest = subject.server.settled_kib(Duration::from_secs(10)).await?;
            let seats: Vec<Seat> = subject.documents(500, 2, 0).await?.into_iter().flatten().collect();
            let sockets = through_the_door(seats, async |seat| rest(&seat).await).await?;
            let with = subject.server.settled_kib(Duration::from_secs(20)).await?;
            Ok((number(at_rest), (number(with) - number(at_rest)) / number(sockets.len() as u64)))
        };
        let (ours, theirs) = self.both(&[], row).await?;
        self.lines.push(Line::new("memory at rest", "30 MiB").figures(Figure::Kib(ours.0), theirs.map(|them| Figure::Kib(them.0))));
        let what = "memory for each of 1000 idle connections with a caret, two to a document";
        self.lines.push(Line::new(what, "20 KiB").figures(Figure::Kib(ours.1), theirs.map(|them| Figure::Kib(them.1))));
        Ok(())
    }

    /// Memory after the first connection, 1,000 and 10,000 connections came and went. The first brings in the parts of the program that
    /// serve connections at all.
    pub async fn waves(&mut self) -> Result<(), Error> {
        let row = async |subject: &mut Subject<'_>| {
            let seats: Vec<Seat> = subject.documents(500, 2, 0).await?.into_iter().flatten().collect();
            let at_rest = subject.server.settled_kib(Duration::from_secs(10)).await?;
            let mut after = Vec::new();
            for wave in 0..=10 {
                let wave_of = if wave == 0 { &seats[..1] } else { &seats[..] };
                drop(through_the_door(wave_of.to_vec(), async |seat| rest(&seat).await).await?);
                if [0, 1, 10].contains(&wave) {
                    after.push(number(subject.server.settled_kib(Duration::from_secs(20)).await?));
                }
            }
            Ok((number(at_rest), after))
        };
        let (ours, theirs) = self.both(FOR_WAVES, row).await?;
        let them = theirs.as_ref().map(|them| Figure::Kib(them.0));
        self.lines.push(Line::new("memory before connections come and go", "").figures(Figure::Kib(ours.0), them));
        let goals = [("… after the first came and went", ""), ("… after 1000", ""), ("… after 10000", "as before")];
        for (place, (what, goal)) in goals.into_iter().enumerate() {
            let them = theirs.as_ref().map(|them| Figure::Kib(them.1[place]));
            self.lines.push(Line::new(what, goal).figures(Figure::Kib(ours.1[place]), them));
        }
        Ok(())
    }

    /// One person writes, 500 read.
    pub async fn fan_out(&mut self) -> Result<(), Error> {
        let pace = Pace { per_s: 20, seconds: self.seconds, characters: 1, caret: Caret::Hidden };
        let row = async |subject: &mut Subject<'_>| {
            let seats = subject.documents(1, 2, 500).await?.swap_remove(0);
            read_along(subject, &seats[..1], &seats[2..], pace).await
        };
        let (mut ours, theirs) = self.both(&[], row).await?;
        let mut theirs = theirs.map(|along| along.seen);
        for (name, per_mille, goal) in [("p50", 500, ""), ("p99", 990, "theirs")] {
            let them = theirs.as_mut().map(|seen| Figure::Us(percentile(&mut seen.seen_us, per_mille)));
            let us = Figure::Us(percentile(&mut ours.seen.seen_us, per_mille));
            self.lines.push(Line::new(format!("20 edits/s to 500 readers: seen, {name}"), goal).figures(us, them));
        }
        let them = theirs.map(|seen| Figure::Count(seen.unseen));
        self.lines.push(Line::new("… not seen by a reader who should have", "0").figures(Figure::Count(ours.seen.unseen), them));
        self.missing += ours.seen.unseen;
        Ok(())
    }

    /// 500 edits a second of 4 kB each, first with readers who read, then with one who has stopped reading.
    pub async fn stalled(&mut self) -> Result<(), Error> {
        // Faster than this one person may not write; each edit replaces the one before, so that the document stays small.
        let pace = Pace { per_s: 50, seconds: self.seconds, characters: 4_000, caret: Caret::Hidden };
        let row = async |subject: &mut Subject<'_>| {
            let seats = subject.documents(1, 10, 6).await?.swap_remove(0);
            let (writers, readers) = (&seats[..10], &seats[10..15]);
            let before = read_along(subject, writers, readers, pace).await?;
            let stalled = Socket::open_narrow(&seats[15]).await?;
            let beside = read_along(subject, writers, readers, pace).await?;
            drop(stalled);
            Ok((before, beside))
        };
        let (mut ours, mut theirs) = self.both(&[], row).await?;
        let us = number(ours.1.peak_kib) - number(ours.0.peak_kib);
        let them = theirs.as_ref().map(|them| Figure::Kib(number(them.1.peak_kib) - number(them.0.peak_kib)));
        let what = format!("one reader stalled for {} s at 500 updates/s of 4 kB: extra memory", self.seconds);
        self.lines.push(Line::new(what, "4 MiB").figures(Figure::Kib(us), them));
        let before = percentile(&mut ours.0.seen.seen_us, 990);
        let us = Figure::Us(percentile(&mut ours.1.seen.seen_us, 990));
        let them = theirs.as_mut().map(|them| Figure::Us(percentile(&mut them.1.seen.seen_us, 990)));
        let goal = format!("as without: {}", Figure::Us(before));
        self.lines.push(Line::new("… seen by the other readers, p99", goal).figures(us, them));
        self.missing += ours.0.seen.unseen + ours.1.seen.unseen;
        Ok(())
    }

    /// The server is killed while 100 people write; what it had acknowledged is looked for in the next one.
    pub async fn killed(&mut self) -> Result<(), Error> {
        let pace = Pace { per_s: 10, seconds: self.seconds, characters: 1, caret: Caret::Hidden };
        let row = async |subject: &mut Subject<'_>| {
            let seats = subject.documents(50, 2, 0).await?;
            let after = Duration::from_secs(u64::from(pace.seconds)) * 4 / 5;
            let crowd = write(subject, &seats, pace, Some(after)).await?;
            let acknowledged = crowd.found.sent - crowd.found.unacknowledged;
            Ok((acknowledged, crowd.missing))
        };
        let (ours, theirs) = self.both(&[], row).await?;
        let said = |(acknowledged, lost): (u64, u64)| format!("{lost} of {acknowledged}");
        let what = "killed (-9) while 100 people write 10 edits/s: acknowledged edits lost";
        self.lines.push(Line::new(what, "0").words(said(ours), theirs.map(said)));
        self.missing += ours.1;
        Ok(())
    }

    /// Every document's log, replayed, is what was served.
    pub async fn verify(&mut self) -> Result<(), Error> {
        let mut server = self.programs.samspil(&[]).await?;
        let documents = self.programs.verify().await?;
        server.stop().await?;
        self.lines
            .push(Line::new("documents whose log replays to what is served", "all").words(format!("{documents} of {documents}"), None));
        Ok(())
    }
}

/// Everybody writes at a pace. With `killed`, the server is killed so long after they began, and started again.
async fn write(subject: &mut Subject<'_>, documents: &[Vec<Seat>], pace: Pace, killed: Option<Duration>) -> Result<Crowd, Error> {
    let mut places = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        let board = Rc::new(Board::default());
        places.extend(document.iter().map(|seat| (number, seat.clone(), board.clone())));
    }
    let mut writers = through_the_door(places, async |(number, seat, board)| Ok((number, Writer::sit_down(&seat, board).await?))).await?;
    // Client ids are drawn, so this shuffles: the people of one document do not write at the same moment of the interval.
    writers.sort_by_key(|(_, writer)| writer.client());
    let (server_ticks, database_ticks) = (subject.server.ticks()?, ticks_of_family(subject.programs.postmaster()?)?);
    let generator_ticks = own_ticks()?;
    let began = Instant::now();
    let interval = Duration::from_secs(1) / pace.per_s;
    let count = u32::try_from(writers.len())?;
    let mut writing = JoinSet::new();
    for (place, (number, writer)) in (0..).zip(writers) {
        let first = began + Duration::from_millis(200) + interval * place / count;
        let others = documents[number].len() as u64 - 1;
        writing.spawn_local(async move { (number, writer.write(pace, first, others).await) });
    }
    if let Some(after) = killed {
        tokio::time::sleep_until(began + after).await;
        kill_process(subject.server.pid(), Signal::KILL)?;
    }
    let (mut found, mut promised) = (Measured::default(), HashMap::<usize, Vec<Promise>>::new());
    while let Some(done) = writing.join_next().await {
        let (number, mut one) = done?;
        promised.entry(number).or_default().append(&mut one.promised);
        found.add(one);
    }
    let elapsed = began.elapsed().as_secs_f64();
    let percent = |ticks: u64| number(ticks) / TICKS_PER_S / elapsed * 100.0;
    let generator_percent = percent(own_ticks()? - generator_ticks);
    let (mut server_percent, mut database_percent) = (0.0, 0.0);
    if killed.is_some() {
        subject.server.gone().await?;
        subject.start(&[]).await?;
    } else {
        server_percent = percent(subject.server.ticks()? - server_ticks);
        database_percent = percent(ticks_of_family(subject.programs.postmaster()?)?.saturating_sub(database_ticks));
    }
    let looked = promised.into_iter().map(|(number, promised)| (subject.again(&documents[number]).swap_remove(0), promised)).collect();
    let lost = through_the_door(looked, async |(seat, promised): (Seat, Vec<_>)| missing(&seat, &promised).await).await?;
    Ok(Crowd { found, missing: lost.iter().sum(), server_percent, database_percent, generator_percent })
}

struct Along {
    seen: Measured,
    peak_kib: u64,
}

/// Some write, some read along; and how much memory the server took at most.
async fn read_along(subject: &mut Subject<'_>, writers: &[Seat], readers: &[Seat], pace: Pace) -> Result<Along, Error> {
    let board = Rc::new(Board::default());
    let with_board = |seat: &Seat| (seat.clone(), board.clone());
    let writers =
        through_the_door(writers.iter().map(with_board).collect(), async |(seat, board)| Writer::sit_down(&seat, board).await).await?;
    let readers =
        through_the_door(readers.iter().map(with_board).collect(), async |(seat, board)| Reader::sit_down(&seat, board).await).await?;
    let edits = writers.len() as u64 * u64::from(pace.per_s * pace.seconds);
    let first = Instant::now() + Duration::from_millis(200);
    let until = first + Duration::from_secs(u64::from(pace.seconds));
    let (count, others) = (u32::try_from(writers.len())?, writers.len() as u64 - 1);
    let mut doing = JoinSet::new();
    for (place, writer) in (0..).zip(writers) {
        let first = first + Duration::from_secs(1) / pace.per_s * place / count;
        doing.spawn_local(async move { (false, writer.write(pace, first, others).await) });
    }
    for reader in readers {
        doing.spawn_local(async move { (true, reader.read(edits, until).await) });
    }
    let (mut seen, mut peak_kib) = (Measured::default(), 0);
    let mut look = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            _ = look.tick() => peak_kib = peak_kib.max(subject.server.resident_kib()?),
            done = doing.join_next() => match done.transpose()? {
                None => return Ok(Along { seen, peak_kib }),
                Some((_, Measured { broken: Some(why), .. })) => return Err(format!("{:?}: {why}", subject.server.dialect).into()),
                Some((true, one)) => seen.add(one),
                Some((false, _)) => {}
            },
        }
    }
}

struct Long {
    per_s: f64,
    opened_us: Vec<u32>,
    typing_us: Vec<u32>,
    typing_in_empty_us: Vec<u32>,
    missing: u64,
}

async fn long_document(subject: &mut Subject<'_>, count: u32, seconds: u32) -> Result<Long, Error> {
    let documents = subject.documents(2, 2, 0).await?;
    let (long, short) = (&documents[0][..1], &documents[1][..1]);
    let mut writer = Writer::sit_down(&long[0], Rc::default()).await?;
    let (took, promised) = writer.pour(count).await?;
    drop(writer);
    let mut opened_us = Vec::new();
    for _ in 0..3 {
        subject.restart(&[]).await?;
        // The document is to be cold, not the program.
        drop(Socket::open(&subject.again(short)[0]).await?);
        let seat = &subject.again(long)[0];
        let began = Instant::now();
        let _socket = Socket::open(seat).await?;
        opened_us.push(micros(began.elapsed()));
    }
    let lost = missing(&subject.again(long)[0], &[promised]).await?;
    let pace = Pace { per_s: 40, seconds, characters: 1, caret: Caret::Hidden };
    let mut typing = Vec::new();
    for seats in [long, short] {
        let writer = Writer::sit_down(&subject.again(seats)[0], Rc::default()).await?;
        typing.push(writer.write(pace, Instant::now(), 0).await.acknowledged_us);
    }
    let (typing_in_empty_us, typing_us) = (typing.pop().unwrap_or_default(), typing.pop().unwrap_or_default());
    Ok(Long { per_s: f64::from(count) / took.as_secs_f64(), opened_us, typing_us, typing_in_empty_us, missing: lost })
}

/// Lets all of them in, a few at a time.
async fn through_the_door<P: 'static, T: 'static>(places: Vec<P>, enter: impl AsyncFn(P) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    let door = Semaphore::new(AT_THE_DOOR);
    let entering = places.into_iter().map(async |place| {
        let _in_the_door = door.acquire().await?;
        enter(place).await
    });
    join_all(entering).await.into_iter().collect()
}

fn missing_line(what: &str, ours: &Crowd, theirs: Option<&Crowd>) -> Line {
    let said = |crowd: &Crowd| format!("{}, {}", crowd.found.sent, crowd.missing + crowd.found.unacknowledged + crowd.found.unseen);
    Line::new(what, "0").words(said(ours), theirs.map(said))
}

/// So many of a thousand are at most this long.
fn percentile(values: &mut [u32], per_mille: usize) -> f64 {
    values.sort_unstable();
    values.get((values.len() * per_mille / 1_000).min(values.len().saturating_sub(1))).copied().map_or(f64::NAN, f64::from)
}

#[expect(clippy::cast_precision_loss, reason = "nothing here comes near 2^52")]
fn number(number: u64) -> f64 {
    number as f64
}
