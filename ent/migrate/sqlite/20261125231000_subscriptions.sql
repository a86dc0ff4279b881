-- +goose Up
-- create "dead_letters" table
CREATE TABLE `dead_letters` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `position` integer NOT NULL, `resource_type` text NOT NULL, `resource_id` text NOT NULL, `occurred_at` integer NOT NULL, `event` text NOT NULL, `reason` text NOT NULL, `attempts` integer NOT NULL, `died_at` integer NOT NULL, `retrying` bool NOT NULL, `subscription_id` integer NOT NULL, CONSTRAINT `dead_letters_subscriptions_dead_letters` FOREIGN KEY (`subscription_id`) REFERENCES `subscriptions` (`id`) ON DELETE CASCADE);
-- create index "deadletter_subscription_id_position" to table: "dead_letters"
CREATE UNIQUE INDEX `deadletter_subscription_id_position` ON `dead_letters` (`subscription_id`, `position`);
-- create "subscriptions" table
CREATE TABLE `subscriptions` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `name` text NOT NULL, `handle` text NOT NULL, `push` bool NOT NULL, `settings` text NOT NULL, `secret` text NULL, `paused` bool NOT NULL, `created_at` integer NOT NULL, `revision` integer NOT NULL, `position` integer NOT NULL, `progress` text NULL, `failure` text NULL, `last_success_at` integer NULL, `last_error_at` integer NULL, `last_error` text NULL, `last_poll_at` integer NULL, `lease_owner` text NULL, `lease_until` integer NULL);
-- create index "subscriptions_handle_key" to table: "subscriptions"
CREATE UNIQUE INDEX `subscriptions_handle_key` ON `subscriptions` (`handle`);
-- create index "subscription_tenant_id_name" to table: "subscriptions"
CREATE UNIQUE INDEX `subscription_tenant_id_name` ON `subscriptions` (`tenant_id`, `name`);
