-- +goose Up
-- create "exchanges" table
CREATE TABLE `exchanges` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `occurred_at` integer NOT NULL, `took` integer NOT NULL, `server` text NOT NULL, `door` text NOT NULL, `kind` text NOT NULL, `method` text NOT NULL, `status` integer NOT NULL, `request_id` text NOT NULL, `preview` bool NOT NULL, `writes` bool NOT NULL, `left_out` integer NOT NULL, `credential` text NULL, `operator` text NULL, `address` text NULL, `client` text NULL, `path` text NULL, `code` text NULL, `reason` text NULL, `detail` text NULL, `cause` text NULL, `resource_type` text NULL, `resource_id` text NULL, `request` text NULL, `answer` text NULL);
-- create index "exchange_tenant_id_id" to table: "exchanges"
CREATE INDEX `exchange_tenant_id_id` ON `exchanges` (`tenant_id`, `id`);
-- create index "exchange_errors" to table: "exchanges"
CREATE INDEX `exchange_errors` ON `exchanges` (`tenant_id`, `id`) WHERE status >= 400;
-- create index "exchange_tenant_id_resource_id_id" to table: "exchanges"
CREATE INDEX `exchange_tenant_id_resource_id_id` ON `exchanges` (`tenant_id`, `resource_id`, `id`) WHERE resource_id IS NOT NULL;
-- create "group_pushes" table
CREATE TABLE `group_pushes` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `pushed_at` integer NOT NULL, `group_id` text NOT NULL, CONSTRAINT `group_pushes_resources_group` FOREIGN KEY (`group_id`) REFERENCES `resources` (`id`) ON DELETE CASCADE);
-- create index "grouppush_group_id" to table: "group_pushes"
CREATE UNIQUE INDEX `grouppush_group_id` ON `group_pushes` (`group_id`);
-- create "revoked_tokens" table
CREATE TABLE `revoked_tokens` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `credential` text NOT NULL, `hash` blob NOT NULL, `rotated` bool NOT NULL, `revoked_at` integer NOT NULL);
-- create index "revoked_tokens_hash_key" to table: "revoked_tokens"
CREATE UNIQUE INDEX `revoked_tokens_hash_key` ON `revoked_tokens` (`hash`);
-- create index "revokedtoken_tenant_id" to table: "revoked_tokens"
CREATE INDEX `revokedtoken_tenant_id` ON `revoked_tokens` (`tenant_id`);
-- create index "revokedtoken_revoked_at" to table: "revoked_tokens"
CREATE INDEX `revokedtoken_revoked_at` ON `revoked_tokens` (`revoked_at`);
-- create "traffic" table
CREATE TABLE `traffic` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `minute` integer NOT NULL, `credential` text NOT NULL, `door` text NOT NULL, `server` text NOT NULL, `requests` integer NOT NULL, `client_errors` integer NOT NULL, `server_errors` integer NOT NULL, `unauthenticated` integer NOT NULL, `rate_limited` integer NOT NULL, `latency0` integer NOT NULL, `latency1` integer NOT NULL, `latency2` integer NOT NULL, `latency3` integer NOT NULL, `latency4` integer NOT NULL, `latency5` integer NOT NULL, `latency6` integer NOT NULL, `latency7` integer NOT NULL, `latency8` integer NOT NULL, `latency9` integer NOT NULL, `latency10` integer NOT NULL, `latency11` integer NOT NULL, `latency12` integer NOT NULL, `latency13` integer NOT NULL, `latency14` integer NOT NULL);
-- create index "traffic_tenant_id_minute_credential_door_server" to table: "traffic"
CREATE UNIQUE INDEX `traffic_tenant_id_minute_credential_door_server` ON `traffic` (`tenant_id`, `minute`, `credential`, `door`, `server`);
-- create index "traffic_minute" to table: "traffic"
CREATE INDEX `traffic_minute` ON `traffic` (`minute`);
-- create "watchers" table
CREATE TABLE `watchers` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `stream` text NOT NULL, `server` text NOT NULL, `credential` text NOT NULL, `address` text NULL, `client` text NULL, `started_at` integer NOT NULL, `position` integer NOT NULL, `last_sent_at` integer NULL, `snapshot` bool NOT NULL, `updated_at` integer NOT NULL);
-- create index "watchers_stream_key" to table: "watchers"
CREATE UNIQUE INDEX `watchers_stream_key` ON `watchers` (`stream`);
-- create index "watcher_tenant_id_id" to table: "watchers"
CREATE INDEX `watcher_tenant_id_id` ON `watchers` (`tenant_id`, `id`);
