-- +goose Up
-- create "login_links" table
CREATE TABLE `login_links` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `operator` text NOT NULL, `role` text NOT NULL, `hash` blob NOT NULL, `created_at` integer NOT NULL, `expires_at` integer NOT NULL, `tenant_id` integer NOT NULL, CONSTRAINT `login_links_tenants_login_links` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE NO ACTION);
-- create index "login_links_hash_key" to table: "login_links"
CREATE UNIQUE INDEX `login_links_hash_key` ON `login_links` (`hash`);
-- create index "loginlink_tenant_id" to table: "login_links"
CREATE INDEX `loginlink_tenant_id` ON `login_links` (`tenant_id`);
-- create index "loginlink_expires_at" to table: "login_links"
CREATE INDEX `loginlink_expires_at` ON `login_links` (`expires_at`);
-- create "sessions" table
CREATE TABLE `sessions` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `operator` text NOT NULL, `display_name` text NOT NULL, `role` text NOT NULL, `hash` blob NOT NULL, `previous_hash` blob NULL, `previous_until` integer NULL, `created_at` integer NOT NULL, `secret_at` integer NOT NULL, `active_at` integer NOT NULL, `expires_at` integer NOT NULL, `address` text NULL, `client` text NULL, `provider_id` integer NULL, `tenant_id` integer NOT NULL, CONSTRAINT `sessions_sign_in_providers_sessions` FOREIGN KEY (`provider_id`) REFERENCES `sign_in_providers` (`id`) ON DELETE CASCADE, CONSTRAINT `sessions_tenants_sessions` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE NO ACTION);
-- create index "sessions_hash_key" to table: "sessions"
CREATE UNIQUE INDEX `sessions_hash_key` ON `sessions` (`hash`);
-- create index "sessions_previous_hash_key" to table: "sessions"
CREATE UNIQUE INDEX `sessions_previous_hash_key` ON `sessions` (`previous_hash`);
-- create index "session_tenant_id" to table: "sessions"
CREATE INDEX `session_tenant_id` ON `sessions` (`tenant_id`);
-- create index "session_provider_id" to table: "sessions"
CREATE INDEX `session_provider_id` ON `sessions` (`provider_id`);
-- create index "session_expires_at" to table: "sessions"
CREATE INDEX `session_expires_at` ON `sessions` (`expires_at`);
-- create index "session_active_at" to table: "sessions"
CREATE INDEX `session_active_at` ON `sessions` (`active_at`);
-- create "sign_in_providers" table
CREATE TABLE `sign_in_providers` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `name` text NOT NULL, `kind` text NOT NULL, `settings` text NOT NULL, `created_at` integer NOT NULL, `tenant_id` integer NOT NULL, CONSTRAINT `sign_in_providers_tenants_sign_in_providers` FOREIGN KEY (`tenant_id`) REFERENCES `tenants` (`id`) ON DELETE NO ACTION);
-- create index "signinprovider_tenant_id_name" to table: "sign_in_providers"
CREATE UNIQUE INDEX `signinprovider_tenant_id_name` ON `sign_in_providers` (`tenant_id`, `name`);
-- create "spent_assertions" table
CREATE TABLE `spent_assertions` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `hash` blob NOT NULL, `expires_at` integer NOT NULL);
-- create index "spent_assertions_hash_key" to table: "spent_assertions"
CREATE UNIQUE INDEX `spent_assertions_hash_key` ON `spent_assertions` (`hash`);
-- create index "spentassertion_expires_at" to table: "spent_assertions"
CREATE INDEX `spentassertion_expires_at` ON `spent_assertions` (`expires_at`);

