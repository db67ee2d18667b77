-- Times are milliseconds since 1970 in UTC. Text is compared byte by byte. Lists
-- are JSON arrays of text. seq orders records by their arrival. The numbers of
-- migrations are the same for every database.

-- +goose Up
CREATE TABLE publications (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid         TEXT COLLATE "C" NOT NULL UNIQUE,
    alt_id       TEXT COLLATE "C" NOT NULL,
    live_alt_id  TEXT COLLATE "C" UNIQUE, -- alt_id; NULL if that is empty or the publication deleted
    provider     TEXT COLLATE "C" NOT NULL,
    title        TEXT NOT NULL,
    authors      TEXT NOT NULL,
    publishers   TEXT NOT NULL,
    description  TEXT NOT NULL,
    languages    TEXT NOT NULL,
    published    TEXT COLLATE "C" NOT NULL,
    content_type TEXT COLLATE "C" NOT NULL,
    href         TEXT NOT NULL,
    size         BIGINT NOT NULL,
    checksum     TEXT COLLATE "C" NOT NULL,
    cover_url    TEXT NOT NULL,
    content_key  BYTEA NOT NULL, -- sealed under a master key
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    deleted_at   BIGINT NOT NULL -- 0 while live
);
CREATE INDEX publications_live ON publications (deleted_at, seq);
CREATE INDEX publications_content_type ON publications (content_type, deleted_at, seq);
CREATE INDEX publications_checksum ON publications (checksum, deleted_at, seq);

-- What a publication will be known by while it is being encrypted.
CREATE TABLE reservations (
    uuid        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    alt_id      TEXT COLLATE "C" UNIQUE,
    content_key BYTEA NOT NULL, -- sealed under a master key
    created_at  BIGINT NOT NULL
);
CREATE INDEX reservations_created_at ON reservations (created_at);

CREATE TABLE licenses (
    seq              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid             TEXT COLLATE "C" NOT NULL UNIQUE,
    publication_uuid TEXT COLLATE "C" NOT NULL,
    user_id          TEXT COLLATE "C" NOT NULL,
    provider         TEXT COLLATE "C" NOT NULL,
    profile          TEXT COLLATE "C" NOT NULL,
    rights_start     BIGINT,
    rights_end       BIGINT,
    rights_max_end   BIGINT,
    rights_copy      BIGINT, -- NULL: no limit
    rights_print     BIGINT, -- NULL: no limit
    status           TEXT COLLATE "C" NOT NULL,
    status_updated   BIGINT,
    issued           BIGINT,
    updated          BIGINT,
    device_count     BIGINT NOT NULL,
    event_count      BIGINT NOT NULL
);
CREATE INDEX licenses_publication ON licenses (publication_uuid, seq);
CREATE INDEX licenses_user ON licenses (user_id, seq);
CREATE INDEX licenses_list ON licenses (seq, status, rights_end, device_count, issued);
CREATE INDEX licenses_ended ON licenses (status, seq) WHERE status NOT IN ('ready', 'active');
CREATE INDEX licenses_shared ON licenses (device_count, issued) WHERE device_count > 2;
CREATE INDEX licenses_issued ON licenses (issued, seq);
CREATE INDEX licenses_end ON licenses (rights_end);

-- What happened to a license lies together, numbered from 1, and beside what
-- happened to licenses of the same time: those are the ones that are changed.
-- A device is registered if there is an event that says so.
CREATE TABLE license_events (
    license_seq BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    type        TEXT COLLATE "C" NOT NULL,
    device_id   TEXT COLLATE "C" NOT NULL,
    device_name TEXT COLLATE "C" NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (license_seq, number)
);
CREATE INDEX license_events_device ON license_events (device_id, license_seq);

-- Records of licenses that were deleted, and what happened to them.
CREATE TABLE deleted_licenses (
    uuid             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    publication_uuid TEXT COLLATE "C" NOT NULL,
    user_id          TEXT COLLATE "C" NOT NULL,
    provider         TEXT COLLATE "C" NOT NULL,
    profile          TEXT COLLATE "C" NOT NULL,
    rights_start     BIGINT,
    rights_end       BIGINT,
    rights_max_end   BIGINT,
    rights_copy      BIGINT,
    rights_print     BIGINT,
    status           TEXT COLLATE "C" NOT NULL,
    status_updated   BIGINT,
    issued           BIGINT,
    updated          BIGINT,
    device_count     BIGINT NOT NULL,
    event_count      BIGINT NOT NULL,
    deleted_at       BIGINT NOT NULL
);

CREATE TABLE deleted_events (
    license_uuid TEXT COLLATE "C" NOT NULL,
    number       BIGINT NOT NULL,
    type         TEXT COLLATE "C" NOT NULL,
    device_id    TEXT COLLATE "C" NOT NULL,
    device_name  TEXT COLLATE "C" NOT NULL,
    at           BIGINT NOT NULL,
    PRIMARY KEY (license_uuid, number)
);

-- When the file of a publication was last replaced. Most never are.
CREATE TABLE replacements (
    publication_uuid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    replaced_at      BIGINT NOT NULL
);

-- Figures, each spread over several rows. kind says what they count.
CREATE TABLE counters (
    kind   TEXT COLLATE "C" NOT NULL,
    name   TEXT COLLATE "C" NOT NULL,
    period BIGINT NOT NULL,
    shard  BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (kind, name, period, shard)
);

CREATE TABLE license_users (
    user_id  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    licenses BIGINT NOT NULL
);

CREATE TABLE users (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    role       TEXT COLLATE "C" NOT NULL,
    hash       TEXT COLLATE "C" NOT NULL, -- of the password
    created_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    role       TEXT COLLATE "C" NOT NULL,
    hash       TEXT COLLATE "C" NOT NULL UNIQUE, -- SHA-256 of the key, hexadecimal
    created_at BIGINT NOT NULL
);

-- Rows to lock, for what concerns no row of another table.
CREATE TABLE locks (name TEXT COLLATE "C" NOT NULL PRIMARY KEY);
INSERT INTO locks (name) VALUES ('first user');

CREATE TABLE audit (
    seq    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     BIGINT NOT NULL,
    actor  TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at, seq);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_target ON audit (target, seq);

-- Requests with an Idempotency-Key, and what they were answered.
CREATE TABLE claims (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- SHA-256 of actor and key, hexadecimal
    request    TEXT COLLATE "C" NOT NULL,             -- SHA-256 of the request, hexadecimal
    claimed_at BIGINT NOT NULL,
    answer     BYTEA -- sealed under a master key; NULL while there is none
);
CREATE INDEX claims_claimed_at ON claims (claimed_at);
