-- Somebody brought the words of an older revision back.
ALTER TABLE agreement_event DROP CONSTRAINT agreement_event_type_known;
ALTER TABLE agreement_event ADD CONSTRAINT agreement_event_type_known CHECK (type IN ('created', 'status_changed', 'meeting_held', 'snapshot',
    'frozen', 'signed', 'reopened', 'signature_invalidated', 'party_changed', 'reminder_sent', 'journalised', 'journalisation_failed',
    'closed', 'new_version', 'restored'));
