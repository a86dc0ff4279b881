-- +goose Up
-- add column "measured" to table: "change_logs"
ALTER TABLE `change_logs` ADD COLUMN `measured` integer NULL;
-- add column "bytes" to table: "change_logs"
ALTER TABLE `change_logs` ADD COLUMN `bytes` integer NULL;
