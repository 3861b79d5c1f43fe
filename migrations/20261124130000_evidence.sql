-- What proves an approval (reliability-security §6): the statement, the sign-in that proves it, the seal; the keys that sealed; the
-- checkpoints that fix the trails. The server may insert and read, nothing else; nobody alters or removes a row, and nothing cascades.

CREATE TABLE seal_key (
    kid   text PRIMARY KEY,
    jwk   jsonb NOT NULL,
    since timestamptz NOT NULL
);
COMMENT ON TABLE  seal_key IS 'The public halves of the keys that seal, old ones too: what they sealed is checked for ever.';
COMMENT ON COLUMN seal_key.kid IS 'The key''s thumbprint (RFC 7638).';
COMMENT ON COLUMN seal_key.jwk IS 'The public key (RFC 8037).';
COMMENT ON COLUMN seal_key.since IS 'When it was taken into use, as the system''s trail says.';

CREATE TABLE approval (
    signature_id     uuid PRIMARY KEY CONSTRAINT approval_signature_fk REFERENCES signature ON DELETE RESTRICT,
    document_id      uuid NOT NULL,
    revision         integer NOT NULL,
    statement        bytea NOT NULL,
    statement_sha256 bytea NOT NULL CONSTRAINT approval_statement_once UNIQUE,
    id_token         bytea,
    idp_key          bytea,
    seal             text,
    seal_kid         text CONSTRAINT approval_seal_key_fk REFERENCES seal_key ON DELETE RESTRICT,
    at               timestamptz NOT NULL,
    CONSTRAINT approval_revision_fk FOREIGN KEY (document_id, revision) REFERENCES revision (document_id, number) ON DELETE RESTRICT,
    CONSTRAINT approval_hash_is_of_statement CHECK (statement_sha256 = sha256(statement)),
    CONSTRAINT approval_proven_or_shown CHECK (num_nulls(id_token, idp_key, seal, seal_kid) = 0 OR
        (num_nulls(id_token, idp_key, seal, seal_kid) = 4 AND convert_from(statement, 'UTF8')::jsonb @> '{"demonstration": true}'))
);
CREATE INDEX approval_document ON approval (document_id);
COMMENT ON TABLE  approval IS 'The evidence of one signature. Signatures that were imported have none here; those of made-up data have a statement that says so, and no proof.';
COMMENT ON COLUMN approval.statement IS 'What was approved, in its one spelling (canonical JSON).';
COMMENT ON COLUMN approval.id_token IS 'The identity provider''s token whose nonce is the statement''s hash; encrypted with the token key. Null: nobody signed in, it is only shown.';
COMMENT ON COLUMN approval.idp_key IS 'The provider''s public key that verifies the token, a JWK; encrypted with the token key.';
COMMENT ON COLUMN approval.seal IS 'The server''s seal over statement and token, a JWS.';
COMMENT ON COLUMN approval.at IS 'When it was accepted, as the seal and the trail say.';

CREATE TABLE approval_attempt (
    state_hash    bytea PRIMARY KEY,
    session_id    uuid NOT NULL CONSTRAINT approval_attempt_session_fk REFERENCES session,
    person_id     uuid NOT NULL CONSTRAINT approval_attempt_person_fk REFERENCES person,
    agreement_id  uuid NOT NULL CONSTRAINT approval_attempt_agreement_fk REFERENCES agreement,
    document_id   uuid NOT NULL CONSTRAINT approval_attempt_document_fk REFERENCES document,
    statement     bytea NOT NULL,
    pkce_verifier text NOT NULL,
    expires_at    timestamptz NOT NULL,
    used_at       timestamptz
);
CREATE INDEX approval_attempt_expires ON approval_attempt (expires_at);
CREATE INDEX approval_attempt_person ON approval_attempt (person_id, expires_at);
COMMENT ON TABLE  approval_attempt IS 'Somebody who was sent to prove an approval at the identity provider. It counts once, in the sign-in it began in, and proves nothing itself.';
COMMENT ON COLUMN approval_attempt.state_hash IS 'SHA-256 of the state that the provider hands back.';
COMMENT ON COLUMN approval_attempt.session_id IS 'The sign-in of the browser that pressed the button; only it may come back.';
COMMENT ON COLUMN approval_attempt.statement IS 'What is to be approved, in its one spelling; its hash is the nonce.';
COMMENT ON COLUMN approval_attempt.pkce_verifier IS 'What proves at the token endpoint that the code is ours.';
COMMENT ON COLUMN approval_attempt.used_at IS 'When the browser came back; whoever comes a second time is refused, on record.';

CREATE TABLE checkpoint (
    number   bigint PRIMARY KEY,
    note     text NOT NULL,
    seal_kid text NOT NULL CONSTRAINT checkpoint_seal_key_fk REFERENCES seal_key ON DELETE RESTRICT,
    at       timestamptz NOT NULL
);
COMMENT ON TABLE  checkpoint IS 'What fixes the trails: a signed Merkle root over the end of each (C2SP tlog-checkpoint).';
COMMENT ON COLUMN checkpoint.number IS 'From 1, without gaps.';
COMMENT ON COLUMN checkpoint.note IS 'The signed note as text.';
COMMENT ON COLUMN checkpoint.at IS 'When it was made, as the system''s trail says, whose newest event it has.';

CREATE TABLE checkpoint_head (
    checkpoint bigint NOT NULL CONSTRAINT checkpoint_head_checkpoint_fk REFERENCES checkpoint ON DELETE RESTRICT,
    trail_id   uuid NOT NULL,
    seq        bigint NOT NULL,
    PRIMARY KEY (trail_id, checkpoint),
    CONSTRAINT checkpoint_head_event_fk FOREIGN KEY (trail_id, seq) REFERENCES audit_event ON DELETE RESTRICT
);
CREATE INDEX checkpoint_head_checkpoint ON checkpoint_head (checkpoint);
COMMENT ON TABLE  checkpoint_head IS 'Where a trail ended at a checkpoint, kept when it is not where it ended at the one before.';

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['seal_key', 'approval', 'checkpoint', 'checkpoint_head'] LOOP
        EXECUTE format('CREATE TRIGGER %1$s_only_grows BEFORE UPDATE OR DELETE ON %1$I FOR EACH ROW EXECUTE FUNCTION refuse_change()', kept);
        EXECUTE format('CREATE TRIGGER %1$s_not_truncated BEFORE TRUNCATE ON %1$I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', kept);
    END LOOP;
END $$;

GRANT SELECT, INSERT ON seal_key, approval, checkpoint, checkpoint_head TO samspil_app;
GRANT SELECT, INSERT, DELETE ON approval_attempt TO samspil_app;
GRANT UPDATE (used_at) ON approval_attempt TO samspil_app;
