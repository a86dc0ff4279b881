package store

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// What the constraints of the tables refuse, and what is not there.
var (
	errTaken       = scim.Errorf(scim.Uniqueness, "another user has this userName").At("userName")
	errNotUnique   = scim.Errorf(scim.Uniqueness, "another resource has a value that must be unique")
	errGone        = scim.Errorf(scim.InvalidValue, "members names a resource that does not exist").At("members")
	errUnreachable = scim.Errorf(scim.Unavailable, "the database cannot be reached")
	errClosed      = scim.Errorf(scim.Unavailable, "the store is closed")
)

// maxID is the length of a UUID, which all ids of ours are.
const maxID = 36

func notFound(rt *scim.ResourceType, id string) error {
	return scim.Errorf(scim.NotFound, "there is no %s with the id %.80q", rt.Name, id)
}

// A row is one resource as the table holds it.
type row struct {
	id               string
	version          int64
	created, updated int64 // Unix time in milliseconds
	document         []byte
	linked           bool // whether it has links, if that was asked
}

// rowColumns, and askLinked after them, are the columns of r that make a row.
const rowColumns = "r.id, r.version, r.created_at, r.updated_at, r.document"

func (w *row) scan(scan scan) error {
	return scan(&w.id, &w.version, &w.created, &w.updated, &w.document, &w.linked)
}

// meta is what the row says of the resource.
func (w *row) meta(rt *scim.ResourceType) *musterv1.Meta {
	m := &musterv1.Meta{
		ResourceType: rt.Name,
		Created:      timestamppb.New(time.UnixMilli(w.created)),
		LastModified: timestamppb.New(time.UnixMilli(w.updated)),
		Version:      scim.FormatVersion(w.version),
	}
	if rt.Registered() { // the REST face knows no endpoint of it
		location := rt.Endpoint + "/" + w.id
		m.Location = &location
	}
	return m
}

// resource decodes the row; its links are elsewhere.
func (w *row) resource(rt *scim.ResourceType) (scim.Resource, error) {
	r, err := rt.DecodeDocument(w.document)
	if err != nil {
		return nil, err
	}
	rt.Stamp(r, w.id, w.meta(rt))
	return r, nil
}

// now is the time as the tables hold it.
func now() int64 { return time.Now().UnixMilli() }

// NewID makes the id of a new resource: a UUIDv7. Such ids grow with time, which
// keeps the end of each index warm and gives lists a stable order.
func NewID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}

// Create keeps a new resource, which rt.Prepare made fit, and returns it as Get
// would with the same links; r belongs to the store from then on.
//
// Errors: Uniqueness where another resource has a value that must be unique,
// InvalidValue where a link names a resource that is not there.
func (t Tenant) Create(ctx context.Context, rt *scim.ResourceType, r scim.Resource, links bool) (scim.Resource, error) {
	id, err := NewID()
	if err != nil {
		return nil, err
	}
	n := New{Type: rt, ID: id, Resource: r}
	if _, err := t.CreateTogether(ctx, []*New{&n}); err != nil {
		return nil, err
	}
	if links && len(n.members) > 0 {
		_, err = t.loadLinks(ctx, rt, []scim.Resource{r})
	}
	return r, err
}

// New is a resource that is to be created. Its id is known beforehand, so that
// others can name it.
type New struct {
	Type     *scim.ResourceType
	ID       string        // of NewID
	Resource scim.Resource // which Type.Prepare made fit
	// Method is what the audit log calls the creation; empty: that of the act.
	Method string

	row     row
	lifted  lifted
	members []string
	// attributes are what its event has; nil where it is not recorded.
	attributes []byte
}

// CreateTogether is Create for resources that may name each other in their links:
// all of them are created, or none. Where it fails, failed is the index of the one
// that the error is about.
func (t Tenant) CreateTogether(ctx context.Context, all []*New) (failed int, err error) {
	own := make(map[string]string, len(all)) // type by id
	for i, n := range all {
		if err := n.prepare(); err != nil {
			return i, err
		}
		if actOf(ctx) != nil {
			n.attributes = attributesDiff(n.Type, nothing(n.Type), n.Resource, n.lifted.secrets)
		}
		own[n.ID] = n.Type.Name
	}
	err = t.write(ctx, func(ctx context.Context, tx tx) error {
		for i, n := range all {
			failed = i
			if err := t.checkReferences(ctx, tx, n.Type, own, nil, n.Resource); err != nil {
				return err
			}
			if _, err := t.newLinks(ctx, tx, n.ID, without(n.members, own)); err != nil {
				return err
			}
		}
		failed, err = t.insertAll(ctx, tx, all)
		return err
	})
	if err != nil {
		return failed, err
	}
	for _, n := range all {
		n.Type.Stamp(n.Resource, n.ID, n.row.meta(n.Type))
	}
	return 0, nil
}

// insertAll writes new resources, each before what names it, and counts them.
func (t Tenant) insertAll(ctx context.Context, tx tx, all []*New) (failed int, err error) {
	for i, n := range all {
		if err := t.insert(ctx, tx, n.Type, &n.row, &n.lifted); err != nil {
			return i, err
		}
		if len(all) > 1 { // or else the error of this one might come only at the commit
			if err := t.settle(ctx, tx); err != nil {
				return i, err
			}
		}
	}
	for i, n := range all {
		if err := t.insertLinks(ctx, tx, n); err != nil {
			return i, err
		}
	}
	if err := t.confirmCatalog(ctx, tx); err != nil {
		return 0, err
	}
	return 0, t.keepCounts(ctx, tx, all)
}

// insertLinks writes the links of a new resource, once all that they name are
// there, and its row of the change log.
func (t Tenant) insertLinks(ctx context.Context, tx tx, n *New) error {
	d := newDiff()
	if err := t.addLinks(ctx, tx, n.ID, n.members, d); err != nil {
		return err
	}
	if err := t.record(ctx, tx, n.Type, &n.row, created, d.json(&n.row)); err != nil || actOf(ctx) == nil {
		return err
	}
	return t.store.audit(ctx, tx, n.Method, n.Type.Name, n.ID, eventChanges(n.attributes, d.members, nil))
}

// prepare takes the resource apart into what the tables hold.
func (n *New) prepare() error {
	n.members = n.Type.TakeLinks(n.Resource)
	n.lifted = lift(n.Type, n.Resource)
	n.row = row{id: n.ID, version: 1, created: now(), document: n.Type.AppendDocument(nil, n.Resource)}
	n.row.updated = n.row.created
	return n.lifted.check()
}

// without is the ids that are not among the known.
func without(ids []string, known map[string]string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return known[id] != "" })
}

// settle waits for the statements so far: what is wrong with them is known then.
func (t Tenant) settle(ctx context.Context, tx tx) error {
	return tx.read(ctx, t.store.statement().add("SELECT 1"), func(scan) error { return nil })
}

// insert writes the row of a new resource.
func (t Tenant) insert(ctx context.Context, tx tx, rt *scim.ResourceType, w *row, l *lifted) error {
	st := t.store.statement()
	st.add("INSERT INTO resources (id, tenant_id, type, version, created_at, updated_at,"+
		" external_id, user_name, display_name, display, document) VALUES (",
		arg{w.id}, ", ", arg{t.id}, ", ", arg{rt.Name}, ", ", arg{w.version}, ", ", arg{w.created}, ", ", arg{w.updated}, ", ",
		arg{l.externalID}, ", ", arg{l.userName}, ", ", arg{l.displayName}, ", ", arg{l.display}, ", ",
		arg{string(w.document)}, ")")
	if err := tx.write(ctx, st); err != nil {
		return err
	}
	if err := t.insertValues(ctx, tx, rt, w.id, l.values); err != nil {
		return err
	}
	return t.writeSecrets(ctx, tx, w.id, l.secrets)
}

// Get reads one resource. links tells whether to read its links too: the members
// of a group, or the groups of a user. It fails with NotFound.
func (t Tenant) Get(ctx context.Context, rt *scim.ResourceType, id string, links bool) (scim.Resource, error) {
	w, err := t.find(ctx, t.store, rt, id, links, false)
	if err != nil {
		return nil, err
	}
	r, err := w.resource(rt)
	if err != nil || !w.linked {
		return r, err
	}
	_, err = t.loadLinks(ctx, rt, []scim.Resource{r})
	return r, err
}

// askLinked is the last column of a row: whether the resource has any links, if
// they are wanted. To know that there are none is cheaper than to look for them.
// It is not an EXISTS: for more than a few resources, PostgreSQL would read all
// memberships at once.
func askLinked(rt *scim.ResourceType, wanted bool) string {
	switch {
	case !wanted:
		return "FALSE"
	case rt.Name == scim.Group.Name:
		return "(SELECT 1 FROM memberships m WHERE m.group_id = r.id LIMIT 1) IS NOT NULL"
	default:
		return "(SELECT 1 FROM memberships m WHERE m.member_id = r.id LIMIT 1) IS NOT NULL"
	}
}

// find reads the row of one resource, and locks it where a database needs that.
func (t Tenant) find(ctx context.Context, from reader, rt *scim.ResourceType, id string, links, lock bool) (row, error) {
	if len(id) > maxID || strings.IndexByte(id, 0) >= 0 || !utf8.ValidString(id) {
		return row{}, notFound(rt, id) // nothing that a database needs to see
	}
	st := t.store.statement()
	t.addFind(st, rt, id, links, lock)
	var w row
	found := false
	err := from.read(context.WithoutCancel(ctx), st, func(scan scan) error {
		found = true
		return w.scan(scan)
	})
	if err == nil && !found {
		err = notFound(rt, id)
	}
	return w, err
}

// addFind is the query of one resource. The plus before the tenant keeps the
// databases off the indexes that begin with it: to a planner that has not heard
// of the tenant they look as good as the primary key.
func (t Tenant) addFind(st *statement, rt *scim.ResourceType, id string, links, lock bool) {
	st.add("SELECT "+rowColumns+", "+askLinked(rt, links)+" FROM resources r WHERE r.id = ", arg{id},
		" AND +r.tenant_id = ", arg{t.id}, " AND r.type = ", arg{rt.Name})
	if lock && st.dialect == postgres {
		st.add(" FOR NO KEY UPDATE")
	}
}

// addFrom is the part of a query that chooses the resources.
func (t Tenant) addFrom(st *statement, rt *scim.ResourceType, f scim.Filter) {
	st.add(" FROM resources r WHERE ")
	st.addScope("r", t.id, rt)
	if f != nil {
		st.add(" AND ")
		st.addFilter(t.id, rt, f)
	}
}
