-- What is kept for each provider that a license server works for.

-- +goose Up
CREATE TABLE providers (
    id         TEXT    NOT NULL PRIMARY KEY,
    uri        TEXT    NOT NULL UNIQUE,
    document   TEXT    NOT NULL, -- JSON, what is set for it
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Secrets shared with providers. Identifiers of providers have no slash, and
-- neither have those of keys.
CREATE TABLE secrets (
    id           TEXT    NOT NULL PRIMARY KEY, -- provider, slash, kid
    provider     TEXT    NOT NULL,
    kid          TEXT    NOT NULL,
    algorithm    TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    value        BLOB    NOT NULL, -- sealed under a master key
    created_at   INTEGER NOT NULL,
    activated_at INTEGER, -- NULL: never
    changed_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX secrets_provider ON secrets (provider);

CREATE TABLE rights_templates (
    provider   TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    document   TEXT    NOT NULL, -- JSON
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (provider, name)
) WITHOUT ROWID;

-- Tokens that were used, until they expire.
CREATE TABLE spent_tokens (
    id         TEXT    NOT NULL PRIMARY KEY, -- provider, slash, SHA-256 of the jti in hexadecimal
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX spent_tokens_expires_at ON spent_tokens (expires_at);

-- Whose callers are: the identifier of a provider, or nothing for the whole server's.
ALTER TABLE users ADD COLUMN provider TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN provider TEXT NOT NULL DEFAULT '';

-- What callers of one provider see, in the order of lists.
CREATE INDEX publications_provider ON publications (provider, deleted_at, seq);
CREATE INDEX licenses_provider ON licenses (provider, seq);
