//! JSON bodies of the HTTP interface. Field names are `snake_case`, ids are UUIDs, days are `YYYY-MM-DD`, moments are
//! RFC 3339 with an offset. TypeScript types are generated from here.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

mod life;
mod notices;
mod signoffs;
mod threads;

pub use life::*;
pub use notices::*;
pub use signoffs::*;
pub use threads::*;

/// An error as the caller sees it (RFC 9457). `type` is stable; the web words it from its catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Problem {
    /// Stable name, e.g. `/problems/not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One Danish sentence: what happened.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What became of the words, and what one can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "ts", ts(optional))]
    pub detail: Option<String>,
    /// The same id stands in the server's log.
    pub request_id: String,
}

/// What one may do with a document at one moment. Made by one function on the server; the client never guesses.
#[expect(clippy::struct_excessive_bools, reason = "each ability is asked for by its name; together they are no state")]
#[derive(Copy, Default, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Abilities {
    /// See the text.
    pub read: bool,
    /// Write comments.
    pub comment: bool,
    /// Write in the text.
    pub edit: bool,
    /// Why not, when `edit` is false although the document can be seen.
    pub read_only_because: Option<ReadOnlyBecause>,
    /// The side on which this person is a party (or substitute for one).
    pub party: Option<Party>,
    /// See the history with deleted words.
    pub history: bool,
}

/// Why a text cannot be written in.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum ReadOnlyBecause {
    /// Only the two parties write in an agreement.
    NotAParty,
    /// The text is frozen for signing.
    Frozen,
    /// It is signed or adopted; changes go into a new version.
    Final,
    /// This version was replaced by a later one, or its period is over.
    Closed,
    /// It has reached its largest size: it goes on in a new version.
    Full,
}

/// The two sides of an agreement (domain rule R11).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// *Aftaleenhedens leder.*
    UnitLeader,
    /// *Direktør eller fagchef.*
    Counterpart,
}

/// An agreement's status (domain part A8).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum AgreementStatus {
    /// *Ikke begyndt.*
    NotStarted,
    /// *Udkast.*
    Drafting,
    /// *I dialog.*
    InDialogue,
    /// *Klar til underskrift.*
    ReadyToSign,
    /// *Underskrevet af én part.*
    PartlySigned,
    /// *Underskrevet.*
    Signed,
    /// *Genåbnet.*
    Reopened,
    /// *Afsluttet.*
    Closed,
    /// *Erstattet* af en ny version.
    Superseded,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Person {
    /// Stable id.
    pub id: Uuid,
    /// Name as people say it.
    pub name: String,
    /// Two letters.
    pub initials: String,
    /// *Skoleleder*, *Skolechef* …
    pub title: String,
}

/// Who is signed in, `GET /api/me`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Me {
    /// The person.
    pub person: Person,
    /// Role ids that count now, e.g. `unit_leader`.
    pub roles: Vec<String>,
    /// The municipality's name.
    pub municipality: String,
    /// The server's now; pages take their *today* from here.
    pub now: DateTime<Utc>,
    /// `true` in the demo: the page says so, and offers other people to sign in as.
    pub demo: bool,
    /// Where the accessibility statement is, if the municipality has set it.
    pub was_url: Option<String>,
    /// The build of the server.
    pub build: String,
}

/// First page, `GET /api/overview`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Overview {
    /// The server's now.
    pub now: DateTime<Utc>,
    /// The next dialogue meeting I take part in.
    pub next_meeting: Option<Meeting>,
    /// What waits for me, most urgent first.
    pub waiting: Vec<Waiting>,
    /// The agreements I am a party to, newest period first.
    pub mine: Vec<AgreementSummary>,
    /// Agreements I can see without being a party, sorted by unit name (Danish collation).
    pub others: Vec<AgreementSummary>,
    /// Deadlines and dates, in order of date.
    pub deadlines: Vec<Deadline>,
    /// What is new in the governance chain, newest first.
    pub news: Vec<ChainNews>,
}

/// One thing that waits for me.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Waiting {
    /// What kind; the page words it.
    pub kind: WaitingKind,
    /// The agreement.
    pub agreement_id: Uuid,
    /// *Fjordskolen*.
    pub unit_name: String,
    /// *Aftale 2027*.
    pub agreement_title: String,
    /// Section or goal the item is about: a template key or a goal id.
    pub place: Option<String>,
    /// The title of that section or goal.
    pub place_title: Option<String>,
    /// Who asked or wrote, if a person did.
    pub person: Option<Person>,
    /// Their words, shortened to 200 characters.
    pub words: Option<String>,
    /// When it came.
    pub at: Option<DateTime<Utc>>,
    /// When it must be done.
    pub due_on: Option<NaiveDate>,
}

/// Kinds of waiting items.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum WaitingKind {
    /// My signature is missing.
    Sign,
    /// An open comment thread in which somebody else wrote last.
    AnswerComment,
    /// The draft is overdue.
    DraftOverdue,
    /// A required section is empty.
    SectionEmpty,
    /// A goal has no success criterion.
    GoalWithoutCriterion,
    /// A goal points at a document that is not adopted.
    LinkNotAdopted,
    /// No goal points at the executive strategy (or at a political goal).
    NoExecutiveGoal,
    /// Political or executive goals are not covered by a held meeting.
    DialogueMissing,
    /// A signature lapsed because the text was reopened.
    SignatureLapsed,
}

/// A date to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Deadline {
    /// The day.
    pub on: NaiveDate,
    /// The moment, when the time of day matters.
    pub at: Option<DateTime<Utc>>,
    /// What kind; the page words it.
    pub kind: DeadlineKind,
    /// Done already.
    pub done: bool,
    /// The year or number in question, e.g. `2027` or the meeting's number.
    pub number: i32,
}

/// Kinds of deadlines.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum DeadlineKind {
    /// The draft must be ready.
    Draft,
    /// A dialogue meeting.
    Meeting,
    /// The agreement must be signed.
    Sign,
    /// *Midtvejsstatus.*
    Midyear,
    /// *Årlig opfølgning.*
    Annual,
}

/// A document of the chain that was adopted lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ChainNews {
    /// The governance document.
    pub document_id: Uuid,
    /// Its title.
    pub title: String,
    /// When it was adopted.
    pub adopted_on: NaiveDate,
    /// How many of my agreements' goals point at it.
    pub my_goals: u32,
}

/// An agreement in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct AgreementSummary {
    /// The agreement (unit and period); `/agreements/{id}`.
    pub id: Uuid,
    /// The document of its current version; `/live/{document_id}`. `None` when its text is not held here.
    pub document_id: Option<Uuid>,
    /// *Aftale 2027*.
    pub title: String,
    /// The unit.
    pub unit: Unit,
    /// First day.
    pub period_from: NaiveDate,
    /// Last day.
    pub period_to: NaiveDate,
    /// Where it is in its life.
    pub status: AgreementStatus,
    /// The version people speak of, from 1.
    pub version: u32,
    /// The unit's leader.
    pub unit_leader: Person,
    /// Director or head of department.
    pub counterpart: Person,
    /// The side I am on, if any.
    pub my_party: Option<Party>,
    /// How many goals it has.
    pub goals: u32,
    /// How many open comment threads.
    pub open_threads: u32,
    /// Who last wrote in it.
    pub last_edit: Option<LastEdit>,
    /// Follow-up of a past agreement: how many goals have each status.
    pub attainment: Vec<AttainmentCount>,
}

/// Who last wrote, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct LastEdit {
    /// Who.
    pub person: Person,
    /// When.
    pub at: DateTime<Utc>,
}

/// So many goals have this status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct AttainmentCount {
    /// Status id, e.g. `achieved`.
    pub status: String,
    /// How many.
    pub goals: u32,
}

/// An organisational unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Unit {
    /// Stable id.
    pub id: Uuid,
    /// *Fjordskolen*.
    pub name: String,
    /// *Folkeskole*.
    pub unit_type: Option<String>,
    /// *Skoleafdelingen*.
    pub parent_name: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct AgreementList {
    /// The rows.
    pub items: Vec<AgreementSummary>,
    /// Give it back as `?cursor=` for the next page.
    pub next: Option<String>,
}

/// An agreement's page apart from its live text, `GET /api/agreements/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct AgreementView {
    /// As in the lists.
    pub summary: AgreementSummary,
    /// What I may do with the current version.
    pub abilities: Abilities,
    /// The template's sections, in order.
    pub sections: Vec<TemplateSection>,
    /// Advice from the template as a whole.
    pub guidance: Option<String>,
    /// At most so many goals.
    pub max_goals: u32,
    /// The budget frame in whole kroner.
    pub budget_frame_dkk: Option<i64>,
    /// The steps of its life that have a date, oldest first.
    pub life: Vec<LifeStep>,
    /// Deadline for signing.
    pub sign_deadline: Option<NaiveDate>,
    /// Dialogue meetings, by number.
    pub meetings: Vec<Meeting>,
    /// What must be in place before it can be frozen for signing.
    pub gates: Vec<Gate>,
    /// Signatures, lapsed ones too.
    pub signatures: Vec<Signature>,
    /// What I may do now besides writing.
    pub steps: Steps,
    /// The text that is signed or was signed; absent while it is written in.
    pub frozen: Option<Revision>,
    /// Its versions that I may read, newest first. The page shows the one in `summary`.
    pub versions: Vec<AgreementVersion>,
    /// What happened in its life, oldest first; for those who may comment.
    pub history: Vec<LifeEvent>,
    /// The previous agreement's goals and what became of them.
    pub previous: Option<PreviousAgreement>,
    /// Measurements of indicators in this text, by indicator id.
    pub measurements: Vec<Measurement>,
    /// The server's now.
    pub now: DateTime<Utc>,
}

/// A section of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct TemplateSection {
    /// Key, e.g. `kerneopgave`; the live text is the fragment `section:<key>`.
    pub key: String,
    /// *Kerneopgave*.
    pub title: String,
    /// What it holds.
    pub kind: SectionKind,
    /// For sections of goals: which origin.
    pub goal_origin: Option<GoalOrigin>,
    /// Must it be filled?
    pub required: bool,
    /// Advice to the writer.
    pub guidance: Option<String>,
}

/// Kinds of sections.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum SectionKind {
    /// Made by the page from data.
    Generated,
    /// Live text.
    RichText,
    /// Live text, with the previous agreement's goals above it.
    RichTextWithGoals,
    /// Goals of one origin.
    Goals,
    /// Signatures and gates.
    Signatures,
}

/// Where an agreement's goal comes from.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum GoalOrigin {
    /// Supports the political goals.
    Political,
    /// From the executive strategy.
    Executive,
    /// The unit's own.
    Local,
}

/// A step in an agreement's life that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct LifeStep {
    /// The status it led to.
    pub status: AgreementStatus,
    /// When.
    pub at: DateTime<Utc>,
    /// Who, if a person did it.
    pub person: Option<Person>,
    /// Reason, where one was given.
    pub reason: Option<String>,
}

/// A dialogue meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Meeting {
    /// Stable id.
    pub id: Uuid,
    /// 1, 2 …
    pub number: u32,
    /// The agreements it is about.
    pub agreement_ids: Vec<Uuid>,
    /// The first agreement's title, *Aftale 2027*.
    pub agreement_title: String,
    /// Its unit.
    pub unit_name: String,
    /// From.
    pub starts_at: DateTime<Utc>,
    /// To.
    pub ends_at: DateTime<Utc>,
    /// Where.
    pub location: String,
    /// Also online.
    pub online: bool,
    /// *planned*, *held* or *cancelled*.
    pub status: MeetingStatus,
    /// Who takes part.
    pub participants: Vec<Participant>,
    /// Political goals are on its agenda.
    pub covers_political_goals: bool,
    /// The executive strategy's goals are on its agenda.
    pub covers_executive_goals: bool,
    /// The points.
    pub agenda: Vec<String>,
    /// Minutes, as plain paragraphs.
    pub minutes: Option<String>,
}

/// A meeting's status.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum MeetingStatus {
    /// It is to come.
    Planned,
    /// It was held.
    Held,
    /// It was called off.
    Cancelled,
}

/// A participant of a meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Participant {
    /// Who.
    pub person: Person,
    /// In which role, e.g. `unit_leader`, `counterpart`.
    pub role: String,
}

/// What must be in place before signing, and whether it is (domain rules R11–R13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Gate {
    /// Which.
    pub kind: GateKind,
    /// Does it hold?
    pub holds: bool,
    /// Does it stop the signing, or only warn?
    pub blocks: bool,
    /// The place to go to: a section key or goal id.
    pub place: Option<String>,
    /// The title of that place.
    pub place_title: Option<String>,
    /// A number that belongs to it, e.g. open comments.
    pub count: Option<u32>,
}

/// Kinds of gates.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// At least one goal points at a political goal (R13).
    PoliticalGoal,
    /// At least one goal points at the executive strategy.
    ExecutiveGoal,
    /// Required sections are filled; one gate for each that is not.
    SectionsFilled,
    /// A held meeting covered the political goals (R12).
    PoliticalDialogue,
    /// A held meeting covered the executive strategy's goals (R12).
    ExecutiveDialogue,
    /// No comment thread is open.
    CommentsSettled,
    /// Every goal has a success criterion; one gate for each that has none.
    GoalCriterion,
}

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Signature {
    /// Whose.
    pub person: Person,
    /// On which side.
    pub party: Party,
    /// When.
    pub signed_at: DateTime<Utc>,
    /// Which revision.
    pub revision: u32,
    /// Does it still stand?
    pub valid: bool,
    /// Why not.
    pub lapsed_because: Option<String>,
}

/// The previous agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct PreviousAgreement {
    /// *Aftale 2026*.
    pub title: String,
    /// Its goals.
    pub goals: Vec<PreviousGoal>,
}

/// A goal of the previous agreement and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct PreviousGoal {
    /// Its number.
    pub code: String,
    /// Its title.
    pub title: String,
    /// Follow-ups, oldest first.
    pub followups: Vec<Followup>,
}

/// One follow-up on a goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Followup {
    /// `midyear` or `annual`.
    pub kind: String,
    /// When.
    pub on: NaiveDate,
    /// Status id, e.g. `partly_achieved`.
    pub status: String,
    /// In words.
    pub note: Option<String>,
}

/// A measured value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Measurement {
    /// The indicator in the live text.
    pub indicator_id: Uuid,
    /// When.
    pub on: NaiveDate,
    /// How much; a decimal as text, with a full stop.
    pub value: String,
}

/// A goal, initiative or budget priority of the chain that an agreement's goal may point at, `GET /api/goals`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ChainGoal {
    /// What a link's `target` holds.
    pub id: Uuid,
    /// *S3*.
    pub code: String,
    /// *Til stede i skolen*.
    pub title: String,
    /// What it is.
    pub kind: ChainGoalKind,
    /// Description; absent when the document may not be seen.
    pub description: Option<String>,
    /// The document it stands in.
    pub document_id: Uuid,
    /// That document's title.
    pub document_title: String,
    /// That document's kind, e.g. `strategy`.
    pub document_kind: String,
    /// Is it adopted?
    pub adopted: bool,
    /// The goals above it.
    pub parent_ids: Vec<Uuid>,
}

/// Kinds of chain goals.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum ChainGoalKind {
    /// Of the vision.
    VisionAim,
    /// Of a policy.
    PolicyGoal,
    /// Of a strategy.
    StrategyGoal,
    /// Of a budget.
    BudgetPriority,
    /// Of the executive strategy.
    ExecutiveGoal,
    /// A concrete initiative of the executive strategy.
    Initiative,
}

/// The chain's goals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ChainGoalList {
    /// All of them, in order of level, document and code.
    pub items: Vec<ChainGoal>,
}

/// The four-year time plan, `GET /api/plan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Plan {
    /// The server's now.
    pub now: DateTime<Utc>,
    /// The day that *in force* is told for; today unless another was asked for.
    pub on: NaiveDate,
    /// *Valgperioden 2026–2029*.
    pub term: String,
    /// The term's first day.
    pub term_from: NaiveDate,
    /// The term's last day.
    pub term_to: NaiveDate,
    /// Which cell `on` stands in, 0 to 15; absent outside the term.
    pub current_cell: Option<u32>,
    /// Which reading of the plan this is.
    pub title: String,
    /// What is certain about that reading and what is inferred.
    pub certainty: String,
    /// Its rows.
    pub rows: Vec<PlanRow>,
    /// The chain's documents with their days, by level and beginning.
    pub documents: Vec<PlanDocument>,
}

/// A document type's row in the time plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct PlanRow {
    /// `vision`, `policy` …, `agreement`.
    pub document_kind: String,
    /// *Politisk vision*.
    pub label: String,
    /// `political` or `administrative`.
    pub level: String,
    /// Sixteen quarters, four for each year.
    pub cells: Vec<PlanCell>,
}

/// What happens to a document type in one quarter.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct PlanCell {
    /// *Udarbejdelse.*
    pub preparation: bool,
    /// *Gyldighedsperiode.*
    pub validity: bool,
}

/// A document of the chain in the time plan. Its title is for everybody; its text may not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct PlanDocument {
    /// The live id.
    pub id: Uuid,
    /// Title.
    pub title: String,
    /// `vision`, `policy` …
    pub kind: String,
    /// The version people speak of.
    pub version: u32,
    /// Is it adopted?
    pub adopted: bool,
    /// When it was.
    pub adopted_on: Option<NaiveDate>,
    /// When it is expected to be.
    pub planned_adoption_on: Option<NaiveDate>,
    /// First day.
    pub valid_from: NaiveDate,
    /// Last day; absent: until it is replaced.
    pub valid_to: Option<NaiveDate>,
    /// Is it in force on the plan's day?
    pub in_force: bool,
    /// May I read it?
    pub readable: bool,
}

/// A document's head, `GET /api/documents/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct DocumentView {
    /// The live id.
    pub id: Uuid,
    /// Its kind: `agreement`, `vision`, `policy`, `strategy`, `budget`, `executive_strategy`, `guideline`.
    pub kind: String,
    /// Title.
    pub title: String,
    /// The version, from 1.
    pub version: u32,
    /// Schema of its live text.
    pub schema: u32,
    /// Where the log stands.
    pub head: u64,
    /// What I may do.
    pub abilities: Abilities,
    /// The agreement it is a version of, if it is one.
    pub agreement_id: Option<Uuid>,
}

/// A named state of a document, in `GET /api/documents/{id}/versions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Revision {
    /// What people call it.
    pub number: u32,
    /// Its place in the log; absent: the text of this revision is not held here.
    pub seq: Option<u64>,
    /// SHA-256 of the canonical content, in hexadecimal; absent together with `seq`.
    pub content_sha256: Option<String>,
    /// The name it was given.
    pub label: Option<String>,
    /// Made for signing.
    pub frozen: bool,
    /// Who made it, if a person did.
    pub person: Option<Person>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Words that could not be placed in the text, kept for their writer: `POST /api/documents/{id}/proposals`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct NewProposal {
    /// The pieces, one for each place.
    pub pieces: Vec<ProposalPiece>,
}

/// Words meant for one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ProposalPiece {
    /// Section key or goal id and field, e.g. `kerneopgave` or `goal:<id>:body`.
    pub place: String,
    /// The words as plain text; paragraphs are separated by an empty line.
    pub text: String,
}

/// A kept proposal, only ever shown to its writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Proposal {
    /// Stable id.
    pub id: Uuid,
    /// When it was kept.
    pub at: DateTime<Utc>,
    /// The pieces.
    pub pieces: Vec<ProposalPiece>,
}

/// My kept proposals for a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ProposalList {
    /// Newest first.
    pub items: Vec<Proposal>,
}
