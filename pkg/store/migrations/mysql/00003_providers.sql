-- What is kept for each provider that a license server works for.

-- +goose Up
CREATE TABLE IF NOT EXISTS providers (
    id         VARBINARY(1020) NOT NULL PRIMARY KEY,
    uri        VARBINARY(1020) NOT NULL UNIQUE,
    document   MEDIUMBLOB NOT NULL, -- JSON, what is set for it
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Secrets shared with providers. Identifiers of providers have no slash, and
-- neither have those of keys.
CREATE TABLE IF NOT EXISTS secrets (
    id           VARBINARY(1020) NOT NULL PRIMARY KEY, -- provider, slash, kid
    provider     VARBINARY(255) NOT NULL,
    kid          VARBINARY(255) NOT NULL,
    algorithm    VARBINARY(64) NOT NULL,
    state        VARBINARY(64) NOT NULL,
    value        MEDIUMBLOB NOT NULL, -- sealed under a master key
    created_at   BIGINT NOT NULL,
    activated_at BIGINT, -- NULL: never
    changed_at   BIGINT NOT NULL,
    INDEX secrets_provider (provider)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS rights_templates (
    provider   VARBINARY(255) NOT NULL,
    name       VARBINARY(255) NOT NULL,
    document   MEDIUMBLOB NOT NULL, -- JSON
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (provider, name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Tokens that were used, until they expire.
CREATE TABLE IF NOT EXISTS spent_tokens (
    id         VARBINARY(255) NOT NULL PRIMARY KEY, -- provider, slash, SHA-256 of the jti in hexadecimal
    expires_at BIGINT NOT NULL,
    INDEX spent_tokens_expires_at (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Whose callers are: the identifier of a provider, or nothing for the whole
-- server's. MySQL has no ADD COLUMN IF NOT EXISTS, nor CREATE INDEX.
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE users ADD COLUMN provider VARBINARY(255) NOT NULL DEFAULT ''''')
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'provider');
PREPARE change_table FROM @change;
EXECUTE change_table;
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE api_keys ADD COLUMN provider VARBINARY(255) NOT NULL DEFAULT ''''')
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'api_keys' AND column_name = 'provider');
PREPARE change_table FROM @change;
EXECUTE change_table;

-- What callers of one provider see, in the order of lists.
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0', 'CREATE INDEX publications_provider ON publications (provider, deleted_at, seq)')
    FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'publications' AND index_name = 'publications_provider');
PREPARE change_table FROM @change;
EXECUTE change_table;
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0', 'CREATE INDEX licenses_provider ON licenses (provider, seq)')
    FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'licenses' AND index_name = 'licenses_provider');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;
