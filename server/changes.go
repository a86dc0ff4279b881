package server

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Limits of the change feed.
const (
	maxChanges = 1000 // of one answer
	// watchPage is how many changes a stream holds in memory. The next are read when
	// the client has taken these.
	watchPage = 200
	// maxPageMembers is how many members stand in one message of a snapshot.
	maxPageMembers = 2000
	// A quiet stream has a heartbeat this often.
	heartbeat = 15 * time.Second
)

// changes is muster.v1.ChangeService.
type changes struct {
	musterv1.UnimplementedChangeServiceServer

	server    *Server
	heartbeat time.Duration
}

func newChanges(s *Server) *changes {
	return &changes{server: s, heartbeat: heartbeat}
}

func (s *changes) ListChanges(ctx context.Context, req *musterv1.ListChangesRequest) (*musterv1.ListChangesResponse, error) {
	f, err := changeFilter(ctx, req.GetFilter())
	if err != nil {
		return nil, err
	}
	size := int(req.GetPageSize())
	if size <= 0 || size > maxChanges {
		size = maxChanges
	}
	if err := s.server.store.SequenceChanges(ctx); err != nil {
		return nil, err
	}
	after, err := s.position(ctx, req.GetAfterPosition())
	if err != nil {
		return nil, err
	}
	p, err := tenantOf(ctx).Changes(ctx, after, f, size)
	show := newShowing(ctx)
	for _, c := range p.Changes {
		show.change(c)
	}
	return &musterv1.ListChangesResponse{Changes: p.Changes, Position: p.Position, More: p.More, Head: p.Head}, err
}

// position is the one that a request means: less than 0 is that of the last change that
// is committed.
func (s *changes) position(ctx context.Context, asked int64) (int64, error) {
	if asked >= 0 {
		return asked, nil
	}
	if err := s.server.store.SequenceChanges(ctx); err != nil {
		return 0, err
	}
	return s.server.store.Head(ctx)
}

// changeFilter is the filter of a request, with the types that the caller may read.
func changeFilter(ctx context.Context, f *musterv1.ChangeFilter) (store.ChangeFilter, error) {
	out := store.ChangeFilter{Attributes: f.GetAttributes(), Groups: f.GetGroups()}
	c := callOf(ctx)
	for _, rt := range tenantOf(ctx).Catalog().ResourceTypes() {
		if c.permit(c.method, rt.Name) == nil {
			out.Types = append(out.Types, rt.Name)
		}
	}
	if len(f.GetResourceTypes()) == 0 {
		return out, nil
	}
	for _, name := range f.GetResourceTypes() {
		if err := c.permit(c.method, name); err != nil {
			return out, err
		}
		if !slices.Contains(out.Types, name) {
			return out, scim.InField("filter.resource_types", scim.Errorf(scim.InvalidValue, "there is no resource type %.80q", name))
		}
	}
	out.Types = f.GetResourceTypes()
	return out, nil
}

// A showing takes out of resources what is never returned or only on request.
type showing map[string]*scim.Projection // by resource type

func newShowing(ctx context.Context) showing {
	s := make(showing)
	for _, rt := range tenantOf(ctx).Catalog().ResourceTypes() {
		s[rt.Name], _ = rt.CompileProjection(nil, nil) // which cannot be wrong
	}
	return s
}

func (s showing) resource(r scim.Resource) {
	if p := s[r.GetMeta().GetResourceType()]; p != nil {
		p.Apply(r)
	}
}

func (s showing) change(c *musterv1.Change) {
	switch r := c.GetResource().(type) {
	case *musterv1.Change_User:
		s.resource(r.User)
	case *musterv1.Change_Group:
		s.resource(r.Group)
	case *musterv1.Change_Registered:
		s.resource(r.Registered)
	}
}

func (s *changes) WatchChanges(req *musterv1.WatchChangesRequest, stream grpc.ServerStreamingServer[musterv1.WatchChangesResponse]) error {
	ctx := stream.Context()
	f, err := changeFilter(ctx, req.GetFilter())
	if err != nil {
		return err
	}
	after, err := s.position(ctx, req.GetAfterPosition())
	if err != nil {
		return err
	}
	defer s.server.store.FollowChanges()()
	w := &watch{service: s, stream: stream, filter: f, show: newShowing(ctx), position: after, vigil: newVigil(s.server, f.Types...)}
	w.following = s.server.watchers.begin(callOf(ctx), w.position, req.GetSnapshot())
	defer w.following.end()
	if req.GetSnapshot() {
		if err := w.snapshot(ctx); err != nil {
			return err
		}
		w.following.follows()
	}
	return w.follow(ctx)
}

// A watch is a stream of changes under way.
type watch struct {
	service  *changes
	stream   grpc.ServerStreamingServer[musterv1.WatchChangesResponse]
	filter   store.ChangeFilter
	show     showing
	position int64 // all up to it has been sent
	vigil    *vigil

	following *following
}

// follow sends changes until the call ends.
func (w *watch) follow(ctx context.Context) error {
	beat := time.NewTicker(w.service.heartbeat)
	defer beat.Stop()
	check := time.NewTicker(w.service.server.recheck)
	defer check.Stop()
	for {
		grown := w.service.server.store.Grown()
		sent, err := w.sendChanges(ctx)
		if err != nil {
			return err
		}
		if sent {
			beat.Reset(w.service.heartbeat)
		}
		select {
		case <-grown:
		case <-check.C:
			err = w.vigil.check(ctx)
		case <-beat.C:
			err = w.stream.Send(&musterv1.WatchChangesResponse{Event: &musterv1.WatchChangesResponse_Heartbeat{
				Heartbeat: &musterv1.Heartbeat{Position: w.position, Time: timestamppb.Now()},
			}})
		case <-w.service.server.stopping:
			err = errStopping
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// sendChanges sends all changes that there are. Send waits while the client does not
// read, so that no more than a page is in memory.
func (w *watch) sendChanges(ctx context.Context) (sent bool, err error) {
	for {
		p, err := tenantOf(ctx).Changes(ctx, w.position, w.filter, watchPage)
		if err != nil {
			return sent, err
		}
		for _, c := range p.Changes {
			w.show.change(c)
			if err := w.stream.Send(&musterv1.WatchChangesResponse{Event: &musterv1.WatchChangesResponse_Change{Change: c}}); err != nil {
				return sent, err
			}
			sent = true
		}
		w.position = p.Position
		w.following.at(p.Position, len(p.Changes) > 0)
		if !p.More {
			return sent, nil
		}
		if err := w.vigil.check(ctx); err != nil {
			return sent, err
		}
	}
}

// snapshot sends all resources as they are, while writes go on, and then what was
// changed meanwhile. What is read of a resource may be older or newer than what is
// read of another, but with the changes since the beginning they are of one moment:
// the end of those changes.
func (w *watch) snapshot(ctx context.Context) error {
	st := w.service.server.store
	if err := st.SequenceChanges(ctx); err != nil {
		return err
	}
	begin, err := st.Head(ctx)
	if err != nil {
		return err
	}
	for _, name := range w.filter.Types {
		if err := w.sendResources(ctx, tenantOf(ctx).Catalog().ResourceType(name)); err != nil {
			return err
		}
	}
	if err := st.SequenceChanges(ctx); err != nil {
		return err
	}
	end, err := st.Head(ctx)
	if err != nil {
		return err
	}
	// A filter of what is of interest would leave the copy incomplete.
	whole := *w
	whole.filter = store.ChangeFilter{Types: w.filter.Types}
	whole.position = begin
	for whole.position < end {
		if _, err := whole.sendChanges(ctx); err != nil {
			return err
		}
	}
	w.position = whole.position
	return w.stream.Send(&musterv1.WatchChangesResponse{Event: &musterv1.WatchChangesResponse_SnapshotComplete{
		SnapshotComplete: &musterv1.SnapshotComplete{Position: w.position},
	}})
}

// sendResources sends the resources of one type, in the order of their ids.
func (w *watch) sendResources(ctx context.Context, rt *scim.ResourceType) error {
	q := store.Query{Count: watchPage, Uncounted: true}
	for {
		p, err := tenantOf(ctx).List(ctx, rt, q)
		if err != nil {
			return err
		}
		var groups []string
		for _, r := range p.Resources {
			w.show.resource(r)
			if err := w.stream.Send(snapshotOf(r)); err != nil {
				return err
			}
			if rt.Name == scim.Group.Name {
				groups = append(groups, r.GetId())
			}
		}
		if err := w.sendMembers(ctx, groups); err != nil {
			return err
		}
		if p.Next == nil {
			return nil
		}
		q.After = p.Next
		if err := w.vigil.check(ctx); err != nil {
			return err
		}
	}
}

// sendMembers sends the members of some groups. Many small groups are read at once; a
// large one is found by halves, and read by itself, page by page.
func (w *watch) sendMembers(ctx context.Context, groups []string) error {
	if len(groups) == 0 {
		return nil
	}
	if len(groups) == 1 {
		return w.sendAllMembers(ctx, groups[0])
	}
	pairs, whole, err := tenantOf(ctx).MembersOfMany(ctx, groups, maxPageMembers)
	if err != nil {
		return err
	}
	if !whole {
		half := len(groups) / 2
		if err := w.sendMembers(ctx, groups[:half]); err != nil {
			return err
		}
		return w.sendMembers(ctx, groups[half:])
	}
	for len(pairs) > 0 {
		m := &musterv1.SnapshotMembers{GroupId: pairs[0][0]}
		for len(pairs) > 0 && pairs[0][0] == m.GetGroupId() {
			m.Members, pairs = append(m.Members, pairs[0][1]), pairs[1:]
		}
		if err := w.stream.Send(&musterv1.WatchChangesResponse{Event: &musterv1.WatchChangesResponse_Members{Members: m}}); err != nil {
			return err
		}
	}
	return nil
}

// sendAllMembers sends the members of one group, however many.
func (w *watch) sendAllMembers(ctx context.Context, group string) error {
	for behind := ""; ; {
		ids, err := tenantOf(ctx).MemberIDs(ctx, group, behind, maxPageMembers)
		if err != nil || len(ids) == 0 {
			return err
		}
		behind = ids[len(ids)-1]
		m := &musterv1.SnapshotMembers{GroupId: group, Members: ids}
		if err := w.stream.Send(&musterv1.WatchChangesResponse{Event: &musterv1.WatchChangesResponse_Members{Members: m}}); err != nil {
			return err
		}
		if err := w.vigil.check(ctx); err != nil || len(ids) < maxPageMembers {
			return err
		}
	}
}

func snapshotOf(r scim.Resource) *musterv1.WatchChangesResponse {
	s := &musterv1.SnapshotResource{}
	switch r := r.(type) {
	case *musterv1.User:
		s.Resource = &musterv1.SnapshotResource_User{User: r}
	case *musterv1.Group:
		s.Resource = &musterv1.SnapshotResource_Group{Group: r}
	case *musterv1.Resource:
		s.Resource = &musterv1.SnapshotResource_Registered{Registered: r}
	}
	return &musterv1.WatchChangesResponse{Event: &musterv1.WatchChangesResponse_Resource{Resource: s}}
}
