-- Reading sessions, for those who are billed by use. Identifiers of keys,
-- origins, publications and users are numbers here, since events and sessions
-- are many; tokens of users are kept as keyed hashes only.

-- +goose Up
CREATE TABLE license_keys (
    id               BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    license_key      TEXT COLLATE "C" NOT NULL UNIQUE,
    name             TEXT COLLATE "C" NOT NULL, -- of its holder
    threshold        BIGINT NOT NULL, -- seconds
    validity         BIGINT NOT NULL, -- seconds
    offline_validity BIGINT NOT NULL, -- seconds
    policy           TEXT COLLATE "C" NOT NULL,
    webhook          TEXT COLLATE "C" NOT NULL,
    disabled         BIGINT NOT NULL,
    api_secret       BYTEA,             -- sealed under a master key; NULL for none
    webhook_secret   BYTEA,             -- the same
    open_month       BIGINT NOT NULL, -- the first that is not closed
    blocked_since    BIGINT NOT NULL, -- 0 while it is not
    blocked_told     BIGINT NOT NULL, -- the holder knows
    created_at       BIGINT NOT NULL
);

-- What was decided about origins.
CREATE TABLE origin_rules (
    key_id     BIGINT NOT NULL,
    pattern    TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    group_name TEXT COLLATE "C" NOT NULL, -- '' for the pattern
    decided_at BIGINT NOT NULL,
    decided_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (key_id, pattern)
);
CREATE INDEX origin_rules_pattern ON origin_rules (pattern);

-- The origins that were met, and what the rules make of them.
CREATE TABLE origins (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id       BIGINT NOT NULL,
    origin       TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    group_id     BIGINT NOT NULL,
    first_seen   BIGINT NOT NULL,
    review_until BIGINT NOT NULL, -- 0 unless the holder of the key was told
    UNIQUE (key_id, origin)
);
CREATE INDEX origins_state ON origins (state, review_until);

CREATE TABLE usage_groups (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id BIGINT NOT NULL,
    name   TEXT COLLATE "C" NOT NULL,
    UNIQUE (key_id, name)
);

CREATE TABLE usage_publications (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id    BIGINT NOT NULL,
    token     TEXT COLLATE "C" NOT NULL,
    signature TEXT COLLATE "C" NOT NULL, -- the first that was reported
    UNIQUE (key_id, token)
);

-- A sequence, so that the number of a user who was erased stays nobody's.
CREATE TABLE usage_users (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id   BIGINT NOT NULL,
    hash     BYTEA NOT NULL, -- of the token
    hash_key BIGINT NOT NULL, -- names the key of the hash
    salt     BYTEA NOT NULL, -- of the hashes of devices, which tell nothing once it is gone
    UNIQUE (key_id, hash)
);

CREATE TABLE reading_sessions (
    user_id        BIGINT NOT NULL,
    publication_id BIGINT NOT NULL,
    origin_id      BIGINT NOT NULL,
    opened_at      BIGINT NOT NULL,
    started_at     BIGINT NOT NULL, -- 0 while there was not enough active use
    valid_until    BIGINT NOT NULL,
    seconds        BIGINT NOT NULL,
    PRIMARY KEY (user_id, publication_id, origin_id, opened_at)
);

CREATE TABLE reading_events (
    seq            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id         BIGINT NOT NULL,
    event          BYTEA NOT NULL, -- identifies it, 16 bytes
    content        BYTEA NOT NULL, -- hash of all that it says, 8 bytes
    at             BIGINT NOT NULL,
    user_id        BIGINT NOT NULL, -- 0 if it was blocked
    publication_id BIGINT NOT NULL,
    origin_id      BIGINT NOT NULL,
    device         BYTEA NOT NULL, -- hash, 8 bytes; empty if there is none
    seconds        BIGINT NOT NULL,
    status         BIGINT NOT NULL,
    opened_at      BIGINT NOT NULL, -- of the session; 0 for none
    UNIQUE (key_id, event)
);
CREATE INDEX reading_events_at ON reading_events (key_id, at);

-- Signatures of native apps that were used, until they are too old to be.
CREATE TABLE used_signatures (
    id      BYTEA NOT NULL PRIMARY KEY,
    used_at BIGINT NOT NULL
);
CREATE INDEX used_signatures_used_at ON used_signatures (used_at);

-- Figures by the month in which they are billed. of_month is when they came about:
-- another one where that month was closed already.
CREATE TABLE usage_rollup (
    key_id         BIGINT NOT NULL,
    month          BIGINT NOT NULL,
    of_month       BIGINT NOT NULL,
    group_id       BIGINT NOT NULL,
    publication_id BIGINT NOT NULL,
    started        BIGINT NOT NULL,
    continued      BIGINT NOT NULL,
    offline        BIGINT NOT NULL,
    blocked        BIGINT NOT NULL,
    held           BIGINT NOT NULL,
    unbilled       BIGINT NOT NULL,
    seconds        BIGINT NOT NULL,
    billable       BIGINT NOT NULL,
    PRIMARY KEY (key_id, month, of_month, group_id, publication_id)
);

-- How many users started a session, by every grouping of reports: 0 stands for
-- all groups, or all publications.
CREATE TABLE usage_unique (
    key_id         BIGINT NOT NULL,
    month          BIGINT NOT NULL,
    of_month       BIGINT NOT NULL,
    group_id       BIGINT NOT NULL,
    publication_id BIGINT NOT NULL,
    users          BIGINT NOT NULL,
    PRIMARY KEY (key_id, month, of_month, group_id, publication_id)
);

-- Who was counted there.
CREATE TABLE usage_counted (
    user_id        BIGINT NOT NULL,
    of_month       BIGINT NOT NULL,
    group_id       BIGINT NOT NULL,
    publication_id BIGINT NOT NULL,
    PRIMARY KEY (user_id, of_month, group_id, publication_id)
);

-- What holders of keys are to be told, until they were.
CREATE TABLE usage_notices (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           TEXT COLLATE "C" NOT NULL UNIQUE,
    key_id       BIGINT NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    origin_id    BIGINT NOT NULL, -- that it is about; 0 for none
    body         TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    due_at       BIGINT NOT NULL, -- of the next attempt
    attempts     BIGINT NOT NULL,
    done_at      BIGINT NOT NULL, -- 0 while it is to be tried
    failure      TEXT COLLATE "C" NOT NULL  -- why the last attempt failed
);
CREATE INDEX usage_notices_due ON usage_notices (done_at, due_at);
