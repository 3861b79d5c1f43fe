-- The governance chain and what happens around it: the municipality and its rules, the documents' attributes, goals and their
-- links, meetings, comments, signatures, follow-up and reports. Text that people write lives in the Y.Doc (design §4); tables
-- named *projection* are made from it in the transaction that appends, so that the chain can be asked in SQL.

-- ── The municipality ────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE municipality (
    id             uuid PRIMARY KEY,
    slug           text NOT NULL CONSTRAINT municipality_slug_unique UNIQUE,
    name           text NOT NULL COLLATE danish,
    cvr            text NOT NULL,
    email_domain   text NOT NULL,
    locale         text NOT NULL,
    time_zone      text NOT NULL,
    settings       jsonb NOT NULL,
    demo_now       timestamptz,
    clock_note     text,
    time_plan_frame jsonb NOT NULL,
    only_one       boolean NOT NULL DEFAULT true CONSTRAINT municipality_only_one UNIQUE CONSTRAINT municipality_one CHECK (only_one)
);
COMMENT ON TABLE  municipality IS 'The one municipality of this database (G8).';
COMMENT ON COLUMN municipality.settings IS 'Process rules: agreement_period_months, require_* (block, warn, off), signing_order, reauth_max_age_seconds, deadlines.';
COMMENT ON COLUMN municipality.demo_now IS 'Where the demo clock stands at the first start; null outside the demo.';
COMMENT ON COLUMN municipality.clock_note IS 'What the data says about that moment.';
COMMENT ON COLUMN municipality.time_plan_frame IS 'What holds for every reading of the time plan: cell codes, cell order, columns, how validity carries over.';
COMMENT ON COLUMN municipality.only_one IS 'Makes a second row impossible.';

CREATE TABLE council_term (
    id        uuid PRIMARY KEY,
    slug      text NOT NULL CONSTRAINT council_term_slug_unique UNIQUE,
    label     text NOT NULL,
    starts_on date NOT NULL,
    ends_on   date NOT NULL,
    years     integer[] NOT NULL,
    current   boolean NOT NULL,
    CONSTRAINT council_term_in_order CHECK (starts_on < ends_on)
);
COMMENT ON TABLE  council_term IS 'Valgperiode: four calendar years.';
COMMENT ON COLUMN council_term.years IS 'The calendar years 1 to 4 of the term, in order.';
COMMENT ON COLUMN council_term.current IS 'The term that the data is about; the other is the one before it.';

CREATE TABLE municipal_value (
    id   uuid PRIMARY KEY,
    slug text NOT NULL CONSTRAINT municipal_value_slug_unique UNIQUE,
    kind text NOT NULL CONSTRAINT municipal_value_kind_known CHECK (kind IN ('leadership', 'unit')),
    name text NOT NULL,
    rank integer NOT NULL
);
COMMENT ON TABLE  municipal_value IS 'Værdier: those of leadership, and those by which they show in the units.';
COMMENT ON COLUMN municipal_value.rank IS 'Order in which they are named.';

CREATE TABLE role_definition (
    id              text PRIMARY KEY,
    name            text NOT NULL,
    named_in_source boolean NOT NULL,
    scope           text NOT NULL,
    can             text[] NOT NULL,
    rank            integer NOT NULL
);
COMMENT ON TABLE  role_definition IS 'The roles in words, for pages; what a role may do is decided in domain/access.';
COMMENT ON COLUMN role_definition.named_in_source IS 'Whether the governance chain''s own document names this actor.';
COMMENT ON COLUMN role_definition.scope IS 'municipality, committee, org_subtree or org_unit.';
COMMENT ON COLUMN role_definition.can IS 'Rights in words, as imported.';

CREATE TABLE status_name (
    scope text NOT NULL CONSTRAINT status_name_scope_known CHECK (scope IN ('goal', 'agreement')),
    id    text NOT NULL,
    name  text NOT NULL,
    rank  integer NOT NULL,
    PRIMARY KEY (scope, id)
);
COMMENT ON TABLE status_name IS 'What the municipality calls the statuses of goals and agreements.';

CREATE TABLE time_plan (
    id        uuid PRIMARY KEY,
    slug      text NOT NULL CONSTRAINT time_plan_slug_unique UNIQUE,
    title     text NOT NULL,
    certainty text NOT NULL,
    active    boolean NOT NULL,
    rank      integer NOT NULL
);
CREATE UNIQUE INDEX time_plan_one_active ON time_plan (active) WHERE active;
COMMENT ON TABLE  time_plan IS 'One reading of the four-year time plan (domain A6).';
COMMENT ON COLUMN time_plan.certainty IS 'What is certain and what is inferred, in words.';
COMMENT ON COLUMN time_plan.active IS 'The reading that the municipality goes by.';

CREATE TABLE time_plan_row (
    plan_id       uuid NOT NULL CONSTRAINT time_plan_row_plan_fk REFERENCES time_plan ON DELETE CASCADE,
    rank          integer NOT NULL,
    document_type text NOT NULL,
    label         text NOT NULL,
    level         text NOT NULL CONSTRAINT time_plan_row_level_known CHECK (level IN ('political', 'administrative')),
    cells         text[] NOT NULL CONSTRAINT time_plan_row_sixteen_cells CHECK (cardinality(cells) = 16),
    PRIMARY KEY (plan_id, rank)
);
COMMENT ON TABLE  time_plan_row IS 'A document type''s row: sixteen quarters, P preparation, V validity, PV both.';

-- ── Templates ───────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE template (
    id            uuid PRIMARY KEY,
    slug          text NOT NULL CONSTRAINT template_slug_unique UNIQUE,
    document_kind text NOT NULL,
    name          text NOT NULL,
    valid_from    date,
    language      text NOT NULL,
    max_goals     integer,
    guidance      text
);
COMMENT ON TABLE  template IS 'What a new document is made from; a live document keeps the template it was made from.';
COMMENT ON COLUMN template.document_kind IS 'For which kind of document; ids as in document.kind.';
COMMENT ON COLUMN template.max_goals IS 'At most so many goals (R15); null: no cap.';
COMMENT ON COLUMN template.guidance IS 'Advice for the document as a whole.';

CREATE TABLE template_section (
    template_id uuid NOT NULL CONSTRAINT template_section_template_fk REFERENCES template,
    key         text NOT NULL COLLATE "C",
    rank        integer NOT NULL,
    title       text NOT NULL,
    kind        text NOT NULL CONSTRAINT template_section_kind_known CHECK (kind IN ('generated', 'rich_text', 'rich_text_with_goals',
                    'goals', 'signatures')),
    goal_origin text,
    required    boolean NOT NULL,
    guidance    text,
    PRIMARY KEY (template_id, key),
    CONSTRAINT template_section_rank_once UNIQUE (template_id, rank)
);
COMMENT ON TABLE  template_section IS 'A section; live text is the fragment section:<key> where kind begins with rich_text.';
COMMENT ON COLUMN template_section.goal_origin IS 'On sections of goals: which goals belong here; null: all.';
COMMENT ON COLUMN template_section.required IS 'Must be filled before the text is frozen; for goals the require_* settings decide.';

ALTER TABLE document ADD CONSTRAINT document_template_fk FOREIGN KEY (template_id) REFERENCES template;

-- ── Additions to people, organisation and agreements ────────────────────────────────────────────────────────────────

ALTER TABLE person ADD COLUMN initials text;
COMMENT ON COLUMN person.initials IS 'The municipality''s own short name for the person, e.g. AAMO.';
ALTER TABLE person_role ADD COLUMN imported boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN person_role.imported IS 'Comes from the organisation data; a later import may end it. Others were given here.';
ALTER TABLE agreement ADD COLUMN status_without_text text CONSTRAINT agreement_status_without_text_known CHECK (status_without_text IN
    ('not_started', 'drafting', 'in_dialogue', 'ready_to_sign', 'partly_signed', 'signed', 'reopened', 'closed', 'superseded'));
COMMENT ON COLUMN agreement.status_without_text IS 'Status of an agreement whose text is not held here; null when it has documents (theirs counts).';
ALTER TABLE agreement ADD COLUMN signed_on date;
COMMENT ON COLUMN agreement.signed_on IS 'Day of signing, where only the day is known (agreements whose text is not held here).';
ALTER TABLE agreement ADD CONSTRAINT agreement_has_one_status CHECK ((current_document_id IS NULL) = (status_without_text IS NOT NULL));

CREATE TABLE agreement_version (
    document_id  uuid PRIMARY KEY CONSTRAINT agreement_version_document_fk REFERENCES document,
    agreement_id uuid NOT NULL CONSTRAINT agreement_version_agreement_fk REFERENCES agreement
);
CREATE INDEX agreement_version_agreement ON agreement_version (agreement_id);
COMMENT ON TABLE agreement_version IS 'Which agreement a document is a version of; agreement.current_document_id names the one that is written in or in force.';

-- ── Governance documents ────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE governance_document (
    document_id           uuid PRIMARY KEY CONSTRAINT governance_document_document_fk REFERENCES document,
    level                 text NOT NULL CONSTRAINT governance_document_level_known CHECK (level IN ('political', 'administrative')),
    adopted_on            date,
    adopted_by_org_id     uuid NOT NULL CONSTRAINT governance_document_adopted_by_fk REFERENCES org_node,
    planned_adoption_on   date,
    valid_from            date NOT NULL,
    valid_to              date,
    owner_org_id          uuid NOT NULL CONSTRAINT governance_document_owner_fk REFERENCES org_node,
    policy_area           text,
    summary               text NOT NULL,
    price_level           text,
    currency              text,
    replaces_id           uuid CONSTRAINT governance_document_replaces_fk REFERENCES document DEFERRABLE INITIALLY DEFERRED,
    midterm_due_on        date,
    midterm_evaluation_id uuid,
    midterm_evaluated_on  date,
    midterm_revised_on    date,
    midterm_result_version integer,
    CONSTRAINT governance_document_validity_in_order CHECK (valid_to IS NULL OR valid_from <= valid_to)
);
COMMENT ON TABLE  governance_document IS 'What a vision, policy, strategy, budget, executive strategy or guideline has besides its text.';
COMMENT ON COLUMN governance_document.adopted_on IS 'Day of adoption; null while it is being prepared.';
COMMENT ON COLUMN governance_document.adopted_by_org_id IS 'The body that adopts it (R2, R3).';
COMMENT ON COLUMN governance_document.valid_to IS 'Last day; null: until replaced.';
COMMENT ON COLUMN governance_document.policy_area IS 'The area a policy covers (R9).';
COMMENT ON COLUMN governance_document.summary IS 'Projection: plain text of the section resume.';
COMMENT ON COLUMN governance_document.price_level IS 'Budget: price level, e.g. 2027-pl.';
COMMENT ON COLUMN governance_document.replaces_id IS 'The document before it in time.';
COMMENT ON COLUMN governance_document.midterm_due_on IS 'When the review half-way must be done (R7).';
COMMENT ON COLUMN governance_document.midterm_evaluation_id IS 'The evaluation that was made.';
COMMENT ON COLUMN governance_document.midterm_evaluated_on IS 'When it was evaluated.';
COMMENT ON COLUMN governance_document.midterm_revised_on IS 'When it was revised.';
COMMENT ON COLUMN governance_document.midterm_result_version IS 'The version that the revision made.';

CREATE TABLE governance_parent (
    document_id uuid NOT NULL CONSTRAINT governance_parent_document_fk REFERENCES document,
    parent_id   uuid NOT NULL CONSTRAINT governance_parent_parent_fk REFERENCES document DEFERRABLE INITIALLY DEFERRED,
    rank        integer NOT NULL,
    PRIMARY KEY (document_id, parent_id)
);
COMMENT ON TABLE governance_parent IS 'The documents above a document in the chain (R1).';

CREATE TABLE involved_org (
    document_id uuid NOT NULL CONSTRAINT involved_org_document_fk REFERENCES document,
    org_id      uuid NOT NULL CONSTRAINT involved_org_org_fk REFERENCES org_node,
    rank        integer NOT NULL,
    PRIMARY KEY (document_id, org_id)
);
COMMENT ON TABLE involved_org IS 'Boards, councils and committees involved in preparing a document (R18).';

CREATE TABLE unit_frame (
    document_id uuid NOT NULL CONSTRAINT unit_frame_document_fk REFERENCES document,
    org_id      uuid NOT NULL CONSTRAINT unit_frame_org_fk REFERENCES org_node,
    amount_dkk  bigint NOT NULL,
    PRIMARY KEY (document_id, org_id)
);
COMMENT ON TABLE unit_frame IS 'A budget''s frame for a unit, in whole kroner.';

CREATE TABLE document_guideline (
    document_id uuid NOT NULL CONSTRAINT document_guideline_document_fk REFERENCES document,
    rank        integer NOT NULL,
    text        text NOT NULL,
    PRIMARY KEY (document_id, rank)
);
COMMENT ON TABLE document_guideline IS 'Projection: the executive strategy''s overall guidelines (R8), the paragraphs of its section retningslinjer.';

CREATE TABLE goal (
    document_id           uuid NOT NULL CONSTRAINT goal_document_fk REFERENCES document,
    id                    uuid NOT NULL,
    slug                  text,
    code                  text,
    title                 text NOT NULL COLLATE danish,
    description           text,
    kind                  text NOT NULL CONSTRAINT goal_kind_known CHECK (kind IN ('vision_aim', 'policy_goal', 'strategy_goal',
                              'budget_priority', 'executive_goal', 'initiative')),
    rank                  text NOT NULL COLLATE "C",
    responsible_person_id uuid CONSTRAINT goal_responsible_fk REFERENCES person,
    starts_on             date,
    ends_on               date,
    amount_dkk            bigint,
    status                text,
    PRIMARY KEY (document_id, id)
);
CREATE INDEX goal_by_id ON goal (id);
COMMENT ON TABLE  goal IS 'Goals of the chain''s documents above the agreements: aims, goals, priorities, initiatives. Title, description and rank are projected.';
COMMENT ON COLUMN goal.id IS 'What a link''s target holds; the same in every version of the document.';
COMMENT ON COLUMN goal.slug IS 'The id in the data it was imported from.';
COMMENT ON COLUMN goal.code IS 'What people call it, e.g. S3.';
COMMENT ON COLUMN goal.rank IS 'Fractional key of the order, compared by bytes, then id.';
COMMENT ON COLUMN goal.responsible_person_id IS 'Initiative: who answers for it.';
COMMENT ON COLUMN goal.starts_on IS 'Initiative: first day.';
COMMENT ON COLUMN goal.ends_on IS 'Initiative: last day.';
COMMENT ON COLUMN goal.amount_dkk IS 'Budget priority: whole kroner.';
COMMENT ON COLUMN goal.status IS 'Initiative: planned, under way, done.';

CREATE TABLE goal_parent (
    document_id uuid NOT NULL,
    goal_id     uuid NOT NULL,
    parent_id   uuid NOT NULL,
    relation    text NOT NULL CONSTRAINT goal_parent_relation_known CHECK (relation IN ('contributes_to', 'implements', 'constrained_by')),
    PRIMARY KEY (document_id, goal_id, parent_id, relation),
    CONSTRAINT goal_parent_goal_fk FOREIGN KEY (document_id, goal_id) REFERENCES goal (document_id, id) ON DELETE CASCADE
);
CREATE INDEX goal_parent_parent ON goal_parent (parent_id);
COMMENT ON TABLE  goal_parent IS 'Projection of links inside the chain. The way up is contributes_to; an initiative implements a policy goal, which is shown but not counted.';
COMMENT ON COLUMN goal_parent.parent_id IS 'A goal of a document above; may be unknown here, then the link is broken.';

CREATE TABLE evaluation (
    id             uuid PRIMARY KEY,
    slug           text CONSTRAINT evaluation_slug_unique UNIQUE,
    document_id    uuid NOT NULL CONSTRAINT evaluation_document_fk REFERENCES document,
    kind           text NOT NULL CONSTRAINT evaluation_kind_known CHECK (kind IN ('midterm', 'final')),
    evaluated_on   date NOT NULL,
    by_org_id      uuid NOT NULL CONSTRAINT evaluation_by_fk REFERENCES org_node,
    idea           text NOT NULL,
    implementation text NOT NULL,
    performance    text NOT NULL,
    outcome        text NOT NULL,
    lessons        text NOT NULL,
    led_to_version integer
);
COMMENT ON TABLE  evaluation IS 'Evaluering: a retrospective judgement of idea, implementation, performance and outcome (R24).';
COMMENT ON COLUMN evaluation.led_to_version IS 'The version of the document that came of it.';
ALTER TABLE governance_document ADD CONSTRAINT governance_document_midterm_evaluation_fk
    FOREIGN KEY (midterm_evaluation_id) REFERENCES evaluation DEFERRABLE INITIALLY DEFERRED;

-- ── An agreement's goals, projected from its text ───────────────────────────────────────────────────────────────────

CREATE TABLE agreement_goal (
    document_id uuid NOT NULL CONSTRAINT agreement_goal_document_fk REFERENCES document,
    goal_id     uuid NOT NULL,
    number      integer NOT NULL,
    rank        text NOT NULL COLLATE "C",
    origin      text NOT NULL,
    title       text NOT NULL COLLATE danish,
    body        text NOT NULL,
    success     text[] NOT NULL,
    responsible text NOT NULL,
    due_on      date,
    PRIMARY KEY (document_id, goal_id)
);
CREATE INDEX agreement_goal_by_goal ON agreement_goal (goal_id);
COMMENT ON TABLE  agreement_goal IS 'Projection: the goals of an agreement''s version as plain text.';
COMMENT ON COLUMN agreement_goal.goal_id IS 'The same in every version of the agreement.';
COMMENT ON COLUMN agreement_goal.number IS 'Place in the order (rank, id), from 1: the goal''s priority and its number on paper.';
COMMENT ON COLUMN agreement_goal.rank IS 'Fractional key of the order, compared by bytes.';
COMMENT ON COLUMN agreement_goal.origin IS 'political, executive or local; anything else was written by a foreign client and is shown as local.';
COMMENT ON COLUMN agreement_goal.success IS 'Success criteria, one for each filled paragraph; empty: none.';
COMMENT ON COLUMN agreement_goal.responsible IS 'Who answers for it, in words.';
COMMENT ON COLUMN agreement_goal.due_on IS 'When it is due; null when absent or not a day.';

CREATE TABLE agreement_goal_link (
    document_id        uuid NOT NULL,
    goal_id            uuid NOT NULL,
    target             text NOT NULL COLLATE "C",
    relation           text NOT NULL CONSTRAINT agreement_goal_link_relation_known CHECK (relation IN ('contributes_to', 'implements',
                           'constrained_by')),
    reasons            text[] NOT NULL,
    target_document_id uuid,
    target_goal_id     uuid,
    person_id          uuid CONSTRAINT agreement_goal_link_person_fk REFERENCES person,
    at                 timestamptz NOT NULL,
    PRIMARY KEY (document_id, goal_id, target, relation),
    CONSTRAINT agreement_goal_link_goal_fk FOREIGN KEY (document_id, goal_id) REFERENCES agreement_goal (document_id, goal_id)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT agreement_goal_link_pinned_whole CHECK ((target_document_id IS NULL) = (target_goal_id IS NULL))
);
CREATE INDEX agreement_goal_link_target ON agreement_goal_link (target_goal_id);
COMMENT ON TABLE  agreement_goal_link IS 'Projection: what a goal points up to. Links with the same target and relation are one.';
COMMENT ON COLUMN agreement_goal_link.target IS 'The target as it stands in the text.';
COMMENT ON COLUMN agreement_goal_link.reasons IS 'Every reason given, in key order.';
COMMENT ON COLUMN agreement_goal_link.target_document_id IS 'The version of the upstream document that the server pinned when the link was made; null: broken.';
COMMENT ON COLUMN agreement_goal_link.target_goal_id IS 'The goal there; null: broken.';
COMMENT ON COLUMN agreement_goal_link.person_id IS 'Who made the link, from the log; null: the server.';
COMMENT ON COLUMN agreement_goal_link.at IS 'When, from the log.';

CREATE TABLE agreement_action (
    document_id uuid NOT NULL,
    goal_id     uuid NOT NULL,
    action_id   uuid NOT NULL,
    rank        text NOT NULL COLLATE "C",
    text        text NOT NULL,
    responsible text NOT NULL,
    due_on      date,
    PRIMARY KEY (document_id, goal_id, action_id),
    CONSTRAINT agreement_action_goal_fk FOREIGN KEY (document_id, goal_id) REFERENCES agreement_goal (document_id, goal_id)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON TABLE agreement_action IS 'Projection: what a unit will do for a goal.';

CREATE TABLE indicator (
    document_id  uuid NOT NULL,
    goal_id      uuid NOT NULL,
    indicator_id uuid NOT NULL,
    name         text NOT NULL,
    source       text NOT NULL,
    unit         text NOT NULL,
    direction    text NOT NULL,
    frequency    text NOT NULL,
    baseline     text,
    target       text,
    PRIMARY KEY (document_id, goal_id, indicator_id),
    CONSTRAINT indicator_goal_fk FOREIGN KEY (document_id, goal_id) REFERENCES agreement_goal (document_id, goal_id)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON TABLE  indicator IS 'Projection: how a goal is measured.';
COMMENT ON COLUMN indicator.direction IS 'up or down: which way is good.';
COMMENT ON COLUMN indicator.baseline IS 'A decimal as text with a full stop, as it stands in the text; null: not given.';
COMMENT ON COLUMN indicator.target IS 'A decimal as text with a full stop, as it stands in the text; null: not given.';

CREATE TABLE measurement (
    agreement_id uuid NOT NULL CONSTRAINT measurement_agreement_fk REFERENCES agreement,
    indicator_id uuid NOT NULL,
    on_day       date NOT NULL,
    value        numeric NOT NULL,
    person_id    uuid CONSTRAINT measurement_person_fk REFERENCES person,
    PRIMARY KEY (agreement_id, indicator_id, on_day)
);
COMMENT ON TABLE  measurement IS 'Measured values of an indicator, over all versions of the agreement.';
COMMENT ON COLUMN measurement.person_id IS 'Who entered it; null: imported.';

CREATE TABLE goal_attainment (
    agreement_id uuid NOT NULL CONSTRAINT goal_attainment_agreement_fk REFERENCES agreement,
    goal_id      uuid NOT NULL,
    status       text NOT NULL,
    PRIMARY KEY (agreement_id, goal_id)
);
COMMENT ON TABLE  goal_attainment IS 'How a goal of an agreement stands now, over all versions.';
COMMENT ON COLUMN goal_attainment.status IS 'A goal status of status_name.';

CREATE TABLE goal_followup (
    agreement_id uuid NOT NULL CONSTRAINT goal_followup_agreement_fk REFERENCES agreement,
    goal_id      uuid NOT NULL,
    kind         text NOT NULL CONSTRAINT goal_followup_kind_known CHECK (kind IN ('midyear', 'annual')),
    on_day       date NOT NULL,
    status       text NOT NULL,
    note         text,
    PRIMARY KEY (agreement_id, goal_id, kind, on_day)
);
COMMENT ON TABLE goal_followup IS 'What became of a goal, half-way and at the end.';

CREATE TABLE past_goal (
    agreement_id uuid NOT NULL CONSTRAINT past_goal_agreement_fk REFERENCES agreement,
    goal_id      uuid NOT NULL,
    code         text NOT NULL,
    title        text NOT NULL COLLATE danish,
    origin       text NOT NULL CONSTRAINT past_goal_origin_known CHECK (origin IN ('political', 'executive', 'local')),
    rank         integer NOT NULL,
    PRIMARY KEY (agreement_id, goal_id)
);
CREATE INDEX past_goal_by_goal ON past_goal (goal_id);
COMMENT ON TABLE past_goal IS 'Goals of an agreement whose text is not held here.';

CREATE TABLE past_goal_link (
    agreement_id uuid NOT NULL,
    goal_id      uuid NOT NULL,
    target_id    uuid NOT NULL,
    relation     text NOT NULL CONSTRAINT past_goal_link_relation_known CHECK (relation IN ('contributes_to', 'implements', 'constrained_by')),
    PRIMARY KEY (agreement_id, goal_id, target_id, relation),
    CONSTRAINT past_goal_link_goal_fk FOREIGN KEY (agreement_id, goal_id) REFERENCES past_goal (agreement_id, goal_id)
);
COMMENT ON TABLE past_goal_link IS 'What such a goal pointed up to.';

-- ── A document's revisions, edits, comments and signatures ──────────────────────────────────────────────────────────

CREATE TABLE revision (
    document_id    uuid NOT NULL CONSTRAINT revision_document_fk REFERENCES document,
    number         integer NOT NULL,
    seq            bigint,
    content        bytea,
    content_sha256 bytea,
    label          text,
    frozen         boolean NOT NULL,
    person_id      uuid CONSTRAINT revision_person_fk REFERENCES person,
    at             timestamptz NOT NULL,
    PRIMARY KEY (document_id, number),
    CONSTRAINT revision_text_whole CHECK ((seq IS NULL) = (content_sha256 IS NULL) AND (content IS NULL OR content_sha256 IS NOT NULL))
);
COMMENT ON TABLE  revision IS 'A named state of a document: a place in the log and the hash of the content there.';
COMMENT ON COLUMN revision.number IS 'What people call it.';
COMMENT ON COLUMN revision.seq IS 'The place in the log; null: the text of this revision is not held here.';
COMMENT ON COLUMN revision.content IS 'The canonical JSON that is signed; kept for frozen revisions.';
COMMENT ON COLUMN revision.content_sha256 IS 'SHA-256 of the canonical content.';
COMMENT ON COLUMN revision.label IS 'Name it was given.';
COMMENT ON COLUMN revision.frozen IS 'Made for signing.';

CREATE TABLE section_edit (
    document_id uuid NOT NULL CONSTRAINT section_edit_document_fk REFERENCES document,
    section_key text NOT NULL,
    person_id   uuid NOT NULL CONSTRAINT section_edit_person_fk REFERENCES person,
    at          timestamptz NOT NULL,
    PRIMARY KEY (document_id, section_key)
);
COMMENT ON TABLE section_edit IS 'Who last wrote in a section before its log began here; the log tells the rest.';

CREATE TABLE thread (
    id          uuid PRIMARY KEY,
    slug        text CONSTRAINT thread_slug_unique UNIQUE,
    document_id uuid NOT NULL CONSTRAINT thread_document_fk REFERENCES document,
    section_key text NOT NULL,
    goal_id     uuid,
    quote       text,
    anchor      jsonb,
    status      text NOT NULL CONSTRAINT thread_status_known CHECK (status IN ('open', 'resolved')),
    resolved_by uuid CONSTRAINT thread_resolved_by_fk REFERENCES person,
    resolved_at timestamptz
);
CREATE INDEX thread_document ON thread (document_id);
COMMENT ON TABLE  thread IS 'A comment thread beside the text.';
COMMENT ON COLUMN thread.section_key IS 'The section it is about.';
COMMENT ON COLUMN thread.goal_id IS 'The goal it is about, if any.';
COMMENT ON COLUMN thread.quote IS 'The words it is about; null: the whole section or goal.';
COMMENT ON COLUMN thread.anchor IS 'Field and relative positions in the live text; null: found by quote.';

CREATE TABLE comment (
    id        uuid PRIMARY KEY,
    thread_id uuid NOT NULL CONSTRAINT comment_thread_fk REFERENCES thread,
    number    integer NOT NULL,
    person_id uuid NOT NULL CONSTRAINT comment_person_fk REFERENCES person,
    body      text NOT NULL,
    at        timestamptz NOT NULL,
    edited_at timestamptz,
    CONSTRAINT comment_number_once UNIQUE (thread_id, number)
);
COMMENT ON TABLE  comment IS 'What somebody said in a thread.';
COMMENT ON COLUMN comment.number IS 'Place in the thread, from 1.';

CREATE TABLE signature (
    id                 uuid PRIMARY KEY,
    document_id        uuid NOT NULL CONSTRAINT signature_document_fk REFERENCES document,
    party              text NOT NULL CONSTRAINT signature_party_known CHECK (party IN ('unit_leader', 'counterpart')),
    person_id          uuid NOT NULL CONSTRAINT signature_person_fk REFERENCES person,
    signed_at          timestamptz NOT NULL,
    revision           integer NOT NULL,
    content_sha256     bytea,
    method             text NOT NULL,
    auth_time          timestamptz NOT NULL,
    acr                text,
    valid              boolean NOT NULL,
    lapsed_reason      text,
    lapsed_at          timestamptz,
    CONSTRAINT signature_lapse_has_reason CHECK (valid = (lapsed_reason IS NULL))
);
CREATE UNIQUE INDEX signature_one_valid_for_party ON signature (document_id, party) WHERE valid;
COMMENT ON TABLE  signature IS 'A party''s approval of one revision. It may lapse; it never moves and is never removed.';
COMMENT ON COLUMN signature.content_sha256 IS 'SHA-256 of the canonical content approved; null: imported, and the text of that revision is not held here.';
COMMENT ON COLUMN signature.method IS 'How it was proved, e.g. oidc_reauthentication; demonstration: not at all, it came with made-up data.';
COMMENT ON COLUMN signature.auth_time IS 'When the identity provider authenticated the person.';
COMMENT ON COLUMN signature.acr IS 'The level it answered.';
COMMENT ON COLUMN signature.lapsed_reason IS 'Why it no longer stands.';

CREATE TABLE agreement_event (
    agreement_id   uuid NOT NULL CONSTRAINT agreement_event_agreement_fk REFERENCES agreement,
    seq            integer NOT NULL,
    document_id    uuid CONSTRAINT agreement_event_document_fk REFERENCES document,
    type           text NOT NULL CONSTRAINT agreement_event_type_known CHECK (type IN ('created', 'status_changed', 'meeting_held', 'snapshot',
                       'frozen', 'signed', 'reopened', 'signature_invalidated', 'party_changed', 'reminder_sent', 'journalised',
                       'journalisation_failed', 'closed', 'new_version')),
    at             timestamptz NOT NULL,
    person_id      uuid CONSTRAINT agreement_event_person_fk REFERENCES person,
    from_status    text,
    to_status      text,
    meeting_id     uuid,
    revision       integer,
    party          text,
    label          text,
    reason         text,
    case_number    text,
    error          text,
    old_person_id  uuid CONSTRAINT agreement_event_old_person_fk REFERENCES person,
    new_person_id  uuid CONSTRAINT agreement_event_new_person_fk REFERENCES person,
    PRIMARY KEY (agreement_id, seq)
);
COMMENT ON TABLE  agreement_event IS 'What happened in an agreement''s life, oldest first. The audit trail holds the same events, chained.';
COMMENT ON COLUMN agreement_event.seq IS 'Place in the life, from 1.';
COMMENT ON COLUMN agreement_event.person_id IS 'Who did it; null: the system.';
COMMENT ON COLUMN agreement_event.from_status IS 'status_changed: from.';
COMMENT ON COLUMN agreement_event.to_status IS 'The status it led to; null: none.';
COMMENT ON COLUMN agreement_event.old_person_id IS 'party_changed: who was the party.';
COMMENT ON COLUMN agreement_event.new_person_id IS 'party_changed: who is.';

CREATE TABLE journal_delivery (
    id              uuid PRIMARY KEY,
    document_id     uuid NOT NULL CONSTRAINT journal_delivery_document_fk REFERENCES document,
    target          text NOT NULL,
    status          text NOT NULL CONSTRAINT journal_delivery_status_known CHECK (status IN ('queued', 'retrying', 'delivered', 'given_up')),
    case_number     text,
    document_number text,
    delivered_at    timestamptz,
    attempts        integer NOT NULL,
    last_error      text,
    CONSTRAINT journal_delivery_once UNIQUE (document_id, target)
);
COMMENT ON TABLE  journal_delivery IS 'Delivery of a signed agreement to the records system (domain B7).';
COMMENT ON COLUMN journal_delivery.target IS 'Which system.';

-- ── Meetings ────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE meeting (
    id                     uuid PRIMARY KEY,
    slug                   text CONSTRAINT meeting_slug_unique UNIQUE,
    kind                   text NOT NULL CONSTRAINT meeting_kind_known CHECK (kind IN ('dialogue')),
    number                 integer NOT NULL,
    starts_at              timestamptz NOT NULL,
    ends_at                timestamptz NOT NULL,
    location               text NOT NULL,
    online                 boolean NOT NULL,
    status                 text NOT NULL CONSTRAINT meeting_status_known CHECK (status IN ('planned', 'held', 'cancelled')),
    covers_political_goals boolean NOT NULL,
    covers_executive_goals boolean NOT NULL,
    agenda                 text[] NOT NULL,
    minutes_md             text,
    CONSTRAINT meeting_in_order CHECK (starts_at < ends_at)
);
COMMENT ON TABLE  meeting IS 'Dialogmøde: where an agreement is talked over (R12).';
COMMENT ON COLUMN meeting.number IS '1, 2 … for its agreement.';
COMMENT ON COLUMN meeting.minutes_md IS 'Minutes in the small Markdown subset; null: none yet.';

CREATE TABLE meeting_agreement (
    meeting_id   uuid NOT NULL CONSTRAINT meeting_agreement_meeting_fk REFERENCES meeting,
    agreement_id uuid NOT NULL CONSTRAINT meeting_agreement_agreement_fk REFERENCES agreement,
    rank         integer NOT NULL,
    PRIMARY KEY (meeting_id, agreement_id)
);
CREATE INDEX meeting_agreement_agreement ON meeting_agreement (agreement_id);
COMMENT ON TABLE meeting_agreement IS 'The agreements a meeting is about.';

CREATE TABLE meeting_participant (
    meeting_id uuid NOT NULL CONSTRAINT meeting_participant_meeting_fk REFERENCES meeting,
    person_id  uuid NOT NULL CONSTRAINT meeting_participant_person_fk REFERENCES person,
    role       text NOT NULL,
    rank       integer NOT NULL,
    PRIMARY KEY (meeting_id, person_id)
);
CREATE INDEX meeting_participant_person ON meeting_participant (person_id);
COMMENT ON TABLE  meeting_participant IS 'Who takes part.';
COMMENT ON COLUMN meeting_participant.role IS 'unit_leader, counterpart, or a role id.';

ALTER TABLE agreement_event ADD CONSTRAINT agreement_event_meeting_fk FOREIGN KEY (meeting_id) REFERENCES meeting DEFERRABLE INITIALLY DEFERRED;

-- ── What is reported back up the chain ──────────────────────────────────────────────────────────────────────────────

CREATE TABLE management_report (
    id           uuid PRIMARY KEY,
    slug         text CONSTRAINT management_report_slug_unique UNIQUE,
    kind         text NOT NULL CONSTRAINT management_report_kind_known CHECK (kind IN ('midyear', 'annual')),
    from_org_id  uuid NOT NULL CONSTRAINT management_report_from_fk REFERENCES org_node,
    to_person_id uuid CONSTRAINT management_report_to_person_fk REFERENCES person,
    to_org_id    uuid CONSTRAINT management_report_to_org_fk REFERENCES org_node,
    period       text NOT NULL,
    submitted_on date,
    due_on       date,
    status       text NOT NULL CONSTRAINT management_report_status_known CHECK (status IN ('draft', 'submitted', 'accepted')),
    summary      text,
    CONSTRAINT management_report_one_receiver CHECK ((to_person_id IS NULL) <> (to_org_id IS NULL))
);
COMMENT ON TABLE  management_report IS 'Ledelsesinformation on its way up: unit, director or head of department, executive board, council (R20).';
COMMENT ON COLUMN management_report.period IS 'What it covers, e.g. 2026-H1 or 2026.';

CREATE TABLE management_report_item (
    report_id uuid NOT NULL CONSTRAINT management_report_item_report_fk REFERENCES management_report,
    goal_id   uuid NOT NULL,
    rank      integer NOT NULL,
    status    text NOT NULL,
    PRIMARY KEY (report_id, goal_id)
);
COMMENT ON TABLE management_report_item IS 'How one goal of an agreement stands in a report.';

CREATE TABLE public_dialogue (
    id          uuid PRIMARY KEY,
    slug        text CONSTRAINT public_dialogue_slug_unique UNIQUE,
    kind        text NOT NULL CONSTRAINT public_dialogue_kind_known CHECK (kind IN ('citizen_meeting', 'council_dialogue', 'board_dialogue')),
    title       text NOT NULL,
    held_on     date NOT NULL,
    host_org_id uuid NOT NULL CONSTRAINT public_dialogue_host_fk REFERENCES org_node,
    with_org_id uuid CONSTRAINT public_dialogue_with_fk REFERENCES org_node,
    attendance  integer,
    summary     text NOT NULL
);
COMMENT ON TABLE public_dialogue IS 'Dialogue with citizens, boards and councils: the second way back up (R21).';

CREATE TABLE public_dialogue_document (
    dialogue_id uuid NOT NULL CONSTRAINT public_dialogue_document_dialogue_fk REFERENCES public_dialogue,
    document_id uuid NOT NULL CONSTRAINT public_dialogue_document_document_fk REFERENCES document,
    rank        integer NOT NULL,
    PRIMARY KEY (dialogue_id, document_id)
);
COMMENT ON TABLE public_dialogue_document IS 'The documents it fed into.';

-- ── What was imported ───────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE import_record (
    kind   text NOT NULL,
    slug   text NOT NULL,
    id     uuid NOT NULL,
    sha256 bytea NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (kind, slug)
);
CREATE INDEX import_record_id ON import_record (id);
COMMENT ON TABLE  import_record IS 'Every record that was imported, so that a later import can tell new, changed, unchanged and vanished apart.';
COMMENT ON COLUMN import_record.kind IS 'person, org_node, document, agreement, goal …';
COMMENT ON COLUMN import_record.slug IS 'Its id in the data.';
COMMENT ON COLUMN import_record.id IS 'Its id here: UUIDv5 of the slug.';
COMMENT ON COLUMN import_record.sha256 IS 'SHA-256 of the record as JSON.';

-- ── What the server may do ──────────────────────────────────────────────────────────────────────────────────────────

GRANT SELECT, INSERT, UPDATE ON municipality, council_term, municipal_value, role_definition, status_name, time_plan, template,
    template_section, agreement_version, governance_document, governance_parent, involved_org, unit_frame, goal, evaluation, measurement,
    goal_attainment, goal_followup, past_goal, past_goal_link, revision, section_edit, thread, comment, signature, journal_delivery,
    meeting, meeting_agreement, meeting_participant, management_report, management_report_item, public_dialogue,
    public_dialogue_document, import_record TO samspil_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON time_plan_row, document_guideline, goal, goal_parent, agreement_goal, agreement_goal_link,
    agreement_action, indicator TO samspil_app;
GRANT DELETE ON meeting_participant TO samspil_app;
GRANT SELECT, INSERT ON agreement_event TO samspil_app;
