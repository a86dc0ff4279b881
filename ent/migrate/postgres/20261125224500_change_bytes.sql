-- +goose Up
-- modify "change_logs" table
ALTER TABLE "change_logs" ADD COLUMN "measured" bigint NULL, ADD COLUMN "bytes" bigint NULL;
