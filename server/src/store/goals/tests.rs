use chrono::TimeDelta;
use sqlx::PgPool;

use super::*;
use crate::{
    content::{self, Content, Goal, Link, SCHEMA, bullets, paragraph},
    domain::ids::imported,
    import::{self, Mode, Source},
    store::Store,
};

fn now() -> DateTime<Utc> {
    "2026-11-23T13:30:00+01:00".parse().unwrap()
}

/// An agreement of the demo, whose text is replaced by one goal with these links.
async fn demo(pool: PgPool) -> (Store, DocumentId) {
    let store = Store::new(pool);
    import::run(Source::Demo, &store, now(), Mode::Apply).await.unwrap();
    let id = sqlx::query_scalar!("SELECT id FROM document WHERE slug = 'agr-2027-oesterklit'").fetch_one(store.pool()).await.unwrap();
    (store, DocumentId(id))
}

fn one_goal(title: &str, links: &[(&str, &str)]) -> Projection {
    let links = links.iter().zip(1_u128..).map(|((target, reason), number)| Link {
        id: Uuid::from_u128(number).to_string(),
        target: (*target).to_owned(),
        relation: "contributes_to".into(),
        reason: paragraph(reason),
    });
    let goal = Goal {
        id: imported("goal").to_string(),
        title: paragraph(title),
        body: paragraph(""),
        success: bullets(&[]),
        responsible: paragraph(""),
        origin: "local".into(),
        rank: "a0".into(),
        links: links.collect(),
        ..Goal::default()
    };
    Projection::of(&Content { schema: SCHEMA, goals: vec![goal], ..Content::default() })
}

async fn project(store: &Store, document: DocumentId, projection: &Projection, by: Option<&str>, minutes: i64) {
    let mut transaction = store.begin().await.unwrap();
    let by = by.map(|slug| PersonId(imported(slug)));
    replace_projection(&mut transaction, document, projection, by, now() + TimeDelta::minutes(minutes)).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Target, whether it is resolved, who made it, when (minutes), reasons.
async fn links(store: &Store, document: DocumentId) -> Vec<(String, bool, Option<Uuid>, i64, Vec<String>)> {
    let rows = sqlx::query!(
        r#"SELECT target AS "target: String", target_document_id IS NOT NULL AS "resolved!", person_id, at, reasons
           FROM agreement_goal_link WHERE document_id = $1 ORDER BY target"#,
        document.0
    );
    let rows = rows.fetch_all(store.pool()).await.unwrap();
    rows.into_iter().map(|row| (row.target, row.resolved, row.person_id, (row.at - now()).num_minutes(), row.reasons)).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_link_keeps_its_pin_and_maker_while_it_stands(pool: PgPool) {
    let (store, document) = demo(pool).await;
    let target = imported("str-sprog-1").to_string();
    project(&store, document, &one_goal("a", &[(&target, "")]), Some("p-l-oesterklit-2"), 1).await;
    // A newer version of the upstream document, with the same goal.
    let newer = Uuid::from_u128(1);
    sqlx::query!("INSERT INTO document (id, kind, title, version, schema, status) VALUES ($1, 'strategy', 'Ny', 2, 1, 'adopted')", newer)
        .execute(store.pool())
        .await
        .unwrap();
    sqlx::query!(
        "INSERT INTO goal (document_id, id, title, kind, rank) VALUES ($1, $2, 'Ny', 'strategy_goal', 'a0')",
        newer,
        imported("str-sprog-1")
    )
    .execute(store.pool())
    .await
    .unwrap();
    project(&store, document, &one_goal("b", &[(&target, "fordi")]), Some("p-chef-dagtilbud"), 2).await;

    let maker = Some(imported("p-l-oesterklit-2"));
    assert_eq!(links(&store, document).await, [(target.clone(), true, maker, 1, vec!["fordi".to_owned()])]);
    let pinned = sqlx::query_scalar!("SELECT target_document_id FROM agreement_goal_link WHERE document_id = $1", document.0);
    assert_eq!(pinned.fetch_one(store.pool()).await.unwrap(), Some(imported("str-sprog")));

    // Taken away and made again, it is a new link to the newest version.
    project(&store, document, &one_goal("b", &[]), None, 3).await;
    assert!(links(&store, document).await.is_empty());
    project(&store, document, &one_goal("b", &[(&target, "")]), Some("p-chef-dagtilbud"), 4).await;
    let pinned = sqlx::query_scalar!("SELECT target_document_id FROM agreement_goal_link WHERE document_id = $1", document.0);
    assert_eq!(pinned.fetch_one(store.pool()).await.unwrap(), Some(newer));
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_resolved_is_broken_until_it_can(pool: PgPool) {
    let (store, document) = demo(pool).await;
    let unknown = imported("not there yet").to_string();
    let long = "x".repeat(5000);
    project(&store, document, &one_goal("a", &[(&unknown, ""), ("nonsense", ""), (&long, "")]), None, 1).await;
    assert_eq!(links(&store, document).await.iter().filter(|(_, resolved, ..)| *resolved).count(), 0);
    assert_eq!(links(&store, document).await.len(), 3);

    sqlx::query!(
        "INSERT INTO goal (document_id, id, title, kind, rank) VALUES ($1, $2, 'Nu', 'strategy_goal', 'b0')",
        imported("str-sprog"),
        imported("not there yet")
    )
    .execute(store.pool())
    .await
    .unwrap();
    project(&store, document, &one_goal("a", &[(&unknown, ""), ("nonsense", "")]), None, 2).await;
    let found = links(&store, document).await;
    assert_eq!(found.iter().map(|(_, resolved, ..)| *resolved).collect::<Vec<_>>(), [true, false]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_tables_say_what_the_text_says_and_unchanged_rows_are_not_written(pool: PgPool) {
    let (store, _) = demo(pool).await;
    let document =
        sqlx::query_scalar!("SELECT id FROM document WHERE slug = 'agr-2027-fjordskolen'").fetch_one(store.pool()).await.unwrap();
    let document = DocumentId(document);
    let log = store.log(document, crate::store::log::ReadFrom::Beginning).await.unwrap().unwrap();
    let mut projection = content::project(&content::replay(log.updates.iter().map(|update| &update.payload[..])).unwrap());
    let written = async || {
        let row = sqlx::query!(
            r#"SELECT (SELECT array_agg(xmin::text ORDER BY goal_id) FROM agreement_goal WHERE document_id = $1) AS "goals!",
                      (SELECT array_agg(xmin::text ORDER BY action_id) FROM agreement_action WHERE document_id = $1) AS "actions!",
                      (SELECT array_agg(xmin::text ORDER BY indicator_id) FROM indicator WHERE document_id = $1) AS "indicators!",
                      (SELECT array_agg(xmin::text ORDER BY goal_id, target) FROM agreement_goal_link WHERE document_id = $1) AS "links!""#,
            document.0
        );
        let row = row.fetch_one(store.pool()).await.unwrap();
        (row.goals, row.actions, row.indicators, row.links)
    };
    let before = written().await;
    assert_eq!((before.0.len(), before.1.len(), before.2.len(), before.3.len()), (4, 5, 2, 8));
    project(&store, document, &projection, None, 1).await;
    assert_eq!(written().await, before);

    projection.goals[1].title.push('!');
    projection.goals[0].actions[0].text.push('!');
    projection.goals.pop();
    project(&store, document, &projection, None, 2).await;
    let after = written().await;
    let changed = |one: &[String], other: &[String]| one.iter().filter(|xmin| !other.contains(xmin)).count();
    assert_eq!((after.0.len(), changed(&after.0, &before.0)), (3, 1));
    assert_eq!((after.1.len(), changed(&after.1, &before.1)), (5, 1));
    assert_eq!((after.2.len(), after.3.len()), (2, 7));
}

#[sqlx::test(migrations = "../migrations")]
async fn goals_of_the_chain_keep_what_is_not_typed(pool: PgPool) {
    let (store, _) = demo(pool).await;
    let document = DocumentId(imported("bud-2027"));
    let log = store.log(document, crate::store::log::ReadFrom::Beginning).await.unwrap().unwrap();
    let mut projection = content::project(&content::replay(log.updates.iter().map(|update| &update.payload[..])).unwrap());
    projection.goals[0].title = "Sprogpædagoger".into();
    projection.goals.remove(2);
    project(&store, document, &projection, None, 1).await;
    let rows = sqlx::query!(
        r#"SELECT code, title AS "title: String", amount_dkk,
                  (SELECT count(*) FROM goal_parent p WHERE p.document_id = goal.document_id AND p.goal_id = goal.id) AS "parents!"
           FROM goal WHERE document_id = $1 ORDER BY rank, id"#,
        document.0
    );
    let rows = rows.fetch_all(store.pool()).await.unwrap();
    let found: Vec<_> = rows.into_iter().map(|row| (row.code.unwrap_or_default(), row.title, row.amount_dkk, row.parents)).collect();
    assert_eq!(
        found,
        [
            ("B1".to_owned(), "Sprogpædagoger".to_owned(), Some(2_400_000), 1),
            ("B2".to_owned(), "Faste team i hjemmeplejen".to_owned(), Some(3_100_000), 1)
        ]
    );
}
