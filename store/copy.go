package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muster-scim/muster/scim"
)

// A preview works on a copy of its tenant: a database of its own, to which the same
// code writes and from which it reads. It is a SQLite file that has no name any
// more, so that the system removes it when the program ends, however it ends.

// Limits of a copy.
const (
	// MaxCopied is the most resources of a tenant that can be copied.
	MaxCopied = 1_000_000
	// maxCopyPages is how large a copy may grow, in pages of 4096 bytes: 4 GiB.
	maxCopyPages = 1 << 20
	// copyReaders is how many connections read a copy at once.
	copyReaders = 2
)

// A Copy is a private copy of a tenant.
type Copy struct {
	// Tenant is the handle on it: a tenant like any other, with the same id.
	Tenant Tenant
	// Resources is how many the tenant had when it was copied.
	Resources int

	live Tenant
}

// Close throws the copy away. It waits for the reads and writes under way.
func (c *Copy) Close() error { return c.Tenant.store.Close() }

// Copy copies the resources of the tenant and what is registered for it, as they
// are at one moment, into a database of its own. It holds up no write. The folder
// is where the system keeps the data of the copy; it must exist.
//
// Errors: Forbidden for a tenant with more than MaxCopied resources, Unavailable
// where the disk is full.
func (t Tenant) Copy(ctx context.Context, folder string) (*Copy, error) {
	s, err := openNameless(ctx, folder)
	if err != nil {
		return nil, err
	}
	s.catalogs.contract = t.store.catalogs.contract
	c := &Copy{Tenant: t, live: t}
	c.Tenant.store, c.Tenant.preview = s, false
	if err := c.fill(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return c, nil
}

// Fits tells whether the copy answers as the tenant would that t is a handle on: its
// catalog, its profile and what a DELETE does are those of the copy.
func (c *Copy) Fits(t Tenant) bool {
	return c.Tenant.version == t.version && c.Tenant.profile == t.profile && c.Tenant.settings.DisableOnDelete == t.settings.DisableOnDelete
}

// IsPreview tells whether a credential is there and is one for previews, has not
// expired, and belongs to a tenant that is served.
func (s *Store) IsPreview(ctx context.Context, id int64) (is bool, err error) {
	st := s.statement()
	st.add("SELECT 1 FROM credentials c JOIN tenants t ON t.id = c.tenant_id WHERE c.id = ", arg{id}, " AND c.mode = ", arg{previewMode},
		" AND (c.expires_at IS NULL OR c.expires_at > ", arg{now()}, ") AND t.state IS NULL")
	err = s.read(ctx, st, func(scan) error {
		is = true
		return nil
	})
	return is, err
}

// copyName is what the files of copies are called while they have a name.
const copyName = "muster-preview-*.db"

// openNameless makes a database whose file has no name and which survives nothing.
// The journal is in memory, since a file would need a name. All connections are
// open before the name goes, and none is opened later: credentials and migrations,
// which would open one, are closed to it.
func openNameless(ctx context.Context, folder string) (*Store, error) {
	file, err := os.CreateTemp(folder, copyName) // of mode 0600
	if err != nil {
		return nil, fmt.Errorf("the file of a preview: %w", err)
	}
	path := file.Name()
	defer os.Remove(path)
	if err := file.Close(); err != nil {
		return nil, err
	}
	s, err := openSQLiteFile(ctx, path, copyReaders,
		"busy_timeout(30000)", "journal_mode(MEMORY)", "synchronous(OFF)", "cache_size(-2000)", fmt.Sprintf("max_page_count(%d)", maxCopyPages))
	if err != nil {
		return nil, err
	}
	if err = s.db.PingContext(ctx); err == nil {
		_ = os.Remove(path) // where the system does not allow it yet, the second attempt is at the end
		_, err = s.Migrate(ctx)
	}
	if err = errors.Join(err, s.db.Close()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// RemoveCopies removes what a program that was killed while it opened a copy has
// left in the folder: files without content.
func RemoveCopies(folder string) error {
	paths, err := filepath.Glob(filepath.Join(folder, copyName))
	for _, path := range paths {
		info, statErr := os.Stat(path)
		if statErr == nil && time.Since(info.ModTime()) > time.Minute { // not one that another program is opening
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// A copiedTable is a table that a copy has rows of.
type copiedTable struct {
	name           string
	texts, numbers []string // its columns
	// rows are those of the tenant, as x, up to its id.
	rows string
}

// copiedTables are those tables, each before the ones that refer to it. The other
// tables are empty in a copy, and so is the change log.
var copiedTables = []copiedTable{
	{"tenants", []string{"name", "profile", "settings"}, []string{"id", "catalog_version", "created_at"}, "tenants x WHERE x.id = "},
	{"registrations", []string{"kind", "name", "document"}, []string{"tenant_id", "updated_at"}, "registrations x WHERE x.tenant_id = 0 OR x.tenant_id = "},
	{
		"resources",
		[]string{"id", "type", "external_id", "user_name", "display_name", "display", "document"},
		[]string{"tenant_id", "version", "created_at", "updated_at"},
		"resources x WHERE x.tenant_id = ",
	},
	{
		"resource_counts",
		[]string{"type"},
		[]string{"tenant_id", "part", "resources"},
		"(SELECT tenant_id, type, 0 AS part, CAST(sum(resources) AS bigint) AS resources FROM resource_counts GROUP BY tenant_id, type) x WHERE x.tenant_id = ",
	},
	{"attribute_values", []string{"type", "attr", "value", "unique_in", "resource_id"}, []string{"tenant_id"}, "attribute_values x WHERE x.tenant_id = "},
	{"secrets", []string{"resource_id", "attr", "hash"}, nil, "secrets x JOIN resources r ON r.id = x.resource_id WHERE r.tenant_id = "},
	{
		"memberships",
		[]string{"group_id", "member_id", "member_type"},
		[]string{"tenant_id"},
		"memberships x JOIN resources r ON r.id = x.group_id WHERE r.tenant_id = ",
	},
}

// fill copies what the tenant has.
func (c *Copy) fill(ctx context.Context) error {
	err := c.live.store.snapshot(ctx, func(live reader) error {
		if err := c.measure(ctx, live); err != nil {
			return err
		}
		return c.Tenant.store.write(ctx, func(ctx context.Context, tx tx) error {
			for _, table := range copiedTables {
				if err := c.copyTable(ctx, live, tx, &table); err != nil {
					return fmt.Errorf("copying %s: %w", table.name, err)
				}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return c.reread(ctx)
}

// measure finds how many resources there are, and whether that is too many.
func (c *Copy) measure(ctx context.Context, live reader) error {
	st := c.live.store.statement()
	st.add("SELECT CAST(coalesce(sum(resources), 0) AS bigint) FROM resource_counts WHERE tenant_id = ", arg{c.live.id})
	err := live.read(ctx, st, func(scan scan) error { return scan(&c.Resources) })
	if err == nil && c.Resources > MaxCopied {
		err = scim.Errorf(scim.Forbidden, "a preview works on a copy of the tenant, which has %d resources; at most %d can be copied", c.Resources, MaxCopied)
	}
	return err
}

// reread makes the handle that of the tenant as it was copied.
func (c *Copy) reread(ctx context.Context) error {
	t := &c.Tenant
	var profile string
	var settings *string
	st := t.store.statement()
	st.add("SELECT catalog_version, profile, settings FROM tenants WHERE id = ", arg{t.id})
	err := t.store.read(ctx, st, func(scan scan) error { return scan(&t.version, &profile, &settings) })
	if err != nil {
		return err
	}
	t.profile, t.settings = Profile(profile), TenantSettings{}
	if settings != nil {
		if err := json.Unmarshal([]byte(*settings), &t.settings); err != nil {
			return err
		}
	}
	t.catalog, err = t.store.catalogs.of(ctx, t.store, t.id, t.version, t.profile)
	return err
}

// Rows are written many at once, but few enough that they fill no memory.
const (
	copyRows  = 50
	copyBytes = 1 << 20
)

// copyTable copies the rows of one table.
func (c *Copy) copyTable(ctx context.Context, live reader, tx tx, table *copiedTable) error {
	w := copyWriter{tx: tx, table: table}
	st := &statement{dialect: c.live.store.dialect}
	st.add("SELECT "+table.columns("x.")+" FROM "+table.rows, arg{c.live.id})
	texts, numbers := make([]*string, len(table.texts)), make([]*int64, len(table.numbers))
	var dest []any
	for i := range texts {
		dest = append(dest, &texts[i])
	}
	for i := range numbers {
		dest = append(dest, &numbers[i])
	}
	err := live.read(ctx, st, func(scan scan) error {
		if err := scan(dest...); err != nil {
			return err
		}
		return w.add(ctx, texts, numbers)
	})
	if err != nil {
		return err
	}
	return w.flush(ctx)
}

// columns are the texts and then the numbers, each after a prefix.
func (table *copiedTable) columns(prefix string) string {
	return prefix + strings.Join(slices.Concat(table.texts, table.numbers), ", "+prefix)
}

// A copyWriter writes the rows of one table.
type copyWriter struct {
	tx     tx
	table  *copiedTable
	values []any // of the rows that are still to be written
	rows   int
	bytes  int
}

// add takes a row.
func (w *copyWriter) add(ctx context.Context, texts []*string, numbers []*int64) error {
	for _, text := range texts {
		if text == nil {
			w.values = append(w.values, nil)
			continue
		}
		w.values = append(w.values, *text)
		w.bytes += len(*text)
	}
	for _, number := range numbers {
		if number == nil {
			w.values = append(w.values, nil)
			continue
		}
		w.values = append(w.values, *number)
	}
	if w.rows++; w.rows < copyRows && w.bytes < copyBytes {
		return nil
	}
	return w.flush(ctx)
}

// flush writes the rows: together, or one by one where they are not the usual
// number, so that few texts are prepared.
func (w *copyWriter) flush(ctx context.Context) error {
	step := copyRows
	if w.rows < copyRows {
		step = 1
	}
	width := len(w.table.texts) + len(w.table.numbers)
	for values := range slices.Chunk(w.values, step*width) {
		if err := w.tx.write(ctx, newStatement(w.table.insert(step), values)); err != nil {
			return err
		}
	}
	w.values, w.rows, w.bytes = w.values[:0], 0, 0
	return nil
}

// insert is the statement that inserts so many rows.
func (table *copiedTable) insert(rows int) string {
	row := "(" + strings.Repeat("?, ", len(table.texts)+len(table.numbers)-1) + "?)"
	return "INSERT INTO " + table.name + " (" + table.columns("") + ") VALUES " + strings.Repeat(row+", ", rows-1) + row
}

// newStatement is a statement for SQLite that is complete.
func newStatement(text string, args []any) *statement {
	st := &statement{dialect: sqlite, args: args}
	return st.add(text)
}
