//! The shape of the data, file by file, as `demo-data/README.md` describes it. A field that is not here is refused: nothing is dropped
//! in silence. Serialized again, a record is what tells a later import whether it has changed.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) municipality: Option<MunicipalityFile>,
    pub(super) organisation: Vec<Node>,
    pub(super) people: Vec<Person>,
    pub(super) roles: Vec<RoleDefinition>,
    pub(super) timeplan: Option<TimePlanFile>,
    pub(super) documents: Vec<Document>,
    pub(super) templates: Option<TemplateFile>,
    pub(super) agreements: Vec<(String, Agreement)>,
    /// With the file they stand in.
    pub(super) past: Vec<(String, usize, PastAgreement)>,
    pub(super) meetings: Vec<Meeting>,
    pub(super) feedback: Option<FeedbackFile>,
}

impl Data {
    /// Are the municipality and its people made up?
    pub(super) fn is_fictional(&self) -> bool {
        self.municipality.as_ref().is_some_and(|file| file.fictional)
    }
}

macro_rules! records {
    ($($(#[$meta:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name { $($(#[$attribute])* pub(super) $field: $type),* }
    )*};
}

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($variant:ident),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum $name { $($variant),* }
    )*};
}

records! {
    /// `municipality.json`
    MunicipalityFile {
        schema_version: u32,
        #[serde(default)]
        fictional: bool,
        municipality: Municipality,
        /// Only the demo's data says what time it is.
        clock: Option<DataClock>,
        term: Term,
        previous_term: Term,
        leadership_values: Vec<Named>,
        unit_values: Vec<Named>,
        settings: Settings,
    }
    Municipality { id: String, name: String, cvr: String, email_domain: String, locale: String, time_zone: String }
    DataClock { demo_now: DateTime<Utc>, note: Option<String> }
    Term { id: String, label: String, starts_on: NaiveDate, ends_on: NaiveDate, years: BTreeMap<String, i32> }
    Named { id: String, name: String }
    Settings {
        agreement_period_months: u32,
        agreement_period_starts: String,
        require_dialogue_before_signing: Demand,
        require_political_goal: Demand,
        require_executive_goal: Demand,
        signing_order: String,
        reauth_max_age_seconds: u32,
        required_loa: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        draft_deadline: Option<NaiveDate>,
        sign_deadline: NaiveDate,
        midyear_followup_due: NaiveDate,
        annual_followup_due: NaiveDate,
    }
    /// `organisation.json`
    OrganisationFile { schema_version: u32, #[serde(default)] fictional: bool, nodes: Vec<Node> }
    Node {
        id: String,
        parent_id: Option<String>,
        kind: NodeKind,
        name: String,
        unit_type: Option<String>,
        head_person_id: Option<String>,
        chair_person_id: Option<String>,
        counterpart_person_id: Option<String>,
        board_id: Option<String>,
        committee_id: Option<String>,
        seats: Option<u32>,
        employees: Option<u32>,
        users: Option<u32>,
        users_label: Option<String>,
    }
    /// `people.json`
    PeopleFile { schema_version: u32, #[serde(default)] fictional: bool, people: Vec<Person> }
    Person {
        id: String,
        given_name: String,
        family_name: String,
        display_name: String,
        initials: Option<String>,
        title: String,
        upn: Option<String>,
        email: Option<String>,
        #[serde(default)]
        external: bool,
        roles: Vec<Placement>,
    }
    Placement { role: String, org_id: String, from: Option<NaiveDate>, to: Option<NaiveDate> }
    /// `roles.json`
    RolesFile { schema_version: u32, roles: Vec<RoleDefinition> }
    RoleDefinition { id: String, name: String, named_in_source: bool, scope: String, can: Vec<String> }
    /// `timeplan.json`
    TimePlanFile {
        schema_version: u32,
        cell_codes: BTreeMap<String, String>,
        cell_order: Vec<String>,
        columns: String,
        active_plan: String,
        plans: Vec<TimePlan>,
        validity_carry_over: Value,
    }
    TimePlan { id: String, title: String, certainty: String, rows: Vec<TimePlanRow> }
    TimePlanRow { document_type: String, label: String, level: Level, cells: Vec<String> }
    /// `governance-documents.json`
    DocumentsFile { schema_version: u32, #[serde(default)] fictional: bool, documents: Vec<Document> }
    Document {
        id: String,
        #[serde(rename = "type")]
        kind: DocumentType,
        level: Level,
        title: String,
        version: i32,
        status: DocumentStatus,
        adopted_on: Option<NaiveDate>,
        adopted_by: String,
        planned_adoption_on: Option<NaiveDate>,
        valid_from: NaiveDate,
        valid_to: Option<NaiveDate>,
        owner_org_id: String,
        parent_ids: Vec<String>,
        replaces_id: Option<String>,
        policy_area: Option<String>,
        price_level: Option<String>,
        currency: Option<String>,
        summary: String,
        #[serde(default)]
        sections: Vec<TitledText>,
        #[serde(default)]
        involved_org_ids: Vec<String>,
        goals: Vec<ChainGoal>,
        #[serde(default)]
        initiatives: Vec<Initiative>,
        #[serde(default)]
        unit_frames: Vec<UnitFrame>,
        #[serde(default)]
        guidelines: Vec<String>,
        midterm_review: Option<MidtermReview>,
    }
    TitledText { title: String, body: String }
    ChainGoal {
        id: String,
        code: String,
        title: String,
        description: String,
        parent_goal_ids: Vec<String>,
        kind: GoalKind,
        amount_dkk: Option<i64>,
    }
    Initiative {
        id: String,
        code: String,
        goal_ids: Vec<String>,
        policy_goal_ids: Vec<String>,
        title: String,
        responsible_person_id: String,
        starts_on: NaiveDate,
        ends_on: NaiveDate,
        status: String,
    }
    UnitFrame { org_id: String, amount_dkk: i64 }
    MidtermReview {
        due_on: NaiveDate,
        evaluation_id: Option<String>,
        evaluated_on: Option<NaiveDate>,
        revised_on: Option<NaiveDate>,
        result_version: Option<i32>,
    }
    /// `agreement-template.json`
    TemplateFile {
        schema_version: u32,
        templates: Vec<Template>,
        goal_statuses: Vec<Named>,
        agreement_statuses: Vec<Named>,
    }
    Template {
        id: String,
        name: String,
        valid_from: NaiveDate,
        language: String,
        max_goals: Option<u32>,
        guidance: Option<String>,
        sections: Vec<TemplateSection>,
    }
    TemplateSection {
        key: String,
        title: String,
        kind: SectionKind,
        goal_origin: Option<Origin>,
        required: bool,
        guidance: Option<String>,
    }
    /// `agreements/2027-….json`
    Agreement {
        schema_version: u32,
        id: String,
        unit_id: String,
        title: String,
        template_id: String,
        period: Period,
        status: AgreementStatus,
        revision: i32,
        parties: Parties,
        predecessor_id: Option<String>,
        budget_frame_dkk: Option<i64>,
        sections: Vec<Section>,
        goals: Vec<Goal>,
        meeting_ids: Vec<String>,
        comments: Vec<Thread>,
        signatures: Vec<Signature>,
        events: Vec<LifeEvent>,
        journal: Option<Journal>,
    }
    Period { from: NaiveDate, to: NaiveDate }
    Parties { unit_leader_person_id: String, counterpart_person_id: String }
    Section { key: String, body_md: String, last_edited_by: String, last_edited_at: DateTime<Utc> }
    Goal {
        id: String,
        code: String,
        title: String,
        origin: Origin,
        priority: u32,
        links: Vec<GoalLink>,
        description_md: String,
        actions: Vec<Action>,
        success_criteria: Vec<String>,
        indicators: Vec<Indicator>,
        status: String,
    }
    GoalLink { goal_id: String, relation: Relation }
    Action { text: String, responsible: String, due_on: NaiveDate }
    Indicator {
        id: String,
        name: String,
        unit: String,
        direction: Direction,
        baseline: Number,
        target: Number,
        frequency: String,
        source: String,
        series: Vec<Measurement>,
    }
    Measurement { on: NaiveDate, value: Number }
    Thread { id: String, anchor: Anchor, status: ThreadStatus, messages: Vec<Message> }
    Anchor { section_key: String, goal_id: Option<String>, quote: Option<String> }
    Message { person_id: String, at: DateTime<Utc>, body: String }
    Signature {
        role: Party,
        person_id: String,
        signed_at: DateTime<Utc>,
        revision: i32,
        content_sha256: Option<String>,
        method: String,
        auth_time: DateTime<Utc>,
        acr: Option<String>,
        valid: bool,
        invalidated_reason: Option<String>,
    }
    LifeEvent {
        at: DateTime<Utc>,
        #[serde(rename = "type")]
        kind: EventKind,
        person_id: Option<String>,
        from: Option<AgreementStatus>,
        to: Option<AgreementStatus>,
        meeting_id: Option<String>,
        revision: Option<i32>,
        role: Option<Party>,
        label: Option<String>,
        reason: Option<String>,
        case_number: Option<String>,
        error: Option<String>,
        old: Option<String>,
        new: Option<String>,
    }
    Journal {
        target: String,
        status: JournalStatus,
        case_number: Option<String>,
        document_number: Option<String>,
        delivered_at: Option<DateTime<Utc>>,
        attempts: u32,
        last_error: Option<String>,
    }
    /// `agreements/2026-previous.json`
    PastFile { schema_version: u32, agreements: Vec<PastAgreement> }
    PastAgreement {
        id: String,
        unit_id: String,
        title: String,
        period: Period,
        status: AgreementStatus,
        parties: Parties,
        signed_on: Option<NaiveDate>,
        goals: Vec<PastGoal>,
    }
    PastGoal { id: String, code: String, title: String, origin: Origin, links: Vec<GoalLink>, followups: Vec<Followup> }
    Followup { kind: FollowupKind, on: NaiveDate, status: String, note: Option<String> }
    /// `meetings.json`
    MeetingsFile { schema_version: u32, meetings: Vec<Meeting> }
    Meeting {
        id: String,
        kind: MeetingKind,
        agreement_ids: Vec<String>,
        number: u32,
        starts_at: DateTime<Utc>,
        ends_at: DateTime<Utc>,
        location: String,
        online: bool,
        status: MeetingStatus,
        participants: Vec<Participant>,
        covers: Covers,
        agenda: Vec<String>,
        minutes_md: Option<String>,
    }
    Participant { person_id: String, role: String }
    Covers { political_goals: bool, executive_goals: bool }
    /// `feedback.json`
    FeedbackFile { schema_version: u32, management_reports: Vec<Report>, dialogues: Vec<Dialogue>, evaluations: Vec<Evaluation> }
    Report {
        id: String,
        kind: FollowupKind,
        from_org_id: String,
        to_person_id: Option<String>,
        to_org_id: Option<String>,
        period: String,
        submitted_on: Option<NaiveDate>,
        due_on: Option<NaiveDate>,
        status: ReportStatus,
        summary: Option<String>,
        items: Vec<ReportItem>,
    }
    ReportItem { agreement_goal_id: String, status: String }
    Dialogue {
        id: String,
        kind: DialogueKind,
        title: String,
        held_on: NaiveDate,
        host_org_id: String,
        with_org_id: Option<String>,
        attendance: Option<u32>,
        summary: String,
        feeds_document_ids: Vec<String>,
    }
    Evaluation {
        id: String,
        document_id: String,
        kind: EvaluationKind,
        evaluated_on: NaiveDate,
        by_org_id: String,
        idea: String,
        implementation: String,
        performance: String,
        outcome: String,
        lessons: String,
        led_to_version: Option<i32>,
    }
}

words! {
    Demand { Block, Warn, Off }
    NodeKind { Municipality, Council, Committee, AdvisoryCouncil, ExecutiveBoard, Directorate, Department, AgreementUnit, Board }
    Level { Political, Administrative }
    DocumentType { Vision, Policy, Strategy, Budget, ExecutiveStrategy, Guideline }
    DocumentStatus { InPreparation, Adopted, Superseded }
    GoalKind { VisionAim, PolicyGoal, StrategyGoal, BudgetPriority, ExecutiveGoal }
    SectionKind { Generated, RichText, RichTextWithGoals, Goals, Signatures }
    Origin { Political, Executive, Local }
    AgreementStatus { NotStarted, Drafting, InDialogue, ReadyToSign, PartlySigned, Signed, Reopened, Closed, Superseded }
    Relation { Supports, ContributesToInitiative, ConstrainedBy }
    Direction { Up, Down }
    ThreadStatus { Open, Resolved }
    Party { UnitLeader, Counterpart }
    EventKind {
        Created, StatusChanged, MeetingHeld, Snapshot, Frozen, Signed, Reopened, SignatureInvalidated, PartyChanged, ReminderSent,
        Journalised, JournalisationFailed, Closed,
    }
    JournalStatus { Queued, Retrying, Delivered, GivenUp }
    FollowupKind { Midyear, Annual }
    MeetingKind { Dialogue }
    MeetingStatus { Planned, Held, Cancelled }
    ReportStatus { Draft, Submitted, Accepted }
    DialogueKind { CitizenMeeting, CouncilDialogue, BoardDialogue }
    EvaluationKind { Midterm, Final }
}

/// The id of a word as it stands in the data and in the database.
pub(super) fn id_of(word: impl Serialize) -> String {
    match serde_json::to_value(word) {
        Ok(Value::String(id)) => id,
        _ => unreachable!("a word is spelled as a string"),
    }
}

impl Relation {
    /// As the live text and the tables call it (design §4).
    pub(super) fn in_text(self) -> &'static str {
        match self {
            Relation::Supports => "contributes_to",
            Relation::ContributesToInitiative => "implements",
            Relation::ConstrainedBy => "constrained_by",
        }
    }
}
