-- The text stands still while it is signed: what a freeze keeps, that nothing is written while it holds, and that what was frozen or
-- signed is never altered. The server refuses before the database has to; here it is refused to whoever comes past the server.

-- ── What a freeze keeps ─────────────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE revision
    ADD schema integer,
    ADD log_sha256 bytea,
    ADD CONSTRAINT revision_frozen_whole CHECK (NOT frozen OR content IS NULL
        OR (seq IS NOT NULL AND schema IS NOT NULL AND log_sha256 IS NOT NULL));
COMMENT ON COLUMN revision.schema IS 'Version of the content''s schema; null where the text is not held here.';
COMMENT ON COLUMN revision.log_sha256 IS 'SHA-256 over (seq, person, hash) of every update up to seq, as it was when the text was frozen.';

ALTER TABLE document ADD freezes integer NOT NULL DEFAULT 0 CONSTRAINT document_freezes_counted CHECK (freezes >= 0);
COMMENT ON COLUMN document.freezes IS 'How often its text was frozen for signing. Words belong to the count they were written under: no freeze lets older ones in later.';

-- ── Nothing is written while it holds ───────────────────────────────────────────────────────────────────────────────

CREATE FUNCTION is_closed_to_words(status text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN status IN ('ready_to_sign', 'partly_signed', 'signed', 'closed', 'superseded', 'adopted');
COMMENT ON FUNCTION is_closed_to_words IS 'Does nobody write in a document of this status (domain::access)?';

-- The log of such a document does not grow. Whoever raises a head holds the row, so the status looked at is the one in force.
CREATE FUNCTION refuse_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'samspil: the text of % stands still', OLD.id USING ERRCODE = 'SP001', DETAIL = OLD.id::text;
END $$;
CREATE TRIGGER document_closed_to_words BEFORE UPDATE OF head ON document FOR EACH ROW
    WHEN (NEW.head IS DISTINCT FROM OLD.head AND is_closed_to_words(OLD.status)) EXECUTE FUNCTION refuse_head();

-- Its first update is the one that it is made with, whatever its status.
CREATE FUNCTION refuse_words() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed uuid[];
BEGIN
    SELECT array_agg(DISTINCT fresh.document_id) INTO closed FROM fresh JOIN document d ON d.id = fresh.document_id
    WHERE fresh.seq > 1 AND is_closed_to_words(d.status);
    IF closed IS NOT NULL THEN
        RAISE EXCEPTION 'samspil: these texts stand still' USING ERRCODE = 'SP001', DETAIL = array_to_string(closed, ' ');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER document_update_closed_to_words AFTER INSERT ON document_update REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_words();

-- What was entered into is not taken back: it is replaced by a later version, or its period ends.
CREATE FUNCTION refuse_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'samspil: a document that is % never becomes %', OLD.status, NEW.status USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER document_signed_for_good BEFORE UPDATE OF status ON document FOR EACH ROW
    WHEN (OLD.status IN ('signed', 'closed', 'superseded') AND NEW.status IS DISTINCT FROM OLD.status
        AND NOT (OLD.status = 'signed' AND NEW.status IN ('closed', 'superseded'))) EXECUTE FUNCTION refuse_status();

-- ── Nothing that was frozen or signed is altered ────────────────────────────────────────────────────────────────────

CREATE TRIGGER revision_not_altered BEFORE UPDATE OR DELETE ON revision FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER revision_not_truncated BEFORE TRUNCATE ON revision FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER signature_not_removed BEFORE DELETE ON signature FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER signature_not_truncated BEFORE TRUNCATE ON signature FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A signature lapses, once. Nothing else happens to it.
CREATE TRIGGER signature_only_lapses BEFORE UPDATE ON signature FOR EACH ROW
    WHEN (NOT (OLD.valid AND NOT NEW.valid)
        OR (OLD.id, OLD.document_id, OLD.party, OLD.person_id, OLD.signed_at, OLD.revision, OLD.content_sha256, OLD.method, OLD.auth_time, OLD.acr)
            IS DISTINCT FROM
           (NEW.id, NEW.document_id, NEW.party, NEW.person_id, NEW.signed_at, NEW.revision, NEW.content_sha256, NEW.method, NEW.auth_time, NEW.acr))
    EXECUTE FUNCTION refuse_change();

REVOKE UPDATE ON revision, signature, identity FROM samspil_app;
GRANT UPDATE (valid, lapsed_reason, lapsed_at) ON signature TO samspil_app;

-- ── Who is told ─────────────────────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE notification
    DROP CONSTRAINT notification_kind_known,
    ADD CONSTRAINT notification_kind_known CHECK (kind IN ('mention', 'reply', 'comment', 'resolved', 'proposal', 'ready_to_sign', 'reopened')),
    ADD reason text;
COMMENT ON COLUMN notification.kind IS 'mention: it names me; reply: in a thread I wrote in; comment: beside an agreement I am a party of; resolved; proposal: other words were proposed there, or mine were inserted or declined; ready_to_sign: an agreement of mine waits for my signature; reopened: it was taken back to a draft.';
COMMENT ON COLUMN notification.reason IS 'reopened: why.';
