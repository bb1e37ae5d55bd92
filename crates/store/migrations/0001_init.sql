-- One text for SQLite and PostgreSQL: columns are TEXT or BIGINT only.
-- Times are unix seconds; a nullable "…_at" says both whether and when.
-- "sealed" columns hold printable ciphertext, "…_hash" columns SHA-256 in hex.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE users (
    id            TEXT   PRIMARY KEY,
    name          TEXT   NOT NULL UNIQUE,
    email         TEXT,
    role          TEXT   NOT NULL,           -- member, auditor, site-manager
    password_hash TEXT,                      -- PHC string of argon2id
    created_at    BIGINT NOT NULL,
    suspended_at  BIGINT
);
CREATE INDEX users_site_managers ON users (id) WHERE role = 'site-manager';

-- Set-up, invitation and forgotten-password links: one use each.
CREATE TABLE one_time_links (
    token_hash TEXT   PRIMARY KEY,
    user_id    TEXT   REFERENCES users (id) ON DELETE CASCADE,
    purpose    TEXT   NOT NULL,              -- setup, password
    expires_at BIGINT NOT NULL
);
CREATE INDEX one_time_links_by_user ON one_time_links (user_id);
CREATE INDEX one_time_links_by_end ON one_time_links (expires_at);

-- How often something was tried that must not be tried often.
CREATE TABLE tries (
    place    TEXT   PRIMARY KEY,             -- a hash of who tried what
    number   BIGINT NOT NULL,
    since_at BIGINT NOT NULL
);
CREATE INDEX tries_by_age ON tries (since_at);

CREATE TABLE sessions (
    id           TEXT   PRIMARY KEY,
    token_hash   TEXT   NOT NULL UNIQUE,
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address      TEXT   NOT NULL,
    agent        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE api_tokens (
    id           TEXT   PRIMARY KEY,
    token_hash   TEXT   NOT NULL UNIQUE,
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at   BIGINT
);
CREATE INDEX api_tokens_by_user ON api_tokens (user_id);

CREATE TABLE workspaces (
    id               TEXT   PRIMARY KEY,
    token_hash       TEXT   NOT NULL UNIQUE,
    user_id          TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name             TEXT   NOT NULL,
    address          TEXT   NOT NULL,
    machine_hash     TEXT,
    unbound_at       BIGINT,                 -- SSH clients that do not bind their session may sign in
    created_at       BIGINT NOT NULL,
    last_seen_at     BIGINT,
    last_used_at     BIGINT,
    expires_at       BIGINT NOT NULL,
    other_machine_at BIGINT,
    revoked_at       BIGINT
);
CREATE INDEX workspaces_by_user ON workspaces (user_id);

-- Device sign-ins (RFC 8628) under way.
CREATE TABLE devices (
    id               TEXT   PRIMARY KEY,
    code_hash        TEXT   NOT NULL UNIQUE,
    user_code        TEXT   NOT NULL UNIQUE,
    name             TEXT   NOT NULL,
    address          TEXT   NOT NULL,
    machine_hash     TEXT   NOT NULL,
    ssh_version      TEXT,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    last_poll_at     BIGINT,
    previous_poll_at BIGINT,
    user_id          TEXT   REFERENCES users (id) ON DELETE CASCADE,
    approved_at      BIGINT,
    denied_at        BIGINT,
    unbound_at       BIGINT,
    claimed_at       BIGINT
);
CREATE INDEX devices_by_end ON devices (expires_at);
CREATE INDEX devices_by_user ON devices (user_id);

CREATE TABLE providers (
    id               TEXT   PRIMARY KEY,
    kind             TEXT   NOT NULL,
    name             TEXT   NOT NULL UNIQUE,
    url              TEXT   NOT NULL,
    api_url          TEXT,                   -- none: by kind
    git_url          TEXT,                   -- none: by kind
    client_id        TEXT   NOT NULL,
    client_secret    TEXT,                   -- sealed
    signing_key      TEXT,                   -- sealed RSA pair of an OAuth 1.0a application link
    public_key       TEXT,                   -- its public half, PEM
    consumer_name    TEXT,
    description      TEXT,
    ssh_user         TEXT   NOT NULL,
    ssh_addresses    TEXT   NOT NULL,        -- one a line
    host_keys        TEXT   NOT NULL,        -- one a line
    ca_pem           TEXT,
    internal_at      BIGINT,
    narrowing_off_at BIGINT,
    disabled_at      BIGINT,
    declared_at      BIGINT,                 -- comes from the configuration file
    alarm            TEXT,
    alarm_at         BIGINT,
    last_success_at  BIGINT,
    last_error       TEXT,
    last_error_at    BIGINT,
    version          BIGINT NOT NULL,
    created_at       BIGINT NOT NULL
);

-- What a kind needs before its provider can be saved.
CREATE TABLE provider_drafts (
    id          TEXT   PRIMARY KEY,
    kind        TEXT   NOT NULL,
    signing_key TEXT,                        -- sealed
    public_key  TEXT,
    user_id     TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at  BIGINT NOT NULL
);
CREATE INDEX provider_drafts_by_age ON provider_drafts (created_at);
CREATE INDEX provider_drafts_by_user ON provider_drafts (user_id);

CREATE TABLE links (
    id           TEXT   PRIMARY KEY,
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider_id  TEXT   NOT NULL REFERENCES providers (id),
    account_id   TEXT   NOT NULL,
    login        TEXT   NOT NULL,
    name         TEXT,
    email        TEXT,
    emails       TEXT   NOT NULL,            -- addresses the provider has verified, one a line
    noreply      TEXT,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    dead_at      BIGINT,
    dead_reason  TEXT,
    unlinking_at BIGINT,
    CONSTRAINT links_one_per_account UNIQUE (user_id, provider_id, account_id)
);
CREATE INDEX links_by_provider ON links (provider_id, id);
CREATE INDEX links_unlinking ON links (unlinking_at) WHERE unlinking_at IS NOT NULL;

-- Which link answers for which host, owner or path.
CREATE TABLE rules (
    id         TEXT   PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    link_id    TEXT   NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    pattern    TEXT   NOT NULL,              -- "host", "host/owner" or "host/path glob"
    created_at BIGINT NOT NULL,
    CONSTRAINT rules_one_per_pattern UNIQUE (user_id, pattern)
);
CREATE INDEX rules_by_link ON rules (link_id);

-- OAuth dances under way.
CREATE TABLE attempts (
    id                 TEXT   PRIMARY KEY,
    state_hash         TEXT   NOT NULL UNIQUE,
    session_id         TEXT   NOT NULL,      -- may have ended: tokens are revoked all the same
    user_id            TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider_id        TEXT   NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    purpose            TEXT   NOT NULL,      -- manage, git
    link_id            TEXT   REFERENCES links (id) ON DELETE CASCADE,
    expected_account   TEXT,
    secret             TEXT   NOT NULL,      -- sealed PKCE verifier or request token and its secret
    request_token_hash TEXT   UNIQUE,        -- OAuth 1.0a: the callback names it instead of a state
    tokens             TEXT,                 -- sealed; stored before anything is done with them
    created_at         BIGINT NOT NULL,
    expires_at         BIGINT NOT NULL,
    taken_at           BIGINT
);
CREATE INDEX attempts_by_end ON attempts (expires_at);
CREATE INDEX attempts_by_user ON attempts (user_id);
CREATE INDEX attempts_by_provider ON attempts (provider_id);
CREATE INDEX attempts_by_link ON attempts (link_id);

-- The tokens of a link, by purpose. A lease that stands uncleared is the write-ahead note
-- that its owner may have spent the refresh token.
CREATE TABLE grants (
    id             TEXT   PRIMARY KEY,
    link_id        TEXT   NOT NULL REFERENCES links (id) ON DELETE CASCADE,
    purpose        TEXT   NOT NULL,          -- manage, git
    access         TEXT   NOT NULL,          -- sealed
    refresh        TEXT,                     -- sealed
    token_secret   TEXT,                     -- sealed
    session_handle TEXT,                     -- sealed
    scopes         TEXT   NOT NULL,          -- one a line
    expires_at     BIGINT,
    token_id       TEXT   NOT NULL,          -- random name of the access token, not secret
    remote_id      TEXT,                     -- the provider's id of a minted token
    obtained_at    BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    lease_owner    TEXT,
    lease_until    BIGINT,
    handed_at      BIGINT,
    retry_at       BIGINT,
    failures       BIGINT NOT NULL,
    suspect_since  BIGINT,
    forced_at      BIGINT,
    CONSTRAINT grants_one_per_purpose UNIQUE (link_id, purpose)
);

-- Which workspace was handed which token of which grant.
CREATE TABLE handed (
    workspace_id TEXT   NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    grant_id     TEXT   NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    token_id     TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, grant_id, token_id)
);
CREATE INDEX handed_by_grant ON handed (grant_id);

CREATE TABLE ssh_keys (
    id          TEXT   PRIMARY KEY,
    user_id     TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider_id TEXT   NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    link_id     TEXT   REFERENCES links (id) ON DELETE CASCADE,
    algorithm   TEXT   NOT NULL,
    public_key  TEXT   NOT NULL,             -- OpenSSH line without its comment
    blob_hash   TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    private     TEXT,                        -- sealed; gone once deleted
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT,
    used_at     BIGINT,
    deleted_at  BIGINT,
    CONSTRAINT ssh_keys_one_per_fingerprint UNIQUE (fingerprint)
);
-- Two replicas that both make a missing key: one of them must lose.
CREATE UNIQUE INDEX ssh_keys_one_current ON ssh_keys (user_id, provider_id, COALESCE(link_id, ''))
    WHERE retired_at IS NULL AND deleted_at IS NULL;
CREATE INDEX ssh_keys_by_link ON ssh_keys (link_id);
CREATE INDEX ssh_keys_by_provider ON ssh_keys (provider_id);

-- Which public key stood for which addresses and when; outlives keys and links, so that old
-- signatures can still be checked.
CREATE TABLE key_history (
    key_id      TEXT   PRIMARY KEY,
    user_id     TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    link_id     TEXT,
    public_key  TEXT   NOT NULL,
    emails      TEXT   NOT NULL,             -- one a line; taken from the link when it ends
    valid_from  BIGINT NOT NULL,
    valid_until BIGINT
);
CREATE INDEX key_history_by_user ON key_history (user_id);
CREATE INDEX key_history_by_link ON key_history (link_id);

-- What should be at the provider, and what was last seen there.
CREATE TABLE uploads (
    id          TEXT   PRIMARY KEY,
    key_id      TEXT   NOT NULL REFERENCES ssh_keys (id) ON DELETE CASCADE,
    usage       TEXT   NOT NULL,             -- auth, signing, auth-and-signing
    wanted      TEXT   NOT NULL,             -- present, absent
    state       TEXT   NOT NULL,
    remote_id   TEXT,
    reason      TEXT,
    page        TEXT,
    due_at      BIGINT,
    failures    BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT,
    seen_at     BIGINT,
    expires_at  BIGINT,
    version     BIGINT NOT NULL,
    CONSTRAINT uploads_one_per_usage UNIQUE (key_id, usage)
);
CREATE INDEX uploads_due ON uploads (due_at) WHERE due_at IS NOT NULL;

-- What must still be undone at a provider after an unlink or a revocation.
CREATE TABLE revocations (
    id          TEXT   PRIMARY KEY,
    provider_id TEXT   NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    user_id     TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    link_id     TEXT   NOT NULL,             -- may be gone
    account_id  TEXT   NOT NULL,
    login       TEXT   NOT NULL,
    what        TEXT   NOT NULL,             -- token, minted, key
    purpose     TEXT   NOT NULL,             -- of the token: manage, git
    secret      TEXT,                        -- sealed
    remote_id   TEXT,
    usage       TEXT,
    created_at  BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    reason      TEXT,
    lease_owner TEXT,
    lease_until BIGINT
);
CREATE INDEX revocations_due ON revocations (due_at);
CREATE INDEX revocations_by_user ON revocations (user_id);
CREATE INDEX revocations_by_provider ON revocations (provider_id);

-- The audit log: only ever added to, and it outlives what it names.
CREATE TABLE events (
    id           TEXT   PRIMARY KEY,
    at           BIGINT NOT NULL,
    user_id      TEXT,
    workspace_id TEXT,
    provider_id  TEXT,
    action       TEXT   NOT NULL,
    detail       TEXT   NOT NULL,
    count        BIGINT NOT NULL
);
CREATE INDEX events_by_time ON events (at, id);
CREATE INDEX events_by_user ON events (user_id, at, id);
CREATE INDEX events_by_workspace ON events (workspace_id, at, id);
CREATE INDEX events_by_provider ON events (provider_id, at, id);

-- Held for the length of a transaction that counts site managers before it removes one.
INSERT INTO settings (name, value) VALUES ('lock.site-managers', '');
