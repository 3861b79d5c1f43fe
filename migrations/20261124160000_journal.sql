-- Delivery to the records system: tried until it is done, and seen by whoever may see the agreement.

ALTER TABLE journal_delivery ADD not_before timestamptz;
COMMENT ON COLUMN journal_delivery.not_before IS 'It is not tried again before; null: at once.';
CREATE INDEX journal_delivery_waiting ON journal_delivery (target, not_before) WHERE status IN ('queued', 'retrying');
