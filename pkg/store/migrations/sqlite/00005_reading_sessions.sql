-- Reading sessions, for those who are billed by use. Identifiers of keys,
-- origins, publications and users are numbers here, since events and sessions
-- are many; tokens of users are kept as keyed hashes only.

-- +goose Up
CREATE TABLE license_keys (
    id               INTEGER PRIMARY KEY,
    license_key      TEXT    NOT NULL UNIQUE,
    name             TEXT    NOT NULL, -- of its holder
    threshold        INTEGER NOT NULL, -- seconds
    validity         INTEGER NOT NULL, -- seconds
    offline_validity INTEGER NOT NULL, -- seconds
    policy           TEXT    NOT NULL,
    webhook          TEXT    NOT NULL,
    disabled         INTEGER NOT NULL,
    api_secret       BLOB,             -- sealed under a master key; NULL for none
    webhook_secret   BLOB,             -- the same
    open_month       INTEGER NOT NULL, -- the first that is not closed
    blocked_since    INTEGER NOT NULL, -- 0 while it is not
    blocked_told     INTEGER NOT NULL, -- the holder knows
    created_at       INTEGER NOT NULL
);

-- What was decided about origins.
CREATE TABLE origin_rules (
    key_id     INTEGER NOT NULL,
    pattern    TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    group_name TEXT    NOT NULL, -- '' for the pattern
    decided_at INTEGER NOT NULL,
    decided_by TEXT    NOT NULL,
    PRIMARY KEY (key_id, pattern)
) WITHOUT ROWID;
CREATE INDEX origin_rules_pattern ON origin_rules (pattern);

-- The origins that were met, and what the rules make of them.
CREATE TABLE origins (
    id           INTEGER PRIMARY KEY,
    key_id       INTEGER NOT NULL,
    origin       TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    group_id     INTEGER NOT NULL,
    first_seen   INTEGER NOT NULL,
    review_until INTEGER NOT NULL, -- 0 unless the holder of the key was told
    UNIQUE (key_id, origin)
);
CREATE INDEX origins_state ON origins (state, review_until);

CREATE TABLE usage_groups (
    id     INTEGER PRIMARY KEY,
    key_id INTEGER NOT NULL,
    name   TEXT    NOT NULL,
    UNIQUE (key_id, name)
);

CREATE TABLE usage_publications (
    id        INTEGER PRIMARY KEY,
    key_id    INTEGER NOT NULL,
    token     TEXT    NOT NULL,
    signature TEXT    NOT NULL, -- the first that was reported
    UNIQUE (key_id, token)
);

-- AUTOINCREMENT, so that the number of a user who was erased stays nobody's.
CREATE TABLE usage_users (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    key_id   INTEGER NOT NULL,
    hash     BLOB    NOT NULL, -- of the token
    hash_key INTEGER NOT NULL, -- names the key of the hash
    salt     BLOB    NOT NULL, -- of the hashes of devices, which tell nothing once it is gone
    UNIQUE (key_id, hash)
);

CREATE TABLE reading_sessions (
    user_id        INTEGER NOT NULL,
    publication_id INTEGER NOT NULL,
    origin_id      INTEGER NOT NULL,
    opened_at      INTEGER NOT NULL,
    started_at     INTEGER NOT NULL, -- 0 while there was not enough active use
    valid_until    INTEGER NOT NULL,
    seconds        INTEGER NOT NULL,
    PRIMARY KEY (user_id, publication_id, origin_id, opened_at)
) WITHOUT ROWID;

CREATE TABLE reading_events (
    seq            INTEGER PRIMARY KEY,
    key_id         INTEGER NOT NULL,
    event          BLOB    NOT NULL, -- identifies it, 16 bytes
    content        BLOB    NOT NULL, -- hash of all that it says, 8 bytes
    at             INTEGER NOT NULL,
    user_id        INTEGER NOT NULL, -- 0 if it was blocked
    publication_id INTEGER NOT NULL,
    origin_id      INTEGER NOT NULL,
    device         BLOB    NOT NULL, -- hash, 8 bytes; empty if there is none
    seconds        INTEGER NOT NULL,
    status         INTEGER NOT NULL,
    opened_at      INTEGER NOT NULL, -- of the session; 0 for none
    UNIQUE (key_id, event)
);
CREATE INDEX reading_events_at ON reading_events (key_id, at);

-- Signatures of native apps that were used, until they are too old to be.
CREATE TABLE used_signatures (
    id      BLOB    NOT NULL PRIMARY KEY,
    used_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX used_signatures_used_at ON used_signatures (used_at);

-- Figures by the month in which they are billed. of_month is when they came about:
-- another one where that month was closed already.
CREATE TABLE usage_rollup (
    key_id         INTEGER NOT NULL,
    month          INTEGER NOT NULL,
    of_month       INTEGER NOT NULL,
    group_id       INTEGER NOT NULL,
    publication_id INTEGER NOT NULL,
    started        INTEGER NOT NULL,
    continued      INTEGER NOT NULL,
    offline        INTEGER NOT NULL,
    blocked        INTEGER NOT NULL,
    held           INTEGER NOT NULL,
    unbilled       INTEGER NOT NULL,
    seconds        INTEGER NOT NULL,
    billable       INTEGER NOT NULL,
    PRIMARY KEY (key_id, month, of_month, group_id, publication_id)
) WITHOUT ROWID;

-- How many users started a session, by every grouping of reports: 0 stands for
-- all groups, or all publications.
CREATE TABLE usage_unique (
    key_id         INTEGER NOT NULL,
    month          INTEGER NOT NULL,
    of_month       INTEGER NOT NULL,
    group_id       INTEGER NOT NULL,
    publication_id INTEGER NOT NULL,
    users          INTEGER NOT NULL,
    PRIMARY KEY (key_id, month, of_month, group_id, publication_id)
) WITHOUT ROWID;

-- Who was counted there.
CREATE TABLE usage_counted (
    user_id        INTEGER NOT NULL,
    of_month       INTEGER NOT NULL,
    group_id       INTEGER NOT NULL,
    publication_id INTEGER NOT NULL,
    PRIMARY KEY (user_id, of_month, group_id, publication_id)
) WITHOUT ROWID;

-- What holders of keys are to be told, until they were.
CREATE TABLE usage_notices (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    key_id       INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    origin_id    INTEGER NOT NULL, -- that it is about; 0 for none
    body         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    due_at       INTEGER NOT NULL, -- of the next attempt
    attempts     INTEGER NOT NULL,
    done_at      INTEGER NOT NULL, -- 0 while it is to be tried
    failure      TEXT    NOT NULL  -- why the last attempt failed
);
CREATE INDEX usage_notices_due ON usage_notices (done_at, due_at);
