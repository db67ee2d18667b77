-- Reading sessions, for those who are billed by use. Identifiers of keys,
-- origins, publications and users are numbers here, since events and sessions
-- are many; tokens of users are kept as keyed hashes only.

-- +goose Up
CREATE TABLE IF NOT EXISTS license_keys (
    id               BIGINT AUTO_INCREMENT PRIMARY KEY,
    license_key      VARBINARY(1020) NOT NULL UNIQUE,
    name             VARBINARY(1020) NOT NULL, -- of its holder
    threshold        BIGINT NOT NULL, -- seconds
    validity         BIGINT NOT NULL, -- seconds
    offline_validity BIGINT NOT NULL, -- seconds
    policy           VARBINARY(1020) NOT NULL,
    webhook          VARBINARY(16384) NOT NULL,
    disabled         BIGINT NOT NULL,
    api_secret       VARBINARY(1020),             -- sealed under a master key; NULL for none
    webhook_secret   VARBINARY(1020),             -- the same
    open_month       BIGINT NOT NULL, -- the first that is not closed
    blocked_since    BIGINT NOT NULL, -- 0 while it is not
    blocked_told     BIGINT NOT NULL, -- the holder knows
    created_at       BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- What was decided about origins.
CREATE TABLE IF NOT EXISTS origin_rules (
    key_id     BIGINT NOT NULL,
    pattern    VARBINARY(1020) NOT NULL,
    state      VARBINARY(1020) NOT NULL,
    group_name VARBINARY(1020) NOT NULL, -- '' for the pattern
    decided_at BIGINT NOT NULL,
    decided_by VARBINARY(1020) NOT NULL,
    PRIMARY KEY (key_id, pattern),
    INDEX origin_rules_pattern (pattern)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- The origins that were met, and what the rules make of them.
CREATE TABLE IF NOT EXISTS origins (
    id           BIGINT AUTO_INCREMENT PRIMARY KEY,
    key_id       BIGINT NOT NULL,
    origin       VARBINARY(1020) NOT NULL,
    state        VARBINARY(1020) NOT NULL,
    group_id     BIGINT NOT NULL,
    first_seen   BIGINT NOT NULL,
    review_until BIGINT NOT NULL, -- 0 unless the holder of the key was told
    UNIQUE (key_id, origin),
    INDEX origins_state (state, review_until)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS usage_groups (
    id     BIGINT AUTO_INCREMENT PRIMARY KEY,
    key_id BIGINT NOT NULL,
    name   VARBINARY(1020) NOT NULL,
    UNIQUE (key_id, name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS usage_publications (
    id        BIGINT AUTO_INCREMENT PRIMARY KEY,
    key_id    BIGINT NOT NULL,
    token     VARBINARY(1020) NOT NULL,
    signature VARBINARY(1020) NOT NULL, -- the first that was reported
    UNIQUE (key_id, token)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- AUTO_INCREMENT, so that the number of a user who was erased stays nobody's.
CREATE TABLE IF NOT EXISTS usage_users (
    id       BIGINT AUTO_INCREMENT PRIMARY KEY,
    key_id   BIGINT NOT NULL,
    hash     VARBINARY(32) NOT NULL, -- of the token
    hash_key BIGINT NOT NULL, -- names the key of the hash
    salt     VARBINARY(32) NOT NULL, -- of the hashes of devices, which tell nothing once it is gone
    UNIQUE (key_id, hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS reading_sessions (
    user_id        BIGINT NOT NULL,
    publication_id BIGINT NOT NULL,
    origin_id      BIGINT NOT NULL,
    opened_at      BIGINT NOT NULL,
    started_at     BIGINT NOT NULL, -- 0 while there was not enough active use
    valid_until    BIGINT NOT NULL,
    seconds        BIGINT NOT NULL,
    PRIMARY KEY (user_id, publication_id, origin_id, opened_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS reading_events (
    seq            BIGINT AUTO_INCREMENT PRIMARY KEY,
    key_id         BIGINT NOT NULL,
    event          VARBINARY(16) NOT NULL, -- identifies it, 16 bytes
    content        VARBINARY(8) NOT NULL, -- hash of all that it says, 8 bytes
    at             BIGINT NOT NULL,
    user_id        BIGINT NOT NULL, -- 0 if it was blocked
    publication_id BIGINT NOT NULL,
    origin_id      BIGINT NOT NULL,
    device         VARBINARY(8) NOT NULL, -- hash, 8 bytes; empty if there is none
    seconds        BIGINT NOT NULL,
    status         BIGINT NOT NULL,
    opened_at      BIGINT NOT NULL, -- of the session; 0 for none
    UNIQUE (key_id, event),
    INDEX reading_events_at (key_id, at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Signatures of native apps that were used, until they are too old to be.
CREATE TABLE IF NOT EXISTS used_signatures (
    id      VARBINARY(32) NOT NULL PRIMARY KEY,
    used_at BIGINT NOT NULL,
    INDEX used_signatures_used_at (used_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Figures by the month in which they are billed. of_month is when they came about:
-- another one where that month was closed already.
CREATE TABLE IF NOT EXISTS usage_rollup (
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
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- How many users started a session, by every grouping of reports: 0 stands for
-- all groups, or all publications.
CREATE TABLE IF NOT EXISTS usage_unique (
    key_id         BIGINT NOT NULL,
    month          BIGINT NOT NULL,
    of_month       BIGINT NOT NULL,
    group_id       BIGINT NOT NULL,
    publication_id BIGINT NOT NULL,
    users          BIGINT NOT NULL,
    PRIMARY KEY (key_id, month, of_month, group_id, publication_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Who was counted there.
CREATE TABLE IF NOT EXISTS usage_counted (
    user_id        BIGINT NOT NULL,
    of_month       BIGINT NOT NULL,
    group_id       BIGINT NOT NULL,
    publication_id BIGINT NOT NULL,
    PRIMARY KEY (user_id, of_month, group_id, publication_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- What holders of keys are to be told, until they were.
CREATE TABLE IF NOT EXISTS usage_notices (
    seq          BIGINT AUTO_INCREMENT PRIMARY KEY,
    id           VARBINARY(1020) NOT NULL UNIQUE,
    key_id       BIGINT NOT NULL,
    kind         VARBINARY(1020) NOT NULL,
    origin_id    BIGINT NOT NULL, -- that it is about; 0 for none
    body         VARBINARY(16384) NOT NULL,
    created_at   BIGINT NOT NULL,
    due_at       BIGINT NOT NULL, -- of the next attempt
    attempts     BIGINT NOT NULL,
    done_at      BIGINT NOT NULL, -- 0 while it is to be tried
    failure      VARBINARY(16384) NOT NULL,  -- why the last attempt failed
    INDEX usage_notices_due (done_at, due_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
