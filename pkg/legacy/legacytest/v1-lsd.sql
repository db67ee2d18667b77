-- Records as the status server of the Readium LCP Server v1 keeps them.
CREATE TABLE license_status (
    id @id, status INTEGER NOT NULL, license_updated @datetime NOT NULL, status_updated @datetime NOT NULL, device_count INTEGER,
    potential_rights_end @datetime, license_ref VARCHAR(255) NOT NULL, rights_end @datetime
);
CREATE TABLE event (
    id @id, device_name VARCHAR(255), timestamp @datetime NOT NULL, type INTEGER NOT NULL, device_id VARCHAR(255), license_status_fk INTEGER NOT NULL
);
INSERT INTO license_status VALUES
    (1, 1, '2020-02-01 10:00:00@z', '2020-02-01 10:00:01@z', 0, NULL, 'bbbbbbbb-0000-4000-8000-000000000009', NULL),
    (2, 2, '2020-02-03 10:00:01@z', '2020-02-03 10:00:01@z', 1, '2031-05-01 00:00:00@z', 'BBBBBBBB-0000-4000-8000-000000000002', '2031-03-01 00:00:00@z'),
    (3, 8, '2020-02-04 10:00:00@z', '2020-02-04 10:00:00@z', 1, '2020-05-01 00:00:00@z', 'bbbbbbbb-0000-4000-8000-000000000003', '2020-02-04 10:00:00@z'),
    (4, 16, '2020-02-05 10:00:00@z', '2020-02-05 10:00:00@z', 0, NULL, 'bbbbbbbb-0000-4000-8000-000000000004', '2020-02-05 10:00:00@z'),
    (6, 1, '2020-02-06 10:00:00@z', '2020-02-06 10:00:00@z', 0, NULL, 'bbbbbbbb-0000-4000-8000-000000000006', NULL),
    (7, 3, '2020-02-07 10:00:00@z', '2020-02-07 10:00:00@z', 0, NULL, 'bbbbbbbb-0000-4000-8000-000000000007', NULL);
INSERT INTO event VALUES
    (1, 'Thorium', '2020-02-02 11:00:00@z', 1, 'device-1', 2),
    (2, 'App', '2020-02-03 11:00:00@z', 1, 'device-3', 3),
    (3, 'Thorium', '2020-02-03 10:00:01@z', 6, 'device-1', 2),
    (4, 'App', '2020-02-04 10:00:00@z', 3, 'device-3', 3),
    (5, 'system', '2020-02-05 10:00:00@z', 4, 'system', 4);
