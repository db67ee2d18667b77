-- What is kept for each provider that a license server works for.

-- +goose Up
CREATE TABLE providers (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uri        TEXT COLLATE "C" NOT NULL UNIQUE,
    document   TEXT NOT NULL, -- JSON, what is set for it
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Secrets shared with providers. Identifiers of providers have no slash, and
-- neither have those of keys.
CREATE TABLE secrets (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- provider, slash, kid
    provider     TEXT COLLATE "C" NOT NULL,
    kid          TEXT COLLATE "C" NOT NULL,
    algorithm    TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    value        BYTEA NOT NULL, -- sealed under a master key
    created_at   BIGINT NOT NULL,
    activated_at BIGINT, -- NULL: never
    changed_at   BIGINT NOT NULL
);
CREATE INDEX secrets_provider ON secrets (provider);

CREATE TABLE rights_templates (
    provider   TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    document   TEXT NOT NULL, -- JSON
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (provider, name)
);

-- Tokens that were used, until they expire.
CREATE TABLE spent_tokens (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- provider, slash, SHA-256 of the jti in hexadecimal
    expires_at BIGINT NOT NULL
);
CREATE INDEX spent_tokens_expires_at ON spent_tokens (expires_at);

-- Whose callers are: the identifier of a provider, or nothing for the whole server's.
ALTER TABLE users ADD COLUMN provider TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN provider TEXT COLLATE "C" NOT NULL DEFAULT '';

-- What callers of one provider see, in the order of lists.
CREATE INDEX publications_provider ON publications (provider, deleted_at, seq);
CREATE INDEX licenses_provider ON licenses (provider, seq);
