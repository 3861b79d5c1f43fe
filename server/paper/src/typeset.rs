//! The typesetter's world: one template, one file of data, our own fonts, and nothing else. It reads no disk, no network and no clock.

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Datelike as _, NaiveTime, Timelike as _, Utc};
use sha2::{Digest as _, Sha256};
use typst::{
    Library, LibraryExt as _, World,
    diag::{FileError, FileResult, SourceDiagnostic},
    foundations::{Bytes, Datetime, Duration, Smart},
    syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot},
    text::{Font, FontBook},
    utils::LazyHash,
};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

use crate::{Attachment, NotPrinted, Paper, Standing, glyphs::Glyphs, sheet::sheet};

/// The content as it is attached to its own paper.
const CONTENT_FILE: &str = "indhold.json";

/// IBM Plex Sans is the voice of the pages; `DejaVu Sans` has the alphabets and signs that it lacks, Noto Emoji the pictures.
const FONTS: [&[u8]; 7] = [
    include_bytes!("../fonts/IBMPlexSans-Regular.ttf"),
    include_bytes!("../fonts/IBMPlexSans-Italic.ttf"),
    include_bytes!("../fonts/IBMPlexSans-Medium.ttf"),
    include_bytes!("../fonts/IBMPlexSans-SemiBold.ttf"),
    include_bytes!("../fonts/IBMPlexSans-SemiBoldItalic.ttf"),
    include_bytes!("../fonts/DejaVuSans.ttf"),
    include_bytes!("../fonts/NotoEmoji-Regular.ttf"),
];

/// What every paper is set with: read once, used for as long as the server runs.
struct Shop {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
    template: Source,
    data: FileId,
}

static SHOP: LazyLock<Shop> = LazyLock::new(|| {
    let fonts: Vec<Font> = FONTS.iter().filter_map(|font| Font::new(Bytes::new(*font), 0)).collect();
    let template = include_str!("paper.typ");
    Shop {
        library: LazyHash::new(Library::default()),
        book: LazyHash::new(FontBook::from_fonts(&fonts)),
        fonts,
        template: Source::new(file("/paper.typ"), template.to_owned()),
        data: file("/paper.json"),
    }
});

fn file(path: &str) -> FileId {
    RootedPath::new(VirtualRoot::Project, VirtualPath::new(path).expect("our own paths are paths")).intern()
}

/// One paper being set.
struct Sheet {
    data: Bytes,
    attached: Vec<(FileId, Bytes)>,
}

impl World for Sheet {
    fn library(&self) -> &LazyHash<Library> {
        &SHOP.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &SHOP.book
    }

    fn main(&self) -> FileId {
        SHOP.template.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == SHOP.template.id() { Ok(SHOP.template.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        if id == SHOP.data {
            return Ok(self.data.clone());
        }
        let attached = self.attached.iter().find(|(file, _)| *file == id);
        attached.map(|(_, bytes)| bytes.clone()).ok_or(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        SHOP.fonts.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

/// Prints papers, on threads of its own: setting type takes long and goes deep, and neither a worker of the server nor its stack is for that.
#[derive(Clone)]
pub struct Printer {
    threads: Arc<rayon::ThreadPool>,
}

impl Printer {
    /// A printer on so many threads.
    ///
    /// # Panics
    ///
    /// Where the system lets nobody start a thread.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|n| format!("printer-{n}"))
            .stack_size(16 << 20)
            .build()
            .expect("a process that may not start threads serves nobody");
        Self { threads: Arc::new(threads) }
    }

    /// Prints a paper and hands it over; waits for nothing.
    pub fn print(&self, paper: Paper, done: impl FnOnce(Result<Vec<u8>, NotPrinted>) + Send + 'static) {
        self.threads.spawn(move || done(set(&paper)));
    }

    /// Prints a paper and waits for it.
    pub fn print_now(&self, paper: &Paper) -> Result<Vec<u8>, NotPrinted> {
        self.threads.install(|| set(paper))
    }
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer").field("threads", &self.threads.current_num_threads()).finish()
    }
}

/// With every character that some font has; should the typesetter refuse them together (it shapes more than one font's worth of rules),
/// again with those of our own alphabet alone. A document that cannot be printed would be worse than a sign that is spelled out.
fn set(paper: &Paper) -> Result<Vec<u8>, NotPrinted> {
    let has =
        |font: &'static Font| -> Box<dyn Fn(char) -> bool + Send + Sync> { Box::new(|char| font.info().coverage.contains(char as u32)) };
    let everything = Glyphs { fonts: SHOP.fonts.iter().map(has).collect() };
    let printed = set_with(paper, &everything);
    let printed = match printed {
        Err(NotPrinted::Typeset(_)) => set_with(paper, &Glyphs { fonts: SHOP.fonts.iter().take(1).map(plain).collect() }),
        printed => printed,
    };
    // What was remembered of this paper is of no use to the next, and would stay for ever.
    typst::comemo::evict(0);
    printed
}

fn plain(font: &'static Font) -> Box<dyn Fn(char) -> bool + Send + Sync> {
    Box::new(|char| char < '\u{300}' && font.info().coverage.contains(char as u32))
}

fn set_with(paper: &Paper, glyphs: &Glyphs<'_>) -> Result<Vec<u8>, NotPrinted> {
    let hash: [u8; 32] = Sha256::digest(&paper.content).into();
    let mut files = vec![Attachment {
        name: CONTENT_FILE.to_owned(),
        media_type: "application/json".to_owned(),
        description: "Dokumentets indhold, ord for ord, i den form som fingeraftrykket er taget af".to_owned(),
        bytes: paper.content.clone(),
    }];
    files.extend(paper.attachments.iter().cloned());
    let paper_with_files = Paper { attachments: files, ..paper.clone() };
    let data = sheet(&paper_with_files, &hash, glyphs)?;
    let attached = paper_with_files.attachments.into_iter().map(|one| (file(&format!("/{}", one.name)), Bytes::new(one.bytes)));
    let world = Sheet { data: Bytes::from_string(data.to_string()), attached: attached.collect() };
    let document = typst::compile::<PagedDocument>(&world).output.map_err(refused)?;
    let options = PdfOptions {
        ident: Smart::Custom(format!("samspil {} {}", paper.document, hex::encode(hash))),
        creator: Smart::Custom(Some("Samspil".to_owned())),
        timestamp: moment(paper).and_then(timestamp),
        page_ranges: None,
        standards: PdfStandards::new(&[PdfStandard::A_3a, PdfStandard::Ua_1]).expect("the two go together"),
        tagged: true,
        pretty: false,
    };
    typst_pdf::pdf(&document, &options).map_err(refused)
}

fn refused(errors: impl IntoIterator<Item = SourceDiagnostic>) -> NotPrinted {
    NotPrinted::Typeset(errors.into_iter().map(|error| error.message.to_string()).collect())
}

/// The day and hour that the file bears: of what it shows, not of its making.
fn moment(paper: &Paper) -> Option<DateTime<Utc>> {
    match &paper.standing {
        Standing::Draft { at } => Some(*at),
        Standing::Frozen { at, approvals, .. } => approvals.iter().flatten().map(|approval| approval.at).max().or(*at),
        Standing::Adopted { on, .. } => on.map(|day| day.and_time(NaiveTime::MIN).and_utc()),
    }
    .or_else(|| paper.period.map(|(from, _)| from.and_time(NaiveTime::MIN).and_utc()))
    .or(Some(DateTime::UNIX_EPOCH))
}

fn timestamp(at: DateTime<Utc>) -> Option<Timestamp> {
    let small = |number: u32| u8::try_from(number).ok();
    let (year, month, day) = (at.year(), small(at.month())?, small(at.day())?);
    Datetime::from_ymd_hms(year, month, day, small(at.hour())?, small(at.minute())?, small(at.second())?).map(Timestamp::new_utc)
}
