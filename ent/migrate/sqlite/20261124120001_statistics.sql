-- +goose Up
-- What SQLite's planner knows of the indexes: how many rows there are, and how
-- many share the first one, two, ... columns. Left alone it takes a tenant's
-- resources for a handful, and reads all of them in the order of their ids rather
-- than find the few that a filter asks for. Written here and not counted, the
-- numbers give the same plans whatever the data.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('resources', 'sqlite_autoindex_resources_1', '1000000 1'),
  ('resources', 'resource_tenant_id_type_user_name', '1000000 1000000 500000 1'),
  ('resources', 'resource_tenant_id_type_external_id_id', '1000000 1000000 500000 1 1'),
  ('resources', 'resource_tenant_id_type_display_name_id', '1000000 1000000 500000 1 1'),
  ('resources', 'resource_tenant_id_type_created_at_id', '1000000 1000000 500000 1 1'),
  ('resources', 'resource_tenant_id_type_updated_at_id', '1000000 1000000 500000 1 1'),
  ('resources', 'resource_tenant_id_type_id', '1000000 1000000 500000 1'),
  ('attribute_values', 'attributevalue_tenant_id_type_attr_value_resource_id', '1000000 1000000 1000000 1000000 1 1'),
  ('attribute_values', 'attributevalue_resource_id', '1000000 2'),
  ('memberships', 'sqlite_autoindex_memberships_1', '1000000 1000 1'),
  ('memberships', 'membership_member_id_group_id', '1000000 10 1');
ANALYZE sqlite_schema;

-- +goose Down
DELETE FROM sqlite_stat1;
ANALYZE sqlite_schema;
