package store

import (
	"context"

	"github.com/muster-scim/muster/scim"
)

// A Sample is some resources of one type, without links.
type Sample struct {
	Resources []scim.Resource
	// All is how many there are of the type; Whole: they are all here.
	All   int
	Whole bool
}

// maxSampleParts is in how many runs of ids a sample is taken.
const maxSampleParts = 20

// Sample reads at most most resources of a type: all, or runs of them that begin at
// moments spread evenly over the time in which the resources were made, since ids grow
// with it.
func (t Tenant) Sample(ctx context.Context, rt *scim.ResourceType, most int) (s Sample, err error) {
	st := t.store.statement()
	st.add("SELECT CAST(coalesce(sum(resources), 0) AS bigint) FROM resource_counts WHERE tenant_id = ", arg{t.id}, " AND type = ", arg{rt.Name})
	if err := t.store.read(ctx, st, func(scan scan) error { return scan(&s.All) }); err != nil {
		return s, err
	}
	if s.All <= most {
		s.Resources, _, err = t.sampleRun(ctx, rt, 0, "", most)
		s.Whole = err == nil
		s.All = max(s.All, len(s.Resources))
		return s, err
	}
	var first, last int64
	st = t.store.statement()
	st.add("SELECT min(created_at), max(created_at) FROM resources WHERE tenant_id = ", arg{t.id}, " AND type = ", arg{rt.Name})
	if err := t.store.read(ctx, st, func(scan scan) error { return scan(&first, &last) }); err != nil {
		return s, err
	}
	behind := ""
	for part := range int64(maxSampleParts) {
		run, end, err := t.sampleRun(ctx, rt, first+(last-first)*part/maxSampleParts, behind, most/maxSampleParts)
		if err != nil {
			return s, err
		}
		s.Resources, behind = append(s.Resources, run...), end
	}
	return s, nil
}

// sampleRun reads resources that were made from a moment on, behind an id, in the order
// of the times and ids; end is the id of the last.
func (t Tenant) sampleRun(ctx context.Context, rt *scim.ResourceType, from int64, behind string, most int) (run []scim.Resource, end string, err error) {
	st := t.store.statement()
	st.add("SELECT "+rowColumns+", FALSE FROM resources r WHERE r.tenant_id = ", arg{t.id}, " AND r.type = ", arg{rt.Name},
		" AND r.created_at >= ", arg{from}, " AND r.id > ", arg{behind}, " ORDER BY r.created_at, r.id LIMIT ", arg{most})
	end = behind
	err = t.store.read(ctx, st, func(scan scan) error {
		var w row
		if err := w.scan(scan); err != nil {
			return err
		}
		r, err := w.resource(rt)
		run, end = append(run, r), w.id
		return err
	})
	return run, end, err
}

// CountLinked is how many of some resources, by their ids, are members of a group, or
// are groups that have members.
func (t Tenant) CountLinked(ctx context.Context, ids []string, groups bool) (n int64, err error) {
	column := "member_id"
	if groups {
		column = "group_id"
	}
	st := t.store.statement()
	st.add("SELECT count(*) FROM resources r WHERE r.tenant_id = ", arg{t.id}, " AND r.id", in(ids), " AND EXISTS (SELECT 1 FROM memberships m WHERE m."+column+" = r.id)")
	err = t.store.read(ctx, st, func(scan scan) error { return scan(&n) })
	return n, err
}
