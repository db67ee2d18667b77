-- What a license server keeps beside the records: who may call it, what was
-- done, and figures that it need not count for.

-- +goose Up
ALTER TABLE licenses ADD COLUMN event_count INTEGER NOT NULL DEFAULT 0;
UPDATE licenses SET event_count = (SELECT COUNT(*) FROM events WHERE events.license_uuid = licenses.uuid)
WHERE uuid IN (SELECT license_uuid FROM events);

-- What happened to a license lies together, numbered from 1, and beside what
-- happened to licenses of the same time: those are the ones that are changed.
-- A device is registered if there is an event that says so.
CREATE TABLE license_events (
    license_seq INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    type        TEXT    NOT NULL,
    device_id   TEXT    NOT NULL,
    device_name TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (license_seq, number)
) WITHOUT ROWID;
INSERT INTO license_events SELECT licenses.seq, ROW_NUMBER() OVER (PARTITION BY licenses.seq ORDER BY events.seq),
    type, device_id, device_name, at FROM events JOIN licenses ON licenses.uuid = events.license_uuid;
CREATE INDEX license_events_device ON license_events (device_id, license_seq);
DROP TABLE devices;
DROP TABLE events;

-- What lists and searches need, in the order of lists and in few pages: whatever
-- else a search is for is found by going through it. What is rare has an index
-- of its own, which the usual life of a license leaves alone.
DROP INDEX licenses_status;
DROP INDEX licenses_device_count;
CREATE INDEX licenses_list ON licenses (seq, status, rights_end, device_count, issued);
CREATE INDEX licenses_ended ON licenses (status, seq) WHERE status NOT IN ('ready', 'active');
CREATE INDEX licenses_shared ON licenses (device_count, issued) WHERE device_count > 2;
CREATE INDEX licenses_issued ON licenses (issued, seq);
CREATE INDEX licenses_end ON licenses (rights_end);

-- Records of licenses that were deleted, and what happened to them.
CREATE TABLE deleted_licenses (
    uuid             TEXT    NOT NULL PRIMARY KEY,
    publication_uuid TEXT    NOT NULL,
    user_id          TEXT    NOT NULL,
    provider         TEXT    NOT NULL,
    profile          TEXT    NOT NULL,
    rights_start     INTEGER,
    rights_end       INTEGER,
    rights_max_end   INTEGER,
    rights_copy      INTEGER,
    rights_print     INTEGER,
    status           TEXT    NOT NULL,
    status_updated   INTEGER,
    issued           INTEGER,
    updated          INTEGER,
    device_count     INTEGER NOT NULL,
    event_count      INTEGER NOT NULL,
    deleted_at       INTEGER NOT NULL
);

CREATE TABLE deleted_events (
    license_uuid TEXT    NOT NULL,
    number       INTEGER NOT NULL,
    type         TEXT    NOT NULL,
    device_id    TEXT    NOT NULL,
    device_name  TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (license_uuid, number)
) WITHOUT ROWID;

-- When the file of a publication was last replaced. Most never are, so that
-- looking for one costs next to nothing.
CREATE TABLE replacements (
    publication_uuid TEXT    NOT NULL PRIMARY KEY,
    replaced_at      INTEGER NOT NULL
) WITHOUT ROWID;

-- Figures, each spread over several rows. kind says what they count.
CREATE TABLE counters (
    kind   TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    period INTEGER NOT NULL,
    shard  INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (kind, name, period, shard)
) WITHOUT ROWID;

CREATE TABLE license_users (
    user_id  TEXT    NOT NULL PRIMARY KEY,
    licenses INTEGER NOT NULL
) WITHOUT ROWID;

-- Days count from 1970; 1099511627776 stands for no end.
INSERT INTO counters SELECT 'license status', status,
    COALESCE(rights_end / 86400000 - (rights_end % 86400000 < 0), 1099511627776), 0, COUNT(*) FROM licenses GROUP BY 2, 3;
INSERT INTO counters SELECT 'license devices', '', device_count, 0, COUNT(*) FROM licenses GROUP BY 3;
INSERT INTO counters SELECT 'license issued', '',
    COALESCE(issued / 86400000 - (issued % 86400000 < 0), 0), 0, COUNT(*) FROM licenses GROUP BY 3;
INSERT INTO counters SELECT 'license used', '',
    COALESCE(issued / 86400000 - (issued % 86400000 < 0), 0), 0, COUNT(*) FROM licenses WHERE status <> 'ready' GROUP BY 3;
INSERT INTO counters SELECT 'publication types', content_type, 0, 0, COUNT(*) FROM publications WHERE deleted_at = 0 GROUP BY 2;
INSERT INTO license_users SELECT user_id, COUNT(*) FROM licenses WHERE user_id <> '' GROUP BY user_id;
INSERT INTO counters SELECT 'license users', '', 0, 0, COUNT(*) FROM license_users HAVING COUNT(*) > 0;

CREATE TABLE users (
    name       TEXT    NOT NULL PRIMARY KEY,
    role       TEXT    NOT NULL,
    hash       TEXT    NOT NULL, -- of the password
    created_at INTEGER NOT NULL
);

CREATE TABLE api_keys (
    name       TEXT    NOT NULL PRIMARY KEY,
    role       TEXT    NOT NULL,
    hash       TEXT    NOT NULL UNIQUE, -- SHA-256 of the key, hexadecimal
    created_at INTEGER NOT NULL
);

-- Rows to lock, for what concerns no row of another table.
CREATE TABLE locks (name TEXT NOT NULL PRIMARY KEY);
INSERT INTO locks (name) VALUES ('first user');

CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    action TEXT    NOT NULL,
    target TEXT    NOT NULL,
    detail TEXT    NOT NULL
);
CREATE INDEX audit_at ON audit (at, seq);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_target ON audit (target, seq);

-- Requests with an Idempotency-Key, and what they were answered.
CREATE TABLE claims (
    id         TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of actor and key, hexadecimal
    request    TEXT    NOT NULL,             -- SHA-256 of the request, hexadecimal
    claimed_at INTEGER NOT NULL,
    answer     BLOB                          -- sealed under a master key; NULL while there is none
) WITHOUT ROWID;
CREATE INDEX claims_claimed_at ON claims (claimed_at);
