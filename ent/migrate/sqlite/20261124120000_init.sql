-- +goose Up
-- create "attribute_values" table
CREATE TABLE `attribute_values` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `type` text NOT NULL, `attr` text NOT NULL, `value` text NOT NULL, `unique_in` text NULL, `resource_id` text NOT NULL, CONSTRAINT `attribute_values_resources_attribute_values` FOREIGN KEY (`resource_id`) REFERENCES `resources` (`id`) ON DELETE CASCADE);
-- create index "attributevalue_tenant_id_type_attr_value_resource_id" to table: "attribute_values"
CREATE INDEX `attributevalue_tenant_id_type_attr_value_resource_id` ON `attribute_values` (`tenant_id`, `type`, `attr`, `value`, `resource_id`);
-- create index "attributevalue_resource_id" to table: "attribute_values"
CREATE INDEX `attributevalue_resource_id` ON `attribute_values` (`resource_id`);
-- create index "attributevalue_tenant_id_attr_unique_in_value" to table: "attribute_values"
CREATE UNIQUE INDEX `attributevalue_tenant_id_attr_unique_in_value` ON `attribute_values` (`tenant_id`, `attr`, `unique_in`, `value`) WHERE unique_in IS NOT NULL;
-- create "changes" table
CREATE TABLE `changes` (`position` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `resource_type` text NOT NULL, `resource_id` text NOT NULL, `operation` text NOT NULL, `version` integer NOT NULL, `occurred_at` integer NOT NULL, `detail` text NULL);
-- create "credentials" table
CREATE TABLE `credentials` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `name` text NOT NULL, `kind` text NOT NULL, `scopes` text NOT NULL, `secret_hash` blob NOT NULL, `created_at` integer NOT NULL, `tenant_id` integer NOT NULL, CONSTRAINT `credentials_tenants_credentials` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE NO ACTION);
-- create index "credentials_secret_hash_key" to table: "credentials"
CREATE UNIQUE INDEX `credentials_secret_hash_key` ON `credentials` (`secret_hash`);
-- create index "credential_tenant_id_name" to table: "credentials"
CREATE UNIQUE INDEX `credential_tenant_id_name` ON `credentials` (`tenant_id`, `name`);
-- create "memberships" table
CREATE TABLE `memberships` (`tenant_id` integer NOT NULL, `member_type` text NOT NULL, `group_id` text NOT NULL, `member_id` text NOT NULL, PRIMARY KEY (`group_id`, `member_id`), CONSTRAINT `memberships_resources_group` FOREIGN KEY (`group_id`) REFERENCES `resources` (`id`) ON DELETE CASCADE, CONSTRAINT `memberships_resources_member` FOREIGN KEY (`member_id`) REFERENCES `resources` (`id`) ON DELETE CASCADE);
-- create index "membership_member_id_group_id" to table: "memberships"
CREATE INDEX `membership_member_id_group_id` ON `memberships` (`member_id`, `group_id`);
-- create "registrations" table
CREATE TABLE `registrations` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `kind` text NOT NULL, `name` text NOT NULL, `document` text NOT NULL, `updated_at` integer NOT NULL);
-- create index "registration_tenant_id_kind_name" to table: "registrations"
CREATE UNIQUE INDEX `registration_tenant_id_kind_name` ON `registrations` (`tenant_id`, `kind`, `name`);
-- create "resources" table
CREATE TABLE `resources` (`id` text NOT NULL, `type` text NOT NULL, `version` integer NOT NULL, `created_at` integer NOT NULL, `updated_at` integer NOT NULL, `external_id` text NULL, `user_name` text NULL, `display_name` text NULL, `display` text NULL, `document` text NOT NULL, `tenant_id` integer NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `resources_tenants_resources` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE NO ACTION);
-- create index "resource_tenant_id_type_user_name" to table: "resources"
CREATE UNIQUE INDEX `resource_tenant_id_type_user_name` ON `resources` (`tenant_id`, `type`, `user_name`);
-- create index "resource_tenant_id_type_external_id_id" to table: "resources"
CREATE INDEX `resource_tenant_id_type_external_id_id` ON `resources` (`tenant_id`, `type`, `external_id`, `id`);
-- create index "resource_tenant_id_type_display_name_id" to table: "resources"
CREATE INDEX `resource_tenant_id_type_display_name_id` ON `resources` (`tenant_id`, `type`, `display_name`, `id`);
-- create index "resource_tenant_id_type_created_at_id" to table: "resources"
CREATE INDEX `resource_tenant_id_type_created_at_id` ON `resources` (`tenant_id`, `type`, `created_at`, `id`);
-- create index "resource_tenant_id_type_updated_at_id" to table: "resources"
CREATE INDEX `resource_tenant_id_type_updated_at_id` ON `resources` (`tenant_id`, `type`, `updated_at`, `id`);
-- create index "resource_tenant_id_type_id" to table: "resources"
CREATE INDEX `resource_tenant_id_type_id` ON `resources` (`tenant_id`, `type`, `id`);
-- create "resource_counts" table
CREATE TABLE `resource_counts` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `type` text NOT NULL, `part` integer NOT NULL, `resources` integer NOT NULL);
-- create index "resourcecount_tenant_id_type_part" to table: "resource_counts"
CREATE UNIQUE INDEX `resourcecount_tenant_id_type_part` ON `resource_counts` (`tenant_id`, `type`, `part`);
-- create "secrets" table
CREATE TABLE `secrets` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `attr` text NOT NULL, `hash` text NOT NULL, `resource_id` text NOT NULL, CONSTRAINT `secrets_resources_secrets` FOREIGN KEY (`resource_id`) REFERENCES `resources` (`id`) ON DELETE CASCADE);
-- create index "secret_resource_id_attr" to table: "secrets"
CREATE UNIQUE INDEX `secret_resource_id_attr` ON `secrets` (`resource_id`, `attr`);
-- create "server_keys" table
CREATE TABLE `server_keys` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `name` text NOT NULL, `value` blob NOT NULL, `created_at` integer NOT NULL);
-- create index "server_keys_name_key" to table: "server_keys"
CREATE UNIQUE INDEX `server_keys_name_key` ON `server_keys` (`name`);
-- create "tenants" table
CREATE TABLE `tenants` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `name` text NOT NULL, `profile` text NOT NULL, `catalog_version` integer NOT NULL, `created_at` integer NOT NULL);
-- create index "tenants_name_key" to table: "tenants"
CREATE UNIQUE INDEX `tenants_name_key` ON `tenants` (`name`);

-- +goose Down
-- reverse: create index "tenants_name_key" to table: "tenants"
DROP INDEX `tenants_name_key`;
-- reverse: create "tenants" table
DROP TABLE `tenants`;
-- reverse: create index "server_keys_name_key" to table: "server_keys"
DROP INDEX `server_keys_name_key`;
-- reverse: create "server_keys" table
DROP TABLE `server_keys`;
-- reverse: create index "secret_resource_id_attr" to table: "secrets"
DROP INDEX `secret_resource_id_attr`;
-- reverse: create "secrets" table
DROP TABLE `secrets`;
-- reverse: create index "resourcecount_tenant_id_type_part" to table: "resource_counts"
DROP INDEX `resourcecount_tenant_id_type_part`;
-- reverse: create "resource_counts" table
DROP TABLE `resource_counts`;
-- reverse: create index "resource_tenant_id_type_id" to table: "resources"
DROP INDEX `resource_tenant_id_type_id`;
-- reverse: create index "resource_tenant_id_type_updated_at_id" to table: "resources"
DROP INDEX `resource_tenant_id_type_updated_at_id`;
-- reverse: create index "resource_tenant_id_type_created_at_id" to table: "resources"
DROP INDEX `resource_tenant_id_type_created_at_id`;
-- reverse: create index "resource_tenant_id_type_display_name_id" to table: "resources"
DROP INDEX `resource_tenant_id_type_display_name_id`;
-- reverse: create index "resource_tenant_id_type_external_id_id" to table: "resources"
DROP INDEX `resource_tenant_id_type_external_id_id`;
-- reverse: create index "resource_tenant_id_type_user_name" to table: "resources"
DROP INDEX `resource_tenant_id_type_user_name`;
-- reverse: create "resources" table
DROP TABLE `resources`;
-- reverse: create index "registration_tenant_id_kind_name" to table: "registrations"
DROP INDEX `registration_tenant_id_kind_name`;
-- reverse: create "registrations" table
DROP TABLE `registrations`;
-- reverse: create index "membership_member_id_group_id" to table: "memberships"
DROP INDEX `membership_member_id_group_id`;
-- reverse: create "memberships" table
DROP TABLE `memberships`;
-- reverse: create index "credential_tenant_id_name" to table: "credentials"
DROP INDEX `credential_tenant_id_name`;
-- reverse: create index "credentials_secret_hash_key" to table: "credentials"
DROP INDEX `credentials_secret_hash_key`;
-- reverse: create "credentials" table
DROP TABLE `credentials`;
-- reverse: create "changes" table
DROP TABLE `changes`;
-- reverse: create index "attributevalue_tenant_id_attr_unique_in_value" to table: "attribute_values"
DROP INDEX `attributevalue_tenant_id_attr_unique_in_value`;
-- reverse: create index "attributevalue_resource_id" to table: "attribute_values"
DROP INDEX `attributevalue_resource_id`;
-- reverse: create index "attributevalue_tenant_id_type_attr_value_resource_id" to table: "attribute_values"
DROP INDEX `attributevalue_tenant_id_type_attr_value_resource_id`;
-- reverse: create "attribute_values" table
DROP TABLE `attribute_values`;
