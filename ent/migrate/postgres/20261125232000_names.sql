-- +goose Up
-- What people are searched by has rows: their names, too, from now on. Of users that
-- there are they are made here.
INSERT INTO attribute_values (tenant_id, type, attr, value, resource_id)
SELECT tenant_id, type, 'name.familyName', muster_fold((document -> 'name' ->> 'familyName')), id FROM resources
WHERE type = 'User' AND (document -> 'name' ->> 'familyName') <> '' AND octet_length((document -> 'name' ->> 'familyName')) <= 1024;
INSERT INTO attribute_values (tenant_id, type, attr, value, resource_id)
SELECT tenant_id, type, 'name.givenName', muster_fold((document -> 'name' ->> 'givenName')), id FROM resources
WHERE type = 'User' AND (document -> 'name' ->> 'givenName') <> '' AND octet_length((document -> 'name' ->> 'givenName')) <= 1024;
