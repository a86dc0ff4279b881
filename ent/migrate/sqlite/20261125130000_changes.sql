-- +goose Up
-- add column "sequence" to table: "changes"
ALTER TABLE `changes` ADD COLUMN `sequence` integer NULL;
-- create "change_logs" table
CREATE TABLE `change_logs` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `tenant_id` integer NOT NULL, `assigned` integer NOT NULL, `removed` integer NOT NULL);
-- create index "change_logs_tenant_id_key" to table: "change_logs"
CREATE UNIQUE INDEX `change_logs_tenant_id_key` ON `change_logs` (`tenant_id`);
-- Positions are in the order of commits: readers of one tenant walk along this.
CREATE INDEX `change_tenant_id_position` ON `changes` (`tenant_id`, `position`);
