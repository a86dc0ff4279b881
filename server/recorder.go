package server

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Limits of what is recorded.
const (
	maxRecordedBody  = 128 << 10 // bytes of a body
	maxRecordedText  = 4 << 10   // bytes of a header, and of a path with its query
	maxRecordedBytes = 64 << 20  // of one recording, by one server
	recordingKeyName = "recordings"
	refusedMark      = "/refused"
)

// A recorder knows which credentials are being recorded, and records them. So long as
// there is none, it costs a call one look.
type recorder struct {
	store *store.Store

	some    atomic.Bool
	reading sync.Mutex // so that what is read last is what holds
	mu      sync.RWMutex
	of      map[recordedCredential]*running
	by      map[int64]*running
}

type recordedCredential struct {
	tenant int64
	name   string
}

// running is a recording that has not ended.
type running struct {
	store.Recording

	redactor *redactor
	bytes    atomic.Int64 // that this server has recorded
}

func newRecorder(st *store.Store) *recorder { return &recorder{store: st} }

// RefreshRecordings finds out which recordings are running. Whoever serves calls it
// every second or so.
func (s *Server) RefreshRecordings(ctx context.Context) error { return s.recorder.refresh(ctx) }

func (r *recorder) refresh(ctx context.Context) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	all, err := r.store.RunningRecordings(ctx)
	if err != nil {
		return err
	}
	var key []byte
	if len(all) > 0 {
		if key, err = r.store.Key(ctx, recordingKeyName); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	of, by := make(map[recordedCredential]*running), make(map[int64]*running)
	for _, found := range all {
		run := r.by[found.ID]
		if run == nil {
			run = &running{Recording: found, redactor: newRedactor(slices.Concat(key, []byte(strconv.FormatInt(found.ID, 10))), found.Redacted)}
		}
		by[found.ID], of[recordedCredential{found.TenantID, found.Credential}] = run, run
	}
	r.of, r.by = of, by
	r.some.Store(len(all) > 0)
	return nil
}

// handle is what the REST face needs to record the exchange of a call; empty: it is not
// recorded. Administration never is: its answers can have secrets.
func (r *recorder) handle(c *call, refused error) string {
	if !r.some.Load() || c.principal.ID <= 0 {
		return ""
	}
	switch policy[c.method].action {
	case read, write, discover:
	case public, admin, adminRead, internal, signIn, own:
		return ""
	}
	r.mu.RLock()
	run := r.of[recordedCredential{c.principal.Tenant.ID(), c.principal.Credential.Name}]
	r.mu.RUnlock()
	if run == nil || !time.Now().Before(run.Ends) {
		return ""
	}
	run.redactor.learn(c.principal.Tenant.Catalog())
	handle := strconv.FormatInt(run.ID, 10)
	if refused != nil {
		handle += refusedMark
	}
	return handle
}

// What is written of the two halves of an exchange.
type (
	recordedRequest struct {
		Method  string            `json:"method"`
		Path    string            `json:"path"`
		Header  map[string]string `json:"header,omitempty"`
		Body    string            `json:"body,omitempty"`
		Cut     bool              `json:"cut,omitempty"`
		Refused bool              `json:"refused,omitempty"`
	}
	recordedAnswer struct {
		Status int               `json:"status"`
		Header map[string]string `json:"header,omitempty"`
		Body   string            `json:"body,omitempty"`
		Cut    bool              `json:"cut,omitempty"`
		Took   time.Duration     `json:"took"`
	}
)

// record writes down an exchange, without what must not be kept.
func (r *recorder) record(ctx context.Context, req *musterv1.RecordExchangeRequest) error {
	text, refused := strings.CutSuffix(req.GetRecording(), refusedMark)
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return scim.Errorf(scim.InvalidValue, "that is no recording")
	}
	r.mu.RLock()
	run := r.by[id]
	r.mu.RUnlock()
	if run == nil {
		return nil // it has just ended
	}
	e, redact, base := req.GetExchange(), run.redactor, req.GetBase()
	request := recordedRequest{Method: e.GetMethod(), Refused: refused, Cut: e.GetRequestCut() || len(e.GetRequestBody()) > maxRecordedBody || len(e.GetPath()) > maxRecordedText}
	if !request.Cut {
		request.Body = redact.body([]byte(e.GetRequestBody()), base)
		request.Path = redact.target(e.GetPath(), base)
	} else if path, _, _ := strings.Cut(e.GetPath(), "?"); len(path) <= maxRecordedText {
		request.Path = redact.target(path, base)
	}
	answer := recordedAnswer{Status: int(e.GetStatus()), Took: e.GetTook().AsDuration(), Cut: len(e.GetAnswerBody()) > maxRecordedBody}
	if !answer.Cut {
		answer.Body = redact.body([]byte(e.GetAnswerBody()), base)
	}
	request.Header, answer.Header = redact.headers(e.GetRequestHeader(), base), redact.headers(e.GetAnswerHeader(), base)
	return r.keep(ctx, run, e.GetTime().AsTime(), request, answer)
}

func (r *recorder) keep(ctx context.Context, run *running, at time.Time, request recordedRequest, answer recordedAnswer) error {
	one, err := json.Marshal(request)
	if err != nil {
		return err
	}
	two, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	if run.bytes.Add(int64(len(one)+len(two))) > maxRecordedBytes {
		return r.store.EndRecording(ctx, run.ID)
	}
	return r.store.RecordExchange(ctx, run.ID, store.RecordedExchange{Time: at, Request: string(one), Answer: string(two)})
}

// headers redacts headers. One that is very long is left out.
func (r *redactor) headers(all map[string]string, base string) map[string]string {
	kept := make(map[string]string)
	for name, value := range all {
		if len(value) <= maxRecordedText {
			kept[name] = r.text(strings.ToValidUTF8(value, "?"), base)
		}
	}
	return kept
}
