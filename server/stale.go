package server

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

const (
	usualStaleDays = 30
	maxStaleDays   = 36_500
	maxStaleIDs    = 500
)

// staleSince is the moment since which nobody has written what is stale.
func staleSince(days int32) (time.Time, error) {
	if days < 1 || days > maxStaleDays {
		return time.Time{}, scim.Errorf(scim.InvalidValue, "days is from 1 to %d", maxStaleDays).At("days")
	}
	return time.Now().AddDate(0, 0, -int(days)), nil
}

func (s *activityService) ListStaleGroups(ctx context.Context, req *musterv1.ListStaleGroupsRequest) (*musterv1.ListStaleGroupsResponse, error) {
	tenant, err := administered(ctx, s.server.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	days := req.GetDays()
	if days == 0 {
		days = usualStaleDays
	}
	since, err := staleSince(days)
	if err != nil {
		return nil, err
	}
	size, err := activityPage(req.GetPageSize(), "page_size")
	if err != nil {
		return nil, err
	}
	behind, err := parseStalePlace(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	if err := s.server.audit.pushes.flush(ctx); err != nil {
		return nil, err
	}
	found, err := tenant.StaleGroups(ctx, since, behind, size)
	if err != nil {
		return nil, err
	}
	total, err := tenant.CountStaleGroups(ctx, since)
	out := &musterv1.ListStaleGroupsResponse{Groups: staleMessages(found), Total: total}
	if len(found) == size {
		last := &found[size-1]
		out.NextPageToken = strconv.FormatInt(last.Modified.UnixMilli(), 10) + "." + last.ID
	}
	return out, err
}

// parseStalePlace reads a page token; nil: there is none.
func parseStalePlace(token string) (*store.StalePlace, error) {
	if token == "" {
		return nil, nil //nolint:nilnil // from the first
	}
	text, id, _ := strings.Cut(token, ".")
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id == "" {
		return nil, errForeignToken
	}
	return &store.StalePlace{Modified: time.UnixMilli(at), ID: id}, nil
}

func staleMessages(groups []store.StaleGroup) []*musterv1.StaleGroup {
	out := make([]*musterv1.StaleGroup, len(groups))
	for i := range groups {
		g := &groups[i]
		pushed := g.Modified
		if g.Pushed.After(pushed) {
			pushed = g.Pushed
		}
		out[i] = &musterv1.StaleGroup{Id: g.ID, DisplayName: g.DisplayName, ExternalId: g.ExternalID, Members: g.Members,
			LastModified: timestamppb.New(g.Modified), LastPushTime: timestamppb.New(pushed)}
	}
	return out
}

func (s *activityService) DeleteStaleGroups(ctx context.Context, req *musterv1.DeleteStaleGroupsRequest) (*musterv1.DeleteStaleGroupsResponse, error) {
	tenant, err := administered(ctx, s.server.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	since, err := staleSince(req.GetDays())
	if err != nil {
		return nil, err
	}
	most, err := activityPage(req.GetMax(), "max")
	if err != nil {
		return nil, err
	}
	if len(req.GetIds()) > maxStaleIDs {
		return nil, scim.Errorf(scim.InvalidValue, "at most %d ids are given", maxStaleIDs).At("ids")
	}
	if err := s.server.audit.pushes.flush(ctx); err != nil {
		return nil, err
	}
	found, err := someStale(ctx, tenant, since, req.GetIds(), most)
	if err != nil {
		return nil, err
	}
	if req.GetDryRun() {
		callOf(ctx).act.Detail = "a dry run: nothing was deleted"
	} else if found, err = deleteStale(ctx, tenant, found); err != nil {
		return nil, err
	}
	left, err := tenant.CountStaleGroups(ctx, since)
	if req.GetDryRun() {
		left -= int64(len(found))
	}
	return &musterv1.DeleteStaleGroupsResponse{Groups: staleMessages(found), Left: max(left, 0)}, err
}

// someStale are the stale groups that a request is about, at most so many: of those with
// the ids, if there are any.
func someStale(ctx context.Context, tenant store.Tenant, since time.Time, ids []string, most int) (some []store.StaleGroup, err error) {
	if len(ids) == 0 {
		return tenant.StaleGroups(ctx, since, nil, most)
	}
	some, err = tenant.StaleGroupsOf(ctx, since, ids)
	return some[:min(len(some), most)], err
}

// deleteStale deletes groups one by one, each an act of its own in the audit log, and
// returns those that it has deleted: one that was written meanwhile stays.
func deleteStale(ctx context.Context, tenant store.Tenant, groups []store.StaleGroup) ([]store.StaleGroup, error) {
	c := callOf(ctx)
	deleted := slices.Clip(groups[:0:0])
	for i := range groups {
		if err := ctx.Err(); err != nil {
			return deleted, err
		}
		c.begin(c.method)
		c.act.ResourceType, c.act.ResourceID = scim.Group.Name, groups[i].ID
		switch err := tenant.DeleteStaleGroup(ctx, &groups[i]); scim.ReasonOf(err) {
		case scim.VersionMismatch, scim.NotFound:
			c.act.Detail = "nothing was deleted: it was written or deleted meanwhile"
			continue
		default:
			if err != nil {
				return deleted, err
			}
		}
		deleted = append(deleted, groups[i])
	}
	return deleted, nil
}
