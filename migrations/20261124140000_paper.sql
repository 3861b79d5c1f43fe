-- The PDF of a signed agreement, as it was first printed: from then on everybody gets the same bytes, whatever becomes of the people,
-- meetings and goals around the text, and of the program that prints.

CREATE TABLE document_paper (
    document_id uuid NOT NULL,
    revision    integer NOT NULL,
    pdf         bytea NOT NULL,
    sha256      bytea NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (document_id, revision),
    CONSTRAINT document_paper_revision_fk FOREIGN KEY (document_id, revision) REFERENCES revision (document_id, number) ON DELETE RESTRICT,
    CONSTRAINT document_paper_hash_is_of_pdf CHECK (sha256 = sha256(pdf))
);
ALTER TABLE document_paper ALTER COLUMN pdf SET STORAGE EXTERNAL;
COMMENT ON TABLE  document_paper IS 'What a signed agreement looks like on paper; printed once.';
COMMENT ON COLUMN document_paper.revision IS 'The frozen revision that both parties signed.';
COMMENT ON COLUMN document_paper.pdf IS 'The file.';
COMMENT ON COLUMN document_paper.at IS 'When it was printed.';

CREATE TRIGGER document_paper_only_grows BEFORE UPDATE OR DELETE ON document_paper FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER document_paper_not_truncated BEFORE TRUNCATE ON document_paper FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT, INSERT ON document_paper TO samspil_app;
