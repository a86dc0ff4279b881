package store

import (
	"bytes"
	"context"

	"github.com/muster-scim/muster/scim"
)

// operation is what a row of the change log says was done.
type operation string

const (
	created operation = "create"
	updated operation = "update"
	deleted operation = "delete"
)

// Update changes one resource and returns it as Get would with the same links. A
// change that leaves everything as it is writes nothing: version and
// lastModified stay.
//
// Errors: NotFound; VersionMismatch where match does not allow the version;
// Uniqueness; InvalidValue where a link names a resource that is not there; and
// those of c.Apply.
func (t Tenant) Update(ctx context.Context, rt *scim.ResourceType, id string, match scim.Match, c scim.Change, links bool) (scim.Resource, error) {
	var r scim.Resource
	err := t.write(ctx, func(ctx context.Context, tx tx) error {
		w, err := t.lock(ctx, tx, rt, id, match)
		if err != nil {
			return err
		}
		r, err = t.apply(ctx, tx, rt, &w, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	if links {
		_, err = t.loadLinks(ctx, rt, []scim.Resource{r})
	}
	return r, err
}

// lock reads a row that this transaction will write, so that no other writes it
// in between, and checks its version.
func (t Tenant) lock(ctx context.Context, tx tx, rt *scim.ResourceType, id string, match scim.Match) (row, error) {
	w, err := t.find(ctx, tx, rt, id, false, true)
	if err == nil && !match.Allows(w.version) {
		err = scim.Errorf(scim.VersionMismatch, "the version is %s now", scim.FormatVersion(w.version))
	}
	return w, err
}

// apply makes a change of the resource in w, and writes what differs.
func (t Tenant) apply(ctx context.Context, tx tx, rt *scim.ResourceType, w *row, c scim.Change) (scim.Resource, error) {
	r, err := w.resource(rt)
	if err != nil {
		return nil, err
	}
	before := rt.AppendDocument(nil, r)
	if err := c.Apply(r); err != nil {
		return nil, err
	}
	l := lift(rt, r)
	if err := l.check(); err != nil {
		return nil, err
	}
	w.document = rt.AppendDocument(nil, r)
	d := newDiff()
	was := l.values
	if len(l.secrets) > 0 || !bytes.Equal(before, w.document) {
		old := mustDecode(rt, before)
		for _, path := range rt.LostSecrets(old, r) {
			l.secrets[path] = ""
		}
		d.attributes = attributesDiff(rt, old, r, l.secrets)
		was = lift(rt, old).values
		if err := t.checkReferences(ctx, tx, rt, nil, old, r); err != nil {
			return nil, err
		}
	}
	if err := t.changeLinks(ctx, tx, w.id, c.Links(), d); err != nil || d.empty() {
		return r, err
	}
	w.version++
	w.updated = max(now(), w.updated)
	rt.Stamp(r, w.id, w.meta(rt))
	if err := t.update(ctx, tx, w, &l, d.attributes != nil); err != nil {
		return nil, err
	}
	if err := t.updateValues(ctx, tx, rt, w.id, was, l.values); err != nil {
		return nil, err
	}
	if err := t.writeSecrets(ctx, tx, w.id, l.secrets); err != nil {
		return nil, err
	}
	var changed *row
	if d.attributes != nil {
		changed = w
	}
	if err := t.record(ctx, tx, rt, w, updated, d.json(changed)); err != nil {
		return nil, err
	}
	if err := t.store.audit(ctx, tx, "", rt.Name, w.id, eventChanges(d.attributes, d.members, nil)); err != nil {
		return nil, err
	}
	return r, t.confirmCatalog(ctx, tx)
}

// update writes the row of a resource; only its version if nothing but links
// changed.
func (t Tenant) update(ctx context.Context, tx tx, w *row, l *lifted, attributes bool) error {
	st := t.store.statement()
	st.add("UPDATE resources SET version = ", arg{w.version}, ", updated_at = ", arg{w.updated})
	if attributes {
		st.add(", external_id = ", arg{l.externalID}, ", user_name = ", arg{l.userName}, ", display_name = ", arg{l.displayName},
			", display = ", arg{l.display}, ", document = ", arg{string(w.document)})
	}
	st.add(" WHERE id = ", arg{w.id})
	return tx.write(ctx, st)
}

// Delete removes a resource, its values and its memberships. Each group that it
// leaves by that is one changed group. It fails with NotFound, and with
// VersionMismatch where match does not allow the version.
func (t Tenant) Delete(ctx context.Context, rt *scim.ResourceType, id string, match scim.Match) error {
	return t.write(ctx, func(ctx context.Context, tx tx) error {
		w, err := t.lock(ctx, tx, rt, id, match)
		if err != nil {
			return err
		}
		w.updated = max(now(), w.updated)
		left, err := t.leaveGroups(ctx, tx, &w)
		if err != nil {
			return err
		}
		w.version++
		if err := t.record(ctx, tx, rt, &w, deleted, newDiff().json(&w)); err != nil {
			return err
		}
		if err := t.auditDelete(ctx, tx, rt, &w, left); err != nil {
			return err
		}
		st := t.store.statement()
		st.add("DELETE FROM resources WHERE id = ", arg{id})
		if err := tx.write(ctx, st); err != nil {
			return err
		}
		return t.keepCount(ctx, tx, rt, -1)
	})
}

// auditDelete records what a resource was that is being deleted, with the groups that
// it leaves.
func (t Tenant) auditDelete(ctx context.Context, tx tx, rt *scim.ResourceType, w *row, left []string) error {
	if actOf(ctx) == nil {
		return nil
	}
	d := newDiff()
	if rt.Name == scim.Group.Name {
		st := t.store.statement()
		st.add("SELECT member_id FROM memberships WHERE group_id = ", arg{w.id})
		members, err := readIDs(ctx, tx, st)
		if err != nil {
			return err
		}
		for _, id := range members {
			d.remove(id)
		}
	}
	attributes := attributesDiff(rt, mustDecode(rt, w.document), nothing(rt), nil)
	return t.store.audit(ctx, tx, "", rt.Name, w.id, eventChanges(attributes, d.members, left))
}

// leaveGroups gives each group that holds the resource a new version, records why,
// and returns their ids. The memberships themselves go with the resource.
func (t Tenant) leaveGroups(ctx context.Context, tx tx, w *row) (left []string, err error) {
	st := t.store.statement()
	st.add("SELECT group_id FROM memberships WHERE member_id = ", arg{w.id}, " ORDER BY group_id")
	left, err = readIDs(ctx, tx, st)
	if err != nil || len(left) == 0 {
		return nil, err
	}
	st = t.store.statement()
	st.add("UPDATE resources SET version = version + 1, updated_at = ", arg{w.updated},
		" WHERE id IN (SELECT group_id FROM memberships WHERE member_id = ", arg{w.id}, ")")
	if err := tx.write(ctx, st); err != nil {
		return nil, err
	}
	d := newDiff()
	d.remove(w.id)
	st = t.store.statement()
	st.add("INSERT INTO changes (tenant_id, resource_type, resource_id, operation, version, occurred_at, detail)"+
		" SELECT g.tenant_id, g.type, g.id, ", arg{string(updated)}, ", g.version, ", arg{w.updated}, ", ", arg{string(d.json(nil))},
		" FROM memberships m JOIN resources g ON g.id = m.group_id WHERE m.member_id = ", arg{w.id})
	return left, tx.write(ctx, st)
}

// record writes a row of the change log, in the transaction that made the
// change.
func (t Tenant) record(ctx context.Context, tx tx, rt *scim.ResourceType, w *row, op operation, detail []byte) error {
	st := t.store.statement()
	st.add("INSERT INTO changes (tenant_id, resource_type, resource_id, operation, version, occurred_at, detail) VALUES (",
		arg{t.id}, ", ", arg{rt.Name}, ", ", arg{w.id}, ", ", arg{string(op)}, ", ", arg{w.version}, ", ", arg{w.updated}, ", ",
		arg{textOrNull(string(detail))}, ")")
	return tx.write(ctx, st)
}
