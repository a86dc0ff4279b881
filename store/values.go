package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// lifted are the values of a resource that stand outside of its document: those
// that an index must find or keep unique, what lists of members show, and the
// hashes of secrets, which are read by nobody but SecretHash.
type lifted struct {
	externalID, userName, displayName, display any // string, or nil where unassigned
	values                                     []valueRow
	secrets                                    map[string]string // by the path of the attribute
}

// A valueRow is a value that has a row of its own.
type valueRow struct {
	attr, text string // the path of the attribute; the text folded unless it is caseExact
	uniqueIn   string // within what it must be unique: see uniqueIn; "" where it need not
}

// The attributes of the contract whose values have rows: what people are searched by
// that has no column.
const (
	emailsValue = "emails.value"
	familyName  = "name.familyName"
	givenName   = "name.givenName"
)

// hasRows tells whether the values of an attribute have rows: an index finds them.
func hasRows(a *scim.Attribute) bool {
	if a.Registered() {
		return a.Unique()
	}
	return a.Path == emailsValue || a.Path == familyName || a.Path == givenName
}

// uniqueIn is what a unique value is unique within: the resource type, or all that
// the tenant has.
func uniqueIn(rt *scim.ResourceType, a *scim.Attribute) string {
	if a.Uniqueness == musterv1.Attribute_UNIQUENESS_GLOBAL {
		return "*"
	}
	return rt.Name
}

// lift reads them from r, and takes the secrets out of it.
func lift(rt *scim.ResourceType, r scim.Resource) lifted {
	l := lifted{externalID: textOrNull(r.GetExternalId()), secrets: rt.TakeSecrets(r)}
	switch r := r.(type) {
	case *musterv1.User:
		l.userName = textOrNull(scim.Fold(r.GetUserName()))
		l.displayName = textOrNull(scim.Fold(r.GetDisplayName()))
		if l.display = textOrNull(r.GetDisplayName()); l.display == nil {
			l.display = r.GetUserName()
		}
		for _, e := range r.GetEmails() {
			l.add(valueRow{attr: emailsValue, text: scim.Fold(e.GetValue())})
		}
		l.add(valueRow{attr: familyName, text: scim.Fold(r.GetName().GetFamilyName())})
		l.add(valueRow{attr: givenName, text: scim.Fold(r.GetName().GetGivenName())})
	case *musterv1.Group:
		l.displayName = textOrNull(scim.Fold(r.GetDisplayName()))
		l.display = textOrNull(r.GetDisplayName())
	}
	for _, u := range rt.UniqueValues(r) {
		l.add(valueRow{attr: u.Attr.Path, text: u.Text, uniqueIn: uniqueIn(rt, u.Attr)})
	}
	return l
}

// add adds a value, once.
func (l *lifted) add(v valueRow) {
	if v.text != "" && !slices.Contains(l.values, v) {
		l.values = append(l.values, v)
	}
}

// maxIndexed is the most bytes of a value that an index holds. PostgreSQL has room
// for 2704 in all, with a path and an id; and it is no more than a list is sorted
// by, so that one which is sorted by a column is in the order of its index.
const maxIndexed = scim.SortLength

// check fails with InvalidValue where a value is longer than its index can hold.
func (l *lifted) check() error {
	for path, value := range map[string]any{"userName": l.userName, "externalId": l.externalID, "displayName": l.displayName} {
		if s, ok := value.(string); ok && len(s) > maxIndexed {
			return tooLong(path)
		}
	}
	for _, v := range l.values {
		if len(v.text) > maxIndexed {
			return tooLong(v.attr)
		}
	}
	return nil
}

func tooLong(path string) error {
	return scim.Errorf(scim.InvalidValue, "%s is longer than %d bytes", path, maxIndexed).At(path)
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// insertValues writes the rows of values, which must be unique where they say so.
func (t Tenant) insertValues(ctx context.Context, tx tx, rt *scim.ResourceType, id string, values []valueRow) error {
	if err := t.checkUnique(ctx, tx, id, values); err != nil {
		return err
	}
	for few := range slices.Chunk(values, 4) { // few texts to prepare
		st := t.store.statement()
		st.add("INSERT INTO attribute_values (tenant_id, type, attr, value, unique_in, resource_id) VALUES ")
		for i, v := range few {
			if i > 0 {
				st.add(", ")
			}
			st.add("(", arg{t.id}, ", ", arg{rt.Name}, ", ", arg{v.attr}, ", ", arg{v.text}, ", ", arg{textOrNull(v.uniqueIn)}, ", ", arg{id}, ")")
		}
		if err := tx.write(ctx, st); err != nil {
			return err
		}
	}
	return nil
}

// checkUnique names the attribute of a value that another resource has. Where two
// write at once the unique index decides, which knows no names.
func (t Tenant) checkUnique(ctx context.Context, tx tx, id string, values []valueRow) error {
	for _, v := range values {
		if v.uniqueIn == "" {
			continue
		}
		taken := false
		st := t.store.statement()
		st.add("SELECT 1 FROM attribute_values WHERE tenant_id = ", arg{t.id}, " AND attr = ", arg{v.attr},
			" AND unique_in = ", arg{v.uniqueIn}, " AND value = ", arg{v.text}, " AND resource_id <> ", arg{id})
		err := tx.read(ctx, st, func(scan) error {
			taken = true
			return nil
		})
		if err != nil {
			return err
		}
		if taken {
			return scim.Errorf(scim.Uniqueness, "another resource has this %s", v.attr).At(v.attr)
		}
	}
	return nil
}

// updateValues writes the values of a resource anew if they changed.
func (t Tenant) updateValues(ctx context.Context, tx tx, rt *scim.ResourceType, id string, was, is []valueRow) error {
	if slices.Equal(was, is) {
		return nil
	}
	st := t.store.statement()
	st.add("DELETE FROM attribute_values WHERE resource_id = ", arg{id})
	if err := tx.write(ctx, st); err != nil {
		return err
	}
	return t.insertValues(ctx, tx, rt, id, is)
}

// writeSecrets keeps hashes in place of those that were there, and removes those
// that are now "".
func (t Tenant) writeSecrets(ctx context.Context, tx tx, id string, secrets map[string]string) error {
	for _, path := range slices.Sorted(maps.Keys(secrets)) {
		st := t.store.statement()
		if hash := secrets[path]; hash == "" {
			st.add("DELETE FROM secrets WHERE resource_id = ", arg{id}, " AND attr = ", arg{path})
		} else {
			st.add("INSERT INTO secrets (resource_id, attr, hash) VALUES (", arg{id}, ", ", arg{path}, ", ", arg{hash},
				") ON CONFLICT (resource_id, attr) DO UPDATE SET hash = excluded.hash")
		}
		if err := tx.write(ctx, st); err != nil {
			return err
		}
	}
	return nil
}

// SecretHash is the hash of a write-only value of a resource, or "" where there is
// none or no such resource.
func (t Tenant) SecretHash(ctx context.Context, id string, attr *scim.Attribute) (string, error) {
	return t.secretHash(ctx, t.store, id, attr.Path)
}

func (t Tenant) secretHash(ctx context.Context, from reader, id, path string) (hash string, err error) {
	st := t.store.statement()
	st.add("SELECT s.hash FROM secrets s JOIN resources r ON r.id = s.resource_id WHERE s.resource_id = ", arg{id},
		" AND s.attr = ", arg{path}, " AND r.tenant_id = ", arg{t.id})
	err = from.read(ctx, st, func(scan scan) error { return scan(&hash) })
	return hash, err
}

// checkReferences fails with InvalidValue where r names a resource that is not
// there, or is of another type. What it named before does not count: the other
// resource may have gone since. own are the ids and types of what is created
// together with r. before may be nil.
func (t Tenant) checkReferences(ctx context.Context, tx tx, rt *scim.ResourceType, own map[string]string, before, r scim.Resource) error {
	var old []scim.ResourceReference
	if before != nil {
		old = rt.NamedResources(before)
	}
	for _, ref := range rt.NamedResources(r) {
		if slices.Contains(ref.Types, own[ref.ID]) || slices.ContainsFunc(old, func(o scim.ResourceReference) bool { return o.Attr == ref.Attr && o.ID == ref.ID }) {
			continue
		}
		found := false
		if len(ref.ID) <= maxID {
			st := t.store.statement()
			st.add("SELECT type FROM resources WHERE id = ", arg{ref.ID}, " AND tenant_id = ", arg{t.id})
			err := tx.read(ctx, st, func(scan scan) error {
				var kind string
				err := scan(&kind)
				found = slices.Contains(ref.Types, kind)
				return err
			})
			if err != nil {
				return err
			}
		}
		if !found {
			return scim.Errorf(scim.InvalidValue, "%s names no %s that exists: %.80q", ref.Attr.Path, strings.Join(ref.Types, " or "), ref.ID).At(ref.Attr.Path)
		}
	}
	return nil
}
