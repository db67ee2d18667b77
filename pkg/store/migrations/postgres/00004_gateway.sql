-- What the license gateway keeps of licenses.

-- +goose Up
-- How long a license lasts from the registration of its first device: a duration
-- of ISO 8601, or nothing.
ALTER TABLE licenses ADD COLUMN play_duration TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE deleted_licenses ADD COLUMN play_duration TEXT COLLATE "C" NOT NULL DEFAULT '';

-- Data of users, for fresh licenses, of providers that want it kept.
CREATE TABLE snapshots (
    license_uuid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    provider     TEXT COLLATE "C" NOT NULL, -- URI
    user_id      TEXT COLLATE "C" NOT NULL,
    data         BYTEA NOT NULL -- sealed under a master key
);
CREATE INDEX snapshots_user ON snapshots (user_id);
