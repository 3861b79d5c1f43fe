//! Goals as SQL sees them: projected from a document's content in the transaction that appends to it, so that the chain can be asked up
//! and down. What cannot be resolved is stored as broken; nothing a person writes is ever an error here.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Result, Transaction};
use crate::{
    content::{GoalText, Projection},
    domain::ids::{DocumentId, PersonId},
};

/// Makes the tables say what the document says now. `by` and `at` come from the log: who made a link that is new here, and when.
pub async fn replace_projection(
    transaction: &mut Transaction,
    document: DocumentId,
    projection: &Projection,
    by: Option<PersonId>,
    at: DateTime<Utc>,
) -> Result<()> {
    let kind = sqlx::query_scalar!("SELECT kind FROM document WHERE id = $1", document.0).fetch_one(&mut **transaction).await?;
    if kind == "agreement" {
        replace_agreement_goals(transaction, document, &projection.goals, by, at).await
    } else {
        replace_chain_goals(transaction, document, &kind, &projection.goals).await?;
        replace_text(transaction, document, projection).await
    }
}

/// One statement, because it stands between a keystroke and its acknowledgement; a row that says the same as before is not written.
///
/// A link keeps the version it was pinned to, and its maker, for as long as it stands; a broken one is looked up again.
async fn replace_agreement_goals(
    transaction: &mut Transaction,
    document: DocumentId,
    goals: &[GoalText],
    by: Option<PersonId>,
    at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        r#"WITH g AS MATERIALIZED (
               SELECT * FROM jsonb_to_recordset($2) AS g(goal_id uuid, number integer, rank text, origin text, title text, body text,
                                                         success text[], responsible text, due_on date)
           ), a AS MATERIALIZED (
               SELECT * FROM jsonb_to_recordset($3) AS a(goal_id uuid, action_id uuid, rank text, text text, responsible text, due_on date)
           ), i AS MATERIALIZED (
               SELECT * FROM jsonb_to_recordset($4) AS i(goal_id uuid, indicator_id uuid, name text, source text, unit text,
                                                         direction text, frequency text, baseline text, target text)
           ), l AS MATERIALIZED (
               SELECT * FROM jsonb_to_recordset($5) AS l(goal_id uuid, target text, relation text, reasons text[], target_id uuid)
           ), gone_goals AS (
               DELETE FROM agreement_goal t WHERE document_id = $1 AND NOT EXISTS (SELECT FROM g WHERE g.goal_id = t.goal_id)
           ), gone_actions AS (
               DELETE FROM agreement_action t WHERE document_id = $1
                   AND NOT EXISTS (SELECT FROM a WHERE (a.goal_id, a.action_id) = (t.goal_id, t.action_id))
           ), gone_indicators AS (
               DELETE FROM indicator t WHERE document_id = $1
                   AND NOT EXISTS (SELECT FROM i WHERE (i.goal_id, i.indicator_id) = (t.goal_id, t.indicator_id))
           ), gone_links AS (
               DELETE FROM agreement_goal_link t WHERE document_id = $1
                   AND NOT EXISTS (SELECT FROM l WHERE (l.goal_id, l.target, l.relation) = (t.goal_id, t.target, t.relation))
           ), goals AS (
               INSERT INTO agreement_goal AS t (document_id, goal_id, number, rank, origin, title, body, success, responsible, due_on)
               SELECT $1, goal_id, number, rank, origin, title, body, success, responsible, due_on FROM g
               ON CONFLICT (document_id, goal_id) DO UPDATE SET number = EXCLUDED.number, rank = EXCLUDED.rank, origin = EXCLUDED.origin,
                   title = EXCLUDED.title, body = EXCLUDED.body, success = EXCLUDED.success, responsible = EXCLUDED.responsible,
                   due_on = EXCLUDED.due_on
               WHERE t IS DISTINCT FROM EXCLUDED
           ), actions AS (
               INSERT INTO agreement_action AS t (document_id, goal_id, action_id, rank, text, responsible, due_on)
               SELECT $1, goal_id, action_id, rank, text, responsible, due_on FROM a
               ON CONFLICT (document_id, goal_id, action_id) DO UPDATE SET rank = EXCLUDED.rank, text = EXCLUDED.text,
                   responsible = EXCLUDED.responsible, due_on = EXCLUDED.due_on
               WHERE t IS DISTINCT FROM EXCLUDED
           ), indicators AS (
               INSERT INTO indicator AS t (document_id, goal_id, indicator_id, name, source, unit, direction, frequency, baseline, target)
               SELECT $1, goal_id, indicator_id, name, source, unit, direction, frequency, baseline, target FROM i
               ON CONFLICT (document_id, goal_id, indicator_id) DO UPDATE SET name = EXCLUDED.name, source = EXCLUDED.source,
                   unit = EXCLUDED.unit, direction = EXCLUDED.direction, frequency = EXCLUDED.frequency, baseline = EXCLUDED.baseline,
                   target = EXCLUDED.target
               WHERE t IS DISTINCT FROM EXCLUDED
           )
           INSERT INTO agreement_goal_link AS t (document_id, goal_id, target, relation, reasons, target_document_id, target_goal_id,
                                                 person_id, at)
           SELECT $1, l.goal_id, l.target, l.relation, l.reasons, found.document_id, found.id, $6, $7
           FROM l
           LEFT JOIN LATERAL (SELECT g.document_id, g.id FROM goal g JOIN document d ON d.id = g.document_id WHERE g.id = l.target_id
                              ORDER BY array_position(ARRAY['adopted', 'in_preparation', 'superseded'], d.status), d.version DESC, d.id
                              LIMIT 1) found ON true
           ON CONFLICT (document_id, goal_id, target, relation) DO UPDATE SET reasons = EXCLUDED.reasons,
               target_document_id = COALESCE(t.target_document_id, EXCLUDED.target_document_id),
               target_goal_id = COALESCE(t.target_goal_id, EXCLUDED.target_goal_id)
           WHERE t.reasons IS DISTINCT FROM EXCLUDED.reasons
              OR (t.target_document_id IS NULL AND EXCLUDED.target_document_id IS NOT NULL)"#,
        document.0,
        goals.iter().map(goal_row).collect::<Value>(),
        goals.iter().flat_map(action_rows).collect::<Value>(),
        goals.iter().flat_map(indicator_rows).collect::<Value>(),
        goals.iter().flat_map(link_rows).collect::<Value>(),
        by.map(|by| by.0),
        at
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Goals of the chain's other documents: what is typed is projected; code, responsible person, dates and amounts stay as they are.
async fn replace_chain_goals(transaction: &mut Transaction, document: DocumentId, kind: &str, goals: &[GoalText]) -> Result<()> {
    let ids: Vec<Uuid> = goals.iter().map(|goal| goal.id).collect();
    sqlx::query!("DELETE FROM goal WHERE document_id = $1 AND id <> ALL($2)", document.0, &ids).execute(&mut **transaction).await?;
    sqlx::query!(
        r#"INSERT INTO goal (document_id, id, title, description, kind, rank)
           SELECT $1, goal_id, title, NULLIF(body, ''), kind, rank
           FROM jsonb_to_recordset($2) AS g(goal_id uuid, title text, body text, kind text, rank text)
           ON CONFLICT (document_id, id) DO UPDATE SET title = EXCLUDED.title, description = EXCLUDED.description, rank = EXCLUDED.rank"#,
        document.0,
        goals.iter().map(|goal| chain_goal_row(kind, goal)).collect::<Value>()
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!("DELETE FROM goal_parent WHERE document_id = $1", document.0).execute(&mut **transaction).await?;
    sqlx::query!(
        r#"INSERT INTO goal_parent (document_id, goal_id, parent_id, relation)
           SELECT $1, goal_id, target_id, relation
           FROM jsonb_to_recordset($2) AS n(goal_id uuid, target_id uuid, relation text) WHERE target_id IS NOT NULL"#,
        document.0,
        goals.iter().flat_map(link_rows).collect::<Value>()
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// The summary and the guidelines of a governance document are its sections `resume` and `retningslinjer`.
async fn replace_text(transaction: &mut Transaction, document: DocumentId, projection: &Projection) -> Result<()> {
    let blocks = |key: &str| projection.section(key).map(|section| section.blocks.clone()).unwrap_or_default();
    sqlx::query!("UPDATE governance_document SET summary = $2 WHERE document_id = $1", document.0, blocks("resume").join("\n\n"))
        .execute(&mut **transaction)
        .await?;
    sqlx::query!("DELETE FROM document_guideline WHERE document_id = $1", document.0).execute(&mut **transaction).await?;
    sqlx::query!(
        r#"INSERT INTO document_guideline (document_id, rank, text)
           SELECT $1, rank, text FROM unnest($2::text[]) WITH ORDINALITY AS g(text, rank)"#,
        document.0,
        &blocks("retningslinjer")
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn goal_row(goal: &GoalText) -> Value {
    json!({
        "goal_id": goal.id, "number": goal.number, "rank": goal.rank, "origin": goal.origin, "title": goal.title, "body": goal.body,
        "success": goal.success, "responsible": goal.responsible, "due_on": goal.due,
    })
}

fn action_rows(goal: &GoalText) -> impl Iterator<Item = Value> {
    goal.actions.iter().map(|action| {
        json!({
            "goal_id": goal.id, "action_id": action.id, "rank": action.rank, "text": action.text, "responsible": action.responsible,
            "due_on": action.due,
        })
    })
}

fn indicator_rows(goal: &GoalText) -> impl Iterator<Item = Value> {
    goal.indicators.iter().map(|indicator| {
        json!({
            "goal_id": goal.id, "indicator_id": indicator.id, "name": indicator.name, "source": indicator.source, "unit": indicator.unit,
            "direction": indicator.direction, "frequency": indicator.frequency, "baseline": indicator.baseline, "target": indicator.target,
        })
    })
}

fn link_rows(goal: &GoalText) -> impl Iterator<Item = Value> {
    goal.links.iter().map(|link| {
        json!({
            "goal_id": goal.id, "target": link.target, "relation": link.relation, "reasons": link.reasons,
            "target_id": Uuid::try_parse(&link.target).ok().filter(|id| id.to_string() == link.target),
        })
    })
}

/// The kind of a chain goal stands as its origin; one that was added later gets the kind its document's goals have.
fn chain_goal_row(document_kind: &str, goal: &GoalText) -> Value {
    let kind = match (goal.origin.as_str(), document_kind) {
        (known @ ("vision_aim" | "policy_goal" | "strategy_goal" | "budget_priority" | "executive_goal" | "initiative"), _) => known,
        (_, "vision") => "vision_aim",
        (_, "policy") => "policy_goal",
        (_, "budget") => "budget_priority",
        (_, "executive_strategy") => "executive_goal",
        _ => "strategy_goal",
    };
    json!({ "goal_id": goal.id, "title": goal.title, "body": goal.body, "kind": kind, "rank": goal.rank })
}

#[cfg(test)]
mod tests;
