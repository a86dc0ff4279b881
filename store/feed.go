package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// The change log is read in the order of its sequence, which is an order of commits:
// a reader that has seen a number will never find a smaller one that is new. On
// SQLite the positions of the rows are such numbers, since one writer makes them. On
// PostgreSQL the position is given out before the commit, and a reader would pass over
// what commits late; so rows get their sequence afterwards, from whoever wants to
// read: see SequenceChanges. Of two changes of one resource, or of which one could see the
// other, the later has the greater position, because it was inserted after the first
// was committed or locked; so it has the greater sequence too.

// maxSequenced is how many rows get their sequence in one transaction.
const maxSequenced = 5000

// SequenceChanges makes what is committed by now readable. Servers take turns, by the
// lock on the row that holds the last number.
func (s *Store) SequenceChanges(ctx context.Context) error {
	if s.dialect == sqlite {
		return nil
	}
	for waiting := true; waiting; {
		found := s.statement()
		found.add("SELECT 1 FROM changes WHERE sequence IS NULL LIMIT 1")
		waiting = false
		err := s.read(ctx, found, func(scan) error { waiting = true; return nil })
		if err != nil || !waiting {
			return err
		}
		if err := s.write(ctx, s.sequenceSome); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) sequenceSome(ctx context.Context, tx tx) error {
	head := s.statement()
	head.add("INSERT INTO change_logs (tenant_id, assigned, removed) VALUES (0, 0, 0) ON CONFLICT (tenant_id) DO NOTHING")
	if err := tx.write(ctx, head); err != nil {
		return err
	}
	var last int64
	lock := s.statement()
	lock.add("SELECT assigned FROM change_logs WHERE tenant_id = 0 FOR UPDATE")
	if err := tx.read(ctx, lock, func(scan scan) error { return scan(&last) }); err != nil {
		return err
	}
	st := s.statement()
	st.add("WITH fresh AS (SELECT position, row_number() OVER (ORDER BY position) AS n FROM"+
		" (SELECT position FROM changes WHERE sequence IS NULL ORDER BY position LIMIT ", arg{maxSequenced}, ") AS part),"+
		" numbered AS (UPDATE changes c SET sequence = ", arg{last}, " + fresh.n FROM fresh WHERE c.position = fresh.position RETURNING 1)"+
		" UPDATE change_logs SET assigned = assigned + (SELECT count(*) FROM numbered) WHERE tenant_id = 0")
	return tx.write(ctx, st)
}

// sequenceColumn is the column that the log is read in the order of.
func (s *Store) sequenceColumn() string {
	if s.dialect == sqlite {
		return "position"
	}
	return "sequence"
}

// Head is the position of the last change of any tenant that can be read.
func (s *Store) Head(ctx context.Context) (head int64, err error) {
	st := s.statement()
	if s.dialect == sqlite {
		st.add("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")
	} else {
		st.add("SELECT assigned FROM change_logs WHERE tenant_id = 0")
	}
	err = s.read(ctx, st, func(scan scan) error { return scan(&head) })
	return head, err
}

// ChangeFilter is which changes a reader wants.
type ChangeFilter struct {
	// Types are the names of resource types.
	Types []string `json:"types,omitempty"`
	// Attributes are paths; none: any.
	Attributes []string `json:"attributes,omitempty"`
	// Groups are ids; none: any.
	Groups []string `json:"groups,omitempty"`
}

// A ChangePage is some changes in their order.
type ChangePage struct {
	Changes []*musterv1.Change
	// Position is up to where the page tells everything.
	Position int64
	// More: there are more behind it already.
	More bool
	// Head is the position of the last change of any tenant.
	Head int64
}

// Changes reads at most limit changes after a position, or 0 for the first that is
// kept. It fails with PositionGone where changes after the position are no longer
// kept, and where there never was such a position.
func (t Tenant) Changes(ctx context.Context, after int64, f ChangeFilter, limit int) (ChangePage, error) {
	head, err := t.store.Head(ctx)
	if err != nil {
		return ChangePage{}, err
	}
	if after > head {
		return ChangePage{}, scim.InField("after_position", scim.Errorf(scim.PositionGone, "the change log ends at position %d; if the database was restored, begin anew with a snapshot", head))
	}
	p := ChangePage{Position: head, Head: head}
	column := t.store.sequenceColumn()
	st := t.store.statement()
	st.add("SELECT "+column+", resource_type, resource_id, operation, version, occurred_at, coalesce(CAST(detail AS text), '')"+
		" FROM changes WHERE tenant_id = ", arg{t.id}, " AND "+column+" > ", arg{after}, " AND "+column+" <= ", arg{head},
		" AND resource_type", in(f.Types), " ORDER BY "+column+" LIMIT ", arg{limit})
	n := 0
	err = t.store.read(ctx, st, func(scan scan) error {
		n++
		c, err := t.change(scan)
		if err != nil {
			return err
		}
		if p.More = n == limit; p.More {
			p.Position = c.GetPosition()
		}
		if f.wants(c) {
			p.Changes = append(p.Changes, c)
		}
		return nil
	})
	if err != nil || after == 0 {
		return p, err
	}
	// What was removed before the rows were read is missing among them.
	removed, err := t.removedChanges(ctx)
	if err == nil && after < removed {
		return ChangePage{}, scim.InField("after_position", scim.Errorf(scim.PositionGone, "changes up to position %d are no longer kept; begin anew with a snapshot", removed))
	}
	return p, err
}

// removedChanges is the position up to which changes of the tenant are gone.
func (t Tenant) removedChanges(ctx context.Context) (removed int64, err error) {
	st := t.store.statement()
	st.add("SELECT removed FROM change_logs WHERE tenant_id = ", arg{t.id})
	err = t.store.read(ctx, st, func(scan scan) error { return scan(&removed) })
	return removed, err
}

// operations are the words of the log.
var operations = map[string]musterv1.Change_Operation{
	string(created): musterv1.Change_OPERATION_CREATE,
	string(updated): musterv1.Change_OPERATION_UPDATE,
	string(deleted): musterv1.Change_OPERATION_DELETE,
}

// change reads a row of the log.
func (t Tenant) change(scan scan) (*musterv1.Change, error) {
	c := &musterv1.Change{}
	var operation, text string
	var version, occurred int64
	if err := scan(&c.Position, &c.ResourceType, &c.ResourceId, &operation, &version, &occurred, &text); err != nil {
		return nil, err
	}
	c.Operation, c.Version, c.Time = operations[operation], scim.FormatVersion(version), timestamppb.New(time.UnixMilli(occurred))
	if text == "" {
		return c, nil
	}
	var d struct {
		Attributes map[string]struct {
			Before json.RawMessage `json:"before"`
			After  json.RawMessage `json:"after"`
		} `json:"attributes"`
		Members  map[string][]string `json:"members"`
		Document json.RawMessage     `json:"document"`
		Created  int64               `json:"created"`
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return nil, err
	}
	c.AddedMembers, c.RemovedMembers = d.Members["added"], d.Members["removed"]
	for path, a := range d.Attributes {
		if c.Attributes == nil {
			c.Attributes = make(map[string]*musterv1.AttributeChange, len(d.Attributes))
		}
		before, err := jsonValue(a.Before)
		if err != nil {
			return nil, err
		}
		after, err := jsonValue(a.After)
		if err != nil {
			return nil, err
		}
		c.Attributes[path] = &musterv1.AttributeChange{Before: before, After: after}
	}
	if d.Document == nil {
		return c, nil
	}
	return c, t.setChanged(c, row{id: c.GetResourceId(), version: version, created: d.Created, updated: occurred, document: d.Document})
}

// setChanged sets the resource of a change. One of a type that is no longer
// registered is left out.
func (t Tenant) setChanged(c *musterv1.Change, w row) error {
	rt := t.catalog.ResourceType(c.GetResourceType())
	if rt == nil {
		return nil
	}
	r, err := w.resource(rt)
	if err != nil {
		return err
	}
	switch r := r.(type) {
	case *musterv1.User:
		c.Resource = &musterv1.Change_User{User: r}
	case *musterv1.Group:
		c.Resource = &musterv1.Change_Group{Group: r}
	case *musterv1.Resource:
		c.Resource = &musterv1.Change_Registered{Registered: r}
	}
	return nil
}

func jsonValue(text json.RawMessage) (*structpb.Value, error) {
	if text == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	v := &structpb.Value{}
	return v, protojson.Unmarshal(text, v)
}

// wants tells whether a change of a type that it wants meets the rest of the filter.
func (f *ChangeFilter) wants(c *musterv1.Change) bool {
	if len(f.Groups) > 0 && (c.GetResourceType() != scim.Group.Name || !slices.Contains(f.Groups, c.GetResourceId())) {
		return false
	}
	if len(f.Attributes) == 0 || c.GetOperation() != musterv1.Change_OPERATION_UPDATE {
		return true
	}
	return slices.ContainsFunc(f.Attributes, func(path string) bool {
		_, changed := c.GetAttributes()[path]
		return changed || path == "members" && len(c.GetAddedMembers())+len(c.GetRemovedMembers()) > 0
	})
}

// MembersOfMany reads the members of some groups, as pairs of a group and a member in
// their order. whole is false where there are limit or more: then some are missing.
// Nothing is sorted for those that are too many.
func (t Tenant) MembersOfMany(ctx context.Context, groups []string, limit int) (pairs [][2]string, whole bool, err error) {
	st := t.store.statement()
	st.add("SELECT group_id, member_id FROM memberships WHERE tenant_id = ", arg{t.id}, " AND group_id", in(groups), " LIMIT ", arg{limit})
	err = t.store.read(ctx, st, func(scan scan) error {
		var pair [2]string
		err := scan(&pair[0], &pair[1])
		pairs = append(pairs, pair)
		return err
	})
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return pairs, len(pairs) < limit, err
}

// MemberIDs reads the ids of members of one group, at most limit, in their order, behind
// one of them.
func (t Tenant) MemberIDs(ctx context.Context, group, behind string, limit int) (ids []string, err error) {
	st := t.store.statement()
	st.add("SELECT member_id FROM memberships WHERE tenant_id = ", arg{t.id}, " AND group_id = ", arg{group}, " AND member_id > ", arg{behind},
		" ORDER BY member_id LIMIT ", arg{limit})
	err = t.store.read(ctx, st, func(scan scan) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}
