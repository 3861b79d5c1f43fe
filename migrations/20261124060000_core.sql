-- The people who sign in, where they stand in the organisation, the documents they write, and the trail of what counts.
-- Run by the owner role; the server itself runs as `samspil_app`, which owns nothing (reliability-security G8).

CREATE COLLATION danish (provider = icu, locale = 'da-DK');
COMMENT ON COLLATION danish IS 'How Danes sort: æ, ø, å last, aa as å. Every list of names is sorted by it.';

-- ── People and organisation ─────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE person (
    id             uuid PRIMARY KEY,
    slug           text NOT NULL CONSTRAINT person_slug_unique UNIQUE,
    given_name     text NOT NULL,
    family_name    text NOT NULL,
    display_name   text NOT NULL COLLATE danish,
    title          text NOT NULL,
    upn            text CONSTRAINT person_upn_unique UNIQUE,
    email          text,
    external       boolean NOT NULL DEFAULT false,
    access_version bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE  person IS 'Everybody who can be named: leaders, politicians, staff, board members from outside.';
COMMENT ON COLUMN person.id IS 'Stable id; for imported people UUIDv5 of the slug.';
COMMENT ON COLUMN person.slug IS 'The id in the data the person was imported from, e.g. p-chef-skole; also accepted as login_hint in the demo.';
COMMENT ON COLUMN person.given_name IS 'First names.';
COMMENT ON COLUMN person.family_name IS 'Family name.';
COMMENT ON COLUMN person.display_name IS 'Name as people say it.';
COMMENT ON COLUMN person.title IS 'Job title, e.g. Skoleleder.';
COMMENT ON COLUMN person.upn IS 'Login name at the identity provider; never used to match after the first link.';
COMMENT ON COLUMN person.email IS 'Where mail goes.';
COMMENT ON COLUMN person.external IS 'Has no municipal login; signs in as a guest.';
COMMENT ON COLUMN person.access_version IS 'Raised whenever anything that decides what this person may do changes; the append transaction compares it.';

CREATE TABLE org_node (
    id                    uuid PRIMARY KEY,
    slug                  text NOT NULL CONSTRAINT org_node_slug_unique UNIQUE,
    parent_id             uuid CONSTRAINT org_node_parent_fk REFERENCES org_node,
    kind                  text NOT NULL CONSTRAINT org_node_kind_known CHECK (kind IN ('municipality', 'council', 'committee',
                              'advisory_council', 'executive_board', 'directorate', 'department', 'agreement_unit', 'board')),
    name                  text NOT NULL COLLATE danish,
    unit_type             text,
    head_person_id        uuid CONSTRAINT org_node_head_fk REFERENCES person,
    chair_person_id       uuid CONSTRAINT org_node_chair_fk REFERENCES person,
    counterpart_person_id uuid CONSTRAINT org_node_counterpart_fk REFERENCES person,
    board_id              uuid CONSTRAINT org_node_board_fk REFERENCES org_node DEFERRABLE INITIALLY DEFERRED,
    committee_id          uuid CONSTRAINT org_node_committee_fk REFERENCES org_node DEFERRABLE INITIALLY DEFERRED,
    seats                 integer,
    employees             integer,
    users                 integer,
    users_label           text
);
COMMENT ON TABLE  org_node IS 'The organisation as a tree: council, committees, executive board, directorates, departments, agreement units, boards.';
COMMENT ON COLUMN org_node.id IS 'Stable id; for imported nodes UUIDv5 of the slug.';
COMMENT ON COLUMN org_node.slug IS 'The id in the data it was imported from.';
COMMENT ON COLUMN org_node.parent_id IS 'The node above; null for the municipality.';
COMMENT ON COLUMN org_node.kind IS 'What it is.';
COMMENT ON COLUMN org_node.name IS 'Name as people say it.';
COMMENT ON COLUMN org_node.unit_type IS 'What sort of unit, e.g. Folkeskole.';
COMMENT ON COLUMN org_node.head_person_id IS 'Who leads it.';
COMMENT ON COLUMN org_node.chair_person_id IS 'Who chairs it.';
COMMENT ON COLUMN org_node.counterpart_person_id IS 'On agreement units: the director or head of department who enters into the agreement (domain R11).';
COMMENT ON COLUMN org_node.board_id IS 'The unit''s board or user council.';
COMMENT ON COLUMN org_node.committee_id IS 'On directorates: the committee it answers to.';
COMMENT ON COLUMN org_node.seats IS 'Members of the council.';
COMMENT ON COLUMN org_node.employees IS 'People employed.';
COMMENT ON COLUMN org_node.users IS 'Size of what the unit serves.';
COMMENT ON COLUMN org_node.users_label IS 'What users counts, e.g. elever.';
CREATE INDEX org_node_parent ON org_node (parent_id);

CREATE TABLE person_role (
    id        uuid PRIMARY KEY,
    person_id uuid NOT NULL CONSTRAINT person_role_person_fk REFERENCES person,
    role      text NOT NULL,
    org_id    uuid NOT NULL CONSTRAINT person_role_org_fk REFERENCES org_node,
    from_day  date,
    to_day    date,
    CONSTRAINT person_role_days_in_order CHECK (from_day IS NULL OR to_day IS NULL OR from_day <= to_day),
    CONSTRAINT person_role_once UNIQUE NULLS NOT DISTINCT (person_id, role, org_id, from_day)
);
COMMENT ON TABLE  person_role IS 'Where a person stands: the place half of a right; the token''s role is the other half (design §6).';
COMMENT ON COLUMN person_role.role IS 'Role id of roles.json, or substitute_unit_leader / substitute_counterpart at an agreement unit.';
COMMENT ON COLUMN person_role.org_id IS 'The node it holds for.';
COMMENT ON COLUMN person_role.from_day IS 'First day; null = always was.';
COMMENT ON COLUMN person_role.to_day IS 'Last day; null = until further notice.';
CREATE INDEX person_role_person ON person_role (person_id);

-- ── Sign-in ─────────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE identity (
    issuer    text NOT NULL,
    subject   text NOT NULL,
    person_id uuid NOT NULL CONSTRAINT identity_person_fk REFERENCES person,
    linked_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, subject)
);
COMMENT ON TABLE identity IS 'Which person an identity at an issuer is. Linked once, never by mail address (domain B4).';

CREATE TABLE session (
    id             uuid PRIMARY KEY,
    token_hash     bytea NOT NULL CONSTRAINT session_token_unique UNIQUE,
    person_id      uuid NOT NULL CONSTRAINT session_person_fk REFERENCES person,
    issuer         text NOT NULL,
    subject        text NOT NULL,
    sid            text,
    roles          text[] NOT NULL,
    id_token       text,
    auth_time      timestamptz,
    acr            text,
    created_at     timestamptz NOT NULL,
    seen_at        timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    access_version bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE  session IS 'A sign-in behind a cookie. The cookie holds a random token; only its SHA-256 is kept.';
COMMENT ON COLUMN session.sid IS 'The provider''s session id; a logout token names it.';
COMMENT ON COLUMN session.roles IS 'Role ids from the token after mapping: what the person may do; where comes from person_role.';
COMMENT ON COLUMN session.id_token IS 'As id_token_hint at sign-out.';
COMMENT ON COLUMN session.seen_at IS 'Last use, rounded to the minute; idle for 4 h ends it.';
COMMENT ON COLUMN session.expires_at IS 'The absolute end, 12 h after sign-in.';
COMMENT ON COLUMN session.ended_at IS 'Signed out, here or at the provider.';
COMMENT ON COLUMN session.access_version IS 'Raised when the session ends or its roles change.';
CREATE INDEX session_sid ON session (issuer, sid);
CREATE INDEX session_person ON session (person_id);

-- ── Documents ───────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE document (
    id             uuid PRIMARY KEY,
    slug           text CONSTRAINT document_slug_unique UNIQUE,
    kind           text NOT NULL CONSTRAINT document_kind_known CHECK (kind IN ('agreement', 'vision', 'policy', 'strategy', 'budget',
                       'executive_strategy', 'guideline')),
    title          text NOT NULL COLLATE danish,
    version        integer NOT NULL CONSTRAINT document_version_positive CHECK (version >= 1),
    schema         integer NOT NULL,
    template_id    uuid,
    status         text NOT NULL CONSTRAINT document_status_known CHECK (status IN ('not_started', 'drafting', 'in_dialogue',
                       'ready_to_sign', 'partly_signed', 'signed', 'reopened', 'closed', 'superseded', 'in_preparation', 'adopted')),
    head           bigint NOT NULL DEFAULT 0,
    snapshot_seq   bigint NOT NULL DEFAULT 0,
    access_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT document_snapshot_not_ahead CHECK (snapshot_seq <= head)
);
COMMENT ON TABLE  document IS 'One version of a governance document of any kind: one live id, one Y.Doc, for ever (design §4).';
COMMENT ON COLUMN document.slug IS 'The id in the data it was imported from.';
COMMENT ON COLUMN document.version IS 'The version people speak of, from 1.';
COMMENT ON COLUMN document.schema IS 'Version of the live schema; stays as it was made.';
COMMENT ON COLUMN document.status IS 'Where it is in its life; agreements: domain A8, the other kinds: in_preparation, adopted, superseded.';
COMMENT ON COLUMN document.head IS 'Seq of the newest update in the log.';
COMMENT ON COLUMN document.snapshot_seq IS 'Seq of the newest snapshot; updates up to it need not be replayed.';
COMMENT ON COLUMN document.access_version IS 'Raised whenever status or rights change; the append transaction compares it.';

CREATE TABLE document_update (
    document_id uuid NOT NULL CONSTRAINT document_update_document_fk REFERENCES document,
    seq         bigint NOT NULL,
    person_id   uuid CONSTRAINT document_update_person_fk REFERENCES person,
    session_id  uuid CONSTRAINT document_update_session_fk REFERENCES session,
    payload     bytea NOT NULL,
    hash        bytea NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (document_id, seq)
);
COMMENT ON TABLE  document_update IS 'The log: every update in the order in which it was committed. The live document is its replay (G4).';
COMMENT ON COLUMN document_update.person_id IS 'Who wrote it; null: the server (template, import, new version).';
COMMENT ON COLUMN document_update.payload IS 'A Yjs update, v1 encoding.';
COMMENT ON COLUMN document_update.hash IS 'SHA-256 of payload.';

CREATE TABLE document_client (
    document_id uuid NOT NULL CONSTRAINT document_client_document_fk REFERENCES document,
    client_id   bigint NOT NULL,
    person_id   uuid CONSTRAINT document_client_person_fk REFERENCES person,
    retired     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (document_id, client_id)
);
COMMENT ON TABLE  document_client IS 'Who owns a Yjs client id in a document: the first who used it (design §4).';
COMMENT ON COLUMN document_client.person_id IS 'The owner; null: the server.';
COMMENT ON COLUMN document_client.retired IS 'A freeze retires every id; new blocks need another one.';

CREATE TABLE document_snapshot (
    document_id    uuid NOT NULL CONSTRAINT document_snapshot_document_fk REFERENCES document,
    seq            bigint NOT NULL,
    state          bytea NOT NULL,
    content_sha256 bytea NOT NULL,
    at             timestamptz NOT NULL,
    PRIMARY KEY (document_id, seq)
);
COMMENT ON TABLE  document_snapshot IS 'The whole state at one seq, so that opening need not replay everything.';
COMMENT ON COLUMN document_snapshot.state IS 'One Yjs update, v1 encoding, that makes the state.';
COMMENT ON COLUMN document_snapshot.content_sha256 IS 'SHA-256 of the canonical content, by which a replay is compared.';

CREATE TABLE agreement (
    id                        uuid PRIMARY KEY,
    slug                      text CONSTRAINT agreement_slug_unique UNIQUE,
    unit_id                   uuid NOT NULL CONSTRAINT agreement_unit_fk REFERENCES org_node,
    title                     text NOT NULL,
    period_from               date NOT NULL,
    period_to                 date NOT NULL,
    unit_leader_id            uuid NOT NULL CONSTRAINT agreement_unit_leader_fk REFERENCES person,
    counterpart_id            uuid NOT NULL CONSTRAINT agreement_counterpart_fk REFERENCES person,
    predecessor_id            uuid CONSTRAINT agreement_predecessor_fk REFERENCES agreement,
    current_document_id       uuid CONSTRAINT agreement_current_document_fk REFERENCES document,
    budget_frame_dkk          bigint,
    CONSTRAINT agreement_period_in_order CHECK (period_from <= period_to),
    CONSTRAINT agreement_two_parties CHECK (unit_leader_id <> counterpart_id),
    CONSTRAINT agreement_one_per_period UNIQUE (unit_id, period_from)
);
COMMENT ON TABLE  agreement IS 'What people call an agreement: a unit and a period. Its versions are documents.';
COMMENT ON COLUMN agreement.unit_leader_id IS 'One party: the leader of the unit (R11).';
COMMENT ON COLUMN agreement.counterpart_id IS 'The other party: the director or head of department (R11).';
COMMENT ON COLUMN agreement.current_document_id IS 'The version that is written in or in force.';
COMMENT ON COLUMN agreement.budget_frame_dkk IS 'Whole kroner.';

CREATE TABLE document_grant (
    id          uuid PRIMARY KEY,
    document_id uuid NOT NULL CONSTRAINT document_grant_document_fk REFERENCES document,
    person_id   uuid NOT NULL CONSTRAINT document_grant_person_fk REFERENCES person,
    kind        text NOT NULL CONSTRAINT document_grant_kind_known CHECK (kind IN ('read', 'comment')),
    granted_by  uuid CONSTRAINT document_grant_by_fk REFERENCES person,
    until       timestamptz,
    CONSTRAINT document_grant_once UNIQUE (document_id, person_id)
);
COMMENT ON TABLE document_grant IS 'The only sharing there is: this person may read (and comment) this document, until then.';

CREATE TABLE proposal (
    id          uuid PRIMARY KEY,
    document_id uuid NOT NULL CONSTRAINT proposal_document_fk REFERENCES document,
    person_id   uuid NOT NULL CONSTRAINT proposal_person_fk REFERENCES person,
    pieces      jsonb NOT NULL,
    at          timestamptz NOT NULL
);
COMMENT ON TABLE  proposal IS 'Words that could not be placed in the text any more, kept for their writer alone.';
COMMENT ON COLUMN proposal.pieces IS 'An array of {place, text}.';
CREATE INDEX proposal_writer ON proposal (document_id, person_id, at);

-- ── The trail ───────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE audit_event (
    trail_id  uuid NOT NULL,
    seq       bigint NOT NULL,
    type      text NOT NULL,
    person_id uuid CONSTRAINT audit_event_person_fk REFERENCES person,
    body      jsonb NOT NULL,
    at        timestamptz NOT NULL,
    prev_hash bytea NOT NULL,
    hash      bytea NOT NULL,
    PRIMARY KEY (trail_id, seq)
);
COMMENT ON TABLE  audit_event IS 'What counts and happened: one trail for each agreement and one for the system. It can only grow.';
COMMENT ON COLUMN audit_event.trail_id IS 'The agreement; the nil UUID is the system''s own trail.';
COMMENT ON COLUMN audit_event.hash IS 'SHA-256 over prev_hash and the event; breaks if anything before it is altered.';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'samspil: rows of % are never altered or removed', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER audit_event_only_grows BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_event_not_truncated BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER document_update_not_altered BEFORE UPDATE ON document_update FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- ── What the server may do ──────────────────────────────────────────────────────────────────────────────────────────

GRANT SELECT, INSERT, UPDATE ON person, org_node, person_role, identity, session, document, agreement, document_client, document_grant TO samspil_app;
GRANT DELETE ON person_role, document_grant TO samspil_app;
GRANT SELECT, INSERT ON document_update, audit_event, document_snapshot TO samspil_app;
GRANT DELETE ON document_snapshot TO samspil_app;
GRANT SELECT, INSERT, DELETE ON proposal TO samspil_app;
