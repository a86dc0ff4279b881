-- +goose Up
-- disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- keep the secrets: they become tokens
CREATE TABLE `old_secrets` AS SELECT `id`, `secret_hash`, `created_at` FROM `credentials`;
-- create "new_credentials" table
CREATE TABLE `new_credentials` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `name` text NOT NULL, `kind` text NOT NULL, `scopes` text NOT NULL, `created_at` integer NOT NULL, `mode` text NULL, `networks` text NULL, `expires_at` integer NULL, `lookup` text NULL, `settings` text NULL, `last_used_at` integer NULL, `last_used_from` text NULL, `last_used_by` text NULL, `tenant_id` integer NOT NULL, CONSTRAINT `credentials_tenants_credentials` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE NO ACTION);
-- copy rows from old table "credentials" to new temporary table "new_credentials"
INSERT INTO `new_credentials` (`id`, `name`, `kind`, `scopes`, `created_at`, `tenant_id`) SELECT `id`, `name`, `kind`, `scopes`, `created_at`, `tenant_id` FROM `credentials`;
-- drop "credentials" table after copying rows
DROP TABLE `credentials`;
-- rename temporary table "new_credentials" to "credentials"
ALTER TABLE `new_credentials` RENAME TO `credentials`;
-- create index "credentials_lookup_key" to table: "credentials"
CREATE UNIQUE INDEX `credentials_lookup_key` ON `credentials` (`lookup`);
-- create index "credential_tenant_id_name" to table: "credentials"
CREATE UNIQUE INDEX `credential_tenant_id_name` ON `credentials` (`tenant_id`, `name`);
-- add column "state" to table: "tenants"
ALTER TABLE `tenants` ADD COLUMN `state` text NULL;
-- add column "settings" to table: "tenants"
ALTER TABLE `tenants` ADD COLUMN `settings` text NULL;
-- create "audit_chains" table
CREATE TABLE `audit_chains` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `sequence` integer NOT NULL, `hash` blob NOT NULL, `removed_sequence` integer NOT NULL, `removed_hash` blob NULL);
-- create index "audit_chains_tenant_id_key" to table: "audit_chains"
CREATE UNIQUE INDEX `audit_chains_tenant_id_key` ON `audit_chains` (`tenant_id`);
-- create "audit_events" table
CREATE TABLE `audit_events` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `occurred_at` integer NOT NULL, `request_id` text NOT NULL, `credential` text NULL, `operator` text NULL, `address` text NULL, `client` text NULL, `method` text NOT NULL, `resource_type` text NULL, `resource_id` text NULL, `outcome` text NOT NULL, `detail` text NULL, `preview` bool NOT NULL, `changes` text NULL, `sequence` integer NULL, `hash` blob NULL);
-- create index "auditevent_tenant_id_sequence" to table: "audit_events"
CREATE UNIQUE INDEX `auditevent_tenant_id_sequence` ON `audit_events` (`tenant_id`, `sequence`);
-- create index "auditevent_tenant_id_id" to table: "audit_events"
CREATE INDEX `auditevent_tenant_id_id` ON `audit_events` (`tenant_id`, `id`);
-- create index "auditevent_tenant_id_resource_id_id" to table: "audit_events"
CREATE INDEX `auditevent_tenant_id_resource_id_id` ON `audit_events` (`tenant_id`, `resource_id`, `id`);
-- create index "auditevent_tenant_id_credential_id" to table: "audit_events"
CREATE INDEX `auditevent_tenant_id_credential_id` ON `audit_events` (`tenant_id`, `credential`, `id`);
-- create index "auditevent_unsealed" to table: "audit_events"
CREATE INDEX `auditevent_unsealed` ON `audit_events` (`id`) WHERE sequence IS NULL;
-- create "recorded_exchanges" table
CREATE TABLE `recorded_exchanges` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `occurred_at` integer NOT NULL, `request` text NOT NULL, `answer` text NOT NULL, `recording_id` integer NOT NULL, CONSTRAINT `recorded_exchanges_recordings_exchanges` FOREIGN KEY (`recording_id`) REFERENCES `recordings` (`id`) ON DELETE CASCADE);
-- create index "recordedexchange_recording_id_id" to table: "recorded_exchanges"
CREATE INDEX `recordedexchange_recording_id_id` ON `recorded_exchanges` (`recording_id`, `id`);
-- create "recordings" table
CREATE TABLE `recordings` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `credential` text NOT NULL, `started_at` integer NOT NULL, `ends_at` integer NOT NULL, `max_exchanges` integer NOT NULL, `redacted` text NULL);
-- create index "recording_tenant_id_credential_ends_at" to table: "recordings"
CREATE INDEX `recording_tenant_id_credential_ends_at` ON `recordings` (`tenant_id`, `credential`, `ends_at`);
-- create "tokens" table
CREATE TABLE `tokens` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `purpose` text NOT NULL, `hash` blob NOT NULL, `scopes` text NULL, `created_at` integer NOT NULL, `expires_at` integer NULL, `used_at` integer NULL, `family` text NULL, `detail` text NULL, `credential_id` integer NOT NULL, CONSTRAINT `tokens_credentials_tokens` FOREIGN KEY (`credential_id`) REFERENCES `credentials` (`id`) ON DELETE CASCADE);
-- create index "tokens_hash_key" to table: "tokens"
CREATE UNIQUE INDEX `tokens_hash_key` ON `tokens` (`hash`);
-- create index "token_credential_id" to table: "tokens"
CREATE INDEX `token_credential_id` ON `tokens` (`credential_id`);
-- create index "token_family" to table: "tokens"
CREATE INDEX `token_family` ON `tokens` (`family`);
-- create index "token_expires_at" to table: "tokens"
CREATE INDEX `token_expires_at` ON `tokens` (`expires_at`);
-- the secrets are tokens now
INSERT INTO `tokens` (`credential_id`, `purpose`, `hash`, `created_at`) SELECT `id`, 'secret', `secret_hash`, `created_at` FROM `old_secrets`;
DROP TABLE `old_secrets`;
-- enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
