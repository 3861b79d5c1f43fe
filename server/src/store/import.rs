//! Rows as an import writes them: a JSON array in, one statement for each table. What follows the data is written over; everything else
//! is inserted once, and a row that is there already is an error, because the import has said that it is new.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::{Result, Transaction};

/// One function for each statement: its only argument is the array of rows.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $sql:literal;)*) => {$(
        $(#[$doc])*
        pub async fn $name(transaction: &mut Transaction, rows: &Value) -> Result<()> {
            sqlx::query!($sql, rows).execute(&mut **transaction).await?;
            Ok(())
        }
    )*};
}

/// One import at a time.
pub async fn lock(transaction: &mut Transaction) -> Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('samspil import', 0))").execute(&mut **transaction).await?;
    Ok(())
}

/// What earlier imports brought: by sort and slug, the hash of the record.
pub async fn records(transaction: &mut Transaction) -> Result<HashMap<(String, String), Vec<u8>>> {
    let rows = sqlx::query!("SELECT kind, slug, sha256 FROM import_record").fetch_all(&mut **transaction).await?;
    Ok(rows.into_iter().map(|row| ((row.kind, row.slug), row.sha256)).collect())
}

/// Whoever holds rights in any document is asked about them anew, because people or places have changed. Locks in the order that every
/// change of rights keeps: documents, then persons, ids ascending.
pub async fn raise_access_versions(transaction: &mut Transaction) -> Result<()> {
    sqlx::query!("SELECT id FROM document ORDER BY id FOR NO KEY UPDATE").fetch_all(&mut **transaction).await?;
    sqlx::query!("UPDATE document SET access_version = access_version + 1").execute(&mut **transaction).await?;
    sqlx::query!("SELECT id FROM person ORDER BY id FOR NO KEY UPDATE").fetch_all(&mut **transaction).await?;
    sqlx::query!("UPDATE person SET access_version = access_version + 1").execute(&mut **transaction).await?;
    Ok(())
}

/// Ends the imported placements of these people, before the data's are written.
pub async fn end_placements(transaction: &mut Transaction, people: &[Uuid]) -> Result<()> {
    sqlx::query!("DELETE FROM person_role WHERE imported AND person_id = ANY($1)", people).execute(&mut **transaction).await?;
    Ok(())
}

/// Takes the rows of these time plans away, before the data's are written; none is active until then.
pub async fn end_time_plans(transaction: &mut Transaction) -> Result<()> {
    sqlx::query!("DELETE FROM time_plan_row").execute(&mut **transaction).await?;
    sqlx::query!("UPDATE time_plan SET active = false").execute(&mut **transaction).await?;
    Ok(())
}

statements! {
    /// Everything that was imported, as it is now.
    import_records: "INSERT INTO import_record (kind, slug, id, sha256, at)
        SELECT kind, slug, id, decode(sha256, 'hex'), at
        FROM jsonb_to_recordset($1) AS r(kind text, slug text, id uuid, sha256 text, at timestamptz)
        ON CONFLICT (kind, slug) DO UPDATE SET sha256 = EXCLUDED.sha256, at = EXCLUDED.at";

    /// The municipality.
    municipality: "INSERT INTO municipality (id, slug, name, cvr, email_domain, locale, time_zone, settings, demo_now, clock_note, time_plan_frame)
        SELECT id, slug, name, cvr, email_domain, locale, time_zone, settings, demo_now, clock_note, time_plan_frame
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, name text, cvr text, email_domain text, locale text, time_zone text,
            settings jsonb, demo_now timestamptz, clock_note text, time_plan_frame jsonb)
        ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, cvr = EXCLUDED.cvr, email_domain = EXCLUDED.email_domain,
            locale = EXCLUDED.locale, time_zone = EXCLUDED.time_zone, settings = EXCLUDED.settings, demo_now = EXCLUDED.demo_now,
            clock_note = EXCLUDED.clock_note, time_plan_frame = EXCLUDED.time_plan_frame";

    /// Council terms.
    terms: "INSERT INTO council_term (id, slug, label, starts_on, ends_on, years, current)
        SELECT id, slug, label, starts_on, ends_on, years, current
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, label text, starts_on date, ends_on date, years integer[], current boolean)
        ON CONFLICT (id) DO UPDATE SET label = EXCLUDED.label, starts_on = EXCLUDED.starts_on, ends_on = EXCLUDED.ends_on,
            years = EXCLUDED.years, current = EXCLUDED.current";

    /// Values of leadership and units.
    values: "INSERT INTO municipal_value (id, slug, kind, name, rank)
        SELECT id, slug, kind, name, rank FROM jsonb_to_recordset($1) AS r(id uuid, slug text, kind text, name text, rank integer)
        ON CONFLICT (id) DO UPDATE SET kind = EXCLUDED.kind, name = EXCLUDED.name, rank = EXCLUDED.rank";

    /// Roles in words.
    role_definitions: "INSERT INTO role_definition (id, name, named_in_source, scope, can, rank)
        SELECT id, name, named_in_source, scope, can, rank
        FROM jsonb_to_recordset($1) AS r(id text, name text, named_in_source boolean, scope text, can text[], rank integer)
        ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, named_in_source = EXCLUDED.named_in_source, scope = EXCLUDED.scope,
            can = EXCLUDED.can, rank = EXCLUDED.rank";

    /// Names of statuses.
    status_names: "INSERT INTO status_name (scope, id, name, rank)
        SELECT scope, id, name, rank FROM jsonb_to_recordset($1) AS r(scope text, id text, name text, rank integer)
        ON CONFLICT (scope, id) DO UPDATE SET name = EXCLUDED.name, rank = EXCLUDED.rank";

    /// Readings of the time plan.
    time_plans: "INSERT INTO time_plan (id, slug, title, certainty, active, rank)
        SELECT id, slug, title, certainty, active, rank
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, title text, certainty text, active boolean, rank integer)
        ON CONFLICT (id) DO UPDATE SET title = EXCLUDED.title, certainty = EXCLUDED.certainty, active = EXCLUDED.active, rank = EXCLUDED.rank";

    /// Rows of the time plan.
    time_plan_rows: "INSERT INTO time_plan_row (plan_id, rank, document_type, label, level, cells)
        SELECT plan_id, rank, document_type, label, level, cells
        FROM jsonb_to_recordset($1) AS r(plan_id uuid, rank integer, document_type text, label text, level text, cells text[])";

    /// People.
    people: "INSERT INTO person (id, slug, given_name, family_name, display_name, initials, title, upn, email, external)
        SELECT id, slug, given_name, family_name, display_name, initials, title, upn, email, external
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, given_name text, family_name text, display_name text, initials text,
            title text, upn text, email text, external boolean)
        ON CONFLICT (id) DO UPDATE SET given_name = EXCLUDED.given_name, family_name = EXCLUDED.family_name,
            display_name = EXCLUDED.display_name, initials = EXCLUDED.initials, title = EXCLUDED.title, upn = EXCLUDED.upn,
            email = EXCLUDED.email, external = EXCLUDED.external";

    /// Nodes of the organisation, parents before children.
    org_nodes: "INSERT INTO org_node (id, slug, parent_id, kind, name, unit_type, head_person_id, chair_person_id, counterpart_person_id,
            board_id, committee_id, seats, employees, users, users_label)
        SELECT id, slug, parent_id, kind, name, unit_type, head_person_id, chair_person_id, counterpart_person_id, board_id, committee_id,
            seats, employees, users, users_label
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, parent_id uuid, kind text, name text, unit_type text, head_person_id uuid,
            chair_person_id uuid, counterpart_person_id uuid, board_id uuid, committee_id uuid, seats integer, employees integer,
            users integer, users_label text)
        ON CONFLICT (id) DO UPDATE SET parent_id = EXCLUDED.parent_id, kind = EXCLUDED.kind, name = EXCLUDED.name,
            unit_type = EXCLUDED.unit_type, head_person_id = EXCLUDED.head_person_id, chair_person_id = EXCLUDED.chair_person_id,
            counterpart_person_id = EXCLUDED.counterpart_person_id, board_id = EXCLUDED.board_id, committee_id = EXCLUDED.committee_id,
            seats = EXCLUDED.seats, employees = EXCLUDED.employees, users = EXCLUDED.users, users_label = EXCLUDED.users_label";

    /// Where people stand.
    placements: "INSERT INTO person_role (id, person_id, role, org_id, from_day, to_day, imported)
        SELECT id, person_id, role, org_id, from_day, to_day, true
        FROM jsonb_to_recordset($1) AS r(id uuid, person_id uuid, role text, org_id uuid, from_day date, to_day date)
        ON CONFLICT ON CONSTRAINT person_role_once DO UPDATE SET to_day = EXCLUDED.to_day, imported = true";

    /// Templates.
    templates: "INSERT INTO template (id, slug, document_kind, name, valid_from, language, max_goals, guidance)
        SELECT id, slug, document_kind, name, valid_from, language, max_goals, guidance
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, document_kind text, name text, valid_from date, language text,
            max_goals integer, guidance text)";

    /// Their sections.
    template_sections: "INSERT INTO template_section (template_id, key, rank, title, kind, goal_origin, required, guidance)
        SELECT template_id, key, rank, title, kind, goal_origin, required, guidance
        FROM jsonb_to_recordset($1) AS r(template_id uuid, key text, rank integer, title text, kind text, goal_origin text,
            required boolean, guidance text)";

    /// What governance documents have besides their text.
    governance_documents: "INSERT INTO governance_document (document_id, level, adopted_on, adopted_by_org_id, planned_adoption_on,
            valid_from, valid_to, owner_org_id, policy_area, summary, price_level, currency, replaces_id, midterm_due_on,
            midterm_evaluation_id, midterm_evaluated_on, midterm_revised_on, midterm_result_version)
        SELECT document_id, level, adopted_on, adopted_by_org_id, planned_adoption_on, valid_from, valid_to, owner_org_id, policy_area,
            summary, price_level, currency, replaces_id, midterm_due_on, midterm_evaluation_id, midterm_evaluated_on, midterm_revised_on,
            midterm_result_version
        FROM jsonb_to_recordset($1) AS r(document_id uuid, level text, adopted_on date, adopted_by_org_id uuid, planned_adoption_on date,
            valid_from date, valid_to date, owner_org_id uuid, policy_area text, summary text, price_level text, currency text,
            replaces_id uuid, midterm_due_on date, midterm_evaluation_id uuid, midterm_evaluated_on date, midterm_revised_on date,
            midterm_result_version integer)";

    /// The documents above a document.
    governance_parents: "INSERT INTO governance_parent (document_id, parent_id, rank)
        SELECT document_id, parent_id, rank FROM jsonb_to_recordset($1) AS r(document_id uuid, parent_id uuid, rank integer)";

    /// Bodies involved in a document.
    involved_orgs: "INSERT INTO involved_org (document_id, org_id, rank)
        SELECT document_id, org_id, rank FROM jsonb_to_recordset($1) AS r(document_id uuid, org_id uuid, rank integer)";

    /// A budget's frames.
    unit_frames: "INSERT INTO unit_frame (document_id, org_id, amount_dkk)
        SELECT document_id, org_id, amount_dkk FROM jsonb_to_recordset($1) AS r(document_id uuid, org_id uuid, amount_dkk bigint)";

    /// What chain goals have besides their text, after their document was made.
    chain_goal_attributes: "UPDATE goal SET slug = r.slug, code = r.code, responsible_person_id = r.responsible_person_id,
            starts_on = r.starts_on, ends_on = r.ends_on, amount_dkk = r.amount_dkk, status = r.status
        FROM jsonb_to_recordset($1) AS r(document_id uuid, id uuid, slug text, code text, responsible_person_id uuid, starts_on date,
            ends_on date, amount_dkk bigint, status text)
        WHERE goal.document_id = r.document_id AND goal.id = r.id";

    /// Evaluations.
    evaluations: "INSERT INTO evaluation (id, slug, document_id, kind, evaluated_on, by_org_id, idea, implementation, performance, outcome,
            lessons, led_to_version)
        SELECT id, slug, document_id, kind, evaluated_on, by_org_id, idea, implementation, performance, outcome, lessons, led_to_version
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, document_id uuid, kind text, evaluated_on date, by_org_id uuid, idea text,
            implementation text, performance text, outcome text, lessons text, led_to_version integer)";

    /// Agreements, with or without a text here.
    agreements: "INSERT INTO agreement (id, slug, unit_id, title, period_from, period_to, unit_leader_id, counterpart_id, predecessor_id,
            current_document_id, budget_frame_dkk, status_without_text, signed_on)
        SELECT id, slug, unit_id, title, period_from, period_to, unit_leader_id, counterpart_id, predecessor_id, current_document_id,
            budget_frame_dkk, status_without_text, signed_on
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, unit_id uuid, title text, period_from date, period_to date,
            unit_leader_id uuid, counterpart_id uuid, predecessor_id uuid, current_document_id uuid, budget_frame_dkk bigint,
            status_without_text text, signed_on date)";

    /// Which agreement a document is a version of.
    agreement_versions: "INSERT INTO agreement_version (document_id, agreement_id)
        SELECT document_id, agreement_id FROM jsonb_to_recordset($1) AS r(document_id uuid, agreement_id uuid)";

    /// Goals of agreements whose text is not here.
    past_goals: "INSERT INTO past_goal (agreement_id, goal_id, code, title, origin, rank)
        SELECT agreement_id, goal_id, code, title, origin, rank
        FROM jsonb_to_recordset($1) AS r(agreement_id uuid, goal_id uuid, code text, title text, origin text, rank integer)";

    /// What such goals pointed up to.
    past_goal_links: "INSERT INTO past_goal_link (agreement_id, goal_id, target_id, relation)
        SELECT agreement_id, goal_id, target_id, relation
        FROM jsonb_to_recordset($1) AS r(agreement_id uuid, goal_id uuid, target_id uuid, relation text)";

    /// What became of goals.
    followups: "INSERT INTO goal_followup (agreement_id, goal_id, kind, on_day, status, note)
        SELECT agreement_id, goal_id, kind, on_day, status, note
        FROM jsonb_to_recordset($1) AS r(agreement_id uuid, goal_id uuid, kind text, on_day date, status text, note text)";

    /// How goals stand.
    attainments: "INSERT INTO goal_attainment (agreement_id, goal_id, status)
        SELECT agreement_id, goal_id, status FROM jsonb_to_recordset($1) AS r(agreement_id uuid, goal_id uuid, status text)";

    /// Measured values.
    measurements: "INSERT INTO measurement (agreement_id, indicator_id, on_day, value)
        SELECT agreement_id, indicator_id, on_day, value
        FROM jsonb_to_recordset($1) AS r(agreement_id uuid, indicator_id uuid, on_day date, value numeric)";

    /// Revisions. Of those whose text is here the log hash is made as `samspil_evidence::statement::log_hash` spells it.
    revisions: "INSERT INTO revision (document_id, number, seq, content, content_sha256, schema, log_sha256, label, frozen, person_id, at)
        SELECT r.document_id, number, r.seq, convert_to(content, 'UTF8'), decode(content_sha256, 'hex'), d.schema,
            (SELECT sha256(string_agg(int8send(u.seq) || uuid_send(COALESCE(u.person_id, '00000000-0000-0000-0000-000000000000')) || u.hash,
                 ''::bytea ORDER BY u.seq)) FROM document_update u WHERE u.document_id = r.document_id AND u.seq <= r.seq),
            label, frozen, person_id, at
        FROM jsonb_to_recordset($1) AS r(document_id uuid, number integer, seq bigint, content text, content_sha256 text, label text,
            frozen boolean, person_id uuid, at timestamptz)
        LEFT JOIN document d ON d.id = r.document_id AND r.seq IS NOT NULL";

    /// Who last wrote in a section.
    section_edits: "INSERT INTO section_edit (document_id, section_key, person_id, at)
        SELECT document_id, section_key, person_id, at
        FROM jsonb_to_recordset($1) AS r(document_id uuid, section_key text, person_id uuid, at timestamptz)";

    /// Comment threads.
    threads: "INSERT INTO thread (id, slug, document_id, number, about, section_key, goal_id, quote, status, created_by, created_at,
            field, anchor_start, anchor_end, words, words_before, words_after, detached_at)
        SELECT id, slug, document_id, number, about, section_key, goal_id, quote, status, created_by, created_at, field,
            decode(anchor_start, 'hex'), decode(anchor_end, 'hex'), words, words_before, words_after, detached_at
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, document_id uuid, number integer, about text, section_key text, goal_id uuid,
            quote text, status text, created_by uuid, created_at timestamptz, field text, anchor_start text, anchor_end text, words text,
            words_before text, words_after text, detached_at timestamptz)";

    /// Comments.
    comments: "INSERT INTO comment (id, thread_id, number, person_id, body, at)
        SELECT id, thread_id, number, person_id, body, at
        FROM jsonb_to_recordset($1) AS r(id uuid, thread_id uuid, number integer, person_id uuid, body text, at timestamptz)";

    /// Signatures.
    signatures: "INSERT INTO signature (id, document_id, party, person_id, signed_at, revision, content_sha256, method, auth_time, acr, valid,
            lapsed_reason)
        SELECT id, document_id, party, person_id, signed_at, revision, decode(content_sha256, 'hex'), method, auth_time, acr, valid,
            lapsed_reason
        FROM jsonb_to_recordset($1) AS r(id uuid, document_id uuid, party text, person_id uuid, signed_at timestamptz, revision integer,
            content_sha256 text, method text, auth_time timestamptz, acr text, valid boolean, lapsed_reason text)";

    /// What is said of signatures that are only shown.
    approvals: "INSERT INTO approval (signature_id, document_id, revision, statement, statement_sha256, at)
        SELECT signature_id, document_id, revision, convert_to(statement, 'UTF8'), sha256(convert_to(statement, 'UTF8')), at
        FROM jsonb_to_recordset($1) AS r(signature_id uuid, document_id uuid, revision integer, statement text, at timestamptz)";

    /// What happened in agreements' lives.
    agreement_events: "INSERT INTO agreement_event (agreement_id, seq, document_id, type, at, person_id, from_status, to_status, meeting_id,
            revision, party, label, reason, case_number, error, old_person_id, new_person_id)
        SELECT agreement_id, seq, document_id, type, at, person_id, from_status, to_status, meeting_id, revision, party, label, reason,
            case_number, error, old_person_id, new_person_id
        FROM jsonb_to_recordset($1) AS r(agreement_id uuid, seq integer, document_id uuid, type text, at timestamptz, person_id uuid,
            from_status text, to_status text, meeting_id uuid, revision integer, party text, label text, reason text, case_number text,
            error text, old_person_id uuid, new_person_id uuid)";

    /// Deliveries to the records system.
    journal_deliveries: "INSERT INTO journal_delivery (id, document_id, target, status, case_number, document_number, delivered_at, attempts,
            last_error)
        SELECT id, document_id, target, status, case_number, document_number, delivered_at, attempts, last_error
        FROM jsonb_to_recordset($1) AS r(id uuid, document_id uuid, target text, status text, case_number text, document_number text,
            delivered_at timestamptz, attempts integer, last_error text)";

    /// Meetings.
    meetings: "INSERT INTO meeting (id, slug, kind, number, starts_at, ends_at, location, online, status, covers_political_goals,
            covers_executive_goals, agenda, minutes_md)
        SELECT id, slug, kind, number, starts_at, ends_at, location, online, status, covers_political_goals, covers_executive_goals, agenda,
            minutes_md
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, kind text, number integer, starts_at timestamptz, ends_at timestamptz,
            location text, online boolean, status text, covers_political_goals boolean, covers_executive_goals boolean, agenda text[],
            minutes_md text)";

    /// The agreements a meeting is about.
    meeting_agreements: "INSERT INTO meeting_agreement (meeting_id, agreement_id, rank)
        SELECT meeting_id, agreement_id, rank FROM jsonb_to_recordset($1) AS r(meeting_id uuid, agreement_id uuid, rank integer)";

    /// Who takes part.
    participants: "INSERT INTO meeting_participant (meeting_id, person_id, role, rank)
        SELECT meeting_id, person_id, role, rank
        FROM jsonb_to_recordset($1) AS r(meeting_id uuid, person_id uuid, role text, rank integer)";

    /// Management reports.
    reports: "INSERT INTO management_report (id, slug, kind, from_org_id, to_person_id, to_org_id, period, submitted_on, due_on, status, summary)
        SELECT id, slug, kind, from_org_id, to_person_id, to_org_id, period, submitted_on, due_on, status, summary
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, kind text, from_org_id uuid, to_person_id uuid, to_org_id uuid, period text,
            submitted_on date, due_on date, status text, summary text)";

    /// The goals in them.
    report_items: "INSERT INTO management_report_item (report_id, goal_id, rank, status)
        SELECT report_id, goal_id, rank, status
        FROM jsonb_to_recordset($1) AS r(report_id uuid, goal_id uuid, rank integer, status text)";

    /// Dialogue with citizens, boards and councils.
    dialogues: "INSERT INTO public_dialogue (id, slug, kind, title, held_on, host_org_id, with_org_id, attendance, summary)
        SELECT id, slug, kind, title, held_on, host_org_id, with_org_id, attendance, summary
        FROM jsonb_to_recordset($1) AS r(id uuid, slug text, kind text, title text, held_on date, host_org_id uuid, with_org_id uuid,
            attendance integer, summary text)";

    /// The documents it fed into.
    dialogue_documents: "INSERT INTO public_dialogue_document (dialogue_id, document_id, rank)
        SELECT dialogue_id, document_id, rank FROM jsonb_to_recordset($1) AS r(dialogue_id uuid, document_id uuid, rank integer)";

    /// Shares; one that is there already stays as it is.
    grants: "INSERT INTO document_grant (id, document_id, person_id, kind)
        SELECT id, document_id, person_id, kind FROM jsonb_to_recordset($1) AS r(id uuid, document_id uuid, person_id uuid, kind text)
        ON CONFLICT ON CONSTRAINT document_grant_once DO NOTHING";
}
