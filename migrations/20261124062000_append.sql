-- The one place where words become lasting (reliability-security §2): one statement, so that a commit costs one round trip.
--
-- It is called by the journal in autocommit, or inside a transaction when something else must be written with the words. It raises an
-- error, and so writes nothing at all, if anything is not as it was when the words were admitted; the error's detail names the documents.
--     SP001  a right changed: the version of the document, of a writer or of a session is another now
--     SP002  the log ends before what the words build on: the database went back in time
--     SP003  a client id is somebody else's, or retired
--     SP004  the first words of an agreement that was not begun: to be written together with its status and its event
--
-- Locks, always in this order, as everybody takes them who changes a status or a right: documents, persons, sessions, each ascending by
-- id. A right that is taken away before this commits is seen here; one that is taken away later waits for it.
--
-- Each statement in it has a snapshot of its own (READ COMMITTED, VOLATILE), so what is read once the locks are held is how it is.
--
-- Batches are numbered from 1, by `documents`, which are ascending; `in` another list says to which batch a thing belongs.
CREATE FUNCTION append_updates(
    -- For each batch: the document, its access version and where its log stood at least when the words were admitted, how many there are.
    documents uuid[], document_versions bigint[], heads bigint[], counts bigint[], moments timestamptz[],
    -- May these be the first words of an agreement?
    may_begin boolean,
    -- Who wrote, and in which session, under which access version.
    persons uuid[], person_versions bigint[], persons_in integer[],
    sessions uuid[], session_versions bigint[], sessions_in integer[],
    -- Client ids used for the first time, and whose they are from now on.
    clients bigint[], owners uuid[], clients_in integer[],
    -- The updates, each with its place within its batch, from 1.
    updates_in integer[], places bigint[], writers uuid[], writing_sessions uuid[], payloads bytea[], hashes bytea[]
) RETURNS bigint[] LANGUAGE plpgsql
-- Plans that hold for one keystroke and for a thousand, in an empty table and in a large one: everything is found by its key.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    changed uuid[];
    rewound uuid[];
    unbegun uuid[];
    taken uuid[];
    before bigint[];
BEGIN
    PERFORM FROM document WHERE id = ANY(documents) ORDER BY id FOR NO KEY UPDATE;
    PERFORM FROM person WHERE id = ANY(persons) ORDER BY id FOR SHARE;
    PERFORM FROM session WHERE id = ANY(sessions) ORDER BY id FOR SHARE;

    SELECT ARRAY(SELECT batch.id FROM unnest(documents, document_versions) AS batch (id, version)
                 WHERE NOT EXISTS (SELECT FROM document d WHERE d.id = batch.id AND d.access_version = batch.version)
                 UNION ALL
                 SELECT documents[writer.batch] FROM unnest(persons, person_versions, persons_in) AS writer (id, version, batch)
                 WHERE NOT EXISTS (SELECT FROM person p WHERE p.id = writer.id AND p.access_version = writer.version)
                 UNION ALL
                 SELECT documents[writer.batch] FROM unnest(sessions, session_versions, sessions_in) AS writer (id, version, batch)
                 WHERE NOT EXISTS (SELECT FROM session s WHERE s.id = writer.id AND s.access_version = writer.version)),
           ARRAY(SELECT batch.id FROM unnest(documents, heads) AS batch (id, head) JOIN document d ON d.id = batch.id WHERE d.head < batch.head),
           ARRAY(SELECT d.id FROM document d WHERE d.id = ANY(documents) AND d.status = 'not_started')
    INTO changed, rewound, unbegun;
    IF changed <> '{}' THEN
        RAISE EXCEPTION 'rights changed while the updates were on their way' USING ERRCODE = 'SP001', DETAIL = array_to_string(changed, ' ');
    ELSIF rewound <> '{}' THEN
        RAISE EXCEPTION 'the log ends before what the updates build on' USING ERRCODE = 'SP002', DETAIL = array_to_string(rewound, ' ');
    ELSIF unbegun <> '{}' AND NOT may_begin THEN
        RAISE EXCEPTION 'these are first words' USING ERRCODE = 'SP004', DETAIL = array_to_string(unbegun, ' ');
    END IF;

    -- The first to use a client id in a document owns it there.
    IF clients <> '{}' THEN
        INSERT INTO document_client (document_id, client_id, person_id)
        SELECT documents[wanted.batch], wanted.client, wanted.person FROM unnest(clients, owners, clients_in) AS wanted (client, person, batch)
        ON CONFLICT (document_id, client_id) DO NOTHING;
        taken := ARRAY(
            SELECT owned.document_id FROM unnest(clients, owners, clients_in) AS wanted (client, person, batch)
            JOIN document_client owned ON owned.document_id = documents[wanted.batch] AND owned.client_id = wanted.client
            WHERE owned.retired OR owned.person_id IS DISTINCT FROM wanted.person);
        IF taken <> '{}' THEN
            RAISE EXCEPTION 'a client id is somebody else''s' USING ERRCODE = 'SP003', DETAIL = array_to_string(taken, ' ');
        END IF;
    END IF;

    WITH raised AS (
        UPDATE document SET head = document.head + batch.count
        FROM unnest(documents, counts) WITH ORDINALITY AS batch (id, count, number)
        WHERE document.id = batch.id
        RETURNING document.head - batch.count AS before, batch.number
    )
    SELECT array_agg(raised.before ORDER BY number) INTO before FROM raised;
    INSERT INTO document_update (document_id, seq, person_id, session_id, payload, hash, at)
    SELECT documents[u.batch], before[u.batch] + u.place, u.person, u.session, u.payload, u.hash, moments[u.batch]
    FROM unnest(updates_in, places, writers, writing_sessions, payloads, hashes) AS u (batch, place, person, session, payload, hash);
    RETURN before;
END $$;
COMMENT ON FUNCTION append_updates IS 'Appends batches of updates to their documents'' logs, all or nothing; answers where each log stood before.';
REVOKE ALL ON FUNCTION append_updates FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_updates TO samspil_app;
