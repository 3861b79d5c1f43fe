-- What a sign-in needs on its way through the identity provider: the attempt, the one-time link of the first hour, and the logout
-- tokens that were used. Nothing here outlives a day.

CREATE TABLE sign_in_attempt (
    state_hash    bytea PRIMARY KEY,
    browser_hash  bytea NOT NULL,
    nonce         text NOT NULL,
    pkce_verifier text NOT NULL,
    return_to     text NOT NULL,
    invite_hash   bytea,
    expires_at    timestamptz NOT NULL
);
COMMENT ON TABLE  sign_in_attempt IS 'A browser that was sent to the identity provider and has not come back. Taken out when it does: each is used once.';
COMMENT ON COLUMN sign_in_attempt.state_hash IS 'SHA-256 of the state that the provider hands back.';
COMMENT ON COLUMN sign_in_attempt.browser_hash IS 'SHA-256 of the cookie that binds the attempt to the browser which began it.';
COMMENT ON COLUMN sign_in_attempt.nonce IS 'What the ID token must repeat.';
COMMENT ON COLUMN sign_in_attempt.pkce_verifier IS 'What proves at the token endpoint that the code is ours.';
COMMENT ON COLUMN sign_in_attempt.return_to IS 'The path of ours to show afterwards.';
COMMENT ON COLUMN sign_in_attempt.invite_hash IS 'The invite it began with, if any.';
COMMENT ON COLUMN sign_in_attempt.expires_at IS 'Ten minutes after it began.';
CREATE INDEX sign_in_attempt_expires ON sign_in_attempt (expires_at);

CREATE TABLE invite (
    code_hash  bytea PRIMARY KEY,
    person_id  uuid NOT NULL CONSTRAINT invite_person_fk REFERENCES person,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
COMMENT ON TABLE  invite IS 'A one-time link: whoever signs in through it is this person from then on.';
COMMENT ON COLUMN invite.code_hash IS 'SHA-256 of the code in the link.';
COMMENT ON COLUMN invite.used_at IS 'When somebody signed in through it; then it is worth nothing.';

CREATE TABLE logout_token (
    issuer     text NOT NULL,
    jti        text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, jti)
);
COMMENT ON TABLE  logout_token IS 'Logout tokens that were obeyed: one that comes again is somebody else''s.';
COMMENT ON COLUMN logout_token.expires_at IS 'From then on the token itself is too old to be taken.';

GRANT SELECT, INSERT, DELETE ON sign_in_attempt, logout_token TO samspil_app;
GRANT SELECT, INSERT, UPDATE ON invite TO samspil_app;
