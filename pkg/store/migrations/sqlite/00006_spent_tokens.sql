-- Tokens come in no order of their identifiers. A table in that order is written at
-- another place for each, and so was the index on their end, of tokens of the same
-- second. Numbered as they come, only the index on identifiers is.

-- +goose Up
CREATE TABLE spent (
    seq        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE, -- provider, slash, SHA-256 of the jti in hexadecimal
    expires_at INTEGER NOT NULL
);
INSERT INTO spent (id, expires_at) SELECT id, expires_at FROM spent_tokens ORDER BY expires_at;
DROP TABLE spent_tokens;
ALTER TABLE spent RENAME TO spent_tokens;
CREATE INDEX spent_tokens_expires_at ON spent_tokens (expires_at);
