// Package migrate holds what ent knows of the tables, and the migrations.
package migrate

import "embed"

// Migrations holds the migrations of both databases, in the folders sqlite and
// postgres, in goose's format. tools/migrations writes them; one that has been
// released is never edited.
//
//go:embed sqlite/*.sql postgres/*.sql
var Migrations embed.FS
