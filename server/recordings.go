package server

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Limits of a recording.
const (
	defaultRecordingTime = 15 * time.Minute
	maxRecordingTime     = 24 * time.Hour
	defaultExchanges     = 1000
	maxExchanges         = 10_000
	maxRedacted          = 50
	maxExchangePage      = 100
	maxExportBytes       = 1 << 20 // of a page, but for its last exchange
)

// recordingService is muster.v1.RecordingService.
type recordingService struct {
	musterv1.UnimplementedRecordingServiceServer

	server *Server
}

func (s *recordingService) StartRecording(ctx context.Context, req *musterv1.StartRecordingRequest) (*musterv1.StartRecordingResponse, error) {
	tenant, err := administered(ctx, s.server.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	asked, err := newRecording(tenant.Catalog(), req)
	if err != nil {
		return nil, err
	}
	made, err := tenant.StartRecording(ctx, asked)
	if err != nil {
		return nil, err
	}
	return &musterv1.StartRecordingResponse{Recording: recordingMessage(nameOfTenant(ctx, req.GetTenant()), &made)}, s.server.recorder.refresh(ctx)
}

// attributeName is the name of an attribute that can be redacted.
var attributeName = regexp.MustCompile(`^[A-Za-z][\w-]*$`)

// structure are names whose values say what a message is about.
var structure = []string{"id", "schemas", "meta", "op", "path", "value", "operations", "resources", "resourcetype", "location", "method", "bulkid", "data", "status", "detail", "scimtype"}

// newRecording checks what is asked for.
func newRecording(catalog *scim.Catalog, req *musterv1.StartRecordingRequest) (store.Recording, error) {
	r := store.Recording{Credential: req.GetCredential(), Started: time.Now(), MaxExchanges: int(req.GetMaxExchanges()), Redacted: req.GetRedacted()}
	lasts := defaultRecordingTime
	if req.GetDuration() != nil {
		lasts = req.GetDuration().AsDuration()
	}
	if r.MaxExchanges == 0 {
		r.MaxExchanges = defaultExchanges
	}
	r.Ends = r.Started.Add(lasts)
	switch {
	case lasts <= 0 || lasts > maxRecordingTime:
		return r, scim.Errorf(scim.InvalidValue, "a recording lasts more than nothing, and at most %d hours", int(maxRecordingTime.Hours())).At("duration")
	case r.MaxExchanges < 0 || r.MaxExchanges > maxExchanges:
		return r, scim.Errorf(scim.InvalidValue, "a recording has at most %d exchanges", maxExchanges).At("maxExchanges")
	case len(r.Redacted) > maxRedacted:
		return r, scim.Errorf(scim.InvalidValue, "at most %d attributes are redacted", maxRedacted).At("redacted")
	}
	known := attributeNames(catalog)
	for _, name := range r.Redacted {
		if !attributeName.MatchString(name) || len(name) > maxLogin || slices.Contains(structure, strings.ToLower(name)) {
			return r, scim.Errorf(scim.InvalidValue, "%.80q cannot be redacted; give the name of an attribute or sub-attribute alone, such as userName or familyName", name).At("redacted")
		}
		if !known[strings.ToLower(name)] {
			return r, scim.Errorf(scim.InvalidValue, "no attribute or sub-attribute of the tenant's schemas, which /Schemas lists, has the name %.80q; redact such as userName or familyName", name).At("redacted")
		}
	}
	return r, nil
}

// attributeNames are the names of all attributes and sub-attributes of a catalog, in
// small letters.
func attributeNames(catalog *scim.Catalog) map[string]bool {
	names := make(map[string]bool)
	var add func([]*scim.Attribute)
	add = func(attributes []*scim.Attribute) {
		for _, a := range attributes {
			names[strings.ToLower(a.Name)] = true
			add(a.Sub)
		}
	}
	for _, rt := range catalog.ResourceTypes() {
		add(rt.Attributes())
	}
	return names
}

// parseRecording reads the id of a recording.
func parseRecording(id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= 0 {
		return 0, scim.Errorf(scim.NotFound, "there is no recording %.40q", id)
	}
	return n, nil
}

// recordingOf finds what a request is about.
func (s *recordingService) recordingOf(ctx context.Context, tenantName, id string) (store.Tenant, int64, error) {
	tenant, err := administered(ctx, s.server.store, tenantName)
	if err != nil {
		return tenant, 0, err
	}
	n, err := parseRecording(id)
	return tenant, n, err
}

func (s *recordingService) StopRecording(ctx context.Context, req *musterv1.StopRecordingRequest) (*musterv1.StopRecordingResponse, error) {
	tenant, id, err := s.recordingOf(ctx, req.GetTenant(), req.GetId())
	if err != nil {
		return nil, err
	}
	r, err := tenant.StopRecording(ctx, id)
	if err != nil {
		return nil, err
	}
	return &musterv1.StopRecordingResponse{Recording: recordingMessage(nameOfTenant(ctx, req.GetTenant()), &r)}, s.server.recorder.refresh(ctx)
}

func (s *recordingService) ListRecordings(ctx context.Context, req *musterv1.ListRecordingsRequest) (*musterv1.ListRecordingsResponse, error) {
	tenant, err := administered(ctx, s.server.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	all, err := tenant.Recordings(ctx)
	out := &musterv1.ListRecordingsResponse{}
	for i := range all {
		out.Recordings = append(out.Recordings, recordingMessage(nameOfTenant(ctx, req.GetTenant()), &all[i]))
	}
	return out, err
}

func (s *recordingService) ExportRecording(ctx context.Context, req *musterv1.ExportRecordingRequest) (*musterv1.ExportRecordingResponse, error) {
	tenant, id, err := s.recordingOf(ctx, req.GetTenant(), req.GetId())
	if err != nil {
		return nil, err
	}
	most, after := int(req.GetPageSize()), int64(0)
	if most <= 0 || most > maxExchangePage {
		most = maxExchangePage
	}
	if text := req.GetPageToken(); text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, scim.Errorf(scim.InvalidCursor, "page_token is not one that this method has given").At("pageToken")
		}
	}
	r, err := tenant.Recording(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &musterv1.ExportRecordingResponse{Recording: recordingMessage(nameOfTenant(ctx, req.GetTenant()), &r)}
	for size := 0; len(out.GetExchanges()) < most && size < maxExportBytes; {
		some, err := tenant.RecordedExchanges(ctx, id, after, min(10, most-len(out.GetExchanges())))
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			return out, nil
		}
		for i := range some {
			e, err := exchangeMessage(&some[i])
			if err != nil {
				return nil, err
			}
			out.Exchanges = append(out.Exchanges, e)
			size += len(some[i].Request) + len(some[i].Answer)
			after = some[i].ID
		}
	}
	out.NextPageToken = strconv.FormatInt(after, 10)
	return out, nil
}

func (s *recordingService) DeleteRecording(ctx context.Context, req *musterv1.DeleteRecordingRequest) (*musterv1.DeleteRecordingResponse, error) {
	tenant, id, err := s.recordingOf(ctx, req.GetTenant(), req.GetId())
	if err != nil {
		return nil, err
	}
	if err := tenant.DeleteRecording(ctx, id); err != nil {
		return nil, err
	}
	return &musterv1.DeleteRecordingResponse{}, s.server.recorder.refresh(ctx)
}

func (s *recordingService) RecordExchange(ctx context.Context, req *musterv1.RecordExchangeRequest) (*musterv1.RecordExchangeResponse, error) {
	s.server.activity.noteREST(ctx, req)
	if req.GetRecording() == "" {
		return &musterv1.RecordExchangeResponse{}, nil
	}
	return &musterv1.RecordExchangeResponse{}, s.server.recorder.record(ctx, req)
}

// recordingMessage is what the contract makes of a recording.
func recordingMessage(tenant string, r *store.Recording) *musterv1.Recording {
	return &musterv1.Recording{
		Tenant: tenant, Id: strconv.FormatInt(r.ID, 10), Credential: r.Credential, StartTime: timestamppb.New(r.Started), EndTime: timestamppb.New(r.Ends),
		MaxExchanges: int32(r.MaxExchanges), Redacted: r.Redacted, Exchanges: int32(r.Exchanges), Running: time.Now().Before(r.Ends), //nolint:gosec // at most maxExchanges
	}
}

// exchangeMessage is what the contract makes of an exchange.
func exchangeMessage(e *store.RecordedExchange) (*musterv1.Exchange, error) {
	var request recordedRequest
	var answer recordedAnswer
	if err := json.Unmarshal([]byte(e.Request), &request); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(e.Answer), &answer); err != nil {
		return nil, err
	}
	return &musterv1.Exchange{
		Time: timestamppb.New(e.Time), Method: request.Method, Path: request.Path, RequestHeader: request.Header, RequestBody: request.Body,
		RequestCut: request.Cut, Refused: request.Refused, Status: int32(answer.Status), AnswerHeader: answer.Header, AnswerBody: answer.Body, //nolint:gosec // of HTTP
		AnswerCut: answer.Cut, Took: durationpb.New(answer.Took),
	}, nil
}
