-- Records as the LCP Server v2 keeps them. The schema is that of the database at
-- hand: legacytest puts in what begins with an @.
CREATE TABLE publications (
    id @id, created_at @datetime, updated_at @datetime, deleted_at @datetime, provider VARCHAR(255), uuid VARCHAR(100) UNIQUE,
    alt_id VARCHAR(255), content_type VARCHAR(100), title @text, description @text, authors @text, publishers @text,
    cover_url VARCHAR(1024), encryption_key @blob, href VARCHAR(1024), size BIGINT, checksum VARCHAR(255)
);
CREATE TABLE license_infos (
    id @id, created_at @datetime, updated_at @datetime, deleted_at @datetime, updated @datetime, uuid VARCHAR(100) UNIQUE,
    provider VARCHAR(255), user_id VARCHAR(100), start @datetime, @q(end) @datetime, max_end @datetime, copy INTEGER, print INTEGER,
    status VARCHAR(100), status_updated @datetime, device_count BIGINT, publication_id VARCHAR(100)
);
CREATE TABLE events (
    id @id, timestamp @datetime, type VARCHAR(100), device_name VARCHAR(1024), device_id VARCHAR(255), license_id VARCHAR(100)
);

INSERT INTO publications VALUES
    (1, '2026-01-10 09:00:00.123456@z', '2026-01-11 09:00:00@z', NULL, 'https://provider.example.org', 'AAAAAAAA-0000-4000-8000-000000000001',
     'moby-dick', 'application/epub+zip', 'Moby-Dick; or, The Whale', 'A sea story', 'Herman Melville, , Ishmael', 'Harper & Brothers',
     'https://cdn.example.org/moby dick.jpg', @key(1), 'https://cdn.example.org/moby dick.epub', 769257,
     'EDCE32CA54C36AA73DA9075098FC592FA29FF3E12406D1442544535D99DC1B87'),
    (2, '2026-01-10 09:00:00@z', '2026-01-10 09:00:00@z', '2026-02-01 00:00:00@z', '', 'aaaaaaaa-0000-4000-8000-000000000002',
     'gone', 'application/pdf+lcp', 'Deleted', '', '', '', '', @key(2), 'https://cdn.example.org/2.lcpdf', 10,
     '7c4OylTDaqc9qQdQmPxZL6Kf8+EkBtFEJURTXZncG4c='),
    (3, '2026-01-12 09:00:00@z', '2026-01-12 09:00:00@z', NULL, '', 'aaaaaaaa-0000-4000-8000-000000000003',
     'twin', 'application/epub+zip', 'The older twin', '', '', '', '', @key(3), 'https://cdn.example.org/3.epub', 30,
     'edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87'),
    (4, '2026-01-13 09:00:00@z', '2026-01-13 09:00:00@z', NULL, '', 'aaaaaaaa-0000-4000-8000-000000000004',
     'twin', 'application/epub+zip', 'The newer twin', '', '', '', '', @key(4), 'https://cdn.example.org/4.epub', 40,
     'edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87'),
    (5, '2026-01-14 09:00:00@z', '2026-01-14 09:00:00@z', NULL, '', 'aaaaaaaa-0000-4000-8000-000000000005',
     '', 'application/epub+zip', 'Its key is damaged', '', '', '', '', @key(-1), 'https://cdn.example.org/5.epub', 50,
     'edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87'),
    (6, '2026-01-15 09:00:00@z', '2026-01-15 09:00:00@z', NULL, '', 'aaaaaaaa-0000-4000-8000-000000000006',
     '', 'application/epub+zip', 'Its file is nowhere', '', '', '', '', @key(6), 'lost.epub', 0, 'unknown');

INSERT INTO license_infos VALUES
    (1, '2026-02-01 10:00:00.75@z', '2026-02-01 10:00:00.75@z', NULL, NULL, 'bbbbbbbb-0000-4000-8000-000000000001', 'https://provider.example.org',
     'reader@example.org', NULL, NULL, NULL, -1, -1, 'ready', NULL, 0, 'AAAAAAAA-0000-4000-8000-000000000001'),
    (2, '2026-02-01 10:00:00.75@z', '2026-02-03 10:00:00.25@z', NULL, '2026-02-03 10:00:00@z', 'BBBBBBBB-0000-4000-8000-000000000002',
     'https://provider.example.org', 'u2', '2026-02-01 00:00:00@z', '2031-03-01 00:00:00@z', '2031-05-01 00:00:00@z', 0, 20, 'active',
     '2026-02-02 10:00:00@z', 2, 'AAAAAAAA-0000-4000-8000-000000000001'),
    (3, '2026-02-01 10:00:00@z', '2026-02-04 10:00:00@z', NULL, '2026-02-04 10:00:00@z', 'bbbbbbbb-0000-4000-8000-000000000003', 'https://provider.example.org',
     'u3', NULL, '2026-02-04 10:00:00@z', '2026-05-01 00:00:00@z', 10, -1, 'returned', '2026-02-04 10:00:00@z', 1, 'aaaaaaaa-0000-4000-8000-000000000002'),
    (4, '2026-02-01 10:00:00@z', '2026-02-05 10:00:00@z', NULL, '2026-02-05 10:00:00@z', 'bbbbbbbb-0000-4000-8000-000000000004', 'https://provider.example.org',
     'u4', NULL, '2026-02-05 10:00:00@z', NULL, -1, -1, 'revoked', '2026-02-05 10:00:00@z', 5, 'aaaaaaaa-0000-4000-8000-000000000003'),
    (5, '2026-02-06 10:00:00.75@z', '2026-02-06 10:00:00.9@z', NULL, '2026-02-06 10:00:00@z', 'bbbbbbbb-0000-4000-8000-000000000005', 'https://provider.example.org',
     'u5', NULL, '2026-02-06 10:00:00@z', NULL, -1, -1, 'cancelled', '2026-02-06 10:00:00@z', 0, 'aaaaaaaa-0000-4000-8000-000000000004'),
    (6, '2026-02-01 10:00:00@z', '2026-02-01 10:00:00@z', NULL, NULL, 'bbbbbbbb-0000-4000-8000-000000000006', 'https://provider.example.org',
     'u6', NULL, '2026-02-20 00:00:00@z', '2026-05-01 00:00:00@z', -1, -1, 'expired', NULL, 0, 'aaaaaaaa-0000-4000-8000-000000000004'),
    (7, '2026-02-01 10:00:00@z', '2026-02-01 10:00:00@z', '2026-02-07 00:00:00@z', NULL, 'bbbbbbbb-0000-4000-8000-000000000007', 'https://provider.example.org',
     'u7', NULL, NULL, NULL, -1, -1, 'ready', NULL, 0, 'aaaaaaaa-0000-4000-8000-000000000004'),
    (8, '2026-02-01 10:00:00@z', '2026-02-01 10:00:00@z', NULL, NULL, 'bbbbbbbb-0000-4000-8000-000000000008', 'https://provider.example.org',
     'u8', NULL, NULL, NULL, -1, -1, 'asleep', NULL, 0, 'aaaaaaaa-0000-4000-8000-000000000004'),
    (9, '2026-02-01 10:00:00@z', '2026-02-01 10:00:00@z', NULL, NULL, 'bbbbbbbb-0000-4000-8000-000000000009', 'https://provider.example.org',
     'u9', NULL, NULL, NULL, -1, -1, 'ready', NULL, 0, 'aaaaaaaa-0000-4000-8000-000000000005'),
    (10, NULL, NULL, NULL, NULL, 'bbbbbbbb-0000-4000-8000-000000000010', 'https://provider.example.org',
     'u10', NULL, NULL, NULL, NULL, NULL, 'ready', NULL, 0, 'aaaaaaaa-0000-4000-8000-000000000004');

INSERT INTO events VALUES
    (1, '2026-02-02 10:00:00@z', 'register', 'Thorium on Ada''s laptop', 'device-1', 'BBBBBBBB-0000-4000-8000-000000000002'),
    (2, '2026-02-02 11:00:00@z', 'register', 'App', 'device-3', 'bbbbbbbb-0000-4000-8000-000000000003'),
    (3, '2026-02-02 12:00:00@z', 'register', @long, 'device-2', 'BBBBBBBB-0000-4000-8000-000000000002'),
    (4, '2026-02-03 10:00:00@z', 'renewed', 'Thorium', 'device-1', 'BBBBBBBB-0000-4000-8000-000000000002'),
    (5, '2026-02-04 10:00:00@z', 'return', 'App', 'device-3', 'bbbbbbbb-0000-4000-8000-000000000003'),
    (6, '2026-02-04 12:00:00@z', 'register', 'No identifier', '', 'bbbbbbbb-0000-4000-8000-000000000004'),
    (7, '2026-02-04 12:00:00@z', 'slept', 'App', 'device-4', 'bbbbbbbb-0000-4000-8000-000000000004'),
    (8, '2026-02-05 10:00:00@z', 'revoke', 'system', 'admin', 'bbbbbbbb-0000-4000-8000-000000000004'),
    (9, '2026-02-06 10:00:00@z', 'cancel', 'system', 'admin', 'bbbbbbbb-0000-4000-8000-000000000005');
