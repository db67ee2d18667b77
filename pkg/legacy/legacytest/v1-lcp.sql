-- Records as the license server of the Readium LCP Server v1 keeps them.
CREATE TABLE content (
    id VARCHAR(255) PRIMARY KEY NOT NULL, encryption_key @blob NOT NULL, location @text NOT NULL, length BIGINT, sha256 VARCHAR(64),
    type VARCHAR(255) NOT NULL
);
CREATE TABLE license (
    id VARCHAR(255) PRIMARY KEY NOT NULL, user_id VARCHAR(255) NOT NULL, provider VARCHAR(255) NOT NULL, issued @datetime NOT NULL,
    updated @datetime, rights_print INTEGER, rights_copy INTEGER, rights_start @datetime, rights_end @datetime,
    content_fk VARCHAR(255) NOT NULL, lsd_status INTEGER
);
INSERT INTO content VALUES
    ('aaaaaaaa-0000-4000-8000-000000000002', @key(2), 'https://cdn.example.org/2.epub', 20,
     'edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87', 'application/epub+zip'),
    ('AAAAAAAA-0000-4000-8000-000000000001', @key(1), 'moby-dick.epub', 10,
     'edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87', 'application/epub+zip'),
    ('aaaaaaaa-0000-4000-8000-000000000003', @key(3), 'https://cdn.example.org/3.lcpdf', NULL, NULL, 'application/pdf+lcp');
INSERT INTO license VALUES
    ('bbbbbbbb-0000-4000-8000-000000000009', 'u1', 'https://provider.example.org', '2020-02-01 10:00:00@z', NULL, NULL, NULL, NULL, NULL,
     'AAAAAAAA-0000-4000-8000-000000000001', 201),
    ('BBBBBBBB-0000-4000-8000-000000000002', 'u2', 'https://provider.example.org', '2020-02-02 10:00:00@z', '2020-02-03 10:00:00@z', 20, 0,
     '2020-02-01 00:00:00@z', '2031-03-01 00:00:00@z', 'aaaaaaaa-0000-4000-8000-000000000002', 201),
    ('bbbbbbbb-0000-4000-8000-000000000003', 'u3', 'https://provider.example.org', '2020-02-03 10:00:00@z', '2020-02-04 10:00:00@z', NULL, NULL,
     NULL, '2020-02-04 10:00:00@z', 'aaaaaaaa-0000-4000-8000-000000000002', 201),
    ('bbbbbbbb-0000-4000-8000-000000000004', 'u4', 'https://provider.example.org', '2020-02-04 10:00:00@z', NULL, NULL, NULL,
     NULL, '2020-02-05 10:00:00@z', 'aaaaaaaa-0000-4000-8000-000000000002', 201),
    ('bbbbbbbb-0000-4000-8000-000000000005', 'u5', 'https://provider.example.org', '2020-02-05 10:00:00@z', NULL, NULL, NULL, NULL, NULL,
     'aaaaaaaa-0000-4000-8000-000000000002', 500),
    ('bbbbbbbb-0000-4000-8000-000000000006', 'u6', 'https://provider.example.org', '2020-02-06 10:00:00@z', NULL, NULL, NULL, NULL, NULL,
     'aaaaaaaa-0000-4000-8000-000000000077', 201),
    ('bbbbbbbb-0000-4000-8000-000000000007', 'u7', 'https://provider.example.org', '2020-02-07 10:00:00@z', NULL, NULL, NULL, NULL, NULL,
     'aaaaaaaa-0000-4000-8000-000000000002', 201);
