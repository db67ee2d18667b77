-- What the license gateway keeps of licenses.

-- +goose Up
-- How long a license lasts from the registration of its first device: a duration
-- of ISO 8601, or nothing. MySQL has no ADD COLUMN IF NOT EXISTS.
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0',
    'ALTER TABLE licenses ADD COLUMN play_duration VARBINARY(64) NOT NULL DEFAULT ''''')
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'licenses' AND column_name = 'play_duration');
PREPARE change_table FROM @change;
EXECUTE change_table;
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0',
    'ALTER TABLE deleted_licenses ADD COLUMN play_duration VARBINARY(64) NOT NULL DEFAULT ''''')
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'deleted_licenses' AND column_name = 'play_duration');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;

-- Data of users, for fresh licenses, of providers that want it kept.
CREATE TABLE IF NOT EXISTS snapshots (
    license_uuid VARBINARY(1020) NOT NULL PRIMARY KEY,
    provider     VARBINARY(1020) NOT NULL, -- URI
    user_id      VARBINARY(1020) NOT NULL,
    data         MEDIUMBLOB NOT NULL, -- sealed under a master key
    INDEX snapshots_user (user_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
