//! What the database refuses to the role that the server has, whatever the server believes.

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::*;
use crate::import::{self, Mode, Source};

async fn demo(connect: PgConnectOptions) -> Store {
    let store = Store::as_app(connect).await;
    let now = "2026-11-23T13:30:00+01:00".parse().unwrap();
    import::run(Source::Demo, &store, now, Mode::Apply).await.unwrap();
    store
}

/// What it is refused with.
async fn refused(pool: &PgPool, statement: &'static str) -> String {
    let error = sqlx::query(statement).execute(pool).await.expect_err(statement);
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_frozen_or_signed_stands_still_in_the_database_too(_: PgPoolOptions, connect: PgConnectOptions) {
    let store = demo(connect).await;
    for (statement, because) in [
        // A text that is frozen, or signed, takes no words.
        (
            "INSERT INTO document_update (document_id, seq, payload, hash, at)
             SELECT id, head + 1, '', '', now() FROM document WHERE slug = 'agr-2027-borgerservice'",
            "stand still",
        ),
        (
            "INSERT INTO document_update (document_id, seq, payload, hash, at)
             SELECT id, head + 1, '', '', now() FROM document WHERE slug IN ('agr-2027-fjordskolen', 'agr-2027-vej-park')",
            "stand still",
        ),
        ("UPDATE document SET head = head + 1 WHERE slug = 'agr-2027-strandsneglen'", "stands still"),
        ("UPDATE document SET head = head + 1, status = 'drafting' WHERE slug = 'agr-2027-strandsneglen'", "stands still"),
        // What both signed is not taken back.
        ("UPDATE document SET status = 'drafting' WHERE slug = 'agr-2027-vej-park'", "never becomes drafting"),
        ("UPDATE document SET status = 'reopened' WHERE slug = 'agr-2027-bibliotek'", "never becomes reopened"),
        // What was frozen or signed is neither altered nor removed.
        ("UPDATE revision SET content = ''", "permission denied"),
        ("DELETE FROM revision", "permission denied"),
        ("UPDATE signature SET person_id = (SELECT id FROM person LIMIT 1)", "permission denied"),
        ("DELETE FROM signature", "permission denied"),
        // A lapse is for good, and says why.
        ("UPDATE signature SET valid = true, lapsed_reason = NULL WHERE NOT valid", "never altered"),
        ("UPDATE signature SET lapsed_reason = 'En anden grund' WHERE NOT valid", "never altered"),
        ("UPDATE signature SET valid = false WHERE valid", "signature_lapse_has_reason"),
        // Whose identity it is, is tied once.
        ("UPDATE identity SET subject = ''", "permission denied"),
    ] {
        let said = refused(store.pool(), statement).await;
        assert!(said.contains(because), "{statement}: {said}");
    }
    let lapses = "UPDATE signature SET valid = false, lapsed_reason = 'Taget tilbage', lapsed_at = now() WHERE valid";
    assert_eq!(sqlx::query(lapses).execute(store.pool()).await.unwrap().rows_affected(), 5);
}

#[sqlx::test(migrations = "../migrations")]
async fn not_even_the_owner_of_the_tables_alters_what_was_frozen_or_signed(pool: PgPool) {
    let store = Store::new(pool);
    import::run(Source::Demo, &store, "2026-11-23T13:30:00+01:00".parse().unwrap(), Mode::Apply).await.unwrap();
    for statement in [
        "UPDATE revision SET content = ''",
        "DELETE FROM revision",
        "TRUNCATE revision CASCADE",
        "UPDATE signature SET acr = 'x', valid = false, lapsed_reason = 'x' WHERE valid",
        "DELETE FROM signature",
        "TRUNCATE signature CASCADE",
    ] {
        assert!(refused(store.pool(), statement).await.contains("never altered or removed"), "{statement}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_imported_text_that_waits_for_signatures_is_whole(_: PgPoolOptions, connect: PgConnectOptions) {
    let store = demo(connect).await;
    let rows = sqlx::query!(r#"SELECT id, slug AS "slug!", status FROM document WHERE kind = 'agreement' ORDER BY slug"#);
    for row in rows.fetch_all(store.pool()).await.unwrap() {
        let document = DocumentId(row.id);
        let frozen = store.frozen_revision(document).await.unwrap();
        let signed = ["ready_to_sign", "partly_signed", "signed"].contains(&&row.status[..]);
        assert_eq!(frozen.is_some(), signed, "{} is {}", row.slug, row.status);
        let Some(frozen) = frozen else { continue };
        let log = store.whole_log(document).await.unwrap().unwrap();
        let hashes = log.rows.iter().map(|row| (row.seq, row.person.map(|person| person.0), row.hash));
        assert_eq!(frozen.log_sha256, samspil_evidence::statement::log_hash(hashes), "{}", row.slug);
        assert_eq!(frozen.content_sha256, content::sha256(&frozen.content), "{}", row.slug);
    }
}
