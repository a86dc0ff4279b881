package server

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// auditService is muster.v1.AuditService.
type auditService struct {
	musterv1.UnimplementedAuditServiceServer

	store *store.Store
}

// noTenant is how requests name what concerns no tenant.
const noTenant = "-"

// The number of events of a page.
const (
	usualAuditPage = 100
	maxAuditPage   = 1000
)

// logOf is the number of the tenant whose log a request is about.
func (s *auditService) logOf(ctx context.Context, name string) (int64, error) {
	if name == noTenant && administersAll(ctx) {
		return store.NoTenant, nil
	}
	tenant, err := administered(ctx, s.store, name)
	return tenant.ID(), err
}

// ListAuditEvents reads a page.
func (s *auditService) ListAuditEvents(ctx context.Context, req *musterv1.ListAuditEventsRequest) (*musterv1.ListAuditEventsResponse, error) {
	q, err := auditQuery(req)
	if err != nil {
		return nil, err
	}
	if q.TenantID, err = s.logOf(ctx, req.GetTenant()); err != nil {
		return nil, err
	}
	page, err := s.store.AuditEvents(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &musterv1.ListAuditEventsResponse{Events: make([]*musterv1.AuditEvent, len(page.Events))}
	for i := range page.Events {
		out.Events[i] = auditMessage(&page.Events[i])
	}
	if page.Next != 0 {
		out.NextPageToken = strconv.FormatInt(page.Next, 10)
	}
	return out, nil
}

// auditQuery reads all of a request but the tenant.
func auditQuery(req *musterv1.ListAuditEventsRequest) (store.AuditQuery, error) {
	q := store.AuditQuery{
		Credential: req.GetCredential(), Method: req.GetMethod(), ResourceType: req.GetResourceType(), ResourceID: req.GetResourceId(),
		Outcome: req.GetOutcome(), Failures: req.GetFailures(), Address: req.GetAddress(), RequestID: req.GetRequestId(), Operator: req.GetOperator(), Preview: req.Preview,
		InChain: req.GetOrder() == musterv1.ListAuditEventsRequest_ORDER_CHAIN, After: max(req.GetAfterSequence(), 0), Count: int(req.GetPageSize()),
	}
	if req.GetWithoutReads() {
		q.Without = readingMethods()
	}
	switch {
	case q.Count < 0 || q.Count > maxAuditPage:
		return q, scim.Errorf(scim.InvalidValue, "page_size is from 1 to %d", maxAuditPage).At("page_size")
	case q.Count == 0:
		q.Count = usualAuditPage
	}
	if q.After > 0 && !q.InChain {
		return q, scim.Errorf(scim.InvalidValue, "after_sequence is for the order of the chain").At("after_sequence")
	}
	for _, at := range []struct {
		name string
		time *timestamppb.Timestamp
	}{{"start_time", req.GetStartTime()}, {"end_time", req.GetEndTime()}} {
		if at.time != nil && !at.time.IsValid() {
			return q, scim.Errorf(scim.InvalidValue, "%s is no time", at.name).At(at.name)
		}
	}
	if req.GetStartTime() != nil {
		q.From = req.GetStartTime().AsTime()
	}
	if req.GetEndTime() != nil {
		q.To = req.GetEndTime().AsTime()
	}
	if token := req.GetPageToken(); token != "" {
		after, err := strconv.ParseInt(token, 10, 64)
		if err != nil || after <= 0 {
			return q, scim.Errorf(scim.InvalidValue, "page_token is not one of a page before").At("page_token")
		}
		q.After = after
	}
	return q, nil
}

// readingMethods are the methods that change nothing, as events name them, in their order;
// not that which hands out a whole file.
var readingMethods = sync.OnceValue(func() (names []string) {
	for method, of := range policy {
		if (of.action == read || of.action == adminRead) && method != musterv1.RecordingService_ExportRecording_FullMethodName {
			names = append(names, strings.TrimPrefix(method, "/"))
		}
	}
	slices.Sort(names)
	return names
})

func auditMessage(e *store.AuditEvent) *musterv1.AuditEvent {
	return &musterv1.AuditEvent{
		Id: e.ID, TenantId: e.TenantID, Time: timestamppb.New(e.Time), RequestId: e.RequestID, Credential: e.Credential, Operator: e.Operator,
		Address: e.Address, Client: e.Client, Method: e.Method, ResourceType: e.ResourceType, ResourceId: e.ResourceID, Outcome: e.Outcome,
		Detail: e.Detail, Preview: e.Preview, Changes: e.Changes, Sequence: e.Sequence, Hash: e.Hash,
	}
}

// VerifyAuditLog computes a chain again.
func (s *auditService) VerifyAuditLog(ctx context.Context, req *musterv1.VerifyAuditLogRequest) (*musterv1.VerifyAuditLogResponse, error) {
	tenant, err := s.logOf(ctx, req.GetTenant())
	if err != nil {
		return nil, err
	}
	var head *store.AuditHead
	if h := req.GetHead(); h != nil {
		head = &store.AuditHead{Sequence: h.GetSequence(), Hash: h.GetHash()}
	}
	v, err := s.store.VerifyAudit(ctx, tenant, head)
	if err != nil {
		return nil, err
	}
	return &musterv1.VerifyAuditLogResponse{
		Whole: v.Problem == "", Problem: v.Problem, ProblemSequence: v.At, FirstSequence: v.First,
		Head: &musterv1.AuditHead{Sequence: v.Head.Sequence, Hash: v.Head.Hash}, Unsealed: v.Unsealed,
	}, nil
}
