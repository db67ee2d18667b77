-- Times are milliseconds since 1970 in UTC, so that order and equality are the
-- same in every database. Lists are JSON arrays of text. seq orders records by
-- their arrival: two of the same millisecond still have one order, and a page
-- of a list can start after it.

-- +goose Up
CREATE TABLE publications (
    seq          INTEGER PRIMARY KEY,
    uuid         TEXT    NOT NULL UNIQUE,
    alt_id       TEXT    NOT NULL,
    live_alt_id  TEXT    UNIQUE, -- alt_id; NULL if that is empty or the publication deleted
    provider     TEXT    NOT NULL,
    title        TEXT    NOT NULL,
    authors      TEXT    NOT NULL,
    publishers   TEXT    NOT NULL,
    description  TEXT    NOT NULL,
    languages    TEXT    NOT NULL,
    published    TEXT    NOT NULL,
    content_type TEXT    NOT NULL,
    href         TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    checksum     TEXT    NOT NULL,
    cover_url    TEXT    NOT NULL,
    content_key  BLOB    NOT NULL, -- sealed under a master key
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    deleted_at   INTEGER NOT NULL  -- 0 while live
);
CREATE INDEX publications_live ON publications (deleted_at, seq);
CREATE INDEX publications_content_type ON publications (content_type, deleted_at, seq);
CREATE INDEX publications_checksum ON publications (checksum, deleted_at, seq);

-- What a publication will be known by while it is being encrypted.
CREATE TABLE reservations (
    uuid        TEXT    NOT NULL PRIMARY KEY,
    alt_id      TEXT    UNIQUE,
    content_key BLOB    NOT NULL, -- sealed under a master key
    created_at  INTEGER NOT NULL
);
CREATE INDEX reservations_created_at ON reservations (created_at);

CREATE TABLE licenses (
    seq              INTEGER PRIMARY KEY,
    uuid             TEXT    NOT NULL UNIQUE,
    publication_uuid TEXT    NOT NULL REFERENCES publications (uuid),
    user_id          TEXT    NOT NULL,
    provider         TEXT    NOT NULL,
    profile          TEXT    NOT NULL,
    rights_start     INTEGER,
    rights_end       INTEGER,
    rights_max_end   INTEGER,
    rights_copy      INTEGER, -- NULL: no limit
    rights_print     INTEGER, -- NULL: no limit
    status           TEXT    NOT NULL,
    status_updated   INTEGER,
    issued           INTEGER,
    updated          INTEGER,
    device_count     INTEGER NOT NULL
);
CREATE INDEX licenses_publication ON licenses (publication_uuid, seq);
CREATE INDEX licenses_user ON licenses (user_id, seq);
CREATE INDEX licenses_status ON licenses (status, seq);
CREATE INDEX licenses_device_count ON licenses (device_count, seq);

CREATE TABLE devices (
    license_uuid TEXT    NOT NULL REFERENCES licenses (uuid),
    device_id    TEXT    NOT NULL,
    device_name  TEXT    NOT NULL,
    registered   INTEGER NOT NULL,
    PRIMARY KEY (license_uuid, device_id)
) WITHOUT ROWID;
CREATE INDEX devices_device ON devices (device_id, license_uuid);

CREATE TABLE events (
    seq          INTEGER PRIMARY KEY,
    license_uuid TEXT    NOT NULL REFERENCES licenses (uuid),
    type         TEXT    NOT NULL,
    device_id    TEXT    NOT NULL,
    device_name  TEXT    NOT NULL,
    at           INTEGER NOT NULL
);
CREATE INDEX events_license ON events (license_uuid, seq);

-- +goose Down
DROP TABLE events;
DROP TABLE devices;
DROP TABLE licenses;
DROP TABLE reservations;
DROP TABLE publications;
