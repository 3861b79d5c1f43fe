-- What people are told by mail: how each wants to hear of what, and the mails on their way.

CREATE TABLE notification_setting (
    person_id uuid NOT NULL CONSTRAINT notification_setting_person_fk REFERENCES person,
    kind      text NOT NULL CONSTRAINT notification_setting_kind_known CHECK (kind IN ('mention', 'reply', 'comment', 'resolved', 'proposal')),
    way       text NOT NULL CONSTRAINT notification_setting_way_known CHECK (way IN ('off', 'in_app', 'digest', 'at_once')),
    PRIMARY KEY (person_id, kind)
);
COMMENT ON TABLE  notification_setting IS 'How a person wants to hear of a kind of thing; without a row, as everybody does at first.';
COMMENT ON COLUMN notification_setting.way IS 'off: not at all; in_app: in Samspil; digest: also by mail, gathered; at_once: also by a mail of its own.';

CREATE TABLE mail (
    id               uuid PRIMARY KEY,
    person_id        uuid NOT NULL CONSTRAINT mail_person_fk REFERENCES person,
    kinds            text[] NOT NULL,
    recipient        text NOT NULL,
    subject          text NOT NULL,
    plain            text NOT NULL,
    html             text NOT NULL,
    unsubscribe      text NOT NULL,
    unsubscribe_hash bytea NOT NULL CONSTRAINT mail_unsubscribe_once UNIQUE,
    at               timestamptz NOT NULL,
    next_at          timestamptz,
    attempts         integer NOT NULL DEFAULT 0,
    last_error       text,
    sent_at          timestamptz,
    given_up_at      timestamptz,
    CONSTRAINT mail_ends_once CHECK (num_nonnulls(sent_at, given_up_at, next_at) = 1)
);
COMMENT ON TABLE  mail IS 'A mail, written in the transaction that settled what it tells, and sent by a worker that tries again.';
COMMENT ON COLUMN mail.id IS 'Also its Message-ID: sent twice after a crash, it is one mail to the reader''s program.';
COMMENT ON COLUMN mail.kinds IS 'What kinds of things it tells: what unsubscribing from it turns off.';
COMMENT ON COLUMN mail.recipient IS 'The address it goes to.';
COMMENT ON COLUMN mail.plain IS 'Its words.';
COMMENT ON COLUMN mail.html IS 'The same, for programs that show it.';
COMMENT ON COLUMN mail.unsubscribe IS 'The address that ends such mail (RFC 8058); empty when it tells only what everybody hears of.';
COMMENT ON COLUMN mail.unsubscribe_hash IS 'SHA-256 of the secret in that address.';
COMMENT ON COLUMN mail.next_at IS 'When it is tried next; null once it is sent or given up. While one worker sends it, this is when another may take over.';
COMMENT ON COLUMN mail.last_error IS 'Why it did not go the last time.';
CREATE INDEX mail_waiting ON mail (next_at) WHERE next_at IS NOT NULL;

ALTER TABLE notification ADD settled_at timestamptz, ADD mail_id uuid CONSTRAINT notification_mail_fk REFERENCES mail;
COMMENT ON COLUMN notification.settled_at IS 'When it was decided whether a mail tells of it.';
COMMENT ON COLUMN notification.mail_id IS 'The mail that tells of it, if one does.';
CREATE INDEX notification_unsettled ON notification (person_id, at) WHERE settled_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON notification_setting, mail TO samspil_app;
