-- Times are milliseconds since 1970 in UTC. Text is compared byte by byte. Lists
-- are JSON arrays of text. seq orders records by their arrival. The numbers of
-- migrations are the same for every database. VARBINARY, because every collation
-- of text ignores something, be it spaces at the end; 1020 bytes hold 255
-- characters. A migration that broke off begins again: MySQL commits every
-- statement of it.

-- +goose Up
CREATE TABLE IF NOT EXISTS publications (
    seq          BIGINT AUTO_INCREMENT PRIMARY KEY,
    uuid         VARBINARY(1020) NOT NULL UNIQUE,
    alt_id       VARBINARY(1020) NOT NULL,
    live_alt_id  VARBINARY(1020) UNIQUE, -- alt_id; NULL if that is empty or the publication deleted
    provider     VARBINARY(1020) NOT NULL,
    title        MEDIUMBLOB NOT NULL,
    authors      MEDIUMBLOB NOT NULL,
    publishers   MEDIUMBLOB NOT NULL,
    description  MEDIUMBLOB NOT NULL,
    languages    MEDIUMBLOB NOT NULL,
    published    VARBINARY(1020) NOT NULL,
    content_type VARBINARY(1020) NOT NULL,
    href         VARBINARY(16384) NOT NULL,
    size         BIGINT NOT NULL,
    checksum     VARBINARY(1020) NOT NULL,
    cover_url    VARBINARY(16384) NOT NULL,
    content_key  MEDIUMBLOB NOT NULL, -- sealed under a master key
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    deleted_at   BIGINT NOT NULL, -- 0 while live
    INDEX publications_live (deleted_at, seq),
    INDEX publications_content_type (content_type, deleted_at, seq),
    INDEX publications_checksum (checksum, deleted_at, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- What a publication will be known by while it is being encrypted.
CREATE TABLE IF NOT EXISTS reservations (
    uuid        VARBINARY(1020) NOT NULL PRIMARY KEY,
    alt_id      VARBINARY(1020) UNIQUE,
    content_key MEDIUMBLOB NOT NULL, -- sealed under a master key
    created_at  BIGINT NOT NULL,
    INDEX reservations_created_at (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS licenses (
    seq              BIGINT AUTO_INCREMENT PRIMARY KEY,
    uuid             VARBINARY(1020) NOT NULL UNIQUE,
    publication_uuid VARBINARY(1020) NOT NULL,
    user_id          VARBINARY(1020) NOT NULL,
    provider         VARBINARY(1020) NOT NULL,
    profile          VARBINARY(1020) NOT NULL,
    rights_start     BIGINT,
    rights_end       BIGINT,
    rights_max_end   BIGINT,
    rights_copy      BIGINT, -- NULL: no limit
    rights_print     BIGINT, -- NULL: no limit
    status           VARBINARY(1020) NOT NULL,
    status_updated   BIGINT,
    issued           BIGINT,
    updated          BIGINT,
    device_count     BIGINT NOT NULL,
    event_count      BIGINT NOT NULL,
    INDEX licenses_publication (publication_uuid, seq),
    INDEX licenses_user (user_id, seq),
    INDEX licenses_list (seq, status, rights_end, device_count, issued),
    INDEX licenses_ended (status, seq),
    INDEX licenses_shared (device_count, issued),
    INDEX licenses_issued (issued, seq),
    INDEX licenses_end (rights_end)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- What happened to a license lies together, numbered from 1, and beside what
-- happened to licenses of the same time: those are the ones that are changed.
-- A device is registered if there is an event that says so.
CREATE TABLE IF NOT EXISTS license_events (
    license_seq BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    type        VARBINARY(1020) NOT NULL,
    device_id   VARBINARY(1020) NOT NULL,
    device_name VARBINARY(1020) NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (license_seq, number),
    INDEX license_events_device (device_id, license_seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Records of licenses that were deleted, and what happened to them.
CREATE TABLE IF NOT EXISTS deleted_licenses (
    uuid             VARBINARY(1020) NOT NULL PRIMARY KEY,
    publication_uuid VARBINARY(1020) NOT NULL,
    user_id          VARBINARY(1020) NOT NULL,
    provider         VARBINARY(1020) NOT NULL,
    profile          VARBINARY(1020) NOT NULL,
    rights_start     BIGINT,
    rights_end       BIGINT,
    rights_max_end   BIGINT,
    rights_copy      BIGINT,
    rights_print     BIGINT,
    status           VARBINARY(1020) NOT NULL,
    status_updated   BIGINT,
    issued           BIGINT,
    updated          BIGINT,
    device_count     BIGINT NOT NULL,
    event_count      BIGINT NOT NULL,
    deleted_at       BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS deleted_events (
    license_uuid VARBINARY(1020) NOT NULL,
    number       BIGINT NOT NULL,
    type         VARBINARY(1020) NOT NULL,
    device_id    VARBINARY(1020) NOT NULL,
    device_name  VARBINARY(1020) NOT NULL,
    at           BIGINT NOT NULL,
    PRIMARY KEY (license_uuid, number)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- When the file of a publication was last replaced. Most never are.
CREATE TABLE IF NOT EXISTS replacements (
    publication_uuid VARBINARY(1020) NOT NULL PRIMARY KEY,
    replaced_at      BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Figures, each spread over several rows. kind says what they count.
CREATE TABLE IF NOT EXISTS counters (
    kind   VARBINARY(32) NOT NULL,
    name   VARBINARY(1020) NOT NULL,
    period BIGINT NOT NULL,
    shard  BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (kind, name, period, shard)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS license_users (
    user_id  VARBINARY(1020) NOT NULL PRIMARY KEY,
    licenses BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS users (
    name       VARBINARY(1020) NOT NULL PRIMARY KEY,
    role       VARBINARY(1020) NOT NULL,
    hash       VARBINARY(1020) NOT NULL, -- of the password
    created_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS api_keys (
    name       VARBINARY(1020) NOT NULL PRIMARY KEY,
    role       VARBINARY(1020) NOT NULL,
    hash       VARBINARY(1020) NOT NULL UNIQUE, -- SHA-256 of the key, hexadecimal
    created_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Rows to lock, for what concerns no row of another table.
CREATE TABLE IF NOT EXISTS locks (name VARBINARY(1020) NOT NULL PRIMARY KEY) ENGINE = InnoDB;
INSERT IGNORE INTO locks (name) VALUES ('first user');

CREATE TABLE IF NOT EXISTS audit (
    seq    BIGINT AUTO_INCREMENT PRIMARY KEY,
    at     BIGINT NOT NULL,
    actor  VARBINARY(1020) NOT NULL,
    action VARBINARY(1020) NOT NULL,
    target VARBINARY(1020) NOT NULL,
    detail VARBINARY(16384) NOT NULL,
    INDEX audit_at (at, seq),
    INDEX audit_actor (actor, seq),
    INDEX audit_target (target, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Requests with an Idempotency-Key, and what they were answered.
CREATE TABLE IF NOT EXISTS claims (
    id         VARBINARY(1020) NOT NULL PRIMARY KEY, -- SHA-256 of actor and key, hexadecimal
    request    VARBINARY(1020) NOT NULL,             -- SHA-256 of the request, hexadecimal
    claimed_at BIGINT NOT NULL,
    answer     MEDIUMBLOB, -- sealed under a master key; NULL while there is none
    INDEX claims_claimed_at (claimed_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
