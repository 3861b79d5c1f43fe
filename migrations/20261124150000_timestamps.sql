-- What outside authorities say of time (RFC 3161): that a checkpoint was there at a moment. The server may insert and read, nothing else.

CREATE TABLE timestamp_token (
    checkpoint   bigint NOT NULL CONSTRAINT timestamp_token_checkpoint_fk REFERENCES checkpoint ON DELETE RESTRICT,
    authority    text NOT NULL,
    answer       bytea NOT NULL,
    certificates text NOT NULL,
    stamped_at   timestamptz NOT NULL,
    at           timestamptz NOT NULL,
    PRIMARY KEY (checkpoint, authority)
);
COMMENT ON TABLE  timestamp_token IS 'An authority''s answer about a checkpoint''s note.';
COMMENT ON COLUMN timestamp_token.authority IS 'The host that was asked.';
COMMENT ON COLUMN timestamp_token.answer IS 'The whole answer (TimeStampResp), as it came.';
COMMENT ON COLUMN timestamp_token.certificates IS 'Whom we trusted about it when it came, in PEM form.';
COMMENT ON COLUMN timestamp_token.stamped_at IS 'When, by the authority''s clock.';
COMMENT ON COLUMN timestamp_token.at IS 'When it came, by ours.';

CREATE TRIGGER timestamp_token_only_grows BEFORE UPDATE OR DELETE ON timestamp_token FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER timestamp_token_not_truncated BEFORE TRUNCATE ON timestamp_token FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON timestamp_token TO samspil_app;
