-- The LCP Server v2 of August 2025: a location, no alternative identifiers, no
-- count of devices.
CREATE TABLE publications (
    id @id, created_at @datetime, updated_at @datetime, deleted_at @datetime, uuid VARCHAR(100) UNIQUE, title @text,
    encryption_key @blob, location VARCHAR(1024), content_type VARCHAR(100), size BIGINT, checksum VARCHAR(255), provider_uri VARCHAR(255)
);
CREATE TABLE license_infos (
    id @id, created_at @datetime, updated_at @datetime, deleted_at @datetime, updated @datetime, uuid VARCHAR(100) UNIQUE,
    provider VARCHAR(255), user_id VARCHAR(100), start @datetime, @q(end) @datetime, max_end @datetime, copy INTEGER, print INTEGER,
    status VARCHAR(100), status_updated @datetime, publication_id VARCHAR(100)
);
INSERT INTO publications VALUES (1, '2025-08-10 09:00:00@z', '2025-08-10 09:00:00@z', NULL, 'aaaaaaaa-0000-4000-8000-000000000001', 'Moby-Dick',
    @key(1), 'https://cdn.example.org/1.epub', 'application/epub+zip', 10,
    'edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87', 'https://provider.example.org');
INSERT INTO license_infos VALUES (1, '2025-08-11 10:00:00@z', '2025-08-11 10:00:00@z', NULL, NULL, 'bbbbbbbb-0000-4000-8000-000000000001',
    'https://provider.example.org', 'u1', NULL, NULL, NULL, -1, -1, 'ready', NULL, 'aaaaaaaa-0000-4000-8000-000000000001');
