-- Comments that hold: threads with anchors in the live text, what was said before it was reworded or deleted, who is named, who has
-- seen what, proposed wording, and who is to be told.

-- ── Threads ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE thread
    ALTER COLUMN section_key DROP NOT NULL,
    DROP COLUMN anchor,
    ADD number integer,
    ADD about text,
    ADD created_by uuid CONSTRAINT thread_created_by_fk REFERENCES person,
    ADD created_at timestamptz,
    ADD for_meeting boolean NOT NULL DEFAULT false,
    ADD version integer NOT NULL DEFAULT 1,
    ADD field text,
    ADD anchor_start bytea,
    ADD anchor_end bytea,
    ADD anchor_seq bigint NOT NULL DEFAULT 0,
    ADD words text,
    ADD words_before text,
    ADD words_after text,
    ADD detached_at timestamptz,
    ADD proposal text,
    ADD proposal_state text,
    ADD proposal_by uuid CONSTRAINT thread_proposal_by_fk REFERENCES person,
    ADD proposal_at timestamptz,
    ADD proposal_seq bigint;

UPDATE thread SET number = counted.number, about = counted.about, created_by = counted.person_id, created_at = counted.at,
    words = thread.quote, detached_at = CASE WHEN thread.quote IS NOT NULL THEN counted.at END
FROM (SELECT t.id, row_number() OVER (PARTITION BY t.document_id ORDER BY c.at, t.id) AS number, c.person_id, c.at,
             CASE WHEN t.quote IS NOT NULL THEN 'words' WHEN t.goal_id IS NOT NULL THEN 'goal' ELSE 'section' END AS about
      FROM thread t JOIN comment c ON c.thread_id = t.id AND c.number = 1) AS counted
WHERE counted.id = thread.id;

ALTER TABLE thread
    ALTER COLUMN number SET NOT NULL,
    ALTER COLUMN about SET NOT NULL,
    ALTER COLUMN created_by SET NOT NULL,
    ALTER COLUMN created_at SET NOT NULL,
    ADD CONSTRAINT thread_number_once UNIQUE (document_id, number),
    ADD CONSTRAINT thread_about_known CHECK (about IN ('document', 'section', 'goal', 'words')),
    ADD CONSTRAINT thread_about_something CHECK (CASE about WHEN 'section' THEN section_key IS NOT NULL WHEN 'goal' THEN goal_id IS NOT NULL
        WHEN 'words' THEN quote IS NOT NULL AND words IS NOT NULL ELSE true END),
    ADD CONSTRAINT thread_words_stand_or_are_gone CHECK (CASE about WHEN 'words'
        THEN (detached_at IS NULL) = (anchor_start IS NOT NULL AND anchor_end IS NOT NULL AND field IS NOT NULL)
        ELSE anchor_start IS NULL AND anchor_end IS NULL AND detached_at IS NULL END),
    ADD CONSTRAINT thread_resolved_by_somebody CHECK (status = 'resolved' OR (resolved_by IS NULL AND resolved_at IS NULL)),
    ADD CONSTRAINT thread_proposal_state_known CHECK ((proposal IS NULL) = (proposal_state IS NULL)
        AND proposal_state IN ('open', 'claimed', 'inserted', 'declined')),
    ADD CONSTRAINT thread_proposal_by_somebody CHECK ((proposal_state IS NULL OR proposal_state = 'open')
        = (proposal_by IS NULL AND proposal_at IS NULL));

COMMENT ON COLUMN thread.quote IS 'The words it is about as they stood when it was begun, cut when long; null unless it is about words.';
COMMENT ON COLUMN thread.number IS 'What people call it, from 1 within the document.';
COMMENT ON COLUMN thread.about IS 'What kind of thing it is about.';
COMMENT ON COLUMN thread.created_by IS 'Who began it.';
COMMENT ON COLUMN thread.created_at IS 'When.';
COMMENT ON COLUMN thread.for_meeting IS 'Tag op på mødet.';
COMMENT ON COLUMN thread.version IS 'Raised by every change of the thread; not by its words moving in the text.';
COMMENT ON COLUMN thread.field IS 'The field of the live text that its words stand in, or last stood in.';
COMMENT ON COLUMN thread.anchor_start IS 'Yjs relative position of the first character, in force at the document''s head: written in the transaction that moves it.';
COMMENT ON COLUMN thread.anchor_end IS 'Yjs relative position of the last character.';
COMMENT ON COLUMN thread.anchor_seq IS 'Where the log stood when the anchor was last written: an older one never overwrites a newer.';
COMMENT ON COLUMN thread.words IS 'The words as they stood when this row''s anchor was last written: what they are found again by.';
COMMENT ON COLUMN thread.words_before IS 'What stood before them then.';
COMMENT ON COLUMN thread.words_after IS 'What stood after them then.';
COMMENT ON COLUMN thread.detached_at IS 'Since when its words are gone from the text.';
COMMENT ON COLUMN thread.proposal IS 'Words proposed in place of the quote (R12).';
COMMENT ON COLUMN thread.proposal_state IS 'What became of them. claimed: one editor is inserting them; without a report the claim lapses.';
COMMENT ON COLUMN thread.proposal_by IS 'Who claimed, inserted or declined them.';
COMMENT ON COLUMN thread.proposal_at IS 'When.';
COMMENT ON COLUMN thread.proposal_seq IS 'Where the log stood when they were inserted, as the editor''s page reports it.';

-- ── Comments ────────────────────────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE comment
    ADD deleted_at timestamptz,
    ADD version integer NOT NULL DEFAULT 1,
    ADD CONSTRAINT comment_deleted_is_empty CHECK (deleted_at IS NULL OR body = '');
COMMENT ON COLUMN comment.body IS 'Plain text; empty once it was deleted.';
COMMENT ON COLUMN comment.edited_at IS 'When it was last reworded; comment_revision has the earlier words.';
COMMENT ON COLUMN comment.deleted_at IS 'When its writer deleted it: the words are gone for everybody, that there was a comment stays.';
COMMENT ON COLUMN comment.version IS 'Raised by every change.';
CREATE INDEX comment_person ON comment (person_id);

CREATE TABLE comment_revision (
    comment_id uuid NOT NULL CONSTRAINT comment_revision_comment_fk REFERENCES comment,
    version    integer NOT NULL,
    body       text NOT NULL,
    until      timestamptz NOT NULL,
    PRIMARY KEY (comment_id, version)
);
COMMENT ON TABLE  comment_revision IS 'What a comment said before it was reworded. Emptied with the comment when its writer deletes it.';
COMMENT ON COLUMN comment_revision.version IS 'The version that said it.';
COMMENT ON COLUMN comment_revision.until IS 'When it was reworded.';

CREATE TABLE comment_mention (
    comment_id uuid NOT NULL CONSTRAINT comment_mention_comment_fk REFERENCES comment,
    person_id  uuid NOT NULL CONSTRAINT comment_mention_person_fk REFERENCES person,
    PRIMARY KEY (comment_id, person_id)
);
COMMENT ON TABLE comment_mention IS 'Whom a comment names. Each could read it when it was written.';
CREATE INDEX comment_mention_person ON comment_mention (person_id);

CREATE TABLE thread_read (
    person_id uuid NOT NULL CONSTRAINT thread_read_person_fk REFERENCES person,
    thread_id uuid NOT NULL CONSTRAINT thread_read_thread_fk REFERENCES thread,
    up_to     integer NOT NULL CONSTRAINT thread_read_from_one CHECK (up_to >= 1),
    PRIMARY KEY (person_id, thread_id)
);
COMMENT ON TABLE  thread_read IS 'How far each person has read in each thread.';
COMMENT ON COLUMN thread_read.up_to IS 'Number of the last comment seen.';

-- ── Who is to be told ───────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE notification (
    id          uuid PRIMARY KEY,
    person_id   uuid NOT NULL CONSTRAINT notification_person_fk REFERENCES person,
    kind        text NOT NULL CONSTRAINT notification_kind_known CHECK (kind IN ('mention', 'reply', 'comment', 'resolved', 'proposal')),
    document_id uuid NOT NULL CONSTRAINT notification_document_fk REFERENCES document,
    thread_id   uuid CONSTRAINT notification_thread_fk REFERENCES thread,
    comment_id  uuid CONSTRAINT notification_comment_fk REFERENCES comment,
    caused_by   uuid CONSTRAINT notification_caused_by_fk REFERENCES person,
    at          timestamptz NOT NULL,
    read_at     timestamptz,
    CONSTRAINT notification_never_to_oneself CHECK (caused_by IS DISTINCT FROM person_id)
);
COMMENT ON TABLE  notification IS 'What a person is to be told, written in the transaction of what happened. Shown and mailed only to who may see it then.';
COMMENT ON COLUMN notification.id IS 'UUIDv7: its order is the order in which it was written.';
COMMENT ON COLUMN notification.person_id IS 'Who is told.';
COMMENT ON COLUMN notification.kind IS 'mention: it names me; reply: in a thread I wrote in; comment: beside an agreement I am a party of; resolved; proposal: other words were proposed there, or mine were inserted or declined.';
COMMENT ON COLUMN notification.comment_id IS 'The comment, if it is about one.';
COMMENT ON COLUMN notification.caused_by IS 'Who did it.';
COMMENT ON COLUMN notification.at IS 'When.';
COMMENT ON COLUMN notification.read_at IS 'When the person saw it.';
CREATE INDEX notification_person ON notification (person_id, id DESC);
CREATE INDEX notification_unread ON notification (person_id) WHERE read_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON comment_revision, thread_read, notification TO samspil_app;
GRANT SELECT, INSERT, DELETE ON comment_mention TO samspil_app;
